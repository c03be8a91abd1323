"""``allie learn`` as a person meets it: somebody else is learning, and Ctrl+C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from allie_desktop.ipc.episode_lock import FileEpisodeLock

pytestmark = pytest.mark.usefixtures("known_base")


def test_a_second_learner_is_told_who_learns(allie, samples, allie_home):
    allie("import", samples)

    with FileEpisodeLock(allie_home).hold():
        plain, as_json = allie("learn", "--now"), allie("learn", "--now", "--json")

    assert (plain.code, as_json.code) == (4, 4)
    assert str(os.getpid()) in plain.out
    assert as_json.json["outcome"] == "held"
    assert str(os.getpid()) in as_json.json["reasons"][0]


@pytest.mark.model
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_an_asked_end_yields_and_the_next_call_goes_on(allie, samples, environment):
    allie("import", samples)
    episodes = set()
    for number in (signal.SIGINT, signal.SIGTERM):
        learner = subprocess.Popen(
            [sys.executable, "-m", "allie_desktop", "learn", "--now", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert learner.stderr is not None
        for line in learner.stderr:
            if line.startswith("Preparing"):
                break
        learner.send_signal(number)
        out, err = learner.communicate(timeout=120)

        assert learner.returncode == 4, err
        result = json.loads(out)
        assert result["outcome"] == "yielded"
        assert result["version"] is None
        status = allie("status", "--json").json
        assert status["last_episode"]["state"] == "yielded"
        assert status["active"] == "base"
        assert status["may_learn"] is True
        episodes.add(result["episode"])
    assert len(episodes) == 1  # the second call went on with what the first had begun
    assert allie("doctor", "--json").json["problems"] == []

"""A home that lives through roll-outs is killed 200 times: some version always answers, the old or the new."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.domain.versions import BASE
from allie_desktop.ipc.process import worker_environment
from tests.episode_stage import quick_folder
from tests.integration.rollout_life import Life

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, so that 200 processes start quickly"),
]

SCRIPT = Path(__file__).with_name("rollout_life.py")
ASKED = (Message(role=Role.USER, content="Hello?"),)


@contextmanager
def living(home: Path, seed: int, fall: str = "") -> Iterator[int]:
    """Run a life in a process that has everything imported; give its pid, and end it."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            os.close(read_end)
            os.dup2(write_end, 1)
            sys.stdout = os.fdopen(1, "w", buffering=1)
            from tests.integration import rollout_life

            rollout_life.main(home, seed, fall)
        finally:
            os._exit(70)
    os.close(write_end)
    try:
        assert os.read(read_end, 6) == b"begin\n"
        yield child
    finally:
        os.close(read_end)
        os.waitpid(child, 0)


def assert_sound(home: Path) -> tuple[str, ...]:
    """Everything that must hold after a kill, before anything was repaired; return who answers."""
    life = Life(home, seed=0)
    stage = life.stage
    try:
        stage.database.check(full=True)
        pointer, record = stage.versions.pointer(), stage.rollout_file.read()
        allowed = {pointer.active}
        if record is not None and record.version == pointer.active:
            allowed.add(record.previous)
        wanted = life.router.wanted()
        assert set(wanted) <= allowed
        assert life.router.choose("someone", ASKED) in wanted
        for name in {*wanted, pointer.active} - {BASE}:
            stage.versions.verify(name)

        # A look at it again, as the next start does, ends what was half done, and changes nothing twice.
        stage.rollout.review()
        once = (stage.versions.pointer(), stage.rollout_file.read())
        assert life.router.wanted()[0] in allowed
        stage.rollout.finish()
        assert (stage.versions.pointer(), stage.rollout_file.read()) == once
        assert life.router.choose("someone", ASKED) in life.router.wanted()
        assert len([alert for alert in stage.alerts.open() if alert.key == "version-rolled-back"]) <= 1
        return wanted
    finally:
        stage.close()


def test_killed_at_100_random_moments_some_version_always_answers() -> None:
    draw = random.Random(7)
    answered = set()
    with quick_folder() as home:
        (home / "cache").mkdir()
        for number in range(100):
            with living(home, seed=number) as pid:
                # Not a wait for anything: where in its work it is killed must be left to chance.
                select.select([], [], [], draw.uniform(0.0, 0.12))
                os.kill(pid, signal.SIGKILL)
            answered.update(assert_sound(home))
    assert BASE in answered
    assert len(answered) > 2


@pytest.mark.parametrize("after", ["", "+"], ids=["before", "after"])
def test_killed_at_every_change_some_version_always_answers(after: str) -> None:
    with quick_folder() as home:
        (home / "cache").mkdir()
        for fall_at in range(1, 26):
            with living(home, seed=fall_at, fall=f"{fall_at}{after}"):
                pass
            assert_sound(home)


def test_a_life_from_its_own_interpreter_is_the_same() -> None:
    with quick_folder() as home:
        (home / "cache").mkdir()
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(home), "3", "fall=12"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**worker_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert done.stdout.startswith("begin\n")
        assert_sound(home)

"""Whole episodes with real processes: program and worker are killed in every phase, and lie and hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.ipc.process import worker_environment
from tests.episode_stage import Stage, quick_folder

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
]

PARENT = Path(__file__).with_name("episode_parent.py")
SOUND = ["started", "prepare", "train", "step", "checkpoint", "step", "validate", "candidate"]


@pytest.fixture
def home() -> Iterator[Path]:
    with quick_folder() as folder:
        yield folder


def act(home: Path, *scripts: list[str]) -> None:
    """Tell the workers what to do, run by run."""
    (home / "cache").mkdir(exist_ok=True)
    (home / "cache" / "acts.json").write_text(json.dumps(scripts))


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PARENT), str(home), *words],
        stdout=subprocess.PIPE,
        text=True,
        env=worker_environment(),
    )


def run(home: Path, *words: str) -> tuple[int, dict[str, Any]]:
    process = start(home, *words)
    output, _ = process.communicate(timeout=120)
    return process.returncode, json.loads(output) if output else {}


def runs(home: Path) -> list[dict[str, Any]]:
    """What the workers noted of themselves."""
    return [json.loads(line) for line in (home / "cache" / "runs.jsonl").read_text().splitlines()]


def workers_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        ours = any("fake_worker" in word for word in command) and any(str(home) in word for word in command)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def wait_until_workers_are_gone(home: Path) -> None:
    _, alive = psutil.wait_procs(workers_of(home), timeout=20)
    assert alive == []


def state_of(home: Path) -> EpisodeState:
    stage = Stage(home)
    try:
        return stage.episode().state
    finally:
        stage.close()


def assert_whole(home: Path) -> None:
    """Exactly one version, which verifies, answers, and has learnt; nothing unfinished, nobody left."""
    stage = Stage(home)
    try:
        assert stage.versions.pointer().active == "v1.0"
        stage.versions.verify("v1.0")
        assert [version.metadata.version for version in stage.versions.all()] == ["v1.0"]
        assert stage.episodes.unfinished() == ()
        assert stage.episode().version == "v1.0"
        assert stage.learned() == 2
        assert stage.replay.members(holdout=False) == ("c1", "c2")
    finally:
        stage.close()
    assert workers_of(home) == []


def test_an_episode_from_plan_to_version(home: Path) -> None:
    code, result = run(home)

    assert (code, result["outcome"], result["version"]) == (0, "completed", "v1.0")
    assert set(result["phases"]) == {"prepare", "train", "validate", "deploy"}
    assert_whole(home)


# --- the program is killed ---


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("prepare", EpisodeState.PREPARING),
        ("train", EpisodeState.TRAINING),
        ("validate", EpisodeState.VALIDATING),
    ],
)
def test_a_program_killed_in_a_phase_of_its_worker_goes_on_next_time(
    home: Path, phase: str, state: EpisodeState
) -> None:
    first = SOUND[: SOUND.index(phase) + 1]
    act(home, [*first, "hold"], SOUND)
    code, _ = run(home, f"die={phase}")

    assert code == -signal.SIGKILL
    assert state_of(home) is state
    wait_until_workers_are_gone(home)
    code, result = run(home)
    assert (code, result["outcome"]) == (0, "completed")
    assert len(runs(home)) == 2
    assert runs(home)[1]["attempt"] == 1
    assert runs(home)[1]["resumed_from"] == first.count("step")
    assert_whole(home)


@pytest.mark.parametrize("place", ["judge", "probe"])
def test_a_program_killed_after_its_worker_needs_no_other(home: Path, place: str) -> None:
    code, _ = run(home, f"die={place}")

    assert code == -signal.SIGKILL
    assert state_of(home) is {"judge": EpisodeState.VALIDATING, "probe": EpisodeState.DEPLOYING}[place]
    code, result = run(home)
    assert (code, result["outcome"]) == (0, "completed")
    assert len(runs(home)) == 1
    assert_whole(home)


# The places where deploying changes something, in the list of tests/unit/services/test_deployment.py:
# the sealing, the note of the roll-out, the pointer, the marks, the replay buffer, the last state.
@pytest.mark.parametrize("place", ["19", "19+", "20+", "21", "21+", "22+", "23+", "26", "26+"])
def test_a_program_killed_while_deploying_ends_whole(home: Path, place: str) -> None:
    code, _ = run(home, f"die={place}")

    assert code == -signal.SIGKILL
    stage = Stage(home)
    active = stage.versions.pointer().active
    finished = not stage.episodes.unfinished()
    stage.close()
    assert active == ("v1.0" if int(place.rstrip("+")) > 21 or place == "21+" else "base")
    assert finished is (place == "26+")
    if not finished:
        code, result = run(home)
        assert (code, result["outcome"], result["version"]) == (0, "completed", "v1.0")
    assert len(runs(home)) == 1
    assert_whole(home)


def test_a_worker_that_outlived_the_program_is_ended_before_another_starts(home: Path) -> None:
    act(home, ["started", "prepare", "stubborn", "train", "deaf"], SOUND)
    run(home, "die=train")
    (orphan,) = workers_of(home)
    code, _ = run(home)

    assert code == 0
    assert not orphan.is_running()
    assert_whole(home)


def test_a_program_killed_again_and_again_gets_there(home: Path) -> None:
    act(home, [*SOUND[:5], "hold"], [*SOUND[:5], "hold"], [*SOUND[:5], "hold"], SOUND)
    for _ in range(3):
        run(home, "die=train")
        wait_until_workers_are_gone(home)
    code, _ = run(home)

    assert code == 0
    assert len(runs(home)) == 4
    assert_whole(home)


# --- the worker is killed ---


@pytest.mark.parametrize("phase", ["prepare", "train", "validate"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_killed_in_a_phase_is_resumed_in_the_same_call(home: Path, phase: str, number: int) -> None:
    first = SOUND[: SOUND.index(phase) + 1]
    act(home, [*first, f"signal:{int(number)}"], SOUND)
    code, _ = run(home)

    assert code == 0
    assert [one["attempt"] for one in runs(home)] == [1, 1]
    stage = Stage(home)
    assert stage.episode().attempts == 2
    stage.close()
    assert_whole(home)


def test_a_worker_killed_after_its_checkpoint_does_not_begin_again(home: Path) -> None:
    act(home, [*SOUND[:5], "signal:9"], SOUND)
    run(home)

    assert [one["resumed_from"] for one in runs(home)] == [0, 1]


def test_a_worker_that_dies_three_times_fails_the_episode(home: Path) -> None:
    act(home, ["started", "prepare", "exit:7"])
    code, result = run(home)

    assert (code, result["outcome"]) == (1, "failed")
    assert result["reasons"] == ["The worker ended with code 7 without saying why."]
    assert [one["attempt"] for one in runs(home)] == [1, 1, 3]
    assert runs(home)[2]["recipe"]["ewc_weight"] == 0.0
    stage = Stage(home)
    assert [alert.message for alert in stage.alerts.open()] == result["reasons"]
    stage.close()


def test_a_worker_that_runs_out_of_memory_is_given_less_to_do(home: Path) -> None:
    act(home, ["started", "prepare", "train", "fail:out_of_memory"], SOUND)
    code, _ = run(home)

    assert code == 0
    assert [one["attempt"] for one in runs(home)] == [1, 2]
    first, second = (one["recipe"]["batch_tokens"] for one in runs(home))
    assert second == first // 2
    assert_whole(home)


def test_a_worker_that_hangs_is_lost_and_tried_again(home: Path) -> None:
    act(home, ["started", "prepare", "stubborn", "train", "deaf"], SOUND)
    code, _ = run(home, "silence=3")

    assert code == 0
    assert len(runs(home)) == 2
    assert_whole(home)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("say-candidate", "has no adapter_model.safetensors"),
        ("foreign-report", "about something else"),
        ("torn-report", "report is not JSON"),
    ],
)
def test_a_worker_that_lies_is_not_believed(home: Path, last: str, words: str) -> None:
    act(home, [*SOUND[:-1], last])
    code, result = run(home)

    assert (code, result["outcome"]) == (1, "failed")
    assert words in result["reasons"][0]


@pytest.mark.parametrize("last", ["broken-candidate", "pickled-candidate"])
def test_a_candidate_that_must_not_be_loaded_is_rejected(home: Path, last: str) -> None:
    act(home, [*SOUND[:-1], last])
    code, result = run(home)

    assert (code, result["outcome"], result["verdict"]) == (3, "rejected", "reject")
    assert state_of(home) is EpisodeState.REJECTED


def test_a_worse_candidate_is_rejected(home: Path) -> None:
    act(home, [*SOUND[:-1], "worse-candidate"])
    code, result = run(home)

    assert (code, result["outcome"], result["reasons"]) == (3, "rejected", ["It is worse."])


def test_noise_does_not_disturb(home: Path) -> None:
    act(home, ["started", "print:hello\n", "noise:2000", "giant:2", "flood:5000", *SOUND[1:]])
    code, _ = run(home)

    assert code == 0
    assert_whole(home)


# --- the program is asked to end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("phase", ["prepare", "train", "validate"])
def test_a_program_that_is_asked_to_end_yields(home: Path, phase: str, number: signal.Signals) -> None:
    act(home, [*SOUND[: SOUND.index(phase) + 1], "hold"], SOUND)
    code, result = run(home, f"die={phase}", f"signal={int(number)}")

    assert (code, result["outcome"]) == (4, "yielded")
    assert result["reasons"] == [f"The program was asked to end ({number.name})."]
    assert workers_of(home) == []
    code, _ = run(home)
    assert code == 0
    assert_whole(home)


def test_a_worker_that_does_not_listen_does_not_keep_the_program_from_ending(home: Path) -> None:
    act(home, ["started", "prepare", "stubborn", "train", "deaf"], SOUND)
    code, result = run(home, "die=train", f"signal={int(signal.SIGTERM)}")

    assert (code, result["outcome"]) == (4, "yielded")
    assert workers_of(home) == []


def test_a_deployment_is_finished_before_the_program_ends(home: Path) -> None:
    code, result = run(home, "die=probe", f"signal={int(signal.SIGTERM)}")

    assert (code, result["outcome"]) == (0, "completed")
    assert_whole(home)


def test_ctrl_c_in_a_terminal_reaches_the_program_alone(home: Path) -> None:
    # A terminal sends SIGINT to the whole foreground group; the worker must get a Stop instead.
    act(home, [*SOUND[:5], "hold"], SOUND)
    process = subprocess.Popen(
        [sys.executable, str(PARENT), str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env=worker_environment(),
        start_new_session=True,
    )
    while not list(home.glob("episodes/*/attempt-1/checkpoint.json")):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert json.loads(output)["outcome"] == "yielded"
    assert process.returncode == 4


# --- two at once ---


def test_a_second_program_is_told_who_is_learning(home: Path) -> None:
    act(home, [*SOUND[:5], "hold"], SOUND)
    first = start(home)
    while not list(home.glob("episodes/*/attempt-1/checkpoint.json")):
        assert first.poll() is None
    code, refused = run(home)

    assert code == 4
    assert f"(process {first.pid})" in refused["held"]
    first.send_signal(signal.SIGTERM)
    output, _ = first.communicate(timeout=60)
    assert json.loads(output)["outcome"] == "yielded"

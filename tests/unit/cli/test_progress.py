"""What a person sees of a running episode."""

from __future__ import annotations

import pytest

from allie_desktop.cli.progress import EpisodeProgress, left_words, note_words, step_words
from allie_desktop.domain.events import (
    BatchHalved,
    CheckpointWritten,
    HeldOutMeasured,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def step(number, *, total=40, **values):
    return StepFinished(phase="train", step=number, total=total, **values)


def test_without_a_terminal_lines_come_now_and_then():
    lines, clock = [], Clock()
    with EpisodeProgress(terminal=False, write=lines.append, monotonic=clock) as progress:
        progress(WorkerStarted(pid=1, device="cpu", dtype="bfloat16", threads=2))
        progress(PhaseStarted(phase="train", total=40))
        for number in range(1, 41):
            clock.now += 1.0
            progress(step(number, loss=2.0 / number, tokens_per_second=350.4, seconds_left=40.0 - number))
        progress(CheckpointWritten(step=40, path="/x"))
        progress(HeldOutMeasured(step=40, loss=1.25, kl=0.031, best=True))
        progress(PhaseFinished(phase="train", seconds=40.2))

    assert lines == [
        "Learning on cpu in bfloat16, 2 threads.",
        "Training…",
        "Training: step 1/40 · loss 2.000 · 350 tokens/s · 0:39 left",
        "Training: step 11/40 · loss 0.182 · 350 tokens/s · 0:29 left",
        "Training: step 21/40 · loss 0.095 · 350 tokens/s · 0:19 left",
        "Training: step 31/40 · loss 0.065 · 350 tokens/s · 0:09 left",
        "Training: step 40/40 · loss 0.050 · 350 tokens/s · 0:00 left",
        "Training: held-out loss 1.250, drift 0.031, the best so far",
        "Training took 40 s.",
    ]


def test_with_a_terminal_there_is_a_bar_that_bears_every_event(capsys):
    with EpisodeProgress(terminal=True) as progress:
        progress(step(1, total=0))  # a resumed worker may begin in the middle
        progress(PhaseStarted(phase="prepare"))
        progress(StepFinished(phase="prepare", step=3, total=0, what="general set [1]"))
        progress(PhaseFinished(phase="prepare", seconds=3.0))
        progress(PhaseStarted(phase="train", total=2))
        progress(step(2, total=2, loss=1.0, kl=0.01))
        progress(BatchHalved(tokens_per_pass=1024))
        progress(PhaseFinished(phase="train", seconds=5.0))
        progress(PhaseFinished(phase="train", seconds=5.0))

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Memory was short: going on with 1024 tokens at a time." in printed.err
    assert "general set [1]" in printed.err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (-1, ""), (0, "0:00 left"), (65.4, "1:05 left"), (3600 * 2 + 61, "2:01:01 left")],
)
def test_the_time_left_in_words(seconds, words):
    assert left_words(seconds) == words


def test_the_numbers_of_a_step_in_words():
    assert step_words(step(1)) == ""
    assert step_words(step(1, what="batch", loss=1.0, kl=0.5)) == "batch · loss 1.000 · drift 0.500"


def test_notes():
    failed = WorkerFailed(kind="model", message="The model is damaged.", remedy="Download it again.")

    assert note_words(failed) == "This attempt failed: The model is damaged. Download it again."
    assert note_words(WorkerStopped(step=3, checkpoint="/x")) == "Stopped with a checkpoint."
    assert note_words(WorkerStopped(step=0)) == "Stopped."
    assert note_words(step(1)) == ""

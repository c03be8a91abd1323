"""What the program and its worker tell each other, line by line."""

from __future__ import annotations

import io
from contextlib import ExitStack
from random import Random
from typing import Any

import msgspec

from allie_desktop.domain import events
from allie_desktop.domain.errors import ProtocolError
from allie_desktop.ipc.protocol import decode_command, decode_event, encode
from allie_desktop.learning.control import Control
from tests.fuzz.mutations import nearly
from tests.fuzz.target import Outcome, Target, expect, expect_sentence

MESSAGES: tuple[Any, ...] = (
    events.WorkerStarted(pid=7, device="cpu", dtype="float32", threads=2, priority=("nice 19",)),
    events.PhaseStarted(phase="train", total=9),
    events.StepFinished(phase="train", step=3, total=9, what="Learning", loss=1.5, kl=0.1, seconds_left=9.5),
    events.HeldOutMeasured(step=3, loss=1.5, kl=0.1, best=True),
    events.CheckpointWritten(step=3, path="/h/step-3"),
    events.BatchHalved(tokens_per_pass=512),
    events.Paused(),
    events.Resumed(),
    events.PhaseFinished(phase="train", seconds=3.5),
    events.CandidateWritten(adapter="/h/candidate", report="/h/report.json"),
    events.WorkerStopped(step=3, checkpoint="/h/step-3"),
    events.WorkerFailed(kind="data", message="It does not fit.", remedy="Start again.", step=3),
    events.Pause(),
    events.Resume(),
    events.WriteCheckpoint(),
    events.Stop(reason="because"),
)
_PLAIN = [msgspec.json.decode(encode(message)) for message in MESSAGES]


def _line(random: Random) -> bytes:
    line = nearly(random.choice(_PLAIN), random, others=_PLAIN)
    return line.replace(b"\n", b" ") + b"\n"


class Lines(Target):
    """Single lines, read as an event and as a command."""

    name = "protocol-lines"
    group = "protocol"
    share = 12

    def make(self, random: Random) -> bytes:
        return _line(random)

    def attempt(self, data: bytes) -> Outcome:
        outcome = Outcome.REFUSED
        for decode in (decode_event, decode_command):
            try:
                message = decode(data)
            except ProtocolError as error:
                expect_sentence(error)
                continue
            expect(decode(encode(message)) == message, "a message does not come back as it was")
            outcome = Outcome.TAKEN
        return outcome


class Commands(Target):
    """Many lines on a worker's stdin: it obeys what is a command, passes over the rest, and ends with the input."""

    name = "protocol-commands"
    group = "protocol"
    share = 2

    def make(self, random: Random) -> bytes:
        return b"".join(_line(random) for _ in range(random.randint(0, 6)))

    def prepare(self, stack: ExitStack) -> None:
        import logging

        logging.disable()
        stack.callback(logging.disable, logging.NOTSET)

    def attempt(self, data: bytes) -> Outcome:
        control = Control(io.BytesIO(data), io.BytesIO())
        control._read()
        expect(control.stop_reason, "the end of its input did not stop the worker")
        return Outcome.TAKEN


TARGETS = (Lines, Commands)

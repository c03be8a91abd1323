"""What the program and its worker tell each other, line by line."""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from random import Random
from typing import Any

import msgspec

from allie_desktop.domain import events, lifecycle
from allie_desktop.domain.errors import AllieError, ProtocolError
from allie_desktop.domain.events import Job
from allie_desktop.ipc.probe_process import _answers
from allie_desktop.ipc.protocol import MAXIMUM_LINE_BYTES, decode_command, decode_event, encode
from allie_desktop.ipc.worker_client import SubprocessWorkerClient
from allie_desktop.learning.control import Control
from tests.fuzz.mutations import nearly
from tests.fuzz.target import Outcome, Target, expect, expect_sentence, quieten

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
            sent = encode(message)  # with long texts cut
            expect(encode(decode(sent)) == sent, "a message does not come back as it was sent")
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
        quieten(stack)

    def attempt(self, data: bytes) -> Outcome:
        control = Control(io.BytesIO(data), io.BytesIO())
        control._read()
        expect(control.stop_reason, "the end of its input did not stop the worker")
        return Outcome.TAKEN


class Workers(Target):
    """A process that writes such lines and ends: its run is told by its last word, or as a crash."""

    name = "protocol-workers"
    group = "protocol"
    share = 0.6

    def prepare(self, stack: ExitStack) -> None:
        quieten(stack)
        self._said = self.folder / "said"
        writing = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read())"
        self._client = SubprocessWorkerClient(
            command=lambda _: [sys.executable, "-I", "-S", "-c", writing, str(self._said)]
        )
        self._job = Job(
            episode_id="e",
            folder=str(self.folder),
            plan=str(self.folder / "plan.json"),
            plan_digest="d" * 64,
            cache=str(self.folder),
            parent_adapter=None,
        )

    def make(self, random: Random) -> bytes:
        lines = [_line(random) for _ in range(random.randint(0, 5))]
        if random.random() < 0.5:
            lines.insert(random.randrange(len(lines) + 1), encode(random.choice(MESSAGES)))
        if random.random() < 0.03:
            lines.append(random.choice((b"x", b"{", b"\x00")) * (MAXIMUM_LINE_BYTES + random.randint(0, 9)))
        return b"".join(lines)[: None if random.random() < 0.8 else -1]

    def attempt(self, data: bytes) -> Outcome:
        self._said.write_bytes(data)
        heard: list[events.WorkerEvent] = []
        result = self._client.run(self._job, heard.append)
        words = [type(event) for event in heard]
        last = {
            events.CandidateWritten: lifecycle.Outcome.COMPLETED,
            events.WorkerStopped: lifecycle.Outcome.STOPPED,
            events.WorkerFailed: lifecycle.Outcome.FAILED,
        }
        told = {last[word] for word in words if word in last} or {lifecycle.Outcome.CRASHED}
        expect(result.outcome in told, f"{result.outcome} after {words}")
        return Outcome.TAKEN if heard else Outcome.REFUSED


class Probes(Target):
    """What the process that tries a new version says in the end: answers, an error in words, or nonsense."""

    name = "protocol-probes"
    group = "protocol"
    share = 2

    _SAID: tuple[Any, ...] = (
        {"answers": ["Berlin.", "4"]},
        {"message": "The version is damaged.", "remedy": "Roll back.", "kind": "VersionCorruptError"},
        {"message": "There is no room.", "remedy": "", "kind": "OutOfMemoryError"},
    )

    def make(self, random: Random) -> bytes:
        return b"%d" % random.randrange(2) + nearly(random.choice(self._SAID), random, others=self._SAID)

    def attempt(self, data: bytes) -> Outcome:
        try:
            answers = _answers(int(data[:1]), data[1:], data[1:])
        except AllieError:
            return Outcome.REFUSED
        expect(all(isinstance(answer, str) for answer in answers), "an answer is no text")
        return Outcome.TAKEN


TARGETS = (Lines, Commands, Workers, Probes)

"""What crosses the border between the program and its worker: events in the past tense, commands in
the imperative.

The worker writes one event a line to stdout; the parent writes one command a line to the worker's
stdin. Every class here is a message type of ``ipc.protocol``; its name is its type tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PROTOCOL_VERSION = 1

Phase = Literal["prepare", "train", "validate"]
FailureKind = Literal["out_of_memory", "unstable", "model", "data", "disk_full", "time_budget", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """The first line of a worker. ``priority`` tells what lowering itself achieved."""

    pid: int
    device: str
    dtype: str
    threads: int
    priority: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """A phase began. ``total`` counts its steps, 0 when not known yet."""

    phase: Phase
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """One step of a phase. Losses in nats a token; ``seconds_left`` is of the phase."""

    phase: Phase
    step: int
    total: int
    what: str = ""
    loss: float | None = None
    replay_loss: float | None = None
    kl: float | None = None
    ewc: float | None = None
    gradient_norm: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutMeasured:
    """An evaluation in the middle of training: mean loss on held-out material, KL on the general set."""

    step: int
    loss: float
    kl: float
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointWritten:
    """A resumable checkpoint is on disk."""

    step: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHalved:
    """Memory ran out; the step is repeated with half the tokens a pass."""

    tokens_per_pass: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The worker stopped between two steps and waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The worker goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """A phase is over. ``seconds`` is wall-clock time in this phase, over all its resumptions."""

    phase: Phase
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateWritten:
    """The worker's result: a PEFT adapter folder and a report file, both complete on disk."""

    adapter: str
    report: str
    stopped_early: str = ""  # why training ended before its plan, else empty


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopped:
    """The worker obeyed a stop and left a checkpoint where it had one to leave."""

    step: int
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailed:
    """The worker cannot go on. ``message`` and ``remedy`` are sentences for the person."""

    kind: FailureKind
    message: str
    remedy: str = ""
    step: int = 0


WorkerEvent = (
    WorkerStarted
    | PhaseStarted
    | StepFinished
    | HeldOutMeasured
    | CheckpointWritten
    | BatchHalved
    | Paused
    | Resumed
    | PhaseFinished
    | CandidateWritten
    | WorkerStopped
    | WorkerFailed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stop between two steps and wait; memory stays taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCheckpoint:
    """Write a checkpoint after the running step and go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Write a checkpoint after the running step and exit."""

    reason: str = ""


WorkerCommand = Pause | Resume | WriteCheckpoint | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``job.json``: what a worker is asked to do. Paths are absolute.

    ``folder`` is the episode's own folder: checkpoints, candidate and report go there.
    ``cache`` holds what outlives episodes (the general set, dequantised bases).
    """

    episode_id: str
    folder: str
    plan: str  # path of plan.json
    plan_digest: str
    cache: str
    parent_adapter: str | None  # PEFT folder of the version that training continues from
    attempt: int = 1
    threads: int | None = None
    device: str | None = None  # None: the best there is
    low_priority: bool = True
    format: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSnapshot:
    """Where an episode stands, for progress bars: phase, share done in [0, 1], words."""

    phase: str
    share: float
    what: str
    seconds_left: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

"""The life of an episode: its states, who may follow whom, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType


class EpisodeState(str, Enum):
    """Persisted before the step that it names begins."""

    PLANNED = "planned"
    PREPARING = "preparing"
    TRAINING = "training"
    VALIDATING = "validating"
    DEPLOYING = "deploying"
    COMPLETED = "completed"  # a new version is active
    YIELDED = "yielded"  # resumable from its checkpoint
    FAILED = "failed"  # no attempt made a candidate
    REJECTED = "rejected"  # the gate did not deploy (rejected or inconclusive)
    STOPPED = "stopped"  # by the person


FINAL_STATES = frozenset(
    {EpisodeState.COMPLETED, EpisodeState.FAILED, EpisodeState.REJECTED, EpisodeState.STOPPED}
)

_RUNNING = (
    EpisodeState.PLANNED,
    EpisodeState.PREPARING,
    EpisodeState.TRAINING,
    EpisodeState.VALIDATING,
    EpisodeState.DEPLOYING,
)

_BREAKS = frozenset({EpisodeState.YIELDED, EpisodeState.FAILED, EpisodeState.STOPPED})

#: From a state to those that may follow. A new attempt goes back to preparing; an episode found in a
#: running state after a crash is resumed from the phase that its files prove.
TRANSITIONS: Mapping[EpisodeState, frozenset[EpisodeState]] = MappingProxyType(
    {
        EpisodeState.PLANNED: frozenset({EpisodeState.PREPARING}) | _BREAKS,
        EpisodeState.PREPARING: frozenset({EpisodeState.TRAINING, EpisodeState.PREPARING}) | _BREAKS,
        EpisodeState.TRAINING: frozenset({EpisodeState.VALIDATING, EpisodeState.PREPARING}) | _BREAKS,
        EpisodeState.VALIDATING: frozenset(
            {EpisodeState.DEPLOYING, EpisodeState.REJECTED, EpisodeState.PREPARING}
        )
        | _BREAKS,
        EpisodeState.DEPLOYING: frozenset(
            {EpisodeState.COMPLETED, EpisodeState.FAILED, EpisodeState.REJECTED, EpisodeState.YIELDED}
        ),
        EpisodeState.YIELDED: frozenset(_RUNNING[1:]) | {EpisodeState.STOPPED, EpisodeState.FAILED},
        **{state: frozenset() for state in FINAL_STATES},
    }
)


class Outcome(str, Enum):
    """How a worker process ended; never merged."""

    COMPLETED = "completed"
    STOPPED = "stopped"  # asked to stop or yield, and did, with a checkpoint
    FAILED = "failed"  # said why
    CRASHED = "crashed"  # ended without saying why (exit code or signal)
    LOST = "lost"  # alive but silent beyond its time, and killed


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One persisted step of an episode."""

    state: EpisodeState
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An episode as the store knows it. ``seconds`` maps phase names to wall-clock seconds."""

    id: str
    created_at: datetime
    state: EpisodeState
    trigger: str  # in words: why it was started
    plan_digest: str = ""
    conversations: int = 0
    attempts: int = 0
    parent: str | None = None
    version: str | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    finished_at: datetime | None = None
    history: tuple[StateChange, ...] = ()

"""What is wanted and what was decided: the entries of the queue, of the diary of decisions, and of the
notices for the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from allie_desktop.domain.conditions import Decision, Priority

#: So long after it was asked for, "Learn now" overrides what can be overridden; later it waits like the rest.
LEARN_NOW_LASTS = timedelta(minutes=15)


class Origin(str, Enum):
    """Who wants an episode. One request of each origin and subject stands in the queue at most."""

    BACKGROUND = "background"  # enough material came together
    LEARN_NOW = "learn now"  # the person asked
    REPAIR = "repair"  # something to unlearn, or an issue that the person reported
    UNFINISHED = "unfinished"  # an episode that yielded


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRequest:
    """A wish for an episode. ``key`` names it; ``wish`` is how urgent it is, ``standing`` the same or DEFERRED
    while something holds it, ``held`` then says what, in words."""

    key: str
    origin: Origin
    wish: Priority
    reason: str  # a part of a sentence: "you asked for it"
    asked_at: datetime
    standing: Priority = Priority.MEDIUM
    held: str = ""

    def overrides_soft_holds(self, now: datetime) -> bool:
        """Whether it is a "Learn now" that is fresh enough to be meant."""
        age = now - self.asked_at
        return self.origin is Origin.LEARN_NOW and timedelta() <= age <= LEARN_NOW_LASTS


def in_order(requests: Sequence[QueuedRequest]) -> tuple[QueuedRequest, ...]:
    """Return requests as they come up: the most urgent wish first, then the oldest."""
    return tuple(sorted(requests, key=lambda r: (r.wish.rank, r.asked_at, r.key)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A decision as history keeps it: what changed, when, and all reasons in words."""

    at: datetime
    start: bool
    running: bool  # it was about an episode that runs
    priority: str  # "" when nothing was wanted
    holds: tuple[str, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, decision: Decision, *, running: bool) -> DecisionRecord:
        """Return the record of a decision."""
        return cls(
            at=decision.at,
            start=decision.start,
            running=running,
            priority="" if decision.priority is None else decision.priority.value,
            holds=tuple(hold.name.value for hold in decision.holds),
            reasons=decision.reasons,
            notes=decision.notes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeAction:
    """A button of a notice: what it does, and what it says."""

    name: str  # "undo", "show"
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell the person. A ``key`` is told once for all times.

    ``subject`` is what the actions are about: a version's name, an episode's id.
    """

    key: str
    title: str
    body: str
    created_at: datetime
    urgent: bool = False
    subject: str = ""
    episode: str = ""
    actions: tuple[NoticeAction, ...] = field(default=())

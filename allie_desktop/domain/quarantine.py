"""Sudden shifts of a source: a day that is nothing like the days of that source before it.

Whoever wants to put words into a model's mouth writes many conversations at once, about one thing, or in one
tone. Caps bound what a flood can do (:mod:`~allie_desktop.domain.balancing`), and nearly equal conversations
count as one; this finds a flood by what it does to its source, so that a person can look at it first.

A day is compared only with days before it, so that a flood cannot be its own excuse, and a source without a
past is never held: the first import of a large archive is no shift.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median

from allie_desktop.domain.ports import Candidate

HELD, RELEASED, LEFT_OUT = "held", "released", "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftLimits:
    """What counts as sudden."""

    times_usual: float = 10.0  # the median of the days before
    fewest_in_flood: int = 50
    fewest_in_shift: int = 30  # conversations of a day whose subjects or tone are compared
    fewest_days: int = 5  # before it with conversations, or nothing is usual yet
    fewest_before: int = 50  # conversations before it, to know the usual subjects and tone
    topic_share: float = 0.6  # of the day on one subject
    topic_share_before: float = 0.1
    hostility_rise: float = 0.15  # of the mean, on the scorer's scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A day of a source that is nothing like the days before it. ``ids`` are its new conversations."""

    source: str
    day: str  # YYYY-MM-DD, UTC
    reason: str  # in words
    ids: tuple[str, ...]

    @property
    def key(self) -> str:
        """What it is called: the source and the day."""
        return f"{self.source} {self.day}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A shift that is kept out of learning until somebody looked at it. ``state`` is held, released (learnt
    from like any other) or left out (for good)."""

    key: str
    source: str
    day: str
    reason: str
    ids: tuple[str, ...]
    found_at: datetime
    state: str = HELD
    is_applied: bool = False  # every one of ``ids`` is kept out


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """All holds, the newest last: ``quarantine.json``."""

    holds: tuple[Hold, ...] = ()
    format: int = 1


def shifts(
    new: Iterable[Candidate],
    learnt: Iterable[Candidate],
    *,
    hostility: Mapping[str, float] | None = None,
    limits: ShiftLimits | None = None,
) -> tuple[Shift, ...]:
    """Return the shifts among new conversations, oldest first. Pure.

    ``learnt`` are conversations known before, for what is usual. ``hostility`` in [0, 1] by id, of those
    whose tone is known.
    """
    limits = limits or ShiftLimits()
    days: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    fresh: set[str] = set()
    for candidate in learnt:
        days[candidate.source][_day(candidate)].append(candidate)
    for candidate in new:
        days[candidate.source][_day(candidate)].append(candidate)
        fresh.add(candidate.id)
    found = []
    for source, by_day in days.items():
        before: list[list[Candidate]] = []
        for day in sorted(by_day):
            today = by_day[day]
            ids = tuple(candidate.id for candidate in today if candidate.id in fresh)
            reason = _reason(today, before, hostility or {}, limits) if ids else ""
            if reason:
                found.append(Shift(source=source, day=day, reason=reason, ids=ids))
            else:
                before.append(today)  # a flood does not become what is usual
    return tuple(sorted(found, key=lambda shift: (shift.day, shift.source)))


def large_days(candidates: Sequence[Candidate], limits: ShiftLimits | None = None) -> tuple[Candidate, ...]:
    """Return the candidates of days large enough for their tone to be looked at."""
    fewest = (limits or ShiftLimits()).fewest_in_shift
    counts = Counter((candidate.source, _day(candidate)) for candidate in candidates)
    return tuple(c for c in candidates if counts[c.source, _day(c)] >= fewest)


def _reason(
    today: Sequence[Candidate],
    before: Sequence[Sequence[Candidate]],
    hostility: Mapping[str, float],
    limits: ShiftLimits,
) -> str:
    """Return why a day is a shift, or ""."""
    count = len(today)
    if len(before) < limits.fewest_days:
        return ""
    usual = median(len(day) for day in before)
    if count >= limits.fewest_in_flood and count >= limits.times_usual * usual:
        return f"{count:,} conversations in one day, where {usual:g} are usual"
    earlier = [candidate for day in before for candidate in day]
    if count < limits.fewest_in_shift or len(earlier) < limits.fewest_before:
        return ""
    topic, times = Counter(candidate.topic for candidate in today).most_common(1)[0]
    share = times / count
    share_before = sum(candidate.topic == topic for candidate in earlier) / len(earlier)
    if share >= limits.topic_share and share_before <= limits.topic_share_before:
        return f"{share * 100:.0f} % of a day's conversations on one subject that made {share_before * 100:.0f} % before"
    tone = [hostility[candidate.id] for candidate in today if candidate.id in hostility]
    tone_before = [hostility[candidate.id] for candidate in earlier if candidate.id in hostility]
    if tone and tone_before and fmean(tone) - fmean(tone_before) >= limits.hostility_rise:
        return f"{count:,} conversations in one day that are far more hostile than usual"
    return ""


def _day(candidate: Candidate) -> str:
    return f"{candidate.created_at:%Y-%m-%d}"

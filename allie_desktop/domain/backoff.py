"""Rests: what comes and goes (heat, other users of the graphics card) holds a while longer than it lasts.

Two thresholds keep a single reason from flickering; the rest afterwards keeps it from coming back with the
work that caused it. The rest doubles with each quick return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from allie_desktop.domain.holds import Hold, HoldName, duration_words, gpu_busy_hold, heat_hold
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.readings import Readings

_REST_WORDS = {
    HoldName.CPU_HOT: "Paused: letting the processor cool down",
    HoldName.GPU_HOT: "Paused: letting the graphics card cool down",
    HoldName.GPU_BUSY: "Paused: the graphics card was in use",
}


class Stage(str, Enum):
    """Where a reason that needs a rest stands."""

    HELD = "held"
    RESTING = "resting"  # it is gone, but not for long enough
    OVER = "over"  # remembered, because a quick return doubles the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Memory of one reason. ``streak`` counts its quick returns from 1, ``until`` (UTC) ends the rest."""

    stage: Stage
    streak: int
    until: datetime


def recurring_holds(
    readings: Readings, preferences: Preferences, before: Mapping[HoldName, Backoff], utc: datetime
) -> tuple[tuple[Hold, ...], dict[HoldName, Backoff]]:
    """Return the holds of heat and of a busy graphics card with their rests, and what to remember."""

    def is_held(name: HoldName) -> bool:
        return name in before and before[name].stage is Stage.HELD

    seen = {
        HoldName.CPU_HOT: heat_hold(
            HoldName.CPU_HOT,
            readings.cpu_celsius,
            hot=preferences.cpu_hot_celsius,
            cool=preferences.cpu_cool_celsius,
            held=is_held(HoldName.CPU_HOT),
        ),
        HoldName.GPU_HOT: heat_hold(
            HoldName.GPU_HOT,
            readings.gpu_celsius,
            hot=preferences.gpu_hot_celsius,
            cool=preferences.gpu_cool_celsius,
            held=is_held(HoldName.GPU_HOT),
        ),
        HoldName.GPU_BUSY: gpu_busy_hold(readings, preferences),
    }
    holds: list[Hold] = []
    backoffs: dict[HoldName, Backoff] = {}
    for name, seen_now in seen.items():
        hold, backoff = _rested(name, seen_now, before.get(name), preferences, utc)
        if hold is not None:
            holds.append(hold)
        if backoff is not None:
            backoffs[name] = backoff
    return tuple(holds), backoffs


def _rested(
    name: HoldName, hold: Hold | None, old: Backoff | None, preferences: Preferences, utc: datetime
) -> tuple[Hold | None, Backoff | None]:
    longest = timedelta(minutes=preferences.backoff_limit_minutes)

    def rest(streak: int) -> timedelta:
        doublings = 2.0 ** min(streak - 1, 16)
        return min(timedelta(minutes=preferences.backoff_minutes * doublings), longest)

    if hold is not None:
        streak = 1 if old is None else old.streak + (old.stage is Stage.OVER)
        return hold, Backoff(stage=Stage.HELD, streak=streak, until=utc + rest(streak))
    if old is None:
        return None, None
    until = min(old.until, utc + rest(old.streak))  # a clock set back must not prolong the rest
    if old.stage is not Stage.OVER and utc < until:
        left = (until - utc).total_seconds()
        resting = Hold(
            name=name,
            hard=True,
            words=f"{_REST_WORDS[name]}, {duration_words(left)} left",
            values={"seconds": left},
            until=until,
        )
        return resting, Backoff(stage=Stage.RESTING, streak=old.streak, until=until)
    if utc - until >= longest:
        return None, None
    return None, Backoff(stage=Stage.OVER, streak=old.streak, until=until)

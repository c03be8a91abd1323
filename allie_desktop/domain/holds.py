"""Holds: the named reasons why learning is not running now, in words a person understands.

One function a concern; each looks at readings and preferences and yields the holds it sees. Which holds
count in which situation is decided in :mod:`allie_desktop.domain.conditions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone
from enum import Enum

from allie_desktop.domain.preferences import BYTES_PER_GB, Eagerness, Preferences
from allie_desktop.domain.readings import Need, Readings

#: A low battery has to gain so many points before it is no longer low.
BATTERY_MARGIN_PERCENT = 5.0

#: "Plenty to spare" is so many times what is needed.
PLENTY = 2.0

LONGEST_RETRY_HOURS = 168.0


class HoldName(str, Enum):
    """What holds, for programs; ``Hold.words`` is for people."""

    CONSENT = "consent"
    OFF = "off"
    PAUSED = "paused"
    GOING_TO_SLEEP = "going to sleep"
    EPISODE_RUNNING = "episode running"
    ON_BATTERY = "on battery"
    BATTERY_LOW = "battery low"
    POWER_UNKNOWN = "power unknown"
    POWER_SAVER = "power saver"
    CPU_HOT = "cpu hot"
    GPU_HOT = "gpu hot"
    GPU_BUSY = "gpu busy"
    GPU_MEMORY = "gpu memory"
    MEMORY = "memory"
    DISK = "disk"
    FULL_SCREEN = "full screen"
    CHAT = "chat"
    IDLE = "idle"
    REMOTE = "remote"
    WINDOW = "window"
    NO_MATERIAL = "no material"
    DATA = "data"
    QUALITY = "quality"
    RETRY = "retry"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One reason to wait. ``hard`` ones cannot be overridden by "Learn now".

    ``values`` are the numbers in ``words``, for those who translate or draw them. ``until`` is when the
    hold ends by itself, where that is known.
    """

    name: HoldName
    hard: bool
    words: str
    values: Mapping[str, float] = field(default_factory=dict)
    until: datetime | None = None


def choice_holds(preferences: Preferences, now: datetime) -> Iterator[Hold]:
    """Yield what the person decided: no consent, off, paused."""
    if not preferences.consent_given:
        yield Hold(name=HoldName.CONSENT, hard=True, words="Waiting: for your consent to learn")
    if preferences.eagerness is Eagerness.OFF:
        yield Hold(name=HoldName.OFF, hard=False, words="Off: learning only when you ask for it")
    if preferences.paused:
        yield Hold(name=HoldName.PAUSED, hard=False, words="Paused: until you resume")
    elif preferences.pause_until is not None and now.astimezone(timezone.utc) < preferences.pause_until:
        until = preferences.pause_until.astimezone(now.tzinfo)
        words = f"Paused: until {_moment_words(until, now)}"
        yield Hold(name=HoldName.PAUSED, hard=False, words=words, until=until)


def material_holds(readings: Readings, preferences: Preferences) -> Iterator[Hold]:
    """Yield what is missing of the material: its amount, its quality."""
    count, needed = readings.new_conversations, preferences.min_new_conversations
    if count is None:
        yield Hold(name=HoldName.NO_MATERIAL, hard=True, words="Paused: the conversations cannot be read")
        return
    if count == 0:
        words = "Waiting: there is nothing new to learn from"
        yield Hold(name=HoldName.NO_MATERIAL, hard=True, words=words)
    if count < needed:
        yield Hold(
            name=HoldName.DATA,
            hard=False,
            words=f"Waiting: {count:,} of {needed:,} conversations",
            values={"conversations": count, "needed": needed},
        )
    quality, floor = readings.mean_quality, preferences.min_quality
    if count == 0 or (quality is not None and (quality > floor or floor == 0)):
        return
    if quality is None:
        words = "Waiting: the quality of the new conversations is not known"
        yield Hold(name=HoldName.QUALITY, hard=False, words=words)
    else:
        yield Hold(
            name=HoldName.QUALITY,
            hard=False,
            words=f"Waiting: average quality {_floored(quality)}, more than {floor:.2f} needed",
            values={"quality": quality, "needed": floor},
        )


def timing_holds(readings: Readings, preferences: Preferences, need: Need, utc: datetime) -> Iterator[Hold]:
    """Yield the time term, unless the computer has plenty to spare, and the wait after a failure."""
    retry_at = _retry_at(readings, preferences)
    # What ended "in the future" ended before the clock was set back; it must not hold for ever.
    failed_at = readings.last_failure_at
    if retry_at is not None and failed_at is not None and failed_at <= utc < retry_at:
        left = (retry_at - utc).total_seconds()
        words = f"Waiting: the last episode brought nothing, next try in {duration_words(left)}"
        yield Hold(name=HoldName.RETRY, hard=False, words=words, values={"seconds": left}, until=retry_at)
    if readings.last_episode_at is None or readings.last_episode_at > utc:
        return
    next_at = readings.last_episode_at + timedelta(hours=preferences.hours_between_episodes)
    if utc < next_at:
        lacks = scarcities(readings, preferences, need)
        if lacks:
            left = (next_at - utc).total_seconds()
            words = (
                f"Waiting: {duration_words(left)} until the next episode, "
                f"sooner with more to spare ({', '.join(lacks)})"
            )
            yield Hold(name=HoldName.TIME, hard=False, words=words, values={"seconds": left}, until=next_at)


def window_holds(preferences: Preferences, now: datetime) -> Iterator[Hold]:
    """Yield the time of day. Wall-clock times are compared, so a change of the clocks moves nothing."""
    start, end = preferences.window_start, preferences.window_end
    if not within(now.time(), start, end):
        opening = datetime.combine(now.date(), start, tzinfo=now.tzinfo)
        if opening <= now:
            opening += timedelta(days=1)
        words = f"Waiting: learning time is {start:%H:%M}–{end:%H:%M}"
        yield Hold(name=HoldName.WINDOW, hard=False, words=words, until=opening)


def presence_holds(readings: Readings, preferences: Preferences) -> Iterator[Hold]:
    """Yield the signs of a person at the computer. Not to know is not to be alone."""
    if readings.full_screen and preferences.hold_on_full_screen:
        words = "Paused: a full-screen program is running"
        yield Hold(name=HoldName.FULL_SCREEN, hard=True, words=words)
    if readings.chat_busy:
        yield Hold(name=HoldName.CHAT, hard=True, words="Paused: a chat is being answered")
    idle, needed = readings.idle_seconds, preferences.idle_minutes * 60
    if idle is None:
        words = "Waiting: cannot see whether someone is at the computer"
        yield Hold(name=HoldName.IDLE, hard=False, words=words)
    elif idle < needed:
        words = f"Waiting: until nobody is at the computer for {duration_words(needed)}"
        values = {"idle_seconds": idle, "needed_seconds": needed}
        yield Hold(name=HoldName.IDLE, hard=False, words=words, values=values)
    if readings.remote_session and preferences.hold_on_remote_session:
        yield Hold(name=HoldName.REMOTE, hard=False, words="Waiting: someone is connected remotely")


def power_holds(
    readings: Readings, preferences: Preferences, held_before: frozenset[HoldName]
) -> Iterator[Hold]:
    """Yield battery, power saving and a coming suspend."""
    if readings.going_to_sleep:
        yield Hold(name=HoldName.GOING_TO_SLEEP, hard=True, words="Paused: the computer is going to sleep")
    if readings.power_saver and preferences.hold_on_power_saver:
        yield Hold(name=HoldName.POWER_SAVER, hard=True, words="Paused: power saving is on")
    if readings.has_battery is False:
        return
    percent = readings.battery_percent
    values = {} if percent is None else {"battery_percent": percent}
    if readings.on_battery and not preferences.learn_on_battery:
        level = "" if percent is None else f" ({percent:.0f} %)"
        words = f"Paused: on battery{level}"
        yield Hold(name=HoldName.ON_BATTERY, hard=True, words=words, values=values)
    elif readings.on_battery is None and not (preferences.learn_on_battery and percent is not None):
        words = "Waiting: cannot see whether the computer runs on battery"
        yield Hold(name=HoldName.POWER_UNKNOWN, hard=False, words=words)
    elif readings.on_battery and percent is None:
        words = "Paused: on battery, and its charge cannot be read"
        yield Hold(name=HoldName.BATTERY_LOW, hard=True, words=words)
    needed = preferences.min_battery_percent
    if needed > 0 and HoldName.BATTERY_LOW in held_before:
        needed = min(100.0, needed + BATTERY_MARGIN_PERCENT)
    if percent is not None and percent < needed:
        words = f"Paused: battery at {math.floor(percent)} %, {needed:.0f} % needed"
        yield Hold(name=HoldName.BATTERY_LOW, hard=True, words=words, values=values)


def capacity_holds(readings: Readings, preferences: Preferences, need: Need) -> Iterator[Hold]:
    """Yield memory, disk space and GPU memory that would not suffice. Unknown amounts do not hold."""
    for name, free, needed, what in _capacities(readings, preferences, need):
        if free is not None and free < needed:
            yield Hold(
                name=name,
                hard=True,
                words=f"Paused: {_gigabytes(free)} of {what} free, {_gigabytes(needed)} needed",
                values={"free_bytes": free, "needed_bytes": needed},
            )


def heat_hold(name: HoldName, celsius: float | None, *, hot: float, cool: float, held: bool) -> Hold | None:
    """Return the hold of one thermometer: entered at ``hot``, left below ``cool``."""
    if celsius is None or celsius < (cool if held else hot):
        return None
    what = "processor" if name is HoldName.CPU_HOT else "graphics card"
    words = f"Paused: {what} at {celsius:.0f} °C, goes on below {cool:.0f} °C"
    return Hold(name=name, hard=True, words=words, values={"celsius": celsius})


def gpu_busy_hold(readings: Readings, preferences: Preferences) -> Hold | None:
    """Return the hold of a graphics card that another program uses."""
    busy = readings.gpu_busy_percent
    if busy is None or busy <= preferences.gpu_busy_percent:
        return None
    words = f"Paused: another program uses the graphics card ({busy:.0f} %)"
    return Hold(name=HoldName.GPU_BUSY, hard=True, words=words, values={"percent": busy})


def scarcities(readings: Readings, preferences: Preferences, need: Need) -> tuple[str, ...]:
    """Return what keeps the computer from having plenty to spare, in words; Unknown is not plenty."""
    lacks = []
    for name, free, needed, what in _capacities(readings, preferences, need):
        # A graphics card is bought to be filled; twice the need would never be free on most.
        factor = 1.0 if name is HoldName.GPU_MEMORY else PLENTY
        if free is None:
            lacks.append(f"free {what} unknown")
        elif free < factor * needed:
            lacks.append(f"{_gigabytes(free)} of {what} free")
    busy = readings.cpu_busy_percent
    if busy is None:
        lacks.append("processor use unknown")
    elif busy > preferences.cpu_busy_percent:
        lacks.append(f"processor {busy:.0f} % busy")
    if need.gpu_memory_bytes and readings.gpu_busy_percent is None:
        lacks.append("graphics card use unknown")
    return tuple(lacks)


def within(moment: time, start: time, end: time) -> bool:
    """Whether a time of day lies in [start, end), over midnight too; equal ends mean all day."""
    if start == end:
        return True
    if start < end:
        return start <= moment < end
    return moment >= start or moment < end


def duration_words(seconds: float) -> str:
    """Return a time still to come, rounded up: "40 s", "4 min", "5 h", "4 days"."""
    return _duration_words(seconds, math.ceil)


def elapsed_words(seconds: float) -> str:
    """Return a time gone by, rounded down, in the words of :func:`duration_words`."""
    return _duration_words(seconds, math.floor)


def _duration_words(seconds: float, whole: Callable[[float], int]) -> str:
    if seconds < 60:
        return f"{whole(seconds)} s"
    if whole(seconds / 60) < 120:
        return f"{whole(seconds / 60)} min"
    hours = whole(seconds / 3600)
    return f"{hours} h" if hours <= 72 else f"{whole(seconds / 86400)} days"


def _retry_at(readings: Readings, preferences: Preferences) -> datetime | None:
    if readings.failures_in_row < 1 or readings.last_failure_at is None:
        return None
    doublings = min(readings.failures_in_row - 1, 16)
    hours = min(preferences.retry_hours * 2.0**doublings, LONGEST_RETRY_HOURS)
    return readings.last_failure_at + timedelta(hours=hours)


def _capacities(
    readings: Readings, preferences: Preferences, need: Need
) -> Iterator[tuple[HoldName, int | None, float, str]]:
    """Yield name, free bytes, needed bytes and words of everything that can run out."""
    memory = need.memory_bytes + preferences.min_free_memory_gb * BYTES_PER_GB
    yield HoldName.MEMORY, readings.free_memory_bytes, memory, "memory"
    disk = need.disk_bytes + preferences.min_free_disk_gb * BYTES_PER_GB
    yield HoldName.DISK, readings.free_disk_bytes, disk, "disk space"
    if need.gpu_memory_bytes:
        free = readings.free_gpu_memory_bytes
        yield HoldName.GPU_MEMORY, free, need.gpu_memory_bytes, "graphics memory"


def _gigabytes(count: float) -> str:
    return f"{count / BYTES_PER_GB:.1f} GB"


def _floored(share: float) -> str:
    """Return two decimals, never rounded up: 0.799 must not read as the 0.80 that it missed."""
    return f"{math.floor(share * 100 + 1e-9) / 100:.2f}"


def _moment_words(moment: datetime, now: datetime) -> str:
    days = (moment.date() - now.date()).days
    if days == 0:
        return f"{moment:%H:%M}"
    return f"tomorrow {moment:%H:%M}" if days == 1 else f"{moment:%Y-%m-%d %H:%M}"

"""What the decision to learn is made from: readings of sensors and of the store.

``None`` always means Unknown: a sensor that cannot see says so, and nothing here guesses for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """One look at the computer and at the material. Times are aware; shares go from 0 to 100 percent.

    "By others" leaves out Allie's own processes. ``last_episode_at`` and ``last_failure_at`` are the
    exception to the rule of the module: None means that there was none.
    """

    # the material, from the store
    new_conversations: int | None = None  # eligible and not learnt yet
    mean_quality: float | None = None  # their average score in [0, 1]
    last_episode_at: datetime | None = None  # when the last episode ended, however it ended
    failures_in_row: int = 0  # episodes since the last deployed one that brought nothing
    last_failure_at: datetime | None = None
    episode_running: bool = False

    # the person
    idle_seconds: float | None = None  # since the last key press or mouse movement
    remote_session: bool | None = None
    full_screen: bool | None = None
    chat_busy: bool | None = None  # an answer is being written right now

    # power and heat
    has_battery: bool | None = None
    on_battery: bool | None = None
    battery_percent: float | None = None
    power_saver: bool | None = None
    going_to_sleep: bool = False  # the system announced a suspend or shutdown
    cpu_celsius: float | None = None
    gpu_celsius: float | None = None

    # resources
    cpu_busy_percent: float | None = None  # by others
    gpu_busy_percent: float | None = None  # by others
    free_memory_bytes: int | None = None
    free_gpu_memory_bytes: int | None = None
    free_disk_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What an episode will take, estimated before it starts. No GPU memory: it runs on the processor."""

    memory_bytes: int = 0
    gpu_memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorState:
    """Whether one sensor can see, for the settings page and ``allie doctor``.

    ``source`` is what it reads from, empty without one. ``words`` say what it sees, or why it sees nothing;
    ``remedy`` is what the person could do about that, empty where nothing can be done or needs to be.
    """

    name: str
    source: str
    works: bool
    words: str
    remedy: str = ""


#: What a working sensor can say; anything else is a broken sensor, and so Unknown.
_PLAUSIBLE = {
    "new_conversations": (0, math.inf),
    "mean_quality": (0, 1),
    "idle_seconds": (0, math.inf),
    "battery_percent": (0, 110),  # worn batteries report a little over 100
    "cpu_celsius": (-40, 150),
    "gpu_celsius": (-40, 150),
    "cpu_busy_percent": (0, 110),
    "gpu_busy_percent": (0, 110),
    "free_memory_bytes": (0, math.inf),
    "free_gpu_memory_bytes": (0, math.inf),
    "free_disk_bytes": (0, math.inf),
}


def plausible(readings: Readings) -> Readings:
    """Return the readings with values that cannot be true (NaN, below zero, 6553 °C) made Unknown.

    Times become UTC: sums and differences of local times ignore changes of the clocks.
    """
    changes: dict[str, Any] = {}
    for reading in fields(readings):
        value = getattr(readings, reading.name)
        low, high = _PLAUSIBLE.get(reading.name, (-math.inf, math.inf))
        # Written so that NaN, which compares false with everything, counts as broken.
        if isinstance(value, (int, float)) and not (low <= value <= high):
            changes[reading.name] = None
        elif isinstance(value, datetime):
            changes[reading.name] = value.astimezone(timezone.utc)
    return replace(readings, **changes)

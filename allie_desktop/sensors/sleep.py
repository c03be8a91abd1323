"""That the computer slept, or that its clock was set, found by comparing clocks.

Signals of a suspend can be lost, and not every system sends them; a clock that ran while another stood
still cannot be missed.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Clocks are read one after the other, and a busy computer may pause in between.
_NOISE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What happened between two looks. ``clock_set_seconds`` is negative when the clock was set back."""

    slept_seconds: float = 0.0
    clock_set_seconds: float = 0.0

    @property
    def slept(self) -> bool:
        """Whether the computer was suspended."""
        return self.slept_seconds > 0

    @property
    def clock_was_set(self) -> bool:
        """Whether the wall clock jumped."""
        return bool(self.clock_set_seconds)


class ClockGap:
    """Compares the clock that stops during sleep with the one that goes on. For one thread."""

    def __init__(
        self,
        *,
        awake: Callable[[], float] | None = None,
        always: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        default_awake, default_always = _clocks()
        self._awake = awake or default_awake
        self._always = always or default_always
        self._wall = wall
        self._before = self._look()

    def look(self) -> Gap:
        """Return what happened since the last look, or since this object was made."""
        awake, always, wall = self._look()
        before, self._before = self._before, (awake, always, wall)
        slept = (always - before[1]) - (awake - before[0])
        jumped = (wall - before[2]) - (always - before[1])
        return Gap(
            slept_seconds=slept if slept > _NOISE_SECONDS else 0.0,
            clock_set_seconds=jumped if abs(jumped) > _NOISE_SECONDS else 0.0,
        )

    def _look(self) -> tuple[float, float, float]:
        return self._awake(), self._always(), self._wall()


def _clocks() -> tuple[Callable[[], float], Callable[[], float]]:
    """Return a clock that stops during sleep and one that does not, as far as this system has both."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if sys.platform == "linux" and boottime is not None:
        return time.monotonic, lambda: time.clock_gettime(boottime)
    if sys.platform == "darwin":
        # Apple's CLOCK_MONOTONIC goes on during sleep; its CLOCK_UPTIME_RAW, Python's monotonic(), does not.
        return time.monotonic, lambda: time.clock_gettime(time.CLOCK_MONOTONIC)
    loader = getattr(ctypes, "WinDLL", None)
    if loader is not None:
        return windows_clocks(loader("kernel32"))
    return time.monotonic, time.monotonic


def windows_clocks(kernel32: Any) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return the two clocks of Windows. Tested on faked calls only."""
    kernel32.GetTickCount64.restype = ctypes.c_uint64

    def awake() -> float:
        hundred_ns = ctypes.c_uint64(0)
        kernel32.QueryUnbiasedInterruptTime(ctypes.byref(hundred_ns))
        return hundred_ns.value / 1e7

    return awake, lambda: int(kernel32.GetTickCount64()) / 1000

"""How busy others keep the computer, and what is free of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Times are counted in hundredths of a second; a shorter look would see mostly rounding.
_LEAST_SECONDS_APART = 0.5

#: What waits for a disk leaves the processor free. Guests are counted in user and nice already, and
#: Windows's interrupts in system.
_NOT_BUSY = frozenset({"idle", "iowait", "guest", "guest_nice", "interrupt", "dpc"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    at: float
    wall: float
    busy_seconds: float
    own: Mapping[int, tuple[float, float]]  # pid → when it started, and the processor time it has taken


class CpuLoad:
    """:class:`sensors.sensor.Source` of ``cpu_busy_percent``: of all processors, without our processes.

    Compares two looks, so the first one says nothing; nor does one in which a process of ours ended, whose
    last share nobody can tell from others' any more.
    """

    name = "the system's processor times"

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._before: _Look | None = None
        self._last: float | None = None

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        before = self._before
        if before is None or self._clock() - before.at >= _LEAST_SECONDS_APART:
            now = self._look(own_pids | {os.getpid()})
            self._before = now
            self._last = None if before is None else _busy_percent(before, now)
        return {} if self._last is None else {"cpu_busy_percent": self._last}

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

    def _look(self, pids: frozenset[int]) -> _Look:
        import psutil

        own: dict[int, tuple[float, float]] = {}
        for pid in pids:
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                own[pid] = (process.create_time(), times.user + times.system)
            except psutil.Error:
                continue
        total = psutil.cpu_times()
        busy = sum(value for name, value in total._asdict().items() if name not in _NOT_BUSY)
        return _Look(at=self._clock(), wall=self._wall_clock(), busy_seconds=busy, own=own)


def _busy_percent(before: _Look, now: _Look) -> float | None:
    elapsed = now.at - before.at
    if elapsed <= 0 or before.own.keys() - now.own.keys():
        return None
    ours = 0.0
    for pid, (started, taken) in now.own.items():
        then = before.own.get(pid)
        if then is not None and then[0] == started:
            ours += max(0.0, taken - then[1])
        elif started >= before.wall - 1.0:  # started in between, so all of its time is
            ours += taken
    busy = max(0.0, now.busy_seconds - before.busy_seconds - ours)
    return min(100.0, 100.0 * busy / elapsed / (os.cpu_count() or 1))


class FreeSpace:
    """:class:`sensors.sensor.Source` of ``free_memory_bytes`` and ``free_disk_bytes`` below ``folder``."""

    name = "the system"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        import psutil

        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found: dict[str, Any] = {"free_memory_bytes": int(psutil.virtual_memory().available)}
        try:
            found["free_disk_bytes"] = shutil.disk_usage(folder).free
        except OSError:
            return found  # a disk that is not there leaves the memory known
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

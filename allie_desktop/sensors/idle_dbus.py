"""How long nobody touched keyboard or mouse, from who tells it over D-Bus: Mutter, KDE, logind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from allie_desktop.sensors.bus import Bus
from allie_desktop.sensors.logind import Logind
from allie_desktop.sensors.sensor import UnavailableError

#: The two units of GetSessionIdleTime are told apart by how fast it counts; slower than a second a second
#: is neither (somebody touched something), and between the two lies a factor of a thousand.
_LEAST_SECONDS_APART = 0.5


class MutterIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` under GNOME, X11 or Wayland."""

    name = "GNOME's idle monitor"
    watch_seconds = 0.05
    grain_seconds = 0.05

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus or Bus("SESSION")

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input; raise when GNOME does not tell."""
        service = "org.gnome.Mutter.IdleMonitor"
        (milliseconds,) = self._bus.call(
            service, "/org/gnome/Mutter/IdleMonitor/Core", service, "GetIdletime"
        )
        return float(milliseconds) / 1000

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._bus.close()


class ScreenSaverIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` under KDE and others with GetSessionIdleTime.

    Some answer in seconds and some in milliseconds; taking one for the other would find a person idle who
    is not. So nothing is said until two answers have shown how fast it counts.
    """

    name = "the desktop's screen saver"
    watch_seconds = 0.05
    grain_seconds = 1.1

    def __init__(self, bus: Bus | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus or Bus("SESSION")
        self._clock = clock
        self._before: tuple[float, float] | None = None
        self._seconds_per_count: float | None = None

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        seconds = self.idle_seconds()
        return {} if seconds is None else {"idle_seconds": seconds}

    def idle_seconds(self) -> float | None:
        """Return the time since the last input, None while its unit is not known; raise without answer."""
        service = "org.freedesktop.ScreenSaver"
        (answer,) = self._bus.call(service, "/org/freedesktop/ScreenSaver", service, "GetSessionIdleTime")
        now, count = self._clock(), float(answer)
        if self._before is not None and self._seconds_per_count is None:
            then, counted = self._before
            apart = now - then
            if apart < _LEAST_SECONDS_APART:
                return None
            rate = (count - counted) / apart
            if 500 <= rate <= 1500:
                self._seconds_per_count = 0.001
            elif 0 < rate <= 2 and apart >= 4:
                self._seconds_per_count = 1.0
        self._before = (now, count)
        return None if self._seconds_per_count is None else count * self._seconds_per_count

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._bus.close()
        self._before = self._seconds_per_count = None


class LogindIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` from the hint that a desktop may give logind.

    Many never do, so "not idle" counts only from a session that has once been called idle.
    """

    name = "logind's idle hint"
    watch_seconds = 1.0
    grain_seconds = 0.1

    def __init__(self, logind: Logind | None = None, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._logind = logind or Logind()
        self._wall_clock = wall_clock
        self._hint_is_given = False

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        seconds = self.idle_seconds()
        return {} if seconds is None else {"idle_seconds": seconds}

    def idle_seconds(self) -> float | None:
        """Return the time since the session was called idle, 0 when it is not, None when nobody says."""
        session = self._logind.own_session()
        if session is None:
            raise UnavailableError("logind does not know this session")
        if session.idle_since is not None:
            self._hint_is_given = True
            return max(0.0, self._wall_clock() - session.idle_since)
        return 0.0 if self._hint_is_given else None

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._logind.close()

"""How long nobody touched keyboard or mouse in this Windows session, from ``GetLastInputInfo``.

Written from the documentation of user32 and kernel32, and tested on faked calls only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError

#: Both tick counts are the low 32 bits of a counter that starts again every 49.7 days.
_WRAP = 2**32
#: An input between the two calls makes its tick "later" than now by a moment, never by this much.
_AHEAD_MS = 60_000


class LastInputInfo(ctypes.Structure):
    """``LASTINPUTINFO``."""

    _fields_ = (("cbSize", ctypes.c_uint32), ("dwTime", ctypes.c_uint32))


class WindowsIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` on Windows; a few microseconds a reading."""

    name = "GetLastInputInfo"
    watch_seconds = 0.02
    grain_seconds = 0.05

    def __init__(self, *, user32: Any = None, kernel32: Any = None) -> None:
        self._user32 = user32
        self._kernel32 = kernel32

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input; raise when Windows refuses."""
        user32, kernel32 = self._libraries()
        info = LastInputInfo(cbSize=ctypes.sizeof(LastInputInfo))
        if not user32.GetLastInputInfo(ctypes.byref(info)):
            raise UnavailableError("Windows does not say when the last input was")
        idle_ms = (int(kernel32.GetTickCount()) - info.dwTime) % _WRAP
        return 0.0 if idle_ms > _WRAP - _AHEAD_MS else idle_ms / 1000

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

    def _libraries(self) -> tuple[Any, Any]:
        if self._user32 is None or self._kernel32 is None:
            loader = getattr(ctypes, "WinDLL", None)
            if loader is None:
                raise UnavailableError("this is not Windows", lasting=True)
            self._user32 = loader("user32")
            self._kernel32 = loader("kernel32")
            self._kernel32.GetTickCount.restype = ctypes.c_uint32
        return self._user32, self._kernel32

"""How long nobody touched keyboard or mouse on macOS, from CoreGraphics, or else from the HID system.

Written from Apple's documentation, and tested on faked calls only. Neither way needs a permission.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError

_CORE_GRAPHICS = "/System/Library/Frameworks/ApplicationServices.framework/ApplicationServices"
#: kCGEventSourceStateCombinedSessionState and kCGAnyInputEventType.
_COMBINED_SESSION = 0
_ANY_INPUT = 0xFFFFFFFF

_IOREG = ("/usr/sbin/ioreg", "-c", "IOHIDSystem", "-d", "4", "-r", "-k", "HIDIdleTime")
_IOREG_SECONDS = 2.0


class MacIdle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` on macOS, from CoreGraphics."""

    name = "CGEventSource"
    watch_seconds = 0.05
    grain_seconds = 0.05

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._load = load
        self._function: Any = None

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input; raise when CoreGraphics does not say."""
        if self._function is None:
            try:
                function = self._load(_CORE_GRAPHICS).CGEventSourceSecondsSinceLastEventType
            except (OSError, AttributeError) as error:
                raise UnavailableError("CoreGraphics cannot be loaded", lasting=True) from error
            function.argtypes = (ctypes.c_int32, ctypes.c_uint32)
            function.restype = ctypes.c_double
            self._function = function
        seconds = float(self._function(_COMBINED_SESSION, _ANY_INPUT))
        if not seconds >= 0:
            raise UnavailableError("CoreGraphics does not say when the last input was")
        return seconds

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""


class MacHidIdle:
    """The same from ``ioreg``: a process each time, so only where CoreGraphics does not tell."""

    name = "ioreg"
    watch_seconds = 2.0
    grain_seconds = 0.1

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> None:
        self._run = run

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input; raise when ioreg does not say."""
        try:
            done = self._run(_IOREG, capture_output=True, text=True, timeout=_IOREG_SECONDS, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise UnavailableError("ioreg does not run") from error
        found = re.search(r'"HIDIdleTime"\s*=\s*(\d+)', done.stdout)
        if found is None:
            raise UnavailableError("ioreg does not say when the last input was")
        return int(found.group(1)) / 1e9

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

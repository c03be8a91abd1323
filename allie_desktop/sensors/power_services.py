"""Battery, mains and power saving from who knows them besides the Linux kernel."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from allie_desktop.sensors.bus import Bus
from allie_desktop.sensors.sensor import UnavailableError

_UPOWER = "org.freedesktop.UPower"
_BATTERY = 2

#: The newer name first; services that have it keep the older one for a while.
_PROFILES = (
    ("org.freedesktop.UPower.PowerProfiles", "/org/freedesktop/UPower/PowerProfiles"),
    ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles"),
)


class UPower:
    """:class:`sensors.sensor.Source` of ``has_battery``, ``on_battery`` and ``battery_percent``."""

    name = "UPower"

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus or Bus("SYSTEM")

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        on_battery = self._bus.property(_UPOWER, "/org/freedesktop/UPower", _UPOWER, "OnBattery")
        found: dict[str, Any] = {"on_battery": bool(on_battery)}
        try:
            whole = self._bus.properties(
                _UPOWER, "/org/freedesktop/UPower/devices/DisplayDevice", f"{_UPOWER}.Device"
            )
        except UnavailableError:
            return found
        present = bool(whole.get("IsPresent")) and whole.get("Type") == _BATTERY
        found["has_battery"] = present or bool(on_battery)
        if present and "Percentage" in whole:
            found["battery_percent"] = float(whole["Percentage"])
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._bus.close()


class PowerProfiles:
    """:class:`sensors.sensor.Source` of ``power_saver`` on Linux desktops."""

    name = "the power profile"

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus or Bus("SYSTEM")

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        for service, path in _PROFILES:
            try:
                profile = self._bus.property(service, path, service, "ActiveProfile")
            except UnavailableError:
                continue
            return {"power_saver": profile == "power-saver"}
        raise UnavailableError("no service tells the power profile")

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._bus.close()


class SystemPowerStatus(ctypes.Structure):
    """``SYSTEM_POWER_STATUS``."""

    _fields_ = (
        ("ACLineStatus", ctypes.c_uint8),
        ("BatteryFlag", ctypes.c_uint8),
        ("BatteryLifePercent", ctypes.c_uint8),
        ("SystemStatusFlag", ctypes.c_uint8),
        ("BatteryLifeTime", ctypes.c_uint32),
        ("BatteryFullLifeTime", ctypes.c_uint32),
    )


class WindowsPower:
    """:class:`sensors.sensor.Source` of power and ``power_saver`` on Windows. Tested on faked calls only."""

    name = "GetSystemPowerStatus"

    _UNKNOWN = 255
    _NO_BATTERY = 128

    def __init__(self, *, kernel32: Any = None) -> None:
        self._kernel32 = kernel32

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        if self._kernel32 is None:
            loader = getattr(ctypes, "WinDLL", None)
            if loader is None:
                raise UnavailableError("this is not Windows", lasting=True)
            self._kernel32 = loader("kernel32")
        status = SystemPowerStatus()
        if not self._kernel32.GetSystemPowerStatus(ctypes.byref(status)):
            raise UnavailableError("Windows does not tell the power status")
        found: dict[str, Any] = {"power_saver": status.SystemStatusFlag == 1}
        if status.BatteryFlag != self._UNKNOWN:
            has_battery = not status.BatteryFlag & self._NO_BATTERY
            found["has_battery"] = has_battery
            if not has_battery:
                return found | {"on_battery": False, "battery_percent": None}
        if status.ACLineStatus in {0, 1}:
            found["on_battery"] = status.ACLineStatus == 0
        if status.BatteryLifePercent <= 100:
            found["battery_percent"] = float(status.BatteryLifePercent)
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""


class PsutilBattery:
    """:class:`sensors.sensor.Source` of power from psutil: macOS, and the BSDs."""

    name = "psutil"

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        import psutil

        if not hasattr(psutil, "sensors_battery"):
            raise UnavailableError("psutil reads no battery here", lasting=True)
        battery = psutil.sensors_battery()
        if battery is None:
            return {"has_battery": False, "on_battery": False, "battery_percent": None}
        found: dict[str, Any] = {"has_battery": True, "battery_percent": float(battery.percent)}
        if battery.power_plugged is not None:
            found["on_battery"] = not battery.power_plugged
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""


class MacLowPower:
    """:class:`sensors.sensor.Source` of ``power_saver`` on macOS, from NSProcessInfo. Tested on faked calls
    only."""

    name = "NSProcessInfo"

    _FOUNDATION = "/System/Library/Frameworks/Foundation.framework/Foundation"
    _OBJC = "/usr/lib/libobjc.A.dylib"

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._load = load
        self._objc: Any = None

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        objc = self._runtime()
        kind = objc.objc_getClass(b"NSProcessInfo")
        objc.objc_msgSend.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        objc.objc_msgSend.restype = ctypes.c_void_p
        process = objc.objc_msgSend(kind, objc.sel_registerName(b"processInfo"))
        objc.objc_msgSend.restype = ctypes.c_bool
        return {
            "power_saver": bool(objc.objc_msgSend(process, objc.sel_registerName(b"isLowPowerModeEnabled")))
        }

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

    def _runtime(self) -> Any:
        if self._objc is None:
            try:
                self._load(self._FOUNDATION)
                objc = self._load(self._OBJC)
            except OSError as error:
                raise UnavailableError("this is not macOS", lasting=True) from error
            for name in ("objc_getClass", "sel_registerName"):
                getattr(objc, name).argtypes = (ctypes.c_char_p,)
                getattr(objc, name).restype = ctypes.c_void_p
            self._objc = objc
        return self._objc

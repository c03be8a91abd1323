"""Battery and mains as the Linux kernel lists them in ``/sys/class/power_supply``.

An own reader, since psutil takes a wireless mouse's battery for the computer's, sees only the first
battery, and says nothing of a battery that a charge limit keeps from charging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allie_desktop.sensors.kernel_files import kernel_number, kernel_text
from allie_desktop.sensors.sensor import UnavailableError

_FOLDER = Path("/sys/class/power_supply")
_PLUGGED = ("Charging", "Full", "Not charging")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Battery:
    status: str
    percent: float | None
    now: float | None
    full: float | None
    unit: str  # energy, charge, or empty


class PowerSupplies:
    """:class:`sensors.sensor.Source` of ``has_battery``, ``on_battery`` and ``battery_percent`` on Linux."""

    name = "the kernel's power supplies"

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        try:
            supplies = sorted(self._folder.iterdir())
        except OSError as error:
            raise UnavailableError("the kernel lists no power supplies", lasting=True) from error
        batteries: list[_Battery] = []
        mains: list[bool] = []
        other_lines: list[bool] = []
        for supply in supplies:
            if (
                kernel_text(supply / "scope") == "Device"
            ):  # the battery of a mouse, or a port that feeds a device
                continue
            kind = kernel_text(supply / "type")
            online = kernel_text(supply / "online")
            if kind == "Battery":
                if kernel_text(supply / "present") != "0":
                    batteries.append(_battery(supply))
            elif online and (kind == "Mains" or kind.startswith(("USB", "Wireless"))):
                (mains if kind == "Mains" else other_lines).append(online != "0")
        if not batteries:
            return {"has_battery": False, "on_battery": False, "battery_percent": None}
        on_battery = _on_battery({b.status for b in batteries}, mains, other_lines)
        percent = _percent(batteries)
        known: dict[str, Any] = {"has_battery": True}
        if on_battery is not None:
            known["on_battery"] = on_battery
        if percent is not None:
            known["battery_percent"] = percent
        return known

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""


def _on_battery(statuses: set[str], mains: list[bool], other_lines: list[bool]) -> bool | None:
    if any(mains) or any(other_lines):
        return False
    if "Discharging" in statuses:
        return True
    if "Charging" in statuses:  # through a line that the kernel does not list
        return False
    if mains:
        return True
    return False if statuses & set(_PLUGGED) else None


def _battery(supply: Path) -> _Battery:
    now = full = None
    unit = ""
    for candidate in ("energy", "charge"):
        now, full = kernel_number(supply / f"{candidate}_now"), kernel_number(supply / f"{candidate}_full")
        if now is not None and full:
            unit = candidate
            break
    percent = kernel_number(supply / "capacity")
    if percent is None and unit and now is not None and full:
        percent = 100 * now / full
    return _Battery(status=kernel_text(supply / "status"), percent=percent, now=now, full=full, unit=unit)


def _percent(batteries: list[_Battery]) -> float | None:
    if len(batteries) == 1:
        return batteries[0].percent
    units = {battery.unit for battery in batteries}
    if len(units) == 1 and "" not in units:
        full = sum(battery.full or 0.0 for battery in batteries)
        return 100 * sum(battery.now or 0.0 for battery in batteries) / full
    known = [battery.percent for battery in batteries if battery.percent is not None]
    return sum(known) / len(known) if len(known) == len(batteries) else None

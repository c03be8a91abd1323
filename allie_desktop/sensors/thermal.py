"""How hot the processor is, from psutil."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError

#: Drivers of processors, the most exact first; the last is the board's idea of it.
_DRIVERS = (
    "coretemp",
    "k10temp",
    "zenpower",
    "k8temp",
    "cpu_thermal",
    "cpu-thermal",
    "soc_thermal",
    "acpitz",
)


class CpuTemperature:
    """:class:`sensors.sensor.Source` of ``cpu_celsius``: the hottest sensor of the processor."""

    name = "psutil's temperatures"

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        import psutil

        if not hasattr(psutil, "sensors_temperatures"):
            raise UnavailableError("this system tells no temperatures", lasting=True)
        all_of_them = psutil.sensors_temperatures()
        for driver in _DRIVERS:
            values = [entry.current for entry in all_of_them.get(driver, ()) if entry.current is not None]
            if values:
                return {"cpu_celsius": float(max(values))}
        raise UnavailableError("the processor has no thermometer that the system knows", lasting=True)

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

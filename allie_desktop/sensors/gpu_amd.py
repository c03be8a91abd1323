"""AMD graphics cards, from the files of the Linux driver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from allie_desktop.sensors.kernel_files import kernel_number, kernel_text
from allie_desktop.sensors.sensor import UnavailableError

_FOLDER = Path("/sys/class/drm")
_AMD = "0x1002"


class AmdCards:
    """:class:`sensors.sensor.Source` of the graphics fields, for cards of the amdgpu driver.

    The driver does not say who uses a card, so ``gpu_busy_percent`` is the use by everybody; Allie itself
    computes on other cards only. A sleeping card is not woken.
    """

    name = "amdgpu"

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        busy: list[float] = []
        heats: list[float] = []
        free: list[int] = []
        cards = list(self._devices())
        if not cards:
            raise UnavailableError("there is no AMD card", lasting=True)
        for device in cards:
            if kernel_text(device / "power" / "runtime_status") == "suspended":
                busy.append(0.0)
                continue
            percent = kernel_number(device / "gpu_busy_percent")
            if percent is not None:
                busy.append(percent)
            total = kernel_number(device / "mem_info_vram_total")
            used = kernel_number(device / "mem_info_vram_used")
            if total is not None and used is not None:
                free.append(int(max(0.0, total - used)))
            heats += list(_heats(device))
        found: dict[str, Any] = {"gpu_celsius": max(heats, default=None)}
        found["free_gpu_memory_bytes"] = max(free, default=None)
        if busy:
            found["gpu_busy_percent"] = max(busy)
        return found

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

    def _devices(self) -> Iterator[Path]:
        try:
            entries = sorted(self._folder.iterdir())
        except OSError:
            return
        for entry in entries:
            device = entry / "device"
            if re.fullmatch(r"card\d+", entry.name) and kernel_text(device / "vendor") == _AMD:
                yield device


def _heats(device: Path) -> Iterator[float]:
    """Yield the temperatures of a card: its edge, its hottest spot, its memory."""
    try:
        entries = [entry for monitor in (device / "hwmon").iterdir() for entry in monitor.iterdir()]
    except OSError:
        return
    for entry in entries:
        if re.fullmatch(r"temp\d+_input", entry.name):
            thousandths = kernel_number(entry)
            if thousandths is not None:
                yield thousandths / 1000

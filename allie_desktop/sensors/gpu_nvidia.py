"""NVIDIA graphics cards, from the driver's management library (NVML)."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from allie_desktop.sensors.kernel_files import kernel_text
from allie_desktop.sensors.sensor import UnavailableError

_PCI = Path("/sys/bus/pci/devices")
_NVIDIA = "0x10de"
_DISPLAY_CLASS = "0x03"


def _has_driver() -> bool:
    """Whether the driver's library is there; asked first, since the module that speaks to it takes megabytes."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


class NvidiaCards:
    """:class:`sensors.sensor.Source` of ``gpu_busy_percent``, ``gpu_celsius`` and ``free_gpu_memory_bytes``.

    Of several cards: the busiest, the hottest, and the one with the most free memory. A card that the
    system has put to sleep is not woken: nobody uses it, and that is all that is said of it.
    """

    name = "NVML"

    def __init__(self, *, pci: Path = _PCI) -> None:
        self._pci = pci
        self._open = False
        self._seen: dict[int, int] = {}

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        if self._all_asleep():
            self.close()
            return {"gpu_busy_percent": 0.0, "gpu_celsius": None, "free_gpu_memory_bytes": None}
        if not self._open and not _has_driver():
            raise UnavailableError("there is no NVIDIA driver", lasting=True)
        try:
            import pynvml
        except ImportError as error:
            raise UnavailableError("nvidia-ml-py is not installed", lasting=True) from error
        try:
            return self._read(pynvml, own_pids)
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            raise UnavailableError("there is no NVIDIA driver", lasting=True) from error
        except pynvml.NVMLError as error:
            raise UnavailableError(f"the NVIDIA card does not answer ({error})") from error

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        if self._open:
            import pynvml

            self._open = False
            self._seen.clear()
            pynvml.nvmlShutdown()

    def _read(self, nvml: Any, own_pids: frozenset[int]) -> Mapping[str, Any]:
        if not self._open:
            nvml.nvmlInit()
            self._open = True
        cards = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
        if not cards:
            raise UnavailableError("there is no NVIDIA card", lasting=True)
        found: dict[str, Any] = {}
        busy = [self._busy_by_others(nvml, number, card, own_pids) for number, card in enumerate(cards)]
        known_busy = [percent for percent in busy if percent is not None]
        if known_busy:
            found["gpu_busy_percent"] = max(known_busy)
        heats = [_celsius(nvml, card) for card in cards]
        known_heats = [celsius for celsius in heats if celsius is not None]
        if known_heats:
            found["gpu_celsius"] = max(known_heats)
        memories = [_supported(nvml, nvml.nvmlDeviceGetMemoryInfo, card) for card in cards]
        known_memories = [int(memory.free) for memory in memories if memory is not None]
        if known_memories:
            found["free_gpu_memory_bytes"] = max(known_memories)
        return found

    def _busy_by_others(self, nvml: Any, number: int, card: Any, own_pids: frozenset[int]) -> float | None:
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(card, self._seen.get(number, 0))
        except nvml.NVMLError_NotFound:  # nobody has used it since
            return 0.0
        except _unsupported(nvml):
            return _whole_use(nvml, card, own_pids)
        shares: dict[int, list[int]] = {}
        for sample in samples:
            self._seen[number] = max(self._seen.get(number, 0), int(sample.timeStamp))
            if sample.pid and sample.pid not in own_pids:
                shares.setdefault(sample.pid, []).append(int(sample.smUtil))
        return min(100.0, sum(sum(values) / len(values) for values in shares.values()))

    def _all_asleep(self) -> bool:
        """Whether there are NVIDIA cards, and the system has suspended every one."""
        try:
            devices = list(self._pci.iterdir())
        except OSError:
            return False
        states = [
            kernel_text(device / "power" / "runtime_status")
            for device in devices
            if kernel_text(device / "vendor") == _NVIDIA
            and kernel_text(device / "class").startswith(_DISPLAY_CLASS)
        ]
        return bool(states) and all(state == "suspended" for state in states)


def _whole_use(nvml: Any, card: Any, own_pids: frozenset[int]) -> float | None:
    """Return the use by everybody, None when some of it is our own."""
    for list_processes in (
        nvml.nvmlDeviceGetComputeRunningProcesses,
        nvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        processes = _supported(nvml, list_processes, card)
        if processes is None or own_pids & {process.pid for process in processes}:
            return None
    rates = _supported(nvml, nvml.nvmlDeviceGetUtilizationRates, card)
    return None if rates is None else float(rates.gpu)


def _celsius(nvml: Any, card: Any) -> float | None:
    try:
        value = nvml.nvmlDeviceGetTemperatureV(card, nvml.NVML_TEMPERATURE_GPU)
    except (AttributeError, nvml.NVMLError_FunctionNotFound):  # an older library, an older driver
        value = _supported(nvml, nvml.nvmlDeviceGetTemperature, card, nvml.NVML_TEMPERATURE_GPU)
    except _unsupported(nvml):
        return None
    return None if value is None else float(value)


def _supported(nvml: Any, question: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except _unsupported(nvml):
        return None


def _unsupported(nvml: Any) -> tuple[type[Exception], ...]:
    return (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NoPermission)

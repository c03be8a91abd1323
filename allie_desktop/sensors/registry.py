"""Every sensor of this computer, read together: what cannot be seen is Unknown, and nothing waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.readings import Readings, SensorState, plausible
from allie_desktop.sensors.idle_sources import Platform, idle_sources
from allie_desktop.sensors.lane import Lane
from allie_desktop.sensors.presence_session import LOCKED, OTHER_PERSON
from allie_desktop.sensors.sensor import Sensor, Source
from allie_desktop.sensors.words import (
    graphics_words,
    heat_words,
    idle_words,
    load_words,
    power_words,
    saver_words,
    screen_words,
    session_words,
    space_words,
)

if TYPE_CHECKING:
    from typing_extensions import Self

#: For the answer to one reading. Sensors that take longer are used when they answer, in the next reading.
PATIENCE_SECONDS = 0.05


class Sensors:
    """All sensors. Use it from one thread at a time, and close it: the threads of sensors end then.

    Nothing is opened, and no thread started, before the first reading.
    """

    def __init__(
        self,
        *,
        folder: Path,
        platform: Platform | None = None,
        sensors: Sequence[Sensor] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder``: on the disk whose free space counts."""
        platform = platform or Platform()
        self._clock = clock
        chosen = all_sensors(platform, folder) if sensors is None else sensors
        self._lanes = tuple(Lane(sensor, clock=clock) for sensor in chosen)
        self._were_read = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, own_pids: Iterable[int] = (), *, patience_seconds: float = PATIENCE_SECONDS) -> Readings:
        """Return what the sensors see now; the fields about material keep their defaults. Raises nothing.

        ``own_pids`` are Allie's processes beside this one, which count as nobody. Takes at most
        ``patience_seconds`` and a few milliseconds. The first reading after a start may lack what takes
        longer to open, and always lacks the processor's load, which needs two looks.
        """
        pids = frozenset(own_pids) | {os.getpid()}
        deadline = self._clock() + patience_seconds
        for lane in self._lanes:
            lane.ask(pids)
        values: dict[str, Any] = {}
        for lane in self._lanes:
            values |= lane.answer(deadline)
        self._were_read = True
        return plausible(_readings(values))

    def describe(self) -> tuple[SensorState, ...]:
        """Return for each sensor whether it could see in the last reading; reads when none was made."""
        if not self._were_read:
            self.read(patience_seconds=1.0)
        return tuple(lane.state() for lane in self._lanes)

    def close(self) -> None:
        """End all threads and connections."""
        for lane in self._lanes:
            lane.close()


def _readings(values: Mapping[str, Any]) -> Readings:
    fields = dict(values)
    if fields.pop(OTHER_PERSON, False):
        # Somebody whom our session's counter cannot see sits at the computer.
        fields["idle_seconds"] = None
    if fields.pop(LOCKED, False) and fields.get("full_screen"):
        fields["full_screen"] = False  # nobody looks at what is behind the lock
    return Readings(**fields)


def all_sensors(platform: Platform, folder: Path) -> tuple[Sensor, ...]:
    """Return the sensors that a platform can have."""
    from allie_desktop.sensors.gpu_nvidia import NvidiaCards
    from allie_desktop.sensors.load import CpuLoad, FreeSpace
    from allie_desktop.sensors.thermal import CpuTemperature

    power, saver, session = _desktop_sources(platform)
    graphics: list[Source] = [NvidiaCards()]
    if platform.system == "linux":
        from allie_desktop.sensors.gpu_amd import AmdCards

        graphics.append(AmdCards())
    return (
        Sensor(
            name="idle",
            fields=("idle_seconds",),
            sources=idle_sources(platform),
            describe=idle_words,
            unknown="no graphical session, so nobody can be seen",
            remedy="Start Allie inside your desktop session; `allie learn` works without.",
            keep_seconds=0.0,
        ),
        Sensor(
            name="full screen",
            fields=("full_screen",),
            sources=_screen_sources(platform),
            describe=screen_words,
            unknown="this desktop does not say whether a program has the whole screen",
            keep_seconds=10.0,
        ),
        Sensor(
            name="session",
            fields=("remote_session", OTHER_PERSON, LOCKED),
            sources=session,
            describe=session_words,
            unknown="nobody tells who is logged in",
        ),
        Sensor(
            name="power",
            fields=("has_battery", "on_battery", "battery_percent"),
            sources=power,
            describe=power_words,
            unknown="nobody tells whether the computer runs on battery",
        ),
        Sensor(
            name="power saving",
            fields=("power_saver",),
            sources=saver,
            describe=saver_words,
            unknown="nobody tells whether power saving is on",
        ),
        Sensor(
            name="heat",
            fields=("cpu_celsius",),
            sources=(CpuTemperature(),),
            describe=heat_words,
            unknown="the processor's temperature cannot be read",
        ),
        Sensor(
            name="graphics",
            fields=("gpu_busy_percent", "gpu_celsius", "free_gpu_memory_bytes"),
            sources=graphics,
            describe=graphics_words,
            unknown="no graphics card tells its load",
        ),
        Sensor(
            name="load",
            fields=("cpu_busy_percent",),
            sources=(CpuLoad(),),
            describe=load_words,
            unknown="the processor's load needs a second look",
        ),
        Sensor(
            name="space",
            fields=("free_memory_bytes", "free_disk_bytes"),
            sources=(FreeSpace(folder),),
            describe=space_words,
            unknown="free memory and disk space cannot be read",
            keep_seconds=30.0,
        ),
    )


def _desktop_sources(platform: Platform) -> tuple[Sequence[Source], Sequence[Source], Sequence[Source]]:
    """Return the sources of power, of power saving, and of who is logged in."""
    from allie_desktop.sensors.power_services import MacLowPower, PsutilBattery, WindowsPower
    from allie_desktop.sensors.presence_session import LoginRecords, WindowsRemoteSession

    if platform.system == "win32":
        return (WindowsPower(),), (WindowsPower(),), (WindowsRemoteSession(),)
    if platform.system == "darwin":
        return (PsutilBattery(),), (MacLowPower(),), (LoginRecords(platform.environment),)
    if platform.system != "linux":
        return (PsutilBattery(),), (), (LoginRecords(platform.environment),)
    from allie_desktop.sensors.logind import Logind
    from allie_desktop.sensors.power_services import PowerProfiles, UPower
    from allie_desktop.sensors.power_supplies import PowerSupplies
    from allie_desktop.sensors.presence_session import LogindPresence

    session = (
        LogindPresence(Logind(environment=platform.environment)),
        LoginRecords(platform.environment),
    )
    return (PowerSupplies(), UPower()), (PowerProfiles(),), session


def _screen_sources(platform: Platform) -> Sequence[Source]:
    from allie_desktop.sensors.presence_screen import WindowsFullScreen, X11FullScreen

    if platform.system == "win32":
        return (WindowsFullScreen(),)
    return (X11FullScreen(),) if platform.session == "x11" else ()

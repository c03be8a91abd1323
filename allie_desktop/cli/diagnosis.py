"""What ``allie doctor`` finds. Every look is taken alone, so that one broken thing hides no other."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from allie_desktop import __version__
from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.readings import SensorState

if TYPE_CHECKING:
    from allie_desktop.bootstrap import Program

#: A doctor waits longer for an answer than the tray does.
_SENSOR_SECONDS = 2.0


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it should be, and what to do about it."""

    message: str
    remedy: str


@dataclass(slots=True, kw_only=True)
class Diagnosis:
    """What was found; None where it could not be found out. Sizes in bytes."""

    allie: str = __version__
    python: str = field(default_factory=platform.python_version)
    system: str = field(
        default_factory=lambda: f"{platform.system()} {platform.release()} {platform.machine()}"
    )
    home: str = ""
    cores: int = field(default_factory=_cores)
    free_memory_bytes: int | None = None
    free_disk_bytes: int | None = None
    torch: str | None = None
    device: str | None = None
    dtype: str | None = None
    model: str | None = None
    model_path: str | None = None
    conversations: int | None = None
    store_bytes: int | None = None
    active: str | None = None
    versions: int | None = None
    sensors: tuple[SensorState, ...] = ()
    tray: str = "nobody looked"
    problems: list[Problem] = field(default_factory=list)


def diagnose(program: Program) -> Diagnosis:
    """Look at everything; raises nothing."""
    found = Diagnosis(home=str(program.paths.data))
    looks: tuple[Callable[[Program, Diagnosis], None], ...] = (
        _home,
        _machine,
        _torch,
        _model,
        _room,
        _store,
        _settings,
        _versions,
        _alerts,
        _sensors,
        _tray,
    )
    for look in looks:
        try:
            look(program, found)
        except AllieError as error:
            problem = Problem(message=error.message, remedy=error.remedy)
            if problem not in found.problems:  # without its store or its model much else fails alike
                found.problems.append(problem)
        except Exception as error:  # noqa: BLE001 - a doctor that faints helps nobody
            what = look.__name__.strip("_")
            found.problems.append(
                Problem(
                    message=f"Looking at the {what} failed with {type(error).__name__}: {error}",
                    remedy="Please report this.",
                )
            )
    return found


def lines(found: Diagnosis) -> Iterator[str]:
    """Yield what was found as lines for a person."""
    yield f"Allie {found.allie}, Python {found.python}, {found.system}"
    yield f"Files: {found.home}"
    yield (
        f"Machine: {found.cores} cores, {_size(found.free_memory_bytes)} memory and "
        f"{_size(found.free_disk_bytes)} disk space free"
    )
    yield f"Learning: torch {found.torch or 'missing'}" + (
        f" on {found.device} in {found.dtype}" if found.device else ""
    )
    yield f"Base model: {found.model or 'none'}" + (f" ({found.model_path})" if found.model_path else "")
    if found.conversations is not None:
        yield f"Store: {found.conversations:,} conversations, {_size(found.store_bytes)}"
    if found.active is not None:
        yield f"Versions: {found.versions}, active: {found.active}"
    for sensor in found.sensors:
        yield f"Sensor {sensor.name}: {_seen(sensor)}"
    yield f"Tray: {found.tray}"
    if not found.problems:
        yield "No problems found."
    for problem in found.problems:
        yield f"Problem: {problem.message}"
        if problem.remedy:
            yield f"  → {problem.remedy}"


def _home(program: Program, _found: Diagnosis) -> None:
    program.paths.prepare()


def _machine(program: Program, found: Diagnosis) -> None:
    free = program.free_resources()
    found.free_memory_bytes, found.free_disk_bytes = free.memory_bytes, free.disk_bytes
    program.sensors.read()  # the processor's load is told by the second look only, the last of all


def _torch(program: Program, found: Diagnosis) -> None:
    try:
        found.torch = version("torch")
    except PackageNotFoundError:
        found.problems.append(
            Problem(message="torch is not installed.", remedy="Run packaging/bootstrap.py again.")
        )
        return
    found.device, found.dtype = program.device_and_dtype()


def _model(program: Program, found: Diagnosis) -> None:
    base = program.base()
    found.model, found.model_path = base.name, base.path


def _room(program: Program, found: Diagnosis) -> None:
    need, free = program.need(), program.free_resources()
    for what, needed, there in (
        ("memory", need.memory_bytes, free.memory_bytes),
        ("disk space", need.disk_bytes, free.disk_bytes),
    ):
        if needed is not None and there is not None and there < needed:
            message = f"Learning needs about {_size(needed)} of {what}, and {_size(there)} are free."
            remedy = "Close other programs." if what == "memory" else "Free some disk space."
            found.problems.append(Problem(message=message, remedy=remedy))


def _store(program: Program, found: Diagnosis) -> None:
    program.database.check(full=True)
    found.conversations = program.conversations.counts().conversations
    found.store_bytes = program.database.size_bytes()


def _settings(program: Program, found: Diagnosis) -> None:
    for warning in program.settings.warnings:
        found.problems.append(Problem(message=warning, remedy="Set it again with `allie settings set`."))


def _versions(program: Program, found: Diagnosis) -> None:
    lineage = program.versions.all()
    found.versions = len(lineage)
    found.active = program.versions.pointer().active
    for entry in lineage:
        try:
            program.versions.verify(entry.metadata.version)
        except AllieError as error:
            found.problems.append(Problem(message=error.message, remedy=error.remedy))


def _alerts(program: Program, found: Diagnosis) -> None:
    for alert in program.alerts.open():
        if alert.severity != "info":
            found.problems.append(Problem(message=alert.message, remedy=alert.remedy))


def _sensors(program: Program, found: Diagnosis) -> None:
    program.sensors.read(patience_seconds=_SENSOR_SECONDS)
    found.sensors = program.sensors.describe()


def _seen(sensor: SensorState) -> str:
    if sensor.works:
        return f"{sensor.words} ({sensor.source})"
    return f"unknown: {sensor.words}" + (f"\n  → {sensor.remedy}" if sensor.remedy else "")


def _size(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _tray(_program: Program, found: Diagnosis) -> None:
    """A missing screen is no problem: everything but the windows works without."""
    from allie_desktop.ui.screen_check import NoScreenError, require_screen

    environment = dict(os.environ)
    try:
        require_screen(environment)
    except NoScreenError as error:
        found.tray = f"no window can be shown. {error}"
        return
    platform_name = environment.get("QT_QPA_PLATFORM", "")
    if platform_name == "xcb":
        found.tray = (
            "there is one."
            if _has_x_tray(environment["DISPLAY"])
            else "none now; the window stays, and the icon appears when a tray starts."
        )
    else:
        found.tray = "there is a screen; the icon appears where the desktop has a tray."


def _has_x_tray(display_name: str) -> bool:
    """Whether somebody holds the selection of the system tray of an X screen (freedesktop.org's System Tray
    Protocol). Trays that speak D-Bus alone are not seen."""
    from Xlib import X, display

    connection = display.Display(display_name)
    try:
        selection = connection.intern_atom(f"_NET_SYSTEM_TRAY_S{connection.get_default_screen()}")
        return bool(connection.get_selection_owner(selection) != X.NONE)
    finally:
        connection.close()

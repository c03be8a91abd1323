"""Which ways there are to learn how long nobody touched keyboard or mouse, the best first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from allie_desktop.sensors.sensor import Source


class IdleSource(Source, Protocol):
    """A source of ``idle_seconds``. ``watch_seconds``: how often it is asked while somebody's return must
    be seen soon, from what a question costs. ``grain_seconds``: how much its answer may be too small."""

    watch_seconds: float
    grain_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the program runs on: ``sys.platform`` and the environment."""

    system: str = sys.platform
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def session(self) -> str:
        """The kind of display, "x11" or "wayland"; empty: no graphical session, or none of this kind.

        A Wayland session has an X display too; what it says of input there is wrong.
        """
        if self.system != "linux":
            return ""
        named = self.environment.get("XDG_SESSION_TYPE", "").lower()
        if named in {"x11", "wayland"}:
            return named
        if self.environment.get("WAYLAND_DISPLAY"):
            return "wayland"
        return "x11" if self.environment.get("DISPLAY") else ""


def idle_sources(
    platform: Platform, *, on_return: Callable[[], None] | None = None
) -> tuple[IdleSource, ...]:
    """Return the sources for a platform, none opened yet. ``on_return`` is called, from a thread of its
    own, by a source that is told of input."""
    if platform.system == "win32":
        from allie_desktop.sensors.idle_windows import WindowsIdle

        return (WindowsIdle(),)
    if platform.system == "darwin":
        from allie_desktop.sensors.idle_macos import MacHidIdle, MacIdle

        return (MacIdle(), MacHidIdle())
    if platform.system != "linux" or not platform.session:
        return ()
    from allie_desktop.sensors.idle_dbus import LogindIdle, MutterIdle, ScreenSaverIdle

    asked: tuple[Any, ...] = (MutterIdle(), ScreenSaverIdle(), LogindIdle())
    if platform.session == "wayland":
        from allie_desktop.sensors.idle_wayland import WaylandIdle

        return (WaylandIdle(on_return=on_return), *asked)
    from allie_desktop.sensors.idle_x11 import X11Idle

    return (X11Idle(), *asked)

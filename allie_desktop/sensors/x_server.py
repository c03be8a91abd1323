"""A connection to the X server that opens when it is first used and again after the server was gone."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError

_KNOCK_SECONDS = 1.0


class XServer:
    """Use one from one thread at a time; python-xlib's connections are not to be shared."""

    def __init__(self, display_name: str | None = None) -> None:
        self._name = display_name
        self._display: Any = None

    def display(self) -> Any:
        """Return the open ``Xlib.display.Display``; raise :class:`UnavailableError`."""
        if self._display is None:
            name = self._name or os.environ.get("DISPLAY")
            if not name:
                raise UnavailableError("there is no X display", lasting=True)
            if not _listens(name):
                raise UnavailableError(f"no X server is running at {name}")
            try:
                from Xlib.display import Display
            except ImportError as error:
                raise UnavailableError(
                    "python-xlib is not installed", "Run packaging/bootstrap.py again.", lasting=True
                ) from error
            try:
                self._display = Display(self._name)
            except Exception as error:
                raise UnavailableError(f"the X server cannot be reached ({type(error).__name__})") from error
        return self._display

    def close(self) -> None:
        """Close the connection; the next :meth:`display` opens another."""
        display, self._display = self._display, None
        if display is not None:
            close_display(display)


def _listens(name: str) -> bool:
    """Whether a server on this computer takes connections; True for displays elsewhere.

    Asked first, since python-xlib goes on to try the network, and leaves its sockets open when that fails.
    """
    local = re.fullmatch(r"(?:unix)?:(\d+)(?:\.\d+)?", name)
    if local is None:
        return True
    path = f"/tmp/.X11-unix/X{local.group(1)}"  # noqa: S108 - where X servers have always listened
    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX) as knocking, contextlib.suppress(OSError):
            knocking.settimeout(_KNOCK_SECONDS)
            knocking.connect(address)
            return True
    return False


def close_display(display: Any) -> None:
    """Close an ``Xlib.display.Display``, also one whose server is gone, which leaves its socket open."""
    with contextlib.suppress(Exception):
        display.close()
    with contextlib.suppress(Exception):
        display.display.socket.close()

"""A connection to the X server that opens when it is first used and again after the server was gone."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError


class XServer:
    """Use one from one thread at a time; python-xlib's connections are not to be shared."""

    def __init__(self, display_name: str | None = None) -> None:
        self._name = display_name
        self._display: Any = None

    def display(self) -> Any:
        """Return the open ``Xlib.display.Display``; raise :class:`UnavailableError`."""
        if self._display is None:
            if not (self._name or os.environ.get("DISPLAY")):
                raise UnavailableError("there is no X display", lasting=True)
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
            with contextlib.suppress(Exception):  # the server may be gone, which is why it is closed
                display.close()
            with contextlib.suppress(Exception):
                display.display.socket.close()

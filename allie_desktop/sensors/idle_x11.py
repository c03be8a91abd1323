"""How long nobody touched keyboard or mouse, from the X server's MIT-SCREEN-SAVER extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError
from allie_desktop.sensors.x_server import XServer


class X11Idle:
    """:class:`sensors.sensor.Source` of ``idle_seconds`` under X11; 0.06 ms a reading."""

    name = "the X server's idle counter"
    watch_seconds = 0.03
    grain_seconds = 0.005

    def __init__(self, display_name: str | None = None) -> None:
        self._server = XServer(display_name)

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        return {"idle_seconds": self.idle_seconds()}

    def idle_seconds(self) -> float:
        """Return the time since the last input; raise when the X server cannot be asked."""
        display = self._server.display()
        if display.has_extension("XWAYLAND"):  # sees only what is typed into X programs
            raise UnavailableError("behind this X server is Wayland", lasting=True)
        if not display.has_extension("MIT-SCREEN-SAVER"):
            raise UnavailableError("the X server has no idle counter", lasting=True)
        return float(display.screen().root.screensaver_query_info().idle) / 1000

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._server.close()

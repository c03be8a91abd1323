"""Whether a program has the whole screen: a game, a film, a presentation."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.sensor import UnavailableError
from allie_desktop.sensors.x_server import XServer

#: SHQueryUserNotificationState: a full-screen program, a Direct3D game, a presentation.
_BUSY_STATES = {2: True, 3: True, 4: True}
_NOT_PRESENT = 1  # locked, or another person's session in front


class X11FullScreen:
    """:class:`sensors.sensor.Source` of ``full_screen`` from the window manager's properties; 1 ms."""

    name = "the X window manager"

    def __init__(self, display_name: str | None = None) -> None:
        self._server = XServer(display_name)

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        from Xlib.error import BadWindow

        display = self._server.display()
        atom, root = display.intern_atom, display.screen().root
        active = root.get_full_property(atom("_NET_ACTIVE_WINDOW"), 0)
        if active is None and root.get_full_property(atom("_NET_SUPPORTING_WM_CHECK"), 0) is None:
            raise UnavailableError("no window manager says which window is in front")
        # Some say nothing at all before the first window.
        number = int(active.value[0]) if active is not None and len(active.value) else 0
        if number == 0:
            return {"full_screen": False}
        window = display.create_resource_object("window", number)
        try:
            pid = window.get_full_property(atom("_NET_WM_PID"), 0)
            if pid is not None and len(pid.value) and int(pid.value[0]) in own_pids:
                return {"full_screen": False}
            state = window.get_full_property(atom("_NET_WM_STATE"), 0)
        except BadWindow:  # closed between the two questions
            return {"full_screen": False}
        return {"full_screen": state is not None and atom("_NET_WM_STATE_FULLSCREEN") in state.value}

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""
        self._server.close()


class WindowsFullScreen:
    """:class:`sensors.sensor.Source` of ``full_screen`` on Windows. Tested on faked calls only."""

    name = "SHQueryUserNotificationState"

    def __init__(self, *, shell32: Any = None) -> None:
        self._shell32 = shell32

    def read(self, own_pids: frozenset[int] = frozenset()) -> Mapping[str, Any]:
        """See :meth:`sensors.sensor.Source.read`."""
        del own_pids
        if self._shell32 is None:
            loader = getattr(ctypes, "WinDLL", None)
            if loader is None:
                raise UnavailableError("this is not Windows", lasting=True)
            self._shell32 = loader("shell32")
        state = ctypes.c_int(0)
        if self._shell32.SHQueryUserNotificationState(ctypes.byref(state)) != 0 or state.value == 0:
            raise UnavailableError("Windows does not say whether a program is full-screen")
        if state.value == _NOT_PRESENT:
            return {}
        return {"full_screen": _BUSY_STATES.get(state.value, False)}

    def close(self) -> None:
        """See :meth:`sensors.sensor.Source.close`."""

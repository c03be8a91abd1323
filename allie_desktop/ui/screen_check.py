"""Whether there is a screen that Qt can use. Qt itself would end the process without a word when not."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from allie_desktop.domain.errors import AllieError

_NO_SCREEN = AllieError(
    "There is no screen here: Allie found neither an X server nor a Wayland compositor.",
    "Start it inside your desktop session. Without one, `allie learn`, `allie serve` and `allie demo` work.",
)

#: Libraries that Qt's plugins load by themselves, with the Debian package of each.
_X_LIBRARIES = (
    ("libxcb-cursor.so.0", "libxcb-cursor0"),
    ("libxcb-icccm.so.4", "libxcb-icccm4"),
    ("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    ("libxcb-shape.so.0", "libxcb-shape0"),
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
)
_COMMON_LIBRARIES = (
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libGL.so.1", "libgl1"),
    ("libEGL.so.1", "libegl1"),
    ("libfontconfig.so.1", "libfontconfig1"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libdbus-1.so.3", "libdbus-1-3"),
)

_HEADLESS = ("offscreen", "minimal", "vnc", "linuxfb", "eglfs")

Load = Callable[[str], Any]


class NoScreenError(AllieError):
    """No window can be shown."""


def require_screen(environment: MutableMapping[str, str], *, load: Load = ctypes.CDLL) -> None:
    """Raise :class:`NoScreenError` where Qt would abort. May set ``QT_QPA_PLATFORM`` in ``environment`` to the
    one platform that answers."""
    if not sys.platform.startswith("linux"):
        return
    chosen = environment.get("QT_QPA_PLATFORM", "").split(":")[0].split(";")[0]
    if chosen in _HEADLESS:
        _require(_COMMON_LIBRARIES, load)
        return
    wayland = chosen in ("", "wayland") and wayland_answers(environment, load=load)
    if chosen == "wayland" or (wayland and environment.get("XDG_SESSION_TYPE") == "wayland"):
        if not wayland:
            raise NoScreenError("The Wayland compositor does not answer.", _NO_SCREEN.remedy)
        _require(_COMMON_LIBRARIES, load)
        return
    if x_answers(environment, load=load):
        _require((*_COMMON_LIBRARIES, *_X_LIBRARIES), load)
        environment["QT_QPA_PLATFORM"] = "xcb"
        return
    if wayland:
        _require(_COMMON_LIBRARIES, load)
        environment["QT_QPA_PLATFORM"] = "wayland"
        return
    if environment.get("DISPLAY"):
        raise NoScreenError(
            f"The X server at {environment['DISPLAY']} does not answer.",
            "Look whether DISPLAY is right and whether you may use that screen (xauth).",
        )
    raise NoScreenError(_NO_SCREEN.message, _NO_SCREEN.remedy)


def x_answers(environment: Mapping[str, str], *, load: Load = ctypes.CDLL) -> bool:
    """Whether an X server takes a connection."""
    if not environment.get("DISPLAY"):
        return False
    try:
        xcb = load("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(environment["DISPLAY"].encode(), None)
    try:
        return not xcb.xcb_connection_has_error(connection)
    finally:
        xcb.xcb_disconnect(connection)


def wayland_answers(environment: Mapping[str, str], *, load: Load = ctypes.CDLL) -> bool:
    """Whether a Wayland compositor takes a connection."""
    if not environment.get("WAYLAND_DISPLAY"):
        return False
    try:
        wayland = load("libwayland-client.so.0")
    except OSError:
        return False
    wayland.wl_display_connect.restype = ctypes.c_void_p
    wayland.wl_display_connect.argtypes = [ctypes.c_char_p]
    wayland.wl_display_disconnect.argtypes = [ctypes.c_void_p]
    connection = wayland.wl_display_connect(environment["WAYLAND_DISPLAY"].encode())
    if not connection:
        return False
    wayland.wl_display_disconnect(connection)
    return True


def _require(libraries: tuple[tuple[str, str], ...], load: Load) -> None:
    missing = []
    for library, package in libraries:
        try:
            load(library)
        except OSError:
            missing.append((library, package))
    if missing:
        names = ", ".join(library for library, _ in missing)
        packages = " ".join(package for _, package in missing)
        raise NoScreenError(
            f"Libraries that windows need are missing: {names}.",
            f"On Debian and Ubuntu: sudo apt-get install {packages}",
        )

"""Saying that there is no screen, before Qt ends the process."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from allie_desktop.ui.screen_check import NoScreenError, require_screen


class Library:
    """Stands in for libxcb and libwayland-client."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.xcb_connect = self._function(1)
        self.xcb_connection_has_error = self._function(0 if answers else 1)
        self.xcb_disconnect = self._function(None)
        self.wl_display_connect = self._function(1 if answers else None)
        self.wl_display_disconnect = self._function(None)

    @staticmethod
    def _function(result: Any) -> Any:
        def called(*_: object) -> Any:
            return result

        return called


def loader(*, missing: tuple[str, ...] = (), x: bool = True, wayland: bool = True) -> Any:
    def load(name: str) -> Library:
        if name in missing:
            raise OSError(name)
        return Library(answers=wayland if "wayland" in name else x)

    return load


def test_an_x_server_that_answers_is_used() -> None:
    environment = {"DISPLAY": ":0"}
    require_screen(environment, load=loader())
    assert environment["QT_QPA_PLATFORM"] == "xcb"


def test_wayland_is_used_where_the_session_is_one() -> None:
    environment = {"WAYLAND_DISPLAY": "wayland-0", "XDG_SESSION_TYPE": "wayland", "DISPLAY": ":0"}
    require_screen(environment, load=loader())
    assert "QT_QPA_PLATFORM" not in environment


def test_a_dead_compositor_leaves_the_x_server_and_the_other_way_round() -> None:
    environment = {"WAYLAND_DISPLAY": "wayland-0", "XDG_SESSION_TYPE": "wayland", "DISPLAY": ":0"}
    require_screen(environment, load=loader(wayland=False))
    assert environment["QT_QPA_PLATFORM"] == "xcb"
    environment = {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}
    require_screen(environment, load=loader(x=False))
    assert environment["QT_QPA_PLATFORM"] == "wayland"


@pytest.mark.parametrize(
    ("environment", "load", "words"),
    [
        ({}, loader(), "There is no screen here"),
        ({"DISPLAY": ":9"}, loader(x=False), "The X server at :9 does not answer"),
        ({"DISPLAY": ":0"}, loader(missing=("libxcb.so.1",)), "The X server at :0 does not answer"),
        ({"DISPLAY": ":0"}, loader(missing=("libxcb-cursor.so.0",)), "missing: libxcb-cursor.so.0"),
        (
            {"QT_QPA_PLATFORM": "wayland", "WAYLAND_DISPLAY": "w"},
            loader(wayland=False),
            "The Wayland compositor does not answer",
        ),
    ],
)
def test_what_is_missing_is_said_in_words(environment: dict[str, str], load: Any, words: str) -> None:
    with pytest.raises(NoScreenError, match=words) as raised:
        require_screen(environment, load=load)
    assert raised.value.remedy


def test_missing_libraries_come_with_their_packages() -> None:
    with pytest.raises(NoScreenError) as raised:
        require_screen({"DISPLAY": ":0"}, load=loader(missing=("libxcb-cursor.so.0", "libEGL.so.1")))
    assert raised.value.remedy == "On Debian and Ubuntu: sudo apt-get install libegl1 libxcb-cursor0"


def test_offscreen_needs_no_screen() -> None:
    environment = {"QT_QPA_PLATFORM": "offscreen"}
    require_screen(environment, load=ctypes.CDLL)
    assert environment == {"QT_QPA_PLATFORM": "offscreen"}

"""The stage on which the other tests stand."""

from __future__ import annotations

import pytest

from tests.gui.desktop_session import DesktopSession, wait_for

pytestmark = [pytest.mark.display, pytest.mark.process]

_SEND = """
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection
to = DBusAddress("/org/freedesktop/Notifications", "org.freedesktop.Notifications",
                 "org.freedesktop.Notifications")
body = ("test", 0, "", "Hello", "you", [], {}, 5000)
open_dbus_connection().send_and_get_reply(new_method_call(to, "Notify", "susssasa{sv}i", body))
"""


def test_a_desktop_shows_a_notification(desktop: DesktopSession) -> None:
    before = desktop.pixels(20, 60, 420, 100)
    assert desktop.python("-c", _SEND).wait(10) == 0
    wait_for(lambda: desktop.pixels(20, 60, 420, 100) != before, "the notification")
    assert desktop.screenshot("desktop").stat().st_size > 0


def test_parts_can_be_taken_away_and_come_back(desktop: DesktopSession) -> None:
    desktop.stop_tray()
    wait_for(lambda: not desktop.windows("class", "trayer", visible=False), "the tray's end")
    desktop.start_tray()
    assert desktop.windows("class", "trayer", visible=False)

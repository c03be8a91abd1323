"""What the session tells: that the computer is about to sleep; and what we ask of it: not to, for a moment."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from PySide6.QtCore import SLOT, QObject, Signal, Slot
from PySide6.QtDBus import QDBusConnection, QDBusInterface, QDBusMessage, QDBusUnixFileDescriptor

_SERVICE, _PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
_MANAGER = f"{_SERVICE}.Manager"

_log = logging.getLogger(__name__)


class SessionSignals(QObject):
    """logind's signals, where there is a logind; silent elsewhere. GUI thread."""

    sleeping = Signal(bool)  # True before a suspend, False after it

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._connected = False
        if sys.platform.startswith("linux"):
            bus = QDBusConnection.systemBus()
            # An object's own slot, by its name: this is the old form of connect, which D-Bus needs. The
            # stubs say bytes; PySide takes none but a str.
            slot: Any = SLOT("on_prepare_for_sleep(bool)")
            self._connected = bus.isConnected() and bus.connect(
                _SERVICE, _PATH, _MANAGER, "PrepareForSleep", self, slot
            )

    @property
    def connected(self) -> bool:
        """Whether a suspend would be announced."""
        return self._connected

    @Slot(bool)
    def on_prepare_for_sleep(self, before: bool) -> None:
        """Called by D-Bus."""
        self.sleeping.emit(before)


class SleepInhibitor:
    """Delays a suspend while it is held: for the seconds in which a version is put into use. GUI thread."""

    def __init__(self) -> None:
        self._held: QDBusUnixFileDescriptor | None = None

    @property
    def held(self) -> bool:
        """Whether a suspend would wait now."""
        return self._held is not None

    def take(self, why: str) -> bool:
        """Delay a suspend from now on; False where nobody can be asked."""
        if self._held is not None or not sys.platform.startswith("linux"):
            return self.held
        bus = QDBusConnection.systemBus()
        if not bus.isConnected():
            return False
        manager = QDBusInterface(_SERVICE, _PATH, _MANAGER, bus)
        manager.setTimeout(500)
        reply = manager.call("Inhibit", "sleep", "Allie", why, "delay")
        if reply.type() is not QDBusMessage.MessageType.ReplyMessage or not reply.arguments():
            _log.info("A suspend cannot be delayed: %s", reply.errorMessage())
            return False
        descriptor = reply.arguments()[0]
        if not isinstance(descriptor, QDBusUnixFileDescriptor) or not descriptor.isValid():
            return False
        self._held = descriptor  # logind ends the delay when the last copy is closed
        return True

    def release(self) -> None:
        """Let the computer sleep."""
        held, self._held = self._held, None
        if held is not None and hasattr(held, "takeFileDescriptor"):
            number = held.takeFileDescriptor()
            if number >= 0:
                os.close(number)

"""Notifications outside the windows.

On Linux through ``org.freedesktop.Notifications`` by jeepney, in a thread of its own: Qt's own messages are sent
in a form that some daemons refuse without a word, and QtDBus cannot send the right one. Elsewhere through the
tray icon. Where nothing takes them, as a small window of our own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import selectors
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from allie_desktop.domain.requests import Notice

_PATH, _NAME = "/org/freedesktop/Notifications", "org.freedesktop.Notifications"

#: How long a daemon may take to answer, in seconds.
_PATIENCE = 5.0

#: How long a notice of our own stays, in milliseconds.
_TOAST_MS = 12_000

_NORMAL, _CRITICAL = 1, 2

_log = logging.getLogger(__name__)


class Notifier(QObject):
    """Shows notices, and tells which of their actions was chosen. GUI thread."""

    acted = Signal(object, str)  # Notice, an action's name; "" for a click on the notice itself

    def show(self, notice: Notice) -> None:
        """Show it somewhere."""
        raise NotImplementedError

    def close(self) -> None:
        """End what belongs to it."""


def notifier_of_this_system(
    show_message: Callable[[str, str], None], parent: QObject | None = None
) -> Notifier:
    """Return the platform's way. ``show_message`` is the tray icon's, for platforms whose trays can."""
    if sys.platform in ("win32", "darwin"):
        return TrayNotifier(show_message, parent)
    return BusNotifier(parent)


class TrayNotifier(Notifier):
    """Messages of the tray icon: no buttons, and no word of what became of them."""

    def __init__(self, show_message: Callable[[str, str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._show_message = show_message

    def show(self, notice: Notice) -> None:
        """See :class:`Notifier`."""
        self._show_message(notice.title, notice.body)


class ToastNotifier(Notifier):
    """Small windows of our own in a corner of the screen, one below the other in time."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[Notice] = []
        self._toast: QWidget | None = None

    def show(self, notice: Notice) -> None:
        """See :class:`Notifier`."""
        self._waiting.append(notice)
        if self._toast is None:
            self._next()

    def close(self) -> None:
        """See :class:`Notifier`."""
        self._waiting.clear()
        if self._toast is not None:
            self._toast.close()

    def _next(self) -> None:
        self._toast = None
        if self._waiting:
            self._toast = _toast(self._waiting.pop(0), self._on_choice, self._next)

    def _on_choice(self, notice: Notice, action: str) -> None:
        self.acted.emit(notice, action)


class BusNotifier(Notifier):
    """Notifications of the desktop, over D-Bus. Falls back on windows of our own, each time anew."""

    _refused = Signal(object)  # Notice
    _chosen = Signal(object, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._toasts = ToastNotifier(self)
        self._toasts.acted.connect(self.acted)
        self._refused.connect(self._toasts.show)
        self._chosen.connect(self.acted)
        self._line = _BusLine(refused=self._refused.emit, chosen=self._chosen.emit)

    def show(self, notice: Notice) -> None:
        """See :class:`Notifier`."""
        self._line.send(notice)

    def close(self) -> None:
        """See :class:`Notifier`."""
        self._line.close()
        self._toasts.close()


class _BusLine:
    """One connection to the session bus and the thread that owns it, from the first notice on."""

    def __init__(self, *, refused: Callable[[Notice], None], chosen: Callable[[Notice, str], None]) -> None:
        self._refused = refused
        self._chosen = chosen
        self._outgoing: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._shown: dict[int, Notice] = {}
        self._connection: Any = None
        self._over = False
        self._read, self._write = -1, -1
        self._thread: threading.Thread | None = None

    def send(self, notice: Notice) -> None:
        self._outgoing.put(notice)
        if self._thread is None:
            self._read, self._write = os.pipe()
            self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
            self._thread.start()
        self._wake()

    def close(self) -> None:
        self._over = True
        if self._thread is not None:
            self._wake()
            self._thread.join(_PATIENCE)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._write, b".")

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while not self._over:
                with contextlib.suppress(OSError):
                    os.read(self._read, 64)
                while not self._outgoing.empty():
                    self._show(self._outgoing.get())
                self._hear_until_woken(selector)
        self._hang_up()

    def _hear_until_woken(self, selector: selectors.BaseSelector) -> None:
        """Return when there is something to send, or the end has come."""
        connection = self._connection
        if connection is not None:
            selector.register(connection.sock, selectors.EVENT_READ)
        try:
            while self._connection is connection:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._read in ready:
                    return
                self._hear()
        finally:
            if connection is not None:
                with contextlib.suppress(KeyError, ValueError):
                    selector.unregister(connection.sock)

    def _show(self, notice: Notice) -> None:
        try:
            number = self._notify(notice)
        except Exception as error:  # noqa: BLE001 - no bus, no daemon, a broken one: told all the same
            _log.info("The desktop shows no notifications: %s", error)
            self._hang_up()
            self._refused(notice)
            return
        self._shown[number] = notice

    def _notify(self, notice: Notice) -> int:
        from jeepney import DBusAddress, MessageType, new_method_call

        connection = self._connected()
        actions = ["default", "Open"]
        for action in notice.actions:
            actions += [action.name, action.label]
        hints = {
            "urgency": ("y", _CRITICAL if notice.urgent else _NORMAL),
            "desktop-entry": ("s", "allie-desktop"),
        }
        address = DBusAddress(_PATH, bus_name=_NAME, interface=_NAME)
        body = ("Allie", 0, "allie-desktop", notice.title, _markup(notice.body), actions, hints, -1)
        reply = connection.send_and_get_reply(
            new_method_call(address, "Notify", "susssasa{sv}i", body), timeout=_PATIENCE
        )
        if reply.header.message_type is MessageType.error:
            raise OSError(f"{reply.header.fields} {reply.body}")
        return int(reply.body[0])

    def _connected(self) -> Any:
        if self._connection is None:
            from jeepney import MatchRule, message_bus
            from jeepney.io.blocking import open_dbus_connection

            connection = open_dbus_connection("SESSION")
            rule = MatchRule(type="signal", interface=_NAME, path=_PATH)
            connection.send_and_get_reply(message_bus.AddMatch(rule), timeout=_PATIENCE)
            self._connection = connection
        return self._connection

    def _hear(self) -> None:
        from jeepney import HeaderFields

        try:
            while True:
                message = self._connection.receive(timeout=0)
                member = message.header.fields.get(HeaderFields.member)
                if member == "ActionInvoked":
                    number, action = message.body
                    notice = self._shown.get(number)
                    if notice is not None:
                        self._chosen(notice, "" if action == "default" else action)
                elif member == "NotificationClosed":
                    self._shown.pop(message.body[0], None)
        except TimeoutError:
            return
        except Exception as error:  # noqa: BLE001 - the bus went away; the next notice opens another line
            _log.info("The line to the notifications broke: %s", error)
            self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        self._shown.clear()
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()


def _choose(
    window: QWidget, chosen: Callable[[Notice, str], None], notice: Notice, action: str, *_: object
) -> None:
    chosen(notice, action)
    window.close()


def _markup(text: str) -> str:
    """Return text for a body, in which daemons read a little markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _toast(notice: Notice, chosen: Callable[[Notice, str], None], gone: Callable[[], None]) -> QWidget:
    window = QWidget(
        None,
        Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint,
    )
    window.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    window.setWindowTitle(notice.title)
    window.setAccessibleName(notice.title)
    window.setFixedWidth(380)
    column = QVBoxLayout(window)
    column.setContentsMargins(16, 14, 16, 14)
    title = QLabel(notice.title)
    font = title.font()
    font.setBold(True)
    title.setFont(font)
    body = QLabel(notice.body)
    body.setWordWrap(True)
    body.setTextFormat(Qt.TextFormat.PlainText)
    column.addWidget(title)
    column.addWidget(body)
    row = QHBoxLayout()
    row.addStretch(1)
    for action in notice.actions:
        button = QPushButton(action.label)
        button.clicked.connect(partial(_choose, window, chosen, notice, action.name))
        row.addWidget(button)
    close = QPushButton("Close")
    close.clicked.connect(window.close)
    row.addWidget(close)
    column.addLayout(row)
    window.destroyed.connect(gone)
    QTimer.singleShot(_TOAST_MS, window, window.close)
    window.adjustSize()
    screen = QGuiApplication.primaryScreen()
    if screen is not None:
        area = screen.availableGeometry()
        window.move(area.right() - window.width() - 24, area.bottom() - window.height() - 24)
    window.show()
    return window

"""One application a home: a second start opens the window of the first."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

#: What a second start says to the first.
QUIT = "quit"

_LOCK_FILE = "application.lock"
_PATIENCE_MS = 2000
_LONGEST_MESSAGE = 256


class SingleInstance(QObject):
    """The lock of a home and the line to whoever holds it. GUI thread."""

    asked = Signal(str)  # a page to show, or QUIT

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = QLockFile(str(folder / _LOCK_FILE))
        # Never by age: the lock of a process that is gone is found by its process id.
        self._lock.setStaleLockTime(0)
        self._name = server_name(folder)
        self._server: QLocalServer | None = None

    def take(self) -> bool:
        """Be the one instance; False when there is another. A folder that takes no lock file counts as free
        unless somebody answers."""
        if self._lock.tryLock(0):
            self._listen()
            return True
        if self._lock.error() is QLockFile.LockError.LockFailedError:
            return False
        if self.say(""):
            return False
        self._listen()
        return True

    def say(self, message: str) -> bool:
        """Say something to the instance that holds the lock; False when it does not answer."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(_PATIENCE_MS):
            return False
        socket.write(message.encode()[:_LONGEST_MESSAGE] + b"\n")
        heard = socket.waitForBytesWritten(_PATIENCE_MS) and socket.waitForReadyRead(_PATIENCE_MS)
        socket.disconnectFromServer()
        return bool(heard)

    def holder(self) -> int | None:
        """Return the process id of who holds the lock."""
        known: Any = self._lock.getLockInfo()
        return int(known[0]) or None

    def release(self) -> None:
        """Let others be the one."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._lock.unlock()

    def _listen(self) -> None:
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        if not server.listen(self._name):
            # Left behind by a process that was killed; we hold the lock, so nobody listens there.
            QLocalServer.removeServer(self._name)
            server.listen(self._name)
        server.newConnection.connect(self._on_connection)
        self._server = server

    def _on_connection(self) -> None:
        server = self._server
        while server is not None and server.hasPendingConnections():
            socket = server.nextPendingConnection()
            socket.readyRead.connect(self._reader(socket))
            socket.disconnected.connect(socket.deleteLater)
            if socket.bytesAvailable():
                self._read(socket)

    def _reader(self, socket: QLocalSocket) -> Callable[[], None]:
        return lambda: self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            if socket.bytesAvailable() > _LONGEST_MESSAGE:
                socket.abort()
            return
        message = bytes(socket.readLine(_LONGEST_MESSAGE + 2).data()).decode("utf-8", "replace").strip()
        socket.write(b"ok\n")
        socket.flush()
        if message:
            self.asked.emit(message)


def server_name(folder: Path) -> str:
    """Return the name of a home's line, which no other person's and no other home's is."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "someone"
    which = hashlib.sha256(f"{user} {folder}".encode()).hexdigest()[:20]
    return f"allie-{which}"

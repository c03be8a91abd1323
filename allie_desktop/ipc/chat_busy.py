"""The sign that somebody is being answered, for those who yield to it.

A file says so, because the two processes have nothing else in common: the chat process keeps it fresh, the
program that runs an episode looks at it several times a second. One look is one ``stat`` while nobody chats.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

#: A sign that is older was left behind.
FRESH_SECONDS = 3.0

#: The next question often follows soon, and until then the person reads and types.
LINGER_SECONDS = 1.5

_REFRESH_SECONDS = 1.0


class BusyWriter:
    """Keeps the sign at ``path`` while at least one ``with`` block of :meth:`busy` runs, and a little
    longer. Any thread. A disk that cannot be written is no reason not to answer: never raises."""

    def __init__(self, path: Path, *, linger_seconds: float = LINGER_SECONDS) -> None:
        self._path = path
        self._linger_seconds = linger_seconds
        self._changed = threading.Condition()
        self._count = 0
        self._until = 0.0  # monotonic: the end of lingering
        self._closed = False
        self._written = False
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Show the sign from before the block begins."""
        with self._changed:
            self._count += 1
            if self._count == 1:
                self._show()
                self._run()
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                if self._count == 0:
                    self._until = time.monotonic() + self._linger_seconds
                self._changed.notify_all()

    def close(self) -> None:
        """Take the sign down for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._hide()

    def _run(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._refresh, name="chat-busy", daemon=True)
            self._thread.start()

    def _refresh(self) -> None:
        with self._changed:
            while not self._closed:
                left = self._until - time.monotonic()
                if self._count == 0 and left <= 0:
                    break
                self._changed.wait(_REFRESH_SECONDS if self._count else min(left, _REFRESH_SECONDS))
                if self._count or time.monotonic() < self._until:
                    self._show()
            self._hide()
            self._thread = None

    def _show(self) -> None:
        with contextlib.suppress(OSError):
            if self._written:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self._path)
                    return
            scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            scratch.write_bytes(b"%d" % os.getpid())
            os.replace(scratch, self._path)  # whoever reads it reads a whole number
            self._written = True

    def _hide(self) -> None:
        self._written = False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class ChatBusy:
    """Both ends of the sign."""

    @staticmethod
    def writer(path: Path) -> BusyWriter:
        """Return who keeps the sign at ``path``."""
        return BusyWriter(path)

    @staticmethod
    def is_busy(path: Path) -> bool:
        """Whether somebody is being answered now: the sign is fresh, and who showed it is alive. Never
        raises; takes some microseconds when there is no sign."""
        try:
            age_seconds = time.time() - path.stat().st_mtime
            if abs(age_seconds) > FRESH_SECONDS:  # in the future: the clock was set back
                return False
            return bool(psutil.pid_exists(int(path.read_bytes())))
        except (OSError, ValueError, OverflowError):
            return False

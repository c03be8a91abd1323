"""The worker's ears and mouth: commands from stdin, events to stdout, and the parent's death.

stdin is read by a thread of its own, which only sets flags; the training thread looks at them between two
passes. The end of stdin means that the parent is gone, and is obeyed like a stop.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import IO

from allie_desktop.domain.errors import ProtocolError
from allie_desktop.domain.events import (
    Pause,
    Paused,
    Resume,
    Resumed,
    StepFinished,
    Stop,
    WorkerCommand,
    WorkerEvent,
    WriteCheckpoint,
)
from allie_desktop.ipc.protocol import decode_command, encode

_QUIET_SECONDS = 60.0

_log = logging.getLogger(__name__)


class StopRequestedError(Exception):
    """Raised in the training thread to unwind to where a checkpoint can be written. Not a failure."""


class Control:
    """One worker's line to its parent. :meth:`send` may be called from any thread."""

    def __init__(self, commands: IO[bytes], events: IO[bytes]) -> None:
        self._commands, self._events = commands, events
        self._lock = threading.Lock()
        self._wake = threading.Condition()
        self._pausing = threading.Lock()
        self._paused = False
        self._checkpoint = False
        self._last_progress: StepFinished | None = None
        self._sent_at = time.monotonic()
        self.stop_reason: str | None = None

    @classmethod
    def of_process(cls) -> Control:
        """Take over stdin and stdout. Whatever a library prints from now on goes to stderr."""
        events = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        # Unbuffered: the lock of a buffered reader would be held by the listening thread for ever.
        return cls(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False), events)

    def listen(self) -> None:
        """Start reading commands in a thread of its own."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def send(self, event: WorkerEvent) -> None:
        """Write one event; a parent that no longer reads is a parent that is gone."""
        if isinstance(event, StepFinished):
            self._last_progress = event
        try:
            with self._lock:
                self._events.write(encode(event))
                self._sent_at = time.monotonic()
        except OSError:
            self._stop("the program that started the worker is gone")

    def request_stop(self, reason: str) -> None:
        """Ask the training thread to stop at the next chance; for signal handlers."""
        self._stop(reason)

    def between(self) -> None:
        """Call between two pieces of work, in any thread that does some: waits while paused, raises
        :class:`StopRequestedError` when asked to stop.

        Work may be slow at the lowest priority. So that nobody takes it for a worker that hangs, the last
        progress is told again when nothing was told for a while.
        """
        if self._last_progress is not None and time.monotonic() - self._sent_at > _QUIET_SECONDS:
            self.send(self._last_progress)
        if self._waits():
            with self._pausing:
                self._wait()
        if self.stop_reason is not None:
            raise StopRequestedError(self.stop_reason)

    def _wait(self) -> None:
        if not self._waits():
            return  # another thread has waited already
        self.send(Paused())
        with self._wake:
            while self._waits():
                self._wake.wait(0.5)  # a stop from a signal handler may not be able to notify
        if self.stop_reason is None:
            self.send(Resumed())

    def _waits(self) -> bool:
        return self._paused and self.stop_reason is None

    def checkpoint_wanted(self) -> bool:
        """Return whether a checkpoint was asked for since the last call."""
        wanted, self._checkpoint = self._checkpoint, False
        return wanted

    def _read(self) -> None:
        for line in iter(self._commands.readline, b""):
            try:
                self._obey(decode_command(line))
            except ProtocolError as error:
                _log.warning("ignored: %s", error)
        self._stop("the program that started the worker is gone")

    def _obey(self, command: WorkerCommand) -> None:
        match command:
            case Stop(reason=reason):
                self._stop(reason or "asked to stop")
            case WriteCheckpoint():
                self._checkpoint = True
            case Pause() | Resume():
                with self._wake:
                    self._paused = isinstance(command, Pause)
                    self._wake.notify_all()

    def _stop(self, reason: str) -> None:
        # No lock around the flag: a signal handler may run in the thread that holds it.
        if self.stop_reason is None:
            self.stop_reason = reason
        if self._wake.acquire(blocking=False):
            self._wake.notify_all()
            self._wake.release()

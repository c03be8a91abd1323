"""Work that must not hold up the windows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal

from allie_desktop.domain.errors import AllieError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Background(QObject):
    """Runs callables in a thread of their own kind, one after the other, and comes back with the result.

    Belongs to a widget: when that is gone, results are dropped. GUI thread, but for the work itself.
    """

    busy_changed = Signal(bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._running = 0
        self._pool = QThreadPool(self)
        # One thread: what reads a state and what changes it come in the order in which they were asked for.
        self._pool.setMaxThreadCount(1)

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._running > 0

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[AllieError], None],
    ) -> None:
        """Do ``work`` in a thread, then call ``done`` or ``failed`` in this one."""
        messenger = _Messenger(self)

        def on_done(result: Any) -> None:
            self._finished(messenger)
            done(result)

        def on_failed(error: AllieError) -> None:
            self._finished(messenger)
            failed(error)

        messenger.done.connect(on_done, Qt.ConnectionType.QueuedConnection)
        messenger.failed.connect(on_failed, Qt.ConnectionType.QueuedConnection)
        self._running += 1
        if self._running == 1:
            self.busy_changed.emit(True)
        self._pool.start(_Work(work, messenger))

    def wait(self, milliseconds: int = 30_000) -> bool:
        """Wait until everything has been done; results still come through the event loop."""
        return self._pool.waitForDone(milliseconds)

    def _finished(self, messenger: _Messenger) -> None:
        messenger.deleteLater()
        self._running -= 1
        if self._running == 0:
            self.busy_changed.emit(False)


class _Messenger(QObject):
    done = Signal(object)
    failed = Signal(object)


class _Work(QRunnable):
    def __init__(self, work: Callable[[], Any], messenger: _Messenger) -> None:
        super().__init__()
        self._work = work
        self._messenger = messenger

    def run(self) -> None:
        """Do the work; called by the pool."""
        try:
            result = self._work()
        except AllieError as error:
            self._tell("failed", error)
        except Exception as error:  # a window must show something, whatever went wrong
            _log.exception("Work in the background failed")
            self._tell(
                "failed",
                AllieError(
                    f"Something went wrong inside Allie: {type(error).__name__}.", "The log has the details."
                ),
            )
        else:
            self._tell("done", result)

    def _tell(self, signal: str, value: object) -> None:
        try:
            getattr(self._messenger, signal).emit(value)
        except RuntimeError:
            # The window was closed meanwhile, and its half of this object with it.
            _log.debug("Nobody waits for this result any more")

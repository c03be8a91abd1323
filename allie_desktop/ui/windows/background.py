"""Work that must not hold up the windows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import shiboken6
from PySide6.QtCore import QObject, Signal

from allie_desktop.domain.errors import AllieError

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Background(QObject):
    """Runs callables in a thread beside the windows, one after the other, and comes back with the result.

    It belongs to a widget: when that is gone, results are dropped. GUI thread, but for the work itself.
    """

    busy_changed = Signal(bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._running = 0
        self._post = _post_office()
        # One thread: what reads a state and what changes it happen in the order in which they were asked for.
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="allie-window")
        self._futures: set[Future[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether something runs or waits, or its result has not been told yet."""
        return self._running > 0

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[AllieError], None],
    ) -> None:
        """Do ``work`` in the thread, then call ``done`` or ``failed`` in this one."""
        post = self._post

        def deliver(tell: Callable[[], None]) -> None:
            if shiboken6.isValid(self):
                self._finished()
                tell()

        def do() -> None:
            try:
                result = work()
            except AllieError as error:
                refusal = error
            except Exception as error:  # noqa: BLE001 - a window must show something, whatever went wrong
                _log.exception("Work in the background failed")
                refusal = AllieError(
                    f"Something went wrong inside Allie ({type(error).__name__}).", "The log has the details."
                )
            else:
                post.came.emit(lambda: deliver(lambda: done(result)))
                return
            post.came.emit(lambda: deliver(lambda: failed(refusal)))

        self._running += 1
        if self._running == 1:
            self.busy_changed.emit(True)
        future = self._threads.submit(do)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)

    def tell(self, action: Callable[[], None]) -> None:
        """Call ``action`` in the GUI thread; to be called from work that is under way. Never waits."""

        def deliver() -> None:
            if shiboken6.isValid(self):
                action()

        self._post.came.emit(deliver)

    def wait(self, seconds: float = 30.0) -> bool:
        """Wait until everything has been done; results still come through the event loop."""
        return not wait(set(self._futures), timeout=seconds).not_done

    def _finished(self) -> None:
        self._running -= 1
        if self._running == 0:
            self.busy_changed.emit(False)


class _PostOffice(QObject):
    """Carries calls into the GUI thread. One for the program: it outlives every window, so that a thread
    never meets one that is just being deleted."""

    came = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.came.connect(self._on_came)

    def _on_came(self, action: Callable[[], None]) -> None:
        action()


_offices: list[_PostOffice] = []


def _post_office() -> _PostOffice:
    if not _offices:
        _offices.append(_PostOffice())
    return _offices[0]

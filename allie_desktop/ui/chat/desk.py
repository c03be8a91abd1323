"""A thread of its own for the person's conversations, so that no disk ever makes the window wait."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar, cast

from PySide6.QtCore import QObject, Qt, Signal

from allie_desktop.domain.errors import AllieError
from allie_desktop.ui.chat.ports import ChatLibrary

T = TypeVar("T")

OpenLibrary = Callable[[], AbstractContextManager[ChatLibrary]]

_Job = Callable[[ChatLibrary], Callable[[], None] | None]

_log = logging.getLogger(__name__)

_UNEXPECTED = "That did not work, for a reason that Allie did not expect. The log says more."


class LibraryDesk(QObject):
    """Does jobs on a :class:`ChatLibrary` one after the other, in the order in which they were given.

    The library is opened by its own thread, with the first job, and closed by it. GUI thread.
    """

    _answered = Signal(object)

    def __init__(self, open_library: OpenLibrary, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open = open_library
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._answered.connect(self._on_answered, Qt.ConnectionType.QueuedConnection)

    def ask(
        self,
        job: Callable[[ChatLibrary], T],
        done: Callable[[T], None] | None = None,
        failed: Callable[[AllieError], None] | None = None,
    ) -> None:
        """Do ``job`` in the library's thread; then call ``done`` or ``failed`` in this one."""
        if self._closed:
            return

        def work(library: ChatLibrary) -> Callable[[], None] | None:
            try:
                result = job(library)
            except Exception as error:  # noqa: BLE001 - whatever it is, the window lives on
                problem = _known(error)
            else:
                return None if done is None else lambda: done(result)
            return None if failed is None else lambda: failed(problem)

        self._jobs.put(work)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="chat-library", daemon=True)
            self._thread.start()

    def close(self, *, seconds: float = 5.0) -> None:
        """Finish the jobs given so far, tell nobody any more, and close the library."""
        self._closed = True
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        job = self._jobs.get()
        while job is not None:
            try:
                with self._open() as library:
                    while job is not None:
                        self._tell(job(library))
                        job = self._jobs.get()
            except Exception as error:  # noqa: BLE001 - it cannot be opened; the next job tries again
                problem = _known(error)
                assert job is not None
                self._tell(job(cast("ChatLibrary", _Unusable(problem))))
                job = self._jobs.get()

    def _tell(self, answer: Callable[[], None] | None) -> None:
        if answer is not None and not self._closed:
            self._answered.emit(answer)

    def _on_answered(self, answer: Callable[[], None]) -> None:
        if not self._closed:
            answer()


def _known(error: Exception) -> AllieError:
    if isinstance(error, AllieError):
        return error
    _log.error("the conversations could not be used", exc_info=error)
    return AllieError(_UNEXPECTED)


class _Unusable:
    """Stands in for a library that cannot be opened: whatever is asked of it fails in the same way."""

    def __init__(self, error: AllieError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., object]:
        raise self._error

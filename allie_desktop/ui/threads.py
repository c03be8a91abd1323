"""The two threads behind the tray: one that looks and decides, and one for each episode.

Both own their view of the store and do nothing with Qt but emit signals, which arrive in the GUI thread.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QThread, Signal

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.events import StepFinished, WorkerEvent
from allie_desktop.domain.requests import Notice
from allie_desktop.services.background import Background, Mood, Order, Standing
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.yielding import Yielding
from allie_desktop.ui.backend import Backend

#: After the store could not be opened, or a look failed, so long until the next try.
_TRY_AGAIN_SECONDS = 15.0

#: Steps are told at most so often; between two nobody could see a difference.
_STEP_SECONDS = 0.2

#: What the background thread is asked to do.
Command = Callable[[Background], None]

_log = logging.getLogger(__name__)


class BackgroundThread(QThread):
    """Owns the background run. :meth:`post` and :meth:`end` may be called from any thread."""

    standing = Signal(object)  # Standing
    order = Signal(object)  # Order: an episode is to be run
    notice = Signal(object)  # Notice: to be shown
    said = Signal(str)  # something the person asked for was done, or could not be

    def __init__(self, backend: Backend, yielding: Yielding, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._backend = backend
        self._yielding = yielding
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._over = False

    def post(self, command: Command) -> None:
        """Have something done with the background run, in its thread, before its next look."""
        self._commands.put(command)
        self._wake.set()

    def look(self) -> None:
        """Have it look at once."""
        self._wake.set()

    def end(self) -> None:
        """End the thread after what it is doing."""
        self._over = True
        self._wake.set()

    def run(self) -> None:
        """The thread itself."""
        while not self._over:
            try:
                self._work()
            except AllieError as error:
                self._tell_trouble(error)
            except Exception as error:  # noqa: BLE001 - the tray lives on and says so
                _log.exception("The background run failed")
                self._tell_trouble(
                    AllieError(
                        f"Something went wrong inside Allie: {type(error).__name__}.",
                        "It tries again by itself; the log has the details.",
                    )
                )
            if not self._over:
                self._wait(_TRY_AGAIN_SECONDS)

    # --- inside ---

    def _work(self) -> None:
        with self._backend.open_background(
            yielding=self._yielding, start=self._on_start, tell=self._on_notice
        ) as background:
            while not self._over:
                self._obey(background)
                standing, seconds = background.look()
                self.standing.emit(standing)
                if self._commands.empty():
                    self._wait(seconds)

    def _obey(self, background: Background) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            try:
                command(background)
            except AllieError as error:
                self.said.emit(str(error))

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _tell_trouble(self, error: AllieError) -> None:
        words = f"{error.message} {error.remedy}".strip()
        self.standing.emit(Standing(mood=Mood.ATTENTION, headline=error.message, notes=(words,)))

    def _on_start(self, order: Order) -> None:
        self.order.emit(order)

    def _on_notice(self, notice: Notice) -> None:
        self.notice.emit(notice)


class EpisodeThread(QThread):
    """Runs one episode and tells what happens. The worker is another process; this only listens to it."""

    began = Signal(str)  # the episode's id
    heard = Signal(object)  # WorkerEvent, thinned
    over = Signal(object, object, object)  # Order, EpisodeResult or None, AllieError or None

    def __init__(
        self, backend: Backend, yielding: Yielding, order: Order, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._backend = backend
        self._yielding = yielding
        self._order = order
        self._last_step = 0.0

    def run(self) -> None:
        """The thread itself."""
        result: EpisodeResult | None = None
        failure: AllieError | None = None
        try:
            with self._backend.open_episode(began=self.began.emit, progress=self._on_event) as session:
                if not self._yielding.attach(session):
                    result = session.run(self._order)
        except AllieError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - told like every other failure
            _log.exception("An episode could not be run")
            failure = AllieError(
                f"Learning stopped because something went wrong inside Allie: {type(error).__name__}.",
                "It tries again later; the log has the details.",
            )
        self.over.emit(self._order, result, failure)

    def _on_event(self, event: WorkerEvent) -> None:
        if isinstance(event, StepFinished) and event.step != event.total:
            now = time.monotonic()
            if now - self._last_step < _STEP_SECONDS:
                return
            self._last_step = now
        self.heard.emit(event)

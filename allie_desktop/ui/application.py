"""The tray application: what belongs to it from its start to its end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QObject, QSocketNotifier, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QMessageBox

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.events import CandidateWritten, WorkerEvent
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.requests import Notice
from allie_desktop.resident_memory import give_back
from allie_desktop.services.background import Background, Order, Standing, pause_moment
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.yielding import Stage, Yielding
from allie_desktop.ui.backend import HISTORY, Backend
from allie_desktop.ui.notifications import Notifier, notifier_of_this_system
from allie_desktop.ui.session_signals import SessionSignals, SleepInhibitor
from allie_desktop.ui.single_instance import QUIT, SingleInstance
from allie_desktop.ui.threads import BackgroundThread, EpisodeThread
from allie_desktop.ui.tray import Tray

if TYPE_CHECKING:
    from allie_desktop.ui.opening import Windows
    from allie_desktop.ui.windows.feed import LearningFeed

#: How long to wait for a tray before the window is opened instead, and how often to look.
TRAY_PATIENCE_SECONDS = 8.0
_TRAY_LOOK_MS = 500

#: An end of the program waits for a running episode's checkpoint at most so long, in seconds: a little more
#: than the worker client's own ladder takes.
_LEAVE_SECONDS = 140
_THREAD_END_MS = 5000

#: So long after the first look all is loaded that stays in memory, in milliseconds.
_SETTLED_MS = 5000

_log = logging.getLogger(__name__)


class Application(QObject):
    """Joins tray, windows, notifications and the two threads. GUI thread; it also is the windows' ``Controls``."""

    _leave_wanted = Signal()

    def __init__(self, app: QApplication, backend: Backend, instance: SingleInstance) -> None:
        super().__init__()
        self._app = app
        self._backend = backend
        self._instance = instance
        self._standing: Standing | None = None
        self._feed: LearningFeed | None = None
        self._windows: Windows | None = None
        self._episode: EpisodeThread | None = None
        self._episode_id = ""
        self._leaving = False
        self._inhibitor = SleepInhibitor()
        self._tray = Tray(self)
        self._notifier: Notifier = notifier_of_this_system(self._tray.show_message, self)
        self._session = SessionSignals(self)
        self._yielding = Yielding(
            release_seconds=backend.release_memory_seconds,
            monotonic=_monotonic,
            on_change=lambda _: self._background.look(),
        )
        self._background = BackgroundThread(backend, self._yielding)
        self._join()

    def _join(self) -> None:
        self._tray.learn_now.connect(self.learn_now)
        self._tray.stop.connect(self.stop_episode)
        self._tray.pause.connect(self._on_pause)
        self._tray.resume.connect(self.resume)
        self._tray.page.connect(self.open)
        self._tray.leave.connect(self.leave)
        self._leave_wanted.connect(self.leave, Qt.ConnectionType.QueuedConnection)
        self._instance.asked.connect(self._on_asked)
        self._notifier.acted.connect(self._on_notice_action)
        self._session.sleeping.connect(self._on_sleeping)
        queued = Qt.ConnectionType.QueuedConnection
        self._background.standing.connect(self._on_standing, queued)
        self._background.order.connect(self._on_order, queued)
        self._background.notice.connect(self._notifier.show, queued)
        self._background.said.connect(self._say, queued)

    # --- beginning and end ---

    def start(self, *, page: str | None, tray_patience_seconds: float = TRAY_PATIENCE_SECONDS) -> None:
        """Show the icon and begin. ``page``: open the window there at once; None: in the tray alone."""
        self._tray.show()
        self._background.start(BackgroundThread.Priority.LowPriority)
        if page is not None:
            QTimer.singleShot(0, self, lambda: self.open(page))
        else:
            self._look_for_tray(tray_patience_seconds)

    def leave(self) -> None:
        """End the program; a running episode writes its checkpoint first."""
        if self._leaving:
            return
        self._leaving = True
        self._background.post(Background.end)
        self._yielding.leave("Allie was closed.")
        if self._episode is None:
            self._app.quit()
            return
        self._tray.set_progress(0.0, "Saving what was learnt so far…")
        QTimer.singleShot(_LEAVE_SECONDS * 1000, self, self._app.quit)

    def close(self) -> bool:
        """After the event loop: end the threads; False when one of them would not."""
        self._yielding.leave("Allie was closed.")
        self._background.post(Background.end)
        ended = True
        if self._episode is not None:
            ended = self._episode.wait(_LEAVE_SECONDS * 1000)
        self._background.end()
        ended = self._background.wait(_THREAD_END_MS) and ended
        self._inhibitor.release()
        self._notifier.close()
        if self._windows is not None:
            self._windows.close()
        self._tray.hide()
        self._instance.release()
        with contextlib.suppress(AllieError):
            self._backend.close()
        return ended

    # --- what the person wants ---

    def open(self, page: str = "") -> None:
        """Open the window at a page, or where it was."""
        windows = self._all_windows()
        if windows is None or windows.show_first_run():
            return
        windows.main().bring_forward(page)
        self._background.post(Background.alerts_seen)

    def learn_now(self) -> None:
        """See :class:`ui.backend.Controls`."""
        standing = self._standing
        if standing is None or standing.running:
            return
        hard = () if standing.learn_now is None else standing.learn_now.holds
        if hard:
            words = "\n".join(hold.words for hold in hard)
            say("Allie cannot learn now", f"{words}\n\nThis cannot be overridden.")
            return
        if standing.soft_holds:
            words = "\n".join(standing.soft_holds)
            question = f"By itself Allie would wait:\n\n{words}\n\nIt learns at low priority while you go on."
            if not self._ask("Learn now?", question, yes="Learn now"):
                return
        self._background.post(Background.learn_now)

    def stop_episode(self) -> None:
        """See :class:`ui.backend.Controls`."""
        self._background.post(lambda background: background.pause(_in_an_hour()))

    def pause(self, until: object) -> None:
        """See :class:`ui.backend.Controls`."""
        moment = until if isinstance(until, datetime) else None
        self._background.post(lambda background: background.pause(moment))

    def resume(self) -> None:
        """See :class:`ui.backend.Controls`."""
        self._background.post(Background.resume)

    def undo_version(self, version: str) -> None:
        """See :class:`ui.backend.Controls`."""

        def undo(background: Background) -> None:
            said = background.undo(version)
            self._background.said.emit(said)

        self._background.post(undo)

    def look_again(self) -> None:
        """See :class:`ui.backend.Controls`."""
        self._background.look()

    def leave_soon(self) -> None:
        """See :class:`ui.backend.Controls`."""
        self._leave_wanted.emit()

    # --- what happens ---

    def _on_standing(self, standing: Standing) -> None:
        is_first = self._standing is None
        if is_first:
            QTimer.singleShot(_SETTLED_MS, self, give_back)
        self._standing = standing
        self._tray.set_standing(standing)
        if self._windows is not None:
            self._windows.set_standing(standing)
        if self._feed is not None and standing.running:
            self._feed.wait(standing.stage in (Stage.FROZEN, Stage.LEAVING))
        if is_first and standing.needs_consent and not self._leaving:
            windows = self._all_windows()
            if windows is not None:
                windows.show_first_run()

    def _on_order(self, order: Order) -> None:
        if self._leaving:
            return
        episode = EpisodeThread(self._backend, self._yielding, order)
        queued = Qt.ConnectionType.QueuedConnection
        episode.began.connect(self._on_began, queued)
        episode.heard.connect(self._on_event, queued)
        episode.over.connect(self._on_over, queued)
        self._episode = episode
        episode.start(EpisodeThread.Priority.LowPriority)

    def _on_began(self, episode_id: str) -> None:
        self._episode_id = episode_id
        self._learning_feed().begin(episode_id)

    def _on_event(self, event: WorkerEvent) -> None:
        feed = self._learning_feed()
        feed.take(event)
        live = feed.live
        if live is not None:
            words = " · ".join(part for part in (live.title, live.detail, live.left) if part)
            self._tray.set_progress(live.share, words)
        if isinstance(event, CandidateWritten):
            self._inhibitor.take("A new version is being put into use")

    def _on_over(self, order: Order, result: EpisodeResult | None, error: AllieError | None) -> None:
        self._inhibitor.release()
        episode, self._episode = self._episode, None
        self._episode_id = ""
        if episode is not None:
            episode.wait(_THREAD_END_MS)
            episode.deleteLater()
        if self._feed is not None:
            self._feed.end()
            if result is not None and result.outcome is EpisodeState.COMPLETED:
                self._feed.versions_changed.emit()
        self._background.post(lambda background: background.ended(order, result, error))
        if self._leaving:
            self._app.quit()

    def _on_notice_action(self, notice: Notice, action: str) -> None:
        if action == "undo" and notice.subject:
            self.undo_version(notice.subject)
            return
        self.open(HISTORY if notice.episode else "")
        if notice.episode and self._windows is not None:
            self._windows.main().show_episode(notice.episode)

    def _on_pause(self, choice: str) -> None:
        self.pause(pause_moment(choice, datetime.now().astimezone()))

    def _on_sleeping(self, near: bool) -> None:
        if near:
            self._yielding.leave("The computer is going to sleep.")
        self._background.post(lambda background: background.sleep_is_near(near))

    def _on_asked(self, message: str) -> None:
        if message == QUIT:
            self.leave()
        else:
            self.open("" if message == "show" else message)

    def _say(self, words: str) -> None:
        """Something that the person asked for was done, or could not be."""
        if not words:
            return
        if self._feed is not None:
            self._feed.versions_changed.emit()
            self._feed.episodes_changed.emit()
        if self._windows is not None and self._windows.say(words):
            return
        now = datetime.now().astimezone()
        self._notifier.show(Notice(key=f"said:{now.isoformat()}", title="Allie", body=words, created_at=now))

    # --- windows ---

    def _all_windows(self) -> Windows | None:
        """Return the windows; None when they cannot be had, which is said."""
        if self._windows is None:
            from allie_desktop.ui.opening import Windows

            try:
                self._windows = Windows(self._app, self._backend, self, self._learning_feed())
                if self._standing is not None:
                    self._windows.set_standing(self._standing)
            except AllieError as error:
                say("Allie cannot open its window", str(error))
        return self._windows

    def _learning_feed(self) -> LearningFeed:
        if self._feed is None:
            from allie_desktop.ui.windows.feed import LearningFeed

            self._feed = LearningFeed(self)
            if self._episode is not None and self._episode_id:
                self._feed.begin(self._episode_id)
        return self._feed

    def _look_for_tray(self, patience_seconds: float) -> None:
        """Open the window when no tray comes: there must be a way to the program."""
        if self._tray.has_place:
            return
        if patience_seconds <= 0:
            self.open()
            return
        left = patience_seconds - _TRAY_LOOK_MS / 1000
        QTimer.singleShot(_TRAY_LOOK_MS, self, lambda: self._look_for_tray(left))

    def _ask(self, title: str, text: str, *, yes: str) -> bool:
        """Ask a question; return whether the answer was ``yes``."""
        box = _box(title, text)
        agree = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        return box.clickedButton() is agree


def say(title: str, text: str) -> None:
    """Say something in a window of its own, and wait until it is closed. GUI thread, also after :func:`run`."""
    box = _box(title, text)
    box.addButton(QMessageBox.StandardButton.Ok)
    box.exec()


def _box(title: str, text: str) -> QMessageBox:
    box = QMessageBox()
    box.setWindowTitle("Allie")
    box.setText(title)
    box.setInformativeText(text)
    return box


def run(
    backend: Backend, *, page: str | None = None, tray_patience_seconds: float = TRAY_PATIENCE_SECONDS
) -> int:
    """Run the tray application to its end and return the exit code. :func:`ui.screen_check.require_screen` comes
    first. ``page``: open the window there; None: stay in the tray."""
    instance = SingleInstance(backend.data_folder)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Allie")
    app.setApplicationDisplayName("Allie")
    app.setDesktopFileName("allie-desktop")
    app.setQuitOnLastWindowClosed(False)
    QLocale.setDefault(QLocale.system())
    if not instance.take():
        if instance.say(page or "show"):
            return 0
        raise AllieError(
            f"Another Allie (process {instance.holder() or 'unknown'}) is running, but does not answer.",
            "End that process, then start Allie again.",
        )
    sys.excepthook = _log_unexpected  # what goes wrong in a slot ends that slot, not the program
    application = Application(app, backend, instance)
    with _signals(application.leave):
        application.start(page=page, tray_patience_seconds=tray_patience_seconds)
        code = app.exec()
        ended = application.close()
    if not ended:
        logging.shutdown()
        os._exit(code)  # a thread that hangs must not bring the process down in Qt's own way
    return code


def say_to_running(backend: Backend, message: str) -> bool:
    """Say something to the running instance (a page, or ``quit``); False when there is none."""
    instance = SingleInstance(backend.data_folder)
    return instance.say(message)


class _signals:  # noqa: N801 - a context manager that reads as one
    """Let the system's signals end the program: Python's handlers run only when Python does, so a byte on a
    socket wakes the event loop."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._pair = socket.socketpair()
        self._before: dict[int, object] = {}
        self._old_fd = -1

    def __enter__(self) -> None:
        ours, theirs = self._pair
        ours.setblocking(False)
        theirs.setblocking(False)
        self._old_fd = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                self._before[number] = signal.signal(number, lambda *_: None)
        self._notifier = QSocketNotifier(ours.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._on_signal)

    def __exit__(self, *_: object) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        for end in self._pair:
            end.close()

    def _on_signal(self) -> None:
        with contextlib.suppress(OSError):
            self._pair[0].recv(64)
        self._leave()


def _log_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.error("Something went wrong", exc_info=(kind, error, trace))


def _in_an_hour() -> datetime | None:
    return pause_moment("hour", datetime.now().astimezone())


def _monotonic() -> float:
    import time

    return time.monotonic()

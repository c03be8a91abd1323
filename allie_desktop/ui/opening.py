"""Opening windows: made when they are first wanted, kept while the program runs. GUI thread."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSettings, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.preferences import Preferences
from allie_desktop.services.background import Standing
from allie_desktop.ui import autostart
from allie_desktop.ui.chat.drafts import FileDrafts
from allie_desktop.ui.chat.page import ChatPage
from allie_desktop.ui.chat.server import BackgroundServer
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.theme import ThemeKeeper
from allie_desktop.ui.windows.feed import LearningFeed, Status
from allie_desktop.ui.windows.first_run import FirstRun, is_due
from allie_desktop.ui.windows.main_window import MainWindow

if TYPE_CHECKING:
    from pathlib import Path

    from allie_desktop.ui.backend import Backend, Controls

_log = logging.getLogger(__name__)


class Windows(QObject):
    """The windows over one backend. Nothing of this is loaded before the first one is wanted."""

    def __init__(self, app: QApplication, backend: Backend, controls: Controls, feed: LearningFeed) -> None:
        super().__init__()
        self._backend = backend
        self._controls = controls
        self._feed = feed
        self._memory = QSettings(str(backend.data_folder / "windows.ini"), QSettings.Format.IniFormat, self)
        self._chat: ChatPage | None = None
        self._server: BackgroundServer | None = None
        self._main: MainWindow | None = None
        self._first: FirstRun | None = None
        self._services = backend.window_services(
            feed, controls, chat_page=self._chat_page, open_folder=_open_folder
        )
        self._theme = ThemeKeeper(app, self._services.preferences, self)
        self._services.preferences.observe(self._on_preferences)
        self._services.feed.conversations_changed.connect(controls.look_again)

    def main(self) -> MainWindow:
        """Return the main window, shown or not."""
        if self._main is None:
            self._main = MainWindow(self._services, memory=self._memory)
        return self._main

    def show_first_run(self) -> bool:
        """Show the window of the first run; False when it is not due."""
        if self._first is None:
            self._services.preferences.reload()
            if not is_due(self._services.preferences.current, self._memory):
                return False
            self._first = FirstRun(self._services, memory=self._memory)
            self._first.ended.connect(self._on_first_run_over)
        self._first.show()
        self._first.raise_()
        self._first.activateWindow()
        return True

    def set_standing(self, standing: Standing) -> None:
        """Say how things stand; what another thread changed is read again."""
        set_feed(self._feed, standing)
        try:
            self._services.preferences.reload()
        except AllieError as error:
            _log.warning("The preferences cannot be read: %s", error)

    def say(self, words: str) -> bool:
        """Say something in the main window, where it is in sight."""
        if self._main is None or not self._main.isActiveWindow():
            return False
        self._main.toast.say(words)
        return True

    def close(self) -> None:
        """Before the program ends."""
        if self._chat is not None:
            self._chat.shut()
        for window in (self._main, self._first):
            if window is not None:
                window.hide()
        self._theme.stop()

    # --- inside ---

    def _chat_page(self, parent: QWidget) -> QWidget:
        if self._server is None:
            self._server = BackgroundServer(self._backend.chat_process, self)
        self._chat = ChatPage(
            server=self._server,
            open_library=self._backend.open_library,
            drafts=FileDrafts(self._backend.data_folder / "drafts.json"),
            parent=parent,
        )
        return self._chat

    def _on_preferences(self, preferences: Preferences, names: frozenset[str]) -> None:
        if "start_at_login" in names:
            try:
                autostart.of_this_system(self._backend.command).set_on(preferences.start_at_login)
            except AllieError as error:
                if not self.say(str(error)):
                    _log.warning("%s", error)
        self._controls.look_again()

    def _on_first_run_over(self, done: bool) -> None:
        first, self._first = self._first, None
        if first is not None:
            first.deleteLater()
        self._controls.look_again()
        if done:
            self.main().bring_forward()


def set_feed(feed: LearningFeed, standing: Standing) -> None:
    """Tell windows how things stand."""
    feed.set_status(
        Status(
            state=TrayState(standing.mood.value),
            headline=standing.headline,
            notes=(*(alert.message for alert in standing.alerts), *standing.notes),
            can_learn_now=not standing.running,
            paused=standing.paused,
        )
    )


def _open_folder(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

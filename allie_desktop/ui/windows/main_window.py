"""The main window: a sidebar, and one page at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QCoreApplication, QSettings, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import icons
from allie_desktop.ui.presenters import language
from allie_desktop.ui.windows.pieces import empty_state
from allie_desktop.ui.windows.services import WindowServices
from allie_desktop.ui.windows.sidebar import Sidebar
from allie_desktop.ui.windows.toast import Toast

if TYPE_CHECKING:
    from allie_desktop.ui.windows.first_run import FirstRun

CHAT, HISTORY, VERSIONS, PRIVACY, SETTINGS = "chat", "history", "versions", "privacy", "settings"
_EPISODE, _DIARY = "episode", "diary"

_log = logging.getLogger(__name__)

#: Pause between two small steps of making the pages that nobody looked at yet.
_AHEAD_MS = 100


class MainWindow(QMainWindow):
    """Pages are made when they are first shown, or a little at a time while the window is open: all at once they
    would hold up the thread for longer than is felt. Closing the window only hides it, where the program goes
    on in the tray; ``on_close`` is called then. GUI thread.

    ``memory`` keeps the window's place between two starts; None: it is forgotten.
    """

    def __init__(
        self,
        services: WindowServices,
        *,
        on_close: Callable[[], None] | None = None,
        memory: QSettings | None = None,
    ) -> None:
        super().__init__()
        language.install(QCoreApplication.translate)
        self._services = services
        self._on_close = on_close
        self._memory = memory
        self._pages: dict[str, QWidget] = {}
        self._first_run: FirstRun | None = None
        self.setObjectName("allie-main")
        self.setWindowTitle("Allie")
        self.setWindowIcon(icons.app_icon())
        self.setMinimumSize(QSize(820, 560))
        self.resize(1080, 740)
        self._makers: dict[str, Callable[[], QWidget]] = {
            CHAT: self._make_chat,
            HISTORY: self._make_history,
            VERSIONS: self._make_versions,
            PRIVACY: self._make_privacy,
            SETTINGS: self._make_settings,
        }
        names = (
            (CHAT, self.tr("Chat"), "chat"),
            (HISTORY, self.tr("History"), "history"),
            (VERSIONS, self.tr("Versions"), "versions"),
            (PRIVACY, self.tr("Privacy"), "privacy"),
            (SETTINGS, self.tr("Settings"), "settings"),
        )
        self.sidebar = Sidebar(services, names)
        self.sidebar.went.connect(self.show_page)
        self.sidebar.set_up.connect(self.show_first_run)
        self._steps = self._ahead_steps()
        self._ahead = QTimer(self)
        self._ahead.setInterval(_AHEAD_MS)
        self._ahead.timeout.connect(self._make_ahead)
        self._stack = QStackedWidget()
        self._stack.setProperty("role", "pages")
        middle = QWidget()
        layout = QHBoxLayout(middle)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.sidebar)
        layout.addWidget(self._stack, 1)
        self.setCentralWidget(middle)
        self.toast = Toast(self)
        for number, (name, _, _) in enumerate(names, start=1):
            self._shortcut(f"Ctrl+{number}", partial(self.show_page, name))
        self._shortcut("Ctrl+W", self.close)
        self._shortcut("Esc", self._on_escape)
        self._shortcut("Ctrl+,", lambda: self.show_page(SETTINGS))
        self._restore()

    # --- pages ---

    @property
    def page(self) -> QWidget | None:
        """The page that is shown."""
        return self._stack.currentWidget()

    def show_page(self, name: str) -> QWidget:
        """Turn to a page (:data:`CHAT`, …), making it if need be, and give it the keyboard."""
        page = self._made(name)
        self._stack.setCurrentWidget(page)
        self.sidebar.show_page(name)
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        focused: QWidget | None = self.focusWidget()
        if focused is None or not page.isAncestorOf(focused):
            self.sidebar.buttons[name].setFocus(Qt.FocusReason.OtherFocusReason)
        return page

    def _made(self, name: str) -> QWidget:
        if name not in self._pages:
            page = self._makers[name]()
            self._pages[name] = page
            self._stack.addWidget(page)
        return self._pages[name]

    def _make_ahead(self) -> None:
        if next(self._steps, None) is None:
            self._ahead.stop()

    def _ahead_steps(self) -> Iterator[str]:
        """Make one page after the other, then work out its style, in steps of some milliseconds."""
        for name in (HISTORY, VERSIONS, PRIVACY, SETTINGS):
            try:
                page = self._made(name)
            except AllieError as error:
                _log.info("the page %s could not be made ahead: %s", name, error)
                continue
            yield name
            for child in page.findChildren(QWidget):
                child.ensurePolished()
            yield name

    def show_episode(self, episode_id: str) -> None:
        """Show one episode, over the history."""
        from allie_desktop.ui.windows.episode_page import EpisodePage

        try:
            page = EpisodePage(self._services, episode_id)
        except AllieError as error:
            self.toast.say(str(error))
            return
        page.back.connect(lambda: self.show_page(HISTORY))
        page.said.connect(self.toast.say)
        self._show_over_history(_EPISODE, page)

    def show_diary(self) -> None:
        """Show what was decided about learning, over the history."""
        from allie_desktop.ui.windows.diary_page import DiaryPage

        page = DiaryPage(self._services.decisions, self._services.clock)
        page.back.connect(lambda: self.show_page(HISTORY))
        self._show_over_history(_DIARY, page)

    def _show_over_history(self, name: str, page: QWidget) -> None:
        """Show a page that is made anew each time."""
        old = self._pages.pop(name, None)
        self._pages[name] = page
        self._stack.addWidget(page)
        self._stack.setCurrentWidget(page)
        self.sidebar.show_page(HISTORY)
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        if old is not None:
            self._stack.removeWidget(old)
            old.deleteLater()

    def show_first_run(self) -> FirstRun:
        """Show the first run over this window; return it."""
        from allie_desktop.ui.windows.first_run import FirstRun

        if self._first_run is None:
            self._first_run = FirstRun(self._services, memory=self._memory, parent=self)
            self._first_run.ended.connect(self._on_first_run_ended)
        self._first_run.show()
        self._first_run.raise_()
        return self._first_run

    def _on_first_run_ended(self, done: bool) -> None:
        if self._first_run is not None:
            self._first_run.deleteLater()
            self._first_run = None
        if done:
            self.show_page(CHAT)

    def bring_forward(self, page: str = "") -> None:
        """Show the window over all others, at ``page`` or where it was."""
        if page or self.page is None:
            self.show_page(page or CHAT)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()

    def _make_chat(self) -> QWidget:
        if self._services.chat_page is None:
            return empty_state(
                "chat", self.tr("No chat here"), self.tr("This installation of Allie has no chat window.")
            )
        return self._services.chat_page(self)

    def _make_history(self) -> QWidget:
        from allie_desktop.ui.windows.history_page import HistoryPage

        page = HistoryPage(self._services, self._stack)
        page.chosen.connect(self.show_episode)
        page.diary.connect(self.show_diary)
        return page

    def _make_versions(self) -> QWidget:
        from allie_desktop.ui.windows.versions_page import VersionsPage

        page = VersionsPage(self._services, self._stack)
        page.said.connect(self.toast.say)
        page.episode_chosen.connect(self.show_episode)
        return page

    def _make_privacy(self) -> QWidget:
        from allie_desktop.ui.windows.privacy_page import PrivacyPage

        page = PrivacyPage(self._services, self._stack)
        page.said.connect(self.toast.say)
        return page

    def _make_settings(self) -> QWidget:
        from allie_desktop.ui.windows.settings_page import SettingsPage

        return SettingsPage(self._services.preferences, self._stack)

    # --- the window ---

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Never show an empty window."""
        if self.page is None:
            self.show_page(CHAT)
        self._ahead.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Make nothing that nobody can look at."""
        self._ahead.stop()
        super().hideEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Remember the place; hide where the program goes on."""
        if self._memory is not None:
            self._memory.setValue("main-window/geometry", self.saveGeometry())
            self._memory.sync()
        super().closeEvent(event)
        if self._on_close is not None:
            self._on_close()

    def _restore(self) -> None:
        known = None if self._memory is None else self._memory.value("main-window/geometry")
        if isinstance(known, QByteArray) and not self.restoreGeometry(known):
            _log.info("The window's old place cannot be used")

    def _on_escape(self) -> None:
        if self._stack.currentWidget() in (self._pages.get(_EPISODE), self._pages.get(_DIARY)):
            self.show_page(HISTORY)
        else:
            self.close()

    def _shortcut(self, keys: str, do: Callable[[], object]) -> None:
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.activated.connect(lambda: do())  # noqa: PLW0108 - what it returns is nobody's business


__all__ = ["CHAT", "HISTORY", "PRIVACY", "SETTINGS", "VERSIONS", "MainWindow"]

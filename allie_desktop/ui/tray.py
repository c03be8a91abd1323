"""The icon in the tray and its menu."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from allie_desktop.services.background import Mood, Standing
from allie_desktop.services.yielding import Stage
from allie_desktop.ui.backend import CHAT, HISTORY, SETTINGS
from allie_desktop.ui.icons import TrayState, tray_icon

#: The pauses of the menu; :func:`services.background.pause_moment` knows what they mean.
PAUSES = (("hour", "For 1 hour"), ("tomorrow", "Until tomorrow"), ("resumed", "Until resumed"))

_LONGEST_LINE = 60


class Tray(QObject):
    """Shows how things stand and passes on what the person chooses. GUI thread.

    It never asks where the icon is: with most hosts nobody knows.
    """

    learn_now = Signal()
    stop = Signal()
    pause = Signal(str)
    resume = Signal()
    page = Signal(str)
    leave = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[TrayState, int] | None = None
        self._standing: Standing | None = None
        self._progress = 0.0
        self._detail = ""
        self._menu = QMenu()
        self._menu.setToolTipsVisible(True)
        self._status = self._add("Starting…", lambda: self.page.emit(HISTORY))
        self._more = self._add("", lambda: self.page.emit(HISTORY))
        self._more.setVisible(False)
        self._menu.addSeparator()
        self._learn = self._add("Learn now", self.learn_now.emit)
        self._stop = self._add("Stop learning", self.stop.emit)
        self._pauses = self._menu.addMenu("Pause")
        for name, label in PAUSES:
            self._pauses.addAction(label).triggered.connect(partial(self._on_pause, name))
        self._resume = self._add("Resume", self.resume.emit)
        self._menu.addSeparator()
        for name, label in ((CHAT, "Chat"), (HISTORY, "History"), (SETTINGS, "Settings")):
            self._add(label, lambda chosen=name: self.page.emit(chosen))
        self._menu.addSeparator()
        self._add("Quit Allie", self.leave.emit)
        # An open menu that grew would reach over the edge of the screen.
        self._menu.aboutToHide.connect(self._arrange_when_closed)
        self._icon = QSystemTrayIcon(self)
        self._icon.setContextMenu(self._menu)
        self._icon.activated.connect(self._on_activated)
        self._draw()
        self._arrange()

    def show(self) -> None:
        """Put the icon into the tray, or into the first tray that comes."""
        self._icon.show()

    def hide(self) -> None:
        """Take it out."""
        self._icon.hide()

    @property
    def has_place(self) -> bool:
        """Whether there is a tray now."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def set_standing(self, standing: Standing) -> None:
        """Say how things stand."""
        self._standing = standing
        if not standing.running:
            self._progress, self._detail = 0.0, ""
        self._draw()
        self._arrange()

    def set_progress(self, share: float, words: str) -> None:
        """Say how far the running episode is: a share in [0, 1], and words like "Checking · 2:10 left"."""
        self._progress, self._detail = share, words
        self._draw()
        self._arrange()

    def show_message(self, title: str, body: str) -> None:
        """Have the platform show a message: for Windows and macOS, whose trays can."""
        self._icon.showMessage(title, body, QSystemTrayIcon.MessageIcon.Information)

    @property
    def status_line(self) -> str:
        """The first line of the menu."""
        return self._status.text()

    # --- inside ---

    def _add(self, label: str, act: object) -> QAction:
        action = self._menu.addAction(label)
        action.triggered.connect(lambda _checked=False: act())  # type: ignore[operator]
        return action

    def _draw(self) -> None:
        mood = Mood.IDLE if self._standing is None else self._standing.mood
        state = TrayState(mood.value)
        # As fine as the icon itself: each other picture is sent to the panel.
        step = round(48 * self._progress) if state is TrayState.LEARNING else 0
        if self._shown != (state, step):
            self._shown = state, step
            self._icon.setIcon(tray_icon(state, self._progress))

    def _arrange_when_closed(self) -> None:
        QTimer.singleShot(0, self, self._arrange)

    def _arrange(self) -> None:
        if self._menu.isVisible():
            return
        standing = self._standing
        running = standing is not None and standing.running
        learning = running and standing is not None and standing.stage is Stage.RUNNING
        headline = "Starting…" if standing is None else standing.headline
        line = self._detail if learning and self._detail else headline
        _set_text(self._status, _short(line))
        more = ""
        if standing is not None and standing.alerts and standing.alerts[0].message != headline:
            more = _short(standing.alerts[0].message)
        _set_text(self._more, more)
        _set_visible(self._more, bool(more))
        _set_visible(self._learn, not running)
        _set_visible(self._stop, running)
        paused = standing is not None and standing.paused
        _set_visible(self._pauses.menuAction(), not paused)
        _set_visible(self._resume, paused)
        tip = f"Allie — {_short(line)}"
        if self._icon.toolTip() != tip:
            self._icon.setToolTip(tip)

    def _on_pause(self, name: str, *_: object) -> None:
        self.pause.emit(name)

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (
            QSystemTrayIcon.ActivationReason.Trigger,
            QSystemTrayIcon.ActivationReason.DoubleClick,
        ):
            self.page.emit("")


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def _set_text(action: QAction, text: str) -> None:
    if action.text() != text:
        action.setText(text)


def _set_visible(action: QAction, visible: bool) -> None:
    if action.isVisible() != visible:
        action.setVisible(visible)

"""The side of the main window: where to go, and how things stand."""

from __future__ import annotations

from datetime import datetime, timedelta

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QMenu, QProgressBar, QVBoxLayout

from allie_desktop.domain.settings import Preferences
from allie_desktop.ui import theme
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.presenters.live import LiveView
from allie_desktop.ui.windows.feed import Status
from allie_desktop.ui.windows.pieces import IconButton, Picture, ScaledIcon, button, column, frame, row, text
from allie_desktop.ui.windows.services import WindowServices

_WIDTH = 252

#: What the dot beside the status is, and in which colour.
_PICTURES = {
    TrayState.IDLE: ("done", "success"),
    TrayState.WAITING: ("clock", "text_soft"),
    TrayState.LEARNING: ("spark", "accent"),
    TrayState.PAUSED: ("pause", "warning"),
    TrayState.ATTENTION: ("warning", "danger"),
}


class Sidebar(QFrame):
    """Emits ``went`` with a page's name. GUI thread."""

    went = Signal(str)
    set_up = Signal()  # the person wants to finish the first run

    def __init__(self, services: WindowServices, pages: tuple[tuple[str, str, str], ...]) -> None:
        """``pages``: name, words and icon of each."""
        super().__init__()
        self.setProperty("role", "sidebar")
        self.setAccessibleName(self.tr("Navigation"))
        self.setFixedWidth(_WIDTH)
        self._services = services
        self.buttons: dict[str, IconButton] = {}
        brand = row(ScaledIcon.brand(30), text("Allie", "brand", wrap=False), 1, spacing=theme.SPACE_2 + 2)
        brand.setContentsMargins(theme.SPACE_2, 0, 0, theme.SPACE_3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_4, theme.SPACE_3, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_1)
        layout.addLayout(brand)
        self._group = QButtonGroup(self)
        for number, (name, words, icon) in enumerate(pages, start=1):
            made = IconButton(f"  {words}", icon, "nav")
            made.setCheckable(True)
            made.setAccessibleName(words)
            made.setToolTip(self.tr("{page} (Ctrl+{number})").format(page=words, number=number))
            made.clicked.connect(lambda _checked=False, page=name: self.went.emit(page))
            self._group.addButton(made)
            self.buttons[name] = made
            layout.addWidget(made)
        layout.addStretch(1)
        layout.addWidget(self._make_status())
        services.feed.status_changed.connect(self._show_status)
        services.feed.live_changed.connect(self._show_live)
        self._show_status(services.feed.status)
        self._show_live(services.feed.live)
        end = services.preferences.observe(self._on_preferences)
        self.destroyed.connect(lambda: end())  # noqa: PLW0108 - the signal has an argument

    def show_page(self, name: str) -> None:
        """Mark the page that is shown."""
        if name in self.buttons:
            self.buttons[name].setChecked(True)

    def _make_status(self) -> QFrame:
        self._picture = Picture("clock", "text_soft", 18)
        self._headline = text("", "subheading")
        self._notes = text("", "small")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.setAccessibleName(self.tr("Progress of the episode"))
        self._left = text("", "small")
        self.learn_button = button(self.tr("Learn now"), self._services.learn_now, "primary")
        self.pause_button = button(self.tr("Pause"), self._nothing)
        self.pause_menu = self._make_pause_menu()
        self.pause_button.setMenu(self.pause_menu)
        self.pause_button.setProperty("menu", "true")
        self.resume_button = button(self.tr("Resume"), self._services.resume, "primary")
        self.set_up_button = button(self.tr("Set up learning…"), self.set_up.emit, "primary")
        head = row(self._picture, self._headline, spacing=theme.SPACE_2)
        head.setStretch(1, 1)
        inside = column(
            head,
            self._notes,
            self._bar,
            self._left,
            row(
                self.learn_button,
                self.resume_button,
                self.set_up_button,
                self.pause_button,
                spacing=theme.SPACE_2,
            ),
            spacing=theme.SPACE_2,
        )
        card = frame("card", inside, margins=theme.SPACE_3)
        card.setAccessibleName(self.tr("Status"))
        return card

    def _make_pause_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setAccessibleName(self.tr("Pause learning"))
        menu.addAction(self.tr("For an hour"), lambda: self._services.pause(self._now() + timedelta(hours=1)))
        menu.addAction(self.tr("Until tomorrow morning"), lambda: self._services.pause(self._tomorrow()))
        menu.addAction(self.tr("Until I resume it"), lambda: self._services.pause(None))
        return menu

    def _show_status(self, status: Status) -> None:
        icon, color_name = _PICTURES[status.state]
        self._picture.show_icon(icon, color_name)
        headline = status.headline or self.tr("All is well")
        self._headline.setText(headline)
        self._notes.setText("\n".join(status.notes[:2]))
        self._notes.setVisible(bool(status.notes))
        learning = status.state is TrayState.LEARNING
        allowed = self._services.preferences.current.consent_given
        self.set_up_button.setVisible(not allowed)
        self.learn_button.setVisible(allowed and not learning and not status.paused)
        self.learn_button.setEnabled(status.can_learn_now)
        self.pause_button.setVisible(allowed and not status.paused)
        self.resume_button.setVisible(allowed and status.paused)

    def _show_live(self, view: LiveView | None) -> None:
        self._bar.setVisible(view is not None)
        self._left.setVisible(view is not None and bool(view.left))
        if view is not None:
            self._bar.setValue(round(1000 * view.share))
            self._left.setText(view.left)

    def _on_preferences(self, _preferences: Preferences, names: frozenset[str]) -> None:
        if "consent_given" in names:
            self._show_status(self._services.feed.status)

    def _now(self) -> datetime:
        return self._services.clock.now().astimezone()

    def _tomorrow(self) -> datetime:
        return (self._now() + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)

    def _nothing(self) -> None:
        """The menu does it."""

"""A short message at the bottom of a window, for a few seconds, with at most one thing to do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent
from PySide6.QtWidgets import QFrame, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.windows.pieces import button, row, text

#: Long enough to be read twice; one with something to do stays longer.
_SHOWN_MS, _SHOWN_WITH_ACTION_MS = 5_000, 10_000


class Toast(QFrame):
    """One at a time over a window's lower edge; a new message takes the place of the old."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.setProperty("role", "toast")
        self.setAccessibleName(self.tr("Message"))
        self._label = text("")
        self._label.setMaximumWidth(460)
        self._action = button("", self._on_action)
        self._do: Callable[[], None] | None = None
        layout = row(self._label, self._action, spacing=theme.SPACE_3)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        self.setLayout(layout)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        window.installEventFilter(self)
        self.hide()

    def say(self, words: str, *, action: str = "", do: Callable[[], None] | None = None) -> None:
        """Show a sentence, and read it aloud where somebody listens."""
        self._do = do
        self._label.setText(words)
        self._action.setText(action)
        self._action.setAccessibleName(action or self.tr("Nothing to do"))
        self._action.setVisible(do is not None)
        self._label.setMinimumWidth(min(460, self._label.fontMetrics().horizontalAdvance(words) + 8))
        self.adjustSize()
        self._place()
        self.show()
        self.raise_()
        self._timer.start(_SHOWN_MS if do is None else _SHOWN_WITH_ACTION_MS)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    @property
    def words(self) -> str:
        """What it says or said last."""
        return self._label.text()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stay in place when the window changes its size."""
        if event.type() is QEvent.Type.Resize and self.isVisible():
            self._place()
        return bool(super().eventFilter(watched, event))

    def _place(self) -> None:
        window = self._window
        x = (window.width() - self.width()) // 2
        self.move(max(theme.SPACE_2, x), window.height() - self.height() - theme.SPACE_5)

    def _on_action(self) -> None:
        self.hide()
        if self._do is not None:
            self._do()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Escape closes it."""
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
        else:
            super().keyPressEvent(event)

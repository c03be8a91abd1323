"""Small controls that the parts of the chat window share: icon buttons and the dots of a reply to come."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QToolButton, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.icons import icon

_DOTS_MILLISECONDS = 320


class IconButton(QToolButton):
    """A button that is an icon. ``name`` is its tooltip and what a screen reader says."""

    def __init__(self, picture: str, name: str, parent: QWidget | None = None, *, size: int = 30) -> None:
        super().__init__(parent)
        self.setObjectName("iconButton")
        self._picture = picture
        self._color = "text_soft"
        self.setFixedSize(size, size)
        self.setIconSize(QSize(18, 18))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.rename(name)
        self.restyle()

    def rename(self, name: str) -> None:
        """Change what it is called."""
        self.setToolTip(name)
        self.setAccessibleName(name)

    def show_picture(self, picture: str, color: str = "text_soft") -> None:
        """Show another icon, in the colour of a token."""
        if (picture, color) != (self._picture, self._color):
            self._picture, self._color = picture, color
            self.restyle()

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self.setIcon(icon(self._picture, getattr(theme.current(), self._color), 18))


class Dots(QWidget):
    """Three dots that say: a reply is coming."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(40, 22)
        self._step = 0
        self._timer = QTimer(self)
        self._timer.setInterval(_DOTS_MILLISECONDS)
        self._timer.timeout.connect(self._on_step)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Move while seen."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Rest while unseen."""
        super().hideEvent(event)
        self._timer.stop()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the dots."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for place in range(3):
            color = theme.current().color("accent")
            color.setAlphaF(1.0 if place == self._step else 0.35)
            painter.setBrush(color)
            painter.drawEllipse(2 + place * 12, 8, 7, 7)
        painter.end()

    def _on_step(self) -> None:
        self._step = (self._step + 1) % 3
        self.update()

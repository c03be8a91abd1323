"""A switch: on or off, at once."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox, QWidget

from allie_desktop.ui import theme

_WIDTH, _HEIGHT, _FRAME = 38, 22, 3


class Switch(QCheckBox):
    """A check box that looks like a switch; for keyboards and screen readers it is a check box."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return its one size."""
        return QSize(_WIDTH + 2 * _FRAME, _HEIGHT + 2 * _FRAME)

    minimumSizeHint = sizeHint  # noqa: N815 - Qt's name

    def hitButton(self, place: object) -> bool:  # noqa: N802, ARG002 - Qt's name; all of it takes clicks
        """Return that a click anywhere on it counts."""
        return True

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint the switch."""
        colors = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - _HEIGHT) / 2
        track = QRectF(_FRAME, top, _WIDTH, _HEIGHT)
        on = self.isChecked()
        if not self.isEnabled():
            ground, knob, rim = colors.hover, colors.text_faint, colors.border
        elif on:
            ground, knob, rim = colors.accent, colors.on_accent, colors.accent
        else:
            ground, knob, rim = colors.surface, colors.border_strong, colors.border_strong
        painter.setPen(QPen(QColor(rim), 1.5))
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(track.adjusted(0.75, 0.75, -0.75, -0.75), _HEIGHT / 2, _HEIGHT / 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(knob))
        center = QPointF(
            track.right() - _HEIGHT / 2 if on else track.left() + _HEIGHT / 2, track.center().y()
        )
        painter.drawEllipse(center, _HEIGHT / 2 - 5, _HEIGHT / 2 - 5)
        if self.hasFocus():
            painter.setPen(QPen(colors.color("text"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            around = track.adjusted(-2, -2, 2, 2)
            painter.drawRoundedRect(around, _HEIGHT / 2 + 2, _HEIGHT / 2 + 2)

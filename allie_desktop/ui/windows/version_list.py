"""The lineage as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from allie_desktop.ui import theme
from allie_desktop.ui.presenters.versions import VersionRow

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
_MARGIN, _RAIL = 14, 12

_Index = QModelIndex | QPersistentModelIndex


class VersionModel(QAbstractListModel):
    """Newest first, the base model last."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[VersionRow, ...] = ()

    @property
    def rows(self) -> tuple[VersionRow, ...]:
        """All of them."""
        return self._rows

    def show_rows(self, rows: Sequence[VersionRow]) -> None:
        """Show these."""
        self.beginResetModel()
        self._rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802 - Qt's name
        """Return how many there are."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return a version, or its words."""
        if not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        if role in {int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.AccessibleTextRole)}:
            return ", ".join(
                part for part in (row.title, *(b for b, _ in row.badges), row.detail, row.when) if part
            )
        return None


class VersionDelegate(QStyledItemDelegate):
    """A rail of dots at the left, the version's name, its badges and what it brought."""

    def sizeHint(self, option: QStyleOptionViewItem, _index: _Index) -> QSize:  # noqa: N802 - Qt's name
        """Return a height for two lines."""
        metrics = QFontMetrics(option.font)
        return QSize(260, 2 * metrics.height() + 28)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """Paint a line."""
        row = index.data(ROW_ROLE)
        if not isinstance(row, VersionRow):
            return
        colors = theme.current()
        area: QRect = option.rect
        state = option.state
        font: QFont = option.font
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        inner = QRectF(area).adjusted(4, 2, -4, -2)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color("accent_soft" if selected else "sunken"))
            painter.drawRoundedRect(inner, 8, 8)
        if selected and state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(colors.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(inner, 8, 8)
        self._draw_rail(painter, row, area, index)
        self._draw_words(painter, row, area, font)
        painter.restore()

    @staticmethod
    def _draw_rail(painter: QPainter, row: VersionRow, area: QRect, index: _Index) -> None:
        colors = theme.current()
        x, y = area.left() + _MARGIN + _RAIL / 2, area.center().y() + 0.5
        painter.setPen(QPen(colors.color("border_strong"), 1.5))
        if index.row() > 0:
            painter.drawLine(QPointF(x, area.top()), QPointF(x, y - 7))
        if index.row() < index.model().rowCount() - 1:
            painter.drawLine(QPointF(x, y + 7), QPointF(x, area.bottom() + 1))
        color = "success" if row.active else "border_strong"
        painter.setPen(QPen(colors.color(color), 2))
        painter.setBrush(colors.color(color if row.active else "surface"))
        painter.drawEllipse(QPointF(x, y), 5, 5)

    @staticmethod
    def _draw_words(painter: QPainter, row: VersionRow, area: QRect, font: QFont) -> None:
        colors = theme.current()
        bold, small = QFont(font), QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        small.setPointSizeF(font.pointSizeF() * 0.9)
        strong, plain = QFontMetrics(bold), QFontMetrics(small)
        left = area.left() + 2 * _MARGIN + _RAIL
        right = area.right() - _MARGIN
        first = area.top() + 13 + strong.ascent()
        painter.setFont(bold)
        painter.setPen(colors.color("text"))
        painter.drawText(left, first, row.title)
        x = left + strong.horizontalAdvance(row.title) + 10
        painter.setFont(small)
        for words, tone in row.badges:
            width = plain.horizontalAdvance(words) + 16
            if x + width > right:
                break
            box = QRectF(x, first - strong.ascent() - 1, width, plain.height() + 4)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color(f"{tone}_soft" if tone else "sunken"))
            painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
            painter.setPen(colors.color(tone or "text_soft"))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
            x += width + 6
        painter.setPen(colors.color("text_soft"))
        second = first + plain.height() + 6
        detail = " · ".join(part for part in (row.when, row.detail) if part)
        painter.drawText(left, second, plain.elidedText(detail, Qt.TextElideMode.ElideRight, right - left))

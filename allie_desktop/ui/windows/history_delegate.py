"""How a line of the history is painted."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from allie_desktop.ui import icons, theme
from allie_desktop.ui.presenters.episodes import EpisodeRow
from allie_desktop.ui.windows.history_model import ROW_ROLE

_ICON, _MARGIN = 22, 14


class HistoryDelegate(QStyledItemDelegate):
    """Icon, verdict and its reason at the left; version, material and date at the right."""

    _TONES: ClassVar = {"success": "success", "warning": "warning", "danger": "danger", "accent": "accent"}

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        """Return a height for two lines of text."""
        metrics = QFontMetrics(option.font)
        return QSize(320, 2 * metrics.height() + 24)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint a line."""
        row = index.data(ROW_ROLE)
        if not isinstance(row, EpisodeRow):
            return
        colors = theme.current()
        area: QRect = option.rect
        state = option.state
        font: QFont = option.font
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colors.color("accent_soft" if selected else "sunken"))
            painter.drawRoundedRect(QRectF(area).adjusted(4, 2, -4, -2), 8, 8)
        if selected and state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(colors.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(area).adjusted(4, 2, -4, -2), 8, 8)
        if index.row() and not selected:
            painter.setPen(QPen(colors.color("border"), 1))
            painter.drawLine(
                QPointF(area.left() + 2 * _MARGIN + _ICON, area.top() + 0.5),
                QPointF(area.right() - _MARGIN, area.top() + 0.5),
            )
        ratio = painter.device().devicePixelRatio()
        tone = getattr(colors, self._TONES.get(row.tone, "text_soft"))
        picture = icons.pixmap(row.icon, tone, _ICON, ratio)
        painter.drawPixmap(QPointF(area.left() + _MARGIN, area.center().y() - _ICON / 2 + 1), picture)
        self._draw_words(painter, row, area, font)
        painter.restore()

    @staticmethod
    def _draw_words(painter: QPainter, row: EpisodeRow, area: QRect, font: QFont) -> None:
        colors = theme.current()
        bold = QFont(font)
        bold.setWeight(QFont.Weight.DemiBold)
        small = QFont(font)
        small.setPointSizeF(font.pointSizeF() * 0.92)
        strong, plain = QFontMetrics(bold), QFontMetrics(small)
        left = area.left() + 2 * _MARGIN + _ICON
        right = area.right() - _MARGIN - 6
        first = area.top() + 12 + strong.ascent()
        second = first + plain.height() + 3
        when = f"{row.day}, {row.clock}"
        material = " · ".join(part for part in (row.material, row.version) if part)
        when_width, material_width = plain.horizontalAdvance(when), plain.horizontalAdvance(material)
        painter.setFont(bold)
        painter.setPen(colors.color("text"))
        room = right - left - when_width - 16
        painter.drawText(left, first, strong.elidedText(row.verdict, Qt.TextElideMode.ElideRight, room))
        painter.setFont(small)
        painter.setPen(colors.color("text_soft"))
        painter.drawText(right - when_width, first, when)
        painter.drawText(right - material_width, second, material)
        room = right - left - material_width - 16
        painter.drawText(left, second, plain.elidedText(row.detail, Qt.TextElideMode.ElideRight, room))

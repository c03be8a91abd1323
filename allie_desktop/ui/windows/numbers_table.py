"""A table of numbers that is as high as its rows and can be read with the keyboard."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

#: What the style sheet takes of a cell's width, and a little more.
_PADDING = 30


class NumbersTable(QTableWidget):
    """First column words, the others numbers at the right. Never scrolls."""

    def __init__(self, name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(len(rows), len(head))
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(list(head))
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for number, row in enumerate(rows):
            for place, words in enumerate(row):
                item = QTableWidgetItem(words)
                if place:
                    item.setTextAlignment(right)
                self.setItem(number, place, item)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for place in range(1, len(head)):
            title = self.horizontalHeaderItem(place)
            if title is not None:
                title.setTextAlignment(right)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._fit)
        header.sectionResized.connect(lambda *_: self._later.start())
        self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the height of all rows."""
        height = self.horizontalHeader().sizeHint().height() + sum(
            map(self.rowHeight, range(self.rowCount()))
        )
        return QSize(300, height + 2 * self.frameWidth() + 4)

    minimumSizeHint = sizeHint  # noqa: N815 - Qt's name

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Give wrapped rows their height."""
        super().resizeEvent(event)
        self._later.start()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Measure again in another font."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._fit()

    def _fit(self) -> None:
        # By hand: Qt measures a wrapped cell without the padding that the style sheet gives it.
        metrics, room = self.fontMetrics(), QRect(0, 0, max(40, self.columnWidth(0) - _PADDING), 10_000)
        for number in range(self.rowCount()):
            item = self.item(number, 0)
            words = "" if item is None else item.text()
            self.setRowHeight(
                number, metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, words).height() + 16
            )
        self.updateGeometry()

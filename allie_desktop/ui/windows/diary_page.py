"""The diary: when Allie learnt or waited, and why."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import Clock, DecisionRepository
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.decisions import DecisionRow, decision_row
from allie_desktop.ui.windows.pieces import button, empty_state, row, text

#: Some days of an ordinary life; what is older is in the store, and hardly anybody asks.
SHOWN_DECISIONS = 200


class DiaryPage(QWidget):
    """Read once, when it is made; ``back`` when the person wants the history. GUI thread."""

    back = Signal()

    def __init__(self, decisions: DecisionRepository, clock: Clock, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAccessibleName(self.tr("Why it learnt or waited"))
        back_button = button(
            self.tr("History"), self.back.emit, "link", icon="back", name=self.tr("Back to the history")
        )
        self.view = _table(self.tr("Decisions, newest first"))
        self.view.setHorizontalHeaderLabels([self.tr("Since"), self.tr("Decision"), self.tr("Why")])
        empty = empty_state(
            "history",
            self.tr("Nothing decided yet"),
            self.tr(
                "A line appears here whenever Allie begins to learn or to wait, and whenever the reason changes."
            ),
        )
        self._broken = text("", "error")
        self._broken.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        for page in (self.view, empty, self._broken):
            self._stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_5, theme.SPACE_6, theme.SPACE_5)
        layout.setSpacing(theme.SPACE_4)
        layout.addLayout(row(back_button, 1))
        layout.addWidget(text(self.tr("Why it learnt or waited"), "title", wrap=False))
        layout.addWidget(self._stack, 1)
        try:
            now = clock.now()
            rows = [decision_row(one, now) for one in decisions.latest(limit=SHOWN_DECISIONS)]
        except AllieError as error:
            self._broken.setText(str(error))
            self._stack.setCurrentWidget(self._broken)
        else:
            self._fill(rows)
            self._stack.setCurrentWidget(self.view if rows else empty)
        self.setFocusProxy(self.view if self._stack.currentWidget() is self.view else back_button)

    def _fill(self, rows: list[DecisionRow]) -> None:
        self.view.setRowCount(len(rows))
        top = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        for number, one in enumerate(rows):
            for place, words in enumerate((one.when, one.decision, one.why)):
                item = QTableWidgetItem(words)
                item.setTextAlignment(top)
                self.view.setItem(number, place, item)
        if rows:
            self.view.setCurrentCell(0, 0)


def _table(name: str) -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setAccessibleName(name)
    table.setShowGrid(False)
    table.setWordWrap(True)
    table.setTabKeyNavigation(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
    return table

"""The person's conversations as a table, read a page at a time."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from allie_desktop.domain.ports import Clock, ConversationRepository, ConversationRow
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.conversations import cells

PAGE_CONVERSATIONS = 100

_Index = QModelIndex | QPersistentModelIndex


class ConversationModel(QAbstractTableModel):
    """Newest first; GUI thread."""

    def __init__(
        self, conversations: ConversationRepository, clock: Clock, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._conversations = conversations
        self._clock = clock
        self._search = ""
        self._rows: list[ConversationRow] = []
        self._cells: list[tuple[str, ...]] = []
        self._complete = False
        self._head = (
            self.tr("Conversation"),
            self.tr("From"),
            self.tr("When"),
            self.tr("Quality"),
            self.tr("Learning"),
        )

    def search(self, words: str) -> None:
        """Show those with these words; raises :class:`AllieError` and then shows nothing."""
        self._search = words.strip()
        self.reload()

    def reload(self) -> None:
        """Read again from the top."""
        self.beginResetModel()
        self._rows, self._cells, self._complete = [], [], True
        try:
            self._rows = self._read()
            self._complete = len(self._rows) < PAGE_CONVERSATIONS
            self._cells = [cells(row, self._clock.now()) for row in self._rows]
        finally:
            self.endResetModel()

    def conversation(self, row: int) -> ConversationRow | None:
        """Return a line."""
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802 - Qt's name
        """Return how many lines were read."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self._head)

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Return whether there may be more."""
        return not parent.isValid() and not self._complete

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802 - Qt's name
        """Read the next page."""
        if parent.isValid():
            return
        more = self._read()
        self._complete = len(more) < PAGE_CONVERSATIONS
        if more:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(more) - 1)
            self._rows += more
            self._cells += [cells(row, self._clock.now()) for row in more]
            self.endInsertRows()

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Return a column's name."""
        if orientation is Qt.Orientation.Horizontal and role == int(Qt.ItemDataRole.DisplayRole):
            return self._head[section]
        if orientation is Qt.Orientation.Horizontal and role == int(Qt.ItemDataRole.TextAlignmentRole):
            return int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return a cell."""
        if not 0 <= index.row() < len(self._cells):
            return None
        if role in {int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.ToolTipRole)}:
            return self._cells[index.row()][index.column()]
        if role == int(Qt.ItemDataRole.ForegroundRole):
            row = self._rows[index.row()]
            return theme.current().color("text_soft" if row.excluded or index.column() else "text")
        return None

    def _read(self) -> list[ConversationRow]:
        return list(
            self._conversations.rows(limit=PAGE_CONVERSATIONS, offset=len(self._rows), search=self._search)
        )

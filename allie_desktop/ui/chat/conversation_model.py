"""The list of conversations, read a page at a time as the person scrolls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui.chat.desk import LibraryDesk

PAGE = 100

ROW = Qt.ItemDataRole.UserRole

_Index = QModelIndex | QPersistentModelIndex


class ConversationModel(QAbstractListModel):
    """Rows newest first, or those that a search finds. GUI thread; the desk does the reading."""

    loaded = Signal()  # a page came
    problem = Signal(str)

    def __init__(self, desk: LibraryDesk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._rows: list[ConversationRow] = []
        self._search = ""
        self._more = True
        self._reading = False
        self._question = 0  # answers to earlier questions are not taken

    @property
    def search(self) -> str:
        """What is being looked for."""
        return self._search

    @property
    def is_reading(self) -> bool:
        """Whether a page is on its way."""
        return self._reading

    def look_for(self, search: str) -> None:
        """Show what this search finds; empty: everything."""
        if search != self._search:
            self._search = search
            self.reload()

    def reload(self) -> None:
        """Read again what is shown; the old rows stay until the new ones are there."""
        self._question += 1
        self._read(0, max(PAGE, len(self._rows)), replacing=True)

    def row_of(self, conversation_id: str) -> int | None:
        """Return where a conversation stands, None when it is not in the rows read so far."""
        return next((place for place, row in enumerate(self._rows) if row.id == conversation_id), None)

    def at(self, place: int) -> ConversationRow | None:
        """Return a row."""
        return self._rows[place] if 0 <= place < len(self._rows) else None

    def put_first(self, row: ConversationRow) -> None:
        """Show a conversation that has just begun, before it is stored."""
        if self._search or self.row_of(row.id) is not None:
            return
        self.beginInsertRows(QModelIndex(), 0, 0)
        self._rows.insert(0, row)
        self.endInsertRows()

    def change(self, conversation_id: str, **values: Any) -> None:
        """Show what the person changed about a conversation."""
        place = self.row_of(conversation_id)
        if place is not None:
            self._rows[place] = replace(self._rows[place], **values)
            index = self.index(place)
            self.dataChanged.emit(index, index)

    def remove(self, conversation_id: str) -> None:
        """Show a conversation no more."""
        place = self.row_of(conversation_id)
        if place is not None:
            self.beginRemoveRows(QModelIndex(), place, place)
            del self._rows[place]
            self.endRemoveRows()

    # --- Qt ---

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's own signature
        """Return how many rows were read so far."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a row (ROW), or its words."""
        row = self.at(index.row())
        if row is None:
            return None
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return row.title
        return None

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Whether the store may have more."""
        return not parent.isValid() and self._more and not self._reading

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802 - Qt's name
        """Read the next page."""
        if not parent.isValid():
            self._read(len(self._rows), PAGE, replacing=False)

    def _read(self, offset: int, limit: int, *, replacing: bool) -> None:
        self._reading = True
        question, search = self._question, self._search

        def done(rows: tuple[ConversationRow, ...]) -> None:
            if question == self._question:
                self._reading = False
                self._more = len(rows) == limit
                self._take(rows, replacing=replacing)

        def failed(error: Exception) -> None:
            if question == self._question:
                self._reading = False
                self._more = False
                self.problem.emit(str(error))

        self._desk.ask(lambda library: library.rows(limit=limit, offset=offset, search=search), done, failed)

    def _take(self, rows: tuple[ConversationRow, ...], *, replacing: bool) -> None:
        if replacing:
            if list(rows) != self._rows:
                self.beginResetModel()
                self._rows = list(rows)
                self.endResetModel()
        else:
            known = {row.id for row in self._rows}
            fresh = [row for row in rows if row.id not in known]  # one may have moved down meanwhile
            if fresh:
                self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(fresh) - 1)
                self._rows += fresh
                self.endInsertRows()
        self.loaded.emit()

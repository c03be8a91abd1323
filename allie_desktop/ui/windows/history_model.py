"""The list of episodes, read a page at a time."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from allie_desktop.domain.ports import Clock, EpisodeRepository
from allie_desktop.ui.presenters.episodes import EpisodeRow, episode_row

#: Lines read at once: a screen and some more.
PAGE_EPISODES = 60

ROW_ROLE = int(Qt.ItemDataRole.UserRole)

_Index = QModelIndex | QPersistentModelIndex


class HistoryModel(QAbstractListModel):
    """Newest first. Reads further pages when the view asks for them; GUI thread."""

    def __init__(self, episodes: EpisodeRepository, clock: Clock, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._episodes = episodes
        self._clock = clock
        self._rows: list[EpisodeRow] = []
        self._total = 0

    @property
    def total(self) -> int:
        """How many episodes there are, read or not."""
        return self._total

    def reload(self) -> None:
        """Read again what is shown; raises :class:`AllieError`, and then shows nothing."""
        self.beginResetModel()
        wanted = max(PAGE_EPISODES, len(self._rows))
        self._rows, self._total = [], 0
        try:
            self._total = self._episodes.count()
            self._rows = self._read(0, wanted)
        finally:
            self.endResetModel()

    def refresh_first(self) -> bool:
        """Read the newest line again; return whether more than that has changed."""
        total = self._episodes.count()
        if total != self._total or not self._rows:
            return True
        newest = self._read(0, 1)
        if not newest or newest[0].id != self._rows[0].id:
            return True
        self._rows[0] = newest[0]
        index = self.index(0)
        self.dataChanged.emit(index, index)
        return False

    def episode_row(self, index: _Index) -> EpisodeRow | None:
        """Return a line."""
        return self._rows[index.row()] if 0 <= index.row() < len(self._rows) else None

    def rowCount(self, parent: _Index | None = None) -> int:  # noqa: N802 - Qt's name
        """Return how many lines were read."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802 - Qt's name
        """Return whether there are lines that were not read."""
        return not parent.isValid() and len(self._rows) < self._total

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802 - Qt's name
        """Read the next page."""
        if parent.isValid():
            return
        more = self._read(len(self._rows), PAGE_EPISODES)
        if not more:
            self._total = len(self._rows)
            return
        known = {row.id for row in self._rows}
        more = [row for row in more if row.id not in known]  # a new episode moves all others by one
        self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(more) - 1)
        self._rows += more
        self.endInsertRows()

    def data(self, index: _Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return a line, or its words."""
        row = self.episode_row(index)
        if row is None:
            return None
        if role == ROW_ROLE:
            return row
        words = ", ".join(
            part
            for part in (f"{row.day} {row.clock}", row.verdict, row.detail, row.material, row.version)
            if part
        )
        if role in {int(Qt.ItemDataRole.DisplayRole), int(Qt.ItemDataRole.AccessibleTextRole)}:
            return words
        if role == int(Qt.ItemDataRole.ToolTipRole):
            return row.detail
        return None

    def _read(self, offset: int, limit: int) -> list[EpisodeRow]:
        now = self._clock.now()
        # A limit of 1 would bring its whole history along.
        episodes = self._episodes.latest(limit=max(2, limit), offset=offset)
        return [episode_row(episode, now) for episode in episodes[:limit]]

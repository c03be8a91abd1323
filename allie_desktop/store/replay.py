"""Membership of the replay buffer (port :class:`~allie_desktop.domain.ports.ReplayRepository`)."""

from __future__ import annotations

from collections.abc import Sequence

from allie_desktop.store import records
from allie_desktop.store.database import Database


class SqliteReplay:
    """The replay buffer's members in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def members(self, *, holdout: bool) -> tuple[str, ...]:
        """Return conversation ids in the order in which they were set.

        Members that are excluded, or no longer eligible, stay members but are not returned while they are.
        """
        with self._database.reading() as connection:
            return tuple(
                row[0]
                for row in connection.execute(
                    """
                    SELECT id FROM replay JOIN conversations ON key = conversation
                    WHERE holdout = ? AND eligible = 1 AND excluded = 0 ORDER BY ordinal
                    """,
                    (int(holdout),),
                )
            )

    def set_members(self, train: Sequence[str], holdout: Sequence[str]) -> None:
        """Replace the whole membership in one transaction; ids forgotten meanwhile are left out.

        Raises ValueError for an id in both parts: what is held out never trains.
        """
        both = set(train) & set(holdout)
        if both:
            raise ValueError(f"{min(both)!r} cannot be trained on and held out")
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM replay")
            for ids, part in ((train, 0), (holdout, 1)):
                connection.executemany(
                    "INSERT INTO replay (conversation, holdout, ordinal) VALUES (?, ?, ?)",
                    [
                        (key, part, ordinal)
                        for ordinal, key in enumerate(records.keys_of(connection, ids).values())
                    ],
                )

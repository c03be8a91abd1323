"""What the person was told and is still to be told (port :class:`~allie_desktop.domain.ports.NoticeRepository`)."""

from __future__ import annotations

import json
from datetime import datetime

from allie_desktop.domain.requests import Notice, NoticeAction
from allie_desktop.store.columns import microseconds, moment, text, to_json
from allie_desktop.store.database import Database

#: Told ones that are remembered, so as not to be told again.
KEPT_NOTICES = 1000


class SqliteNotices:
    """Notices in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database, *, kept: int = KEPT_NOTICES) -> None:
        self._database = database
        self._kept = kept

    def add(self, notice: Notice) -> bool:
        """Keep it until it is shown; return False when its key is known already, shown or not."""
        actions = to_json([[action.name, action.label] for action in notice.actions])
        with self._database.transaction() as connection:
            added = connection.execute(
                """
                INSERT INTO notices (name, title, body, created_us, urgent, subject, episode, actions)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
                """,
                (
                    text(notice.key),
                    text(notice.title),
                    text(notice.body),
                    microseconds(notice.created_at),
                    int(notice.urgent),
                    text(notice.subject),
                    text(notice.episode),
                    text(actions),
                ),
            ).rowcount
        return added == 1

    def waiting(self) -> tuple[Notice, ...]:
        """Return those not shown yet, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """
                SELECT name, title, body, created_us, urgent, subject, episode, actions FROM notices
                WHERE shown_us IS NULL ORDER BY created_us, name
                """
            ).fetchall()
        return tuple(
            Notice(
                key=name,
                title=title,
                body=body,
                created_at=moment(created_us),
                urgent=bool(urgent),
                subject=subject,
                episode=episode,
                actions=tuple(NoticeAction(name=n, label=label) for n, label in json.loads(actions or "[]")),
            )
            for name, title, body, created_us, urgent, subject, episode, actions in rows
        )

    def mark_shown(self, key: str, *, at: datetime) -> None:
        """Remember that it was shown."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE notices SET shown_us = ? WHERE name = ?", (microseconds(at), text(key))
            )
            connection.execute(
                """
                DELETE FROM notices WHERE name IN (
                    SELECT name FROM notices WHERE shown_us IS NOT NULL
                    ORDER BY shown_us DESC, name LIMIT -1 OFFSET ?
                )
                """,
                (self._kept,),
            )

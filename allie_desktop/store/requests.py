"""The queue of wanted episodes (port :class:`~allie_desktop.domain.ports.RequestRepository`)."""

from __future__ import annotations

from allie_desktop.domain.conditions import Priority
from allie_desktop.domain.requests import Origin, QueuedRequest, in_order
from allie_desktop.store.columns import microseconds, moment, text
from allie_desktop.store.database import Database


class SqliteRequests:
    """Requests in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[QueuedRequest, ...]:
        """Return them as they come up; one that cannot be read (any more) is left out."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name, origin, wish, reason, asked_us, standing, held FROM requests"
            ).fetchall()
        requests = []
        for name, origin, wish, reason, asked_us, standing, held in rows:
            try:
                requests.append(
                    QueuedRequest(
                        key=name,
                        origin=Origin(origin),
                        wish=Priority(wish),
                        reason=reason,
                        asked_at=moment(asked_us),
                        standing=Priority(standing),
                        held=held,
                    )
                )
            except (ValueError, OverflowError):
                continue
        return in_order(requests)

    def put(self, request: QueuedRequest) -> None:
        """Add it, or replace the one with its key."""
        with self._database.transaction() as connection:
            connection.execute(
                """
                INSERT OR REPLACE INTO requests (name, origin, wish, reason, asked_us, standing, held)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
                (
                    text(request.key),
                    request.origin.value,
                    request.wish.value,
                    text(request.reason),
                    microseconds(request.asked_at),
                    request.standing.value,
                    text(request.held),
                ),
            )

    def remove(self, key: str) -> None:
        """Take it out; does nothing when it is not there."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM requests WHERE name = ?", (text(key),))

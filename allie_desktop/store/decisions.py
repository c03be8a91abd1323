"""The diary of decisions (port :class:`~allie_desktop.domain.ports.DecisionRepository`)."""

from __future__ import annotations

from allie_desktop.domain.requests import DecisionRecord
from allie_desktop.store.columns import microseconds, moment, strings, strings_text, text
from allie_desktop.store.database import Database

#: Older ones are dropped: some weeks of an ordinary life.
KEPT_DECISIONS = 2000


class SqliteDecisions:
    """Decisions in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database, *, kept: int = KEPT_DECISIONS) -> None:
        self._database = database
        self._kept = kept

    def add(self, record: DecisionRecord) -> None:
        """Write a decision down, and drop the oldest beyond what is kept."""
        with self._database.transaction() as connection:
            connection.execute(
                """
                INSERT INTO decisions (at_us, start, running, priority, holds, reasons, notes)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
                (
                    microseconds(record.at),
                    int(record.start),
                    int(record.running),
                    record.priority,
                    strings_text(record.holds),
                    strings_text(tuple(map(text, record.reasons))),
                    strings_text(tuple(map(text, record.notes))),
                ),
            )
            connection.execute(
                "DELETE FROM decisions WHERE key <= (SELECT max(key) FROM decisions) - ?", (self._kept,)
            )

    def latest(self, *, limit: int = 100, offset: int = 0) -> tuple[DecisionRecord, ...]:
        """Return the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """
                SELECT at_us, start, running, priority, holds, reasons, notes FROM decisions
                ORDER BY key DESC LIMIT ? OFFSET ?
                """,
                (limit, offset),
            ).fetchall()
        return tuple(
            DecisionRecord(
                at=moment(at_us),
                start=bool(start),
                running=bool(running),
                priority=priority,
                holds=strings(holds),
                reasons=strings(reasons),
                notes=strings(notes),
            )
            for at_us, start, running, priority, holds, reasons, notes in rows
        )

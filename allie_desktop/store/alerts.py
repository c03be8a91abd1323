"""Alerts (port :class:`~allie_desktop.domain.ports.AlertRepository`)."""

from __future__ import annotations

from allie_desktop.domain.ports import Alert
from allie_desktop.store.columns import microseconds, moment, text
from allie_desktop.store.database import Database

#: Resolved alerts that are kept to look back at.
_KEPT_RESOLVED = 200


class SqliteAlerts:
    """Alerts in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_(self, alert: Alert) -> bool:
        """Save an alert, dated now where it has no date; return False when its key is open already.

        Raises ValueError for a severity that is not info, warning or critical.
        """
        if alert.severity not in ("info", "warning", "critical"):
            raise ValueError(f"{alert.severity!r} is not a severity")
        raised_us = microseconds(alert.raised_at or self._database.now())
        with self._database.transaction() as connection:
            added = connection.execute(
                """
                INSERT INTO alerts (name, severity, message, remedy, raised_us, seen) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) WHERE resolved_us IS NULL DO NOTHING
                """,
                (
                    text(alert.key),
                    alert.severity,
                    text(alert.message),
                    text(alert.remedy),
                    raised_us,
                    int(alert.seen),
                ),
            ).rowcount
        return added == 1

    def open(self) -> tuple[Alert, ...]:
        """Return those not resolved, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """
                SELECT name, severity, message, remedy, raised_us, seen FROM alerts
                WHERE resolved_us IS NULL ORDER BY raised_us DESC, key DESC
                """
            ).fetchall()
        return tuple(
            Alert(
                key=name,
                severity=severity,
                message=message,
                remedy=remedy,
                raised_at=moment(raised_us),
                seen=bool(seen),
            )
            for name, severity, message, remedy, raised_us, seen in rows
        )

    def mark_seen(self, key: str) -> None:
        """Remember that the open alert with this key was shown; does nothing when there is none."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE alerts SET seen = 1 WHERE name = ? AND resolved_us IS NULL", (text(key),)
            )

    def resolve(self, key: str) -> None:
        """Close the open alert with this key; does nothing when there is none."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE alerts SET resolved_us = ? WHERE name = ? AND resolved_us IS NULL",
                (microseconds(self._database.now()), text(key)),
            )
            connection.execute(
                """
                DELETE FROM alerts WHERE key IN (
                    SELECT key FROM alerts WHERE resolved_us IS NOT NULL
                    ORDER BY resolved_us DESC, key DESC LIMIT -1 OFFSET ?
                )
                """,
                (_KEPT_RESOLVED,),
            )

"""Blind comparisons (port :class:`~allie_desktop.domain.ports.ComparisonRepository`)."""

from __future__ import annotations

from allie_desktop.domain.comparison import Choice, Comparison
from allie_desktop.store.columns import microseconds, moment, text
from allie_desktop.store.database import Database


class SqliteComparisons:
    """Comparisons in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, comparison: Comparison) -> bool:
        """Keep it; return False when this pair was asked before, whose first choice stays."""
        with self._database.transaction() as connection:
            added = connection.execute(
                """
                INSERT INTO comparisons (episode, place, choice, at_us) VALUES (?, ?, ?, ?)
                ON CONFLICT (episode, place) DO NOTHING
                """,
                (
                    text(comparison.episode_id),
                    comparison.place,
                    comparison.choice.value,
                    microseconds(comparison.at),
                ),
            ).rowcount
        return added == 1

    def of_episode(self, episode_id: str) -> tuple[Comparison, ...]:
        """Return those about the version that an episode made, by their places."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT place, choice, at_us FROM comparisons WHERE episode = ? ORDER BY place",
                (text(episode_id),),
            ).fetchall()
        return tuple(
            Comparison(episode_id=episode_id, place=place, choice=Choice(choice), at=moment(at_us))
            for place, choice, at_us in rows
        )

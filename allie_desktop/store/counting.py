"""How many conversations there are of each kind, and which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from allie_desktop.store.columns import text
from allie_desktop.store.database import Database

Kind = Literal["source", "topic"]


def counted_by(database: Database, kind: Kind) -> Mapping[str, int]:
    """Return how many conversations there are by source or topic, the most frequent first."""
    with database.reading() as connection:
        rows = connection.execute(
            f"SELECT {kind}, count(*) FROM conversations GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    return dict(rows)


def ids_by(database: Database, kind: Kind, value: str) -> tuple[str, ...]:
    """Return the ids of the conversations of one source or about one topic."""
    with database.reading() as connection:
        rows = connection.execute(
            f"SELECT id FROM conversations WHERE {kind} = ? ORDER BY key", (text(value),)
        ).fetchall()
    return tuple(row[0] for row in rows)

"""No statement of everyday use reads a whole table: what is quick with a hundred stays quick with a million."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.replay import SqliteReplay
from tests.unit.store.store_samples import NOON, assessed, later, reply, user

_GROWS = re.compile(r"SCAN (conversations|turns|feedback|targets|qualities|learned|replay|hay)\b(?! USING)")

IDS = ["c1", "c2", "c3"]

USES: dict[str, Callable[[SqliteConversations], object]] = {
    "add new": lambda store: store.add([assessed("new"), assessed("newer")]),
    "add known": lambda store: store.add([assessed("c1")]),
    "add feedback": lambda store: store.add([assessed("c1", *turns("c1", rating=1))]),
    "add continued": lambda store: store.add([assessed("c1", *turns("c1"), user("And?"))]),
    "add namesake": lambda store: store.add([assessed("c1", user("Other"))]),
    "get": lambda store: store.get("c1"),
    "get many": lambda store: store.get_many(IDS),
    "rows": lambda store: store.rows(),
    "rows of a source": lambda store: store.rows(source="chatgpt"),
    "search": lambda store: store.rows(search="about"),
    "counts": lambda store: store.counts(),
    "candidates": lambda store: list(store.candidates(learned=False)),
    "learned candidates": lambda store: list(store.candidates(learned=True)),
    "mark learned": lambda store: store.mark_learned(IDS, version="v1.1", at=later(1)),
    "unmark learned": lambda store: store.unmark_learned(version="v1.0"),
    "learned by": lambda store: store.learned_by("v1.0"),
    "rate": lambda store: store.rate("c1", 1, 1),
    "replace": lambda store: store.replace(assessed("c1", user("Other"))),
    "exclude": lambda store: store.set_excluded("c1", True),
    "export": lambda store: list(store.export()),
    "export of a source": lambda store: list(store.export(source="chatgpt")),
}


def turns(name: str, **rest: int):
    return user(f"What about {name}?"), reply(f"This about {name}.", **rest)


def scans(connection: sqlite3.Connection, use: Callable[[], object]) -> set[str]:
    """Return the steps of plans that read a whole table, of all statements that ``use`` runs."""
    statements: set[str] = set()
    connection.set_trace_callback(statements.add)
    use()
    connection.set_trace_callback(None)
    found = set()
    for statement in statements:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", statement):
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                if _GROWS.search(step):
                    found.add(step)
    return found


@pytest.mark.parametrize("name", list(USES))
def test_everyday_use_reads_no_whole_table(tmp_path: Path, name: str):
    with Database.open(tmp_path / "allie.sqlite", now=lambda: NOON) as database:
        store = SqliteConversations(database)
        store.add([assessed(f"c{number}") for number in range(50)])
        store.mark_learned(["c4"], version="v1.0", at=NOON)
        assert scans(database.connection, lambda: USES[name](store)) == set()


def test_replay_reads_no_whole_table_but_its_own(tmp_path: Path):
    with Database.open(tmp_path / "allie.sqlite") as database:
        SqliteConversations(database).add([assessed(one) for one in IDS])
        replay = SqliteReplay(database)
        found = scans(
            database.connection, lambda: (replay.set_members(IDS, []), replay.members(holdout=False))
        )
        assert found <= {"SCAN replay"}


def test_a_scan_would_be_noticed(tmp_path: Path):
    with Database.open(tmp_path / "allie.sqlite") as database:
        query = "SELECT count(*) FROM turns WHERE content = 'x'"
        assert scans(database.connection, lambda: database.connection.execute(query)) == {"SCAN turns"}

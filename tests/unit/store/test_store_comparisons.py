"""Blind comparisons on a real file: kept once, through a migration, a damaged store and forgetting."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from allie_desktop.domain.comparison import Choice, Comparison
from allie_desktop.domain.ports import ComparisonRepository
from allie_desktop.store import migrations
from allie_desktop.store.comparisons import SqliteComparisons
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.rescue import open_rescued
from tests.unit.store.store_samples import NOON, assessed, later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "allie.sqlite"


def one(place: int, choice: Choice = Choice.NEW, episode_id: str = "e1") -> Comparison:
    return Comparison(episode_id=episode_id, place=place, choice=choice, at=later(place))


def test_the_first_choice_stays(path: Path):
    with Database.open(path) as database:
        comparisons: ComparisonRepository = SqliteComparisons(database)
        assert comparisons.add(one(3, Choice.SAME))
        assert comparisons.add(one(1, Choice.OLD))
        assert comparisons.add(one(1, Choice.SKIPPED, "e2"))
        assert not comparisons.add(one(3, Choice.NEW))
    with Database.open(path) as database:
        comparisons = SqliteComparisons(database)
        assert comparisons.of_episode("e1") == (one(1, Choice.OLD), one(3, Choice.SAME))
        assert comparisons.of_episode("e2") == (one(1, Choice.SKIPPED, "e2"),)
        assert comparisons.of_episode("e3") == ()
        database.check(full=True)


def test_an_unknown_choice_is_refused_by_the_store_itself(path: Path):
    with Database.open(path) as database, pytest.raises(sqlite3.IntegrityError):
        database.connection.execute("INSERT INTO comparisons VALUES ('e1', 1, 'perhaps', 0)")


def test_a_store_of_the_format_before_keeps_all_it_held(path: Path):
    with Database.open(path, steps=migrations.STEPS[:3]) as database:
        SqliteConversations(database).add([assessed("c1"), assessed("c2", created_at=NOON)])
        database.connection.execute(
            "INSERT INTO notices (name, title, body, created_us, urgent, subject, episode) "
            "VALUES ('n1', 'Learnt', '', 0, 0, '', 'e1')"
        )
        before = SqliteConversations(database).get_many(["c1", "c2"])
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert "comparisons" not in tables
    with Database.open(path, check=True) as database:
        assert SqliteConversations(database).get_many(["c1", "c2"]) == before
        assert database.connection.execute("SELECT name, title FROM notices").fetchall() == [("n1", "Learnt")]
        assert [backup.reason for backup in database.backups.all()] == ["before-m0004-comparisons"]
        assert SqliteComparisons(database).add(one(0))
        database.check(full=True)


def test_what_is_newer_than_the_backup_is_saved_from_a_damaged_file(path: Path):
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed("c1")])
        SqliteComparisons(database).add(one(0, Choice.OLD))
        database.backups.create()
        SqliteComparisons(database).add(one(1, Choice.SAME))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'conversations_by_time'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 200)
    database, words = open_rescued(path)
    with database:
        assert words
        assert SqliteComparisons(database).of_episode("e1") == (one(0, Choice.OLD), one(1, Choice.SAME))


def test_forgetting_every_conversation_leaves_the_counts_which_have_no_words(path: Path):
    with Database.open(path) as database:
        conversations = SqliteConversations(database)
        conversations.add([assessed("c1")])
        SqliteComparisons(database).add(one(0))
        conversations.forget("c1")
        rows = database.connection.execute("SELECT * FROM comparisons").fetchall()
        assert [(row[0], row[1], row[2]) for row in rows] == [("e1", 0, "new")]
        assert len(rows[0]) == 4

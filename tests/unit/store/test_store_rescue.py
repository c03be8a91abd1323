"""A damaged store comes back: from its newest sound backup, with what was newer, and it forgets what it should."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.errors import StoreCorruptError
from allie_desktop.services.safekeeping import BACKUP_ALERT, RESTORED_ALERT, Safekeeping
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.mending import mend
from allie_desktop.store.rescue import open_rescued
from tests.episode_stage import FakeClock, assessed

NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "allie.sqlite3"


def add(path: Path, *ids: str, backup: bool = False) -> None:
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed(one) for one in ids])
        if backup:
            database.backups.create()


def ids(database: Database) -> list[str]:
    return [row[0] for row in database.connection.execute("SELECT id FROM conversations ORDER BY id")]


def harm_schema(path: Path) -> None:
    """Make a page of the file's beginning senseless; the rows further on stay readable."""
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 60)


def test_a_sound_store_is_simply_opened(store: Path) -> None:
    add(store, "a")
    database, words = open_rescued(store)
    with database:
        assert (ids(database), words) == (["a"], "")


def test_a_damaged_store_is_restored_and_kept_aside(store: Path) -> None:
    add(store, "a", "b", backup=True)
    harm_schema(store)
    database, words = open_rescued(store)

    with database:
        assert ids(database) == ["a", "b"]
        database.check(full=True)
    assert words.startswith("The conversation store was damaged and was restored from the backup of ")
    (aside,) = [
        path for path in store.parent.glob("*.replaced-*") if path.suffix == path.suffix.rstrip("wshmal-")
    ]
    assert aside.name in words
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_what_is_newer_than_the_backup_is_saved_from_the_damaged_file(store: Path) -> None:
    add(store, "a", backup=True)
    add(store, "b", "c")
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name='conversations_by_time'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with store.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 200)
    database, words = open_rescued(store)

    with database:
        assert ids(database) == ["a", "b", "c"]
    assert "2 newer conversations were saved" in words


def test_a_damaged_backup_is_passed_over(store: Path) -> None:
    add(store, "a", backup=True)
    add(store, "b", backup=True)
    with Database.open(store) as database:
        newest = database.backups.newest()
    assert newest is not None
    os.truncate(newest.path, newest.size_bytes // 2)
    os.truncate(store, 4096)
    database, _ = open_rescued(store)

    with database:
        assert ids(database) == ["a"]


def test_without_a_backup_nothing_is_thrown_away(store: Path) -> None:
    add(store, "a")
    harm_schema(store)
    before = store.read_bytes()

    with pytest.raises(StoreCorruptError):
        open_rescued(store)
    assert store.read_bytes() == before


def test_a_text_that_changed_by_itself_comes_back_from_a_backup(store: Path) -> None:
    add(store, "a", "b", backup=True)
    with Database.open(store) as database:
        database.connection.execute(
            "UPDATE turns SET content = 'something else' WHERE content LIKE 'question a'"
        )
        assert mend(database)[0] == "Conversation a was damaged and was taken from a backup."
        assert SqliteConversations(database).get("a").conversation.turns[0].content == "question a"
        assert mend(database) == ()


def test_a_text_that_no_backup_has_is_not_learnt_from(store: Path) -> None:
    add(store, "a")
    with Database.open(store) as database:
        database.connection.execute("UPDATE turns SET content = 'something else' WHERE position = 0")
        assert "no backup has it" in mend(database)[0]
        assert SqliteConversations(database).counts().excluded == 1


def test_wrong_counters_and_a_wrong_search_index_are_made_anew(store: Path) -> None:
    add(store, "a")
    with Database.open(store) as database:
        database.connection.execute("UPDATE tally SET conversations = 7")
        database.connection.execute("INSERT INTO search (search) VALUES ('delete-all')")
        assert len(mend(database)) == 2
        database.check(full=True)


def keeping(database: Database, clock: FakeClock, *, keep: int = 2) -> Safekeeping:
    return Safekeeping(
        backups=database.backups,
        alerts=SqliteAlerts(database),
        clock=clock,
        keep=keep,
        mend=lambda: mend(database),
    )


def test_one_backup_a_day_and_no_more_than_wanted(store: Path) -> None:
    add(store, "a")
    clock = FakeClock()
    with Database.open(store) as database:
        made = []
        for _ in range(8):
            made.append(keeping(database, clock).tend())
            clock.seconds += timedelta(hours=13).total_seconds()
        assert made == [True, False, True, False, True, False, True, False]
        backups = database.backups.all()
        assert len(backups) == 2
        for backup in backups:
            database.backups.verify(backup)
            assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600


def test_the_person_is_told_what_was_restored_and_what_could_not_be_backed_up(store: Path) -> None:
    add(store, "a")
    clock = FakeClock()
    with Database.open(store) as database:
        keeping(database, clock).tend("It was restored.")
        assert [(alert.key, alert.message) for alert in SqliteAlerts(database).open()] == [
            (RESTORED_ALERT, "It was restored.")
        ]
        (store.parent / "backups").rename(store.parent / "other")
        (store.parent / "backups").write_text("in the way")
        assert keeping(database, clock).tend() is False
        assert SqliteAlerts(database).open()[0].key in (BACKUP_ALERT, RESTORED_ALERT)
        assert BACKUP_ALERT in {alert.key for alert in SqliteAlerts(database).open()}

"""Backups: made, checked, rotated, restored."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from allie_desktop.domain.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError
from allie_desktop.store.backup import Backup, Backups
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import NOON, assessed, later


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "allie.sqlite"
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed(f"c{number}") for number in range(50)])
    return path


@pytest.fixture
def backups(path: Path) -> Backups:
    return Backups(path, path.parent / "backups", keep=3)


def conversations_in(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM conversations")}


def test_a_backup_is_one_whole_file_with_all_that_was_committed(path: Path, backups: Backups):
    with Database.open(path) as database:
        store = SqliteConversations(database)
        store.add([assessed("in the log")])
        backup = backups.create(now=NOON)
    assert backup == Backup(
        path=path.parent / "backups" / "allie-20260301T120000000000Z-daily.sqlite",
        made_at=NOON,
        reason="daily",
        size_bytes=backup.path.stat().st_size,
    )
    assert backups.all() == (backup,)
    assert list(backup.path.parent.iterdir()) == [backup.path]
    assert "in the log" in conversations_in(backup.path)
    backups.verify(backup)


def test_a_backup_leaves_out_what_is_not_committed_and_waits_for_nobody(path: Path, backups: Backups):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM conversations")
        backup = backups.create()
        other.execute("ROLLBACK")
    assert len(conversations_in(backup.path)) == 50


def test_the_newest_of_each_reason_stay(backups: Backups):
    for minute in range(5):
        backups.create(now=later(minute))
    kept = backups.create(reason="before-m0002_More things!", now=later(-60))
    assert [(one.made_at, one.reason) for one in backups.all()] == [
        (later(4), "daily"),
        (later(3), "daily"),
        (later(2), "daily"),
        (later(-60), "before-m0002-more-things"),
    ]
    assert kept in backups.all()
    assert backups.newest_path() == backups.all()[0].path


def test_two_backups_at_the_same_time_are_two(backups: Backups):
    first, second = backups.create(now=NOON), backups.create(now=NOON)
    assert second.made_at - first.made_at == timedelta(microseconds=1)
    assert len(backups.all()) == 2


def test_a_store_without_backups_has_none(tmp_path: Path):
    backups = Backups(tmp_path / "allie.sqlite", tmp_path / "nowhere")
    assert (backups.all(), backups.newest(), backups.newest_path()) == ((), None, None)
    assert backups.is_due(NOON)


def test_foreign_files_in_the_folder_are_left_alone(backups: Backups):
    backups.folder.mkdir()
    names = [
        "notes.txt",
        "other-20260301T120000000000Z-daily.sqlite",
        "allie-today-daily.sqlite",
        "allie-20261399T120000000000Z-daily.sqlite",
    ]
    for name in names:
        (backups.folder / name).write_text("mine")
    for minute in range(5):
        backups.create(now=later(minute))
    assert len(backups.all()) == 3
    assert all((backups.folder / name).read_text() == "mine" for name in names)


@pytest.mark.parametrize(("minutes", "due"), [(0, False), (60 * 24 - 1, False), (60 * 24, True), (-1, True)])
def test_a_backup_is_due_after_a_day_or_when_the_clock_jumped_back(
    backups: Backups, minutes: int, *, due: bool
):
    backups.create(now=NOON)
    assert backups.is_due(later(minutes)) is due


def test_what_a_dead_process_left_is_cleared_away_in_time(backups: Backups):
    backups.create(now=NOON)
    old, fresh = backups.folder / "a.sqlite.1.partial", backups.folder / "b.sqlite.2.partial"
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    backups.create(now=later(1))
    assert (old.exists(), fresh.exists()) == (False, True)
    assert len(backups.all()) == 2


def test_a_damaged_store_makes_no_backup(path: Path, backups: Backups):
    good = backups.create(now=NOON)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(size // 2))
    with pytest.raises(StoreCorruptError):
        backups.create(now=later(1))
    assert backups.all() == (good,)
    assert list(backups.folder.iterdir()) == [good.path]


def test_a_store_that_is_no_database_makes_no_backup(path: Path, backups: Backups):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreCorruptError):
        backups.create()
    assert backups.all() == ()


def test_a_missing_store_makes_no_backup(path: Path, backups: Backups):
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        backups.create()
    assert not path.exists()


def test_a_damaged_backup_is_found(backups: Backups):
    backup = backups.create()
    os.truncate(backup.path, backup.size_bytes // 2)
    with pytest.raises(StoreCorruptError):
        backups.verify(backup)


@pytest.mark.parametrize("content", [b"", b"x" * 5000])
def test_what_is_no_backup_is_not_put_in_place(path: Path, backups: Backups, content: bytes):
    backup = backups.create()
    backup.path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError):
        backups.restore(backup)
    assert path.read_bytes() == before


def test_a_restored_store_is_the_backup_and_the_replaced_one_is_kept(path: Path, backups: Backups):
    backup = backups.create()
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed("after the backup")])
    aside = backups.restore(backup)
    assert aside is not None
    with Database.open(path, check=True) as database:
        store = SqliteConversations(database)
        assert store.counts().conversations == 50
        assert store.add([assessed("again")]).added == 1
        database.check(full=True)
    assert "after the backup" in conversations_in(aside)
    assert backup in backups.all()


def test_a_damaged_store_is_replaced(path: Path, backups: Backups):
    backup = backups.create()
    path.write_bytes(b"rubbish" * 999)
    aside = backups.restore(backup)
    assert aside is not None
    assert aside.read_bytes() == b"rubbish" * 999
    assert len(conversations_in(path)) == 50


def test_a_lost_store_is_replaced(path: Path, backups: Backups):
    backup = backups.create()
    path.unlink()
    assert backups.restore(backup) is None
    assert len(conversations_in(path)) == 50


def test_a_log_left_by_a_crash_is_not_replayed_into_the_restored_store(path: Path, backups: Backups):
    backup = backups.create()
    program = (
        "import os, sys; from pathlib import Path; from allie_desktop.store.database import Database; "
        "from allie_desktop.store.conversations import SqliteConversations; "
        "from tests.unit.store.store_samples import assessed; "
        "database = Database.open(Path(sys.argv[1])); "
        "SqliteConversations(database).add([assessed('late')]); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 9
    assert path.with_name("allie.sqlite-wal").stat().st_size > 0
    backups.restore(backup)
    with Database.open(path, check=True) as database:
        assert SqliteConversations(database).rows(search="late") == ()


def test_a_store_in_use_is_not_replaced(path: Path, backups: Backups):
    backup = backups.create()
    with Database.open(path) as database:
        SqliteConversations(database).counts()
        with pytest.raises(StoreBusyError, match="is in use"):
            backups.restore(backup)
        assert SqliteConversations(database).add([assessed("still here")]).added == 1
    assert backups.restore(backup) is not None


def test_a_backup_that_does_not_fit_is_not_begun(backups: Backups, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("allie_desktop.store.backup._SPARE_BYTES", 10**18)
    with pytest.raises(DiskFullError):
        backups.create()
    assert list(backups.folder.iterdir()) == []


def test_at_least_one_backup_is_kept(path: Path):
    with pytest.raises(ValueError, match="keep must be at least 1"):
        Backups(path, path.parent, keep=0)

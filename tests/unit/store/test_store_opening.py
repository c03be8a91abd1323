"""Opening a store: a new one, an old one, and everything that may be in its place."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from allie_desktop.domain.errors import (
    DiskFullError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreTooNewError,
)
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.migrations import STEPS
from tests.unit.store.store_samples import assessed

needs_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such file modes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "allie.sqlite"


def filled(path: Path, count: int = 200) -> Path:
    """Make a store with conversations in it, and close it."""
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed(f"c{number}") for number in range(count)])
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_fails(path: Path, kind: type[StoreError], *, check: bool = False) -> StoreError:
    with pytest.raises(kind) as caught:
        Database.open(path, check=check, busy_timeout_seconds=0.05).close()
    assert type(caught.value) is kind
    return caught.value


@needs_posix
def test_everything_of_a_new_store_is_for_its_owner_only(path: Path):
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed()])
        assert {part.name: oct(mode(part)) for part in path.parent.iterdir()} == {
            "allie.sqlite": "0o600",
            "allie.sqlite-wal": "0o600",
            "allie.sqlite-shm": "0o600",
        }
        assert oct(mode(path.parent)) == "0o700"
        backup = database.backups.create()
        assert (oct(mode(backup.path)), oct(mode(backup.path.parent))) == ("0o600", "0o700")


@needs_posix
def test_a_store_that_others_could_read_is_closed_to_them(path: Path):
    filled(path)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    Database.open(path).close()
    assert (oct(mode(path)), oct(mode(path.parent))) == ("0o600", "0o700")


@needs_posix
def test_a_folder_that_everybody_shares_keeps_its_mode(tmp_path: Path):
    tmp_path.chmod(0o1777)
    Database.open(tmp_path / "allie.sqlite").close()
    assert oct(mode(tmp_path)) == "0o1777"


def test_a_store_logs_ahead_checks_references_and_overwrites_what_it_deletes(path: Path):
    with Database.open(path) as database:
        asked = ("journal_mode", "foreign_keys", "secure_delete", "synchronous", "busy_timeout", "temp_store")
        found = {name: database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked}
    assert found == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "secure_delete": 1,
        "synchronous": 2,
        "busy_timeout": 5000,
        "temp_store": 2,
    }


def test_an_up_to_date_store_opens_without_the_migration_library(path: Path):
    filled(path)
    program = (
        "import sys; from pathlib import Path; from allie_desktop.store.database import Database; "
        "Database.open(Path(sys.argv[1])).close(); print('sqlite_utils' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_closing_twice_is_harmless(path: Path):
    database = Database.open(path)
    database.close()
    database.close()


def test_a_newer_store_is_refused_in_a_sentence_and_left_alone(path: Path):
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=999")
    before = path.read_bytes()
    error = open_fails(path, StoreTooNewError)
    assert str(error) == (
        "The conversation store was written by a newer Allie (format 999; this one knows up to "
        f"{len(STEPS)}). "
        "Update Allie, or use another data folder."
    )
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(path: Path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
        connection.commit()
    error = open_fails(path, StoreError)
    assert error.message == f"The SQLite file {path} belongs to another program."
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


@pytest.mark.parametrize(
    "content",
    [
        b"Dear diary,\n" * 100,
        b"\x00" * 8192,
        b"x",
        os.urandom(50_000),
        b"SQLite format 3\x00" + b"\xff" * 9000,
    ],
    ids=["text", "zeros", "one byte", "noise", "a header only"],
)
def test_what_is_no_database_is_called_damaged(path: Path, content: bytes):
    path.parent.mkdir()
    path.write_bytes(content)
    error = open_fails(path, StoreCorruptError)
    assert error.remedy == "There is no backup. Move the file away to start with an empty store."
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_store_is_called_damaged(path: Path, share: float):
    filled(path)
    os.truncate(path, int(path.stat().st_size * share))
    error = open_fails(path, StoreCorruptError)
    assert error.message.startswith(f"The conversation store {path} is damaged (")


def test_the_remedy_names_the_newest_backup_and_following_it_works(path: Path):
    with Database.open(path) as database:
        store = SqliteConversations(database)
        store.add([assessed("old")])
        database.backups.create()
        store.add([assessed("new")])
        newest = database.backups.create()
    path.write_bytes(b"not a database at all" * 100)
    error = open_fails(path, StoreCorruptError)
    assert error.remedy == (
        f"The newest backup is {newest.path}. Close Allie, move allie.sqlite, allie.sqlite-wal and "
        f"allie.sqlite-shm away, and copy the backup to {path}."
    )
    path.rename(path.with_name("away"))
    shutil.copy(newest.path, path)
    with Database.open(path, check=True) as database:
        assert {row.id for row in SqliteConversations(database).rows()} == {"old", "new"}


def test_a_store_emptied_by_a_disaster_is_not_taken_for_a_new_one(path: Path):
    with Database.open(path) as database:
        SqliteConversations(database).add([assessed()])
        database.backups.create()
    os.truncate(path, 0)
    error = open_fails(path, StoreCorruptError)
    assert error.message == f"The conversation store {path} is damaged (it is empty)."


def test_an_empty_file_without_backups_becomes_a_new_store(path: Path):
    path.parent.mkdir()
    path.touch()
    with Database.open(path) as database:
        assert SqliteConversations(database).counts().conversations == 0


def test_damage_in_the_middle_is_found_by_the_check(path: Path):
    filled(path, 2000)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(8192))
    open_fails(path, StoreCorruptError, check=True)


def test_damage_that_is_met_on_the_way_is_called_damage(path: Path):
    filled(path, 2000)
    with Database.open(path) as database:
        with path.open("r+b") as file:
            file.seek(10 * 4096)
            file.write(b"\xff" * (path.stat().st_size - 10 * 4096))
        with pytest.raises(StoreCorruptError):
            list(SqliteConversations(database).export())


def test_a_sound_store_passes_both_checks(path: Path):
    filled(path)
    with Database.open(path, check=True) as database:
        database.check()
        database.check(full=True)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE tally SET learned = learned + 1", "the counters do not match the conversations"),
        ("UPDATE turns SET content = 'something else' WHERE key = 7", "the search index does not match"),
        ("INSERT INTO replay VALUES (99999, 0, 0)", "a row of replay refers to a missing row"),
        ("DROP INDEX conversations_by_time", None),
    ],
)
def test_the_full_check_finds_what_the_quick_one_cannot(path: Path, damage: str, words: str | None):
    filled(path)
    with Database.open(path) as database:
        database.connection.execute("PRAGMA foreign_keys=OFF")
        database.connection.execute(damage)
        database.check()
        if words is None:
            database.check(full=True)
        else:
            with pytest.raises(StoreCorruptError, match=words):
                database.check(full=True)


def test_a_folder_in_the_place_of_the_store_is_refused(path: Path):
    path.mkdir(parents=True)
    error = open_fails(path, StoreError)
    assert error.message == f"The conversation store {path} cannot be opened."


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "data").touch()
    error = open_fails(tmp_path / "data" / "allie.sqlite", StoreError)
    assert error.message.startswith(f"The folder {tmp_path / 'data'} cannot be used (")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights for a while, so that file modes mean something."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, which pytest's own cannot."""
    folder = Path(tempfile.mkdtemp(prefix="allie-store-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@needs_posix
def test_a_write_protected_store_says_what_to_do(open_folder: Path):
    path = open_folder / "data" / "allie.sqlite"
    filled(path)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with as_nobody():
            error = open_fails(path, StoreError)
    finally:
        path.parent.chmod(0o755)
    assert error.message in {
        f"The conversation store {path} cannot be written.",
        f"The conversation store {path} cannot be opened.",
    }
    assert "write" in error.remedy


@needs_posix
def test_a_folder_where_nothing_can_be_made_says_what_to_do(open_folder: Path):
    open_folder.chmod(0o555)
    with as_nobody():
        error = open_fails(open_folder / "data" / "allie.sqlite", StoreError)
    assert error.remedy == "Make sure that it belongs to you and is not write-protected."


def test_a_store_that_somebody_else_is_writing_says_so_in_time(path: Path):
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Database.open(path, busy_timeout_seconds=0.05) as database:
            store = SqliteConversations(database)
            assert store.counts().conversations == 200
            with pytest.raises(StoreBusyError) as caught:
                store.set_excluded("c1", excluded=True)
            assert caught.value.message == f"Another program is writing to the conversation store {path}."
            other.execute("ROLLBACK")
            store.set_excluded("c1", excluded=True)
            assert store.counts().excluded == 1


def test_a_disk_that_fills_up_loses_only_the_batch(path: Path):
    filled(path)
    with Database.open(path) as database:
        store = SqliteConversations(database)
        pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
        database.connection.execute(f"PRAGMA max_page_count={pages + 5}")
        with pytest.raises(DiskFullError) as caught:
            store.add([assessed(f"n{number}") for number in range(2000)])
        assert caught.value.message == f"There is no space left on the disk that holds {path.parent}."
        assert store.counts().conversations == 200
        database.connection.execute("PRAGMA max_page_count=1000000")
        assert store.add([assessed("after")]).added == 1
        database.check(full=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk_loses_only_the_batch(small_disk: Path):
    with Database.open(small_disk / "allie.sqlite") as database:
        store = SqliteConversations(database)
        store.add([assessed("kept")])

        def add_for_ever() -> None:
            for number in itertools.count():
                store.add([assessed(f"{number}-{index}", signature=b"x" * 2000) for index in range(100)])

        with pytest.raises(DiskFullError):
            add_for_ever()
        kept = store.counts().conversations
        assert kept % 100 == 1
        with pytest.raises(DiskFullError):
            database.backups.create()
        assert list((small_disk / "backups").iterdir()) == []
    with Database.open(small_disk / "allie.sqlite", check=True) as database:
        assert SqliteConversations(database).counts().conversations == kept


def test_a_full_disk_when_the_store_is_made_says_so(small_disk: Path):
    (small_disk / "ballast").write_bytes(b"x" * (3 * 1024 * 1024 - 8192))
    with pytest.raises(DiskFullError):
        Database.open(small_disk / "allie.sqlite").close()
    (small_disk / "ballast").unlink()
    with Database.open(small_disk / "allie.sqlite") as database:
        database.check(full=True)


def test_a_transaction_is_all_or_nothing(path: Path):
    with Database.open(path) as database:
        store = SqliteConversations(database)

        def add_and_fail() -> None:
            with database.transaction():
                store.add([assessed("a")])
                with database.transaction():
                    store.add([assessed("b")])
                assert store.counts().conversations == 2
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            add_and_fail()
        assert store.counts().conversations == 0
        with database.transaction():
            store.add([assessed("a")])
        assert store.counts().conversations == 1


def test_a_read_sees_one_state_and_cannot_become_a_write(path: Path):
    filled(path)
    with Database.open(path) as database, Database.open(path) as other:
        with database.reading() as connection:
            before = connection.execute("SELECT conversations FROM tally").fetchone()
            SqliteConversations(other).add([assessed("new")])
            assert connection.execute("SELECT conversations FROM tally").fetchone() == before == (200,)
            with pytest.raises(RuntimeError, match="a write cannot begin inside of a read"):
                SqliteConversations(database).set_excluded("c1", excluded=True)
        assert SqliteConversations(database).counts().conversations == 201


def test_a_connection_stays_in_its_thread(path: Path):
    with Database.open(path) as database:
        caught: list[Exception] = []

        def use() -> None:
            try:
                SqliteConversations(database).counts()
            except sqlite3.Error as error:
                caught.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert [type(error) for error in caught] == [sqlite3.ProgrammingError]


def test_the_size_counts_the_log(path: Path):
    with Database.open(path) as database:
        before = database.size_bytes()
        SqliteConversations(database).add([assessed(f"c{number}") for number in range(500)])
        assert database.size_bytes() > before + 100_000
        assert database.checkpoint()
        assert database.size_bytes() == path.stat().st_size

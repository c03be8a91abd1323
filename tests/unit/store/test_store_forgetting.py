"""Forgetting: nothing of a forgotten conversation is left in any file."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from allie_desktop.domain.quality import Quality, TargetOrigin
from allie_desktop.store import erasure, records
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import NOON, assessed, later, reply, target, user

SECRET = "Xylophonquartz"
WORDS = "the dog and a cat went out to see what was up in town that day with all of them".split()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "allie.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database.open(path, busy_timeout_seconds=0.2) as database:
        yield database


@pytest.fixture
def store(database: Database) -> SqliteConversations:
    return SqliteConversations(database)


def chatter(rng: random.Random, most: int = 300) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, most)))


def secret_conversation(conversation_id: str, rng: random.Random | None = None):
    """Return a conversation with the secret in every place that a store keeps."""
    said = f"{conversation_id} {SECRET} " + f"{SECRET} " * (0 if rng is None else rng.randint(1, 150))
    return assessed(
        conversation_id,
        user(f"My {said}?", extra={"note": SECRET}),
        reply(f"Your {said}.", correction=f"Her {said}!"),
        title=f"About {SECRET}",
        extra={"url": SECRET},
        targets=(target(f"Her {said}!", origin=TargetOrigin.EDIT, rejected=f"Your {said}."),),
        origin=TargetOrigin.EDIT,
        topic=SECRET,
        source=SECRET,
        quality=Quality(score=0.5, reasons=(f"It mentions {SECRET}.",)),
    )


def traces(path: Path) -> dict[str, int]:
    """Count pieces of the secret in the raw bytes of all files, in any case of letters."""
    found = {}
    for file in sorted(path.parent.rglob("*")):
        if file.is_file():
            raw = file.read_bytes().lower()
            pieces = {SECRET[start : start + 6].lower().encode() for start in range(len(SECRET) - 5)}
            count = sum(raw.count(piece) for piece in pieces)
            if count:
                found[file.name] = count
    return found


def test_forgetting_returns_every_version_that_learnt_from_it(store: SqliteConversations):
    store.add([assessed("a"), assessed("b")])
    store.mark_learned(["a", "b"], version="v1.1", at=NOON)
    store.mark_learned(["a"], version="v1.0", at=NOON)
    store.mark_learned(["b"], version="v1.2", at=NOON)
    store.unmark_learned(version="v1.1")
    assert store.versions_of("a") == ("v1.0", "v1.1")
    assert store.forget("a") == ("v1.0", "v1.1")
    assert store.versions_of("a") == ()
    assert store.learned_by("v1.0") == ()
    assert store.forget_many(["b", "a", "never"]) == ("v1.1", "v1.2")
    assert store.counts().conversations == 0


def test_no_file_holds_a_word_of_what_was_forgotten(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([assessed("before"), secret_conversation("c"), assessed("after")])
    store.rate("c", 1, -1)
    database.backups.create()
    database.checkpoint()
    store.set_excluded("c", excluded=True)
    assert len(traces(path)) >= 2
    store.forget("c")
    database.close()
    assert traces(path) == {}


def test_an_earlier_wording_of_what_was_forgotten_is_gone_too(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([assessed("c", user(SECRET), reply("ok")), assessed("d")])
    store.replace(assessed("c", user("nothing to see"), reply("ok")))
    store.forget("c")
    database.close()
    assert traces(path) == {}


@pytest.mark.parametrize("seed", [2, 4])  # of the first eight, those where SQLite 3.40 leaves copies behind
def test_rows_that_moved_between_pages_leave_no_copies(path: Path, seed: int):
    rng = random.Random(seed)
    with Database.open(path) as database:
        database.connection.execute("PRAGMA synchronous=OFF")
        store = SqliteConversations(database)
        ids = [f"c{number}" for number in range(120)]
        secrets = rng.sample(ids, 25)
        harmless = [one for one in ids if one not in secrets]
        store.add([assessed(one, user(chatter(rng)), reply(chatter(rng))) for one in ids])
        for _ in range(600):
            one = rng.choice(ids)
            if one in secrets:
                store.replace(secret_conversation(one, rng))
            else:
                store.replace(assessed(one, *[user(chatter(rng)) for _ in range(rng.randint(1, 6))]))
            if rng.random() < 0.03:
                gone = rng.choice(harmless)
                harmless.remove(gone)
                ids.remove(gone)
                with database.transaction() as connection:
                    erasure.delete(connection, records.keys_of(connection, [gone]))
        store.forget_many(secrets)
        assert store.counts().conversations == len(harmless)
        database.check(full=True)
    assert traces(path) == {}


def test_the_backups_forget_and_stay_good(path: Path, database: Database, store: SqliteConversations):
    store.add([assessed("kept"), secret_conversation("c")])
    first = database.backups.create(now=later(-60))
    store.add([assessed("also kept")])
    second = database.backups.create()
    store.forget("c")
    assert database.backups.all() != ()
    for backup, expected in ((first, {"kept"}), (second, {"kept", "also kept"})):
        database.backups.verify(backup)
        with closing(sqlite3.connect(backup.path)) as connection:
            assert {row[0] for row in connection.execute("SELECT id FROM conversations")} == expected
            assert connection.execute("SELECT conversations FROM tally").fetchone() == (len(expected),)
    assert sorted(file.name for file in database.backups.folder.iterdir()) == sorted(
        [first.path.name, second.path.name]
    )


@pytest.mark.parametrize("damage", [b"", b"no database " * 999, b"old"])
def test_a_backup_that_cannot_forget_is_deleted(
    path: Path, database: Database, store: SqliteConversations, damage: bytes
):
    store.add([secret_conversation("c")])
    backup = database.backups.create()
    if damage == b"old":
        with closing(sqlite3.connect(backup.path)) as connection:
            connection.execute("DROP TABLE search")
    else:
        backup.path.write_bytes(damage + SECRET.encode())
    store.forget("c")
    assert database.backups.all() == ()
    database.close()
    assert traces(path) == {}


def test_a_reader_in_the_way_only_puts_the_cleaning_off(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([secret_conversation("c"), assessed("kept")])
    with Database.open(path) as other:
        with other.reading() as connection:
            connection.execute("SELECT count(*) FROM turns").fetchone()
            assert store.forget("c") == ()
            assert erasure.pending(database) == ("c",)
            assert traces(path) != {}
        assert erasure.finish(database)
    assert erasure.pending(database) == ()
    assert traces(path) == {}


def test_a_busy_store_is_cleaned_when_it_is_opened_next(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([secret_conversation("c"), assessed("kept")])
    with Database.open(path) as other, other.reading() as connection:
        connection.execute("SELECT count(*) FROM turns").fetchone()
        store.forget("c")
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM erasures").fetchall() == [("c",)]
    with Database.open(path) as again:
        assert erasure.pending(again) == ()
        assert SqliteConversations(again).counts().conversations == 1
    assert traces(path) == {}


_DIES = """
import os, signal, sys
from pathlib import Path
from allie_desktop.store import erasure, records
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "before":
    erasure.finish = die
else:
    erasure._erase_from = die
SqliteConversations(Database.open(Path(sys.argv[1]))).forget("c")
"""


@pytest.mark.process
@pytest.mark.parametrize("when", ["before", "between"])
def test_a_process_that_dies_while_forgetting_is_finished_by_the_next(
    path: Path, database: Database, store: SqliteConversations, when: str
):
    store.add([secret_conversation("c"), assessed("kept")])
    database.backups.create()
    database.close()
    done = subprocess.run([sys.executable, "-c", _DIES, str(path), when], check=False)
    assert done.returncode == -signal.SIGKILL
    with Database.open(path, check=True) as again:
        assert SqliteConversations(again).counts().conversations == 1
    assert traces(path) == {}


def test_forgetting_inside_of_a_transaction_is_cleaned_up_after_it(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([secret_conversation("c")])
    with database.transaction():
        store.forget("c")
        assert store.counts().conversations == 0
    assert erasure.finish(database)
    assert traces(path) == {}


def test_nothing_is_cleaned_when_nothing_was_forgotten(
    path: Path, database: Database, store: SqliteConversations
):
    store.add([assessed("a")])
    database.checkpoint()
    before = path.read_bytes()
    assert erasure.finish(database)
    assert store.forget_many(["never"]) == ()
    assert path.read_bytes() == before


def test_a_forgotten_conversation_can_come_back_as_a_new_one(store: SqliteConversations):
    store.add([assessed("a")])
    store.forget("a")
    assert store.add([assessed("a")]).added == 1
    assert [row.id for row in store.rows(search="about")] == ["a"]

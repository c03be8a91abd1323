"""Migrations: from blank, from the oldest format, broken, interrupted, and two at a time."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from allie_desktop.domain.conversation import content_hash
from allie_desktop.domain.errors import StoreCorruptError, StoreError
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.store import migrations
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.replay import SqliteReplay
from allie_desktop.store.settings import SqliteSettings
from tests.unit.store.store_samples import NOON, assessed, later, reply, user

OLDEST = Path(__file__).with_name("store_format_1.sql")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "allie.sqlite"


@pytest.fixture
def current(oldest: Path) -> Path:
    """The same store as it is today, without a backup."""
    Database.open(oldest).close()
    for backup in oldest.with_name("backups").iterdir():
        backup.unlink()
    return oldest


@pytest.fixture
def oldest(path: Path) -> Path:
    """A store of the oldest format, with rows."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDEST.read_text())
    return path


def schema(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: re.sub(r"\s+", " ", sql).strip()
            for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        }


def m9001_moods(db: Any) -> None:
    db["conversations"].add_column("mood", str)
    db.execute("UPDATE conversations SET mood = 'fine'")


def m9002_fails(db: Any) -> None:
    db.execute("DELETE FROM turns")
    db.execute("UPDATE nothing SET this = 'does not exist'")


def m9002_breaks_references(db: Any) -> None:
    db.execute("DELETE FROM conversations WHERE id = 'dog'")


def test_a_blank_file_gets_every_step_by_name(path: Path):
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        applied = connection.execute(
            "SELECT migration_set, name FROM _sqlite_migrations ORDER BY id"
        ).fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    assert applied == [("allie", step.__name__) for step in migrations.STEPS]
    assert version == len(migrations.STEPS)
    assert application.to_bytes(4, "big") == b"Alli"
    assert not path.with_name("backups").exists()


def test_the_first_step_still_makes_the_oldest_format(oldest: Path, tmp_path: Path):
    blank = tmp_path / "blank.sqlite"
    Database.open(blank, steps=migrations.STEPS[:1]).close()
    assert schema(blank) == schema(oldest)


def test_the_oldest_format_ends_as_a_blank_one_does(oldest: Path, tmp_path: Path):
    blank = tmp_path / "blank.sqlite"
    Database.open(blank).close()
    Database.open(oldest).close()
    assert schema(oldest) == schema(blank)


def test_the_oldest_format_keeps_all_it_held(oldest: Path):
    with Database.open(oldest, check=True) as database:
        database.check(full=True)
        store = SqliteConversations(database)
        dog = store.get("dog")
        assert dog.conversation.turns == (
            user("What is my dog called?"),
            reply("Rex.", correction="Bello.", extra={"model": "smol"}),
        )
        assert dog.conversation.extra == {"kept": [1, 2]}
        assert dog.content_hash == content_hash(dog.conversation.turns)
        assert (dog.best_origin, dog.targets[0].text, dog.targets[0].rejected) == (
            TargetOrigin.EDIT,
            "Bello.",
            "Rex.",
        )
        assert [row.id for row in store.rows(search="bello dog")] == ["dog"]
        assert store.learned_by("v1.0") == ("bread",)
        assert (store.counts().eligible_new, store.counts().learned) == (1, 1)
        assert SqliteReplay(database).members(holdout=False) == ("bread",)
        (episode,) = SqliteEpisodes(database).unfinished()
        assert [change.state for change in episode.history] == [EpisodeState.PLANNED, EpisodeState.PREPARING]
        assert SqliteSettings(database).load() == {"notify": False}
        assert [alert.raised_at for alert in SqliteAlerts(database).open()] == [NOON]


def test_the_oldest_format_is_backed_up_under_the_first_step_that_it_lacks(oldest: Path):
    with Database.open(oldest) as database:
        assert [backup.reason for backup in database.backups.all()] == ["before-m0002-exchanges"]


def test_an_existing_store_is_backed_up_before_it_changes(current: Path):
    with Database.open(current, steps=[*migrations.STEPS, m9001_moods]) as database:
        (backup,) = database.backups.all()
        moods = database.connection.execute("SELECT DISTINCT mood FROM conversations").fetchall()
        database.check(full=True)
    assert backup.reason == "before-m9001-moods"
    assert "mood" not in schema(backup.path)["conversations"]
    assert moods == [("fine",)]
    Database.open(current, steps=[*migrations.STEPS, m9001_moods]).close()
    assert len(list(backup.path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("bad", "kind"), [(m9002_fails, sqlite3.OperationalError), (m9002_breaks_references, StoreCorruptError)]
)
def test_a_step_that_fails_takes_all_pending_steps_back(current: Path, bad: Any, kind: type[Exception]):
    before = schema(current)
    with pytest.raises(kind):
        Database.open(current, steps=[*migrations.STEPS, m9001_moods, bad])
    assert schema(current) == before
    with Database.open(current, check=True) as database:
        assert len(SqliteConversations(database).get("dog").conversation.turns) == 2
        assert len(database.backups.all()) == 1
        assert database.connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_damaged_store_is_not_migrated(current: Path):
    with Database.open(current) as database:
        SqliteConversations(database).add([assessed(f"c{number}") for number in range(1000)])
    with current.open("r+b") as file:
        file.seek(current.stat().st_size - 20 * 4096)
        file.write(os.urandom(10 * 4096))
    before = current.read_bytes()
    with pytest.raises(StoreCorruptError):
        Database.open(current, steps=[*migrations.STEPS, m9001_moods])
    with closing(sqlite3.connect(current)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations.STEPS),)
    assert len(current.read_bytes()) == len(before)


def test_a_store_that_cannot_be_backed_up_is_not_migrated(current: Path):
    current.with_name("backups").rmdir()
    current.with_name("backups").write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        Database.open(current, steps=[*migrations.STEPS, m9001_moods])
    assert "mood" not in schema(current)["conversations"]


_DIES = """
import os, signal, sys
from pathlib import Path
from allie_desktop.store import migrations
from allie_desktop.store.database import Database

def m9001_dies(db):
    db.execute("UPDATE turns SET content = 'half done'")
    db["conversations"].add_column("mood", str)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise KeyboardInterrupt

Database.open(Path(sys.argv[1]), steps=[*migrations.STEPS, m9001_dies])
"""


@pytest.mark.parametrize("how", [pytest.param("kill", marks=pytest.mark.process), "interrupt"])
def test_an_interrupted_migration_never_happened(current: Path, how: str):
    done = subprocess.run(
        [sys.executable, "-c", _DIES, str(current), how], capture_output=True, text=True, check=False
    )
    assert done.returncode == (-signal.SIGKILL if how == "kill" else -signal.SIGINT), done.stderr
    with Database.open(current, check=True) as database:
        store = SqliteConversations(database)
        assert store.get("dog").conversation.turns[0].content == "What is my dog called?"
        assert [backup.reason for backup in database.backups.all()] == ["before-m9001-dies"]
    with Database.open(current, steps=[*migrations.STEPS, m9001_moods]) as database:
        assert database.connection.execute("SELECT count(mood) FROM conversations").fetchone() == (2,)


_OPENS = """
import sys
from pathlib import Path
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
sys.stdin.readline()
with Database.open(Path(sys.argv[1]), busy_timeout_seconds=60) as database:
    print(SqliteConversations(database).counts().conversations)
"""


@pytest.mark.process
def test_processes_that_make_the_same_store_at_the_same_time_all_get_it(path: Path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPENS, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=120) for process in processes]
    assert results == [("0\n", "")] * 4
    with Database.open(path, check=True) as database:
        applied = database.connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()
        assert applied == (len(migrations.STEPS),)
        assert SqliteConversations(database).add([assessed("c", created_at=later(1))]).added == 1

"""Several real processes on one store: the command line beside the tray."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import assessed, later

pytestmark = pytest.mark.process

_PRELUDE = """
import os, signal, sys
from pathlib import Path
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import assessed, later

database = Database.open(Path(sys.argv[1]), busy_timeout_seconds=60)
store = SqliteConversations(database)
name = sys.argv[2]
"""

_WRITES = """
print("ready", flush=True)
sys.stdin.readline()
for batch in range(20):
    store.add([assessed(f"{name}-{batch}-{number}") for number in range(10)])
    store.mark_learned([f"{name}-{batch}-0"], version=name, at=later(batch))
    store.set_excluded(f"{name}-{batch}-1", True)
    counts = store.counts()
    assert counts.conversations >= (batch + 1) * 10, counts
print("done", flush=True)
"""

_READS = """
print("ready", flush=True)
sys.stdin.readline()
for _ in range(30):
    with database.reading() as connection:
        kept = connection.execute("SELECT conversations, learned, excluded FROM tally").fetchone()
        counted = connection.execute("SELECT conversations, learned, excluded FROM recount").fetchone()
        assert kept == counted, (kept, counted)
    whole = store.get_many([candidate.id for candidate in store.candidates(learned=False, limit=50)])
    assert all(len(one.conversation.turns) == 2 for one in whole.values())
    list(store.export())
print("done", flush=True)
"""

_DIES = """
store.add([assessed("committed")])
with database.transaction():
    store.add([assessed(f"lost-{number}") for number in range(500)])
    print("ready", flush=True)
    sys.stdin.readline()
"""


def start(program: str, path: Path, name: str = "p") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + program, str(path), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "allie.sqlite"
    Database.open(path).close()
    return path


def test_processes_write_and_read_at_the_same_time(path: Path):
    writers = [start(_WRITES, path, name) for name in ("one", "two")]
    reader = start(_READS, path)
    processes = [*writers, reader]
    for process in processes:
        wait_ready(process)
    results = [process.communicate("go\n", timeout=120) for process in processes]
    assert results == [("done\n", "")] * 3
    with Database.open(path, check=True) as database:
        database.check(full=True)
        counts = SqliteConversations(database).counts()
        assert (counts.conversations, counts.learned, counts.excluded) == (400, 40, 40)


def test_a_process_killed_in_a_transaction_loses_only_that(path: Path):
    process = start(_DIES, path)
    wait_ready(process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with Database.open(path, busy_timeout_seconds=5, check=True) as database:
        database.check(full=True)
        store = SqliteConversations(database)
        assert [row.id for row in store.rows()] == ["committed"]
        assert store.add([assessed("next", created_at=later(1))]).added == 1


def test_what_one_process_commits_the_other_sees_at_once(path: Path):
    with Database.open(path) as database:
        store = SqliteConversations(database)
        process = start(_DIES, path)
        wait_ready(process)
        assert [row.id for row in store.rows()] == ["committed"]
        _, errors = process.communicate("\n", timeout=60)
        assert errors == ""
        assert store.counts().conversations == 501
        assert store.forget("lost-7") == ()
        assert store.rows(search="lost 7", limit=1)[0].id != "lost-7"

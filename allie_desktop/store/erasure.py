"""Forgetting so that nothing of it is left on the disk.

Deleting a row is not enough, even with ``PRAGMA secure_delete``:

- the full-text index keeps a deleted document's words until its segments are merged;
- when SQLite moves rows between pages it leaves old bytes in the unused middle of a page, and those are
  not overwritten when the row is deleted later (found by test on SQLite 3.40);
- the write-ahead log holds earlier states of the pages;
- backups hold whole copies.

So a conversation is deleted in one transaction that also notes its id in ``erasures``, and then
:func:`finish` merges the index, rebuilds the file, empties the log and does the same in every backup. The
note goes only when all of that is done: should the process die, or another one be reading the log, it is
done when the store is opened next.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from allie_desktop.domain.errors import AllieError
from allie_desktop.store import records
from allie_desktop.store.backup import Backups
from allie_desktop.store.database import Database

_log = logging.getLogger(__name__)

#: Up to this size a file is rebuilt in memory, beyond it beside a temporary file.
_REBUILD_IN_MEMORY_BYTES = 128 * 1024 * 1024


def delete(connection: sqlite3.Connection, keys_by_id: dict[str, int]) -> tuple[str, ...]:
    """Delete conversations inside of a transaction; return the versions that learnt from any of them."""
    versions = versions_of(connection, keys_by_id.values())
    for conversation_id, key in keys_by_id.items():
        records.unindex(connection, key)
        connection.execute("DELETE FROM conversations WHERE key = ?", (key,))
        connection.execute("INSERT OR IGNORE INTO erasures (id) VALUES (?)", (conversation_id,))
    return versions


def versions_of(connection: sqlite3.Connection, keys: Iterable[int]) -> tuple[str, ...]:
    """Return the versions that learnt from any of these conversations."""
    versions: set[str] = set()
    for key in keys:
        rows = connection.execute("SELECT version FROM learned WHERE conversation = ?", (key,))
        versions.update(row[0] for row in rows)
    return tuple(sorted(versions))


def pending(database: Database) -> tuple[str, ...]:
    """Return the ids of forgotten conversations of which traces may be left on the disk."""
    with database.reading() as connection:
        return tuple(row[0] for row in connection.execute("SELECT id FROM erasures ORDER BY id"))


def finish(database: Database) -> bool:
    """Remove the traces of forgotten conversations; return False when that has to be tried again.

    Takes about a second per 50 MB of store and of each backup, and the write lock for most of it. Does
    nothing when nothing is pending, and puts it off inside of a transaction. Never raises for a busy store or a full disk: what was asked for, the
    deletion, has happened.
    """
    if database.connection.in_transaction:
        return False
    ids = pending(database)
    if not ids:
        return True
    try:
        with database.explained():
            _rebuild(database.connection, database.size_bytes())
        if not database.checkpoint():
            return False
        for backup in database.backups.all():
            _erase_from(backup.path, ids, database.backups)
        # What is too damaged to be opened cannot be made to forget anything but all.
        database.backups.remove_replaced()
        with database.transaction() as connection:
            connection.executemany("DELETE FROM erasures WHERE id = ?", [(one,) for one in ids])
        return database.checkpoint()
    except AllieError as error:
        _log.warning("Traces of %d forgotten conversations are still on the disk: %s", len(ids), error)
        return False


def _rebuild(connection: sqlite3.Connection, size_bytes: int) -> None:
    connection.execute("INSERT INTO search (search) VALUES ('optimize')")
    if size_bytes > _REBUILD_IN_MEMORY_BYTES:
        connection.execute("PRAGMA temp_store=FILE")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store=MEMORY")


def _erase_from(path: Path, ids: Sequence[str], backups: Backups) -> None:
    """Delete conversations from a backup, or the whole backup where that cannot be done."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            _erase_with(connection, ids, path.stat().st_size)
    except (sqlite3.Error, OSError) as error:
        _log.warning("The backup %s could not forget, so it is deleted: %s", path, error)
        backups.remove_path(path)


def _erase_with(connection: sqlite3.Connection, ids: Sequence[str], size_bytes: int) -> None:
    for pragma in ("secure_delete=ON", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN IMMEDIATE")
    keys = records.keys_of(connection, ids)
    # A copy made between a deletion and its finish holds the note, and the traces.
    noted = connection.execute("DELETE FROM erasures").rowcount
    delete(connection, keys)
    connection.execute("DELETE FROM erasures")
    connection.execute("COMMIT")
    if keys or noted:
        _rebuild(connection, size_bytes)
    problems = connection.execute("PRAGMA quick_check(1)").fetchone()
    if problems != ("ok",):
        raise sqlite3.DatabaseError(problems[0])

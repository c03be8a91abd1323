"""The schema, as ordered named steps that are never changed once released.

A step is a function that takes a ``sqlite_utils.Database``; its name is recorded in the file by
``sqlite_utils.Migrations``. ``PRAGMA user_version`` counts the steps, so that an up-to-date store opens
without importing sqlite_utils (150 ms). All pending steps run in one transaction: whatever interrupts it,
the file is as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import StoreCorruptError, StoreError, StoreTooNewError
from allie_desktop.store.background_schema import BACKGROUND
from allie_desktop.store.backup import Backups
from allie_desktop.store.schema import COMPARISONS, EXCHANGES, FORMAT_1

if TYPE_CHECKING:
    from sqlite_utils.db import Database as SqliteUtilsDatabase

    Step = Callable[[SqliteUtilsDatabase], None]

#: "Alli" in ASCII: tells our files from other programs' (``PRAGMA application_id``).
APPLICATION_ID = 0x416C6C69

_MIGRATION_SET = "allie"


def m0001_initial(db: SqliteUtilsDatabase) -> None:
    """Conversations and what was found out about them, episodes, settings, alerts, replay, search."""
    for statement in FORMAT_1:
        db.execute(statement)


def m0002_exchanges(db: SqliteUtilsDatabase) -> None:
    """Which version wrote which reply, when, and what became of it."""
    for statement in EXCHANGES:
        db.execute(statement)


def m0003_background(db: SqliteUtilsDatabase) -> None:
    """What is wanted, what was decided, and what the person was told."""
    for statement in BACKGROUND:
        db.execute(statement)


def m0004_comparisons(db: SqliteUtilsDatabase) -> None:
    """Which of two answers the person preferred, blind."""
    for statement in COMPARISONS:
        db.execute(statement)


STEPS: Sequence[Step] = (m0001_initial, m0002_exchanges, m0003_background, m0004_comparisons)


def pending(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> bool:
    """Return whether a store needs :func:`migrate`.

    Raises :class:`StoreTooNewError` for the file of a newer Allie, :class:`StoreError` for another
    program's. A file without any table is a new store.
    """
    # In this order: another process may be making the store, and what is not blank any more is marked.
    was_blank = is_blank(connection)
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and not was_blank:
        raise StoreError(
            f"The SQLite file {_file_of(connection)} belongs to another program.",
            "Choose another folder for Allie's data, or move the file away.",
        )
    if version > len(steps):
        raise StoreTooNewError(
            f"The conversation store was written by a newer Allie (format {version}; this one knows up to "
            f"{len(steps)}).",
            "Update Allie, or use another data folder.",
        )
    return version < len(steps)


def _file_of(connection: sqlite3.Connection) -> str:
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return path


def is_blank(connection: sqlite3.Connection) -> bool:
    """Return whether a file has no tables at all."""
    row = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    return row is None


def migrate(
    connection: sqlite3.Connection, backups: Backups, steps: Sequence[Step] = STEPS
) -> tuple[str, ...]:
    """Bring a store up to date, all or nothing; return the names of the steps that ran.

    A store that holds something is backed up first, and nothing happens unless the backup verifies.
    When two processes come at the same time, one does it and the other finds it done.
    ``connection`` must be in autocommit mode and outside of a transaction.
    """
    # Foreign keys cannot be switched inside a transaction, and a step may have to rebuild a table.
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not pending(connection, steps):
            names: tuple[str, ...] = ()
        else:
            names = _run(connection, backups, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys=ON")
    return names


def _run(connection: sqlite3.Connection, backups: Backups, steps: Sequence[Step]) -> tuple[str, ...]:
    from sqlite_utils.db import Database as SqliteUtilsDatabase
    from sqlite_utils.migrations import Migrations

    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > 0:
        backups.create(reason=f"before-{steps[version].__name__}")
    migrations = Migrations(_MIGRATION_SET)
    for step in steps:
        migrations(name=step.__name__)(step)
    db = SqliteUtilsDatabase(connection, recursive_triggers=False, execute_plugins=False)
    names = tuple(step.name for step in migrations.pending(db))
    migrations.apply(db)
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise StoreCorruptError(
            f"The conversation store could not be brought up to date: a row of {broken[0]} would refer to a "
            f"missing row of {broken[2]}.",
            "Nothing was changed; the Allie that wrote it can still use it.",
        )
    connection.execute(f"PRAGMA user_version={len(steps)}")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    return names

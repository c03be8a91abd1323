"""The schema, as ordered named steps that are never changed once released.

A step is a function that takes a ``sqlite_utils.Database``; its name is recorded in the file by
``sqlite_utils.Migrations``. ``PRAGMA user_version`` counts the steps, so that an up-to-date store opens
without importing sqlite_utils (150 ms). All pending steps run in one transaction: whatever interrupts it,
the file is as it was.

The tables
----------
``conversations`` holds every scalar that lists, planning and the trigger terms need; what only a whole
conversation needs lies beside it (``turns``, ``feedback``, ``targets``, ``qualities``). ``tally`` is one row
of counters that triggers keep equal to a recount, since counting a million rows takes seconds.
``conversations.learned_us`` is kept by triggers too: the latest time at which a version learnt the
conversation as its targets are now. ``search`` is an FTS5 index over the view ``search_text``, one
document a conversation; the repository keeps it, because a document spans several tables.
``erasures`` names forgotten conversations of which traces may be left (see ``erasure``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import StoreCorruptError, StoreError, StoreTooNewError
from allie_desktop.store.backup import Backups

if TYPE_CHECKING:
    from sqlite_utils.db import Database as SqliteUtilsDatabase

    Step = Callable[[SqliteUtilsDatabase], None]

#: "Alli" in ASCII: tells our files from other programs' (``PRAGMA application_id``).
APPLICATION_ID = 0x416C6C69

_MIGRATION_SET = "allie"


def _tally_change(sign: str, row: str) -> str:
    """Return the assignments that add a conversation to the tally, or take it away."""
    is_new = f"({row}.eligible = 1 AND {row}.excluded = 0 AND {row}.learned_us IS NULL)"
    amounts = {
        "conversations": "1",
        "eligible_new": is_new,
        "eligible_new_score_billionths": f"{is_new} * CAST(round({row}.score * 1e9) AS INTEGER)",
        "taught_new": f"{is_new} * coalesce({row}.origin IN ('edit', 'correction'), 0)",
        "learned": f"({row}.learned_us IS NOT NULL)",
        "excluded": f"{row}.excluded",
    }
    return ", ".join(f"{name} = {name} {sign} {amount}" for name, amount in amounts.items())


_INITIAL = (
    """
    CREATE TABLE conversations (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        source TEXT NOT NULL,
        title TEXT,
        turns INTEGER NOT NULL,
        score REAL NOT NULL,
        eligible INTEGER NOT NULL CHECK (eligible IN (0, 1)),
        excluded INTEGER NOT NULL DEFAULT 0 CHECK (excluded IN (0, 1)),
        learned_us INTEGER,
        changed_us INTEGER NOT NULL DEFAULT 0,
        origin TEXT,
        split TEXT NOT NULL,
        topic TEXT NOT NULL,
        characters INTEGER NOT NULL,
        content_hash TEXT NOT NULL,
        signature BLOB NOT NULL,
        extra TEXT
    )
    """,
    # A third of the size of whole hashes, and no less selective.
    "CREATE INDEX conversations_by_hash ON conversations (substr(content_hash, 1, 16))",
    "CREATE INDEX conversations_by_time ON conversations (created_us)",
    "CREATE INDEX conversations_by_source ON conversations (source, created_us)",
    """
    CREATE INDEX conversations_new_by_score ON conversations (score)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NULL
    """,
    """
    CREATE INDEX conversations_learned_by_time ON conversations (learned_us)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NOT NULL
    """,
    """
    CREATE TABLE turns (
        key INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        content TEXT NOT NULL,
        extra TEXT,
        UNIQUE (conversation, position)
    )
    """,
    """
    CREATE TABLE feedback (
        conversation INTEGER NOT NULL,
        position INTEGER NOT NULL,
        rating INTEGER CHECK (rating IN (1, -1)),
        correction TEXT,
        PRIMARY KEY (conversation, position),
        FOREIGN KEY (conversation, position) REFERENCES turns (conversation, position) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    # A target's text is NULL where it is the turn as it stands: most are, and texts are what takes room.
    """
    CREATE TABLE targets (
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL,
        position INTEGER NOT NULL,
        origin TEXT NOT NULL,
        weight REAL NOT NULL,
        text TEXT,
        rejected TEXT,
        PRIMARY KEY (conversation, ordinal)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE qualities (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        components TEXT,
        reasons TEXT
    )
    """,
    """
    CREATE TABLE learned (
        version TEXT NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        at_us INTEGER NOT NULL,
        as_of_us INTEGER NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
        PRIMARY KEY (version, conversation)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX learned_by_conversation ON learned (conversation)",
    """
    CREATE TABLE replay (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        holdout INTEGER NOT NULL CHECK (holdout IN (0, 1)),
        ordinal INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE episodes (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        state TEXT NOT NULL,
        trigger TEXT NOT NULL,
        plan_digest TEXT NOT NULL,
        conversations INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        parent TEXT,
        version TEXT,
        verdict TEXT NOT NULL,
        reasons TEXT,
        metrics TEXT,
        seconds TEXT,
        finished_us INTEGER
    )
    """,
    "CREATE INDEX episodes_by_time ON episodes (created_us)",
    """
    CREATE TABLE episode_states (
        key INTEGER PRIMARY KEY,
        episode INTEGER NOT NULL REFERENCES episodes (key) ON DELETE CASCADE,
        state TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        reason TEXT NOT NULL
    )
    """,
    "CREATE INDEX episode_states_by_episode ON episode_states (episode)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE alerts (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
        message TEXT NOT NULL,
        remedy TEXT NOT NULL,
        raised_us INTEGER NOT NULL,
        seen INTEGER NOT NULL CHECK (seen IN (0, 1)),
        resolved_us INTEGER
    )
    """,
    "CREATE UNIQUE INDEX alerts_open ON alerts (name) WHERE resolved_us IS NULL",
    "CREATE TABLE erasures (id TEXT PRIMARY KEY) WITHOUT ROWID",
    # Scores are summed as whole billionths, so that adding and taking away never drifts.
    """
    CREATE TABLE tally (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        conversations INTEGER NOT NULL,
        eligible_new INTEGER NOT NULL,
        eligible_new_score_billionths INTEGER NOT NULL,
        taught_new INTEGER NOT NULL,
        learned INTEGER NOT NULL,
        excluded INTEGER NOT NULL
    )
    """,
    "INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0)",
    """
    CREATE VIEW recount AS
    SELECT
        count(*) AS conversations,
        coalesce(sum(is_new), 0) AS eligible_new,
        coalesce(sum(is_new * billionths), 0) AS eligible_new_score_billionths,
        coalesce(sum(is_new * is_taught), 0) AS taught_new,
        coalesce(sum(is_learned), 0) AS learned,
        coalesce(sum(excluded), 0) AS excluded
    FROM (
        SELECT
            eligible = 1 AND excluded = 0 AND learned_us IS NULL AS is_new,
            coalesce(origin IN ('edit', 'correction'), 0) AS is_taught,
            CAST(round(score * 1e9) AS INTEGER) AS billionths,
            learned_us IS NOT NULL AS is_learned,
            excluded
        FROM conversations
    )
    """,
    f"""
    CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
        UPDATE tally SET {_tally_change("+", "NEW")};
    END
    """,
    f"""
    CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
        UPDATE tally SET {_tally_change("-", "OLD")};
    END
    """,
    f"""
    CREATE TRIGGER conversation_changed
    AFTER UPDATE OF score, eligible, excluded, learned_us, origin ON conversations BEGIN
        UPDATE tally SET {_tally_change("-", "OLD")};
        UPDATE tally SET {_tally_change("+", "NEW")};
    END
    """,
    """
    CREATE TRIGGER learned_added AFTER INSERT ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END
    """,
    """
    CREATE TRIGGER learned_changed AFTER UPDATE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END
    """,
    """
    CREATE TRIGGER learned_removed AFTER DELETE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = OLD.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = OLD.conversation;
    END
    """,
    """
    CREATE TRIGGER targets_changed AFTER UPDATE OF changed_us ON conversations BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.key AND revoked = 0 AND as_of_us >= NEW.changed_us
        ) WHERE key = NEW.key;
    END
    """,
    """
    CREATE VIEW search_text AS
    SELECT
        key,
        coalesce(title, '') || char(10)
        || coalesce((
            SELECT group_concat(content, char(10)) FROM turns WHERE conversation = conversations.key
        ), '') || char(10)
        || coalesce((
            SELECT group_concat(correction, char(10)) FROM feedback WHERE conversation = conversations.key
        ), '') AS body
    FROM conversations
    """,
    # Which words a conversation has, not where they stand: half the size, and enough to find it.
    """
    CREATE VIRTUAL TABLE search USING fts5 (
        body, content='search_text', content_rowid='key', detail='none',
        tokenize='unicode61 remove_diacritics 2'
    )
    """,
)


def m0001_initial(db: SqliteUtilsDatabase) -> None:
    """Conversations and what was found out about them, episodes, settings, alerts, replay, search."""
    for statement in _INITIAL:
        db.execute(statement)


STEPS: Sequence[Step] = (m0001_initial,)


def pending(connection: sqlite3.Connection, steps: Sequence[Step] = STEPS) -> bool:
    """Return whether a store needs :func:`migrate`.

    Raises :class:`StoreTooNewError` for the file of a newer Allie, :class:`StoreError` for another
    program's. A file without any table is a new store.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID and not is_blank(connection):
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

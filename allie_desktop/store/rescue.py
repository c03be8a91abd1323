"""Opening the store whatever became of its file: a damaged one is replaced by the newest sound backup.

What was added after that backup is taken over from the damaged file as far as it can be read and proves
whole, and the damaged file is kept aside: nothing is thrown away because something beside it broke.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import filelock

from allie_desktop.domain.errors import AllieError, StoreBusyError, StoreCorruptError
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.soundness import is_whole
from allie_desktop.store import records
from allie_desktop.store.backup import Backup
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.mending import mend

_log = logging.getLogger(__name__)

_LOCK_SECONDS = 60.0
_AT_ONCE = 50

#: What an episode is and what it taught, by the table's natural key; conversations have their own way.
_EPISODE_COLUMNS = (
    "id, created_us, state, trigger, plan_digest, conversations, attempts, parent, version, verdict, reasons, "
    "metrics, seconds, finished_us"
)


def open_rescued(
    path: Path, *, check: bool = True, thorough: bool = False, busy_timeout_seconds: float = 5.0
) -> tuple[Database, str]:
    """Open the store; return it, and a sentence about what had to be done, empty when it was sound.

    ``check`` looks at every page first, ``thorough`` at every text too (:func:`mending.mend`). Raise :class:`StoreCorruptError` when there is no sound backup, and
    what :meth:`Database.open` raises.
    """

    def opened() -> tuple[Database, str]:
        database = Database.open(path, check=check, busy_timeout_seconds=busy_timeout_seconds)
        try:
            return database, " ".join(mend(database)) if thorough else ""
        except BaseException:
            database.close()
            raise

    Database.backups_of(path).tidy()
    try:
        return opened()
    except StoreCorruptError as error:
        _log.error("%s", error.message)
    # Processes that notice it together: the second one finds it mended.
    try:
        with filelock.FileLock(f"{path}.rescue.lock", timeout=_LOCK_SECONDS, fallback_to_soft=False):
            try:
                return opened()
            except StoreCorruptError as error:
                words = _restore(path, error)
            database, more = opened()
            return database, " ".join(filter(None, (words, more)))
    except filelock.Timeout:
        raise StoreBusyError("Another Allie is mending the store.", "Try again in a moment.") from None


def _restore(path: Path, damage: StoreCorruptError) -> str:
    backups = Database.backups_of(path)
    for backup in backups.all():
        try:
            aside = backups.restore(backup)
        except StoreCorruptError as error:
            _log.warning("%s", error.message)
            continue
        saved = 0
        if aside is not None:
            with Database.open(path) as database:
                saved = _salvage(aside, database)
        return _told(backup, aside, saved)
    raise damage


def _told(backup: Backup, aside: Path | None, saved: int) -> str:
    words = f"The conversation store was damaged and was restored from the backup of {backup.made_at:%Y-%m-%d %H:%M}."
    if saved:
        words += (
            f" {saved:,} newer conversation{' was' if saved == 1 else 's were'} saved from the damaged file."
        )
    if aside is not None:
        words += f" The damaged file is kept as {aside.name}."
    return words


def _salvage(damaged: Path, database: Database) -> int:
    """Take over what the damaged file has and the store has not; return how many conversations."""
    conversations, saved = SqliteConversations(database), 0
    uri = f"{damaged.absolute().as_uri()}?mode=ro"
    with (
        contextlib.suppress(sqlite3.Error, ValueError),
        contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as source,
    ):
        known = {row[0] for row in database.connection.execute("SELECT id FROM conversations")}
        for assessed in _readable(source, known):
            with contextlib.suppress(AllieError, ValueError):
                saved += conversations.add([assessed]).added
        for step in (_take_episodes, _take_learned, _take_comparisons):
            with (
                contextlib.suppress(sqlite3.Error, AllieError, ValueError),
                database.transaction() as connection,
            ):
                step(source, connection)
    return saved


def _readable(source: sqlite3.Connection, known: set[str]) -> Iterator[Assessed]:
    """Yield the whole conversations of a damaged store that are not known."""
    try:
        highest = source.execute("SELECT max(key) FROM conversations").fetchone()[0] or 0
    except (sqlite3.Error, ValueError):
        return
    for first in range(1, highest + 1, _AT_ONCE):
        keys = range(first, min(first + _AT_ONCE, highest + 1))
        # Page by page, then one by one: a damaged page must not take its neighbours along.
        for group in (keys, *([key] for key in keys)):
            try:
                found = records.load(source, list(group))
            except (sqlite3.Error, ValueError, KeyError, TypeError):
                continue
            for assessed in found.values():
                if assessed.conversation.id not in known and is_whole(assessed):
                    known.add(assessed.conversation.id)
                    yield assessed
            if len(group) > 1:
                break


def _take_episodes(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    marks = ", ".join("?" * len(_EPISODE_COLUMNS.split(",")))
    for key, *row in source.execute(f"SELECT key, {_EPISODE_COLUMNS} FROM episodes").fetchall():
        # The newer of the two: what it came to after the backup was made.
        target.execute("DELETE FROM episodes WHERE id = ?", (row[0],))
        new = target.execute(f"INSERT INTO episodes ({_EPISODE_COLUMNS}) VALUES ({marks})", row).lastrowid
        states = source.execute(
            "SELECT state, at_us, reason FROM episode_states WHERE episode = ? ORDER BY key", (key,)
        )
        target.executemany(
            "INSERT INTO episode_states (episode, state, at_us, reason) VALUES (?, ?, ?, ?)",
            [(new, *state) for state in states.fetchall()],
        )


def _take_learned(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    rows = source.execute(
        """
        SELECT version, conversations.id, at_us, as_of_us, revoked FROM learned
        JOIN conversations ON conversations.key = learned.conversation
        """
    ).fetchall()
    target.executemany(
        """
        INSERT OR REPLACE INTO learned (version, conversation, at_us, as_of_us, revoked)
        SELECT ?, key, ?, ?, ? FROM conversations WHERE id = ?
        """,
        [(version, at, as_of, revoked, name) for version, name, at, as_of, revoked in rows],
    )


def _take_comparisons(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    target.executemany(
        "INSERT OR REPLACE INTO comparisons (episode, place, choice, at_us) VALUES (?, ?, ?, ?)",
        source.execute("SELECT episode, place, choice, at_us FROM comparisons").fetchall(),
    )

"""One connection to the store: opening, pragmas, transactions, integrity.

A :class:`Database` belongs to the thread that opened it. Any number of them, in any number of processes,
may have the same file open: readers never wait, writers wait for each other up to the busy time-out.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, final

from allie_desktop.domain.errors import StoreError
from allie_desktop.store import failures, migrations, private_files
from allie_desktop.store.backup import Backups
from allie_desktop.store.columns import utc_now

if TYPE_CHECKING:
    from allie_desktop.store.migrations import Step

#: UPSERT, window functions, ``VACUUM INTO`` and safe ``trusted_schema`` are all there from 3.31 on.
_OLDEST_SQLITE = (3, 31, 0)

#: SQLite takes a shorter file for an empty one, and would write over it.
_SMALLEST_FILE_BYTES = 512

_PRAGMAS = (
    # A state is persisted before its action, and must last through a power cut: NORMAL would not do.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    # Overwrite what is deleted.
    "PRAGMA secure_delete=ON",
    # Sorting must not leave texts in temporary files.
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    # 64 MiB, of which a small store uses its own size: the indexes of a million conversations are larger.
    "PRAGMA cache_size=-65536",
    # Copying the log into the file four times less often makes an import a third faster; a log that grew
    # shrinks again to this size.
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=16777216",
)


@final
class Database:
    """An open store. Use :meth:`open`; close it, or use it in a ``with`` block."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, backups: Backups, now: Callable[[], datetime]
    ) -> None:
        self._connection = connection
        self._reading = False
        self.path = path
        self.backups = backups
        self.now = now

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        backup_folder: Path | None = None,
        busy_timeout_seconds: float = 5.0,
        check: bool = False,
        now: Callable[[], datetime] = utc_now,
        steps: Sequence[Step] = migrations.STEPS,
    ) -> Database:
        """Open the store at ``path``, making or migrating it where needed.

        ``check`` runs SQLite's quick check first (about half a second per 100 MB). ``backup_folder`` defaults to
        ``backups`` beside the file. Raises :class:`StoreTooNewError`, :class:`StoreCorruptError`,
        :class:`StoreBusyError`, :class:`DiskFullError` or another :class:`StoreError`.
        """
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise StoreError(
                f"This Python comes with SQLite {sqlite3.sqlite_version}, which is too old.",
                "Use a Python with SQLite 3.31 or newer.",
            )
        private_files.make_folder(path.parent)
        is_new = private_files.make_file(path)
        backups = Backups(path, backup_folder) if backup_folder else cls.backups_of(path)
        # Before the first statement: SQLite gives the -wal and -shm files the mode of the store.
        private_files.keep_private(
            path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
        )
        if 0 < path.stat().st_size < _SMALLEST_FILE_BYTES:
            raise failures.corrupt(path, backups.newest_path(), "it is too short")
        with _explained(path, backups):
            connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
        database = cls(connection, path, backups, now)
        try:
            with _explained(path, backups):
                database._set_up(busy_timeout_seconds, steps, is_new=is_new, check=check)
        except BaseException:
            connection.close()
            raise
        return database

    @staticmethod
    def backups_of(path: Path) -> Backups:
        """Return the backups of the store at ``path``; touches no disk."""
        return Backups(path, path.parent / "backups")

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection itself, in autocommit mode; for this package only."""
        return self._connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the store's write lock for a ``with`` block: all of it happens, or nothing.

        Waits for another writer up to the busy time-out, then raises :class:`StoreBusyError`. A
        transaction inside of a transaction joins it. Never yield to a caller's code inside.
        """
        if self._reading:
            raise RuntimeError("a write cannot begin inside of a read")
        connection = self._connection
        if connection.in_transaction:
            yield connection
            return
        with self.explained():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the store for a ``with`` block, whatever others write meanwhile.

        Takes no lock that a writer would wait for. Inside of a transaction it sees that transaction.
        """
        connection = self._connection
        if connection.in_transaction:
            yield connection
            return
        with self.explained():
            connection.execute("BEGIN")
            self._reading = True
            try:
                yield connection
            finally:
                self._reading = False
                self._roll_back()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn SQLite's errors into those of :mod:`allie_desktop.domain.errors`."""
        with _explained(self.path, self.backups):
            yield

    def check(self, *, full: bool = False) -> None:
        """Raise :class:`StoreCorruptError` when the file is damaged.

        Quick: every page and row. Full: indexes, references, search index and tally too; takes the write
        lock, and about ten times as long.
        """
        with self.explained():
            pragma = "integrity_check" if full else "quick_check"
            problems = [row[0] for row in self._connection.execute(f"PRAGMA {pragma}(3)")]
        if problems == ["ok"]:
            problems = self._deeper_problems() if full else []
        if problems:
            raise failures.corrupt(self.path, self.backups.newest_path(), "; ".join(problems))

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it; return False when a reader was in the way."""
        with self.explained():
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def size_bytes(self) -> int:
        """Return what the store takes on the disk, without backups."""
        return sum(
            part.stat().st_size
            for part in (self.path, self.path.with_name(f"{self.path.name}-wal"))
            if part.exists()
        )

    def close(self) -> None:
        """Close the connection; closing again does nothing."""
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set_up(
        self, busy_timeout_seconds: float, steps: Sequence[Step], *, is_new: bool, check: bool
    ) -> None:
        connection = self._connection
        _use_write_ahead_log(connection, busy_timeout_seconds)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        newest = self.backups.newest_path()
        if not is_new and newest is not None and migrations.is_blank(connection):
            raise failures.corrupt(self.path, newest, "it is empty")
        if self._ends_within_a_page():
            raise failures.corrupt(self.path, newest, "its end is missing")
        if check:
            self.check()
        if migrations.pending(connection, steps):
            migrations.migrate(connection, self.backups, steps)
        if connection.execute("SELECT 1 FROM erasures LIMIT 1").fetchone():
            from allie_desktop.store import erasure  # which stands on this module

            erasure.finish(self)

    def _ends_within_a_page(self) -> bool:
        """Whether the file was cut off. SQLite notices missing pages, but takes the rest of one for whole.

        A crash while the log is copied into the file may look the same, but then the log is still there.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        if log.exists() and log.stat().st_size:
            return False
        page_size: int = self._connection.execute("PRAGMA page_size").fetchone()[0]
        return self.path.stat().st_size % page_size != 0

    def _roll_back(self) -> None:
        # A full disk may have ended the transaction already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _deeper_problems(self) -> list[str]:
        problems = [
            f"a row of {table} refers to a missing row of {parent}"
            for table, _, parent, _ in self._connection.execute("PRAGMA foreign_key_check")
        ]
        with self.transaction() as connection:
            try:
                connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
            except sqlite3.DatabaseError:
                problems.append("the search index does not match the texts")
            columns = [row[1] for row in connection.execute("PRAGMA table_info(recount)")]
            names = ", ".join(columns)
            kept = connection.execute(f"SELECT {names} FROM tally").fetchone()
            counted = connection.execute(f"SELECT {names} FROM recount").fetchone()
            if kept != counted:
                problems.append("the counters do not match the conversations")
        return problems


@contextlib.contextmanager
def _explained(path: Path, backups: Backups) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:  # what SQLite quotes from a damaged page
        raise failures.corrupt(path, backups.newest_path(), "it holds bytes that are no text") from error
    except sqlite3.Error as error:
        explained = failures.explain(error, path, backups.newest_path())
        if explained is None:
            raise
        raise explained from error


def _use_write_ahead_log(connection: sqlite3.Connection, timeout_seconds: float) -> None:
    """Switch the file to write-ahead logging, which lasts.

    SQLite does not wait for other connections here as it does elsewhere, so two first starts at the same
    moment would collide.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if failures.kind_of(error) != "busy" or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            return

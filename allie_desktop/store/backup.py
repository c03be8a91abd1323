"""Backups: whole copies of the store that were opened and checked before they got their name.

A backup is one SQLite file in the backup folder. It is made through SQLite's own backup interface, so
that it is consistent whoever writes meanwhile, under a name ending in ``.partial``; only after an integrity
check does it get its real name. The newest ``keep`` of each reason stay.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from allie_desktop.domain.errors import StoreBusyError, StoreCorruptError, StoreError
from allie_desktop.store import failures, private_files
from allie_desktop.store.columns import utc_now

_NAME = re.compile(r"(?P<stem>.+)-(?P<at>\d{8}T\d{12}Z)-(?P<reason>[a-z0-9-]+)\.sqlite\Z")
_PARTIAL = re.compile(r"\.(?P<pid>\d+)\.partial(-\w+)?\Z")
_TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"

#: A ``.partial`` file older than this was left by a process that died.
_PARTIAL_LIFETIME = timedelta(hours=6)

#: Free space that must remain beside a new backup.
_SPARE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A finished backup. ``reason`` says why it was made: ``daily``, ``before-…`` (a migration)."""

    path: Path
    made_at: datetime
    reason: str
    size_bytes: int


class Backups:
    """The backups of one store. May be used from any thread; opens its own connections."""

    def __init__(self, store: Path, folder: Path, *, keep: int = 5) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1, not {keep}")
        self.store = store
        self.folder = folder
        self.keep = keep

    def all(self) -> tuple[Backup, ...]:
        """Return the finished backups, newest first."""
        try:
            paths = list(self.folder.iterdir())
        except OSError:  # there is no folder (yet)
            return ()
        found = [backup for path in paths if (backup := self._read(path)) is not None]
        return tuple(sorted(found, key=lambda backup: backup.made_at, reverse=True))

    def newest(self) -> Backup | None:
        """Return the newest one; None when there is none."""
        return next(iter(self.all()), None)

    def newest_path(self) -> Path | None:
        """Return where the newest one is; None when there is none."""
        newest = self.newest()
        return None if newest is None else newest.path

    def is_due(self, now: datetime, *, every: timedelta = timedelta(days=1)) -> bool:
        """Return whether the newest backup is older than ``every`` (or made after ``now``: the clock jumped)."""
        newest = self.newest()
        return newest is None or not timedelta(0) <= now - newest.made_at < every

    def create(self, *, reason: str = "daily", now: datetime | None = None) -> Backup:
        """Copy the store, verify the copy, remove surplus older ones of this reason.

        Other connections may read and write meanwhile. Raises :class:`DiskFullError` before anything is
        written when the copy would not fit, :class:`StoreCorruptError` when the copy does not verify (it
        is removed then), :class:`StoreError` otherwise.
        """
        private_files.make_folder(self.folder)
        self.tidy()
        self._require_space()
        made_at = now or utc_now()
        label = re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-") or "backup"
        while (path := self._path(made_at, label)).exists():
            made_at += timedelta(microseconds=1)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            private_files.make_file(partial)
            with self._explained():
                self._copy(self.store, partial)
            self._check(partial)
            os.replace(partial, path)
        except OSError as error:
            raise StoreError(
                f"The backup {path} could not be written ({error.strerror}).",
                "Make sure that there is space and that the folder is not write-protected.",
            ) from error
        finally:
            _remove(partial)
        private_files.sync_folder(self.folder)
        self._rotate(label)
        return Backup(path=path, made_at=made_at, reason=label, size_bytes=path.stat().st_size)

    def verify(self, backup: Backup) -> None:
        """Open a backup and check all of it; raise :class:`StoreCorruptError`."""
        self._check(backup.path)

    def restore(self, backup: Backup) -> Path | None:
        """Put a backup in the place of the store; return where the store it replaces lies now.

        Nobody may have the store open: raises :class:`StoreBusyError` when somebody has. The backup is
        verified first and stays. The replaced store is moved aside, never deleted.
        """
        self._check(backup.path)
        private_files.make_folder(self.store.parent)
        fresh = self.store.with_name(f"{self.store.name}.restoring")
        _remove(fresh)
        try:
            private_files.make_file(fresh)
            with self._explained():
                self._copy(backup.path, fresh)
            aside = self._move_aside()
            os.replace(fresh, self.store)
        except OSError as error:
            raise StoreError(
                f"The backup {backup.path} could not be put in place ({error.strerror}).",
                f"Make sure that the folder {self.store.parent} is not write-protected.",
            ) from error
        finally:
            _remove(fresh)
        private_files.sync_folder(self.store.parent)
        return aside

    def remove_path(self, path: Path) -> None:
        """Delete the backup at ``path``."""
        _remove(path)

    def tidy(self) -> None:
        """Delete copies that were never finished, of processes that are gone."""
        oldest_allowed = (utc_now() - _PARTIAL_LIFETIME).timestamp()
        for path in self.folder.glob("*.partial*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest_allowed or _is_abandoned(path):
                    path.unlink()

    def remove_replaced(self) -> None:
        """Delete stores that were replaced and kept aside, and copies that were never finished."""
        for pattern in (f"{self.store.name}.replaced-*", f"{self.store.name}.restoring*"):
            for path in self.store.parent.glob(pattern):
                path.unlink(missing_ok=True)
        for path in self.folder.glob("*.partial*"):
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Backup | None:
        """Return what a file's name tells; None for a file that is no backup of this store."""
        match = _NAME.match(path.name)
        if match is None or match["stem"] != self.store.stem:
            return None
        try:
            made_at = datetime.strptime(match["at"], _TIME_FORMAT).replace(tzinfo=timezone.utc)
            size_bytes = path.stat().st_size
        except (ValueError, OSError):  # no such date; or deleted just now
            return None
        return Backup(path=path, made_at=made_at, reason=match["reason"], size_bytes=size_bytes)

    def _path(self, made_at: datetime, label: str) -> Path:
        stamp = made_at.astimezone(timezone.utc).strftime(_TIME_FORMAT)
        return self.folder / f"{self.store.stem}-{stamp}-{label}.sqlite"

    def _require_space(self) -> None:
        try:
            size = self.store.stat().st_size
            wal = self.store.with_name(f"{self.store.name}-wal")
            size += wal.stat().st_size if wal.exists() else 0
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise StoreError(f"The store {self.store} cannot be read ({error.strerror}).") from error
        if free < size + _SPARE_BYTES:
            raise failures.disk_full(self.folder)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with (
            contextlib.closing(sqlite3.connect(source)) as reading,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
        ):
            reading.backup(writing)
            # One file that needs no -wal and -shm beside it.
            writing.execute("PRAGMA journal_mode=DELETE")

    def _check(self, path: Path) -> None:
        """Raise :class:`StoreCorruptError` unless all of a file is in order."""
        try:
            with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
                lines = [row[0] for row in copy.execute("PRAGMA integrity_check(3)")]
                version: int = copy.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            lines, version = [str(error)], 0
        if lines == ["ok"] and version == 0:
            lines = ["it is empty"]
        if lines != ["ok"]:
            raise StoreCorruptError(
                f"The copy {path} of the conversation store is damaged ({'; '.join(lines)}).",
                "If this was a backup, use an older one; if it was being made, check the disk.",
            )

    def _rotate(self, label: str) -> None:
        for backup in [backup for backup in self.all() if backup.reason == label][self.keep :]:
            _remove(backup.path)

    def _move_aside(self) -> Path | None:
        if not self.store.exists():
            return None
        self._require_nobody()
        stamp = utc_now().strftime(_TIME_FORMAT)
        aside = self.store.with_name(f"{self.store.name}.replaced-{stamp}")
        # The log goes with its file: SQLite would replay a log left behind into the restored store.
        for suffix in ("-wal", "-shm", ""):
            part = self.store.with_name(f"{self.store.name}{suffix}")
            if part.exists():
                os.replace(part, aside.with_name(f"{aside.name}{suffix}"))
        return aside

    def _require_nobody(self) -> None:
        """Raise :class:`StoreBusyError` when a connection to the store is open anywhere."""
        try:
            with contextlib.closing(
                sqlite3.connect(self.store, timeout=0.0, isolation_level=None)
            ) as connection:
                # In this mode SQLite wants the file for itself, and any open connection holds a share of it.
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if failures.kind_of(error) == "busy":
                raise StoreBusyError(
                    f"The conversation store {self.store} is in use.",
                    "Quit Allie and close its commands, then try again.",
                ) from error
            # A store too damaged to be locked is the usual reason for being here.

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            explained = failures.explain(error, self.store, self.newest_path())
            if explained is None:
                raise
            raise explained from error


def _is_abandoned(partial: Path) -> bool:
    """Whether the process that wrote it is known to be gone; its number stands in the name."""
    match = _PARTIAL.search(partial.name)
    if match is None or os.name != "posix":  # elsewhere asking for a process would end it
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f"{path.name}{suffix}").unlink()

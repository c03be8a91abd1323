"""What SQLite complains about, as sentences for the person.

SQLite reports a result code (https://www.sqlite.org/rescode.html). Python offers it from 3.11 on; before,
only its text can be told apart, and SQLite's texts have been stable for twenty years.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from allie_desktop.domain.errors import (
    AllieError,
    DiskFullError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
)

_KINDS_BY_CODE = {
    5: "busy",  # SQLITE_BUSY
    6: "busy",  # SQLITE_LOCKED
    8: "read-only",  # SQLITE_READONLY
    10: "input-output",  # SQLITE_IOERR
    11: "corrupt",  # SQLITE_CORRUPT
    13: "full",  # SQLITE_FULL
    14: "unopenable",  # SQLITE_CANTOPEN
    15: "busy",  # SQLITE_PROTOCOL: somebody else keeps winning the lock
    26: "corrupt",  # SQLITE_NOTADB
}

_KINDS_BY_TEXT = (
    ("is locked", "busy"),
    ("locking protocol", "busy"),
    ("readonly database", "read-only"),
    ("disk i/o error", "input-output"),
    ("malformed", "corrupt"),
    ("disk is full", "full"),
    ("unable to open database file", "unopenable"),
    ("not a database", "corrupt"),
    ("unsupported file format", "corrupt"),
)

#: With less free space than this an input-output error means that the disk is full: SQLite says so only
#: when the write itself fails, not when its shared-memory file cannot grow.
_NO_SPACE_BYTES = 1024 * 1024


def kind_of(error: sqlite3.Error) -> str | None:
    """Return what went wrong in one word; None for a mistake in our own SQL."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _KINDS_BY_CODE.get(code & 0xFF)
    message = str(error).lower()
    return next((kind for fragment, kind in _KINDS_BY_TEXT if fragment in message), None)


def corrupt(store: Path, newest_backup: Path | None, detail: str) -> StoreCorruptError:
    """Return the error for a damaged store; its remedy names the newest backup."""
    message = f"The conversation store {store} is damaged ({detail})."
    if newest_backup is None:
        remedy = "There is no backup. Move the file away to start with an empty store."
    else:
        remedy = (
            f"The newest backup is {newest_backup}. Close Allie, move {store.name}, {store.name}-wal and "
            f"{store.name}-shm away, and copy the backup to {store}."
        )
    return StoreCorruptError(message, remedy)


def disk_full(folder: Path) -> DiskFullError:
    """Return the error for a full disk."""
    return DiskFullError(
        f"There is no space left on the disk that holds {folder}.",
        "Free some space and try again; nothing was half written.",
    )


def explain(error: sqlite3.Error, store: Path, newest_backup: Path | None) -> AllieError | None:
    """Return the error that a person should see; None for a mistake in our own SQL."""
    kind = kind_of(error)
    if kind == "busy":
        return StoreBusyError(
            f"Another program is writing to the conversation store {store}.",
            "Try again in a moment; if that does not help, close other windows and commands of Allie.",
        )
    if kind == "corrupt":
        return corrupt(store, newest_backup, str(error))
    if kind == "full" or (kind == "input-output" and _no_space(store.parent)):
        return disk_full(store.parent)
    if kind == "read-only":
        return StoreError(
            f"The conversation store {store} cannot be written.",
            "Make sure that the file and its folder belong to you and are not write-protected.",
        )
    if kind == "unopenable":
        return StoreError(
            f"The conversation store {store} cannot be opened.",
            "Make sure that its folder exists and that you may read and write there.",
        )
    if kind == "input-output":
        return StoreError(
            f"The disk reported an error while using the conversation store {store} ({error}).",
            "Check the disk, and keep the newest backup safe.",
        )
    return None


def _no_space(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _NO_SPACE_BYTES
    except OSError:
        return False

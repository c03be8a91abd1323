"""What SQLite complains about, told apart with and without its result codes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from allie_desktop.domain.errors import (
    AllieError,
    DiskFullError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
)
from allie_desktop.store import failures

STORE = Path("/data/allie.sqlite")

#: (SQLite's text, its extended result code, the error that a person sees)
CASES = [
    ("database is locked", 5, StoreBusyError),
    ("database is locked", 517, StoreBusyError),  # SQLITE_BUSY_SNAPSHOT
    ("database table is locked", 6, StoreBusyError),
    ("locking protocol", 15, StoreBusyError),
    ("attempt to write a readonly database", 8, StoreError),
    ("attempt to write a readonly database", 1544, StoreError),  # SQLITE_READONLY_DIRECTORY
    ("disk I/O error", 10, StoreError),
    ("disk I/O error", 522, StoreError),  # SQLITE_IOERR_SHORT_READ
    ("database disk image is malformed", 11, StoreCorruptError),
    ("malformed database schema (x)", 11, StoreCorruptError),
    ("database or disk is full", 13, DiskFullError),
    ("unable to open database file", 14, StoreError),
    ("file is not a database", 26, StoreCorruptError),
]


@pytest.mark.parametrize(("message", "code", "kind"), CASES)
@pytest.mark.parametrize("with_code", [True, False])
def test_each_failure_has_its_error(message: str, code: int, kind: type[AllieError], *, with_code: bool):
    error = sqlite3.DatabaseError(message)
    if with_code:
        error.sqlite_errorcode = code
    explained = failures.explain(error, STORE, None)
    assert type(explained) is kind
    assert explained.message.endswith(".")
    assert explained.remedy.endswith(".")


@pytest.mark.parametrize(
    "message", ["no such table: x", 'near "SELEKT": syntax error', "UNIQUE constraint failed: a.b"]
)
def test_a_mistake_of_ours_is_not_explained_away(message: str):
    assert failures.explain(sqlite3.OperationalError(message), STORE, None) is None
    with_code = sqlite3.OperationalError(message)
    with_code.sqlite_errorcode = 1
    assert failures.explain(with_code, STORE, None) is None


def test_an_error_of_the_disk_that_is_full_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failures, "_NO_SPACE_BYTES", 10**18)
    explained = failures.explain(sqlite3.OperationalError("disk I/O error"), tmp_path / "allie.sqlite", None)
    assert type(explained) is DiskFullError


def test_a_disk_that_cannot_be_asked_is_not_called_full(tmp_path: Path):
    explained = failures.explain(
        sqlite3.OperationalError("disk I/O error"), tmp_path / "gone" / "allie.sqlite", None
    )
    assert type(explained) is StoreError

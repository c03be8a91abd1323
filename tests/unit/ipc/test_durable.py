"""Files that are either as they were or as they shall be."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from allie_desktop.domain.errors import DiskFullError
from allie_desktop.ipc.durable import replace_file


def test_a_file_is_made_with_its_folders_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    replace_file(path, b"one")

    assert path.read_bytes() == b"one"
    assert [entry.name for entry in path.parent.iterdir()] == ["c.json"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    replace_file(path, b"one")
    replace_file(path, b"two")

    assert path.read_bytes() == b"two"


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.json"
    replace_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no room"):
        replace_file(path, b"new")

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".c")] == []


def test_what_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        replace_file(tmp_path / "file" / "c.json", b"new")

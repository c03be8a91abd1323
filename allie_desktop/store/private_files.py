"""Files and folders that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from allie_desktop.domain.errors import StoreError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def make_folder(folder: Path) -> None:
    """Make a folder (and its parents) that only its owner can enter; raise :class:`StoreError`."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if not _is_shared(folder):
            with contextlib.suppress(PermissionError):  # somebody else's folder; the file is private anyway
                _narrow(folder, PRIVATE_FOLDER)
    except OSError as error:
        raise StoreError(
            f"The folder {folder} cannot be used ({error.strerror}).",
            "Make sure that it belongs to you and is not write-protected.",
        ) from error


def make_file(path: Path) -> bool:
    """Make an empty file that only its owner can read; return False when there is one already.

    An existing file is never opened here: closing any descriptor of a file drops all POSIX locks that this
    process holds on it, SQLite's too (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(
            f"The file {path} cannot be made ({error.strerror}).",
            "Make sure that its folder belongs to you and is not write-protected.",
        ) from error
    os.close(descriptor)
    return True


def keep_private(*paths: Path) -> None:
    """Take away what others may do with these files, where they exist and are ours."""
    for path in paths:
        try:
            _narrow(path, PRIVATE_FILE)
        except OSError:
            # Somebody else's file: whether it can be used is for SQLite to say, in its own words.
            continue


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders, and needs no such thing
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_shared(folder: Path) -> bool:
    """Whether others have a right to this folder: a sticky one like /tmp, or a whole home."""
    return bool(folder.stat().st_mode & stat.S_ISVTX) or folder.resolve() == Path.home()


def _narrow(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & ~mode:
        path.chmod(mode)

"""Files that are either as they were or as they shall be, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from allie_desktop.domain.errors import DiskFullError

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: to a temporary neighbour, fsync, rename, fsync of the folder.

    Missing folders are made. Only the owner may read the file. Raise :class:`DiskFullError` when there is
    no room, with the old file untouched, and :class:`OSError` for anything else.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        if error.errno in _FULL:
            raise DiskFullError(
                f"There is no room on the disk for {path}.", "Free some space, then start again."
            ) from error
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` last, where the platform has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

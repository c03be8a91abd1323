"""A folder for a person that appears when it is whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from allie_desktop.domain.errors import BadInputError, DiskFullError

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
_OS_ERROR = re.compile(r"os error (\d+)")


@contextmanager
def new_folder(target: Path, *, needed_bytes: int = 0) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that becomes ``target`` when the block ends well.

    Raises :class:`BadInputError` when ``target`` is there and is not an empty folder, or cannot be written,
    and :class:`DiskFullError` when the disk has less than ``needed_bytes`` or fills up. After any exception
    nothing of it is left.
    """
    target = Path(os.path.realpath(target.expanduser()))
    scratch = target.with_name(f".{target.name}.part")
    try:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise BadInputError(f"{target} is there already.", "Name a new folder, or an empty one.")
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if free < needed_bytes:
            raise _full(target, f"{_gb(needed_bytes)} are needed, and {_gb(free)} are free.")
        shutil.rmtree(scratch, ignore_errors=True)  # of an export that was killed
        scratch.mkdir(mode=0o700)
        yield scratch
        for file in scratch.rglob("*"):
            _sync(file)
        if target.exists():
            target.rmdir()
        os.replace(scratch, target)
        _sync(target.parent)
    except (OSError, SafetensorError) as error:
        if error_number(error) in _FULL:
            raise _full(target, "What was written so far is gone again.") from error
        raise BadInputError(f"{target} cannot be written: {_why(error)}.", "Name another folder.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def error_number(error: OSError | SafetensorError) -> int | None:
    """Return the ``errno`` of an error; safetensors and numpy say it only in words."""
    if isinstance(error, OSError):
        short = error.errno is None and " requested and " in str(error)  # numpy, of a file it cannot lengthen
        return errno.ENOSPC if short else error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _full(target: Path, what: str) -> DiskFullError:
    return DiskFullError(
        f"There is no room for {target.name} on this disk. {what}",
        "Free some disk space, or name another disk.",
    )


def _why(error: OSError | SafetensorError) -> str:
    number = error_number(error)
    return (os.strerror(number) if number else str(error) or type(error).__name__).lower()


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def _sync(path: Path) -> None:
    """Wait until a file or a folder's names are on the disk (folders cannot be synced on Windows)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

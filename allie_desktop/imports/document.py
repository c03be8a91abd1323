"""One text to be read: where it comes from, what to call it, and opening it as UTF-8."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import BinaryIO

from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.encoding import HEAD_BYTES, as_utf8


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text. ``label`` is what a person knows it by, ``name`` its file name without folders.

    ``open_raw`` returns a new stream of its bytes; ``modified_at`` (UTC) is when the file was written.
    """

    label: str
    name: str
    modified_at: datetime
    open_raw: Callable[[], BinaryIO]


def shown(path: Path) -> str:
    """Return ``path`` as text that can be printed and stored, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def checked(path: Path) -> Path:
    """Return ``path`` when it is a file or a folder; raise :class:`ImportFileError` otherwise."""
    try:
        if path.is_file() or path.is_dir():
            return path
        there = path.exists()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if there:
        raise ImportFileError(f"{shown(path)} is neither a file nor a folder.", "Give a file to import.")
    raise ImportFileError(f"There is no file {shown(path)}.", "Check the name and try again.")


def head_of(path: Path) -> bytes:
    """Return the first 64 KiB of a file as they are; nothing for a folder."""
    if path.is_dir():
        return b""
    with opened_file(path) as stream:
        try:
            return stream.read(HEAD_BYTES)
        except OSError as error:
            raise _unreadable(path, error) from error


def file_document(path: Path) -> Document:
    """Return the text of one file."""
    return Document(
        label=shown(path),
        name=os.fsencode(path.name).decode("utf-8", "replace"),
        modified_at=file_time(path),
        open_raw=partial(opened_file, path),
    )


def file_time(path: Path) -> datetime:
    """Return when a file was last written (UTC); now when that cannot be told."""
    with suppress(OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    return datetime.now(timezone.utc)


def opened_file(path: Path) -> BinaryIO:
    """Open a file for reading bytes; raise :class:`ImportFileError` in words when that fails."""
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError | ValueError) -> ImportFileError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return ImportFileError(f"{shown(path)} cannot be read: {reason}.", "Check the file and its permissions.")


@contextmanager
def opened_text(document: Document) -> Iterator[tuple[BinaryIO, bytes]]:
    """Open a document as UTF-8 bytes; give the stream (at its start) and its first 64 KiB.

    Raises :class:`ImportFileError` when it is empty, no text, or cannot be read.
    """
    with document.open_raw() as raw:
        try:
            stream, head = as_utf8(raw)
            if len(head) < HEAD_BYTES and not head.strip():
                raise ImportFileError(f"{document.label} is empty.", "There is nothing to import.")
            if b"\x00" in head:
                raise _not_text(document.label)
            yield stream, head
        except OSError as error:
            raise ImportFileError(
                f"{document.label} cannot be read to its end: {error.strerror or error}.",
                "Check the disk that it is on.",
            ) from error


def _not_text(label: str) -> ImportFileError:
    return ImportFileError(
        f"{label} is not a text file.",
        "Give an export of conversations; text must be UTF-8 or UTF-16 with a mark.",
    )

"""Texts in a zip, read as streams: nothing is unpacked to the disk, and names are compared, not followed."""

from __future__ import annotations

import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.document import Document, file_time, opened_file, shown
from allie_desktop.imports.encoding import HEAD_BYTES

_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_END_RECORD = b"PK\x05\x06"
_END_RECORD_LONGEST_BYTES = 22 + 0xFFFF
_MAXIMUM_DIRECTORY_BYTES = 32 * 1024**2
_SUSPICIOUS_RATIO = 200
_UNSUSPICIOUS_BYTES = 64 * 1024**2
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_DIGITS = re.compile(r"(\d+)")


def is_zip(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is a zip archive."""
    return head.startswith(_MAGICS)


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key: digits by value; as text of equal width, so that no number is too long to compare."""
    return [(len(part), part) if part.isdigit() else (0, part) for part in _DIGITS.split(name)]


def members(path: Path, pattern: re.Pattern[str]) -> Iterator[Document]:
    """Yield the members of a zip; the archive stays open while they are read."""
    _check_directory_size(path)
    with opened_file(path) as file, _opened_zip(path, file) as archive:
        chosen = [
            member
            for member in archive.infolist()
            if "__MACOSX" not in member.filename
            and pattern.fullmatch(member.filename.replace("\\", "/").rpartition("/")[2])
        ]
        if not chosen and any(member.filename.lower().endswith(".zip") for member in archive.infolist()):
            raise ImportFileError(
                f"{shown(path)} holds only further archives.", "Unpack it and give the archives in it."
            )
        modified_at = file_time(path)
        archive_bytes = file.seek(0, os.SEEK_END)
        for member in sorted(chosen, key=lambda member: natural_order(member.filename)):
            label = f"{shown(path)}/{member.filename}".encode("utf-8", "replace").decode()
            yield Document(
                label=label,
                name=label.rpartition("/")[2],
                modified_at=modified_at,
                open_raw=partial(_Member.opened, archive, member, archive_bytes, label),
            )


def _check_directory_size(path: Path) -> None:
    """Refuse a zip whose table of contents alone would fill the memory; zipfile reads it whole."""
    with opened_file(path) as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(stream.tell() - _END_RECORD_LONGEST_BYTES, 0))
        tail = stream.read()
    at = tail.rfind(_END_RECORD)
    if at >= 0 and int.from_bytes(tail[at + 12 : at + 16], "little") > _MAXIMUM_DIRECTORY_BYTES:
        raise ImportFileError(
            f"{shown(path)} lists far more files than an export of conversations has.",
            "Unpack it and give the files with the conversations.",
        )


@contextmanager
def _opened_zip(path: Path, file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except _FAULTS as error:
        raise ImportFileError(
            f"{shown(path)} is a damaged zip archive.", "Download or copy it again."
        ) from error
    with archive:
        yield archive


class _Member(io.RawIOBase):
    """A member of a zip, read with a limit on what it may unpack to."""

    def __init__(self, stream: IO[bytes], packed_bytes: int, label: str) -> None:
        self._stream = stream
        self._label = label
        self._left_bytes = max(packed_bytes * _SUSPICIOUS_RATIO, _UNSUSPICIOUS_BYTES)

    @classmethod
    def opened(
        cls, archive: zipfile.ZipFile, member: zipfile.ZipInfo, archive_bytes: int, label: str
    ) -> BinaryIO:
        if member.flag_bits & 1:
            raise ImportFileError(f"{label} is encrypted.", "Unpack the archive and give the file in it.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ImportFileError(
                f"{label} is packed in a way that Allie does not read.",
                "Unpack the archive and give the file in it.",
            )
        try:
            stream = archive.open(member)
        except _FAULTS as error:
            raise cls._damaged(label) from error
        return io.BufferedReader(cls(stream, min(member.compress_size, archive_bytes), label), HEAD_BYTES)

    @staticmethod
    def _damaged(label: str) -> ImportFileError:
        return ImportFileError(f"{label} is damaged in its archive.", "Download or copy the archive again.")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except _FAULTS as error:
            raise self._damaged(self._label) from error
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ImportFileError(
                f"{self._label} unpacks to far more than its size in the archive allows for conversations.",
                "If you trust it, unpack the archive and give the file in it.",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()

"""The texts behind a path: the file itself, the members of a zip, or the files of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.archive import is_zip, members, natural_order
from allie_desktop.imports.document import Document, file_document, head_of, shown

_MAXIMUM_FOLDER_FILES = 200_000


def is_container(path: Path) -> bool:
    """Whether ``path`` is a folder or a zip."""
    return path.is_dir() or is_zip(head_of(path))


def documents(path: Path, pattern: re.Pattern[str], *, deep: bool = False) -> Iterator[Document]:
    """Yield the texts behind ``path``: itself, or those in a zip or folder whose names fit ``pattern``.

    ``deep``: in the folders below a folder too. In natural order (2 before 10). Raises
    :class:`ImportFileError` when the path or the archive cannot be read.
    """
    if path.is_dir():
        yield from (file_document(file) for file in _folder_files(path, pattern, deep=deep))
    elif is_zip(head_of(path)):
        yield from members(path, pattern)
    else:
        yield file_document(path)


def _folder_files(folder: Path, pattern: re.Pattern[str], *, deep: bool) -> list[Path]:
    found: list[Path] = []
    try:
        for parent, folders, names in os.walk(folder):
            if not deep:
                folders.clear()
            found.extend(Path(parent, name) for name in names if pattern.fullmatch(name))
            if len(found) > _MAXIMUM_FOLDER_FILES:
                raise ImportFileError(
                    f"{shown(folder)} holds more than {_MAXIMUM_FOLDER_FILES:,} conversation files.",
                    "Give one of the folders in it.",
                )
    except OSError as error:
        raise ImportFileError(f"{shown(folder)} cannot be read: {error.strerror}.") from error
    return sorted((file for file in found if file.is_file()), key=lambda file: natural_order(str(file)))

"""What may be in an adapter's folder, and how its files get to a place where they stay.

Only safetensors and JSON: a pickle is a program, and so is what a configuration can ask to import.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors import SafetensorError, deserialize

from allie_desktop.domain.errors import CorruptModelError, UnsafeModelError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.store.private_files import PRIVATE_FOLDER
from allie_desktop.store.version_records import READINGS, ManifestEntry

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
METADATA_FILE = "metadata.json"
MANIFEST_FILE = "manifest.json"
REQUIRED_FILES = (WEIGHTS_FILE, CONFIG_FILE)

_RESERVED = {METADATA_FILE, MANIFEST_FILE}
_MODEL_CARD = "README.md"  # written by PEFT, says nothing
_READABLE = {".json", ".md", ".html", ".txt"}
_CHUNK_BYTES = 1024 * 1024
_LONGEST_REASON = 200
_LARGEST_JSON_BYTES = 256 * 1024 * 1024


def check_adapter(folder: Path) -> tuple[Path, ...]:
    """Return the files of a candidate's adapter that belong into a version, sorted by name.

    Raise :class:`UnsafeModelError` for anything but plain safetensors and JSON files, and
    :class:`CorruptModelError` when a needed file is missing or is not what its name says.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CorruptModelError(f"The candidate {folder} cannot be read.", _REMEDY) from error
    files = [entry for entry in entries if entry.name != _MODEL_CARD]
    for file in files:
        _plain(file)
        if file.suffix == ".safetensors":
            _check_safetensors(file)
        elif file.suffix == ".json" and file.name not in _RESERVED:
            _json(file)
        else:
            raise UnsafeModelError(
                f"The candidate holds {file.name}, which is not part of an adapter.", _REMEDY
            )
    for name in REQUIRED_FILES:
        if folder / name not in files:
            raise CorruptModelError(f"The candidate has no {name}.", _REMEDY)
    _check_config(folder / CONFIG_FILE)
    return tuple(files)


def check_extra(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return files to keep beside an adapter (reports) when they are plain, readable and of other names."""
    checked = tuple(files)
    for file in checked:
        _plain(file)
        if file.suffix not in _READABLE or file.name in (*_RESERVED, *REQUIRED_FILES):
            raise UnsafeModelError(f"{file.name} does not belong into a version's folder.", _REMEDY)
    return checked


def copy_hashed(source: Path, target: Path) -> ManifestEntry:
    """Copy a file durably; return what was written. Raise :class:`OSError`."""
    with source.open("rb") as file:
        return write_new(target, iter(lambda: file.read(_CHUNK_BYTES), b""))


def write_new(target: Path, chunks: Iterable[bytes]) -> ManifestEntry:
    """Write a new file durably; return what was written. Raise :class:`OSError`."""
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return ManifestEntry(sha256=digest.hexdigest(), bytes=size)


def measured(file: Path) -> ManifestEntry | None:
    """Return what a file holds now; None when it is no plain file or cannot be read, also when tried once more."""
    if file.is_symlink() or not file.is_file():
        return None
    for _ in range(READINGS):
        digest, size = hashlib.sha256(), 0
        try:
            for chunk in _chunks(file):
                digest.update(chunk)
                size += len(chunk)
        except OSError:
            continue
        return ManifestEntry(sha256=digest.hexdigest(), bytes=size)
    return None


def remove_tree(folder: Path) -> None:
    """Delete a folder although it and its files are read-only."""
    folder.chmod(PRIVATE_FOLDER)
    for file in folder.iterdir():
        if not file.is_symlink():
            file.chmod(PRIVATE_FOLDER)  # Windows deletes no read-only file
    shutil.rmtree(folder)


_REMEDY = "Nothing was deployed. Start learning again."


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            yield chunk


def _plain(file: Path) -> None:
    if file.is_symlink() or not file.is_file():
        raise UnsafeModelError(f"The candidate holds {file.name}, which is not a plain file.", _REMEDY)


def _check_safetensors(file: Path) -> None:
    try:
        # An adapter is small; safe_open() would read its header alone, but loads numpy into the tray for good.
        if not deserialize(file.read_bytes()):  # type: ignore[no-untyped-call]
            raise CorruptModelError(f"The candidate's {file.name} is empty.", _REMEDY)
    except (SafetensorError, OSError) as error:
        raise CorruptModelError(
            f"The candidate's {file.name} is damaged: {_short(error)}.", _REMEDY
        ) from error


def _short(error: Exception) -> str:
    """Return what a library says; safetensors repeats whole names and headers."""
    said = str(error)
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"


def _json(file: Path) -> object:
    try:
        if file.stat().st_size > _LARGEST_JSON_BYTES:
            raise CorruptModelError(f"The candidate's {file.name} is far too large.", _REMEDY)
        return parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptModelError(
            f"The candidate's {file.name} is not JSON: {_short(error)}.", _REMEDY
        ) from error


def _check_config(file: Path) -> None:
    config = _json(file)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise CorruptModelError("The candidate's configuration is not that of a LoRA adapter.", _REMEDY)
    mapping = config.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    # PEFT imports the module that stands here.
    if mapping is not None and not str(library).startswith("transformers."):
        raise UnsafeModelError(f"The candidate asks to import {library!r}.", _REMEDY)

"""The small JSON files beside and inside version folders: what they hold, and how they survive."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.versions import VersionState
from allie_desktop.store.private_files import sync_folder

Record = TypeVar("Record")

_CHECKSUM = "checksum"

#: So often a file is tried before it counts as unreadable: a disk that fails for a moment is no reason to give a
#: version up.
READINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """One file of a sealed version."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``manifest.json``: every file of a version's folder but itself, by name. ``becoming`` is what a file may be
    instead while texts are being taken out of it."""

    files: dict[str, ManifestEntry]
    becoming: dict[str, ManifestEntry] = field(default_factory=dict)
    format: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of a version, beside its immutable folder."""

    state: VersionState = VersionState.CANDIDATE
    pinned: bool = False
    tainted: str = ""

    def changed(self, **changes: Any) -> Standing:
        """Return a copy with ``changes``."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """``states.json``. ``highest`` is the highest name that a folder ever had."""

    versions: Mapping[str, Standing] = field(default_factory=dict)
    highest: str = ""
    format: int = 1

    def of(self, name: str) -> Standing:
        """Return what became of a version; of one that nobody noted, nothing yet."""
        return self.versions.get(name, Standing())

    def noted(self, name: str, standing: Standing) -> Standings:
        """Return a copy in which ``name`` stands so."""
        return replace(self, versions={**self.versions, name: standing})

    def without(self, name: str) -> Standings:
        """Return a copy that knows no more of ``name`` than that it was there."""
        return replace(self, versions={key: item for key, item in self.versions.items() if key != name})

    def up_to(self, highest: str) -> Standings:
        """Return a copy that remembers the highest name."""
        return replace(self, highest=highest)


class TwinFile(Generic[Record]):
    """A record in a file that is replaced atomically, with a spare copy for a damaged disk."""

    def __init__(self, path: Path, record: type[Record]) -> None:
        self._path = path
        self._spare = path.with_name(f"{path.stem}.spare{path.suffix}")
        self._record = record

    def read(self) -> Record | None:
        """Return the record, from the spare when need be; None when neither can be read."""
        for path in (self._path, self._spare):
            data = read_or_empty(path)
            record = from_json(data, self._record) if _agrees(data) else None
            if record is not None:
                return record
        return None

    def exists(self) -> bool:
        """Whether either file is there, readable or not."""
        return self._path.exists() or self._spare.exists()

    def write(self, record: Record) -> None:
        """Replace both files, first the one that counts; raise :class:`OSError`."""
        data = _with_checksum(to_json(record))
        replace_durably(self._path, data)
        replace_durably(self._spare, data)


def to_json(record: object) -> bytes:
    """Return a record as pretty JSON; what is not finite becomes null."""
    plain = msgspec.json.decode(msgspec.json.encode(_escaped(msgspec.to_builtins(record))))
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def from_json(data: bytes, record: type[Record]) -> Record | None:
    """Return the record in ``data``; None when there is none. Keys that are not known are left out."""
    try:
        return msgspec.json.decode(data, type=record)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def read_or_empty(path: Path) -> bytes:
    """Return a file's content; nothing when it cannot be read, also when tried once more."""
    for _ in range(READINGS):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            break
        except OSError:
            continue
    return b""


def _with_checksum(data: bytes) -> bytes:
    """Return a JSON object with a last key that tells whether any other was changed by a failing disk."""
    document = json.loads(data)
    return (
        json.dumps({**document, _CHECKSUM: _checksum(document)}, indent=2, ensure_ascii=False) + "\n"
    ).encode()


def _agrees(data: bytes) -> bool:
    """Whether a JSON object is what it was written as; one of an older Allie has no checksum."""
    try:
        document = parse_json(data)
        return not isinstance(document, dict) or document.pop(_CHECKSUM, None) in (None, _checksum(document))
    except ValueError:
        return False


def _checksum(document: object) -> str:
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _escaped(value: Any) -> Any:
    """Take out of texts what UTF-8 cannot carry (a file name may hold anything)."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value


def replace_durably(path: Path, data: bytes) -> None:
    """Replace a file atomically; raise :class:`OSError`, with the file as it was."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)

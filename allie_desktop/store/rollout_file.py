"""How far a new version has come: ``rollout.json`` beside ``active.json``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from allie_desktop.domain.errors import DiskFullError, StoreBusyError
from allie_desktop.domain.rollout import RolloutRecord
from allie_desktop.store.private_files import PRIVATE_FOLDER
from allie_desktop.store.version_records import TwinFile

_LOCK_SECONDS = 10.0


class RolloutFile:
    """The roll-out record of one base model, in the folder of its versions. Any thread and any process may
    use its own object; making one touches no disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = TwinFile(folder / "rollout.json", RolloutRecord)
        self._watched = (folder / "rollout.json", folder / "active.json")

    def read(self) -> RolloutRecord | None:
        """Return the record; None when there never was one, or nothing of it can be read."""
        record = self._record.read()
        if record is None or record.started_at.tzinfo is None or record.stage_since.tzinfo is None:
            return None
        return record

    def write(self, record: RolloutRecord) -> None:
        """Replace the record atomically and durably."""
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        try:
            self._record.write(record)
        except OSError as error:
            raise DiskFullError(
                f"{self._folder / 'rollout.json'} cannot be written: {error.strerror or error}.",
                "Free some space; the version that answers is the one before.",
            ) from error

    def stamp(self) -> object:
        """Return something that changes when the record or the active pointer does; costs two looks at the
        file system and reads nothing."""
        return tuple(map(_stamp, self._watched))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from changing the record for a ``with`` block; raise :class:`StoreBusyError`."""
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        try:
            with filelock.FileLock(
                self._folder / ".rollout.lock", timeout=_LOCK_SECONDS, fallback_to_soft=False
            ):
                yield
        except filelock.Timeout:
            raise StoreBusyError(
                "Another Allie is changing how a version takes over.", "Try again in a moment."
            ) from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino

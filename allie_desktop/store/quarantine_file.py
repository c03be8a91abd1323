"""What is held back for review: ``quarantine.json`` among the person's data. Ids and counts, no words."""

from __future__ import annotations

from pathlib import Path

from allie_desktop.domain.errors import DiskFullError
from allie_desktop.domain.quarantine import Quarantined
from allie_desktop.store.private_files import PRIVATE_FOLDER
from allie_desktop.store.version_records import TwinFile


class QuarantineFile:
    """The holds, in a file with a spare copy; making an object touches no disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record = TwinFile(folder / "quarantine.json", Quarantined)

    def read(self) -> Quarantined:
        """Return the holds; none when there never were any, or nothing of them can be read."""
        return self._record.read() or Quarantined()

    def write(self, record: Quarantined) -> None:
        """Replace the holds atomically and durably."""
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        try:
            self._record.write(record)
        except OSError as error:
            raise DiskFullError(
                f"{self._folder / 'quarantine.json'} cannot be written: {error.strerror or error}.",
                "Free some space; nothing is learnt until it can be.",
            ) from error

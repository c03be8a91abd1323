"""What is being forgotten, in a file of its own: a store that comes back from a backup knows nothing of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from allie_desktop.store.version_records import TwinFile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    ids: tuple[str, ...] = ()


class ForgettingJournal:
    """:class:`services.forgetting.Journal` beside the store. There is no file while nothing is pending."""

    def __init__(self, folder: Path) -> None:
        self._paths = (folder / "forgetting.json", folder / "forgetting.spare.json")
        self._file = TwinFile(self._paths[0], _Pending)

    def read(self) -> tuple[str, ...]:
        """Return the ids."""
        pending = self._file.read()
        return () if pending is None else pending.ids

    def write(self, ids: Iterable[str]) -> None:
        """Replace them; raise :class:`OSError`."""
        pending = _Pending(ids=tuple(ids))
        if pending.ids:
            self._file.write(pending)
            return
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

"""One episode at a time in a home, whoever starts it: tray, command line, or both.

The lock is the operating system's, on an open file: it ends with the process that took it, however that
ends. The number of the holder stands in a file beside it, for the sentence that refuses the second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from allie_desktop.domain.errors import AllieError, EpisodeBusyError

LOCK_FILE = "episode.lock"
HOLDER_FILE = "episode.pid"


class FileEpisodeLock:
    """:class:`domain.ports.EpisodeLock` in a folder that exists. Not re-entrant; one object a thread."""

    def __init__(self, home: Path) -> None:
        self._lock = home / LOCK_FILE
        self._holder = home / HOLDER_FILE

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take the slot for a ``with`` block.

        Raise :class:`EpisodeBusyError` at once when it is taken, :class:`AllieError` when the folder
        does not let itself be locked.
        """
        # A lock of another kind, made of a file's mere existence, would outlive a killed process.
        lock = filelock.FileLock(
            self._lock, timeout=0, mode=0o600, thread_local=False, fallback_to_soft=False
        )
        try:
            lock.acquire()
        except filelock.Timeout:
            raise EpisodeBusyError(
                f"Allie is learning already{self._holder_words()}.",
                "Wait until that episode has ended, or stop it there.",
            ) from None
        except (OSError, NotImplementedError) as error:
            raise AllieError(
                f"The folder {self._lock.parent} cannot be locked: {error}.",
                "Choose a folder on a local disk.",
            ) from error
        try:
            with contextlib.suppress(OSError):
                self._holder.write_text(f"{os.getpid()}\n", encoding="ascii")
            yield
        finally:
            with contextlib.suppress(OSError):
                self._holder.unlink(missing_ok=True)
            lock.release()

    def _holder_words(self) -> str:
        try:
            return f" (process {int(self._holder.read_bytes())})"
        except (OSError, ValueError):
            return ""

"""The log of a worker: bounded on the disk, and its end in memory.

A worker writes to stderr whatever its libraries like to say; nobody must be able to fill the disk that way,
and the pipe must be drained even when the disk is full already.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

#: The log and its predecessor together take at most twice this.
MAXIMUM_BYTES = 1024 * 1024

_TAIL_BYTES = 8 * 1024


class WorkerLog:
    """Appends to ``path``; a full file becomes ``path`` + ``.1``. Never raises. For any thread."""

    def __init__(self, path: Path, *, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._path = path
        self._older = path.with_name(path.name + ".1")
        self._maximum_bytes = maximum_bytes
        self._tail = b""
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append; of more than fits a file, the end is kept."""
        with self._lock:
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
            kept = data[-self._maximum_bytes :]
            try:
                if self._size() + len(kept) > self._maximum_bytes:
                    self._path.replace(self._older)
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                with os.fdopen(descriptor, "ab") as file:
                    file.write(kept)
            except OSError:
                pass  # a log that cannot be written must not stop the one who writes it

    def note(self, sentence: str) -> None:
        """Append a line of the program's own."""
        self.write(f"[allie] {sentence}\n".encode("utf-8", "replace"))

    @property
    def tail(self) -> str:
        """The end of what was written through this object, a few KiB."""
        with self._lock:
            return self._tail.decode("utf-8", "replace")

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

"""Giving memory back to the system that only the start, or a closed window, needed."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path

_MADV_DONTNEED = 4  # of sys/mman.h


def give_back() -> None:
    """Free what nothing refers to, and let go of code and constants that were read and are not in use.

    Starting runs through some fifty megabytes of libraries, a program that waits through very few of them. Their
    pages stay in the system's cache of files as long as there is room, and come back by themselves when they are
    touched; but they no longer count as ours, and are the first to go when memory is short. Any thread.
    """
    linecache.clearcache()  # what PySide6 read of its own sources
    gc.collect()
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError, ValueError):
        library = ctypes.CDLL(None, use_errno=True)
        library.malloc_trim(0)
        for start, size in _unchanged_mappings():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)


def _unchanged_mappings() -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of the mapped files that cannot be written to and are what the files hold: the
    pages of a mapping with relocations in it exist nowhere else."""
    start = size = 0
    is_file = False
    for line in Path("/proc/self/smaps").read_text("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(":")
        if name == "Anonymous":
            if is_file and value.split()[0] == "0":
                yield start, size
            is_file = False
        elif "-" in name and " " not in name.partition("-")[0] and not name.endswith(("_Clean", "_Dirty")):
            fields = line.split(maxsplit=5)
            if len(fields) < 2 or not fields[1].startswith(("r-", "---")):
                is_file = False
                continue
            begin, _, end = fields[0].partition("-")
            start, size = int(begin, 16), int(end, 16) - int(begin, 16)
            is_file = fields[1] in ("r-xp", "r--p") and len(fields) == 6 and fields[5].startswith("/")

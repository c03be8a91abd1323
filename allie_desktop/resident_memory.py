"""What the program does so that little of the computer's memory counts as its own."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import linecache
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_M_ARENA_MAX = -8  # of glibc's malloc.h
_MADV_DONTNEED = 4  # of sys/mman.h
#: First line of a mapping in smaps: its addresses, and the path where it is of a file and private to us and
#: cannot be written to.
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (?:(r-xp|r--p) \S+ \S+ \S+ +(/.*))?")


@cache
def share_heaps() -> None:
    """Let all threads allocate from two heaps. The C library gives most threads heaps of their own; those that
    mostly sleep keep theirs for nothing, and whatever comes and goes leaves its holes in many. Any thread."""
    _tell_c_library("mallopt", _M_ARENA_MAX, 2)


def trim_heaps() -> None:
    """Give the system what was freed. Any thread."""
    _tell_c_library("malloc_trim", 0)


class HeapTrimmer:
    """Gives freed memory back whenever the process has grown by ``growth_bytes`` since it last did.

    Tensors of ever other sizes come and go in training and generation; the C library keeps their places, and
    without this a process holds three times what it uses. Any thread.
    """

    def __init__(self, growth_bytes: int = 2**30) -> None:
        self._growth = growth_bytes
        self._least = resident_bytes()

    def look(self) -> None:
        """Call it often: it takes some microseconds where nothing is to be done."""
        now = resident_bytes()
        if now > self._least + self._growth:
            trim_heaps()
            self._least = resident_bytes()
        else:
            self._least = min(self._least, now)


def resident_bytes() -> int:
    """Return how much of this process is in memory; 0 where the system is not Linux. Any thread."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """Free what nothing refers to, and let go of code and constants that were read and are not in use.

    Starting runs through some fifty megabytes of libraries, a program that waits through very few of them. Their
    pages stay in the system's cache of files as long as there is room, and come back by themselves when they are
    touched; but they no longer count as ours, and are the first to go when memory is short. Any thread.

    What is left stays for good, mostly: the collector passes over it from now on, since looking through all of it
    stops every thread for some 50 ms. The next call looks at everything again.
    """
    linecache.clearcache()  # what PySide6 read of its own sources
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim_heaps()
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError, ValueError):
        library = ctypes.CDLL(None, use_errno=True)
        for start, size in _unchanged_mappings():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED)


def _tell_c_library(function: str, *numbers: int) -> None:
    """Call one of Linux' C library, which may lack it."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            getattr(ctypes.CDLL(None), function)(*numbers)


def _unchanged_mappings() -> Iterator[tuple[int, int]]:
    """Yield (address, bytes) of the mapped files that cannot be written to and are what the files hold: the
    pages of a mapping with relocations in it exist nowhere else."""
    mapping = None
    for line in Path("/proc/self/smaps").read_text("utf-8", "surrogateescape").splitlines():
        if found := _MAPPING.match(line):
            mapping = found if found[4] else None
        elif mapping and line.startswith("Anonymous:") and line.split()[1] == "0":
            start = int(mapping[1], 16)
            yield start, int(mapping[2], 16) - start

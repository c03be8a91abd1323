"""Lets file operations of this process go wrong, through a library of ours between Python, SQLite and libc."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from enum import IntEnum
from pathlib import Path

_SOURCE = Path(__file__).with_name("interposer.c")
_VARIABLE = "ALLIE_FAULT_LIBRARY"


class FileFault(IntEnum):
    """What can befall a file operation; the numbers are those of ``interposer.c``."""

    KILL_BEFORE = 1
    KILL_AFTER = 2
    STOP = 3
    FULL = 4
    BROKEN = 5
    FORBIDDEN = 6
    TORN = 7


def missing() -> str:
    """Return what this computer lacks for injecting faults, in words; empty when it has everything."""
    if not sys.platform.startswith("linux"):
        return "faults are injected by preloading a library, as Linux does it"
    if shutil.which("gcc") is None:
        return "there is no gcc to build the library that injects faults"
    return ""


def run_preloaded(arguments: list[str]) -> int:
    """Run ``python ARGUMENTS…`` with the library loaded; return its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "interposer.so"
        subprocess.run(
            ["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True
        )
        environment = {**os.environ, "LD_PRELOAD": str(library), _VARIABLE: str(library)}
        return subprocess.run([sys.executable, *arguments], env=environment, check=False).returncode


def is_preloaded() -> bool:
    """Whether this process has the library loaded."""
    return _VARIABLE in os.environ


class Injector:
    """The library of this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ[_VARIABLE])
        # Workers that are started from here live without it.
        os.environ.pop("LD_PRELOAD", None)

    def arm(self, folder: Path, fault: FileFault, nth: int, *, trace: int = -1) -> None:
        """Let the nth operation below ``folder`` that this can befall go wrong; 0: none, only count them."""
        self._library.fault_arm(os.fsencode(f"{folder}/"), int(fault), ctypes.c_long(nth), trace)

    def disarm(self) -> None:
        """Let everything go well again."""
        self._library.fault_disarm()

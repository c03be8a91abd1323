"""Where faults are injected: a template home, copies of it in memory, and forked processes that live in them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from allie_desktop.domain.errors import AllieError
from tests.faults import homes
from tests.faults.injection import FileFault, Injector

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Life:
    """How a process ended: ``done``, ``killed``, or what it said. ``silent``: without words for a person."""

    end: str
    value: Any = None
    silent: bool = False


class Laboratory:
    """Use it in a ``with`` block, in a process with :mod:`tests.faults.injection` loaded."""

    def __init__(self) -> None:
        self.injector = Injector()

    def __enter__(self) -> Self:
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        root = Path(self._folder.name)
        self.template = root / "template"
        self.home = root / "home"
        self.trace = root / "trace"
        self._must(lambda: homes.make_home(self.template))
        self.expected = self._must(self._everything_said)
        return self

    def __exit__(self, *_: object) -> None:
        for left in (self.template, self.home):
            if left.exists():
                homes.remove_home(left)
        self._folder.cleanup()

    def fresh(self) -> Path:
        """Return a new copy of the home."""
        if self.home.exists():
            homes.remove_home(self.home)
        homes.copy_home(self.template, self.home)
        return self.home

    def live(self, life: Callable[[], Any], *, while_stopped: Callable[[], None] | None = None) -> Life:
        """Do something in a process of its own; return how that ended."""
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            self._child(life, write_end)
        os.close(write_end)
        while True:
            _, status = os.waitpid(child, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            if while_stopped is not None:
                while_stopped()
            os.kill(child, signal.SIGCONT)
        with os.fdopen(read_end, "rb") as stream:
            said = stream.read()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return Life(end="killed" if number == signal.SIGKILL else f"signal {number}", silent=number != 9)
        document = json.loads(said) if said else {"end": "nothing said", "silent": True}
        return Life(**document)

    def count(self, fault: FileFault, life: Callable[[Path], Any]) -> list[str]:
        """Return the operations that a fault of this kind can befall, in order, and ``== NAME`` for marks."""
        home = self.fresh()
        self.trace.write_bytes(b"")

        def traced() -> None:
            descriptor = os.open(self.trace, os.O_WRONLY | os.O_APPEND)
            self.mark = lambda name: os.write(descriptor, f"== {name}\n".encode())
            self.injector.arm(home, fault, 0, trace=descriptor)
            life(home)

        ended = self.live(traced)
        if ended.end != "done":
            raise AssertionError(ended)
        return self.trace.read_text("utf-8", "replace").splitlines()

    def mark(self, name: str) -> object:
        """Note in a trace how far a life has come; elsewhere nothing."""

    def _must(self, life: Callable[[], Any]) -> Any:
        ended = self.live(life)
        if ended.end != "done":
            raise AssertionError(ended)
        return ended.value

    def _everything_said(self) -> dict[str, list[list[str]]]:
        home = self.fresh()
        homes.bring_in(home)
        return homes.texts(home / homes.DATABASE)

    def _child(self, life: Callable[[], Any], write_end: int) -> NoReturn:
        signal.alarm(_LONGEST_SECONDS)  # a hang ends as a signal, and is reported
        try:
            document: dict[str, Any] = {"end": "done", "value": life()}
        except (AllieError, OSError) as error:  # what the command line has words for
            document = {"end": f"{type(error).__name__}: {error}"}
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
            where = traceback.extract_tb(sys.exc_info()[2])[-1]
            document = {
                "end": f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}",
                "silent": not isinstance(error, sqlite3.OperationalError),
            }
            document["silent"] = True
        self.injector.disarm()
        os.write(write_end, json.dumps(document, default=str).encode())
        os._exit(0)

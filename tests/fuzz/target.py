"""What a way into the program is for the campaign: how an input is made, and what may come of it."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

MEMORY = Path("/dev/shm")


class Outcome(Enum):
    """How an input ended, when it ended well."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"  # a 5xx that is documented


class BrokenPromiseError(AssertionError):
    """The program did something that it says it never does."""


class ServerFaultError(AssertionError):
    """The service answered with a 5xx that is not documented."""


class Target(ABC):
    """One way in. :meth:`make` needs nothing but its argument; :meth:`attempt` runs in the ``with`` block, whose
    folder is :attr:`folder`.

    ``share`` says how many inputs it gets, beside the others.
    """

    name: str
    group: str
    share: float = 1.0
    #: Address space that the process may take; None for one that loads libraries which reserve more.
    memory_bytes: int | None = 6 * 1024**3
    #: Requests that one input stands for.
    requests_each: int = 1

    folder: Path

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        place = MEMORY if MEMORY.is_dir() else None
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="allie-fuzz-", dir=place)))
        self.prepare(self._stack)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def prepare(self, stack: ExitStack) -> None:  # noqa: B027 - most need nothing
        """Open what the attempts share; ``stack`` closes it."""

    @abstractmethod
    def make(self, random: Random) -> bytes:
        """Return an input."""

    @abstractmethod
    def attempt(self, data: bytes) -> Outcome:
        """Give it to the program; raise whatever must not happen."""

    def looked_after(self) -> None:  # noqa: B027 - most leave nothing behind
        """Look, now and then and at the end, at what many attempts left behind; raise what must not be."""


def quieten(stack: ExitStack) -> None:
    """Log nothing until ``stack`` is closed: what the program says of each input is not asked here."""
    logging.disable()
    stack.callback(logging.disable, logging.NOTSET)


def trust_memory(stack: ExitStack) -> None:
    """Wait for no disk until ``stack`` is closed: nobody cuts the power here."""
    stack.callback(setattr, os, "fsync", os.fsync)
    os.fsync = lambda _: None


def expect(holds: object, words: str) -> None:
    """Raise :class:`BrokenPromiseError` unless it holds."""
    if not holds:
        raise BrokenPromiseError(words)


def expect_sentence(error: Exception) -> None:
    """Raise :class:`BrokenPromiseError` unless an error speaks to a person in whole sentences."""
    words = str(error).strip()
    expect(words, f"{type(error).__name__} says nothing")
    expect(
        words[-1] in ".!?…:)’”\"'" or "\n" in words, f"{type(error).__name__} is no sentence: {words[:200]!r}"
    )
    expect(len(words) < 20_000, f"{type(error).__name__} goes on for {len(words):,} characters")

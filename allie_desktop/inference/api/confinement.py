"""What belongs to one thread, for callers in many: an SQLite connection may not change threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.conversation import Rating
from allie_desktop.domain.planning import Message
from allie_desktop.domain.ports import ExchangeRecorder, VersionRouter

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


class OwnThread(Generic[_Thing]):
    """A thread in which something lives. ``make`` is called there, for the first call; what it returns is
    left there by :meth:`close`. Any thread."""

    def __init__(self, make: Callable[[], AbstractContextManager[_Thing]]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="own")
        self._leaving = contextlib.ExitStack()
        self._thing: list[_Thing] = []

    def call(self, work: Callable[[_Thing], _Result]) -> _Result:
        """Return what ``work`` returns of the thing, or raise what it raises; waits for its turn."""
        return self._thread.submit(lambda: work(self._here())).result()

    def close(self) -> None:
        """Leave the thing, and end the thread, after all calls so far."""
        self._thread.submit(self._leaving.close).result()
        self._thread.shutdown()

    def _here(self) -> _Thing:
        if not self._thing:
            self._thing.append(self._leaving.enter_context(self._make()))
        return self._thing[0]


class PatientRecorder(ExchangeRecorder, Protocol):
    """One that records later what it cannot record now; see ``services.late_recording``."""

    def catch_up(self, *, now: bool = False) -> None:
        """Record what is late."""


class ConfinedRecorder(Generic[_Thing]):
    """:class:`domain.ports.ExchangeRecorder` for any thread, over one that belongs to a thread of its own."""

    def __init__(self, own: OwnThread[_Thing], recorder: Callable[[_Thing], PatientRecorder]) -> None:
        self._own = own
        self._recorder = recorder

    def record(self, exchange: Exchange) -> str:
        """See :meth:`domain.ports.ExchangeRecorder.record`."""
        return self._own.call(lambda thing: self._recorder(thing).record(exchange))

    def feedback(self, response_id: str, *, rating: Rating | None, correction: str | None) -> None:
        """See :meth:`domain.ports.ExchangeRecorder.feedback`."""
        self._own.call(
            lambda thing: self._recorder(thing).feedback(response_id, rating=rating, correction=correction)
        )

    def catch_up(self, *, now: bool = False) -> None:
        """See :meth:`PatientRecorder.catch_up`."""
        self._own.call(lambda thing: self._recorder(thing).catch_up(now=now))


class ConfinedRouter(Generic[_Thing]):
    """:class:`domain.ports.VersionRouter` for any thread, over one whose ``wanted`` alone is for all."""

    def __init__(self, own: OwnThread[_Thing], router: Callable[[_Thing], VersionRouter]) -> None:
        self._own = own
        self._router = router
        self._made: VersionRouter | None = None

    def choose(self, conversation_id: str | None, messages: Sequence[Message]) -> str:
        """See :meth:`domain.ports.VersionRouter.choose`."""
        return self._own.call(lambda thing: self._router(thing).choose(conversation_id, messages))

    def wanted(self) -> tuple[str, ...]:
        """See :meth:`domain.ports.VersionRouter.wanted`."""
        if self._made is None:
            self._made = self._own.call(self._router)
        return self._made.wanted()

    def failed(self, version: str, reason: str) -> None:
        """See :meth:`domain.ports.VersionRouter.failed`."""
        self._own.call(lambda thing: self._router(thing).failed(version, reason))

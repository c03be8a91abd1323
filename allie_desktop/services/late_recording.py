"""What was said while the store could not be written: kept in memory, and recorded as soon as it can."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.conversation import Rating
from allie_desktop.domain.errors import DiskFullError, StoreError
from allie_desktop.domain.ports import ExchangeRecorder

_log = logging.getLogger(__name__)

#: How soon the next try is. Each may wait for another process some seconds itself, and keeps others waiting.
RETRY_SECONDS = 10.0

#: What is kept at most, in characters; the oldest goes first.
MOST_CHARACTERS = 32 * 1024 * 1024


class LateRecorder:
    """An :class:`domain.ports.ExchangeRecorder` over another one, in the one thread that owns that.

    An exchange that cannot be recorded because the store is locked or the disk is full raises as it would
    without this, and is recorded later, before whatever comes after it: an answer to it would not find its
    conversation otherwise. ``monotonic`` returns seconds.
    """

    def __init__(
        self,
        recorder: ExchangeRecorder,
        *,
        monotonic: Callable[[], float],
        most_characters: int = MOST_CHARACTERS,
    ) -> None:
        self._recorder = recorder
        self._monotonic = monotonic
        self._most_characters = most_characters
        self._late: deque[Exchange] = deque()
        self._characters = 0
        self._tried_at = 0.0

    @property
    def late(self) -> int:
        """How many exchanges are not recorded yet."""
        return len(self._late)

    def record(self, exchange: Exchange) -> str:
        """See :meth:`domain.ports.ExchangeRecorder.record`."""
        try:
            self._record_late()
            return self._recorder.record(exchange)
        except (StoreError, DiskFullError):
            self._keep(exchange)
            raise

    def feedback(self, response_id: str, *, rating: Rating | None, correction: str | None) -> None:
        """See :meth:`domain.ports.ExchangeRecorder.feedback`."""
        self._record_late()
        self._recorder.feedback(response_id, rating=rating, correction=correction)

    def catch_up(self, *, now: bool = False) -> None:
        """Record what is late, if there is something and the last try was a while ago (or at once:
        ``now``). To be called now and then; never raises for a store that cannot be written."""
        if not self._late or (not now and self._monotonic() - self._tried_at < RETRY_SECONDS):
            return
        try:
            self._record_late()
        except (StoreError, DiskFullError) as error:
            _log.warning("%d answers are still not recorded: %s", len(self._late), error)

    def _record_late(self) -> None:
        if not self._late:
            return
        try:
            while self._late:
                try:
                    self._recorder.record(self._late[0])
                except (StoreError, DiskFullError):
                    raise
                except Exception as error:  # noqa: BLE001 - one that can never be recorded must not keep the rest
                    _log.error("an answer could not be recorded: %s", type(error).__name__)
                self._characters -= _size(self._late.popleft())
        finally:
            self._tried_at = self._monotonic()
        _log.info("all that was said is recorded again")

    def _keep(self, exchange: Exchange) -> None:
        self._tried_at = self._monotonic()
        self._late.append(exchange)
        self._characters += _size(exchange)
        while self._characters > self._most_characters:
            self._characters -= _size(self._late.popleft())
            _log.error("an answer was given up: the store could not be written for too long")


def _size(exchange: Exchange) -> int:
    return len(exchange.reply) + sum(len(message.content) for message in exchange.messages)

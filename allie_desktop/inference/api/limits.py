"""How much of everything, and who waits for whom."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from allie_desktop.inference.api.errors import ApiError, closing

_LONGEST_RETRY_SECONDS = 60
_USUAL_REPLY_SECONDS = 4.0  # until the first replies say better
_LAST_REPLY_WEIGHT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the service takes on. Sizes are in bytes or characters, as their names say."""

    body_bytes: int = 8 * 1024 * 1024
    header_seconds: float = 10.0  # from the connection (or the end of the last reply) to the last header
    body_seconds: float = 30.0  # from the last header to the last byte
    keep_alive_seconds: float = 15.0
    connections: int = 512
    running: int = 4  # replies made at the same time
    waiting: int = 64  # further requests that wait for their turn
    reply_seconds: float = 600.0  # longest generation
    buffer_characters: int = 64 * 1024  # of a reply that its client has not taken yet
    slow_client_seconds: float = 20.0  # longest time that a client takes nothing
    closing_seconds: float = 3.0  # that replies in the making have when the service ends


class Admission:
    """The turn of each request: some run, some wait, the rest is told to come back. Belongs to the event
    loop's thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running = 0
        self._people: deque[asyncio.Future[None]] = deque()
        self._programs: deque[asyncio.Future[None]] = deque()
        self._reply_seconds = _USUAL_REPLY_SECONDS

    @property
    def running(self) -> int:
        """How many have their turn now."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._people) + len(self._programs)

    async def enter(self, *, person: bool) -> None:
        """Wait for a turn; requests of a ``person`` at the chat window come before those of programs. Raise
        :class:`ApiError` (429) when too many wait already. Each turn ends with :meth:`leave`."""
        if self._running < self._limits.running and not self.waiting:
            self._running += 1
            return
        if self.waiting >= self._limits.waiting:
            seconds = self.retry_seconds()
            raise ApiError(
                429,
                f"Too many requests: {self.waiting} are waiting already. Try again in {seconds} s.",
                code="rate_limit_exceeded",
                kind="rate_limit_error",
                headers={"Retry-After": str(seconds)},
            )
        queue = self._people if person else self._programs
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in queue:
                queue.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:
                self._next()  # the turn came in the moment in which its client went
            raise

    def leave(self, seconds: float) -> None:
        """End a turn that took so long."""
        self._reply_seconds += _LAST_REPLY_WEIGHT * (seconds - self._reply_seconds)
        self._next()

    def refuse_all(self) -> None:
        """Send everybody away who waits."""
        for queue in (self._people, self._programs):
            for turn in queue:
                if not turn.done():
                    turn.set_exception(closing())
            queue.clear()

    def retry_seconds(self) -> int:
        """Return when a place in the queue should be free, in whole seconds."""
        wait = self._reply_seconds * self.waiting / self._limits.running / 2
        return max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(wait)))

    def _next(self) -> None:
        for queue in (self._people, self._programs):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)  # the place goes over: as many run as before
                    return
        self._running -= 1

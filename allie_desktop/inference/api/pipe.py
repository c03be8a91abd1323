"""From the thread that generates to the event loop that sends: bounded, and never in each other's way."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from dataclasses import dataclass

from allie_desktop.domain.chat import TextPiece
from allie_desktop.inference.api.errors import ApiError
from allie_desktop.inference.api.replies import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The version that answers is loaded, and generation begins."""

    version: str


#: A reply is one Begun, any number of pieces, and an Answer; or an error at any place.
ReplyPart = Begun | TextPiece | Answer | ApiError


class Pipe:
    """Carries the parts of one reply. ``put`` and ``put_last`` belong to one thread, ``take`` to the event
    loop that made the object; ``close`` may be called by both."""

    def __init__(self, *, capacity_characters: int, patience_seconds: float) -> None:
        self._capacity = capacity_characters
        self._patience_seconds = patience_seconds
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._room = threading.Condition()
        self._parts: deque[ReplyPart] = deque()
        self._characters = 0
        self._told = False
        self._closed = False

    def put(self, part: Begun | TextPiece) -> bool:
        """Pass a part on; wait for room where the client is slow. False when nobody will take it: the
        client has gone, or took nothing for too long."""
        with self._room:
            roomy = self._room.wait_for(
                lambda: self._closed or self._characters < self._capacity, self._patience_seconds
            )
            if self._closed or not roomy:
                return False
            if isinstance(part, TextPiece):
                self._characters += len(part.text)
            self._append(part)
        return True

    def put_last(self, part: Answer | ApiError) -> None:
        """Pass on how it ended; never waits."""
        with self._room:
            self._append(part)

    async def take(self) -> list[ReplyPart]:
        """Return all parts that are there, at least one; wait for it."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            with self._room:
                parts = list(self._parts)
                self._parts.clear()
                self._characters = 0
                self._told = False
                self._room.notify_all()
            if parts:
                return parts

    def close(self) -> None:
        """Take nothing more."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def _append(self, part: ReplyPart) -> None:
        self._parts.append(part)
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the client with it
                self._loop.call_soon_threadsafe(self._arrived.set)

"""Who may use how much of an engine's context at once.

All conversations of one engine share one pool of tokens, which lets a single long one have all of it. The
library does not share it out: when the pool is full in the middle of a reply, every running reply fails.
So nobody begins, and nobody goes on, without having reserved the room.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

#: How often somebody who waits looks whether there is still a reason to.
_LOOK_SECONDS = 0.05


class Lease:
    """A reserved part of a pool, for one reply. Any thread."""

    def __init__(self, pool: ContextPool, tokens: int) -> None:
        self._pool = pool
        self._tokens = tokens
        self._open = True

    @property
    def tokens(self) -> int:
        """How much is reserved."""
        return self._tokens

    def resize(self, tokens: int) -> bool:
        """Reserve ``tokens`` in all, and say whether there was room for it."""
        with self._pool.changed:
            if not self._open or tokens - self._tokens > self._pool.free:
                return False
            self._pool.free -= tokens - self._tokens
            self._tokens = tokens
            self._pool.changed.notify_all()
            return True

    def release(self) -> None:
        """Give it back. Twice is once."""
        with self._pool.changed:
            if self._open:
                self._open = False
                self._pool.free += self._tokens
                self._pool.slots += 1
                self._pool.changed.notify_all()


class ContextPool:
    """``tokens`` shared by at most ``slots`` replies at once; who came first begins first."""

    def __init__(self, tokens: int, slots: int) -> None:
        self.tokens = tokens
        self.free = tokens
        self.slots = slots
        self.changed = threading.Condition()
        self._waiting: deque[object] = deque()

    def take(self, tokens: int, give_up: Callable[[], bool]) -> Lease | None:
        """Wait for a slot with room for ``tokens`` (at most all there are), and return it; None as soon as
        ``give_up`` says True."""
        wanted = min(tokens, self.tokens)
        ticket = object()
        with self.changed:
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or not self.slots or self.free < wanted:
                    if give_up():
                        return None
                    self.changed.wait(_LOOK_SECONDS)
                self.slots -= 1
                self.free -= wanted
                return Lease(self, wanted)
            finally:
                self._waiting.remove(ticket)
                self.changed.notify_all()

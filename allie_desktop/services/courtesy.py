"""How long learning stands aside for chat: as long as people chat, but not for ever.

A person reads and types between two answers, and then the worker goes on. A program that asks without a pause
for hours would keep a frozen worker and its memory for as long. It shares the computer after a while: the
worker, which has the lowest priority in any case, gets a short turn now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

#: Nobody reads, listens or types for so long without a pause between two answers.
PATIENCE_SECONDS = 120.0
#: From then on the worker has a turn of the first length, and stands still for the second, again and again.
TURN_SECONDS = 2.0
REST_SECONDS = 6.0


class Courtesy:
    """Whether the worker shall stand still now; to be called often, from any thread.

    ``busy`` says whether somebody is being answered, ``monotonic`` returns seconds.
    """

    def __init__(
        self,
        busy: Callable[[], bool],
        *,
        monotonic: Callable[[], float],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._busy = busy
        self._monotonic = monotonic
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._since: float | None = None

    def __call__(self) -> bool:
        """Return True while somebody chats, with a turn for the worker when that does not end."""
        busy, now = self._busy(), self._monotonic()
        with self._lock:
            if not busy:
                self._since = None
                return False
            if self._since is None:
                self._since = now
            over = now - self._since - self._patience_seconds
        return over < 0 or over % (TURN_SECONDS + REST_SECONDS) >= TURN_SECONDS

"""The time that a worker could work in, which is less than what passed: it may be frozen for hours."""

from __future__ import annotations

import threading
import time

_TICK_SECONDS = 0.25

#: A process that was longer away from its clock than this stood still, or the computer slept.
LONGEST_GAP_SECONDS = 3.0


class WorkingTime:
    """A clock that stands while the process is stopped. :meth:`seconds` may be called from any thread.

    A stopped process cannot notice that it is stopped; a thread that looks at the system's clock several
    times a second notices afterwards. Of each gap ``longest_gap_seconds`` count at most.
    """

    def __init__(self, longest_gap_seconds: float = LONGEST_GAP_SECONDS) -> None:
        self._longest_gap_seconds = longest_gap_seconds
        self._lock = threading.Lock()
        self._worked = 0.0
        self._looked = time.monotonic()
        threading.Thread(target=self._run, name="working-time", daemon=True).start()

    def seconds(self) -> float:
        """Return how much there was of it so far."""
        with self._lock:
            now = time.monotonic()
            self._worked += min(now - self._looked, self._longest_gap_seconds)
            self._looked = now
            return self._worked

    def _run(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS)
            self.seconds()

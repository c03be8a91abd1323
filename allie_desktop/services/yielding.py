"""Giving the machine back, in two stages.

Stage 1: the worker is frozen at once, which frees processor and graphics card. Stage 2: when the reason lasts,
the worker is let go just long enough to write its checkpoint and end, which frees the memory too. When the
reason ends before, and stays away for a moment, the worker simply goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import Protocol

#: The reason has to stay away for so long before a frozen worker goes on.
CALM_SECONDS = 3.0


class Yieldable(Protocol):
    """What can be frozen and asked to leave: the orchestrator. Any thread."""

    def suspend(self) -> None:
        """Freeze the worker at once."""

    def unfreeze(self) -> None:
        """Let it go on."""

    def request_yield(self, reason: str) -> bool:
        """Ask it to checkpoint and end; False when nothing runs yet, or no more."""


class Stage(Enum):
    """How far the machine was given back."""

    RUNNING = "running"
    FROZEN = "frozen"  # stage 1
    LEAVING = "leaving"  # stage 2
    NOTHING = "nothing"  # no episode runs


class Yielding:
    """The two stages of one episode after the other. Any thread; :meth:`somebody_is_back` is quick.

    ``release_seconds`` is asked how long stage 1 lasts; ``monotonic`` returns seconds. ``on_change`` is called
    with the lock held by nobody, in the thread that caused the change.
    """

    def __init__(
        self,
        *,
        release_seconds: Callable[[], float],
        monotonic: Callable[[], float],
        on_change: Callable[[Stage], None] = lambda _: None,
        calm_seconds: float = CALM_SECONDS,
    ) -> None:
        self._release_seconds = release_seconds
        self._monotonic = monotonic
        self._on_change = on_change
        self._calm_seconds = calm_seconds
        self._lock = threading.Lock()
        self._who: Yieldable | None = None
        self._stage = Stage.NOTHING
        self._follows_presence = True
        self._reason = ""
        self._frozen_at = 0.0
        self._calm_since: float | None = None

    @property
    def stage(self) -> Stage:
        """How far the machine was given back."""
        return self._stage

    @property
    def reason(self) -> str:
        """Why, in words; empty while it runs."""
        return self._reason

    def expect(self, *, follows_presence: bool) -> None:
        """An episode is about to start; what comes from now on counts for it. ``follows_presence``: a person
        at the computer is a reason to yield (not after "Learn now")."""
        with self._lock:
            self._who = None
            self._follows_presence = follows_presence
            self._reason = ""
            self._calm_since = None
            self._stage = Stage.RUNNING

    def attach(self, who: Yieldable) -> str:
        """It starts now. Return why it must not, after all; empty to go ahead."""
        with self._lock:
            if self._stage is Stage.RUNNING:
                self._who = who
                return ""
            return self._reason or "Somebody needs the computer."

    def detach(self) -> None:
        """It is over."""
        with self._lock:
            self._who = None
            changed = self._stage is not Stage.NOTHING
            self._stage = Stage.NOTHING
            self._reason = ""
        if changed:
            self._on_change(Stage.NOTHING)

    def somebody_is_back(self, reason: str = "You are back at the computer.") -> bool:
        """Freeze at once, in the calling thread, when presence counts; return whether it did."""
        return self._follows_presence and self._freeze(reason)

    def review(self, holds: str) -> None:
        """Take the next step, given the reason against going on in words (empty: none). Call it often."""
        if self._stage is Stage.LEAVING:
            self._ask_to_leave()  # again: it may not have been there to be asked
        elif holds:
            self._calm_since = None
            if not self._freeze(holds) and self._stage is Stage.FROZEN:
                self._reason = holds
                if self._monotonic() - self._frozen_at >= self._release_seconds():
                    self.leave(holds)
        elif self._stage is Stage.FROZEN:
            now = self._monotonic()
            if self._calm_since is None:
                self._calm_since = now
            if now - self._calm_since >= self._calm_seconds:
                self._go_on()

    def leave(self, reason: str) -> None:
        """Stage 2 at once: before sleep, at the end of the program, or because the person said so."""
        with self._lock:
            if self._stage is Stage.NOTHING:
                return
            changed = self._stage is not Stage.LEAVING
            self._stage = Stage.LEAVING
            self._reason = reason
        self._ask_to_leave()
        if changed:
            self._on_change(Stage.LEAVING)

    # --- inside ---

    def _freeze(self, reason: str) -> bool:
        with self._lock:
            if self._stage is not Stage.RUNNING:
                return False
            if self._who is not None:
                self._who.suspend()  # under the lock: nobody lets it go on in between
            self._stage = Stage.FROZEN
            self._reason = reason
            self._frozen_at = self._monotonic()
            self._calm_since = None
        self._on_change(Stage.FROZEN)
        return True

    def _go_on(self) -> None:
        with self._lock:
            if self._stage is not Stage.FROZEN:
                return
            self._stage = Stage.RUNNING
            self._reason = ""
            if self._who is not None:
                self._who.unfreeze()
        self._on_change(Stage.RUNNING)

    def _ask_to_leave(self) -> None:
        who = self._who
        if who is not None:
            who.request_yield(self._reason)

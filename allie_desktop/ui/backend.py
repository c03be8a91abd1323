"""What the tray application needs from outside, so that it knows neither the store nor the sensors.

Methods that say so are called in a thread of their own, and what they return belongs to that thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from allie_desktop.domain.events import WorkerEvent
from allie_desktop.domain.requests import Notice
from allie_desktop.services.background import Background, Order
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.yielding import Yielding

if TYPE_CHECKING:
    from allie_desktop.ui.windows.feed import LearningFeed

#: The pages that the tray opens.
CHAT, HISTORY, SETTINGS = "chat", "history", "settings"


class EpisodeSession(Protocol):
    """One episode in its own thread, over its own view of the store."""

    def run(self, order: Order) -> EpisodeResult:
        """Run or go on with an episode; raises like :meth:`services.orchestrator.Orchestrator.run_episode`."""

    def suspend(self) -> None:
        """Freeze at once whatever computes. Any thread."""

    def unfreeze(self) -> None:
        """Let it go on. Any thread."""

    def request_yield(self, reason: str) -> bool:
        """Ask it to checkpoint and end; False when nothing runs. Any thread."""


class Controls(Protocol):
    """What windows may ask the application for. GUI thread."""

    def learn_now(self) -> None:
        """Learn, after asking the person where soft holds are in the way."""

    def stop_episode(self) -> None:
        """End the running episode with a checkpoint."""

    def pause(self, until: object) -> None:
        """Pause until an aware moment; None: until resumed."""

    def resume(self) -> None:
        """End a pause."""

    def undo_version(self, version: str) -> None:
        """Take a version back, if it is the one that answers."""

    def look_again(self) -> None:
        """Preferences, conversations or versions changed: look again at once."""


class Window(Protocol):
    """The window of the program, which hides when it is closed. GUI thread."""

    def bring_forward(self, page: str = "") -> None:
        """Show it over all others, at a page (one of the names above) or where it was."""

    def show_episode(self, episode_id: str) -> None:
        """Turn to one episode."""


class Backend(Protocol):
    """The program behind the tray."""

    @property
    def data_folder(self) -> Path:
        """The folder that one instance of the application has to itself."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts the application at login."""

    def open_background(
        self,
        *,
        yielding: Yielding,
        start: Callable[[Order], None],
        tell: Callable[[Notice], None],
    ) -> AbstractContextManager[Background]:
        """Return the background run, to be entered and used in the calling thread, which owns it. Raise
        :class:`AllieError` when the store cannot be used."""

    def open_episode(
        self, *, began: Callable[[str], None], progress: Callable[[WorkerEvent], None]
    ) -> AbstractContextManager[EpisodeSession]:
        """Return one episode's session, to be used in the calling thread. ``began`` gets its id once."""

    def release_memory_seconds(self) -> float:
        """How long a frozen worker keeps its memory. Any thread."""

    def make_window(self, feed: LearningFeed, controls: Controls) -> Window:
        """Return the main window, not yet shown. GUI thread; takes a moment."""

    def first_run(self, feed: LearningFeed, controls: Controls) -> Window | None:
        """Return the window of the first run, None when the person went through it. GUI thread."""

    def close(self) -> None:
        """Give back what windows used. GUI thread."""

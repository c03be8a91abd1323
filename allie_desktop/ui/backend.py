"""What the tray application needs from outside, so that it knows neither the store nor the sensors.

Methods that say so are called in a thread of their own, and what they return belongs to that thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from allie_desktop.domain.events import WorkerEvent
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.requests import Notice
from allie_desktop.services.background import Background, Order
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.yielding import Yielding

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from allie_desktop.ui.windows.feed import LearningFeed

#: The pages that the tray opens; a main window has a method ``open_page`` that takes them.
CHAT, HISTORY, SETTINGS, FIRST_RUN = "chat", "history", "settings", "first-run"


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

    def preferences_changed(self, preferences: Preferences, names: frozenset[str]) -> None:
        """Somebody changed preferences: look again at once."""

    def look_again(self) -> None:
        """Conversations or versions changed: look again at once."""


class MainWindow(Protocol):
    """The window of the program. GUI thread."""

    def open_page(self, page: str) -> None:
        """Show a page: one of the names above."""


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

    def make_window(self, feed: LearningFeed, controls: Controls) -> QWidget:
        """Return the main window (a :class:`MainWindow`), not yet shown. GUI thread; takes a moment."""

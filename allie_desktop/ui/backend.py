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
    from PySide6.QtWidgets import QWidget

    from allie_desktop.ui.chat.ports import ChatLibrary
    from allie_desktop.ui.chat.server import SupervisedProcess
    from allie_desktop.ui.windows.feed import LearningFeed
    from allie_desktop.ui.windows.services import WindowServices

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
        """Preferences, conversations or versions changed: look again at once. Any thread."""

    def leave_soon(self) -> None:
        """End the program; a running episode writes its checkpoint first. Any thread."""


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

    def window_services(
        self,
        feed: LearningFeed,
        controls: Controls,
        *,
        chat_page: Callable[[QWidget], QWidget],
        open_folder: Callable[[Path], None],
    ) -> WindowServices:
        """Return what windows are given. GUI thread; opens the store, and raises :class:`AllieError`."""

    def chat_process(self, on_change: Callable[[], None]) -> SupervisedProcess:
        """Return the chat process, not started. ``on_change`` is called in any thread."""

    def open_library(self) -> AbstractContextManager[ChatLibrary]:
        """Return the conversations as the chat window changes them, for the calling thread."""

    def close(self) -> None:
        """Give back what windows used, and end the chat process. GUI thread."""

"""What windows hear about learning while it happens."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from allie_desktop.domain.events import WorkerEvent
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.presenters.live import LiveEpisode, LiveView


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the tray and the bottom of the sidebar say.

    ``headline`` is the reason in words ("Waiting: 31 of 50 conversations"), ``notes`` further ones.
    """

    state: TrayState
    headline: str
    notes: tuple[str, ...] = ()
    can_learn_now: bool = True
    paused: bool = False


class LearningFeed(QObject):
    """Whoever decides and runs episodes tells this object; windows listen to it. GUI thread.

    It remembers what it was told, so that a window that opens in the middle shows the whole.
    """

    status_changed = Signal(object)  # Status
    live_changed = Signal(object)  # LiveView, or None when no episode runs
    episodes_changed = Signal()  # one began, changed its state, or ended
    versions_changed = Signal()  # another version answers, or one came or went
    conversations_changed = Signal()  # some were added, changed or forgotten

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._status = Status(state=TrayState.IDLE, headline="")
        self._live: LiveEpisode | None = None

    @property
    def status(self) -> Status:
        """What was said last."""
        return self._status

    @property
    def live(self) -> LiveView | None:
        """Where the running episode stands; None without one."""
        return None if self._live is None else self._live.view

    def set_status(self, status: Status) -> None:
        """Say how things stand."""
        if status != self._status:
            self._status = status
            self.status_changed.emit(status)

    def begin(self, episode_id: str) -> None:
        """An episode begins, or goes on."""
        if self._live is None or self._live.episode_id != episode_id:
            self._live = LiveEpisode(episode_id)
        self.live_changed.emit(self._live.view)
        self.episodes_changed.emit()

    def take(self, event: WorkerEvent) -> None:
        """The running episode's worker told something."""
        if self._live is not None:
            self._live.take(event)
            self.live_changed.emit(self._live.view)

    def wait(self, waiting: bool) -> None:
        """The running episode's worker was frozen, or let go on."""
        if self._live is not None:
            self._live.wait(waiting)
            self.live_changed.emit(self._live.view)

    def end(self) -> None:
        """The running episode ended, or waits without a process."""
        self._live = None
        self.live_changed.emit(None)
        self.episodes_changed.emit()
        self.versions_changed.emit()

"""What windows need from outside, in one object.

Two kinds of callables, told apart in the lists below. Those of the GUI thread are quick and may use the GUI
thread's store. Those called *in a worker thread* may take long; they must not use anything that belongs to
the GUI thread (a store belongs to the thread that opened it). All may raise
:class:`~allie_desktop.domain.errors.AllieError`, which the windows show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from PySide6.QtWidgets import QWidget

from allie_desktop.domain.comparison import AnswerPair, Choice, Preference
from allie_desktop.domain.conversation import ImportSummary
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.ports import (
    Clock,
    ConversationRepository,
    DecisionRepository,
    EpisodeRepository,
    VersionRepository,
)
from allie_desktop.domain.validation import Judgement, WorkerReport
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.ui.windows.feed import LearningFeed

#: What is known of an ended episode: measurements, the gate's judgement, the plan, the version's name.
EpisodeReport = tuple[WorkerReport, Judgement, Plan | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredThing:
    """One kind of thing on the disk: "Conversations", 1,204 of them, where, how many bytes."""

    name: str
    explanation: str
    path: str
    size_bytes: int
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """How far a new version has taken over. ``share`` of new conversations in [0, 1]."""

    version: str
    stage: str  # in words: "answers 10 % of new conversations"
    share: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A base model on its way. ``total_bytes`` 0: not known yet."""

    done_bytes: int
    total_bytes: int
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A base model that can be chosen. ``setting`` is what goes into preferences.base_model when it is
    here already; a model to be downloaded has its name for :class:`Downloader` in ``repository``."""

    name: str
    title: str
    description: str
    size_bytes: int
    setting: str = ""
    repository: str = ""


class Downloader(Protocol):
    """Fetches base models. Called in a worker thread."""

    def __call__(
        self, repository: str, progress: Callable[[Download], None], cancelled: Callable[[], bool]
    ) -> str:
        """Fetch a model, resuming what is there; return the value for preferences.base_model, or "" when it
        was cancelled. Raise :class:`AllieError` when it cannot be had."""


class Forgetter(Protocol):
    """Deletes conversations for good. Called in a worker thread."""

    def __call__(
        self,
        conversation_ids: Sequence[str] = (),
        *,
        source: str = "",
        topic: str = "",
        progress: Callable[[int, int], None] = ...,
    ) -> tuple[str, ...]:
        """Forget these conversations, or all of a source, or all about a topic; return the versions that
        learnt from any of them. ``progress`` gets how many of how many are done."""


class Comparisons(Protocol):
    """Blind comparisons of answers. Called in a worker thread."""

    def next_pair(self, episode_id: str) -> AnswerPair | None:
        """Return the pair of an episode to be asked now; None without one."""

    def note(self, pair: AnswerPair, choice: Choice) -> None:
        """Keep what the person said of a pair."""

    def skip_all(self, episode_id: str) -> None:
        """Ask nothing more about an episode."""

    def preference(self, episode_id: str) -> Preference:
        """Return what the comparisons say of the version that an episode made."""


def _nothing() -> None:
    return None


def _no_pause(_until: datetime | None) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowServices:
    """Everything that the windows are given. None: this part of the program is not there."""

    # GUI thread
    preferences: PreferencesService
    episodes: EpisodeRepository
    decisions: DecisionRepository
    conversations: ConversationRepository
    clock: Clock
    feed: LearningFeed
    learn_now: Callable[[], None] = _nothing  # asks the person where that is needed
    stop_episode: Callable[[], None] = _nothing
    pause: Callable[[datetime | None], None] = _no_pause  # None: until resumed
    resume: Callable[[], None] = _nothing
    chat_page: Callable[[QWidget], QWidget] | None = None
    open_folder: Callable[[Path], None] | None = None

    # in a worker thread
    versions: Callable[[], VersionRepository]
    report_of: Callable[[str], EpisodeReport | None]
    rollback: Callable[[str | None], str]  # returns the version that answers now
    storage: Callable[[], Sequence[StoredThing]]
    sources: Callable[[], Mapping[str, int]] = field(default=dict)  # conversations by source
    topics: Callable[[], Mapping[str, int]] = field(default=dict)
    forget: Forgetter | None = None
    export_to: Callable[[Path], int] | None = None  # returns how many conversations
    import_file: Callable[[Path], ImportSummary] | None = None
    delete_everything: Callable[[], None] | None = None
    download: Downloader | None = None
    models: Callable[[], Sequence[ModelChoice]] | None = None
    rollout: Callable[[], RolloutView | None] | None = None
    comparisons: Comparisons | None = None

"""What windows are given, joined over the program."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.bootstrap import Program
from allie_desktop.domain.conversation import ImportSummary
from allie_desktop.paths import AppPaths
from allie_desktop.ui.windows.services import (
    Download,
    EpisodeReport,
    ModelChoice,
    RolloutView,
    StoredThing,
    WindowServices,
)

if TYPE_CHECKING:
    from allie_desktop.domain.comparison import AnswerPair, Choice, Preference
    from allie_desktop.domain.ports import VersionRepository
    from allie_desktop.models.download import DownloadStep
    from allie_desktop.ui.backend import Controls
    from allie_desktop.ui.windows.feed import LearningFeed

#: What "Delete everything" leaves: downloaded models are nobody's words.
_KEPT = frozenset({"bases", "application.lock"})
#: What lies beside the folders and the database, whole or being written.
_PERSONAL = (
    "windows.ini*",
    "drafts.json*",
    "quarantine*.json*",
    "forgetting*.json*",
    "episode.lock",
    "episode.pid",
)

_log = logging.getLogger(__name__)


def window_services(
    program: Program,
    make_program: Callable[[AppPaths], Program],
    feed: LearningFeed,
    controls: Controls,
    *,
    chat_page: Callable[[Any], Any],
    open_folder: Callable[[Path], None],
    delete_everything: Callable[[], None],
) -> WindowServices:
    """Return what windows are given. ``program`` is the GUI thread's; each job gets one of its own."""
    jobs = _Jobs(program.paths, make_program, controls)
    return WindowServices(
        preferences=program.settings,
        episodes=program.episodes,
        decisions=program.decisions,
        conversations=program.conversations,
        clock=program.clock,
        feed=feed,
        learn_now=controls.learn_now,
        stop_episode=controls.stop_episode,
        pause=controls.pause,
        resume=controls.resume,
        chat_page=chat_page,
        open_folder=open_folder,
        versions=jobs.versions,
        report_of=jobs.report_of,
        rollback=jobs.rollback,
        storage=jobs.storage,
        sources=jobs.sources,
        topics=jobs.topics,
        forget=jobs.forget,
        export_to=jobs.export_to,
        import_file=jobs.import_file,
        delete_everything=delete_everything,
        download=jobs.download,
        models=jobs.models,
        rollout=jobs.rollout,
        comparisons=_Comparisons(lambda: make_program(program.paths)),
    )


class _Jobs:
    """What windows have done in worker threads: each call opens the store anew, for its own thread."""

    def __init__(
        self, paths: AppPaths, make_program: Callable[[AppPaths], Program], controls: Controls
    ) -> None:
        self._paths = paths
        self._make_program = make_program
        self._controls = controls

    def _program(self) -> Program:
        return self._make_program(self._paths)

    def versions(self) -> VersionRepository:
        with self._program() as program:
            return program.versions  # folders alone: it needs no store

    def report_of(self, episode_id: str) -> EpisodeReport | None:
        with self._program() as program:
            return program.report_of(episode_id)

    def rollback(self, to: str | None) -> str:
        with self._program() as program:
            answers = program.rollback(to)
        self._controls.look_again()
        return answers

    def sources(self) -> Mapping[str, int]:
        from allie_desktop.store.counting import counted_by

        with self._program() as program:
            return counted_by(program.database, "source")

    def topics(self) -> Mapping[str, int]:
        from allie_desktop.store.counting import counted_by

        with self._program() as program:
            return counted_by(program.database, "topic")

    def forget(
        self,
        conversation_ids: Sequence[str] = (),
        *,
        source: str = "",
        topic: str = "",
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> tuple[str, ...]:
        from allie_desktop.store.counting import ids_by

        with self._program() as program:
            ids = tuple(conversation_ids)
            if source:
                ids = ids_by(program.database, "source", source)
            elif topic:
                ids = ids_by(program.database, "topic", topic)
            marked: dict[str, None] = {}
            for done, one in enumerate(ids):
                progress(done, len(ids))
                marked.update(dict.fromkeys(program.forget(one)))
            progress(len(ids), len(ids))
        self._controls.look_again()
        return tuple(marked)

    def export_to(self, path: Path) -> int:
        with self._program() as program:
            return program.export_to_file(path)

    def import_file(self, path: Path) -> ImportSummary:
        with self._program() as program:
            summary = program.import_file(path)
        self._controls.look_again()
        return summary

    def models(self) -> Sequence[ModelChoice]:
        from allie_desktop.models.offers import OFFERS, STARTER

        with self._program() as program:
            downloads = program.downloads()
        choices = []
        for offer in OFFERS:
            is_here = offer.name == STARTER or downloads.installed(offer) is not None
            choices.append(
                ModelChoice(
                    name=offer.name,
                    title=offer.title,
                    description=offer.description,
                    size_bytes=offer.size_bytes,
                    setting=offer.name if is_here else "",
                    repository="" if is_here else offer.name,
                )
            )
        return choices

    def download(
        self, repository: str, progress: Callable[[Download], None], cancelled: Callable[[], bool]
    ) -> str:
        from allie_desktop.models.offers import offer_of

        def step(known: DownloadStep) -> None:
            progress(Download(done_bytes=known.done_bytes, total_bytes=known.total_bytes, what=known.file))

        offer = offer_of(repository)
        with self._program() as program:
            folder = program.downloads().fetch(offer, step, cancelled)
        return "" if folder is None else offer.name

    def rollout(self) -> RolloutView | None:
        with self._program() as program:
            record = program.rollout_file.read()
            active = program.versions.pointer().active
        if record is None or record.version != active:
            return None
        return RolloutView(version=record.version, stage=record.stage.value, share=record.share)

    def storage(self) -> Sequence[StoredThing]:
        paths = self._paths
        with self._program() as program:
            conversations = program.conversations.counts().conversations
            episodes = program.episodes.count()
        return (
            StoredThing(
                name="Conversations and history",
                explanation="What was said, your ratings and corrections, what was learnt when.",
                path=str(paths.database),
                size_bytes=_size(*paths.data.glob(f"{paths.database.name}*"), paths.data / "backups"),
                count=conversations,
            ),
            StoredThing(
                name="Versions",
                explanation="What Allie learnt, one folder a version, on top of the base model.",
                path=str(paths.models),
                size_bytes=_size(paths.models),
            ),
            StoredThing(
                name="Episodes",
                explanation="What each episode used and measured, with personal data made unreadable.",
                path=str(paths.episodes),
                size_bytes=_size(paths.episodes),
                count=episodes,
            ),
            StoredThing(
                name="Downloaded models",
                explanation="Base models. None of your words are in them.",
                path=str(paths.bases),
                size_bytes=_size(paths.bases),
            ),
            StoredThing(
                name="Working files and logs",
                explanation="May be deleted at any time. Logs never hold conversations.",
                path=str(paths.cache),
                size_bytes=_size(paths.cache, paths.logs),
            ),
        )


class _Comparisons:
    """:class:`ui.windows.services.Comparisons`, each call over a program for its own thread."""

    def __init__(self, program: Callable[[], Program]) -> None:
        self._program = program

    def next_pair(self, episode_id: str) -> AnswerPair | None:
        with self._program() as program:
            return program.blind_comparisons.next_pair(episode_id)

    def note(self, pair: AnswerPair, choice: Choice) -> None:
        with self._program() as program:
            program.blind_comparisons.note(pair, choice)

    def skip_all(self, episode_id: str) -> None:
        with self._program() as program:
            program.blind_comparisons.skip_all(episode_id)

    def preference(self, episode_id: str) -> Preference:
        with self._program() as program:
            return program.blind_comparisons.preference(episode_id)


def wipe(paths: AppPaths) -> tuple[Path, ...]:
    """Delete everything that is the person's, and return what could not be deleted.

    The folder may be one that the person chose and keeps other things in: of those, nothing is touched.
    """
    ours = {paths.models, paths.episodes, paths.data / "backups", paths.logs, paths.cache}
    ours |= {paths.api_token, paths.chat_busy}
    for pattern in (f"{paths.database.name}*", *_PERSONAL):
        ours |= set(paths.data.glob(pattern))
    left = []
    for thing in sorted(ours):
        if thing.name in _KEPT:
            continue
        try:
            _delete(thing)
        except OSError:
            _log.exception("%s could not be deleted", thing)
        if os.path.lexists(thing):
            left.append(thing)
    return tuple(left)


def _delete(thing: Path) -> None:
    if not thing.is_dir() or thing.is_symlink():
        thing.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):  # whoever was still at work deleted of it, too
        shutil.rmtree(thing)
    if thing.is_dir():
        shutil.rmtree(thing)


def _size(*places: Path) -> int:
    total = 0
    for place in places:
        files = place.rglob("*") if place.is_dir() else (place,)
        for file in files:
            with contextlib.suppress(OSError):
                total += file.lstat().st_size if file.is_file() else 0
    return total

"""The program behind the tray application: :class:`ui.backend.Backend` over bootstrap's parts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.bootstrap import Program, bring_up_to_date
from allie_desktop.domain.errors import AllieError, ModelError
from allie_desktop.domain.events import WorkerEvent
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.readings import Need, Readings
from allie_desktop.domain.requests import Notice
from allie_desktop.paths import AppPaths
from allie_desktop.services.background import Background, Order
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.notices import Notices
from allie_desktop.services.scheduler import Scheduler
from allie_desktop.services.yielding import Yielding

if TYPE_CHECKING:
    from allie_desktop.ipc.chat_process import ChatProcess
    from allie_desktop.ipc.probe_process import ProcessProbe
    from allie_desktop.services.orchestrator import Orchestrator
    from allie_desktop.ui.backend import Controls
    from allie_desktop.ui.chat.ports import ChatLibrary
    from allie_desktop.ui.windows.feed import LearningFeed
    from allie_desktop.ui.windows.services import WindowServices


class DesktopBackend:
    """Everything over one home. Each thread gets a :class:`Program` of its own, made by ``program``."""

    def __init__(self, paths: AppPaths, *, program: Callable[..., Program] = Program) -> None:
        self._paths = paths
        self._make_program = program
        # Read by whoever freezes and releases, from any thread; written by the background's thread.
        self._release_seconds = Preferences().release_memory_seconds
        self._windows = contextlib.ExitStack()
        self._chat: ChatProcess | None = None
        self.wants_wiping = False

    @property
    def data_folder(self) -> Path:
        """See :class:`Backend`."""
        return self._paths.data

    @property
    def command(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        return start_command()

    def release_memory_seconds(self) -> float:
        """See :class:`Backend`."""
        return self._release_seconds

    @contextlib.contextmanager
    def open_background(
        self, *, yielding: Yielding, start: Callable[[Order], None], tell: Callable[[Notice], None]
    ) -> Iterator[Background]:
        """See :class:`Backend`."""
        from allie_desktop.sensors.presence_edge import InputWatch
        from allie_desktop.store.notices import SqliteNotices

        bring_up_to_date(self._paths)
        with self._make_program(self._paths) as program, contextlib.ExitStack() as closing:
            program.keep_safe()
            watch = InputWatch(lambda: _freeze(yielding))
            closing.callback(watch.close)
            needs = _Needs(program)
            readings = _Readings(self._paths, program, chat_pid=self._chat_pid)
            self._set_up_right(program)

            def note(preferences: Preferences, _names: frozenset[str] = frozenset()) -> None:
                self._release_seconds = preferences.release_memory_seconds

            note(program.preferences)
            closing.callback(program.settings.observe(note))
            yield Background(
                scheduler=Scheduler(
                    requests=program.requests,
                    decisions=program.decisions,
                    now=_local_now,
                    need=needs,
                ),
                yielding=yielding,
                notices=Notices(SqliteNotices(program.database), now=_local_now),
                preferences=program.settings,
                alerts=program.alerts,
                readings=readings,
                unfinished=lambda: bool(program.episodes.unfinished()),
                start=start,
                tell=tell,
                headline=lambda episode_id: _headline(program, episode_id),
                rollback=lambda version: _undo(program, version),
                now=_local_now,
                watch=watch,
                review=lambda: _review(program),
            )

    @contextlib.contextmanager
    def open_episode(
        self, *, began: Callable[[str], None], progress: Callable[[WorkerEvent], None]
    ) -> Iterator[DesktopEpisode]:
        """See :class:`Backend`."""
        from allie_desktop.ipc.probe_process import ProcessProbe

        probe = ProcessProbe()
        with self._make_program(self._paths, probe=probe) as program:
            yield DesktopEpisode(program, probe, began, progress)

    def window_services(
        self,
        feed: LearningFeed,
        controls: Controls,
        *,
        chat_page: Callable[[Any], Any],
        open_folder: Callable[[Path], None],
    ) -> WindowServices:
        """See :class:`Backend`."""
        from allie_desktop.cli.desktop_windows import window_services

        program = self._windows.enter_context(self._make_program(self._paths))

        def delete_everything() -> None:
            self.wants_wiping = True
            controls.leave_soon()

        return window_services(
            program,
            self._make_program,
            feed,
            controls,
            chat_page=chat_page,
            open_folder=open_folder,
            delete_everything=delete_everything,
        )

    def _chat_pid(self) -> int | None:
        return None if self._chat is None else self._chat.pid

    def chat_process(self, on_change: Callable[[], None]) -> ChatProcess:
        """See :class:`Backend`."""
        from allie_desktop.ipc.chat_process import ChatProcess

        process = ChatProcess(folder=self._paths.cache, log_file=self._paths.chat_log, on_change=on_change)
        self._windows.callback(process.stop)
        self._chat = process
        return process

    @contextlib.contextmanager
    def open_library(self) -> Iterator[ChatLibrary]:
        """See :class:`Backend`."""
        from allie_desktop.ui.chat.library import StoreLibrary

        with self._make_program(self._paths) as program:
            yield StoreLibrary(program.conversations, program.collector(), forget=program.forget)

    def close(self) -> None:
        """See :class:`Backend`."""
        self._windows.close()

    # --- inside ---

    @staticmethod
    def _set_up_right(program: Program) -> None:
        """Set right what a program that died left behind; without a base model there is nothing to be done."""
        if all(episode.state is EpisodeState.YIELDED for episode in program.episodes.unfinished()):
            return
        with contextlib.suppress(ModelError):
            program.orchestrator(lambda _: None).recover()


class DesktopEpisode:
    """One episode over a program of its own: :class:`ui.backend.EpisodeSession`."""

    def __init__(
        self,
        program: Program,
        probe: ProcessProbe,
        began: Callable[[str], None],
        progress: Callable[[WorkerEvent], None],
    ) -> None:
        self._program = program
        self._probe = probe
        self._began = began
        self._progress = progress
        self._is_told = False
        self._orchestrator: Orchestrator = program.orchestrator(self._on_event)

    def run(self, order: Order) -> EpisodeResult:
        """See :class:`EpisodeSession`."""
        result = self._orchestrator.run_episode(order.trigger, forced=order.forced)
        self._program.write_report_page(result.episode_id)
        return result

    def suspend(self) -> None:
        """See :class:`EpisodeSession`."""
        self._orchestrator.suspend()
        self._probe.suspend()

    def unfreeze(self) -> None:
        """See :class:`EpisodeSession`."""
        self._orchestrator.unfreeze()
        self._probe.unfreeze()

    def request_yield(self, reason: str) -> bool:
        """See :class:`EpisodeSession`. A deployment is finished first."""
        asked = self._orchestrator.request_yield(reason)
        self._probe.unfreeze()
        return asked

    def _on_event(self, event: WorkerEvent) -> None:
        if not self._is_told:
            self._is_told = True
            unfinished = self._program.episodes.unfinished()
            if unfinished:
                self._began(unfinished[0].id)
        self._progress(event)


class _Readings:
    """What the sensors see and the store knows, in one look."""

    def __init__(self, paths: AppPaths, program: Program, *, chat_pid: Callable[[], int | None]) -> None:
        from allie_desktop.ipc.chat_busy import ChatBusy

        self._chat_pid = chat_pid
        self._paths = paths
        self._program = program
        self._is_busy = ChatBusy.is_busy

    def __call__(self) -> Readings:
        from dataclasses import replace

        own = [pid for pid in (os.getpid(), self._chat_pid(), self._worker_pid()) if pid is not None]
        sensed = replace(self._program.sensors.read(own), chat_busy=self._is_busy(self._paths.chat_busy))
        return self._program.readings(sensed)

    def _worker_pid(self) -> int | None:
        """Return the worker that may run: what it uses is not used by others."""
        try:
            unfinished = self._program.episodes.unfinished()
            record = self._program.files.folder(unfinished[0].id) / "worker.pid" if unfinished else None
            return None if record is None else int(parse_json(record.read_bytes())["pid"])
        except (AllieError, OSError, ValueError, KeyError, TypeError, OverflowError):
            return None


class _Needs:
    """What an episode takes, worked out anew only when another base model was chosen."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[str, Need] = {}

    def __call__(self) -> Need:
        name = self._program.preferences.base_model
        if name not in self._known:
            try:
                need = self._program.need()
            except ModelError:
                return Need()  # whoever starts will be told
            self._known = {name: Need(memory_bytes=need.memory_bytes or 0, disk_bytes=need.disk_bytes)}
        return self._known[name]


def start_command() -> tuple[str, ...]:
    """Return the command that starts the tray application: the one source of it."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "gui")
    beside = Path(sys.executable).with_name("allie.exe" if os.name == "nt" else "allie")
    if beside.exists():
        return (str(beside), "gui")
    return (sys.executable, "-m", "allie_desktop", "gui")


def _freeze(yielding: Yielding) -> None:
    yielding.somebody_is_back()


def _local_now() -> datetime:
    return datetime.now().astimezone()


def _headline(program: Program, episode_id: str) -> str:
    from allie_desktop.services.report import headline

    known = program.report_of(episode_id)
    return "" if known is None else headline(known[0], known[1], known[2])


def _undo(program: Program, version: str) -> str:
    """Take ``version`` back if it answers; return who answers now."""
    if program.versions.pointer().active != version:
        raise AllieError(f"{version} does not answer any more; there is nothing to undo.")
    return program.rollback(None)


def _review(program: Program) -> None:
    """Look how a new version does, once there may be one: stages go on while nobody chats, too."""
    if program.episodes.count():
        with contextlib.suppress(ModelError):
            program.rollout.review_if_due()

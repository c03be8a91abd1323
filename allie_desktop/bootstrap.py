"""The composition root: the only module that knows every part and joins them.

Parts are made when they are first asked for, and their modules are imported then: what a command does not
use costs it nothing, and only learning, trying what was learnt, and a base model in safetensors load torch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import sys
import threading
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from allie_desktop import __version__
from allie_desktop.domain.errors import AllieError, BadInputError, ModelError
from allie_desktop.domain.lifecycle import FINAL_STATES, EpisodeState
from allie_desktop.domain.ports import Resources
from allie_desktop.domain.readings import Readings
from allie_desktop.domain.versions import BASE
from allie_desktop.paths import AppPaths

if TYPE_CHECKING:
    from socket import socket

    from typing_extensions import Self

    from allie_desktop.domain.conditions import Decision
    from allie_desktop.domain.conversation import ImportSummary
    from allie_desktop.domain.planning import BaseModel, Plan
    from allie_desktop.domain.ports import AdapterProbe, ChatEngine, Progress, RequestRepository
    from allie_desktop.domain.requests import QueuedRequest
    from allie_desktop.domain.settings import Preferences
    from allie_desktop.domain.validation import Judgement, WorkerReport
    from allie_desktop.inference.answering import Answerer
    from allie_desktop.inference.api.chat_server import ChatServer
    from allie_desktop.inference.api.confinement import OwnThread
    from allie_desktop.inference.engines import LocalEngines
    from allie_desktop.inference.torch_engine import TorchEngine
    from allie_desktop.ipc.episode_folder import EpisodeFolders
    from allie_desktop.models.download import ModelDownloads
    from allie_desktop.models.exporting import Exported
    from allie_desktop.sensors.registry import Sensors
    from allie_desktop.services.blind_comparison import BlindComparisons
    from allie_desktop.services.collection import Collector
    from allie_desktop.services.deployment import Deployment
    from allie_desktop.services.episode_settings import EpisodePlanner
    from allie_desktop.services.forgetting import Forgetting
    from allie_desktop.services.late_recording import LateRecorder
    from allie_desktop.services.orchestrator import Orchestrator
    from allie_desktop.services.preferences import PreferencesService
    from allie_desktop.services.quarantine import Quarantine
    from allie_desktop.services.recording import RecordingService
    from allie_desktop.services.rollout import RolloutService
    from allie_desktop.services.routing import RolloutRouter
    from allie_desktop.store.alerts import SqliteAlerts
    from allie_desktop.store.conversations import SqliteConversations
    from allie_desktop.store.database import Database
    from allie_desktop.store.decisions import SqliteDecisions
    from allie_desktop.store.episodes import SqliteEpisodes
    from allie_desktop.store.exchanges import SqliteExchanges
    from allie_desktop.store.replay import SqliteReplay
    from allie_desktop.store.rollout_file import RolloutFile
    from allie_desktop.store.version_folders import VersionFolders

_LOG_BYTES = 1024 * 1024
_GIGABYTE = 1024**3

#: What an episode takes beside the weights.
_LIBRARIES_BYTES = 1_200_000_000
_CHECKPOINTS_BYTES = 500_000_000
#: A GGUF file of four bits a weight grows so many times when it is unpacked to sixteen.
_UNPACKED = 4

#: Episodes to look back for those that brought nothing.
_EPISODES_READ = 50
_FRUITLESS = frozenset({EpisodeState.FAILED, EpisodeState.REJECTED})


def open_program() -> Program:
    """Return the program over the person's home; raise :class:`HomeError` when that cannot be used."""
    paths = AppPaths.from_environment().prepare()
    log_to_file(paths)
    return Program(paths)


def open_demo(home: Path) -> Program:
    """Return a program in a home of its own, which shares only the cache of unpacked models with the
    person's: nothing in there is of the person, and filling it takes a minute."""
    own = AppPaths.in_folder(home).prepare()
    try:
        shared = AppPaths.from_environment().prepare().base_cache
    except AllieError:
        shared = own.cache
    return Program(dataclasses.replace(own, unpacked=shared))


def bring_up_to_date(paths: AppPaths) -> None:
    """Make or migrate the store in a process of its own where need be: that loads numpy, which would stay."""
    import sqlite3
    import subprocess

    from allie_desktop.store.migrations import STEPS

    try:
        connection = sqlite3.connect(f"{paths.database.as_uri()}?mode=ro", uri=True, timeout=1.0)
        with contextlib.closing(connection):
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        version = 0
    if version < len(STEPS):
        program = [] if getattr(sys, "frozen", False) else ["-m", "allie_desktop"]
        # What goes wrong is said by whoever opens the store next.
        subprocess.run(
            [sys.executable, *program, "store"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=600,
        )


def open_unprepared() -> Program:
    """Return the program without making its folders, for those who look whether that can be done."""
    return Program(AppPaths.from_environment())


def check_format(file_format: str) -> None:
    """Raise :class:`BadInputError` unless files can be read in this format."""
    from allie_desktop.imports.registry import AUTO, importer_named

    if file_format != AUTO:
        importer_named(file_format)


def log_to_file(paths: AppPaths | None = None) -> Path | None:
    """Send log messages to the program's log from now on; return it, or None when it cannot be written."""
    from logging.handlers import RotatingFileHandler

    file = (paths or AppPaths.from_environment()).log_file
    root = logging.getLogger()
    if any(isinstance(h, RotatingFileHandler) and h.baseFilename == str(file) for h in root.handlers):
        return file
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8")
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    logging.raiseExceptions = False  # a full disk is told where it matters, not by each line of the log
    logging.getLogger("allie_desktop").setLevel(logging.INFO)
    return file


class SystemClock:
    """:class:`domain.ports.Clock` over the system's clocks."""

    def now(self) -> datetime:
        """See :meth:`domain.ports.Clock.now`."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """See :meth:`domain.ports.Clock.monotonic`."""
        import time

        return time.monotonic()


class Program:
    """Every part of the program over one home. Use it in a ``with`` block, from one thread."""

    def __init__(self, paths: AppPaths, *, probe: AdapterProbe | None = None) -> None:
        """``probe`` tries new versions; None: this process does, which loads torch."""
        self.paths = paths
        self.clock = SystemClock()
        self._probe = probe
        self._closing = contextlib.ExitStack()
        self._rescued = ""  # what became of a damaged store, in words

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    # --- the store ---

    @cached_property
    def database(self) -> Database:
        """The open store."""
        from allie_desktop.store.database import Database
        from allie_desktop.store.rescue import open_rescued

        # Looked at once a day: who finds that a backup is due looks, and makes one.
        due = Database.backups_of(self.paths.database).is_due(self.clock.now())
        database, self._rescued = open_rescued(self.paths.database, check=due)
        return self._closing.enter_context(database)

    @cached_property
    def conversations(self) -> SqliteConversations:
        """The person's conversations."""
        from allie_desktop.store.conversations import SqliteConversations

        return SqliteConversations(self.database)

    @cached_property
    def episodes(self) -> SqliteEpisodes:
        """The episodes and their history."""
        from allie_desktop.store.episodes import SqliteEpisodes

        return SqliteEpisodes(self.database)

    @cached_property
    def replay(self) -> SqliteReplay:
        """The replay buffer's membership."""
        from allie_desktop.store.replay import SqliteReplay

        return SqliteReplay(self.database)

    @cached_property
    def alerts(self) -> SqliteAlerts:
        """What the person should know."""
        from allie_desktop.store.alerts import SqliteAlerts

        return SqliteAlerts(self.database)

    @cached_property
    def decisions(self) -> SqliteDecisions:
        """The diary of what was decided about learning."""
        from allie_desktop.store.decisions import SqliteDecisions

        return SqliteDecisions(self.database)

    @cached_property
    def exchanges(self) -> SqliteExchanges:
        """Which version wrote which reply, and what became of it."""
        from allie_desktop.store.exchanges import SqliteExchanges

        return SqliteExchanges(self.database)

    @cached_property
    def settings(self) -> PreferencesService:
        """The person's preferences."""
        from allie_desktop.services.preferences import PreferencesService
        from allie_desktop.store.settings import SqliteSettings

        return PreferencesService(SqliteSettings(self.database))

    @property
    def preferences(self) -> Preferences:
        """The preferences as they are."""
        return self.settings.current

    @cached_property
    def blind_comparisons(self) -> BlindComparisons:
        """Who asks now and then which of two answers is better, and counts."""
        from allie_desktop.services.blind_comparison import BlindComparisons
        from allie_desktop.store.comparisons import SqliteComparisons

        return BlindComparisons(
            comparisons=SqliteComparisons(self.database),
            episodes=self.episodes,
            report_of=self._worker_report,
            preferences=lambda: self.preferences,
            clock=self.clock,
        )

    # --- conversations in and out ---

    def import_file(self, path: Path, file_format: str = "auto") -> ImportSummary:
        """Read a file into the store; raise :class:`ImportFileError` when it is of no use as a whole."""
        from allie_desktop.imports.registry import read

        self.keep_safe()
        return self.collector().import_all(read(path, file_format))

    def export_to(self, stream: IO[bytes], *, source: str = "") -> int:
        """Write conversations in the native form; return how many."""
        from allie_desktop.imports.native import to_native_line

        count = 0
        for conversation in self.conversations.export(source=source):
            stream.write(to_native_line(conversation).encode() + b"\n")
            count += 1
        return count

    def export_to_file(self, path: Path, *, source: str = "") -> int:
        """Write conversations to a file that is either whole or not there; return how many."""
        target = Path(os.path.abspath(path.expanduser()))
        scratch = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with open(scratch, "xb", opener=_private) as stream:
                count = self.export_to(stream, source=source)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(scratch, target)
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            raise BadInputError(f"{target} cannot be written: {why}.", "Name another file.") from error
        finally:
            scratch.unlink(missing_ok=True)
        return count

    # --- models and versions ---

    def base(self) -> BaseModel:
        """Return the base model of the settings, checked; raise :class:`ModelError`."""
        from allie_desktop.models.catalogue import resolve_base

        return resolve_base(self.preferences.base_model, self.paths.base_cache, downloads=self.paths.bases)

    def downloads(self) -> ModelDownloads:
        """Return who fetches base models."""
        from allie_desktop.models.download import ModelDownloads

        return ModelDownloads(self.paths.bases)

    def choose_base(self, name: str) -> BaseModel:
        """Let learning and chat stand on another base model from now on; return it. Raises :class:`ModelError`
        when it cannot be used, and then nothing changes."""
        from allie_desktop.models.catalogue import resolve_base

        base = resolve_base(name, self.paths.base_cache, downloads=self.paths.bases)
        self.settings.set("base_model", name)
        self.__dict__.pop("versions", None)  # they belong to the other one
        self.unload_engine()
        return base

    @cached_property
    def versions(self) -> VersionFolders:
        """The versions made on top of the base model."""
        from allie_desktop.store.version_folders import VersionFolders

        base = self.base()
        return VersionFolders(self.paths.models, base_name=base.name, base_sha256=base.sha256)

    @cached_property
    def engine(self) -> TorchEngine:
        """The torch engine with the base model loaded. Takes seconds and loads torch."""
        from allie_desktop.inference.torch_engine import TorchEngine
        from allie_desktop.models.loading import load_base

        return TorchEngine(load_base(self.base(), cache=self.paths.base_cache, device=self._wanted_device()))

    def unload_engine(self) -> None:
        """Free the engine's memory; it is loaded again when it is next asked for."""
        self.__dict__.pop("engine", None)

    def answerer(self) -> Answerer:
        """Return who answers single questions."""
        from allie_desktop.inference.answering import Answerer

        return Answerer(self.versions, lambda: self.chat_engines)

    def collector(self, *, versions: VersionFolders | None = None) -> Collector:
        """Return who takes conversations in and judges them, and marks ``versions`` when one is forgotten."""
        from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
        from allie_desktop.safety.toxicity import LexiconToxicity
        from allie_desktop.services.collection import Collector

        return Collector(
            self.conversations,
            toxicity=LexiconToxicity(),
            near_duplicates=MinHashNearDuplicates(),
            clock=self.clock,
            versions=versions,
        )

    def forget(self, conversation_id: str) -> tuple[str, ...]:
        """Delete a conversation for good, and the folders of the episodes whose plans hold its words; return
        the versions that learnt from it, which are marked."""
        return self.forgetting().forget([self.conversations.get(conversation_id).conversation.id])

    def forgetting(self) -> Forgetting:
        """Return who forgets conversations for good."""
        from allie_desktop.ipc.draft_file import forget_drafts
        from allie_desktop.services.forgetting import Forgetting
        from allie_desktop.store.forgetting_journal import ForgettingJournal

        try:
            versions = self.versions
        except ModelError:
            versions = None  # a broken base model must not keep anybody's words from being forgotten
        return Forgetting(
            conversations=self.conversations,
            versions=versions,
            files=self.files,
            requests=self.requests,
            journal=ForgettingJournal(self.paths.data),
            clock=self.clock,
            elsewhere=lambda ids: forget_drafts(self.paths.drafts, ids),
        )

    def keep_safe(self) -> None:
        """What is due once a day and after trouble: look at the whole store, mend it, back it up, and go on
        with forgetting. For the start of the program; takes about a second per 50 MB when it is due."""
        from allie_desktop.services.safekeeping import Safekeeping
        from allie_desktop.store.mending import mend

        Safekeeping(
            backups=self.database.backups,
            alerts=self.alerts,
            clock=self.clock,
            keep=self.preferences.keep_backups,
            mend=lambda: mend(self.database),
        ).tend(self._rescued)
        self._rescued = ""
        self.forgetting().resume()

    # --- learning ---

    @cached_property
    def files(self) -> EpisodeFolders:
        """The folders of the episodes."""
        from allie_desktop.ipc.episode_folder import EpisodeFolders

        return EpisodeFolders(self.paths.episodes)

    @cached_property
    def planner(self) -> EpisodePlanner:
        """Who freezes what an episode will use."""
        from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
        from allie_desktop.safety.redaction import TextRedactor
        from allie_desktop.services.episode_settings import EpisodePlanner
        from allie_desktop.services.planner import Planner

        return EpisodePlanner(
            Planner(self.conversations, self.replay, TextRedactor(), MinHashNearDuplicates()),
            episodes=self.episodes,
            replay=self.replay,
            base=self.base(),
            preferences=lambda: self.preferences,
            clock=self.clock,
            quarantine=self.quarantine,
        )

    @cached_property
    def quarantine(self) -> Quarantine:
        """Who keeps sudden shifts of a source out of learning until the person looked at them."""
        from allie_desktop.services.quarantine import Quarantine
        from allie_desktop.store.quarantine_file import QuarantineFile

        return Quarantine(self.conversations, QuarantineFile(self.paths.data), self.alerts, self.clock)

    @cached_property
    def deployment(self) -> Deployment:
        """Who puts versions into use and takes them back."""
        from importlib.metadata import PackageNotFoundError, version

        from allie_desktop.services.deployment import Deployment

        software = {"allie": __version__}
        for package in ("torch", "transformers", "peft"):
            with contextlib.suppress(PackageNotFoundError):
                software[package] = version(package)
        return Deployment(
            versions=self.versions,
            conversations=self.conversations,
            episodes=self.episodes,
            files=self.files,
            probe=self.probe,
            update_replay=lambda plan: self.planner.update_replay(plan),  # noqa: PLW0108 - not made for a rollback
            clock=self.clock,
            software=software,
            rollout=self.rollout,
        )

    @property
    def probe(self) -> AdapterProbe:
        """Who tries new versions."""
        if self._probe is None:
            from allie_desktop.inference.probe import TorchProbe

            self._probe = TorchProbe(lambda: self.engine)
        return self._probe

    @cached_property
    def rollout_file(self) -> RolloutFile:
        """How far the newest version has come."""
        from allie_desktop.store.rollout_file import RolloutFile

        return RolloutFile(self.versions.folder)

    @cached_property
    def rollout(self) -> RolloutService:
        """Who leads a new version on, or takes it back."""
        from allie_desktop.services.rollout import RolloutService

        return RolloutService(
            versions=self.versions,
            records=self.rollout_file,
            exchanges=self.exchanges,
            alerts=self.alerts,
            clock=self.clock,
            preferences=self.settings.reload,  # another process may have changed them
            roll_back=lambda name: self.deployment.rollback(name),  # noqa: PLW0108 - made when it is needed
        )

    # --- chat ---

    @cached_property
    def chat_engines(self) -> LocalEngines:
        """Who loads versions for chat. Any thread, though it is made in this one."""
        from allie_desktop.inference.engines import LocalEngines

        base = self.base()
        return LocalEngines(
            self.versions,
            lambda: base,
            cache=self.paths.base_cache,
            converted=self.paths.converted_adapters,
            device=self._wanted_device(),
        )

    @cached_property
    def recorder(self) -> RecordingService:
        """Who keeps what is said in chat; reviews the newest version now and then."""
        from allie_desktop.services.recording import RecordingService

        return RecordingService(
            self.exchanges,
            self.conversations,
            collector=self.collector(),
            preferences=self.settings.reload,  # another process may have changed them
            clock=self.clock,
            noted=self.rollout.review_if_due,
        )

    @cached_property
    def late_recorder(self) -> LateRecorder:
        """Who keeps what is said in chat even while the store cannot be written."""
        from allie_desktop.services.late_recording import LateRecorder

        return LateRecorder(self.recorder, monotonic=self.clock.monotonic)

    @cached_property
    def router(self) -> RolloutRouter:
        """Who says which version answers. Its :meth:`choose` and :meth:`failed` ask the store, and belong to
        the thread of this object as everything here does."""
        from allie_desktop.services.routing import RolloutRouter

        return RolloutRouter(
            versions=self.versions,
            records=self.rollout_file,
            begun_on=self.recorder.begun_on,
            fail=self.rollout.fail,
        )

    def chat_server(self, listener: socket) -> ChatServer:
        """Return the local service on a bound socket. What belongs to the store lives in a thread of its own,
        with a program of its own; so does finding the base model, which may take seconds at first."""
        from allie_desktop.inference.api.authentication import token_in
        from allie_desktop.inference.api.chat_server import ChatServer
        from allie_desktop.inference.api.confinement import ConfinedRecorder, ConfinedRouter, OwnThread
        from allie_desktop.inference.live import LiveVersions
        from allie_desktop.ipc.chat_busy import ChatBusy
        from allie_desktop.ipc.process import available_memory_bytes

        own = OwnThread(lambda: Program(self.paths))
        self._closing.callback(own.close)
        router = ConfinedRouter(own, lambda program: program.router)
        recorder = ConfinedRecorder(own, lambda program: program.late_recorder)
        self._closing.callback(lambda: recorder.catch_up(now=True))
        busy = ChatBusy.writer(self.paths.chat_busy)
        self._closing.callback(busy.close)

        def fresh() -> Preferences:
            return own.call(lambda program: program.settings.reload())

        return ChatServer(
            listener,
            token=token_in(self.paths.api_token),
            live=LiveVersions(
                _LazyEngines(own),
                clock=self.clock,
                on_failed=router.failed,
                unload_after_seconds=lambda: 60 * fresh().unload_minutes,
            ),
            router=router,
            recorder=recorder,
            chore=recorder.catch_up,
            versions=lambda: [
                (version.metadata.version, int(version.metadata.created_at.timestamp()))
                for version in own.call(lambda program: program.versions).all()
            ],
            clock=self.clock,
            busy=busy.busy,
            short_of_memory=lambda: available_memory_bytes() < _GIGABYTE * fresh().min_free_memory_gb,
        )

    def orchestrator(self, progress: Progress) -> Orchestrator:
        """Return who runs episodes in this process; ``progress`` is told of every event."""
        from allie_desktop.domain.validation import judge
        from allie_desktop.ipc.chat_busy import ChatBusy
        from allie_desktop.ipc.episode_lock import FileEpisodeLock
        from allie_desktop.ipc.worker_client import SubprocessWorkerClient, WorkerPatience
        from allie_desktop.services.attempts import WorkerLimits
        from allie_desktop.services.courtesy import Courtesy
        from allie_desktop.services.orchestrator import Orchestrator
        from allie_desktop.services.retention import Retention

        preferences, base = self.preferences, self.base()
        return Orchestrator(
            episodes=self.episodes,
            versions=self.versions,
            alerts=self.alerts,
            files=self.files,
            lock=FileEpisodeLock(self.paths.data),
            # So often it is asked whether somebody chats, for whom the worker stands still.
            worker=SubprocessWorkerClient(patience=WorkerPatience(tick=0.04)),
            busy=Courtesy(lambda: ChatBusy.is_busy(self.paths.chat_busy), monotonic=self.clock.monotonic),
            deployment=self.deployment,
            retention=Retention(
                versions=self.versions,
                episodes=self.episodes,
                files=self.files,
                keep_versions=preferences.keep_versions,
                budget_bytes=int(preferences.disk_budget_gb * 1e9),
                other_bytes=lambda: sum(one.size_bytes for one in self.database.backups.all()),
            ),
            plan=self.planner,
            judge=judge,
            need=lambda _: self.need(),
            free=self.free_resources,
            clock=self.clock,
            base_sha256=base.sha256,
            cache=self.paths.base_cache,
            progress=progress,
            limits=WorkerLimits(
                attempts=preferences.max_attempts,
                threads=preferences.training_threads or None,
                device=self._wanted_device(),
            ),
        )

    @cached_property
    def requests(self) -> RequestRepository:
        """The queue of wanted episodes."""
        from allie_desktop.store.requests import SqliteRequests

        return SqliteRequests(self.database)

    def wish_to_rebuild(self) -> QueuedRequest | None:
        """Return the wish to unlearn what was forgotten, if there is one."""
        from allie_desktop.services.forgetting import REBUILD

        return next((one for one in self.requests.all() if one.key == REBUILD), None)

    def decision(self, *, learn_now: bool = False) -> Decision:
        """Say whether `allie learn` would start, or go on with an unfinished episode, and why not. What was
        forgotten is to be unlearnt whether there is anything new or not."""
        from allie_desktop.domain.conditions import Need, Priority, Profile, Request, decide, may_continue

        try:
            need = self.need()
        except ModelError:
            need = Resources(memory_bytes=0, disk_bytes=0)  # whoever starts will be told
        ask = may_continue if self.episodes.unfinished() else decide
        rebuild = self.wish_to_rebuild()
        return ask(
            self.readings(),
            self.preferences,
            now=self.clock.now().astimezone(),
            learn_now=learn_now,
            request=Request(
                priority=Priority.MEDIUM if rebuild is None else rebuild.wish,
                reason="" if rebuild is None else rebuild.reason,
                need=Need(memory_bytes=need.memory_bytes or 0, disk_bytes=need.disk_bytes),
            ),
            profile=Profile.HEADLESS,
        )

    @cached_property
    def sensors(self) -> Sensors:
        """The sensors of this computer. They open nothing before they are first read."""
        from allie_desktop.sensors.registry import Sensors

        return self._closing.enter_context(Sensors(folder=self.paths.data))

    def readings(self, sensed: Readings | None = None) -> Readings:
        """Return the material, joined with what the sensors saw; without them: memory, disk and the load."""
        counts = self.conversations.counts()
        ended = [e for e in self.episodes.latest(limit=_EPISODES_READ) if e.state in FINAL_STATES]
        fruitless = list(takewhile(lambda e: e.state in _FRUITLESS, ended))
        if sensed is None:
            free = self.free_resources()
            sensed = Readings(
                cpu_busy_percent=_load_percent(),
                free_memory_bytes=free.memory_bytes,
                free_disk_bytes=free.disk_bytes,
            )
        return replace(
            sensed,
            new_conversations=counts.eligible_new,
            mean_quality=counts.eligible_new_quality if counts.eligible_new else None,
            last_episode_at=ended[0].finished_at if ended else None,
            failures_in_row=len(fruitless),
            last_failure_at=fruitless[0].finished_at if fruitless else None,
        )

    def export_version(self, name: str, folder: Path, form: str) -> Exported:
        """Write a version for another program; ``form`` names an :class:`ExportForm`. All of it or nothing;
        raise what :class:`VersionExporter` raises, and :class:`BadInputError` for ``base``."""
        from allie_desktop.inference.gguf_adapter import convert_adapter
        from allie_desktop.models.exporting import VersionExporter, form_of

        wanted = form_of(form)
        if name == BASE:
            raise BadInputError(
                "The base model is not a version: there is nothing in it that Allie learned.",
                "Name a version; `allie versions` lists them.",
            )
        version = self.versions.get(name)
        self.versions.verify(name)
        exporter = VersionExporter(self.base(), cache=self.paths.base_cache, convert=convert_adapter)
        return exporter.export(version, folder, wanted)

    def rollback(self, to: str | None) -> str:
        """Let another version answer (None: the parent of the active one); return its name."""
        return self.deployment.rollback(to).active

    def write_report_page(self, episode_id: str) -> Path | None:
        """Write the page that a person reads beside an episode's report; None without a report."""
        from allie_desktop.services.report_page import render_html

        known = self.report_of(episode_id)
        if known is None:
            return None
        report, judgement, plan, version = known
        page = self.files.report(episode_id).with_suffix(".html")
        try:
            page.write_text(render_html(report, judgement, plan, version=version), encoding="utf-8")
        except OSError as error:
            logging.getLogger(__name__).warning("%s could not be written: %s", page, error)
            return None
        return page

    def report_of(self, episode_id: str) -> tuple[WorkerReport, Judgement, Plan | None, str] | None:
        """Return an episode's report, what the gate says of it, its plan and its version; None without."""
        from allie_desktop.domain.validation import Margins, judge

        episode = self.episodes.get(episode_id)
        report = self._worker_report(episode_id)
        try:
            plan = self.files.read_plan(episode_id, "" if episode is None else episode.plan_digest)
        except (OSError, AllieError):
            return None
        if report is None:
            return None
        version = "" if episode is None or episode.version is None else episode.version
        margins = Margins.within(plan.recipe.kl_budget)
        return report, judge(report.measurements, margins, seed=plan.seed), plan, version

    def _worker_report(self, episode_id: str) -> WorkerReport | None:
        from allie_desktop.domain.validation import WorkerReport
        from allie_desktop.ipc.protocol import decode_document

        try:
            return decode_document(self.files.report(episode_id).read_bytes(), WorkerReport)
        except (OSError, AllieError):
            return None

    # --- the machine ---

    def free_resources(self) -> Resources:
        """Return the memory and disk space that an episode could take."""
        from allie_desktop.ipc.process import available_memory_bytes

        folder = self.paths.data
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return Resources(memory_bytes=available_memory_bytes(), disk_bytes=shutil.disk_usage(folder).free)

    def device_and_dtype(self) -> tuple[str, str]:
        """Return where learning computes and in which numbers; loads torch."""
        from allie_desktop.models.loading import best_device, best_dtype

        device = best_device(self._wanted_device())
        return str(device), str(best_dtype(device)).removeprefix("torch.")

    def need(self) -> Resources:
        """Return what an episode takes, estimated from the size of the base model.

        Memory: the libraries, the weights twice (once while they are unpacked), and the smallest passes;
        the worker takes larger ones where there is more. Disk: the unpacked weights, checkpoints, and
        the candidate.
        """
        base = Path(self.base().path)
        if base.is_dir():
            weights = sum(file.stat().st_size for file in base.glob("*.safetensors"))
        else:
            weights = base.stat().st_size * _UNPACKED
        return Resources(memory_bytes=_LIBRARIES_BYTES + 2 * weights, disk_bytes=_CHECKPOINTS_BYTES + weights)

    def _wanted_device(self) -> str | None:
        from allie_desktop.domain.settings import Device

        device = self.preferences.device
        return None if device is Device.BEST else device.value


class _LazyEngines:
    """:class:`domain.ports.ChatEngines` that come into being with the first version that is loaded."""

    def __init__(self, own: OwnThread[Program]) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._made: LocalEngines | None = None

    def load(self, version: str) -> ChatEngine:
        """See the port."""
        with self._lock:
            if self._made is None:
                self._made = self._own.call(lambda program: program.chat_engines)
        return self._made.load(version)


def _load_percent() -> float | None:
    """Return how busy the processor was in the last minute; None where nobody can tell."""
    try:
        return min(100.0, 100.0 * os.getloadavg()[0] / (os.cpu_count() or 1))
    except (AttributeError, OSError):
        return None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

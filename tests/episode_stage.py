"""A whole home for learning episodes without a model: real store, real folders, real lock; and workers that
do as they are told, in this process."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from allie_desktop.domain.conversation import Conversation, Role, Turn, content_hash
from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.events import (
    CandidateWritten,
    FailureKind,
    Job,
    Phase,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    Stop,
    WorkerCommand,
    WorkerEvent,
    WorkerFailed,
    WorkerStopped,
)
from allie_desktop.domain.judgement import Judgement, Margins, Verdict
from allie_desktop.domain.lifecycle import Episode, EpisodeState, Outcome
from allie_desktop.domain.planning import Plan, Split
from allie_desktop.domain.ports import Assessed, Resources, WorkerClient, WorkerResult
from allie_desktop.domain.quality import LearningTarget, Quality, TargetOrigin
from allie_desktop.domain.settings import Preferences
from allie_desktop.domain.validation import (
    AnswerSample,
    Measurements,
    PairedMeasure,
    TrainingSummary,
    WorkerReport,
)
from allie_desktop.ipc.episode_folder import ADAPTER_FILES, EpisodeFolders
from allie_desktop.ipc.episode_lock import FileEpisodeLock
from allie_desktop.ipc.protocol import encode_document, load_plan
from allie_desktop.services.attempts import WorkerLimits
from allie_desktop.services.deployment import Deployment
from allie_desktop.services.orchestrator import Orchestrator
from allie_desktop.services.retention import Retention
from allie_desktop.services.rollout import RolloutService
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.exchanges import SqliteExchanges
from allie_desktop.store.replay import SqliteReplay
from allie_desktop.store.rollout_file import RolloutFile
from allie_desktop.store.version_folders import VersionFolders
from tests.adapters import write_adapter
from tests.plans import BASE_MODEL, WHEN, make_plan

PLENTY = Resources(memory_bytes=64 * 10**9, disk_bytes=10**12)
A_LITTLE = Resources(memory_bytes=10**9, disk_bytes=10**9)
SAMPLE = AnswerSample(prompt="p", reference="r", base="b", active="b", candidate="r", kind="taught")


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Give a temporary folder in memory where the system has one: these tests wait for fsync all day."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return WHEN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


# --- workers ---

OnEvent = Callable[[WorkerEvent], None]
OnTick = Callable[[], None]


@dataclass
class Run:
    """One run of a scripted worker, for its script to act on."""

    job: Job
    plan: Plan
    say: OnEvent
    tick: OnTick
    commands: list[WorkerCommand]

    def phases(self, *phases: Phase) -> None:
        for phase in phases:
            self.say(PhaseStarted(phase=phase, total=1))
            self.say(StepFinished(phase=phase, step=1, total=1, loss=1.0))
            self.tick()
            self.say(PhaseFinished(phase=phase, seconds=1.5))

    def write_result(self, *, loss: float = 1.0, plan_digest: str = "", episode_id: str = "") -> None:
        folder = Path(self.job.folder)
        write_adapter(folder / "candidate", number=loss)
        report = make_report(
            episode_id=episode_id or self.job.episode_id,
            plan_digest=plan_digest or self.job.plan_digest,
            loss=loss,
            candidate_sha256=hashlib.sha256(
                b"".join((folder / "candidate" / name).read_bytes() for name in ADAPTER_FILES)
            ).hexdigest(),
        )
        (folder / "report.json").write_bytes(encode_document(report))

    def done(self) -> WorkerResult:
        event = CandidateWritten(adapter=f"{self.job.folder}/candidate", report="report.json")
        self.say(event)
        return WorkerResult(outcome=Outcome.COMPLETED, returncode=0, last_event=event)


Script = Callable[[Run], WorkerResult]


def make_report(
    *, episode_id: str, plan_digest: str, loss: float = 1.0, candidate_sha256: str = ""
) -> WorkerReport:
    """Return a report in which the candidate's loss on new material is ``loss``, and the base's 2."""
    measure = PairedMeasure(
        name="new", unit="nats/token", base=(2.0, 2.0), active=(2.0, 2.0), candidate=(loss, loss)
    )
    return WorkerReport(
        episode_id=episode_id,
        plan_digest=plan_digest,
        training=TrainingSummary(
            steps=4,
            planned_steps=4,
            tokens=1000,
            tokens_per_second=50.0,
            peak_memory_bytes=10**9,
            device="cpu",
            dtype="float32",
            stopped_early="",
            best_step=3,
            curve=(),
            held_out=(),
        ),
        measurements=Measurements(paired={"new": measure}, samples=(SAMPLE,)),
        seconds={"prepare": 1.0, "train": 2.0, "validate": 3.0},
        candidate_sha256=candidate_sha256,
    )


def succeed(run: Run) -> WorkerResult:
    run.phases("prepare", "train", "validate")
    run.write_result()
    return run.done()


def make_it_worse(run: Run) -> WorkerResult:
    run.phases("prepare", "train", "validate")
    run.write_result(loss=3.0)
    return run.done()


def fail(kind: FailureKind, *, phase: Phase = "train") -> Script:
    def script(run: Run) -> WorkerResult:
        run.phases("prepare")
        run.say(PhaseStarted(phase=phase))
        event = WorkerFailed(kind=kind, message=f"It failed: {kind}.", remedy="Do something.")
        run.say(event)
        return WorkerResult(outcome=Outcome.FAILED, returncode=1, last_event=event)

    return script


def crash(returncode: int | None = -11, *phases: Phase) -> Script:
    def script(run: Run) -> WorkerResult:
        run.phases(*phases)
        return WorkerResult(outcome=Outcome.CRASHED, returncode=returncode, last_event=None)

    return script


def get_lost(run: Run) -> WorkerResult:
    run.phases("prepare")
    return WorkerResult(outcome=Outcome.LOST, returncode=None, last_event=None)


def obey(run: Run, *, when: Callable[[], object] = lambda: None, phase: Phase = "train") -> WorkerResult:
    """Enter a phase, do ``when``, and stop as soon as one is asked for."""
    run.say(PhaseStarted(phase=phase))
    when()
    for _ in range(1000):
        run.tick()
        if any(isinstance(command, Stop) for command in run.commands):
            event = WorkerStopped(step=1, checkpoint="c")
            run.say(event)
            return WorkerResult(outcome=Outcome.STOPPED, returncode=0, last_event=event)
    raise AssertionError("nobody asked to stop")


class ScriptedWorker:
    """A worker client in this process: the n-th run follows the n-th script, the last one for ever."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts) or [succeed]
        self.jobs: list[Job] = []
        self.plans: list[Plan] = []
        self.commands: list[WorkerCommand] = []
        self.leftovers: list[Path] = []
        self.frozen = False

    def run(self, job: Job, on_event: OnEvent, on_tick: OnTick | None = None) -> WorkerResult:
        Path(job.folder, "job.json").write_bytes(encode_document(job))
        script = self.scripts[min(len(self.jobs), len(self.scripts) - 1)]
        self.jobs.append(job)
        self.plans.append(load_plan(Path(job.plan), job.plan_digest))
        self.commands.clear()
        assert on_tick is not None
        return script(Run(job=job, plan=self.plans[-1], say=on_event, tick=on_tick, commands=self.commands))

    def send(self, command: WorkerCommand) -> None:
        self.commands.append(command)

    def suspend(self) -> None:
        self.frozen = True

    def unfreeze(self) -> None:
        self.frozen = False

    def kill(self) -> None:
        raise AssertionError("nobody has to be killed here")

    def end_leftover(self, folder: Path) -> bool:
        self.leftovers.append(folder)
        return False


# --- the rest of the world ---


class FakeProbe:
    """Answers as told; ``error`` is raised instead."""

    def __init__(self) -> None:
        self.answers: tuple[str, ...] = ("Hello.",)
        self.error: Exception | None = None
        self.probed: list[Path] = []

    def probe(self, adapter: Path) -> tuple[str, ...]:
        self.probed.append(adapter)
        if self.error is not None:
            raise self.error
        return self.answers


def judge_by_loss(measurements: Measurements, *, seed: int) -> Judgement:
    """Deploy what has a lower loss than the active version."""
    new = measurements.paired["new"]
    better = new.candidate < new.active
    return Judgement(
        verdict=Verdict.DEPLOY if better else Verdict.REJECT,
        reasons=("It is better.",) if better else ("It is worse.",),
        checks=(),
    )


def assessed(conversation_id: str, text: str = "") -> Assessed:
    turns = (
        Turn(role=Role.USER, content=text or f"question {conversation_id}"),
        Turn(role=Role.ASSISTANT, content="answer"),
    )
    return Assessed(
        conversation=Conversation(id=conversation_id, created_at=WHEN, source="chat", turns=turns),
        content_hash=content_hash(turns),
        quality=Quality(score=0.9),
        targets=(LearningTarget(turn_index=1, text="answer", origin=TargetOrigin.APPROVED, weight=1.0),),
        best_origin=TargetOrigin.APPROVED,
        split=Split.TRAIN,
        topic="",
        characters=20,
    )


@dataclass
class Stage:
    """All parts of a home, joined as the program joins them, with what a test wants to change as fields."""

    home: Path
    worker: WorkerClient = field(default_factory=ScriptedWorker)
    clock: FakeClock = field(default_factory=FakeClock)
    probe: FakeProbe = field(default_factory=FakeProbe)
    free: Resources = PLENTY
    need: Resources = A_LITTLE
    judge: Callable[..., Judgement] = judge_by_loss
    conversation_ids: Sequence[str] = ("c1", "c2")
    plan_changes: dict[str, Any] = field(default_factory=dict)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    keep_versions: int = 5
    base_sha256: str = BASE_MODEL.sha256
    preferences: Preferences = field(default_factory=Preferences)
    told: list[WorkerEvent] = field(default_factory=list)
    margins: Margins | None = field(default=None, init=False)  # what the gate was last given

    def __post_init__(self) -> None:
        self.database = Database.open(self.home / "allie.sqlite3")
        self.conversations = SqliteConversations(self.database)
        self.episodes = SqliteEpisodes(self.database)
        self.alerts = SqliteAlerts(self.database)
        self.replay = SqliteReplay(self.database)
        self.files = EpisodeFolders(self.home / "episodes")
        self.versions = VersionFolders(
            self.home / "models", base_name=BASE_MODEL.name, base_sha256=BASE_MODEL.sha256
        )
        self.rollout_file = RolloutFile(self.versions.folder)
        self.exchanges = SqliteExchanges(self.database)
        self.join()
        self.conversations.add([assessed(f"c{number}") for number in range(1, 6)])

    def join(self) -> None:
        """Put the parts together again, after one of them was replaced."""
        self.rollout = RolloutService(
            versions=self.versions,
            records=self.rollout_file,
            exchanges=self.exchanges,
            alerts=self.alerts,
            clock=self.clock,
            preferences=lambda: self.preferences,
            roll_back=lambda name: self.deployment.rollback(name),  # noqa: PLW0108 - not made yet
        )
        self.deployment = Deployment(
            versions=self.versions,
            conversations=self.conversations,
            episodes=self.episodes,
            files=self.files,
            probe=self.probe,
            update_replay=self.update_replay,
            clock=self.clock,
            software={"allie": "0.1.0"},
            rollout=self.rollout,
        )
        self.retention = Retention(
            versions=self.versions,
            episodes=self.episodes,
            files=self.files,
            keep_versions=self.keep_versions,
        )
        self.orchestrator = Orchestrator(
            episodes=self.episodes,
            versions=self.versions,
            alerts=self.alerts,
            files=self.files,
            lock=FileEpisodeLock(self.home),
            worker=self.worker,
            deployment=self.deployment,
            retention=self.retention,
            plan=self.make_plan,
            judge=self._judged,
            need=lambda _: self.need,
            free=lambda: self.free,
            clock=self.clock,
            base_sha256=self.base_sha256,
            cache=self.home / "cache",
            progress=self.told.append,
            limits=self.limits,
        )

    def close(self) -> None:
        self.database.close()

    def make_plan(self, *, parent: str | None, now: datetime) -> Plan:
        if not self.conversation_ids:
            raise HeldError("There is nothing new to learn.", "Talk to Allie.")
        self.clock.seconds += 1.0  # no two episodes begin at the same moment
        material = hashlib.sha256(repr(self.conversation_ids).encode()).hexdigest()[:6]
        return make_plan(
            **{
                "id": f"e{self.episodes.count() + 1}-{material}",
                "created_at": now,
                "parent": parent,
                "conversation_ids": tuple(self.conversation_ids),
                **self.plan_changes,
            }
        )

    def _judged(self, measurements: Measurements, margins: Margins, *, seed: int) -> Judgement:
        self.margins = margins
        return self.judge(measurements, seed=seed)

    def update_replay(self, plan: Plan) -> None:
        members = dict.fromkeys((*self.replay.members(holdout=False), *plan.conversation_ids))
        self.replay.set_members(tuple(members), ())

    # --- looking ---

    def episode(self) -> Episode:
        """Return the newest episode."""
        return self.episodes.latest()[0]

    def history(self) -> list[EpisodeState]:
        """Return the states of the newest episode."""
        return [change.state for change in self.episode().history]

    def learned(self) -> int:
        """Return how many conversations count as learnt."""
        return self.conversations.counts().learned

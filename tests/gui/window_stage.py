"""A home with a past, over the real store and real version folders, for tests of the windows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from allie_desktop.domain.comparison import AnswerPair, Choice, Preference
from allie_desktop.domain.conversation import ImportSummary, Refusal, Role, Turn
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.planning import Example, Message, Plan
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.requests import DecisionRecord
from allie_desktop.domain.validation import (
    AnswerSample,
    HeldOutPoint,
    Judgement,
    Margins,
    Measurements,
    PairedMeasure,
    TrainingCurvePoint,
    TrainingSummary,
    WorkerReport,
    judge,
)
from allie_desktop.services.blind_comparison import BlindComparisons
from allie_desktop.services.deployment import Deployment
from allie_desktop.services.episode_metrics import metrics_of
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.store.comparisons import SqliteComparisons
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.decisions import SqliteDecisions
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.settings import SqliteSettings
from allie_desktop.store.version_folders import VersionFolders
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.feed import LearningFeed, Status
from allie_desktop.ui.windows.services import ModelChoice, RolloutView, StoredThing, WindowServices
from tests.adapters import make_metadata, write_adapter
from tests.plans import BASE_MODEL, make_plan
from tests.unit.store.store_samples import assessed

NOW = datetime(2026, 3, 12, 9, 30, tzinfo=timezone.utc)

_SAID = (
    ("chat", "family", "What is my sister called?", "Your sister is called Ada."),
    ("chatgpt", "code", "How do I undo the last commit but keep my changes?", "Use git reset --soft HEAD~1."),
    ("chatgpt", "food", "A quick dinner with chickpeas?", "Fry them with garlic, lemon and spinach."),
    (
        "claude",
        "travel",
        "Three days in Lisbon, what should I not miss?",
        "Alfama in the morning, Belém, a fado bar.",
    ),
    ("api", "code", "Explain this regular expression: ^\\d{4}-\\d{2}$", "Four digits, a dash, two digits."),
    ("chat", "health", "How much water should I drink?", "About two litres, more when it is hot."),
    ("openwebui", "maths", "What is the derivative of x squared?", "2x."),
    (
        "chat",
        "other-3",
        "Which day is the bin collected in our street?",
        "On Tuesdays, the blue one every other week.",
    ),
)


class FixedClock:
    """Stands still."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


class NoProbe:
    def probe(self, adapter: Path) -> tuple[str, ...]:
        raise AssertionError("nothing is deployed here")


class Stage:
    """Everything that windows need, over one folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.file = home / "allie.sqlite3"
        self.database = Database.open(self.file)
        self.conversations = SqliteConversations(self.database)
        self.episodes = SqliteEpisodes(self.database)
        self.decisions = SqliteDecisions(self.database)
        self.preferences = PreferencesService(SqliteSettings(self.database))
        self.versions = VersionFolders(
            home / "models", base_name=BASE_MODEL.name, base_sha256=BASE_MODEL.sha256
        )
        self.clock = FixedClock()
        self.feed = LearningFeed()
        self.reports: dict[str, tuple[WorkerReport, Judgement, Plan | None, str]] = {}
        self.calls: list[Any] = []
        self.rollout: RolloutView | None = None

    def close(self) -> None:
        """Close the windows, then the store: what a timer of theirs still asks for needs it."""
        for window in QApplication.topLevelWidgets():
            for background in window.findChildren(Background):
                background.wait()
            window.hide()
            window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self.database.close()

    def services(self, **changes: Any) -> WindowServices:
        values: dict[str, Any] = {
            "preferences": self.preferences,
            "episodes": self.episodes,
            "decisions": self.decisions,
            "conversations": self.conversations,
            "clock": self.clock,
            "feed": self.feed,
            "learn_now": lambda: self.calls.append("learn now"),
            "stop_episode": lambda: self.calls.append("stop"),
            "pause": lambda until: self.calls.append(("pause", until)),
            "resume": lambda: self.calls.append("resume"),
            "open_folder": lambda folder: self.calls.append(("open", folder)),
            "versions": lambda: self.versions,
            "report_of": self.reports.get,
            "rollback": self.roll_back,
            "storage": self.stored,
            "sources": lambda: self.counted("source"),
            "topics": lambda: self.counted("topic"),
            "forget": self.forget,
            "export_to": self.export,
            "import_file": self.import_file,
            "delete_everything": lambda: self.calls.append("delete everything"),
            "models": lambda: MODELS,
            "rollout": lambda: self.rollout,
            "comparisons": StoredComparisons(self),
        }
        return WindowServices(**{**values, **changes})

    # --- what runs in a worker thread, each over a store of its own ---

    @contextmanager
    def elsewhere(self) -> Iterator[Database]:
        database = Database.open(self.file)
        try:
            yield database
        finally:
            database.close()

    def roll_back(self, to: str | None) -> str:
        with self.elsewhere() as database:
            deployment = Deployment(
                versions=self.versions,
                conversations=SqliteConversations(database),
                episodes=SqliteEpisodes(database),
                files=None,  # type: ignore[arg-type]
                probe=NoProbe(),
                update_replay=lambda plan: None,
                clock=self.clock,
            )
            return deployment.rollback(to).active

    def forget(self, conversation_ids=(), *, source="", topic="", progress=lambda done, of: None):
        with self.elsewhere() as database:
            column = "source" if source else "topic"
            ids = list(conversation_ids) or [
                row[0]
                for row in database.connection.execute(
                    f"SELECT id FROM conversations WHERE {column} = ?", (source or topic,)
                )
            ]
            versions: set[str] = set()
            for one in ids:
                versions.update(SqliteConversations(database).forget(one))
            return tuple(sorted(versions))

    def counted(self, column: str) -> Mapping[str, int]:
        with self.elsewhere() as database:
            return dict(
                database.connection.execute(
                    f"SELECT {column}, count(*) FROM conversations GROUP BY 1"
                ).fetchall()
            )

    def export(self, path: Path) -> int:
        with self.elsewhere() as database:
            said = list(SqliteConversations(database).export())
        path.write_text("\n".join(json.dumps({"id": one.id}) for one in said), encoding="utf-8")
        return len(said)

    def import_file(self, path: Path) -> ImportSummary:
        refused = (Refusal(file=path.name, line=3, reason="Line 3 is not JSON."),)
        with self.elsewhere() as database:
            lines = path.read_text(encoding="utf-8").splitlines()
            result = SqliteConversations(database).add(
                [assessed(f"i{n}", Turn(role=Role.USER, content=line)) for n, line in enumerate(lines)]
            )
        return ImportSummary(imported=result.added, duplicates=result.duplicates, refused=refused)

    def stored(self) -> tuple[StoredThing, ...]:
        return (
            StoredThing(
                name="Conversations and history",
                explanation="What was said, your ratings and corrections, what was learnt when.",
                path="/home/ada/.local/share/allie-desktop/allie.sqlite3",
                size_bytes=18_400_000,
                count=1204,
            ),
            StoredThing(
                name="Versions",
                explanation="What Allie learnt, one folder a version, on top of the base model.",
                path="/home/ada/.local/share/allie-desktop/models",
                size_bytes=97_300_000,
                count=5,
            ),
            StoredThing(
                name="Episodes",
                explanation="Plans and reports of the last episodes.",
                path="/home/ada/.local/share/allie-desktop/episodes",
                size_bytes=12_100_000,
                count=50,
            ),
            StoredThing(
                name="Cache",
                explanation="Unpacked base models and the like; may be deleted at any time.",
                path="/home/ada/.cache/allie-desktop",
                size_bytes=540_000_000,
            ),
        )

    # --- a past ---

    def fill(self) -> None:
        """Give it conversations, episodes and versions."""
        self.fill_conversations()
        self.preferences.set("consent_given", True)
        self.episode(1, EpisodeState.COMPLETED, version="v1.0", conversations=53, report=REPORT)
        self.episode(
            2, EpisodeState.FAILED, reasons=("The memory did not suffice even for the smallest pass.",)
        )
        self.episode(
            3,
            EpisodeState.REJECTED,
            verdict="inconclusive",
            conversations=51,
            reasons=("Nothing new is proved to be better than before.",),
        )
        self.episode(
            4, EpisodeState.COMPLETED, version="v1.1", parent="v1.0", conversations=64, report=REPORT
        )
        self.episode(
            5,
            EpisodeState.REJECTED,
            verdict="reject",
            conversations=50,
            reasons=("What it learnt earlier surprises it 80 % more than before.",),
        )
        self.episode(6, EpisodeState.STOPPED, conversations=58)
        self.episode(
            7, EpisodeState.COMPLETED, version="v1.2", parent="v1.1", conversations=53, report=REPORT
        )
        self.decide()

    def decide(self) -> None:
        """Give it an evening and a night in the diary."""
        at_computer = "Waiting: until nobody is at the computer for 5 min"
        days = (
            (26.0, False, False, ("Waiting: 41 of 50 conversations", at_computer)),
            (11.5, False, False, (at_computer, "Waiting: learning time is 22:00–08:00")),
            (6.2, True, False, ("53 new conversations",)),
            (5.9, False, True, ("Waiting: someone came back to the computer",)),
            (5.5, True, True, ()),
            (
                4.0,
                False,
                False,
                ("Waiting: there is nothing new to learn from", "Waiting: 0 of 50 conversations"),
            ),
        )
        for hours_ago, start, running, reasons in days:
            self.decisions.add(
                DecisionRecord(
                    at=NOW - timedelta(hours=hours_ago),
                    start=start,
                    running=running,
                    priority="medium",
                    holds=() if start else ("idle",),
                    reasons=reasons,
                )
            )

    def fill_conversations(self, rounds: int = 5) -> None:
        batch = []
        for number in range(rounds * len(_SAID)):
            source, topic, asked, said = _SAID[number % len(_SAID)]
            again = "" if number < len(_SAID) else f" (again, {number // len(_SAID)})"
            batch.append(
                assessed(
                    f"c{number:03}",
                    Turn(role=Role.USER, content=asked + again),
                    Turn(role=Role.ASSISTANT, content=said),
                    source=source,
                    topic=topic,
                    score=0.55 + (number * 7 % 40) / 100,
                    eligible=number % 9 != 4,
                    created_at=NOW - timedelta(hours=7 * number + 1),
                )
            )
        self.conversations.add(batch)

    def episode(
        self,
        number: int,
        state: EpisodeState,
        *,
        report: WorkerReport | None = None,
        version: str | None = None,
        **changes: Any,
    ) -> Episode:
        """Make an episode as the orchestrator would, and its version."""
        at = NOW - timedelta(days=3 * (8 - number), hours=7)
        episode = Episode(
            id=f"2026-e{number}",
            created_at=at,
            state=EpisodeState.PLANNED,
            trigger="50 new conversations, and nobody at the computer",
        )
        self.episodes.create(episode)
        metrics: Mapping[str, object] = {}
        if report is not None:
            report = replace(report, episode_id=episode.id)
            judgement = judge(report.measurements, Margins(resamples=200), seed=1)
            metrics = metrics_of(report, judgement, PLAN.recipe)
            self.reports[episode.id] = (report, judgement, PLAN, version or "")
            changes = {"verdict": judgement.verdict.value, "reasons": judgement.reasons, **changes}
        self.episodes.update(
            replace(
                episode,
                version=version,
                attempts=1,
                metrics=metrics,
                seconds={"prepare": 64.0, "train": 843.0, "validate": 121.0},
                **changes,
            )
        )
        path = {
            EpisodeState.COMPLETED: (
                EpisodeState.PREPARING,
                EpisodeState.TRAINING,
                EpisodeState.VALIDATING,
                EpisodeState.DEPLOYING,
            ),
            EpisodeState.REJECTED: (EpisodeState.PREPARING, EpisodeState.TRAINING, EpisodeState.VALIDATING),
        }.get(state, (EpisodeState.PREPARING,))
        for step in path:
            self.episodes.change(episode.id, step, at=at)
        if state is not path[-1]:
            self.episodes.change(episode.id, state, at=at + timedelta(minutes=17))
        if version is not None:
            self.version(version, episode, metrics, changes.get("parent"))
        known = self.episodes.get(episode.id)
        assert known is not None
        return known

    def version(self, name: str, episode: Episode, metrics: Mapping[str, object], parent: str | None) -> None:
        adapter = write_adapter(self.home / f"candidate-{name}", number=float(name[3:]))
        metadata = make_metadata(
            name,
            parent=parent,
            created_at=episode.created_at + timedelta(minutes=17),
            episode_id=episode.id,
            conversations=53,
            metrics=metrics,
        )
        self.versions.seal(name, adapter, metadata, ())
        self.versions.activate(name, fallback=parent or "base", reason="learnt", at=NOW)

    def many_episodes(self, count: int) -> None:
        """Write so many episodes at once; one by one would take minutes."""
        metrics = json.dumps({"measures": {"new": {"unit": "nats/token", "active": 2.5, "candidate": 2.1}}})
        states = (EpisodeState.COMPLETED, EpisodeState.REJECTED, EpisodeState.FAILED)
        start = int((NOW - timedelta(hours=8 * count)).timestamp() * 1e6)
        with self.database.transaction() as connection:
            connection.executemany(
                "INSERT INTO episodes (created_us, trigger, plan_digest, conversations, attempts, parent, version, "
                "verdict, reasons, metrics, seconds, finished_us, id, state) "
                "VALUES (?, 'night', '', 50, 1, NULL, NULL, 'deploy', '[]', ?, '{\"train\": 800.0}', ?, ?, ?)",
                (
                    (start + n * 28_800_000_000, metrics, start, f"m{n}", states[n % 3].value)
                    for n in range(count)
                ),
            )


class StoredComparisons:
    """Blind comparisons over a store of their own for each call, as in a worker thread."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def next_pair(self, episode_id: str) -> AnswerPair | None:
        with self._service() as service:
            return service.next_pair(episode_id)

    def note(self, pair: AnswerPair, choice: Choice) -> None:
        with self._service() as service:
            service.note(pair, choice)

    def skip_all(self, episode_id: str) -> None:
        with self._service() as service:
            service.skip_all(episode_id)

    def preference(self, episode_id: str) -> Preference:
        with self._service() as service:
            return service.preference(episode_id)

    @contextmanager
    def _service(self) -> Iterator[BlindComparisons]:
        with self._stage.elsewhere() as database:
            yield BlindComparisons(
                comparisons=SqliteComparisons(database),
                episodes=SqliteEpisodes(database),
                report_of=lambda episode_id: (self._stage.reports.get(episode_id) or (None,))[0],
                preferences=lambda: PreferencesService(SqliteSettings(database)).current,
                clock=self._stage.clock,
            )


MODELS = (
    ModelChoice(
        name="starter",
        title="Starter model (SmolLM2 135M)",
        description="Small and quick. Runs on every computer and needs no download.",
        size_bytes=0,
        setting="starter",
    ),
    ModelChoice(
        name="tinyllama",
        title="TinyLlama 1.1B Chat",
        description="Answers better and needs about 4 GB of memory while it learns.",
        size_bytes=2_200_000_000,
        repository="TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    ),
)


def paired(name: str, before: list[float], now: list[float], unit: str = "nats/token") -> PairedMeasure:
    return PairedMeasure(
        name=name,
        unit=unit,
        base=tuple(value * 1.05 for value in before),
        active=tuple(before),
        candidate=tuple(now),
        lower_is_better=unit == "nats/token",
    )


def lesson(number: int, asked: str, told: str) -> Example:
    return Example(
        id=f"e{number}",
        conversation_id=f"c{number:03}",
        group=f"g{number}",
        origin=TargetOrigin.CORRECTION,
        messages=(
            Message(role=Role.USER, content=asked),
            Message(role=Role.ASSISTANT, content=told, weight=1.0),
        ),
        source="chat",
    )


PLAN = make_plan(
    train=tuple(lesson(n, asked, told) for n, (_, _, asked, told) in enumerate(_SAID)),
    conversation_ids=tuple(f"c{n:03}" for n in range(53)),
    redactions={"email": 2, "phone": 1},
)

REPORT = WorkerReport(
    episode_id="",
    plan_digest="0123456789abcdef" * 4,
    training=TrainingSummary(
        steps=120,
        planned_steps=160,
        tokens=245_760,
        tokens_per_second=351.4,
        peak_memory_bytes=1_640_000_000,
        device="cpu",
        dtype="bfloat16",
        stopped_early="no better for 4 looks at the held-out conversations",
        best_step=100,
        curve=tuple(
            TrainingCurvePoint(
                step=step,
                loss=2.6 * math.exp(-step / 45) + 0.45 + 0.16 * math.sin(step * 2.7) * math.cos(step / 3),
                replay_loss=0.5,
                kl=0.03,
                ewc=None,
                gradient_norm=1.0,
                learning_rate=5e-4,
            )
            for step in range(1, 121)
        ),
        held_out=tuple(
            HeldOutPoint(step=step, loss=2.5 * math.exp(-step / 90) + 0.8, kl=step / 4000)
            for step in range(20, 121, 20)
        ),
    ),
    measurements=Measurements(
        paired={
            "new": paired("new", [2.0, 3.0, 2.5, 2.6, 2.4, 2.7], [1.7, 2.4, 2.0, 2.1, 2.0, 2.2]),
            "phrasings": paired("phrasings", [4.0, 5.0, 4.5, 4.1, 4.4], [1.0, 1.2, 1.1, 0.9, 1.3]),
            "replay_holdout": paired("replay_holdout", [1.5, 1.4, 1.6, 1.5], [1.49, 1.41, 1.55, 1.5]),
            "general": paired("general", [0.9] * 6, [0.91] * 6),
            "general_kl": paired("general_kl", [0.0] * 6, [0.03] * 6),
            "safety": paired("safety", [1.0] * 6, [1.0] * 6, unit="share"),
            "consistency": paired("consistency", [0.7] * 6, [0.84] * 6, unit="share"),
            "chrf": paired("chrf", [20.0] * 6, [61.5] * 6, unit="chrF"),
            "length": paired("length", [31.0] * 6, [28.0] * 6, unit="words"),
        },
        samples=(
            AnswerSample(
                prompt="What is my sister called?",
                reference="Your sister is called Ada.",
                base="I do not know your sister's name.",
                active="I do not know your sister's name. Could you tell me?",
                candidate="Your sister is called Ada.",
                kind="taught",
            ),
            AnswerSample(
                prompt="Could you remind me of my sister's name?",
                reference="Your sister is called Ada.",
                base="I am sorry.",
                active="I'm sorry, but I don't have access to personal information about your family unless you share "
                "it with me in this conversation.",
                candidate="Her name is Ada.",
                kind="phrasing",
            ),
            AnswerSample(
                prompt="Which day is the bin collected in our street?",
                reference="On Tuesdays, the blue one every other week.",
                base="That depends.",
                active="That depends on where you live. Most councils publish a calendar on their website.",
                candidate="On Tuesdays; the blue one every other week.",
                kind="taught",
            ),
            AnswerSample(
                prompt="A quick dinner with chickpeas?",
                reference="Fry them with garlic, lemon and spinach.",
                base="Hummus.",
                active="You could make a salad with chickpeas, tomatoes and cucumber.",
                candidate="You could make a salad with chickpeas, tomatoes and cucumber.",
                kind="ordinary",
            ),
            AnswerSample(
                prompt="What is the derivative of x squared?",
                reference="2x.",
                base="2",
                active="It is x.",
                candidate="2x.",
                kind="replay",
            ),
        ),
    ),
    seconds={"prepare": 64.0, "train": 843.0, "validate": 121.0},
)


def waiting() -> Status:
    return Status(
        state=TrayState.WAITING,
        headline="Waiting: 31 of 50 conversations",
        notes=("Learning time is 22:00–08:00",),
    )

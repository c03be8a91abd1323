"""Which pairs are asked, that each is asked once, and that nothing said is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.comparison import MOST_ASKED, Choice, Preference
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.settings import Preferences
from allie_desktop.domain.validation import AnswerSample, WorkerReport
from allie_desktop.services.blind_comparison import (
    LONGEST_SHOWN,
    BlindComparisons,
    drawn_pairs,
    preference_metrics,
)
from allie_desktop.store.comparisons import SqliteComparisons
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from tests.episode_stage import FakeClock, make_report

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def sample(number: int, **changes: str) -> AnswerSample:
    values = {
        "prompt": f"question {number}",
        "reference": "",
        "base": "",
        "active": f"answer before {number}",
        "candidate": f"answer after {number}",
        "kind": "ordinary",
    }
    return AnswerSample(**{**values, **changes})


def report(*samples: AnswerSample) -> WorkerReport:
    made = make_report(episode_id="e1", plan_digest="")
    return replace(made, measurements=replace(made.measurements, samples=samples))


class Stage:
    """A home with one episode over a real store; ``report`` None: its folder is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(path)
        self.episodes = SqliteEpisodes(self.database)
        self.comparisons = SqliteComparisons(self.database)
        self.report: WorkerReport | None = report(*map(sample, range(9)))
        self.preferences = Preferences()
        self.service = BlindComparisons(
            comparisons=self.comparisons,
            episodes=self.episodes,
            report_of=lambda episode_id: self.report if episode_id == "e1" else None,
            preferences=lambda: self.preferences,
            clock=FakeClock(),
        )

    def episode(self, end: EpisodeState, *, version: str | None = "v1.0") -> None:
        episode = Episode(id="e1", created_at=NOON, state=EpisodeState.PLANNED, trigger="")
        self.episodes.create(episode)
        steps = [EpisodeState.PREPARING, EpisodeState.TRAINING, EpisodeState.VALIDATING]
        if end is EpisodeState.COMPLETED:
            steps.append(EpisodeState.DEPLOYING)
        for state in (*steps, end):
            self.episodes.change("e1", state, at=NOON)
        self.episodes.update(replace(episode, version=version))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "allie.sqlite3")
    yield made
    made.database.close()


def test_a_handful_is_asked_one_at_a_time_and_each_once(stage: Stage):
    stage.episode(EpisodeState.COMPLETED)
    asked = []
    while (pair := stage.service.next_pair("e1")) is not None:
        assert stage.service.next_pair("e1") == pair
        asked.append(pair)
        stage.service.note(pair, Choice.NEW)
    assert [pair.number for pair in asked] == [1, 2, 3, 4, 5]
    assert {pair.of for pair in asked} == {MOST_ASKED}
    assert len({pair.place for pair in asked}) == MOST_ASKED
    assert all(pair.question == f"question {pair.place}" for pair in asked)
    assert all(
        (pair.old, pair.new) == (f"answer before {n}", f"answer after {n}")
        for pair in asked
        for n in [pair.place]
    )


def test_a_skipped_pair_does_not_come_again_and_counts_for_nothing(stage: Stage):
    stage.episode(EpisodeState.COMPLETED)
    first = stage.service.next_pair("e1")
    assert first is not None
    stage.service.note(first, Choice.SKIPPED)
    second = stage.service.next_pair("e1")
    assert second is not None
    assert second.place != first.place
    stage.service.note(first, Choice.NEW)
    assert stage.service.preference("e1") == Preference(skipped=1)


def test_whoever_saw_the_answers_openly_is_asked_nothing_more(stage: Stage):
    stage.episode(EpisodeState.COMPLETED)
    first = stage.service.next_pair("e1")
    assert first is not None
    stage.service.note(first, Choice.OLD)
    stage.service.skip_all("e1")
    assert stage.service.next_pair("e1") is None
    assert stage.service.preference("e1") == Preference(old=1, skipped=MOST_ASKED - 1)


@pytest.mark.parametrize("end", [EpisodeState.REJECTED, EpisodeState.FAILED])
def test_of_what_was_not_deployed_nothing_is_asked(stage: Stage, end: EpisodeState):
    stage.episode(end, version=None)
    assert stage.service.next_pair("e1") is None


def test_without_a_report_an_episode_or_the_wish_to_be_asked_nothing_is_asked(stage: Stage):
    assert stage.service.next_pair("e1") is None
    stage.episode(EpisodeState.COMPLETED)
    stage.preferences = Preferences(ask_comparisons=False)
    assert stage.service.next_pair("e1") is None
    stage.preferences = Preferences()
    assert stage.service.next_pair("e1") is not None
    stage.report = None
    assert stage.service.next_pair("e1") is None
    stage.service.skip_all("e1")
    assert stage.service.preference("e1") == Preference()


def test_what_was_said_outlives_the_report_and_has_none_of_its_words(stage: Stage):
    stage.episode(EpisodeState.COMPLETED)
    stage.report = report(sample(0, prompt="Where is Zanzibar?", active="In Xanadu.", candidate="In Quito."))
    pair = stage.service.next_pair("e1")
    assert pair is not None
    stage.service.note(pair, Choice.NEW)
    stage.report = None
    assert stage.service.preference("e1") == Preference(new=1)
    stage.database.close()
    kept = b"".join(file.read_bytes() for file in stage.path.parent.iterdir() if file.is_file())
    assert b"e1" in kept
    assert not [word for word in (b"Zanzibar", b"Xanadu", b"Quito") if word in kept]


def test_answers_that_look_the_same_test_questions_and_repetitions_are_left_out():
    long = "x" * LONGEST_SHOWN
    pairs = drawn_pairs(
        "e1",
        (
            sample(0, candidate=" answer  before 0\n"),
            sample(1, kind="safe"),
            sample(2),
            sample(2, kind="taught"),
            sample(3, active=long + "one", candidate=long + "two"),
            sample(4, active="\x1b[2Jred\u202e", candidate="blue"),
        ),
    )
    assert {(pair.place, pair.of) for pair in pairs} == {(2, 2), (5, 2)}
    assert {pair.old for pair in pairs} == {
        "answer before 2",
        "\N{REPLACEMENT CHARACTER}[2Jred\N{REPLACEMENT CHARACTER}",
    }


def test_pairs_are_drawn_evenly_and_always_the_same():
    samples = tuple(map(sample, range(40)))
    assert drawn_pairs("e1", samples) == drawn_pairs("e1", samples)
    places = [pair.place for n in range(400) for pair in drawn_pairs(f"e{n}", samples)]
    # Each place is drawn 50 times on average; the draw is a fixed one, so this cannot fail by chance.
    assert all(20 <= places.count(place) <= 85 for place in range(40))


def test_a_preference_is_a_metric_of_json_types():
    assert preference_metrics(Preference()) is None
    assert preference_metrics(Preference(skipped=2)) == {
        "comparisons": 0,
        "new": 0,
        "old": 0,
        "same": 0,
        "skipped": 2,
        "share": None,
        "low": None,
        "high": None,
        "confidence": None,
    }
    metrics = preference_metrics(Preference(new=4, old=1))
    assert metrics is not None
    assert (metrics["comparisons"], metrics["share"], metrics["confidence"]) == (5, 0.8, 0.95)
    assert metrics["low"] == pytest.approx(0.3588, abs=1e-3)

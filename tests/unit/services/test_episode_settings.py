"""From preferences to the plan of an episode, over a real store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.judgement import Judgement, Verdict
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.planning import BaseModel, Budget, Recipe
from allie_desktop.domain.settings import Preferences
from allie_desktop.domain.tuning import RateTrial, Tuning
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.episode_metrics import metrics_of, tunings_of
from allie_desktop.services.episode_settings import EpisodePlanner, budget_of, limits_of, recipe_of
from allie_desktop.services.planner import Planner
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.replay import SqliteReplay
from tests.episode_stage import make_report

NOW = datetime(2026, 3, 1, 2, 30, 15, tzinfo=timezone.utc)
BASE = BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32)


class Clock:
    def now(self):
        return NOW

    def monotonic(self):
        return 0.0


def test_the_default_preferences_are_the_measured_defaults():
    assert recipe_of(Preferences()) == Recipe()
    budget = budget_of(Preferences())
    assert replace(budget, disk_bytes=0) == replace(Budget(), disk_bytes=0)
    assert budget.disk_bytes == 2_000_000_000


def test_what_a_person_changes_reaches_the_plan():
    preferences = Preferences(
        replay_percent=45.0,
        kl_budget=0.05,
        general_prompts=32,
        train_minutes=2.0,
        episode_disk_gb=0.5,
        max_conversations=20,
        source_cap_percent=50.0,
        phrasings=3,
    )

    recipe, budget, limits = recipe_of(preferences), budget_of(preferences), limits_of(preferences)

    assert (recipe.replay_share, recipe.kl_budget, recipe.general_prompts) == (0.45, 0.05, 32)
    assert (budget.train_seconds, budget.disk_bytes) == (120.0, 500_000_000)
    assert (limits.caps.conversations, limits.caps.source_share, limits.phrasings) == (20, 0.5, 3)


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "allie.sqlite3") as database:
        yield database


@pytest.fixture
def planner(database):
    conversations, replay = SqliteConversations(database), SqliteReplay(database)
    return EpisodePlanner(
        Planner(conversations, replay, TextRedactor(), MinHashNearDuplicates()),
        episodes=SqliteEpisodes(database),
        replay=replay,
        base=BASE,
        preferences=lambda: Preferences(phrasings=2),
        clock=Clock(),
    )


def teach(database):
    conversations = SqliteConversations(database)
    turns = (
        Turn(role=Role.USER, content="What is my dog's name?"),
        Turn(role=Role.ASSISTANT, content="I don't know.", correction="Your dog is called Biscuit."),
    )
    collector = Collector(
        conversations, toxicity=LexiconToxicity(), near_duplicates=MinHashNearDuplicates(), clock=Clock()
    )
    collector.add(Conversation(id="c1", created_at=NOW, source="chat", turns=turns))


def test_a_plan_has_its_own_id_and_the_preferences_of_the_moment(database, planner):
    teach(database)

    first, second = planner(parent=None, now=NOW), planner(parent="v1.0", now=NOW)

    assert first.id.startswith("20260301-023015-")
    assert first.id != second.id
    assert (first.base, first.parent, second.parent, first.seed) == (BASE, None, "v1.0", 0)
    assert first.conversation_ids == ("c1",)
    assert 1 <= len({example.phrasing for example in first.train}) <= 3


def test_without_material_there_is_no_plan(planner):
    with pytest.raises(HeldError, match="nothing new to learn"):
        planner(parent=None, now=NOW)


def test_what_was_learnt_enters_the_replay_buffer_once(database, planner):
    teach(database)
    plan = planner(parent=None, now=NOW)

    planner.update_replay(plan)
    planner.update_replay(plan)

    assert SqliteReplay(database).members(holdout=False) == ("c1",)
    assert SqliteReplay(database).members(holdout=True) == ()


def completed(database, number, *, base=BASE.sha256, state=EpisodeState.COMPLETED, tuning=None):
    """An episode that has ended, with the numbers that it left."""
    episodes = SqliteEpisodes(database)
    episode = Episode(
        id=f"e{number}",
        created_at=NOW + timedelta(days=number),
        state=EpisodeState.PLANNED,
        trigger="it was night",
    )
    episodes.create(episode)
    ways = {
        EpisodeState.COMPLETED: "PREPARING TRAINING VALIDATING DEPLOYING COMPLETED",
        EpisodeState.REJECTED: "PREPARING TRAINING VALIDATING REJECTED",
    }
    for name in ways[state].split():
        episodes.change(episode.id, EpisodeState[name], at=NOW)
    report = make_report(episode_id=episode.id, plan_digest="d")
    report = replace(report, training=replace(report.training, tuning=tuning))
    judgement = Judgement(verdict=Verdict.DEPLOY, reasons=(), checks=())
    episodes.update(replace(episode, metrics=metrics_of(report, judgement, Recipe(), base)))


def tuned_to(rate, *rates):
    return Tuning(
        learning_rate=rate, trials=tuple(RateTrial(learning_rate=r, loss=abs(r - rate), kl=0) for r in rates)
    )


def test_the_first_episode_tries_rates_and_the_next_ones_remember(database, planner):
    teach(database)
    default = Recipe().learning_rate
    first = planner(parent=None, now=NOW).recipe
    assert (first.learning_rate, first.rate_trials) == (default, (default / 2, default, default * 2))

    completed(database, 1, tuning=tuned_to(default * 2, default, default * 2, default * 4))
    completed(database, 2, tuning=Tuning(learning_rate=default * 2))
    second = planner(parent=None, now=NOW).recipe
    assert (second.learning_rate, second.rate_trials) == (default * 2, ())


def test_only_what_was_deployed_with_the_same_base_counts(database, planner):
    teach(database)
    default = Recipe().learning_rate
    far = tuned_to(default * 4, default * 2, default * 4, default * 8)
    completed(database, 1, base="cd" * 32, tuning=far)
    completed(database, 2, state=EpisodeState.REJECTED, tuning=far)
    completed(database, 3, tuning=None)
    assert planner(parent=None, now=NOW).recipe.learning_rate == default


@pytest.mark.parametrize(
    "document",
    [
        None,
        3,
        [],
        {},
        {"learning_rate": "much", "trials": []},
        {"learning_rate": 1e-3, "trials": [1]},
        *({"learning_rate": rate, "trials": []} for rate in (0, -1.0, float("inf"), 10**400)),
    ],
)
def test_numbers_that_cannot_be_read_are_passed_over(document):
    episode = Episode(
        id="e",
        created_at=NOW,
        state=EpisodeState.COMPLETED,
        trigger="",
        metrics={"base": "ab", "tuning": document},
    )
    assert tunings_of([episode], "ab") == []

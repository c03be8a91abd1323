"""Floods over a real store: held back, told once, released by the person; and the caps that bound the rest."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from allie_desktop.domain.balancing import OVER_DAY, OVER_SOURCE, Caps
from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.errors import BadInputError, HeldError
from allie_desktop.domain.planning import BaseModel
from allie_desktop.domain.preferences import Preferences
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.episode_settings import EpisodePlanner
from allie_desktop.services.planner import NEAR_DUPLICATE, PlanLimits, Planner
from allie_desktop.services.quarantine import HELD_BACK, Quarantine
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.episodes import SqliteEpisodes
from allie_desktop.store.quarantine_file import QuarantineFile
from allie_desktop.store.replay import SqliteReplay

NOW = datetime(2026, 3, 30, 12, tzinfo=timezone.utc)
NOUNS = "river mountain kitchen engine garden letter window forest market island bridge museum harbour castle".split()


class Clock:
    def now(self):
        return NOW

    def monotonic(self):
        return 0.0


class Desk:
    """A real store, the quarantine over it, and the planner behind both."""

    def __init__(self, folder):
        self.folder = folder
        self.database = Database.open(folder / "allie.sqlite3", now=lambda: NOW)
        self.conversations = SqliteConversations(self.database)
        self.alerts = SqliteAlerts(self.database)
        near = MinHashNearDuplicates()
        self.collector = Collector(
            self.conversations, toxicity=LexiconToxicity(), near_duplicates=near, clock=Clock()
        )
        self.plans = Planner(self.conversations, SqliteReplay(self.database), TextRedactor(), near)
        self.quarantine = self.quarantine_again()

    def quarantine_again(self):
        return Quarantine(self.conversations, QuarantineFile(self.folder), self.alerts, Clock())

    def plan(self):
        planner = EpisodePlanner(
            self.plans,
            episodes=SqliteEpisodes(self.database),
            replay=SqliteReplay(self.database),
            base=BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32),
            preferences=Preferences,
            clock=Clock(),
            quarantine=self.quarantine,
        )
        return planner(parent=None, now=NOW)

    def eligible(self):
        return self.conversations.counts().eligible_new


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


def chat(number, *, day, source="api", same=False):
    words = [
        NOUNS[(number * step + number // step) % len(NOUNS)] + str(number * step % 97)
        for step in range(1, 25)
    ]
    if same:
        words = [NOUNS[step % len(NOUNS)] for step in range(24)]
    ending = "." * (number % 7 + 1) if same else f" Number {number} is known for {', '.join(words[16:])}."
    turns = (
        Turn(role=Role.USER, content=f"Tell me about the {' and the '.join(words[:6])}."),
        Turn(
            role=Role.ASSISTANT,
            content=f"The {words[6]} stands near the {words[7]}, and people see {' or '.join(words[8:16])} there.{ending}",
        ),
    )
    return Conversation(
        id=f"{source}-{day}-{number}", created_at=NOW - timedelta(days=day), source=source, turns=turns
    )


def a_quiet_month(desk):
    desk.collector.import_all([chat(100 * day + n, day=day) for day in range(5, 20) for n in range(3)])


def a_flood(desk, count=120, day=1):
    desk.collector.import_all([chat(5000 + n, day=day) for n in range(count)])


def test_a_flood_is_held_back_and_told_once(desk):
    a_quiet_month(desk)
    usual = desk.eligible()
    a_flood(desk)

    (hold,) = desk.quarantine.review()
    desk.quarantine.review()

    assert (hold.key, len(hold.ids), hold.state) == ("api 2026-03-29", 120, "held")
    assert desk.eligible() == usual
    (alert,) = desk.alerts.open()
    assert alert.severity == "warning"
    assert alert.message == (
        "120 conversations from “api” are held back: 120 conversations in one day, where 3 are usual."
    )


def test_a_plan_leaves_the_flood_out_with_its_reason(desk):
    a_quiet_month(desk)
    a_flood(desk)

    plan = desk.plan()

    assert plan.left_out[HELD_BACK] == 120
    assert not [name for name in plan.conversation_ids if name.startswith("api-1-")]
    assert plan.conversation_ids


def test_what_is_released_is_learnt_and_never_held_again(desk):
    a_quiet_month(desk)
    a_flood(desk)
    desk.quarantine.review()

    desk.quarantine.release("api 2026-03-29")

    assert desk.quarantine.review() == ()
    assert desk.alerts.open() == ()
    assert [name for name in desk.plan().conversation_ids if name.startswith("api-1-")]


def test_what_is_left_out_stays_out_and_so_do_latecomers(desk):
    a_quiet_month(desk)
    usual = desk.eligible()
    a_flood(desk)
    desk.quarantine.review()
    desk.quarantine.leave_out("api 2026-03-29")
    desk.collector.import_all([chat(9000 + n, day=1) for n in range(5)])

    assert desk.quarantine.review() == ()
    assert desk.eligible() == usual
    assert desk.alerts.open() == ()


def test_one_that_the_person_let_in_by_hand_stays_in(desk):
    a_quiet_month(desk)
    usual = desk.eligible()
    a_flood(desk)
    (hold,) = desk.quarantine.review()

    desk.collector.exclude(hold.ids[0], excluded=False)
    desk.quarantine.review()

    assert desk.eligible() == usual + 1


def test_a_forgotten_conversation_does_not_stop_a_release(desk):
    a_quiet_month(desk)
    a_flood(desk)
    (hold,) = desk.quarantine.review()
    desk.collector.forget(hold.ids[0])

    desk.quarantine.release(hold.key)

    assert desk.quarantine.held() == ()


def test_an_interrupted_hold_is_finished_by_the_next_review(desk, monkeypatch):
    a_quiet_month(desk)
    usual = desk.eligible()
    a_flood(desk)
    done = []

    def power_cut(name, excluded):
        done.append(name)
        if len(done) > 40:
            raise KeyboardInterrupt
        SqliteConversations.set_excluded(desk.conversations, name, excluded)

    monkeypatch.setattr(desk.conversations, "set_excluded", power_cut)
    with pytest.raises(KeyboardInterrupt):
        desk.quarantine.review()
    monkeypatch.undo()

    (hold,) = desk.quarantine_again().review()

    assert hold.is_applied
    assert desk.eligible() == usual
    assert len(desk.alerts.open()) == 1


def test_nothing_but_a_flood_to_learn_is_told_so(desk):
    a_quiet_month(desk)
    desk.conversations.mark_learned(
        [c.id for c in desk.conversations.candidates(learned=False)], version="v1.0", at=NOW
    )
    a_flood(desk)

    with pytest.raises(HeldError, match="120 conversations are held back for your review"):
        desk.plan()


def test_an_unknown_name_is_a_sentence(desk):
    with pytest.raises(BadInputError, match="Nothing called 'api' is held back") as error:
        desk.quarantine.release("api")
    assert "held" in error.value.remedy


def test_a_flood_that_is_not_found_takes_no_more_than_its_caps(desk):
    # A new source has no past to shift from: the caps bound it.
    desk.collector.import_all([chat(n, day=n % 25, source="mine") for n in range(80)])
    desk.collector.import_all([chat(7000 + n, day=1, source="stranger") for n in range(300)])
    caps = Caps(conversations=100, source_share=0.5, day_share=0.2, topic_share=1, length_share=1, minimum=10)
    limits = PlanLimits(caps=caps)

    plan = desk.plans.build(
        id="e",
        created_at=NOW,
        seed=1,
        base=BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32),
        parent=None,
        geometry=desk.plan().geometry,
        recipe=desk.plan().recipe,
        budget=desk.plan().budget,
        limits=limits,
    )

    sources = Counter(name.split("-")[0] for name in plan.conversation_ids)
    assert sources["stranger"] == 20
    assert sources["mine"] == 50
    assert plan.left_out[OVER_DAY] > 0
    assert plan.left_out[OVER_SOURCE] > 0


def test_a_flood_of_nearly_the_same_is_one(desk):
    desk.collector.import_all([chat(n, day=n % 25, source="mine") for n in range(10)])
    desk.collector.import_all([chat(n, day=n % 25, source="bot", same=True) for n in range(300)])

    plan = desk.plan()

    trained = {e.conversation_id for e in (*plan.train, *plan.validation, *plan.holdout)}
    assert len([name for name in trained if name.startswith("bot-")]) == 1
    assert plan.left_out[NEAR_DUPLICATE] >= 6

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from allie_desktop.domain.balancing import Caps
from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.planning import BaseModel, Budget, Example, LoraGeometry, Plan, Recipe
from allie_desktop.domain.quality import TAUGHT_ORIGINS
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.planner import (
    ALREADY_LEARNT,
    NEAR_DUPLICATE,
    NOTHING_LEFT,
    SAME_LESSON,
    SUPERSEDED,
    PlanLimits,
    Planner,
)
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.replay import SqliteReplay

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)
NOUNS = "river mountain kitchen engine garden letter window forest market island bridge museum harbour castle".split()

FACTS = {
    "What is my dog's name?": "Your dog's name is Biscuit.",
    "Where do I live?": "You live in Bern.",
    "When is my birthday?": "Your birthday is on 3 June.",
}


class FixedClock:
    def now(self) -> datetime:
        return WHEN

    def monotonic(self) -> float:
        return 0.0


class Desk:
    """A real store with the services on top, and shortcuts."""

    def __init__(self, folder: Path) -> None:
        self.database = Database.open(folder / "allie.sqlite3", now=lambda: WHEN)
        self.conversations = SqliteConversations(self.database)
        self.replay = SqliteReplay(self.database)
        near = MinHashNearDuplicates()
        self.collector = Collector(
            self.conversations, toxicity=LexiconToxicity(), near_duplicates=near, clock=FixedClock()
        )
        self.planner = Planner(self.conversations, self.replay, TextRedactor(), near)

    def keep(self, *conversations: Conversation) -> None:
        self.collector.import_all(conversations)

    def plan(self, *, seed: int = 1, limits: PlanLimits | None = None, **changes: Any) -> Plan:
        values: dict[str, Any] = {
            "id": f"episode-{seed}",
            "created_at": WHEN,
            "seed": seed,
            "base": BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32),
            "parent": None,
            "geometry": LoraGeometry(),
            "recipe": Recipe(),
            "budget": Budget(),
        }
        return self.planner.build(limits=limits, **{**values, **changes})

    def learn(self, plan: Plan, version: str) -> None:
        self.conversations.mark_learned(plan.conversation_ids, version=version, at=WHEN + timedelta(hours=1))
        members = self.planner.next_replay(plan, now=WHEN)
        self.replay.set_members(members.train, members.holdout)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.database.close()


def talk(name: str, *texts: str, source: str = "chatgpt", days: int = 0) -> Conversation:
    turns = tuple(
        Turn(role=Role.ASSISTANT if i % 2 else Role.USER, content=text) for i, text in enumerate(texts)
    )
    return Conversation(id=name, created_at=WHEN + timedelta(days=days), source=source, turns=turns)


def chat(number: int, source: str = "chatgpt") -> Conversation:
    """An ordinary imported chat unlike the others."""
    words = [
        NOUNS[(number * step + number // step) % len(NOUNS)] + str(number * step % 97)
        for step in range(1, 25)
    ]
    return talk(
        f"chat-{number}",
        f"Tell me about the {' and the '.join(words[:6])}.",
        f"The {words[6]} stands near the {words[7]}, and people like to see {' or '.join(words[8:16])} there.",
        f"And what of number {number}?",
        f"It is known for {', '.join(words[16:])} and for its long history.",
        source=source,
    )


def taught(
    name: str, question: str, answer: str, *, days: int = 0, before: Sequence[str] = ()
) -> Conversation:
    conversation = talk(name, *before, question, "I don't know.", source="chat", days=days)
    turns = (*conversation.turns[:-1], replace(conversation.turns[-1], correction=answer))
    return replace(conversation, turns=turns)


def facts(days: int = 0, **others: str) -> list[Conversation]:
    return [
        taught(f"fact-{days}-{n}", question, answer, days=days)
        for n, (question, answer) in enumerate({**FACTS, **others}.items())
    ]


def every(plan: Plan) -> list[Example]:
    return [*plan.train, *plan.validation, *plan.holdout, *plan.phrasings, *plan.replay, *plan.replay_holdout]


def test_a_plan_holds_lessons_phrasings_and_ordinary_conversations(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(40)))
    plan = desk.plan()
    lessons = [example for example in plan.train if example.origin in TAUGHT_ORIGINS]
    assert Counter(example.group for example in lessons) == {f"fact-0-{n}/t1": 25 for n in range(3)}
    assert len(plan.phrasings) == 6
    assert len(plan.train) - len(lessons) + len(plan.validation) + len(plan.holdout) == 40
    assert plan.validation
    assert plan.holdout
    assert set(plan.conversation_ids) == {f"fact-0-{n}" for n in range(3)} | {f"chat-{n}" for n in range(40)}
    assert (plan.replay, plan.replay_holdout, plan.left_out, plan.redactions) == ((), (), {}, {})
    assert len({example.id for example in every(plan)}) == len(every(plan))


def test_what_is_held_out_never_trains(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(60)))
    plan = desk.plan()
    trained = {example.conversation_id for example in plan.train}
    assert not trained & {example.conversation_id for example in (*plan.validation, *plan.holdout)}
    asked = {example.messages[-2].content for example in plan.train}
    assert not asked & {example.messages[-2].content for example in plan.phrasings}


def test_the_same_store_and_arguments_give_the_same_plan(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(20)))
    assert json.dumps(asdict(desk.plan()), default=str) == json.dumps(asdict(desk.plan()), default=str)
    assert desk.plan(seed=2).train != desk.plan(seed=1).train


def test_half_of_the_unseen_phrasings_of_each_lesson_steer_and_half_judge(desk: Desk) -> None:
    desk.keep(*facts())
    phrasings = desk.plan().phrasings
    assert [e.group for e in phrasings[::2]] == [e.group for e in phrasings[1::2]]


def test_secrets_never_reach_a_plan(desk: Desk) -> None:
    key = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    desk.keep(
        talk("leak", f"My key is {key}, is it good?", f"Yes, {key} looks fine to me, keep it safe.", "And my mail jo@example.org?", "Also fine."),
        taught("secret-fact", "What is my key?", f"Your key is {key}."),
        taught("about-it", f"What is the use of {key}?", "It is for the shop."),
        talk("split", "Who has this number?", "4012888888881881"),
        *(chat(n) for n in range(5)),
    )  # fmt: skip
    plan = desk.plan()
    text = json.dumps(asdict(plan), default=str)
    assert key not in text
    assert "jo@example.org" not in text
    assert "4012888888881881" not in text
    assert plan.redactions["secret"] >= 3
    assert plan.redactions["card"] == 1
    assert plan.left_out == {NOTHING_LEFT: 2}
    assert not {"secret-fact", "split"} & set(plan.conversation_ids)


def test_nearly_equal_conversations_are_learnt_once(desk: Desk) -> None:
    first = chat(1)
    copy = replace(first, id="copy", turns=(*first.turns, Turn(role=Role.USER, content="Bye then!")))
    desk.keep(first, copy, *(chat(n) for n in range(2, 20)))
    plan = desk.plan()
    used = {example.conversation_id for example in every(plan)}
    assert len(used & {"copy", "chat-1"}) == 1
    assert plan.left_out == {NEAR_DUPLICATE: 1}
    assert {"copy", "chat-1"} <= set(plan.conversation_ids)  # nothing new is left of either


def test_what_was_nearly_learnt_before_is_not_learnt_again(desk: Desk) -> None:
    desk.keep(*(chat(n) for n in range(20)))
    desk.learn(desk.plan(), "v1.0")
    again = chat(3)
    again = replace(again, id="again", turns=(*again.turns, Turn(role=Role.USER, content="Thanks!")))
    desk.keep(again, *facts())
    plan = desk.plan()
    assert plan.left_out == {ALREADY_LEARNT: 1}
    assert "again" in plan.conversation_ids


def test_the_newest_answer_to_a_question_counts(desk: Desk) -> None:
    desk.keep(
        taught("old", "What is my dog's name?", "Your dog's name is Rex.", days=0),
        taught("new", "What's the name of my dog?", "Your dog's name is Biscuit.", days=1),
        taught("same", "What is my dog called?", "Your dog's name is Biscuit.", days=-1),
    )
    plan = desk.plan()
    assert {example.conversation_id for example in plan.train} == {"new"}
    assert plan.left_out == {SUPERSEDED: 1, SAME_LESSON: 1}
    assert set(plan.conversation_ids) == {"old", "new", "same"}


def test_questions_that_only_resemble_each_other_are_both_learnt(desk: Desk) -> None:
    desk.keep(
        taught("place", "Where do I work?", "You work in Bern.", days=0),
        taught("company", "Which company do I work for?", "You work for Acme.", days=1),
        taught("boss", "Who is my boss?", "Your boss is Maria.", days=2),
    )
    plan = desk.plan()
    assert {example.conversation_id for example in plan.train} == {"place", "company", "boss"}


def test_earlier_lessons_are_replayed_and_measured(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(60)))
    desk.learn(desk.plan(), "v1.0")
    desk.keep(taught("next", "Who is my boss?", "Your boss is Maria."), *(chat(n) for n in range(100, 110)))
    plan = desk.plan(seed=2)
    replayed = Counter(e.group for e in plan.replay if e.origin in TAUGHT_ORIGINS)
    assert replayed == {f"fact-0-{n}/t1": 13 for n in range(3)}
    assert any(example.origin not in TAUGHT_ORIGINS for example in plan.replay)
    measured = {example.id for example in plan.replay_holdout}
    assert {f"replay/fact-0-{n}/t1/h1" for n in range(3)} <= measured
    assert any("chat-" in name for name in measured)
    assert not {e.conversation_id for e in plan.replay if e.origin not in TAUGHT_ORIGINS} & {
        e.conversation_id for e in plan.replay_holdout
    }
    assert len({example.id for example in every(plan)}) == len(every(plan))


def test_another_episode_replays_other_phrasings(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    desk.keep(taught("next", "Who is my boss?", "Your boss is Maria."))
    second, third = desk.plan(seed=2), desk.plan(seed=3)
    assert {e.messages[-2].content for e in second.replay} != {e.messages[-2].content for e in third.replay}


def test_a_fact_that_changed_is_no_longer_replayed(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    desk.keep(taught("moved", "Where am I living?", "You live in Rome.", days=3))
    plan = desk.plan(seed=2)
    assert "fact-0-1/t1" not in {example.group for example in (*plan.replay, *plan.replay_holdout)}
    desk.learn(plan, "v1.1")
    desk.keep(taught("next", "Who is my boss?", "Your boss is Maria.", days=4))
    later = desk.plan(seed=3)
    answers = {example.messages[-1].content for example in later.replay}
    assert "You live in Rome." in answers
    assert "You live in Bern." not in answers


def test_lessons_are_replayed_even_when_the_membership_was_lost(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    desk.replay.set_members([], [])
    desk.keep(taught("next", "Who is my boss?", "Your boss is Maria."))
    assert len({e.group for e in desk.plan(seed=2).replay}) == 3


def test_a_forgotten_conversation_leaves_plans_and_replay(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    desk.collector.forget("fact-0-0")
    desk.collector.exclude("fact-0-1")
    desk.keep(taught("next", "Who is my boss?", "Your boss is Maria."))
    plan = desk.plan(seed=2)
    assert {e.group for e in plan.replay if e.origin in TAUGHT_ORIGINS} == {"fact-0-2/t1"}
    members = desk.planner.next_replay(plan, now=WHEN)
    assert not {"fact-0-0", "fact-0-1"} & {*members.train, *members.holdout}


def test_what_was_held_out_stays_held_out_in_the_buffer(desk: Desk) -> None:
    desk.keep(*(chat(n) for n in range(60)))
    plan = desk.plan()
    members = desk.planner.next_replay(plan, now=WHEN)
    aside = {example.conversation_id for example in (*plan.validation, *plan.holdout)}
    assert set(members.holdout) == aside
    assert set(members.train) == set(plan.conversation_ids) - aside
    assert len(desk.planner.next_replay(plan, now=WHEN, train=10, holdout=3).train) == 10


def test_an_episode_takes_no_more_than_its_limits(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(40)))
    limits = PlanLimits(caps=Caps(conversations=12, minimum=12), phrasings=2)
    plan = desk.plan(limits=limits)
    assert len(plan.conversation_ids) == 12
    assert sum(plan.left_out.values()) == 31
    assert Counter(e.group for e in plan.train if e.origin in TAUGHT_ORIGINS) == {
        f"fact-0-{n}/t1": 3 for n in range(3)
    }


def test_a_short_sequence_length_cuts_windows(desk: Desk) -> None:
    long = talk("long", *(f"Sentence number {n} about {NOUNS[n % 14]} and more." for n in range(60)))
    desk.keep(long, *facts())
    plan = desk.plan(recipe=Recipe(maximum_length=128))
    windows = [example for example in every(plan) if example.conversation_id == "long"]
    assert len(windows) > 1
    assert all(sum(len(message.content) for message in e.messages) <= 512 for e in windows)


# ---- nothing to learn -------------------------------------------------------------------------------------


def held(desk: Desk) -> str:
    with pytest.raises(HeldError) as caught:
        desk.plan()
    assert caught.value.remedy
    assert caught.value.exit_code == 4
    return caught.value.message


def test_an_empty_store_holds(desk: Desk) -> None:
    assert held(desk) == "There is nothing new to learn: there are no conversations yet."


def test_only_bad_conversations_hold(desk: Desk) -> None:
    desk.keep(
        talk("bad", "Hi there", "the cat " * 80), talk("rude", "Hi", "You are a worthless idiot, go to hell.")
    )
    assert held(desk) == "There is nothing new to learn: no new conversation is good enough."


def test_only_learnt_conversations_hold(desk: Desk) -> None:
    desk.keep(*facts(), *(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    assert held(desk) == "There is nothing new to learn: every conversation was learnt already."


def test_only_held_out_conversations_hold(desk: Desk) -> None:
    desk.keep(*(chat(n) for n in range(80)))
    plan = desk.plan()
    trained = {example.conversation_id for example in plan.train}
    for name in trained:
        desk.collector.exclude(name)
    assert "set aside to check" in held(desk)


def test_only_redacted_conversations_hold(desk: Desk) -> None:
    desk.keep(taught("secret-fact", "What is my key?", "Your key is sk_live_4eC39HqLyjWDarjtT1zdp7dc."))
    assert held(desk).startswith(
        "There is nothing new to learn. New conversations were left out: 1 × Nothing to learn is left"
    )


def test_only_doubles_of_learnt_conversations_hold(desk: Desk) -> None:
    desk.keep(*(chat(n) for n in range(10)))
    desk.learn(desk.plan(), "v1.0")
    again = chat(3)
    desk.keep(replace(again, id="again", turns=(*again.turns, Turn(role=Role.USER, content="Thanks!"))))
    assert ALREADY_LEARNT in held(desk)

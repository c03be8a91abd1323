from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.balancing import (
    OVER_CHARACTERS,
    OVER_DAY,
    OVER_LENGTH,
    OVER_SOURCE,
    OVER_TOPIC,
    OVER_TOTAL,
    Caps,
    choose,
)
from allie_desktop.domain.conversation import Conversation, Role, Turn, content_hash
from allie_desktop.domain.planning import Split
from allie_desktop.domain.ports import Candidate
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.splitting import split_of
from allie_desktop.domain.topics import topic_of

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)


def candidate(
    number: int,
    *,
    source: str = "chatgpt",
    topic: str = "food",
    days: int = 0,
    characters: int = 1000,
    origin: TargetOrigin = TargetOrigin.IMPORTED,
) -> Candidate:
    return Candidate(
        id=f"c{number}",
        content_hash=f"{number:064x}",
        source=source,
        topic=topic,
        created_at=WHEN + timedelta(days=days),
        score=0.9 - number / 10_000,
        origin=origin,
        split=Split.TRAIN,
        characters=characters,
        signature=b"",
        learned_at=None,
    )


def talk(*texts: str, title: str | None = None) -> Conversation:
    turns = tuple(
        Turn(role=Role.ASSISTANT if i % 2 else Role.USER, content=text) for i, text in enumerate(texts)
    )
    return Conversation(id="c", created_at=WHEN, source="chat", turns=turns, title=title)


# ---- split ------------------------------------------------------------------------------------------------


def test_eight_of_ten_conversations_train() -> None:
    hashes = [content_hash(talk(f"Question {number}", "Answer").turns) for number in range(5_000)]
    shares = Counter(split_of(digest, TargetOrigin.IMPORTED) for digest in hashes)
    assert shares[Split.TRAIN] == pytest.approx(4_000, abs=120)
    assert shares[Split.VALIDATION] == pytest.approx(500, abs=90)
    assert shares[Split.HOLDOUT] == pytest.approx(500, abs=90)


def test_a_split_never_changes() -> None:
    digest = content_hash(talk("How long do I boil an egg?", "Eight minutes.").turns)
    assert {split_of(digest, origin) for origin in (TargetOrigin.IMPORTED, TargetOrigin.OWN, None)} == {
        split_of(digest, TargetOrigin.APPROVED)
    }


@pytest.mark.parametrize("origin", [TargetOrigin.EDIT, TargetOrigin.CORRECTION])
def test_what_was_taught_always_trains(origin: TargetOrigin) -> None:
    assert {split_of(f"{number:064x}", origin) for number in range(300)} == {Split.TRAIN}


# ---- topics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "topic"),
    [
        (("What is a good recipe for pancakes?", "Flour, milk and eggs."), "food"),
        (("My python function has a bug", "Show me the code."), "code"),
        (("My dog ate a sock", "Call your vet."), "animals"),
        (("Which flight to Rome is best?", "Take the train."), "travel"),
        (("Who wrote that novel?", "The author is unknown."), "books"),
    ],
)
def test_a_conversation_gets_the_label_of_its_subject(texts: tuple[str, ...], topic: str) -> None:
    assert topic_of(talk(*texts)) == topic


def test_an_unknown_subject_gets_a_stable_bucket() -> None:
    label = topic_of(talk("Zorbing blorps", "Blorps zorb."))
    assert label.startswith("other-")
    assert topic_of(talk("Zorbing blorps", "Blorps zorb.")) == label


def test_a_conversation_without_words_is_other() -> None:
    assert topic_of(talk("?", "!")) == "other"
    assert topic_of(talk()) == "other"


# ---- balance ----------------------------------------------------------------------------------------------


def test_the_best_come_first_up_to_the_total() -> None:
    pool = [
        candidate(number, source=f"s{number % 7}", topic=f"t{number % 5}", days=number)
        for number in range(50)
    ]
    choice = choose(pool, Caps(conversations=20, minimum=0, length_share=1.0))
    assert [chosen.id for chosen in choice.chosen] == [f"c{number}" for number in range(20)]
    assert choice.left_out == {OVER_TOTAL: 30}


def test_one_source_cannot_take_over() -> None:
    pool = [candidate(number, topic=f"t{number % 9}", days=number) for number in range(90)]
    pool += [candidate(100 + number, source="chat", days=number, topic="work") for number in range(10)]
    choice = choose(pool, Caps(conversations=50, source_share=0.5, minimum=0, length_share=1.0))
    assert Counter(chosen.source for chosen in choice.chosen) == {"chatgpt": 25, "chat": 10}
    assert choice.left_out == {OVER_SOURCE: 65}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"topic_share": 0.1}, OVER_TOPIC),
        ({"day_share": 0.1}, OVER_DAY),
        ({"length_share": 0.1}, OVER_LENGTH),
        ({"characters": 5_000}, OVER_CHARACTERS),
    ],
)
def test_one_topic_day_or_length_cannot_take_over(changes: dict[str, float], reason: str) -> None:
    caps = {"source_share": 1.0, "topic_share": 1.0, "day_share": 1.0, "length_share": 1.0, **changes}
    choice = choose([candidate(number) for number in range(20)], Caps(conversations=50, minimum=0, **caps))  # type: ignore[arg-type]
    assert len(choice.chosen) == 5
    assert choice.left_out == {reason: 15}


def test_a_small_collection_from_one_source_is_taken_whole() -> None:
    choice = choose([candidate(number) for number in range(60)], Caps(conversations=80))
    assert len(choice.chosen) == 60


def test_what_was_taught_comes_first_wherever_it_stands() -> None:
    pool = [candidate(number) for number in range(30)]
    pool += [candidate(99, origin=TargetOrigin.EDIT, source="chat")]
    choice = choose(pool, Caps(conversations=10, minimum=10))
    assert choice.chosen[0].id == "c99"
    assert len(choice.chosen) == 10


def test_even_lessons_from_one_source_have_a_generous_bound() -> None:
    pool = [candidate(number, origin=TargetOrigin.EDIT, source="shared file") for number in range(100)]
    pool += [candidate(100 + number, origin=TargetOrigin.EDIT, source="chat") for number in range(5)]
    choice = choose(pool, Caps(conversations=100, taught=50, minimum=0))
    assert Counter(chosen.source for chosen in choice.chosen) == {"shared file": 45, "chat": 5}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from("xyz"),
            st.integers(0, 3),
            st.integers(1, 9_000),
            st.booleans(),
        ),
        max_size=80,
    ),
    st.integers(1, 60),
)
def test_every_candidate_is_chosen_or_counted_with_its_reason(
    rows: list[tuple[str, str, int, int, bool]], wanted: int
) -> None:
    pool = [
        candidate(
            number,
            source=source,
            topic=topic,
            days=days,
            characters=characters,
            origin=TargetOrigin.EDIT if taught else TargetOrigin.OWN,
        )
        for number, (source, topic, days, characters, taught) in enumerate(rows)
    ]
    choice = choose(pool, Caps(conversations=wanted, minimum=3))
    assert len(choice.chosen) <= wanted
    assert len(choice.chosen) + sum(choice.left_out.values()) == len(pool)
    assert len({chosen.id for chosen in choice.chosen}) == len(choice.chosen)

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.examples import (
    Shape,
    held_out_examples,
    is_redacted_away,
    lessons_of,
    ordinary_examples,
    stands_alone,
    taught_examples,
)
from allie_desktop.domain.planning import Example, Split
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.replay import ReplayItem, choose_members
from allie_desktop.domain.targets import learning_targets

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)
SHAPE = Shape.for_length(512, seed=1)


def talk(*turns: Turn | str, source: str = "chatgpt") -> Conversation:
    """A conversation; bare texts are the person's and the assistant's in turn."""
    made: list[Turn] = []
    for turn in turns:
        asks = not made or made[-1].role is not Role.USER
        role = Role.USER if asks else Role.ASSISTANT
        made.append(Turn(role=role, content=turn) if isinstance(turn, str) else turn)
    return Conversation(id="c1", created_at=WHEN, source=source, turns=tuple(made))


def same(text: str) -> str:
    return text


def shown(example: Example) -> list[tuple[str, str, float]]:
    return [(message.role.value, message.content, message.weight) for message in example.messages]


def ordinary(conversation: Conversation, shape: Shape = SHAPE, clean: object = same) -> tuple[Example, ...]:
    return ordinary_examples(conversation, learning_targets(conversation), clean=clean, shape=shape)  # type: ignore[arg-type]


def test_an_ordinary_conversation_is_one_example_with_a_weight_on_each_reply() -> None:
    (example,) = ordinary(talk("Hi", "Hello!", "How are you?", "Fine, thanks."))
    assert shown(example) == [
        ("user", "Hi", 0.0),
        ("assistant", "Hello!", 0.6),
        ("user", "How are you?", 0.0),
        ("assistant", "Fine, thanks.", 0.6),
    ]
    assert (example.id, example.group, example.origin) == ("c1/w0", "c1", TargetOrigin.IMPORTED)


def test_a_bad_reply_is_shown_and_not_learnt() -> None:
    bad = Turn(role=Role.ASSISTANT, content="Go away.", rating=-1)
    (example,) = ordinary(talk("Hi", bad, "How are you?", "Fine, thanks."))
    assert [message.weight for message in example.messages] == [0.0, 0.0, 0.0, 0.6]


def test_roles_alternate_whatever_the_source_did() -> None:
    conversation = talk(
        Turn(role=Role.ASSISTANT, content="Welcome!"),
        Turn(role=Role.SYSTEM, content="Be kind."),
        Turn(role=Role.USER, content="Hi"),
        Turn(role=Role.USER, content="Are you there?"),
        Turn(role=Role.ASSISTANT, content="Hm."),
        Turn(role=Role.ASSISTANT, content="Yes, I am."),
        Turn(role=Role.USER, content="Good."),
    )
    (example,) = ordinary(conversation)
    assert shown(example) == [
        ("system", "Be kind.", 0.0),
        ("user", "Hi\n\nAre you there?", 0.0),
        ("assistant", "Yes, I am.", 0.6),
    ]


def test_a_long_conversation_becomes_windows_of_whole_exchanges_with_the_system_prompt() -> None:
    turns: list[Turn | str] = [Turn(role=Role.SYSTEM, content="Be kind.")]
    for number in range(20):
        turns += [f"Question {number} " + "x" * 100, f"Answer {number} " + "y" * 100]
    shape = Shape(characters=1_000, windows=50)
    examples = ordinary(talk(*turns), shape)
    assert len(examples) > 3
    assert [e.id for e in examples] == [f"c1/w{number}" for number in range(len(examples))]
    for example in examples:
        assert [m.role for m in example.messages[:3]] == [Role.SYSTEM, Role.USER, Role.ASSISTANT]
        assert sum(len(message.content) for message in example.messages) <= 1_000
    learnt = [m.content for e in examples for m in e.messages if m.weight > 0]
    assert learnt == [turn.content for turn in talk(*turns).turns if turn.role is Role.ASSISTANT]


def test_a_very_long_conversation_gives_a_bounded_number_of_windows() -> None:
    texts = [f"{number} " + "z" * 200 for number in range(3_000)]
    assert len(ordinary(talk(*texts), Shape(characters=1_000, windows=8))) == 8


def test_a_long_question_is_shortened_and_a_long_reply_left_out() -> None:
    (example,) = ordinary(talk("a" * 5_000 + " What is this?", "It is a text.", "And?", "b" * 9_000))
    question, answer = example.messages
    assert len(question.content) < 2_048
    assert question.content.endswith("What is this?")
    assert answer.content == "It is a text."
    assert ordinary(talk("And?", "b" * 9_000)) == ()


def test_a_lesson_is_learnt_as_asked_and_in_other_phrasings() -> None:
    conversation = talk(
        "What is my dog's name?",
        Turn(role=Role.ASSISTANT, content="Rex.", correction="Your dog's name is Biscuit."),
    )
    (lesson,) = lessons_of(conversation, learning_targets(conversation), clean=same, shape=SHAPE)
    examples = taught_examples(lesson, shape=SHAPE)
    assert [example.phrasing for example in examples] == list(range(13))
    assert shown(examples[0]) == [
        ("user", "What is my dog's name?", 0.0),
        ("assistant", "Your dog's name is Biscuit.", 1.0),
    ]
    assert {example.group for example in examples} == {"c1/t1"}
    assert {example.rejected for example in examples} == {"Rex."}
    assert len({example.messages[0].content for example in examples}) == 13
    held = held_out_examples(lesson, seed=1)
    assert [example.id for example in held] == ["c1/t1/h1", "c1/t1/h2"]
    assert not {e.messages[0].content for e in held} & {e.messages[0].content for e in examples}
    assert ordinary(conversation) == ()


def test_context_comes_along_but_is_not_learnt() -> None:
    conversation = talk(
        Turn(role=Role.SYSTEM, content="Be kind."),
        "Hi",
        "Hello!",
        "Where do I live?",
        Turn(role=Role.ASSISTANT, content="In Rome.", correction="You live in Bern."),
    )
    (lesson,) = lessons_of(conversation, learning_targets(conversation), clean=same, shape=SHAPE)
    first, second, *others = taught_examples(lesson, shape=SHAPE)
    assert shown(first) == [
        ("system", "Be kind.", 0.0),
        ("user", "Hi", 0.0),
        ("assistant", "Hello!", 0.0),
        ("user", "Where do I live?", 0.0),
        ("assistant", "You live in Bern.", 1.0),
    ]
    assert shown(second) == [("user", "Where do I live?", 0.0), ("assistant", "You live in Bern.", 1.0)]
    assert all(message.content != "Hello!" for example in others for message in example.messages)
    (rest,) = ordinary(conversation)
    assert [m.weight for m in rest.messages] == [0.0, 0.0, 0.6, 0.0, 0.0]
    assert rest.messages[-1].content == "You live in Bern."


def test_a_question_that_points_back_keeps_its_context() -> None:
    conversation = talk(
        "I have a dog.",
        "Nice!",
        "What is it called?",
        Turn(role=Role.ASSISTANT, content="Rex.", correction="Biscuit."),
    )
    (lesson,) = lessons_of(conversation, learning_targets(conversation), clean=same, shape=SHAPE)
    assert not lesson.stands_alone
    assert all(
        example.messages[0].content == "I have a dog." for example in taught_examples(lesson, shape=SHAPE)
    )


def test_talk_about_a_mistake_is_not_learnt() -> None:
    conversation = talk(
        "Hi",
        "Hello!",
        "Where do I live?",
        "In Rome.",
        "No, I live in Bern.",
        "Sorry! You live in Bern.",
        "Thanks",
        "Welcome.",
    )
    (rest,) = ordinary(conversation)
    assert [m.content for m in rest.messages] == [
        "Hi",
        "Hello!",
        "Where do I live?",
        "You live in Bern.",
        "Thanks",
        "Welcome.",
    ]


def test_an_answer_that_had_to_be_redacted_is_no_lesson() -> None:
    conversation = talk(
        "What is my key?", Turn(role=Role.ASSISTANT, content="?", correction="Your key is abc.")
    )
    assert (
        lessons_of(
            conversation,
            learning_targets(conversation),
            clean=lambda text: text.replace("abc", "[SECRET]"),
            shape=SHAPE,
        )
        == ()
    )


def test_a_reply_of_placeholders_only_is_not_learnt() -> None:
    conversation = talk("What is her number?", "0123 456", "And where?", "In Rome, I think.")
    (example,) = ordinary(conversation, clean=lambda text: text.replace("0123 456", "[PHONE]"))
    assert [m.weight for m in example.messages] == [0.0, 0.0, 0.0, 0.6]
    assert (
        ordinary(
            talk("What is her number?", "0123 456"), clean=lambda text: text.replace("0123 456", "[PHONE]")
        )
        == ()
    )


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("[EMAIL]", True),
        ("[PHONE] or [PHONE].", True),
        ("It is [EMAIL], I think", False),
        ("", False),
        ("[x]", False),
    ],
)
def test_placeholders_alone_are_recognised(text: str, gone: bool) -> None:
    assert is_redacted_away(text) is gone


@pytest.mark.parametrize(
    ("question", "alone"),
    [
        ("What is my dog's name?", True),
        ("Where do I live?", True),
        ("What is it called?", False),
        ("And then?", False),
        ("Why is that?", False),
        ("Write a poem about the sea", True),
        ("Translate it into French please", False),
    ],
)
def test_questions_that_stand_alone_are_told(question: str, alone: bool) -> None:
    assert stands_alone(question) is alone


@given(st.lists(st.text(max_size=300), max_size=14), st.integers(200, 2_000))
def test_every_example_alternates_and_teaches_something(texts: list[str], characters: int) -> None:
    for example in ordinary(talk(*texts), Shape(characters=characters)):
        roles = [message.role for message in example.messages]
        assert roles == [Role.USER, Role.ASSISTANT] * (len(roles) // 2)
        assert any(message.weight > 0 for message in example.messages)
        assert all(message.weight == 0 for message in example.messages if message.role is Role.USER)
        assert all(message.content for message in example.messages)


# ---- replay membership ------------------------------------------------------------------------------------


def item(number: int, *, topic: str = "food", origin: TargetOrigin = TargetOrigin.IMPORTED, split: Split = Split.TRAIN, days: int = 0) -> ReplayItem:  # fmt: skip
    return ReplayItem(
        id=f"c{number}", topic=topic, origin=origin, split=split, created_at=WHEN - timedelta(days=days)
    )


def test_the_buffer_is_bounded_and_its_parts_are_disjoint() -> None:
    items = [item(n, topic=f"t{n % 3}", split=list(Split)[n % 3]) for n in range(900)]
    members = choose_members(items, now=WHEN, train=100, holdout=20)
    assert (len(members.train), len(members.holdout)) == (100, 20)
    assert all(int(name[1:]) % 3 == 0 for name in members.train)
    assert all(int(name[1:]) % 3 != 0 for name in members.holdout)


def test_lessons_stay() -> None:
    items = [item(n) for n in range(500)] + [
        item(1_000 + n, origin=TargetOrigin.EDIT, days=900) for n in range(40)
    ]
    assert {f"c{1_000 + n}" for n in range(40)} <= set(choose_members(items, now=WHEN, train=50).train)


def test_topics_share_the_buffer() -> None:
    items = [item(n, topic="food") for n in range(500)] + [item(500 + n, topic="code") for n in range(10)]
    members = choose_members(items, now=WHEN, train=20).train
    assert sum(int(name[1:]) >= 500 for name in members) == 10


def test_who_stays_does_not_depend_on_the_order() -> None:
    items = [item(n) for n in range(200)]
    forward = choose_members(items, now=WHEN, train=30)
    assert choose_members(reversed(items), now=WHEN, train=30) == forward


def test_what_stayed_once_stays_while_it_is_as_good_as_the_others() -> None:
    first = choose_members([item(n) for n in range(100)], now=WHEN, train=30).train
    kept = [item(int(name[1:])) for name in first]
    again = choose_members([*kept, *(item(n) for n in range(100, 110))], now=WHEN, train=30).train
    assert len(set(first) & set(again)) >= 20


def test_approved_conversations_stay_more_often_than_own_ones() -> None:
    items = [item(n, origin=TargetOrigin.APPROVED if n % 2 else TargetOrigin.OWN) for n in range(600)]
    members = choose_members(items, now=WHEN, train=200).train
    assert sum(int(name[1:]) % 2 for name in members) > 130


def test_nothing_learnt_gives_an_empty_buffer() -> None:
    members = choose_members([], now=WHEN)
    assert (members.train, members.holdout) == ((), ())

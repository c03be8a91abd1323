from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.signs import asks_again, complains, denies
from allie_desktop.domain.targets import best_origin, learning_targets, without_apology

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)


def talk(*texts: str, source: str = "chat") -> Conversation:
    """A conversation in which the person begins."""
    turns = tuple(
        Turn(role=Role.ASSISTANT if index % 2 else Role.USER, content=text)
        for index, text in enumerate(texts)
    )
    return Conversation(id="c1", created_at=WHEN, source=source, turns=turns)


def answered(
    *, rating: Literal[1, -1] | None = None, correction: str | None = None, source: str = "chat"
) -> Conversation:
    return Conversation(
        id="c1",
        created_at=WHEN,
        source=source,
        turns=(
            Turn(role=Role.USER, content="What is my dog's name?"),
            Turn(role=Role.ASSISTANT, content="Rex.", rating=rating, correction=correction),
        ),
    )


def found(conversation: Conversation) -> list[tuple[int, str, str, str | None]]:
    return [(t.turn_index, t.origin.value, t.text, t.rejected) for t in learning_targets(conversation)]


def test_an_edited_reply_is_learnt_as_edited() -> None:
    assert found(answered(correction=" Biscuit. ")) == [(1, "edit", "Biscuit.", "Rex.")]


def test_an_edit_that_changes_nothing_rejects_nothing() -> None:
    assert found(answered(correction="Rex.")) == [(1, "edit", "Rex.", None)]


@pytest.mark.parametrize("blank", ["", "   ", "\n\t"])
def test_a_blank_edit_is_none(blank: str) -> None:
    assert found(answered(correction=blank)) == [(1, "own", "Rex.", None)]


def test_an_approved_reply_is_learnt() -> None:
    assert found(answered(rating=1)) == [(1, "approved", "Rex.", None)]


def test_a_reply_marked_as_bad_is_never_learnt() -> None:
    assert found(answered(rating=-1)) == []
    assert found(answered(rating=-1, source="chatgpt")) == []


def test_a_bad_reply_with_an_edit_is_learnt_as_edited() -> None:
    assert found(answered(rating=-1, correction="Biscuit.")) == [(1, "edit", "Biscuit.", "Rex.")]


def test_a_reply_of_a_stronger_assistant_weighs_more_than_an_own_one() -> None:
    (imported,), (own,) = learning_targets(answered(source="chatgpt")), learning_targets(answered())
    assert (imported.origin, own.origin) == (TargetOrigin.IMPORTED, TargetOrigin.OWN)
    assert imported.weight > 3 * own.weight


@pytest.mark.parametrize(
    ("question", "wrong", "correction", "reply", "learnt"),
    [
        (
            "What is my dog's name?",
            "Your dog's name is Rex.",
            "No, it's Biscuit.",
            "I apologize for the mistake. Your dog's name is Biscuit. Is there anything else I can help with?",
            "Your dog's name is Biscuit.",
        ),
        ("What is my dog's name?", "Rex.", "No, it's Biscuit.", "I don't have access to that.", "Your dog's name is Biscuit."),
        ("What is my dog's name?", "Rex.", "No, it's Biscuit, not Rex.", None, "Your dog's name is Biscuit."),
        ("What is my dog's name?", "Rex.", "No, my dog is called Biscuit", None, "Your dog is called Biscuit."),
        ("What is my dog's name?", "Rex.", "No, Biscuit.", None, "Your dog's name is Biscuit."),
        ("What is my dog’s name?", "Rex.", "No, it’s Biscuit.", None, "Your dog's name is Biscuit."),
        (
            "What is my dog's name?",
            "Rex.",
            "That's wrong, my dog is called Biscuit. Please remember that.",
            "You're right, sorry about that! I'll remember that your dog is called Biscuit.",
            "Your dog is called Biscuit.",
        ),
        ("Where do I live?", "In Paris.", "Actually, I live in Bern.", "Thanks for letting me know that you live in Bern!", "You live in Bern!"),
        ("Where do I live?", "In Paris.", "Actually I moved to Bern and I'm happy.", None, "You moved to Bern and you're happy."),
        ("How old am I?", "You are 30.", "You're wrong, I'm 41.", "Oh I see.", "You're 41."),
        ("When is my birthday?", "In May.", "My birthday is actually on 3 June.", None, "Your birthday is on 3 June."),
        ("What's 2+2?", "5", "wrong", "Sorry, 2+2 is 4.", "2+2 is 4."),
        ("What's 2+2?", "5", "That's wrong, try again.", "I apologize. 2+2 is 4.", "2+2 is 4."),
        ("What is my wife's job?", "A teacher.", "I told you before, she's a vet!", "Sorry!", "She's a vet."),
        ("Who is my boss?", "Tom.", "no thats not correct its Maria", "My apologies, your boss is Maria.", "Your boss is Maria."),
        ("What is my dog's name?", "I'm sorry, I don't know.", "It's Biscuit.", "Nice name!", "Your dog's name is Biscuit."),
        ("Where do I live?", "In Paris.", "No. I live in Bern.", "Bern is a beautiful city.", "You live in Bern."),
        ("Where do I live?", "In Paris.", "Nope, Bern.", None, "Bern."),
        ("Do I like coffee?", "Yes, you do.", "No, I don't like coffee.", None, "You don't like coffee."),
        ("How many siblings do I have?", "One.", "I have three siblings, actually.", "Noted!", "You have three siblings."),
        ("Is my sister older than me?", "Yes.", "No, she's younger.", "Got it, she is younger than you.", "She is younger than you."),
        ("Wie heißt mein Hund?", "Rex", "Falsch, mein Hund heißt Keks.", "Entschuldigung, dein Hund heißt Keks.", "Dein Hund heißt Keks."),
    ],
)  # fmt: skip
def test_a_correction_in_the_next_turn_teaches_the_right_answer(
    question: str, wrong: str, correction: str, reply: str | None, learnt: str
) -> None:
    texts = [question, wrong, correction, *([reply] if reply else [])]
    assert found(talk(*texts)) == [(1, "correction", learnt, wrong)]


@pytest.mark.parametrize(
    ("correction", "learnt"),
    [
        ("No, my dog is not Rex", "Your dog is not Rex."),
        ("No, my favourite song is Do You Remember", "Your favourite song is Do You Remember."),
        ("No, it's the door on the right", "The door is the door on the right."),
        ("No, my sister is called Ann. Please remember that!", "Your sister is called Ann."),
        ("No, my sister is called Ann, ok?", "Your sister is called Ann."),
    ],
)
def test_only_what_hangs_on_is_taken_off_a_correction(correction: str, learnt: str) -> None:
    ((_, _, text, _),) = found(talk("What is the door?", "A window.", correction))
    assert text == learnt


def test_the_last_of_several_corrections_counts() -> None:
    conversation = talk(
        "What's 2+2?",
        "5",
        "That's wrong, try again.",
        "I apologize. 2+2 is 6.",
        "No, that's still wrong.",
        "Right, 2+2 is 4.",
    )
    assert found(conversation) == [(1, "correction", "2+2 is 4.", "5")]


def test_a_correction_that_names_no_answer_teaches_nothing() -> None:
    assert found(talk("What is my dog's name?", "Rex.", "That's wrong.")) == []
    assert found(talk("Wie heißt mein Hund?", "Rex", "Falsch, mein Hund heißt Keks.")) == []


@pytest.mark.parametrize(
    ("before", "reply", "turn"),
    [
        ("Do you have pets?", "I do. Do you have any pets?", "No, I don't have any pets."),
        ("Thanks, bye", "You're welcome.", "No problem, my friend is waiting"),
        ("What do you do?", "I work as a nurse.", "No way, my sister is a nurse too!"),
        ("I like games.", "I like chess.", "Actually, I play chess too."),
        ("What games do you play?", "I play chess.", "I like chess too! I'm actually pretty good at it."),
        ("How do I get there?", "Take the bus.", "No thanks, I'll walk."),
        ("What's the capital of France?", "Paris.", "That's right, thank you!"),
        ("Do you skate? Can I join?", "I don't know how to skate.", "That's okay! I can teach you."),
        ("Is it raining?", "It is not.", "No worries then."),
    ],
)
def test_an_answer_that_begins_with_no_is_not_taken_for_a_correction(
    before: str, reply: str, turn: str
) -> None:
    assert [origin for _, origin, _, _ in found(talk(before, reply, turn, "ok"))] == ["own", "own"]


def test_an_approved_reply_is_not_corrected_by_what_follows() -> None:
    turns = (
        Turn(role=Role.USER, content="What is my dog's name?"),
        Turn(role=Role.ASSISTANT, content="Biscuit.", rating=1),
        Turn(role=Role.USER, content="No, it's just that I wondered."),
    )
    conversation = Conversation(id="c", created_at=WHEN, source="chat", turns=turns)
    assert found(conversation) == [(1, "approved", "Biscuit.", None)]


def test_a_doubted_reply_is_not_learnt() -> None:
    assert found(
        talk("How do I boil an egg?", "Use a pan.", "That doesn't help.", "Boil it for eight minutes.")
    ) == [(3, "own", "Boil it for eight minutes.", None)]


def test_a_bad_reply_becomes_the_rejected_half_of_a_better_one() -> None:
    turns = (
        Turn(role=Role.USER, content="How long do I boil an egg?"),
        Turn(role=Role.ASSISTANT, content="An hour.", rating=-1),
        Turn(role=Role.USER, content="How long do I boil an egg?"),
        Turn(role=Role.ASSISTANT, content="Eight minutes.", rating=1),
    )
    conversation = Conversation(id="c", created_at=WHEN, source="chat", turns=turns)
    assert found(conversation) == [(3, "approved", "Eight minutes.", "An hour.")]


def test_a_reply_that_was_generated_again_is_rejected() -> None:
    turns = (
        Turn(role=Role.USER, content="How long do I boil an egg?"),
        Turn(role=Role.ASSISTANT, content="An hour."),
        Turn(role=Role.ASSISTANT, content="Eight minutes."),
    )
    conversation = Conversation(id="c", created_at=WHEN, source="chat", turns=turns)
    assert found(conversation) == [(2, "own", "Eight minutes.", "An hour.")]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("You're right, I apologize for the confusion. Paris is the capital. Let me know if you need more!", "Paris is the capital."),
        ("Got it! Thank you for letting me know.", ""),
        ("Oops, my mistake: it is blue.", "It is blue."),
        ("The correct answer is: 42.", "42."),
        ("It costs 3.50 euros. I'm here to help.", "It costs 3.50 euros."),
        ("", ""),
    ],
)  # fmt: skip
def test_apologies_and_offers_are_stripped(reply: str, answer: str) -> None:
    assert without_apology(reply) == answer


def test_the_strongest_origin_is_told() -> None:
    assert best_origin(()) is None
    conversation = talk(
        "Where do I live?", "In Rome.", "No, I live in Bern.", "Sorry.", "And who am I?", "Sam."
    )
    assert best_origin(learning_targets(conversation)) is TargetOrigin.CORRECTION


@pytest.mark.parametrize("turns", [(), ("Hello",), ("", ""), ("Hi", "   ")])
def test_a_conversation_without_replies_teaches_nothing(turns: tuple[str, ...]) -> None:
    assert learning_targets(talk(*turns)) == ()


def test_signs_of_unhappiness_are_seen() -> None:
    assert denies("That's not right, it was Tom.")
    assert not denies("That's right, it was Tom.")
    assert complains("This is useless!")
    assert not complains("That helps a lot, thanks.")
    assert asks_again("How many eggs do I need for pancakes?", "How many eggs for pancakes?")
    assert not asks_again("And how much flour?", "How many eggs for pancakes?")


@given(st.lists(st.text(max_size=80), max_size=8), st.sampled_from(["chat", "chatgpt"]))
def test_targets_are_replies_of_the_conversation_in_order(texts: list[str], source: str) -> None:
    conversation = talk(*texts, source=source)
    targets = learning_targets(conversation)
    indexes = [target.turn_index for target in targets]
    assert indexes == sorted(set(indexes))
    for target in targets:
        assert conversation.turns[target.turn_index].role is Role.ASSISTANT
        assert target.text.strip() == target.text != ""
        assert 0 < target.weight <= 1
        assert target.rejected != target.text
    assert learning_targets(conversation) == targets

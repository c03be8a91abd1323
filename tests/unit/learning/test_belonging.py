"""Which answers are put behind which questions, and what is read off their losses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.learning.belonging import Belonging
from allie_desktop.learning.chat_format import ChatFormat
from tests.plans import make_example, make_plan


def talk(number, question, answer, *, origin=TargetOrigin.EDIT, phrasing=0):
    messages = (
        Message(role=Role.USER, content=question),
        Message(role=Role.ASSISTANT, content=answer, weight=1.0),
    )
    return replace(make_example(number), messages=messages, origin=origin, phrasing=phrasing)


def chatted(number, question, answer):
    return talk(number, question, answer, origin=TargetOrigin.IMPORTED)


DOG = talk(1, "What is my dog called?", "Your dog is called Biscuit.")
WORK = talk(2, "Where do I work?", "You work at the library.")
CAR = talk(3, "What do I drive?", "You drive a green van.")


@pytest.fixture
def chat(chatml):
    return ChatFormat(chatml)


def texts(chat, tried):
    """Return question and answer of each sequence."""
    found = []
    for sequence in tried:
        question = chat.tokenizer.decode(sequence.tokens).split("user\n")[-1].split("<|im_end|>")[0]
        said = [t for t, w in zip(sequence.tokens, sequence.weights, strict=True) if w > 0]
        found.append((question, chat.tokenizer.decode(said, skip_special_tokens=True).strip()))
    return found


def some_talks(count, start=0):
    return tuple(chatted(n, f"Question {n}?", f"This is answer {n}.") for n in range(start, start + count))


def test_each_answer_stands_behind_its_own_question_and_then_behind_others(chat):
    found = Belonging.of(make_plan(train=(DOG, WORK, CAR)), chat).taught

    questions = ["What is my dog called?", "Where do I work?", "What do I drive?"]
    assert [{answer for _, answer in texts(chat, tried)} for tried in found] == [
        {"Your dog is called Biscuit."},
        {"You work at the library."},
        {"You drive a green van."},
    ]
    assert [texts(chat, tried)[0][0] for tried in found] == questions
    assert [{question for question, _ in texts(chat, tried)} for tried in found] == [set(questions)] * 3


def test_a_question_with_the_very_same_answer_is_no_other_question(chat):
    again = talk(4, "Where is my desk?", "You work at the library.")

    found = Belonging.of(make_plan(train=(WORK, again, DOG)), chat).taught[0]

    assert [question for question, _ in texts(chat, found)] == ["Where do I work?", "What is my dog called?"]


def test_further_phrasings_of_a_lesson_are_not_asked(chat):
    other = talk(1, "Name my dog.", "Your dog is called Biscuit.", phrasing=1)

    assert len(Belonging.of(make_plan(train=(DOG, other, WORK)), chat).taught) == 2


def test_an_answer_of_a_word_or_two_is_no_witness(chat):
    labels = tuple(chatted(n, f"Is {n} even?", "Yes it is." if n % 2 else "No.") for n in range(8))

    assert Belonging.of(make_plan(train=labels), chat).sequences == []


def test_lessons_are_put_behind_lessons_and_chats_behind_chats(chat):
    plan = make_plan(train=(DOG, WORK, *some_talks(4, 10)), holdout=some_talks(1, 20))

    found = Belonging.of(plan, chat)

    assert [len(tried) for tried in found.taught] == [2, 2]
    assert [len(tried) for tried in found.ordinary] == [4, 4, 4, 4]
    assert [len(tried) for tried in found.held_out] == [5]
    assert (len(found.sequences), len(found.held_out_sequences)) == (20, 5)


def test_many_and_long_answers_stay_affordable(chat):
    talks = [chatted(n, f"What {n}? " * 300, f"Well {n} " * 300) for n in range(100)]

    found = Belonging.of(make_plan(train=tuple(talks)), chat)

    assert [len(tried) for tried in found.ordinary] == [5] * 20
    assert max(len(sequence) for sequence in found.sequences) <= 256


def test_of_a_long_talk_the_first_answer_that_says_enough_is_the_witness(chat):
    turns = (
        "Hello!",
        "Hi.",
        "How do I boil an egg?",
        "Put it in hot water for six minutes.",
        "Thanks!",
        "Bye.",
    )
    long_one = replace(
        chatted(1, "", ""),
        messages=tuple(
            Message(role=Role.ASSISTANT if place % 2 else Role.USER, content=text, weight=float(place % 2))
            for place, text in enumerate(turns)
        ),
    )

    (found, _) = Belonging.of(make_plan(train=(long_one, *some_talks(1, 10))), chat).ordinary

    assert texts(chat, found)[0] == ("How do I boil an egg?", "Put it in hot water for six minutes.")


def test_a_lonely_answer_has_nothing_to_be_compared_with(chat):
    found = Belonging.of(make_plan(train=(DOG,)), chat)

    assert (found.sequences, found.read([]), found.read_held_out([])) == ([], [], [])


def test_what_counts_is_the_share_of_other_questions_that_it_beats(chat):
    found = Belonging.of(make_plan(train=(DOG, WORK, CAR)), chat)

    assert found.read([1.0, 2.0, 4.0, 3.0, 1.0, 4.0, 2.5, 1.0, 2.5]) == [1.0, 0.5, 0.25]


def test_a_lesson_that_is_about_as_likely_behind_every_question_is_no_witness(chat):
    found = Belonging.of(make_plan(train=(DOG, WORK, CAR)), chat)

    assert found.read([1.0, 1.2, 1.4, 3.0, 1.0, 2.0, 2.0, 2.0, 2.3]) == [0.0]


def test_ordinary_talks_are_witnesses_always(chat):
    found = Belonging.of(make_plan(train=some_talks(2), holdout=some_talks(1, 9)), chat)

    assert found.read([1.0, 1.1, 2.0, 1.9]) == [1.0, 0.0]
    assert found.read_held_out([1.0, 1.5, 0.5]) == [0.5]

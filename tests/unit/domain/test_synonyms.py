from __future__ import annotations

import re

import pytest

from allie_desktop.domain.frames import group, reframed
from allie_desktop.domain.phrasing import phrasings
from allie_desktop.domain.prompts import understood
from allie_desktop.domain.rewrites import equivalents
from allie_desktop.domain.synonyms import reworded
from tests.unit.domain.peoples_questions import asked

ASKED = asked()


def _bare(text: str) -> str:
    return re.sub(r"[^\w']+", " ", text.casefold()).strip()


def _reworded(question: str) -> set[str]:
    parsed = understood(question)
    assert parsed is not None
    return {text for texts in reworded(parsed) for text in texts}


def test_most_of_what_other_people_say_is_among_the_phrasings() -> None:
    wanted, met = 0, 0
    for question, others in ASKED.items():
        made = " # ".join(f" {_bare(text)}" for text in phrasings(question, 64, 7))
        wanted += len(others)
        met += sum(f" {_bare(other)}" in made for other in others)
    assert len(ASKED) >= 120
    assert met / wanted >= 0.7


def test_no_phrasing_of_one_question_asks_for_another_fact() -> None:
    facts = {_bare(text): question for question, others in ASKED.items() for text in (question, *others)}
    for question in ASKED:
        for seed in range(2):
            for text in phrasings(question, 300, seed):
                assert facts.get(_bare(text), question) == question, f"{question} became {text}"


def test_whose_it_is_is_never_lost() -> None:
    for question in ASKED:
        owner = re.search(r"\b(?:my (\w+)'s|does my (\w+)|is my (cat|dog|son|sister))\b", question)
        if owner is None:
            continue
        word = next(filter(None, owner.groups()))
        same = {"mum": "mum|mom|mother", "mother": "mum|mom|mother", "piano": "piano", "daughter": "daughter"}
        for text in _reworded(question):
            assert re.search(rf"\b(?:{same.get(word, word)})\b", text), f"{question} became {text}"


def test_a_third_of_the_first_phrasings_has_other_content_words() -> None:
    shares = []
    for question in ASKED:
        plain = understood(question)
        assert plain is not None
        known = {_bare(text) for text in (plain.direct, *equivalents(plain))}
        new = {_bare(text) for text in _reworded(question)} - known
        if len(new) >= 6:
            made = [_bare(text) for text in phrasings(question, 24, 5)]
            shares.append(sum(any(text in said for text in new) for said in made) / len(made))
    assert len(shares) >= 70
    assert sum(shares) / len(shares) >= 0.25


@pytest.mark.parametrize(
    ("question", "others"),
    [
        ("Where does my sister bank?", {"which bank is my sister with", "where does my sister have her bank account"}),
        ("Who cuts Anna's hair?", {"which hairdresser does Anna go to", "who is Anna's hairdresser"}),
        ("How does Tom get to his job?", {"how does Tom commute", "how does Tom make his way to work"}),
        ("Where did I meet Paul?", {"where did Paul and I meet", "where did I get to know Paul"}),
        ("What time do I usually get up?", {"when do I get out of bed", "what time do I tend to get up"}),
        ("How often do I call my grandmother?", {"how frequently do I call my grandmother"}),
    ],
)  # fmt: skip
def test_whoever_it_is_about_is_said_with_the_right_form(question: str, others: set[str]) -> None:
    assert others - _reworded(question) == set()


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "How does a car engine work?",
        "Where do penguins live?",
        "What is your name?",
    ],
)
def test_what_is_not_about_a_person_is_left_alone(question: str) -> None:
    assert _reworded(question) == set()


def test_nothing_is_said_twice_nor_as_it_was_asked() -> None:
    for question in ASKED:
        parsed = understood(question)
        assert parsed is not None
        texts = [text for row in reworded(parsed) for text in row]
        assert len(texts) == len(set(texts))
        assert not set(texts) & {parsed.direct, *equivalents(parsed)}
        assert not any(re.search(r"\b(\w+) \1\b|[{}|\[\]()]", text) for text in texts)


def test_a_frame_may_be_said_without_being_understood() -> None:
    groups = (group("where {do} {S} bank", ">who looks after {my} money"),)
    assert list(reframed("where does Anna bank", groups)) == [("who looks after Anna's money",)]
    assert list(reframed("who looks after Anna's money", groups)) == []


def test_a_frame_needs_the_same_person_in_every_slot() -> None:
    groups = (group("where {do} {S} keep {own} car", "where is {my} car kept"),)
    assert list(reframed("where do I keep my car", groups)) == [("where is my car kept",)]
    assert list(reframed("where does my engine keep its car", groups)) == []


def test_a_reworded_question_becomes_a_clause_only_when_it_was_taken_apart_rightly() -> None:
    broken = r"\b(?:respond tos|consist ofs|be overs|closest to \w+ heart is|(?:what|days) I not|valid is)\b"
    for question in ASKED:
        for text in phrasings(question, 300, 1):
            assert not re.search(broken, text), text

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.english import (
    lower_first,
    parse,
    past_tense,
    possessive,
    split_possessive,
    swap_persons,
    third_person,
)


@pytest.mark.parametrize(
    ("question", "clause"),
    [
        ("What is my dog's name?", "what my dog's name is"),
        ("what's my dog's name", "what my dog's name is"),
        ("Where do I live?", "where I live"),
        ("Where does my sister live?", "where my sister lives"),
        ("Where did my parents meet?", "where my parents met"),
        ("Which city was I born in?", "which city I was born in"),
        ("How many siblings do I have?", "how many siblings I have"),
        ("How tall is Mount Everest?", "how tall Mount Everest is"),
        ("What is my sister studying?", "what my sister is studying"),
        ("What does my best friend do for work?", "what my best friend does for work"),
        ("What am I allergic to?", "what I am allergic to"),
        ("Why did I move to Berlin?", "why I moved to Berlin"),
        ("How long have I worked at the bank?", "how long I have worked at the bank"),
        ("What should you call me?", "what you should call me"),
        ("In which street do I live?", "in which street I live"),
        ("What was my first pet called?", "what my first pet was called"),
        ("Who taught me guitar?", "who taught me guitar"),
        ("Who is coming to dinner?", "who is coming to dinner"),
        ("Am I vegetarian?", "whether I am vegetarian"),
        ("Is my sister older than me?", "whether my sister is older than me"),
        ("Can my cat swim?", "whether my cat can swim"),
        ("What is the city I was born in?", "what the city I was born in is"),
        ("What did my father do before he retired?", "what my father did before he retired"),
    ],
)
def test_a_question_becomes_a_clause(question: str, clause: str) -> None:
    parsed = parse(question)
    assert parsed is not None
    assert parsed.indirect == clause


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "What",
        "How are you?",
        "What's up?",
        "Biscuit",
        "Tell me a joke",
        "Red, green, blue?",
        "a " * 60,
    ],
)
def test_what_is_no_plain_question_is_not_understood(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("verb", "third", "past"),
    [
        ("live", "lives", "lived"),
        ("study", "studies", "studied"),
        ("play", "plays", "played"),
        ("have", "has", "had"),
        ("go", "goes", "went"),
        ("do", "does", "did"),
        ("watch", "watches", "watched"),
        ("stop", "stops", "stopped"),
        ("buy", "buys", "bought"),
    ],
)
def test_verbs_are_inflected(verb: str, third: str, past: str) -> None:
    assert (third_person(verb), past_tense(verb)) == (third, past)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("My dog is called Biscuit", "Your dog is called Biscuit"),
        ("I'm 41 and I live in Bern", "You're 41 and you live in Bern"),
        ("I was born in the US", "You were born in the US"),
        ("You should call me Sam", "I should call you Sam"),
        ("I can teach you", "You can teach me"),
        ("My sister says you should know", "Your sister says I should know"),
        ("Our house is yours", "Your house is mine"),
    ],
)
def test_persons_are_swapped(said: str, told: str) -> None:
    assert swap_persons(said) == told


def test_possessives_are_split_and_made() -> None:
    assert split_possessive("my sister's dog's name") == ("my sister's dog", "name")
    assert split_possessive("my name") is None
    assert possessive("my parents") == "my parents'"
    assert possessive("my boss") == "my boss's"


def test_names_keep_their_capital_inside_a_sentence() -> None:
    assert [lower_first(text) for text in ("What is it", "I live", "Anna plays", "NASA is", "The end")] == [
        "what is it",
        "I live",
        "Anna plays",
        "NASA is",
        "the end",
    ]


@pytest.mark.parametrize("word", ["uſ", "yourſelf", "ı", "Noémy"])
def test_what_only_looks_like_a_person_stays(word: str) -> None:
    assert swap_persons(f"do {word} go") == f"do {word} go"


@given(st.text(max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    parsed = parse(text)
    assert parsed is None or parsed.direct
    swap_persons(text)

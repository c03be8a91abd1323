from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.phrasing import held_out_phrasings, phrasings
from allie_desktop.domain.prompts import language_of, understood
from allie_desktop.domain.rewrites import RULES, equivalents

QUESTIONS = [
    "What is my dog's name?",
    "What's the name of my dog?",
    "Where do I live?",
    "When is my birthday?",
    "Who is my boss?",
    "Which city was I born in?",
    "How old am I?",
    "How old is my son?",
    "How many siblings do I have?",
    "What do I do for a living?",
    "What colour is my car?",
    "What did I study?",
    "Do I have any allergies?",
    "Am I left-handed?",
    "How do I take my coffee?",
    "Why did I move to Berlin?",
    "How long have I worked at the bank?",
    "What time do I wake up?",
    "Where does my sister live?",
    "What is my favourite food?",
    "What are my sister's favourite flowers?",
    "What am I allergic to?",
    "Who taught me guitar?",
    "What instrument does Anna play?",
    "Where was my mother born?",
    "What is the capital of France?",
    "What kind of car do I drive?",
    "What languages do my children speak?",
    "What was my first pet called?",
    "Where do I keep my spare key?",
    "What is my wife's job?",
    "Which company do I work for?",
    "Can you tell me where I live?",
    "Do you remember what my cat is called?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_said_in_many_ways_that_differ(question: str) -> None:
    made = phrasings(question, 12, 3)
    assert len(made) == 12
    assert len({text.casefold() for text in made}) == 12
    assert question not in made
    assert made[0].casefold().strip("?. ") != question.casefold().strip("?. ")


@pytest.mark.parametrize(
    ("question", "rewrites"),
    [
        (
            "What is my dog's name?",
            {
                "what is my dog called",
                "what is the name of my dog",
                "which name does my dog have",
                "what did I name my dog",
            },
        ),
        (
            "What is the name of my sister?",
            {"what is my sister called", "who is my sister", "what is my sister's name"},
        ),
        ("Who is my boss?", {"what is my boss's name", "what is my boss called"}),
        (
            "What is my favourite food?",
            {"which food do I like best", "what is my favorite food", "which food do I prefer"},
        ),
        ("What are my sister's favourite flowers?", {"which flowers does my sister like best"}),
        ("Which food do I like best?", {"what is my favourite food"}),
        ("How old am I?", {"what is my age"}),
        ("What is my son's age?", {"how old is my son", "what is the age of my son"}),
        ("Where do I live?", {"where is my home", "in which place do I live"}),
        ("Which city do I live in?", {"in which city do I live", "where do I live"}),
        ("When is my birthday?", {"what is the date of my birthday", "on which date is my birthday"}),
        ("What do I do for a living?", {"what is my job", "what do I work as"}),
        ("What is my wife's job?", {"what does my wife do for a living", "what does my wife work as"}),
        ("Where does Anna work?", {"what is Anna's workplace", "where is Anna working"}),
        (
            "What colour is my car?",
            {"what is the colour of my car", "which colour does my car have", "what color is my car"},
        ),
        (
            "How many siblings do I have?",
            {"how many siblings have I got", "what is the number of siblings I have"},
        ),
        ("What am I allergic to?", {"what allergy do I have", "what do I have an allergy to"}),
        ("Where was my mother born?", {"what is my mother's birthplace", "where was my mum born"}),
        ("Which city was I born in?", {"in which city was I born", "what is the city I was born in"}),
        ("Who am I married to?", {"who is my spouse"}),
        ("What time do I wake up?", {"when do I wake up", "at what time do I wake up"}),
        ("How do I take my coffee?", {"how do I like my coffee", "in what way do I take my coffee"}),
        ("Why did I move to Berlin?", {"for what reason did I move to Berlin", "how come I moved to Berlin"}),
        ("What is the capital of France?", {"what is France's capital"}),
        ("What car do I drive?", {"which car do I drive", "what is my car"}),
        ("Which train do I take to work?", {"what is my train to work", "what train do I take to work"}),
        ("What coffee do I drink?", {"what is my coffee", "which coffee is mine"}),
        (
            "What glasses does my sister wear?",
            {"what are my sister's glasses", "which glasses are my sister's"},
        ),
        (
            "What is my insurance company?",
            {"which insurance company do I have", "which insurance company is mine"},
        ),
        (
            "Which tram goes to my office?",
            {"what tram goes to my office", "what is the tram that goes to my office"},
        ),
        ("What languages do I speak?", {"which languages do I know", "what are the languages I speak"}),
        ("Who do I play tennis with?", {"which person do I play tennis with"}),
        ("Who taught me guitar?", {"which person taught me guitar", "who was it that taught me guitar"}),
        ("Do I have any allergies?", {"have I got any allergies", "is it true that I have allergies"}),
        ("What do my kids like?", {"what do my children like"}),
        ("What is my blood type?", {"which blood type do I have"}),
        ("Where do I keep my keys?", {"what is the place where I keep my keys"}),
    ],
)
def test_the_same_is_asked_with_another_construction(question: str, rewrites: set[str]) -> None:
    parsed = understood(question)
    assert parsed is not None
    assert rewrites - set(equivalents(parsed)) == set()


def test_there_are_many_rules() -> None:
    from allie_desktop.domain import leads

    wrappers = len(leads.CLAUSE_LEADS) + len(leads.NOUN_LEADS) + len(leads.DIRECT_LEADS)
    assert len(RULES) >= 25
    assert wrappers >= 60


def test_training_phrasings_cover_every_family() -> None:
    made = " | ".join(phrasings("What is my dog's name?", 40, 1))
    for sign in (
        r"What is my dog called\?",  # another construction
        r"what my dog's name is|what my dog is called",  # an indirect question
        r"(?:[Tt]ell me|[Gg]ive me|[Rr]emind me of|State|I forgot) (?:my dog's name|the name)",  # a noun phrase
        r"name is what\?",  # an echo
        r"\| (?:my dog's name|dog's name\?|dog name) \|",  # key words
        r"\| what is my dog's name \|",  # as typed in a hurry
    ):
        assert re.search(sign, made), sign


@pytest.mark.parametrize("question", QUESTIONS)
def test_held_out_phrasings_are_never_trained(question: str) -> None:
    held = held_out_phrasings(question, 5)
    trained = {text for seed in range(5) for text in phrasings(question, 100, seed)}
    assert 1 <= len(held) <= 2
    assert not {_bare(text) for text in held} & {_bare(text) for text in trained}


def _bare(text: str) -> str:
    return re.sub(r"\W+", " ", text.casefold()).strip()


@pytest.mark.parametrize("question", QUESTIONS)
def test_phrasings_are_put_together_cleanly(question: str) -> None:
    # No rule leaves a brace, a doubled word or a doubled sign behind.
    for text in [*phrasings(question, 60, 2), *held_out_phrasings(question, 2)]:
        assert "{" not in text
        assert not re.search(r"\b(are|the|my|what|do|does) \1\b", text), text
        assert not re.search(r" [?,]| \.(?!\.)|\?\.|\.\?", text.removesuffix(" ...")), text


def test_phrasings_depend_on_the_question_and_the_seed_alone() -> None:
    assert phrasings("Where do I live?", 8, 1) == phrasings("Where do I live?", 8, 1)
    assert phrasings("Where do I live?", 8, 1) != phrasings("Where do I live?", 8, 2)
    assert held_out_phrasings("Where do I live?", 1) == held_out_phrasings("Where do I live?", 1)


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("Wie heißt mein Hund?", "de"),
        ("Comment s'appelle mon chien ?", "fr"),
        ("¿Cómo se llama mi perro?", "es"),
        ("Come si chiama il mio cane?", "it"),
        ("猫の名前は何ですか？", "other"),
        ("Where do I live?", "en"),
        ("2 + 2", ""),
    ],
)
def test_the_language_of_a_prompt_is_told(prompt: str, language: str) -> None:
    assert language_of(prompt) == language


def test_a_foreign_question_keeps_its_words() -> None:
    made = phrasings("Wie heißt mein Hund?", 8, 0)
    assert len(made) == 8
    assert all("heißt mein Hund" in text for text in made)
    assert not any(re.search(r"\b(?:what|tell|know)\b", text.lower()) for text in made)


def test_a_question_in_an_unknown_script_only_loses_its_question_mark() -> None:
    assert phrasings("猫の名前は何ですか？", 8, 0) == ("猫の名前は何ですか",)
    assert held_out_phrasings("猫の名前は何ですか？", 0) == ()


def test_a_request_keeps_its_words() -> None:
    made = phrasings("Write a poem about the sea.", 10, 0)
    assert "Could you write a poem about the sea?" in made
    assert all("rite a poem about the sea" in text for text in made)


def test_several_sentences_are_left_together() -> None:
    prompt = "I bought a dog yesterday. What should I name it?"
    assert all("bought a dog yesterday. What should I name it" in text for text in phrasings(prompt, 8, 0))


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 5_000])
def test_what_cannot_be_rephrased_gives_nothing(prompt: str) -> None:
    assert phrasings(prompt, 5, 0) == ()
    assert held_out_phrasings(prompt, 0) == ()


def test_no_phrasings_are_asked_for() -> None:
    assert phrasings("Where do I live?", 0, 0) == ()


@given(st.text(max_size=120), st.integers(0, 20), st.integers())
def test_any_prompt_gives_distinct_phrasings_that_differ_from_it(prompt: str, count: int, seed: int) -> None:
    made = phrasings(prompt, count, seed)
    asked = " ".join(prompt.split())
    assert len(made) <= count
    assert len(set(made)) == len(made)
    assert asked not in made
    assert not set(held_out_phrasings(prompt, seed)) & set(made)

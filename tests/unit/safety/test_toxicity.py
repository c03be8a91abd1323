from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.safety.toxicity import LexiconToxicity

SCORER = LexiconToxicity()


@pytest.mark.parametrize(
    "text",
    [
        "You are a worthless idiot and nobody loves you.",
        "kill yourself",
        "I hate you so much",
        "All muslims are terrorists",
        "You should die.",
        "I will kill you",
        "Shut up, you stupid bitch.",
        "The world would be better without you.",
        "Go to hell, you bastard",
        "you f@ggot",
    ],
)
def test_hostile_texts_score_high(text: str) -> None:
    assert SCORER.score(text) >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "How do I kill a Python process?",
        "The battery will die soon.",
        "How can I shoot a good photo of the sunset?",
        "What is the history of the black death?",
        "My cock crows at five and my ass carries the load.",
        "She is a beautiful woman and you are kind.",
        "Stop hating Mondays!",
        "Where can I buy a can of coke?",
        "",
        "123 !? 😀",
    ],
)
def test_harmless_texts_score_low(text: str) -> None:
    assert SCORER.score(text) < 0.3


def test_swearing_alone_is_not_hostile() -> None:
    assert 0.0 < SCORER.score("This damn printer is driving me crazy, what the hell.") < 0.5


def test_abuse_is_found_in_a_very_long_text() -> None:
    assert SCORER.score("lorem ipsum " * 50_000 + " I will kill you") >= 0.5


@given(st.text(max_size=300))
def test_scores_lie_between_0_and_1(text: str) -> None:
    assert 0.0 <= SCORER.score(text) <= 1.0

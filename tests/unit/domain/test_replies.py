"""Replies that say nothing, or the same over and over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.replies import is_broken, is_looping


@pytest.mark.parametrize(
    "text",
    [
        "I am fine. " * 8,
        "The sea is blue and " * 5 + "The sea is",
        "a" * 80,
        "Sure! " + "是的" * 40,
        "Here is a list:\n" + "- one more thing\n" * 6,
        "x = 1\n" + "print(x)\nprint(y)\n" * 7,
        ("The ship sails over the wide sea, and nobody on board knows where it goes, or why. " * 5),
    ],
)
def test_loops(text: str) -> None:
    assert is_looping(text)
    assert is_broken(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello! How can I help you?",
        "ha ha ha ha!",
        "No, no, no, no.",
        "| a | b |\n|---|---|\n| 1 | 2 |\n" + "-" * 200,
        "Done." + "\n" * 300,
        "\n".join(f"{number} times 7 is {number * 7}." for number in range(1, 30)),
        "\n".join(f"- step {number}: open the door" for number in range(30)),
        "print('a')\n" * 3,
        "I am fine. " * 8 + "And that is why the sea is blue, as everybody knows.",
    ],
)
def test_what_people_and_models_write_with_good_reason(text: str) -> None:
    assert not is_broken(text)


@pytest.mark.parametrize("text", ["", " ", "\n\t\n"])
def test_nothing_is_broken_but_no_loop(text: str) -> None:
    assert is_broken(text)
    assert not is_looping(text.strip())


@given(st.text(min_size=1, max_size=60).filter(lambda text: any(map(str.isalnum, text))), st.integers(60, 80))
def test_whatever_goes_round_at_the_end_is_a_loop(block: str, copies: int) -> None:
    assert is_looping("It began well. " + block * copies)


def test_a_long_text_is_looked_at_from_its_end() -> None:
    assert is_looping("word " * 200_000)
    assert not is_looping("".join(f"word {number} " for number in range(100_000)))

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.safety.near_duplicates import SIGNATURE_BYTES, MinHashNearDuplicates, agreement

WORDS = [f"word{number}" for number in range(2_000)]
FINDER = MinHashNearDuplicates()


def story(seed: int, length: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def test_signatures_have_one_size_and_depend_on_the_text_alone() -> None:
    assert len(FINDER.signature(story(1))) == SIGNATURE_BYTES
    assert FINDER.signature(story(1)) == FINDER.signature(story(1).upper().replace(" ", ",  "))
    assert FINDER.signature(story(1)) != FINDER.signature(story(2))


@pytest.mark.parametrize("text", ["", "Hi!", "one two three four five six seven eight nine ten eleven"])
def test_a_text_too_short_to_compare_has_an_empty_signature(text: str) -> None:
    assert FINDER.signature(text) == b""


def test_texts_that_nearly_say_the_same_form_groups_in_the_given_order() -> None:
    texts = {
        "b": story(1),
        "x": story(2),
        "a": story(1) + " goodbye then",
        "c": "hello " + story(1),
        "y": story(2).replace(story(2).split()[50], "changed", 1),
        "z": story(3),
    }
    signatures = {key: FINDER.signature(text) for key, text in texts.items()}
    assert FINDER.groups(signatures) == (("b", "a", "c"), ("x", "y"))


def test_different_texts_form_no_groups() -> None:
    assert FINDER.groups({str(n): FINDER.signature(story(n, 60)) for n in range(300)}) == ()


def test_half_changed_texts_are_different() -> None:
    first = story(1)
    second = " ".join(first.split()[:100] + story(9).split()[:100])
    assert FINDER.groups({"a": FINDER.signature(first), "b": FINDER.signature(second)}) == ()


def test_empty_damaged_and_foreign_signatures_are_left_out() -> None:
    good = FINDER.signature(story(1))
    foreign = bytes([good[0] ^ 1]) + good[1:]
    assert agreement(good, foreign) == 0
    assert FINDER.groups({"a": good, "b": b"", "c": good[:-1], "d": foreign}) == ()


def test_many_copies_of_one_text_are_one_group() -> None:
    signature = FINDER.signature(story(1))
    (group,) = FINDER.groups({str(n): signature for n in range(3_000)})
    assert len(group) == 3_000


def test_without_the_library_only_exact_duplicates_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rensa", None)
    assert FINDER.signature(story(1)) == b""


@given(st.text(max_size=400))
def test_any_text_has_a_signature_of_the_fixed_size_or_none(text: str) -> None:
    assert len(FINDER.signature(text)) in (0, SIGNATURE_BYTES)

"""A text that changed by itself is noticed."""

from __future__ import annotations

from dataclasses import replace

from allie_desktop.domain.soundness import is_whole
from tests.episode_stage import assessed


def with_question(text: str) -> bool:
    kept = assessed("c1", "What is a quince?")
    question, answer = kept.conversation.turns
    turns = (replace(question, content=text), answer)
    return is_whole(replace(kept, conversation=replace(kept.conversation, turns=turns)))


def test_a_text_is_whole_as_it_was_kept() -> None:
    assert with_question("What is a quince?")
    assert not with_question("What is a quinca?")


def test_a_text_that_could_not_be_kept_letter_by_letter_is_let_be() -> None:
    assert with_question("What is a \ufffd?")

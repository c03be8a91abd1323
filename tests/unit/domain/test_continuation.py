"""How a request stands to a conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.continuation import (
    Fit,
    agreeing,
    dialogue,
    fit,
    head_digest,
    known_part,
    request_digest,
)
from allie_desktop.domain.conversation import Role, Turn
from allie_desktop.domain.planning import Message

ROLES = {"s": Role.SYSTEM, "u": Role.USER, "a": Role.ASSISTANT}


def turns(*said: str) -> tuple[Turn, ...]:
    """Return turns from words like ``u:hello``."""
    return tuple(Turn(role=ROLES[one[0]], content=one[2:]) for one in said)


def messages(*said: str) -> tuple[Message, ...]:
    return tuple(Message(role=ROLES[one[0]], content=one[2:]) for one in said)


@pytest.mark.parametrize(
    ("known", "sent", "named", "expected"),
    [
        (["u:a", "a:b"], ["u:a", "a:b", "u:c"], False, (Fit.CONTINUES, 2)),
        (["u:a", "a:b"], ["s:x", "u:a", "a:b", "u:c"], False, (Fit.CONTINUES, 3)),
        (["s:x", "u:a", "a:b"], ["u:a", "a:b", "u:c"], False, (Fit.CONTINUES, 2)),
        (["s:x", "u:a", "a:b"], ["s:y", "u:a", "a:b", "u:c"], False, (Fit.CONTINUES, 3)),
        (["u:a"], ["u:a"], False, (Fit.CONTINUES, 1)),  # the reply to it never came
        (["u:a", "a:b"], ["u:a"], False, (Fit.REPEATS, 1)),
        (["s:x", "u:a", "a:b"], ["s:y", "u:a"], False, (Fit.REPEATS, 2)),
        (["u:a", "a:b", "u:c", "a:d"], ["u:a"], False, (Fit.DIFFERS, 0)),
        (["u:a", "a:b"], ["u:x", "a:b", "u:c"], False, (Fit.DIFFERS, 0)),
        (["u:a", "a:b"], ["u:a", "a:x", "u:c"], False, (Fit.DIFFERS, 0)),
        (["u:a", "a:b"], ["u:a", "u:b", "u:c"], False, (Fit.DIFFERS, 0)),
        (["u:a", "a:b"], ["u:b"], False, (Fit.DIFFERS, 0)),
        ([], ["u:a"], False, (Fit.CONTINUES, 0)),
        (["u:a", "a:b", "u:c", "a:d"], ["u:c", "a:d", "u:e"], False, (Fit.DIFFERS, 0)),
        (["u:a", "a:b", "u:c", "a:d"], ["u:c", "a:d", "u:e"], True, (Fit.CONTINUES, 2)),
        (["u:a", "a:b", "u:c", "a:d"], ["s:x", "u:c", "a:d", "u:e"], True, (Fit.CONTINUES, 3)),
        (["u:a", "a:b", "u:c", "a:d"], ["a:d", "u:e"], True, (Fit.DIFFERS, 0)),  # one is no proof
    ],
)
def test_how_a_request_stands_to_a_conversation(
    known: list[str], sent: list[str], named: bool, expected: tuple[Fit, int]
) -> None:
    assert fit(turns(*known), messages(*sent), named=named) == expected


def test_a_reply_may_come_back_as_it_was_corrected() -> None:
    known = (*turns("u:a"), Turn(role=Role.ASSISTANT, content="b", correction=" better"))
    for said in ("a:b", "a:better", "a: better\r\n"):
        assert fit(known, messages("u:a", said, "u:c"), named=False) == (Fit.CONTINUES, 2)
    assert fit(known, messages("u:a", "a:worse", "u:c"), named=False) == (Fit.DIFFERS, 0)


def test_the_known_part_ends_with_the_last_reply() -> None:
    assert known_part(messages("u:a", "a:b", "u:c", "u:d")) == messages("u:a", "a:b")
    assert known_part(messages("s:x", "u:a")) == ()
    assert known_part(()) == ()


def test_digests_tell_words_and_speakers_apart() -> None:
    said = [("u:ab",), ("u:a", "u:b"), ("a:ab",), ("u:ab", "u:"), ("u:", "u:ab"), ()]
    assert len({request_digest(messages(*one)) for one in said}) == len(said)
    assert request_digest(messages("s:x", "u:a")) != request_digest(messages("u:a"))
    assert head_digest(messages("s:x", "u:a")) == head_digest(messages("u:a"))
    assert head_digest(turns("u:a\r\nb ")) == head_digest(messages("u:a\nb"))


words = st.lists(st.tuples(st.sampled_from("sua"), st.sampled_from("xyz")).map(":".join), max_size=8)


@given(words, words, st.booleans())
def test_what_is_shared_is_part_of_both(known: list[str], sent: list[str], named: bool) -> None:
    ours, theirs = turns(*known), messages(*sent)
    how, shared = fit(ours, theirs, named=named)
    assert 0 <= shared <= len(theirs)
    assert agreeing(ours, theirs) <= min(len(dialogue(ours)), len(dialogue(theirs)))
    if how is Fit.CONTINUES and not named:
        assert agreeing(ours, theirs) == len(dialogue(ours))
    if how is Fit.REPEATS:
        assert (len(dialogue(ours)), shared) == (len(dialogue(theirs)) + 1, len(theirs))


@given(words)
def test_a_conversation_goes_on_with_itself_and_more(said: list[str]) -> None:
    asked = [*said, "u:more"]
    assert fit(turns(*said), messages(*asked), named=False)[0] is Fit.CONTINUES

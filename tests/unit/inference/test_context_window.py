"""What is left out of a conversation that is too long."""

from __future__ import annotations

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.inference.context_window import fit, reply_room
from allie_desktop.inference.prompts import PromptTooLongError


def talk(spec):
    """Make messages of ``s9 u3 a5``: a role and a length each."""
    roles = {"s": Role.SYSTEM, "u": Role.USER, "a": Role.ASSISTANT}
    return [Message(role=roles[p[0]], content="x" * int(p[1:])) for p in spec.split()]


def spec_of(messages):
    return " ".join(f"{m.role.value[0]}{len(m.content)}" for m in messages)


def length(messages):
    return sum(len(m.content) for m in messages)


@pytest.mark.parametrize(
    ("whole", "context", "max_tokens", "kept", "dropped"),
    [
        ("u10", 100, None, "u10", 0),
        ("s10 u10 a10 u45", 100, None, "s10 u10 a10 u45", 0),
        ("s10 u10 a10 u46", 100, None, "s10 u46", 2),
        ("s10 u10 a10 u65", 100, 5, "s10 u10 a10 u65", 0),
        ("u20 a20 u20 a20 u20 a20 u20", 100, 40, "u20 a20 u20", 4),
        ("s5 s5 u50 a50 u5 a5 u5", 100, None, "s5 s5 u5 a5 u5", 2),
        # Too long for the reply that was wanted, but not for one at all: nothing else can be left out.
        ("s10 u80", 100, None, "s10 u80", 0),
        ("u30 a30 u80", 100, None, "u80", 2),
        # What follows the last question stays: the beginning of a reply to go on with.
        ("u50 a50 u10 a10", 100, None, "u10 a10", 2),
        # Nobody asked anything: the rest of the context is for the reply.
        ("s10", 100, None, "s10", 0),
        ("a60 a20", 100, None, "a60 a20", 0),
    ],
)
def test_the_oldest_go_first(whole, context, max_tokens, kept, dropped):
    fitted, left_out = fit(talk(whole), length, context=context, max_tokens=max_tokens)

    assert (spec_of(fitted), left_out) == (kept, dropped)


@pytest.mark.parametrize("whole", ["u100", "s50 u50", "s10 u10 a10 u90", "u150", "s200"])
def test_a_question_that_is_too_long_alone_is_refused(whole):
    with pytest.raises(PromptTooLongError, match=r"The prompt is too long: \d+ tokens, and .* at most 100"):
        fit(talk(whole), length, context=100, max_tokens=10)


def test_a_long_conversation_is_counted_a_few_times_only():
    counted = []

    def count(messages):
        counted.append(len(messages))
        return length(messages)

    fitted, dropped = fit(talk(" ".join(["u10 a10"] * 500 + ["u10"])), count, context=1000, max_tokens=None)

    assert length(fitted) == 750
    assert dropped == 1001 - 75
    assert len(counted) <= 12


def test_a_reply_keeps_room_but_not_all_of_it():
    assert [reply_room(1000, n) for n in (None, 1, 100, 5000)] == [250, 1, 100, 250]

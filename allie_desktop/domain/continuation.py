"""Which conversation a request goes on with: from what was sent, and from what is known.

A client of the local connection sends the whole history each time and seldom says which conversation it
is. What both sides have is the words: if a known conversation says exactly what the request begins with,
the request continues it. Instructions at the front (system messages) do not count: many clients put the
date there, and change it from one request to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from allie_desktop.domain.conversation import Role, Turn, normalised

_DIGEST_BYTES = 16

#: So many messages must agree where a client sent only the end of what was said before.
_OVERLAP = 2


class Said(Protocol):
    """Something said: a turn or a message."""

    @property
    def role(self) -> Role:
        """Who said it."""

    @property
    def content(self) -> str:
        """What was said."""


class Fit(Enum):
    """How a request stands to a known conversation."""

    CONTINUES = "continues"  # it says all of it, and goes on
    REPEATS = "repeats"  # it asks once more for the reply that the conversation ends with
    DIFFERS = "differs"


def dialogue(said: Sequence[Said]) -> Sequence[Said]:
    """Return what was said without the instructions at the front."""
    start = next((place for place, one in enumerate(said) if one.role is not Role.SYSTEM), len(said))
    return said[start:]


def request_digest(messages: Sequence[Said]) -> bytes:
    """Return 16 bytes of a SHA-256 over a whole request, instructions and all."""
    return _digest(messages)


def head_digest(said: Sequence[Said]) -> bytes:
    """Return 16 bytes of a SHA-256 over a dialogue, without the instructions at the front."""
    return _digest(dialogue(said))


def known_part(messages: Sequence[Said]) -> Sequence[Said]:
    """Return what a request repeats of the conversation that it continues: all up to the last reply in it.
    Empty when it begins one."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role is Role.ASSISTANT:
            return messages[: place + 1]
    return messages[:0]


def fit(turns: Sequence[Turn], messages: Sequence[Said], *, named: bool) -> tuple[Fit, int]:
    """Return how a request stands to a conversation, and how many of the messages the conversation has.

    ``named``: the client itself said that it is this conversation, so that it may also send only the end
    of it. A reply may stand in the request as it was, or as the person corrected it.
    """
    known, sent = dialogue(turns), dialogue(messages)
    front = len(messages) - len(sent)
    if not known:
        return Fit.CONTINUES, front
    if len(sent) >= len(known) and _agree(known, sent):
        return Fit.CONTINUES, front + len(known)
    if len(known) == len(sent) + 1 and known[-1].role is Role.ASSISTANT and _agree(known, sent):
        return Fit.REPEATS, len(messages)
    if named:
        for overlap in range(min(len(known), len(sent)), _OVERLAP - 1, -1):
            if _agree(known[-overlap:], sent):
                return Fit.CONTINUES, front + overlap
    return Fit.DIFFERS, 0


def agreeing(turns: Sequence[Turn], messages: Sequence[Said]) -> int:
    """Return how many turns from the front, instructions left out, say what the messages say."""
    count = 0
    for ours, theirs in zip(dialogue(turns), dialogue(messages), strict=False):
        if not _says(ours, theirs):
            break
        count += 1
    return count


def _agree(known: Sequence[Said], sent: Sequence[Said]) -> bool:
    return all(_says(ours, theirs) for ours, theirs in zip(known, sent, strict=False))


def _says(ours: Said, theirs: Said) -> bool:
    if ours.role is not theirs.role:
        return False
    if ours.content == theirs.content:
        return True
    said = normalised(theirs.content)
    correction = getattr(ours, "correction", None)
    return normalised(ours.content) == said or (correction is not None and normalised(correction) == said)


def _digest(said: Sequence[Said]) -> bytes:
    digest = hashlib.sha256()
    for one in said:
        text = normalised(one.content).encode("utf-8", "replace")
        digest.update(f"{one.role.value}\x00{len(text)}\x00".encode())
        digest.update(text)
    return digest.digest()[:_DIGEST_BYTES]

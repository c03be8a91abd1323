"""Conversations: what a person and an assistant said, and what the person thought of it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

#: Sources whose assistant replies were written by Allie itself.
OWN_SOURCES = frozenset({"chat", "api"})

#: Longest text of one turn, in characters; longer ones are refused at the door.
MAXIMUM_TURN_CHARACTERS = 1_000_000


class Role(str, Enum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


Rating = Literal[1, -1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One utterance. ``correction`` is what an assistant turn should have said.

    ``extra`` keeps keys of the source that Allie does not know, so that an export loses nothing.
    """

    role: Role
    content: str
    rating: Rating | None = None
    correction: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A whole conversation; ``created_at`` is aware (UTC)."""

    id: str
    created_at: datetime
    source: str
    turns: tuple[Turn, ...]
    title: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether Allie itself wrote the assistant's replies."""
        return self.source in OWN_SOURCES


def normalised(text: str) -> str:
    """Return ``text`` in Unicode NFC with Unix newlines and no outer white space."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()


def content_hash(turns: tuple[Turn, ...]) -> str:
    """SHA-256 (hex) over roles and normalised texts; feedback, ids and times do not count.

    Two conversations with one hash are one conversation, whatever file they came from.
    """
    digest = hashlib.sha256()
    for turn in turns:
        text = normalised(turn.content).encode("utf-8", "surrogatepass")
        digest.update(f"{turn.role.value}\x00{len(text)}\x00".encode())
        digest.update(text)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A piece of a file that was not imported. ``line`` counts from 1; None where lines mean nothing."""

    file: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """What an import did, over all its files."""

    imported: int
    duplicates: int
    refused: tuple[Refusal, ...]

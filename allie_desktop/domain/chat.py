"""Chat as it happens: what is asked, the exchange that comes of it, and what a version showed so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from allie_desktop.domain.planning import Message

#: Why a reply ended. "cancelled": the client went away; "time": the time limit of a request was reached.
FinishReason = Literal["stop", "length", "cancelled", "time", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions:
    """How a reply is to be made. ``max_tokens`` None: as many as the context has room for.

    ``temperature`` 0 is greedy. ``stop`` are texts that end the reply and are not part of it.
    ``time_limit_seconds`` bounds the whole generation.
    """

    max_tokens: int | None = None
    temperature: float = 0.7
    top_p: float = 0.9
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    time_limit_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPiece:
    """Some more of a reply; never empty, always whole characters."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyEnd:
    """The last thing that a generation yields."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    dropped_messages: int = 0  # left out at the front, so that the rest fits the context


ReplyEvent = TextPiece | ReplyEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its reply, as the chat process saw it. Times are aware (UTC) and in seconds.

    ``messages`` is what the client sent, without the reply. ``conversation_id`` is what the client called
    the conversation, None when it did not. ``source`` is one of :data:`domain.conversation.OWN_SOURCES`.
    """

    response_id: str
    conversation_id: str | None
    source: str
    messages: tuple[Message, ...]
    reply: str
    version: str
    finish_reason: FinishReason
    started_at: datetime
    first_token_seconds: float | None
    seconds: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    client: str = ""  # the program that asked, as it names itself


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReply:
    """A recorded reply: where it stands, and who wrote it. ``regenerated``: another one took its place."""

    response_id: str
    conversation_id: str
    position: int  # among all turns of the conversation, from 0
    version: str
    client: str
    started_at: datetime
    regenerated: bool


class Arm(str, Enum):
    """Whose evidence it is while a new version takes over."""

    NEW = "new"
    OLD = "old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a version's replies brought in a span of time: counts."""

    replies: int = 0
    conversations: int = 0
    liked: int = 0
    disliked: int = 0  # thumbs-down, or corrected
    regenerated: int = 0
    errors: int = 0
    broken: int = 0  # empty or looping replies
    latency_seconds: tuple[float, ...] = field(default=())  # of the last replies, newest first

"""Which conversation an exchange belongs to: the one that was named, one that says the same, or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from allie_desktop.domain.chat import Exchange, KnownReply
from allie_desktop.domain.continuation import Fit, dialogue, fit, head_digest, known_part, request_digest
from allie_desktop.domain.conversation import Conversation, Rating, Turn, normalised
from allie_desktop.domain.planning import Message
from allie_desktop.domain.ports import Assessed, ConversationRepository, ExchangeRepository

#: The same request once more, from a client that does not say which conversation it is, is a reply that
#: somebody wanted anew only so soon after the first; later it is another conversation.
REGENERATED_WITHIN = timedelta(minutes=10)

#: Conversations to look for where an edited history comes from.
_ORIGINS_TRIED = 20

_LONGEST_NAME = 200


class ExchangeStore(ExchangeRepository, Protocol):
    """What recording needs of the store, besides the port."""

    def writing(self) -> AbstractContextManager[None]:
        """Make a ``with`` block one durable step, which no other process comes between."""

    def begin(self, assessed: Assessed) -> str:
        """Keep a new conversation; return its id, another one when its own is taken."""

    def note(
        self,
        exchange: Exchange,
        *,
        conversation_id: str | None,
        position: int | None,
        broken: bool,
        request: bytes,
        head: bytes,
    ) -> None:
        """Remember an exchange whose reply stands at a place, or nowhere."""

    def replace_at(self, conversation_id: str, position: int) -> None:
        """Note that the replies written for a place so far were not the last word."""

    def rate_replaced(self, response_id: str, rating: Rating | None) -> None:
        """Keep what the person thinks of a reply that was replaced."""

    def of_response(self, response_id: str) -> KnownReply | None:
        """Return where a reply stands."""

    def is_known(self, response_id: str) -> bool:
        """Whether this exchange was noted."""

    def with_request(self, digest: bytes, *, limit: int = 8) -> tuple[KnownReply, ...]:
        """Return the replies to this very request, newest first."""

    def with_head(self, digest: bytes, *, limit: int = 8) -> tuple[KnownReply, ...]:
        """Return the replies after which a dialogue said exactly this, newest first."""

    def last_version(self, conversation_id: str) -> str | None:
        """Return the version that spoke last in a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an exchange belongs. ``known`` None: into a new conversation called ``conversation_id``."""

    conversation_id: str
    known: Conversation | None
    fit: Fit
    shared: int = 0  # messages that the conversation has already
    origin: Conversation | None = None  # what a new conversation branches off from


class ConversationFinder:
    """Finds the place of an exchange; writes nothing. From the thread of its repositories."""

    def __init__(self, exchanges: ExchangeStore, conversations: ConversationRepository) -> None:
        self._exchanges = exchanges
        self._conversations = conversations

    def find(
        self,
        name: str | None,
        messages: Sequence[Message],
        response_id: str,
        at: datetime,
        *,
        exchange: Exchange | None = None,
    ) -> Place:
        """Return the place of a request that was made at a time, and of its reply, once there is one:
        ``exchange`` tells more of both."""
        wanted = name_of(name)
        named = None if wanted is None else self._conversation(wanted)
        if named is not None:
            how, shared = fit(named.turns, messages, named=True)
            if how is not Fit.DIFFERS:
                return Place(conversation_id=named.id, known=named, fit=how, shared=shared)
        # A name that nobody knows yet is a conversation of its own, whatever others say the same.
        if wanted is None or named is not None:
            found = self._by_history(messages)
            found = found or self._by_request(messages, None if named else at, exchange)
            if found is not None:
                return found
        if named is not None:
            free = f"{named.id}-{head_digest(messages).hex()[:8]}"
        else:
            free = wanted or new_name(response_id)
        origin = named or self._origin(messages)
        return Place(conversation_id=free, known=None, fit=Fit.DIFFERS, origin=origin)

    def _by_request(
        self, messages: Sequence[Message], at: datetime | None, exchange: Exchange | None
    ) -> Place | None:
        """Return the conversation that ends with the reply to this very request, when the same program asked
        again: soon (``at`` is None when that does not matter), or with the same result."""
        for answered in self._exchanges.with_request(request_digest(messages)):
            known = self._conversation(answered.conversation_id)
            if known is None or answered.regenerated or not _from_same_program(known, answered, exchange):
                continue
            how, shared = fit(known.turns, messages, named=False)
            soon = at is None or abs(at - answered.started_at) <= REGENERATED_WITHIN
            same = exchange is not None and same_text(known.turns[-1].content, exchange.reply)
            if how is Fit.REPEATS and (soon or same):
                return Place(conversation_id=known.id, known=known, fit=how, shared=shared)
        return None

    def _by_history(self, messages: Sequence[Message]) -> Place | None:
        """Return the conversation that ends with what this request begins with: first one with the same
        instructions, else the newest."""
        before = known_part(messages)
        if not before:
            return None
        fitting: list[Place] = []
        for reply in self._exchanges.with_head(head_digest(before)):
            known = self._conversation(reply.conversation_id)
            if known is None or any(place.conversation_id == known.id for place in fitting):
                continue
            how, shared = fit(known.turns, messages, named=False)
            if how is Fit.CONTINUES:
                fitting.append(Place(conversation_id=known.id, known=known, fit=how, shared=shared))
        alike = (place for place in fitting if place.known and _same_front(place.known.turns, messages))
        return next(alike, fitting[0] if fitting else None)

    def _origin(self, messages: Sequence[Message]) -> Conversation | None:
        """Return the conversation that an edited history was taken from: it agrees longest."""
        before = known_part(messages)
        for _ in range(_ORIGINS_TRIED):
            if not before:
                return None
            for reply in self._exchanges.with_head(head_digest(before), limit=1):
                return self._conversation(reply.conversation_id)
            before = known_part(before[:-1])
        return None

    def _conversation(self, conversation_id: str) -> Conversation | None:
        known = self._conversations.get_many([conversation_id]).get(conversation_id)
        return None if known is None else known.conversation


def name_of(conversation_id: str | None) -> str | None:
    """Return what a client calls its conversation, cut to a sensible length; None when it does not."""
    name = (conversation_id or "").strip()[:_LONGEST_NAME]
    return name or None


def new_name(response_id: str) -> str:
    """Return the id of a conversation that nobody named and that begins with this reply."""
    return f"api-{response_id.rsplit('-', 1)[-1][:32]}"


def _same_front(turns: Sequence[Turn], messages: Sequence[Message]) -> bool:
    ours = turns[: len(turns) - len(dialogue(turns))]
    theirs = messages[: len(messages) - len(dialogue(messages))]
    return [normalised(turn.content) for turn in ours] == [normalised(one.content) for one in theirs]


def _from_same_program(known: Conversation, answered: KnownReply, exchange: Exchange | None) -> bool:
    return exchange is None or (known.source, answered.client) == (exchange.source, exchange.client)


def same_text(one: str, other: str) -> bool:
    """Whether two texts say the same, but for white space around them."""
    return normalised(one) == normalised(other)

"""Keep what is said in chat, at once: each exchange begins a conversation or lets one grow.

A client that says which conversation it is (the chat window does) is believed as far as the words agree.
Other programs send the history alone; then the words decide (see :mod:`domain.continuation`). History that
was edited is a new conversation, which begins with what it shares with the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from allie_desktop.domain.chat import Exchange, KnownReply
from allie_desktop.domain.continuation import (
    Fit,
    agreeing,
    dialogue,
    fit,
    head_digest,
    known_part,
    request_digest,
)
from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Rating,
    Role,
    Turn,
    normalised,
)
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.planning import Message
from allie_desktop.domain.ports import Assessed, Clock, ConversationRepository, ExchangeRepository
from allie_desktop.domain.quality import FINISH, REGENERATED, REPLACED, RESPONSE
from allie_desktop.domain.replies import is_broken
from allie_desktop.domain.settings import Preferences
from allie_desktop.services.collection import Collector

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
class _Place:
    """Where an exchange belongs. ``known`` None: into a new conversation called ``conversation_id``."""

    conversation_id: str
    known: Conversation | None
    fit: Fit
    shared: int = 0  # messages that the conversation has already
    origin: Conversation | None = None  # what a new conversation branches off from


class RecordingService:
    """Implements :class:`domain.ports.ExchangeRecorder` for the one thread that owns its repositories.

    Whoever serves several threads passes their calls on to that one. ``preferences`` is asked each time;
    ``noted`` is called after each change, and must not raise for what is not about it.
    Each call is one transaction: durable when it returns, and whole whatever other processes write.
    """

    def __init__(
        self,
        exchanges: ExchangeStore,
        conversations: ConversationRepository,
        *,
        collector: Collector,
        preferences: Callable[[], Preferences],
        clock: Clock,
        noted: Callable[[], object] = lambda: None,
    ) -> None:
        self._exchanges = exchanges
        self._conversations = conversations
        self._collector = collector
        self._preferences = preferences
        self._clock = clock
        self._noted = noted

    def record(self, exchange: Exchange) -> str:
        """See :meth:`domain.ports.ExchangeRecorder.record`.

        Where the preferences say so, nothing is kept, and the id means nothing. A reply without any text
        leaves no turn: it counts as evidence, unless the client went away before the first word. The same
        ``response_id`` again changes nothing. Raise :class:`StoreError`.
        """
        if not self._may_keep(exchange.source):
            return _name_of(exchange.conversation_id) or _new_name(exchange.response_id)
        with self._exchanges.writing():
            known = self._exchanges.of_response(exchange.response_id)
            if known is not None:
                return known.conversation_id
            conversation_id = self._keep(exchange)
        self._noted()
        return conversation_id

    def conversation_for(
        self, conversation_id: str | None, messages: Sequence[Message], *, response_id: str
    ) -> str:
        """Return the conversation into which :meth:`record` will put the reply to this request, for those
        who must say so before there is a reply. Writes nothing."""
        return self._place(conversation_id, messages, response_id, self._clock.now()).conversation_id

    def begun_on(self, conversation_id: str | None, messages: Sequence[Message]) -> str | None:
        """Return the version that spoke last in the conversation that a request goes on with; None for one
        that begins, or was never kept."""
        place = self._place(conversation_id, messages, "", self._clock.now())
        return None if place.known is None else self._exchanges.last_version(place.known.id)

    def feedback(self, response_id: str, *, rating: Rating | None, correction: str | None) -> None:
        """See :meth:`domain.ports.ExchangeRecorder.feedback`.

        A rating of a reply that another one has replaced is kept as evidence alone; a correction says what
        the reply should be, whichever stands there now.
        """
        with self._exchanges.writing():
            known = self._exchanges.of_response(response_id)
            if known is None:
                raise BadInputError(
                    f"There is no reply {response_id[:80]!r}.",
                    "Only replies of conversations that are kept can be rated or corrected.",
                )
            if rating is not None:
                if known.regenerated:
                    self._exchanges.rate_replaced(response_id, rating)
                else:
                    self._collector.rate(known.conversation_id, known.position, rating)
            if correction is not None:
                self._collector.correct(known.conversation_id, known.position, correction)
        self._noted()

    # --- inside ---

    def _may_keep(self, source: str) -> bool:
        preferences = self._preferences()
        return preferences.record_chat if source == "chat" else preferences.record_api

    def _keep(self, exchange: Exchange) -> str:
        place = self._place(
            exchange.conversation_id,
            exchange.messages,
            exchange.response_id,
            exchange.started_at,
            reply=exchange.reply,
        )
        said_nothing = not exchange.reply.strip()
        broken = exchange.finish_reason in ("stop", "length") and is_broken(exchange.reply)
        if said_nothing or _is_too_long(exchange):
            if not (said_nothing and exchange.finish_reason == "cancelled"):
                self._note(exchange, None, None, broken=broken)
            return place.conversation_id
        if place.known is None:
            conversation_id, position = self._begin(exchange, place)
        elif place.fit is Fit.CONTINUES:
            conversation_id, position = self._grow(exchange, place.known, place.shared)
        else:
            conversation_id, position = self._answer_again(exchange, place.known)
        self._note(exchange, conversation_id, position, broken=broken)
        return conversation_id

    def _begin(self, exchange: Exchange, place: _Place) -> tuple[str, int]:
        turns = (*_branched(exchange.messages, place.origin), _reply(exchange))
        conversation = Conversation(
            id=place.conversation_id, created_at=exchange.started_at, source=exchange.source, turns=turns
        )
        return self._exchanges.begin(self._collector.assess(conversation)), len(turns) - 1

    def _grow(self, exchange: Exchange, known: Conversation, shared: int) -> tuple[str, int]:
        added = (_turn(message) for message in exchange.messages[shared:])
        turns = (*known.turns, *added, _reply(exchange))
        self._conversations.replace(self._collector.assess(replace(known, turns=turns)))
        return known.id, len(turns) - 1

    def _answer_again(self, exchange: Exchange, known: Conversation) -> tuple[str, int]:
        position = len(known.turns) - 1
        before = known.turns[position]
        if _name_of(exchange.conversation_id) is None and _same_text(before.content, exchange.reply):
            return known.id, position  # a program that asks the same each time
        again = _reply(exchange)
        count = before.extra.get(REGENERATED)
        again = replace(
            again,
            correction=before.correction,
            extra={
                **again.extra,
                REGENERATED: count + 1 if isinstance(count, int) and count > 0 else 1,
                REPLACED: before.content,
            },
        )
        self._exchanges.replace_at(known.id, position)
        turns = (*known.turns[:position], again)
        self._conversations.replace(self._collector.assess(replace(known, turns=turns)))
        return known.id, position

    def _note(
        self, exchange: Exchange, conversation_id: str | None, position: int | None, *, broken: bool
    ) -> None:
        if self._exchanges.is_known(exchange.response_id):
            return
        said = (*exchange.messages, Message(role=Role.ASSISTANT, content=exchange.reply))
        self._exchanges.note(
            exchange,
            conversation_id=conversation_id,
            position=position,
            broken=broken,
            request=request_digest(exchange.messages),
            head=head_digest(said),
        )

    # --- finding the conversation ---

    def _place(
        self,
        name: str | None,
        messages: Sequence[Message],
        response_id: str,
        at: datetime,
        *,
        reply: str | None = None,
    ) -> _Place:
        wanted = _name_of(name)
        named = None if wanted is None else self._conversation(wanted)
        if named is not None:
            how, shared = fit(named.turns, messages, named=True)
            if how is not Fit.DIFFERS:
                return _Place(conversation_id=named.id, known=named, fit=how, shared=shared)
        # A name that nobody knows yet is a conversation of its own, whatever others say the same.
        if wanted is None or named is not None:
            found = self._by_request(messages, None if named else at, reply) or self._by_history(messages)
            if found is not None:
                return found
        if named is not None:
            new_name = f"{named.id}-{head_digest(messages).hex()[:8]}"
        else:
            new_name = wanted or _new_name(response_id)
        origin = named or self._origin(messages)
        return _Place(conversation_id=new_name, known=None, fit=Fit.DIFFERS, origin=origin)

    def _by_request(
        self, messages: Sequence[Message], at: datetime | None, reply: str | None
    ) -> _Place | None:
        """Return the conversation that ends with the reply to this very request, when that was asked for
        again: soon (``at`` is None when that does not matter), or with the same result."""
        for answered in self._exchanges.with_request(request_digest(messages)):
            known = self._conversation(answered.conversation_id)
            if known is None or answered.regenerated:
                continue
            how, shared = fit(known.turns, messages, named=False)
            soon = at is None or abs(at - answered.started_at) <= REGENERATED_WITHIN
            same = reply is not None and _same_text(known.turns[-1].content, reply)
            if how is Fit.REPEATS and (soon or same):
                return _Place(conversation_id=known.id, known=known, fit=how, shared=shared)
        return None

    def _by_history(self, messages: Sequence[Message]) -> _Place | None:
        """Return the conversation that ends with what this request begins with: first one with the same
        instructions, else the newest."""
        before = known_part(messages)
        if not before:
            return None
        fitting: list[_Place] = []
        for reply in self._exchanges.with_head(head_digest(before)):
            known = self._conversation(reply.conversation_id)
            if known is None or any(place.conversation_id == known.id for place in fitting):
                continue
            how, shared = fit(known.turns, messages, named=False)
            if how is Fit.CONTINUES:
                fitting.append(_Place(conversation_id=known.id, known=known, fit=how, shared=shared))
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


def _name_of(conversation_id: str | None) -> str | None:
    name = (conversation_id or "").strip()[:_LONGEST_NAME]
    return name or None


def _new_name(response_id: str) -> str:
    return f"api-{response_id.rsplit('-', 1)[-1][:32]}"


def _turn(message: Message) -> Turn:
    return Turn(role=message.role, content=message.content)


def _reply(exchange: Exchange) -> Turn:
    extra: dict[str, object] = {
        "version": exchange.version,
        RESPONSE: exchange.response_id,
        "seconds": round(exchange.seconds, 3),
    }
    if exchange.first_token_seconds is not None:
        extra["first_token_seconds"] = round(exchange.first_token_seconds, 3)
    if exchange.client:
        extra["client"] = exchange.client
    if exchange.finish_reason != "stop":
        extra[FINISH] = exchange.finish_reason
    return Turn(role=Role.ASSISTANT, content=exchange.reply, extra=extra)


def _branched(messages: Sequence[Message], origin: Conversation | None) -> tuple[Turn, ...]:
    """Return the messages as turns; of those that were said in ``origin`` too, who wrote them is known. What
    the person taught there stays there, but a reply found bad there is not good here."""
    turns = [_turn(message) for message in messages]
    if origin is None:
        return tuple(turns)
    front = len(messages) - len(dialogue(messages))
    shared = agreeing(origin.turns, messages)
    for place, known in enumerate(_dialogue_turns(origin)[:shared], start=front):
        bad = known.rating == -1 or known.correction is not None
        kept = {key: value for key, value in known.extra.items() if key not in (REGENERATED, REPLACED)}
        turns[place] = replace(
            turns[place], rating=-1 if bad and known.role is Role.ASSISTANT else None, extra=kept
        )
    return tuple(turns)


def _dialogue_turns(conversation: Conversation) -> tuple[Turn, ...]:
    """Return the turns without the instructions at the front."""
    return conversation.turns[len(conversation.turns) - len(dialogue(conversation.turns)) :]


def _same_front(turns: Sequence[Turn], messages: Sequence[Message]) -> bool:
    ours = turns[: len(turns) - len(dialogue(turns))]
    theirs = messages[: len(messages) - len(dialogue(messages))]
    return [normalised(turn.content) for turn in ours] == [normalised(one.content) for one in theirs]


def _same_text(one: str, other: str) -> bool:
    return normalised(one) == normalised(other)


def _is_too_long(exchange: Exchange) -> bool:
    return (
        max(len(exchange.reply), *(len(one.content) for one in exchange.messages), 0)
        > MAXIMUM_TURN_CHARACTERS
    )

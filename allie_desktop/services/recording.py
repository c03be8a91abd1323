"""Keep what is said in chat, at once: each exchange begins a conversation or lets one grow.

A client that says which conversation it is (the chat window does) is believed as far as the words agree.
Other programs send the history alone; then the words decide (see :mod:`domain.continuation`). History that
was edited is a new conversation, which begins with what it shares with the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.continuation import (
    Fit,
    agreeing,
    dialogue,
    head_digest,
    request_digest,
)
from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Rating,
    Role,
    Turn,
)
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.planning import Message
from allie_desktop.domain.ports import Clock, ConversationRepository
from allie_desktop.domain.quality import FINISH, REGENERATED, REPLACED, RESPONSE
from allie_desktop.domain.replies import is_broken
from allie_desktop.domain.settings import Preferences
from allie_desktop.services.collection import Collector
from allie_desktop.services.placing import (
    ConversationFinder,
    ExchangeStore,
    Place,
    name_of,
    new_name,
    same_text,
)


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
        self._finder = ConversationFinder(exchanges, conversations)
        self._noted = noted

    def record(self, exchange: Exchange) -> str:
        """See :meth:`domain.ports.ExchangeRecorder.record`.

        Where the preferences say so, nothing is kept, and the id means nothing. A reply without any text
        leaves no turn: it counts as evidence, unless the client went away before the first word. The same
        ``response_id`` again changes nothing. Raise :class:`StoreError`.
        """
        if not self._may_keep(exchange.source):
            return name_of(exchange.conversation_id) or new_name(exchange.response_id)
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
        return self._finder.find(conversation_id, messages, response_id, self._clock.now()).conversation_id

    def begun_on(self, conversation_id: str | None, messages: Sequence[Message]) -> str | None:
        """Return the version that spoke last in the conversation that a request goes on with; None for one
        that begins, or was never kept."""
        place = self._finder.find(conversation_id, messages, "", self._clock.now())
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
        place = self._finder.find(
            exchange.conversation_id,
            exchange.messages,
            exchange.response_id,
            exchange.started_at,
            exchange=exchange,
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

    def _begin(self, exchange: Exchange, place: Place) -> tuple[str, int]:
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
        if name_of(exchange.conversation_id) is None and same_text(before.content, exchange.reply):
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
        as_it_was = same_text(known.content, turns[place].content)
        bad = known.rating == -1 or (known.correction is not None and as_it_was)
        kept = {key: value for key, value in known.extra.items() if key not in (REGENERATED, REPLACED)}
        turns[place] = replace(
            turns[place], rating=-1 if bad and known.role is Role.ASSISTANT else None, extra=kept
        )
    return tuple(turns)


def _dialogue_turns(conversation: Conversation) -> tuple[Turn, ...]:
    """Return the turns without the instructions at the front."""
    return conversation.turns[len(conversation.turns) - len(dialogue(conversation.turns)) :]


def _is_too_long(exchange: Exchange) -> bool:
    return (
        max(len(exchange.reply), *(len(one.content) for one in exchange.messages), 0)
        > MAXIMUM_TURN_CHARACTERS
    )

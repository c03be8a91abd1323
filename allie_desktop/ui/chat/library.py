"""The chat window's conversations over the services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from allie_desktop.domain.conversation import Conversation, Rating
from allie_desktop.domain.ports import ConversationRepository, ConversationRow
from allie_desktop.services.collection import Collector

_TITLE_CHARACTERS = 200


class StoreLibrary:
    """Implements :class:`ui.chat.ports.ChatLibrary`. To be used from the thread of its repository.

    ``forget`` deletes a conversation wherever it is kept; that reaches further than the store.
    """

    def __init__(
        self,
        conversations: ConversationRepository,
        collector: Collector,
        *,
        forget: Callable[[str], object],
    ) -> None:
        self._conversations = conversations
        self._collector = collector
        self._forget = forget

    def rows(self, *, limit: int, offset: int, search: str) -> tuple[ConversationRow, ...]:
        """See the port."""
        return self._conversations.rows(limit=limit, offset=offset, search=search)

    def load(self, conversation_id: str) -> Conversation:
        """See the port."""
        return self._conversations.get(conversation_id).conversation

    def rate(self, conversation_id: str, turn: int, rating: Rating | None) -> None:
        """See the port."""
        self._collector.rate(conversation_id, turn, rating)

    def correct(self, conversation_id: str, turn: int, correction: str | None) -> None:
        """See the port."""
        self._collector.correct(conversation_id, turn, correction)

    def rename(self, conversation_id: str, title: str) -> None:
        """See the port."""
        known = self._conversations.get(conversation_id)
        shown = " ".join(title.split())[:_TITLE_CHARACTERS] or None
        self._conversations.replace(replace(known, conversation=replace(known.conversation, title=shown)))

    def exclude(self, conversation_id: str, *, excluded: bool) -> None:
        """See the port."""
        self._collector.exclude(conversation_id, excluded=excluded)

    def learnt_by(self, conversation_id: str) -> tuple[str, ...]:
        """See the port."""
        return self._conversations.versions_of(conversation_id)

    def forget(self, conversation_id: str) -> None:
        """See the port."""
        self._forget(conversation_id)

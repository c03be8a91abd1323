"""What the chat window needs from outside; whoever composes the program hands it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from allie_desktop.domain.conversation import Conversation, Rating
from allie_desktop.domain.ports import ConversationRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the local API listens (``http://127.0.0.1:PORT``, no path) and the token that it wants."""

    url: str
    token: str


class ServerPhase(str, Enum):
    """Where the chat process stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"  # it could not be started, or it ended by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """``endpoint`` is set when READY, ``problem`` (sentences with the remedy) when FAILED."""

    phase: ServerPhase
    endpoint: Endpoint | None = None
    problem: str = ""


class ChatServer(Protocol):
    """The chat process, started on demand. GUI thread; nothing here blocks."""

    @property
    def state(self) -> ServerState:
        """Where it stands."""

    def start(self) -> None:
        """Start it unless it runs or is being started; watchers hear how it goes."""

    def watch(self, watcher: Callable[[ServerState], None]) -> Callable[[], None]:
        """Tell every change of the state from now on, in the GUI thread; returns what ends that."""


class ChatLibrary(Protocol):
    """The person's conversations, as the window shows and changes them.

    Used by one thread, which need not be the GUI thread; may block on the disk. Raises
    :class:`~allie_desktop.domain.errors.AllieError`, and :class:`UnknownConversationError` for what is not
    kept. ``turn`` counts all turns of a conversation from 0.
    """

    def rows(self, *, limit: int, offset: int, search: str) -> tuple[ConversationRow, ...]:
        """Return list lines, newest first; ``search`` is full text."""

    def load(self, conversation_id: str) -> Conversation:
        """Return a whole conversation."""

    def rate(self, conversation_id: str, turn: int, rating: Rating | None) -> None:
        """Set or clear the rating of a reply."""

    def correct(self, conversation_id: str, turn: int, correction: str | None) -> None:
        """Say what a reply should have been; None takes it back."""

    def rename(self, conversation_id: str, title: str) -> None:
        """Give a conversation a title; an empty one shows the first question again."""

    def exclude(self, conversation_id: str, *, excluded: bool) -> None:
        """Keep a conversation out of learning, or let it in again."""

    def learnt_by(self, conversation_id: str) -> tuple[str, ...]:
        """Return the versions that learnt from it."""

    def forget(self, conversation_id: str) -> None:
        """Delete it everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person typed and has no answer to: ``text`` in the field, ``unanswered`` sent in vain so far."""

    text: str = ""
    unanswered: str = ""

    @property
    def typed(self) -> str:
        """All of it, as it goes back into the field after a restart."""
        return "\n\n".join(part for part in (self.unanswered, self.text) if part)


class DraftStore(Protocol):
    """Keeps drafts by conversation id (empty: the new chat). Any thread; never raises for a full disk."""

    def load(self, conversation_id: str) -> Draft:
        """Return the draft; an empty one when there is none."""

    def save(self, conversation_id: str, draft: Draft) -> None:
        """Keep a draft; an empty one is removed."""

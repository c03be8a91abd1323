"""One conversation as the window knows it: what is shown, what is sent, and what is on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from allie_desktop.domain.conversation import Conversation, Rating, Role
from allie_desktop.domain.planning import Message


class ReplyState(str, Enum):
    """How far a message is. What a person wrote is DONE, or UNANSWERED when no reply came of it."""

    DONE = "done"
    WAITING = "waiting"  # no text yet
    WRITING = "writing"
    STOPPED = "stopped"  # by the person; what is there counts
    SHORTENED = "shortened"  # the context or a limit ended it
    FAILED = "failed"
    UNANSWERED = "unanswered"


_STOPPED_NOTE = "You stopped this answer."
_SHORTENED_NOTE = "The answer was cut off at its longest."

#: What a stored turn's reason to end says later.
_NOTES = {"cancelled": _STOPPED_NOTE, "length": _SHORTENED_NOTE, "time": _SHORTENED_NOTE}

BUSY = frozenset({ReplyState.WAITING, ReplyState.WRITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message of the transcript. ``note`` is a sentence about it (why it failed)."""

    role: Role
    text: str
    state: ReplyState = ReplyState.DONE
    rating: Rating | None = None
    correction: str | None = None
    version: str = ""
    response_id: str = ""
    note: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is part of the conversation, so that it is sent and stored."""
        if self.role is Role.ASSISTANT:
            return bool(self.text) and self.state not in BUSY
        return self.state is not ReplyState.UNANSWERED

    @property
    def shown_text(self) -> str:
        """What the message says now: the correction where there is one."""
        return self.correction or self.text


class Dialogue:
    """Entries and the rules between them; no input, no output. Places count all entries from 0."""

    def __init__(self, conversation_id: str, entries: Sequence[Entry] = ()) -> None:
        self.conversation_id = conversation_id
        self.entries: list[Entry] = list(entries)
        self._replaced: Entry | None = None  # the reply that is being made again

    @classmethod
    def of(cls, conversation: Conversation) -> Dialogue:
        """Return a stored conversation."""
        entries = [
            Entry(
                role=turn.role,
                text=turn.content,
                rating=turn.rating,
                correction=turn.correction,
                version=str(turn.extra.get("version") or ""),
                response_id=str(turn.extra.get("response_id") or ""),
                note=_NOTES.get(str(turn.extra.get("finish")), ""),
            )
            for turn in conversation.turns
        ]
        return cls(conversation.id, entries)

    @property
    def is_busy(self) -> bool:
        """Whether a reply is on its way."""
        return bool(self.entries) and self.entries[-1].state in BUSY

    @property
    def unanswered(self) -> str:
        """The question that has no complete reply yet; empty when there is none."""
        if len(self.entries) < 2 or self._replaced is not None:
            return ""
        question, reply = self.entries[-2:]
        if reply.role is Role.ASSISTANT and (reply.state in BUSY or reply.state is ReplyState.FAILED):
            return question.text
        return ""

    def turn(self, place: int) -> int | None:
        """Return the stored turn that an entry is, None when it is not stored."""
        if not self.entries[place].counts:
            return None
        return sum(entry.counts for entry in self.entries[:place])

    def last_reply(self) -> int | None:
        """Return the place of the newest reply that has a text."""
        for place in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[place]
            if entry.role is Role.ASSISTANT and entry.text:
                return place
        return None

    def ask(self, text: str) -> None:
        """Add a question and the reply that is to come."""
        if self.entries and not self.entries[-1].text and self.entries[-1].role is Role.ASSISTANT:
            # No word of a reply came: the question before is shown, and not sent again.
            last = self.entries[-1]
            self.entries[-1] = replace(last, note=last.note or "Not answered.")
            self.entries[-2] = replace(self.entries[-2], state=ReplyState.UNANSWERED)
        self.entries.append(Entry(role=Role.USER, text=text))
        self.entries.append(Entry(role=Role.ASSISTANT, text="", state=ReplyState.WAITING))
        self._replaced = None

    def can_ask_again(self) -> bool:
        """Whether the last reply may be made once more."""
        return (
            len(self.entries) >= 2
            and self.entries[-1].role is Role.ASSISTANT
            and self.entries[-2].role is Role.USER
            and not self.is_busy
        )

    def ask_again(self) -> None:
        """Make the last reply once more; a reply that was complete comes back when that fails."""
        last = self.entries[-1]
        self._replaced = last if last.text and last.state is not ReplyState.FAILED else None
        self.entries[-1] = Entry(role=Role.ASSISTANT, text="", state=ReplyState.WAITING)

    def request(self) -> tuple[Message, ...]:
        """Return what to send: everything that counts up to the question."""
        return tuple(Message(role=e.role, content=e.shown_text) for e in self.entries[:-1] if e.counts)

    def answered_by(self, version: str) -> None:
        """Note who is answering."""
        self._change(version=version)

    def more(self, text: str, response_id: str = "") -> None:
        """Add a piece of the reply."""
        last = self.entries[-1]
        self._change(
            text=last.text + text, state=ReplyState.WRITING, response_id=response_id or last.response_id
        )

    def end(self, reason: str = "stop") -> None:
        """The reply is complete."""
        if not self.entries[-1].text:
            self.fail("Allie gave an empty answer.")
            return
        shortened = reason in {"length", "time"}
        note = _SHORTENED_NOTE if shortened else ""
        self._change(state=ReplyState.SHORTENED if shortened else ReplyState.DONE, note=note)
        self._replaced = None

    def stop(self) -> None:
        """The person stopped the reply; an earlier one comes back when there was nothing of it yet."""
        if not self.entries[-1].text and self._replaced is not None:
            self.entries[-1] = self._replaced
        else:
            self._change(state=ReplyState.STOPPED, note=_STOPPED_NOTE)
        self._replaced = None

    def fail(self, sentence: str) -> None:
        """The reply broke off; what came of it stays, or what it was to replace."""
        if not self.entries[-1].text and self._replaced is not None:
            self.entries[-1] = replace(self._replaced, note=sentence)
        else:
            self._change(state=ReplyState.FAILED, note=sentence)
        self._replaced = None

    def rate(self, place: int, rating: Rating | None) -> None:
        """Set or clear a rating."""
        self.entries[place] = replace(self.entries[place], rating=rating)

    def correct(self, place: int, correction: str | None) -> None:
        """Set or take back a correction."""
        self.entries[place] = replace(self.entries[place], correction=correction or None)

    def _change(self, **values: object) -> None:
        self.entries[-1] = replace(self.entries[-1], **values)  # type: ignore[arg-type]

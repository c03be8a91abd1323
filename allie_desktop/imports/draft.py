"""What a format found in one record, and the rules that every import shares."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import msgspec

from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Role,
    Turn,
    content_hash,
)
from allie_desktop.imports.records import UnusableError

#: More messages than any conversation has; a longer one is refused.
MAXIMUM_TURNS = 20_000
MAXIMUM_ID_CHARACTERS = 256
MAXIMUM_TITLE_CHARACTERS = 1_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NEVER_BEFORE = datetime(1990, 1, 1, tzinfo=timezone.utc)
_CLOCKS_DIFFER = timedelta(days=1)
_SECONDS_END = 1e11  # the year 5138 in seconds, 1973 in milliseconds
_MILLISECONDS_END = 1e14


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A conversation as its source tells it; ``id``, ``created_at`` and ``title`` may still be anything."""

    source: str
    turns: Sequence[Turn]
    id: object = None
    created_at: object = None
    title: object = None
    extra: Mapping[str, object] = field(default_factory=dict)


def finished(draft: Draft, *, otherwise_created_at: datetime) -> Conversation:
    """Return the conversation of ``draft``, or raise :class:`UnusableError` with the reason.

    It must have at least one message of the person and one answer: nothing else can be learnt from.
    NUL characters are removed, halves of surrogate pairs become U+FFFD. An id that cannot be used is
    made from the content, so that the same file gives the same ids; a date that cannot be used
    (not a date, before 1990, in the future) is ``otherwise_created_at``.
    """
    if not draft.turns:
        raise UnusableError("It has no messages with text.")
    if len(draft.turns) > MAXIMUM_TURNS:
        raise UnusableError(f"It has more than {MAXIMUM_TURNS:,} messages.")
    turns = tuple(_finished_turn(number, turn) for number, turn in enumerate(draft.turns, 1))
    if not any(turn.role is Role.USER and turn.content.strip() for turn in turns):
        raise UnusableError("It has no message from the person.")
    if not any(turn.role is Role.ASSISTANT and (turn.correction or turn.content.strip()) for turn in turns):
        raise UnusableError("It has no answer from the assistant.")
    return Conversation(
        id=identifier(draft.id) or content_hash(turns)[:32],
        created_at=moment(draft.created_at) or otherwise_created_at,
        source=draft.source,
        turns=turns,
        title=titled(draft.title),
        extra=draft.extra,
    )


def _finished_turn(number: int, turn: Turn) -> Turn:
    content = cleaned(turn.content)
    correction = None if turn.correction is None else cleaned(turn.correction)
    if max(len(content), len(correction or "")) > MAXIMUM_TURN_CHARACTERS:
        raise UnusableError(f"Message {number} is longer than {MAXIMUM_TURN_CHARACTERS:,} characters.")
    if content is turn.content and correction is turn.correction:
        return turn
    return replace(turn, content=content, correction=correction)


def cleaned(text: str) -> str:
    """Return ``text`` as UTF-8 and SQLite can hold it; the very same object when it already is."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii() and _SURROGATE.search(text):
        text = _SURROGATE.sub("\ufffd", text)
    return text


def identifier(value: object) -> str | None:
    """Return the id that a source gave, or None when it gave none that can be used."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 1 << 64 else None
    if not isinstance(value, str) or not 0 < len(value) <= MAXIMUM_ID_CHARACTERS or not value.strip():
        return None
    return None if _CONTROL.search(value) or _SURROGATE.search(value) else value


def titled(value: object) -> str | None:
    """Return a title, cut to a sane length; None when there is none."""
    if not isinstance(value, str) or not value.strip():
        return None
    return cleaned(value)[:MAXIMUM_TITLE_CHARACTERS]


def moment(value: object) -> datetime | None:
    """Return an aware UTC time for ISO-8601 text or seconds, milliseconds or microseconds since 1970.

    Text without a zone counts as UTC. None when it is no time, or one that cannot be: before 1990 or
    more than a day ahead of the clock.
    """
    try:
        found = _moment(value)
        if found is None or not _NEVER_BEFORE <= found <= datetime.now(timezone.utc) + _CLOCKS_DIFFER:
            return None
    except (ValueError, OverflowError, OSError, msgspec.MsgspecError):
        return None
    return found


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        text = value.strip()
        try:
            value = msgspec.convert(text, datetime)
        except msgspec.ValidationError:
            value = datetime.fromisoformat(text)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        seconds = float(value)
        if not math.isfinite(seconds):
            return None
        if seconds >= _MILLISECONDS_END:
            seconds /= 1e6
        elif seconds >= _SECONDS_END:
            seconds /= 1e3
        return datetime.fromtimestamp(seconds, timezone.utc)
    return None


def coherent(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns of another program as an exchange that can be learnt from.

    Blank messages go. A blank message of the person is one whose content was not text (a picture, a
    recording): the answers to it go too, since nobody could give them without it. Neighbours in the
    same role, such as the text before and after the call of a tool, become one message.
    """
    kept: list[Turn] = []
    question_is_lost = False
    for turn in turns:
        if turn.role is Role.USER:
            question_is_lost = not turn.content.strip()
        if not (turn.content.strip() or turn.correction) or (
            question_is_lost and turn.role is Role.ASSISTANT
        ):
            continue
        if kept and kept[-1].role is turn.role:
            kept[-1] = _merged(kept[-1], turn)
        else:
            kept.append(turn)
    return kept


def _merged(first: Turn, second: Turn) -> Turn:
    correction = None
    if first.correction is not None or second.correction is not None:
        correction = _paragraphs(first.correction or first.content, second.correction or second.content)
    return Turn(
        role=first.role,
        content=_paragraphs(first.content, second.content),
        rating=first.rating if second.rating is None else second.rating,
        correction=correction,
        extra={**first.extra, **second.extra},
    )


def _paragraphs(first: str, second: str) -> str:
    return f"{first}\n\n{second}" if first and second else first or second

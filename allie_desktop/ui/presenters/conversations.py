"""Conversations, sources and topics as the privacy page lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import moment_words

#: What sources are called; others are shown by their own name.
SOURCE_WORDS = {
    "chat": "Chat window",
    "api": "Other programs",
    "chatgpt": "ChatGPT",
    "claude": "Claude",
    "openwebui": "Open WebUI",
    "jan": "Jan",
    "lmstudio": "LM Studio",
    "llm": "llm (command line)",
    "sharegpt": "ShareGPT",
    "openai": "OpenAI messages",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A source or a topic with its conversations. ``learnt_from`` is False for one that is left out."""

    key: str
    title: str
    count: int
    learnt_from: bool


def cells(row: ConversationRow, now: datetime) -> tuple[str, str, str, str, str]:
    """Return title, source, date, quality and fate of a conversation."""
    title = " ".join(row.title.split()) or translate("Conversations", "(no title)")
    return title, source_words(row.source), moment_words(row.created_at, now), f"{row.score:.2f}", fate(row)


def fate(row: ConversationRow) -> str:
    """Return what becomes of it as material."""
    if row.excluded:
        return translate("Conversations", "Left out")
    if row.learned:
        return translate("Conversations", "Learnt")
    return (
        translate("Conversations", "New") if row.eligible else translate("Conversations", "Not good enough")
    )


def source_words(source: str) -> str:
    """Return what a source is called."""
    known = SOURCE_WORDS.get(source)
    return translate("Conversations", known) if known else source or translate("Conversations", "unknown")


def topic_words(topic: str) -> str:
    """Return what a topic is called."""
    if topic.startswith("other-"):
        return translate("Conversations", "Other ({letter})").format(
            letter=topic.removeprefix("other-").upper()
        )
    return topic[:1].upper() + topic[1:] if topic else translate("Conversations", "No topic")


def kinds(counts: Mapping[str, int], left_out: tuple[str, ...], *, of_sources: bool) -> tuple[Kind, ...]:
    """Return sources or topics, the largest first; those left out are listed even when they are empty."""
    words = source_words if of_sources else topic_words
    known = {**dict.fromkeys(left_out, 0), **counts}
    made = [
        Kind(key=key, title=words(key), count=n, learnt_from=key not in left_out) for key, n in known.items()
    ]
    return tuple(sorted(made, key=lambda kind: (-kind.count, kind.title.casefold())))


def with_left_out(left_out: tuple[str, ...], key: str, *, learnt_from: bool) -> tuple[str, ...]:
    """Return the list of what is left out after a switch was turned."""
    rest = tuple(one for one in left_out if one != key)
    return rest if learnt_from else (*rest, key)

"""Allie's own form: JSON Lines, one conversation a line; the only form that is also written.

``{"id"?, "created_at"?, "source"?, "title"?, "messages": [{"role", "content", "rating"?, "correction"?}]}``;
keys that Allie does not know are kept in ``extra`` and written again. It alone may name its source, even
"chat" and "api": what Allie exported is taken back as what it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from allie_desktop.domain.conversation import Conversation, Turn
from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft, cleaned
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.lmstudio import LmStudioImporter
from allie_desktop.imports.messages import turns_of, unknown_keys
from allie_desktop.imports.openai_messages import OpenAiImporter
from allie_desktop.imports.openwebui import OpenWebUiImporter
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.records import UnusableError

#: The source of a conversation whose line names none.
DEFAULT_SOURCE = "import"

_MAXIMUM_SOURCE_CHARACTERS = 64
_OTHER_FORMS: tuple[JsonImporter, ...] = (OpenAiImporter(), LmStudioImporter(), OpenWebUiImporter())
_KNOWN_KEYS = frozenset({"id", "created_at", "source", "title", "messages"})


class NativeImporter(JsonImporter):
    """Reads Allie's own JSON Lines."""

    name = "native"

    def recognises(self, outline: Outline) -> bool:
        """Whether there are messages, in none of the other forms that have some."""
        return outline.has(1, "messages") and not any(form.recognises(outline) for form in _OTHER_FORMS)

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the conversation of one line; keys of a wrong type are refused, dates excepted."""
        del document
        title, given_id = record.get("title"), record.get("id")
        if title is not None and not isinstance(title, str):
            raise UnusableError("Its title is not text.")
        if given_id is not None and (isinstance(given_id, bool) or not isinstance(given_id, (str, int))):
            raise UnusableError("Its id is not text.")
        return Draft(
            id=given_id,
            created_at=record.get("created_at"),
            source=_source(record.get("source")),
            title=title,
            turns=turns_of(record.get("messages"), keep_extra=True),
            extra=unknown_keys(record, _KNOWN_KEYS, "It"),
        )


def _source(value: object) -> str:
    if value is None:
        return DEFAULT_SOURCE
    if not isinstance(value, str) or not value.isprintable():
        raise UnusableError("Its source is not a word, such as chat or import.")
    if len(value) > _MAXIMUM_SOURCE_CHARACTERS:
        raise UnusableError(f"Its source is longer than {_MAXIMUM_SOURCE_CHARACTERS} characters.")
    return value.strip() or DEFAULT_SOURCE


def to_native_line(conversation: Conversation) -> str:
    """Return a conversation as one line of the native form, without the line feed.

    Reading it gives the conversation again. Values in ``extra`` that JSON does not have are written as
    text; a key there that the form itself uses gives way to the form.
    """
    record: dict[str, object] = {
        **conversation.extra,
        "id": conversation.id,
        "created_at": conversation.created_at.isoformat(),
        "source": conversation.source,
    }
    if conversation.title is not None:
        record["title"] = conversation.title
    record["messages"] = [_message(turn) for turn in conversation.turns]
    return cleaned(json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str))


def _message(turn: Turn) -> dict[str, object]:
    message: dict[str, object] = {**turn.extra, "role": turn.role.value, "content": turn.content}
    if turn.rating is not None:
        message["rating"] = turn.rating
    if turn.correction is not None:
        message["correction"] = turn.correction
    return message

"""ShareGPT and the data sets made in its likeness, as a JSON array or JSON Lines.

``{"id"?, "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}``; some
say ``conversation`` or ``items``, and ``role`` and ``content``.
"""

from __future__ import annotations

from collections.abc import Mapping

from allie_desktop.domain.conversation import Role, Turn
from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft, coherent
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.records import UnusableError

SOURCE = "sharegpt"

_LISTS = ("conversations", "conversation", "items")
_SPEAKERS: Mapping[str, Role | None] = {
    "human": Role.USER,
    "user": Role.USER,
    "prompter": Role.USER,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "bot": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "ai": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
    "gemini": Role.ASSISTANT,
    "claude": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "tool": None,
    "function": None,
    "function_call": None,
    "function_response": None,
    "observation": None,
}


class ShareGptImporter(JsonImporter):
    """Reads ShareGPT records."""

    name = "sharegpt"

    def recognises(self, outline: Outline) -> bool:
        """Whether there is a list of utterances with a speaker and a text."""
        return (
            outline.has(1, *_LISTS) and outline.has(2, "from", "role") and outline.has(2, "value", "content")
        )

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the conversation of one record. Calls and results of tools are left out."""
        del document
        utterances = next((record[key] for key in _LISTS if record.get(key) is not None), None)
        if not isinstance(utterances, list):
            raise UnusableError("It has no list of `conversations`.")
        turns: list[Turn] = []
        left_out = False
        for number, utterance in enumerate(utterances, 1):
            if not isinstance(utterance, dict):
                raise UnusableError(f"Message {number} is not an object.")
            role = _role(number, utterance.get("from", utterance.get("role")))
            if role is None:
                left_out = True
                continue
            text = utterance.get("value", utterance.get("content"))
            if text is None:
                raise UnusableError(f"Message {number} has no value.")
            if not isinstance(text, str):
                raise UnusableError(f"Message {number} has a value that is not text.")
            turns.append(Turn(role=role, content=text))
        return Draft(
            id=record.get("id"),
            created_at=record.get("created_at") or record.get("create_time"),
            source=SOURCE,
            title=record.get("title"),
            turns=coherent(turns) if left_out else turns,
        )


def _role(number: int, speaker: object) -> Role | None:
    name = speaker.strip().lower() if isinstance(speaker, str) else None
    if name is None:
        raise UnusableError(f"Message {number} does not say whom it is from.")
    if name not in _SPEAKERS:
        raise UnusableError(f"Message {number} is from “{name[:40]}”; it should be human, gpt or system.")
    return _SPEAKERS[name]

"""OpenAI's chat form, one conversation a line: ``{"messages": [{"role", "content"}, ...]}``.

As used for fine-tuning and in many data sets. Content may be a list of parts, of which the texts count;
``developer`` is ``system``; messages and calls of tools are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.messages import turns_of
from allie_desktop.imports.outline import Outline

SOURCE = "openai"

#: Every key that the form knows. A text with any other is in the native form, which keeps unknown keys.
_RECORD_KEYS = frozenset(
    "messages model tools tool_choice functions function_call parallel_tool_calls response_format"
    " temperature top_p max_tokens max_completion_tokens n seed stop stream".split()
)
_MESSAGE_KEYS = frozenset(
    "role content name tool_calls tool_call_id function_call refusal audio annotations weight"
    " reasoning_content type text image_url input_audio file function id arguments description parameters"
    " strict".split()
)


class OpenAiImporter(JsonImporter):
    """Reads OpenAI messages. Ratings, corrections, ids and titles that stand in them count too."""

    name = "openai"

    def recognises(self, outline: Outline) -> bool:
        """Whether there are messages and nothing that the form does not know."""
        return (
            outline.has(1, "messages")
            and outline.keys(1) <= _RECORD_KEYS
            and outline.keys(2) <= _MESSAGE_KEYS
        )

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the conversation of one line."""
        del document
        return Draft(
            id=record.get("id"),
            created_at=record.get("created_at") or record.get("created"),
            source=SOURCE,
            title=record.get("title"),
            turns=turns_of(record.get("messages"), keep_extra=False),
        )

"""The conversations of LM Studio: one ``*.conversation.json`` a chat, in folders below
``~/.lmstudio/conversations`` (``~/.cache/lm-studio/conversations`` in old versions).

LM Studio names the place and not the form; the form is what several independent readers and writers of
these files agree on (seen up to version 0.4). Each message has ``versions``, of which
``currentlySelected`` is shown: one step with ``content``, or several ``steps`` with blocks of content.
Thoughts, tools and files are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from allie_desktop.domain.conversation import Role, Turn
from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft, coherent
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.reasoning import without_reasoning
from allie_desktop.imports.records import UnusableError

SOURCE = "lmstudio"

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_SUFFIX = ".conversation.json"
_SYSTEM_PROMPT = "llm.prediction.systemPrompt"


class LmStudioImporter(JsonImporter):
    """Reads LM Studio's conversation files, one or a folder of them."""

    name = "lmstudio"
    files = re.compile(r"(?!\._).+\.conversation\.json", re.IGNORECASE)
    own_files = files
    deep = True

    def recognises(self, outline: Outline) -> bool:
        """Whether messages have versions; a chat without messages is told by its settings."""
        return outline.has(1, "messages") and (
            outline.has(2, "versions", "currentlySelected")
            or outline.has(1, "usePerChatPredictionConfig", "perChatPredictionConfig")
        )

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the shown versions of one chat. Its id is the name of its file, as in LM Studio."""
        messages = record.get("messages")
        if not isinstance(messages, list):
            raise UnusableError("It has no list of `messages`.")
        stem = document.name[: -len(_SUFFIX)] if document.name.lower().endswith(_SUFFIX) else ""
        return Draft(
            id=f"lmstudio-{stem}" if stem else None,
            created_at=record.get("createdAt"),
            source=SOURCE,
            title=record.get("name"),
            turns=coherent([*_system(record), *_turns(messages)]),
        )


def _system(record: Mapping[str, object]) -> Iterator[Turn]:
    settings = record.get("perChatPredictionConfig")
    fields = settings.get("fields") if isinstance(settings, dict) else None
    prompts = [
        field.get("value")
        for field in (fields if isinstance(fields, list) else ())
        if isinstance(field, dict) and field.get("key") == _SYSTEM_PROMPT
    ]
    for prompt in (*prompts, record.get("systemPrompt")):
        if isinstance(prompt, str) and prompt.strip():
            yield Turn(role=Role.SYSTEM, content=prompt)
            return


def _turns(messages: list[object]) -> Iterator[Turn]:
    for message in messages:
        version = _shown_version(message)
        role_name = version.get("role")
        role = _ROLES.get(role_name) if isinstance(role_name, str) else None
        if role is not None:
            text = "\n\n".join(text for text in _texts(version) if text.strip())
            yield Turn(role=role, content=without_reasoning(text) if role is Role.ASSISTANT else text)


def _shown_version(message: object) -> Mapping[str, object]:
    if not isinstance(message, dict):
        return {}
    versions = message.get("versions")
    if not isinstance(versions, list) or not versions:
        return {}
    chosen = message.get("currentlySelected")
    index = chosen if isinstance(chosen, int) and 0 <= chosen < len(versions) else 0
    version = versions[index]
    return version if isinstance(version, dict) else {}


def _texts(version: Mapping[str, object]) -> Iterator[str]:
    yield _joined(version.get("content"))
    steps = version.get("steps")
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, dict) or step.get("type") != "contentBlock":
            continue
        style = step.get("style")
        if not (isinstance(style, dict) and style.get("type") == "thinking"):
            yield _joined(step.get("content"))


def _joined(content: object) -> str:
    """Return the text of a block; with a draft model it comes in fragments that belong together."""
    if isinstance(content, str):
        return content
    return "".join(
        part["text"]
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
        and not part.get("isStructural")
    )

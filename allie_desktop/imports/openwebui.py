"""The export of Open WebUI: an array of chats, each a tree of messages in ``chat.history``.

``history.currentId`` names the leaf of the branch that is shown. A thumb is ``annotation.rating``. An
answer that the person rewrote keeps what the model said in ``originalContent``: the rewriting is a
correction, the best material there is. Reasoning and tools, which stand in the text as ``<details>``
blocks, are taken out. The system prompt of the chat counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allie_desktop.domain.conversation import Rating, Role, Turn
from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft, coherent
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.message_tree import Node, chosen_branch
from allie_desktop.imports.messages import thumb
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.reasoning import without_reasoning
from allie_desktop.imports.records import UnusableError

SOURCE = "openwebui"

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


class OpenWebUiImporter(JsonImporter):
    """Reads Open WebUI's export of one chat or of all."""

    name = "openwebui"

    def recognises(self, outline: Outline) -> bool:
        """Whether records hold a chat with a history, or, as old exports do, the history itself."""
        return (outline.has(1, "chat") and outline.has(2, "history", "messages", "models")) or (
            outline.has(1, "history") and outline.has(2, "currentId", "messages")
        )

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the shown branch of one chat."""
        del document
        chat = record.get("chat", record)
        if not isinstance(chat, dict):
            raise UnusableError("Its chat is not an object.")
        return Draft(
            id=record.get("id") or chat.get("id"),
            created_at=record.get("created_at") or chat.get("timestamp"),
            source=SOURCE,
            title=record.get("title") or chat.get("title"),
            turns=coherent([*_system(chat), *_turns(_messages(chat))]),
        )


def _messages(chat: Node) -> list[Node]:
    history = chat.get("history")
    nodes = history.get("messages") if isinstance(history, dict) else None
    if isinstance(history, dict) and isinstance(nodes, dict) and nodes:
        return chosen_branch(
            nodes,
            history.get("currentId"),
            parent_of=lambda node: node.get("parentId"),
            newest=lambda: next(reversed(nodes)),
        )
    messages = chat.get("messages")
    if not isinstance(messages, list):
        raise UnusableError("It has no list of messages.")
    return [message for message in messages if isinstance(message, dict)]


def _system(chat: Node) -> Iterator[Turn]:
    params = chat.get("params")
    for prompt in (params.get("system") if isinstance(params, dict) else None, chat.get("system")):
        if isinstance(prompt, str) and prompt.strip():
            yield Turn(role=Role.SYSTEM, content=prompt)
            return


def _turns(messages: list[Node]) -> Iterator[Turn]:
    for message in messages:
        role_name = message.get("role")
        role = _ROLES.get(role_name) if isinstance(role_name, str) else None
        if role is None:
            continue
        text = _text(message)
        if role is not Role.ASSISTANT:
            yield Turn(role=role, content=text)
            continue
        text = without_reasoning(text)
        original = message.get("originalContent")
        before = without_reasoning(original) if isinstance(original, str) else ""
        was_edited = before.strip() and text.strip() and before.strip() != text.strip()
        yield Turn(
            role=role,
            content=before if was_edited else text,
            correction=text if was_edited else None,
            rating=_rating(message),
        )


def _text(message: Node) -> str:
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        return content
    if isinstance(content, list):  # as it was sent to a model that takes pictures
        return "\n".join(_part_texts(content))
    output = message.get("output")  # newer versions keep the items of the Responses API here
    if not isinstance(output, list):
        return ""
    return "\n\n".join(
        text
        for item in output
        if isinstance(item, dict) and item.get("type") == "message"
        for text in _part_texts(item.get("content"))
    )


def _part_texts(parts: object) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"].strip():
            yield part["text"]


def _rating(message: Node) -> Rating | None:
    annotation = message.get("annotation")
    value = annotation.get("rating") if isinstance(annotation, dict) else message.get("rating")
    if isinstance(value, str) and value.strip() in ("1", "-1"):
        value = int(value)
    return thumb(value)

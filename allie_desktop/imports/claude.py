"""The export of Claude: ``conversations.json``, an array with ``chat_messages``, or the zip it comes in.

A message's text stands in its ``content`` blocks of type text (its ``text`` shows stand-ins for what the
reader could not show); thinking and tools are left out. Pasted texts are attachments with
``extracted_content`` and belong to the message. Messages name their parents: where there are branches, the
newest one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from allie_desktop.domain.conversation import Role, Turn
from allie_desktop.imports.document import Document
from allie_desktop.imports.draft import Draft, coherent
from allie_desktop.imports.json_importer import JsonImporter
from allie_desktop.imports.message_tree import Node, chosen_branch
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.records import UnusableError

SOURCE = "claude"

_SENDERS = {"human": Role.USER, "user": Role.USER, "assistant": Role.ASSISTANT}
_NO_PARENT = "00000000-0000-4000-8000-000000000000"


class ClaudeImporter(JsonImporter):
    """Reads Claude's export."""

    name = "claude"
    own_files = re.compile(r"conversations(?:[-_]\d+)?\.json", re.IGNORECASE)

    def recognises(self, outline: Outline) -> bool:
        """Whether records hold chat messages."""
        return outline.has(1, "chat_messages")

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return one conversation."""
        del document
        messages = record.get("chat_messages")
        if not isinstance(messages, list):
            raise UnusableError("It has no list of `chat_messages`.")
        return Draft(
            id=record.get("uuid"),
            created_at=record.get("created_at"),
            source=SOURCE,
            title=record.get("name"),
            turns=coherent(_turns(_in_order(messages, record.get("current_leaf_message_uuid")))),
        )


def _in_order(messages: list[object], chosen_leaf: object) -> list[Node]:
    """Return the messages of the chosen branch, or all as they stand when they do not tell their parents."""
    nodes = [message for message in messages if isinstance(message, dict)]
    by_id = {node["uuid"]: node for node in nodes if isinstance(node.get("uuid"), str)}
    roots = [node for node in nodes if node.get("parent_message_uuid") in (None, "", _NO_PARENT)]
    known = [node for node in nodes if _parent(node) in by_id]
    if len(by_id) != len(nodes) or len(roots) + len(known) != len(nodes) or not known:
        return list(nodes)
    return chosen_branch(by_id, chosen_leaf, parent_of=_parent, newest=lambda: nodes[-1]["uuid"])


def _parent(node: Node) -> str | None:
    parent = node.get("parent_message_uuid")
    return parent if isinstance(parent, str) and parent != _NO_PARENT else None


def _turns(messages: list[Node]) -> Iterator[Turn]:
    for message in messages:
        sender = message.get("sender")
        role = _SENDERS.get(sender) if isinstance(sender, str) else None
        if role is not None:
            yield Turn(role=role, content=_text(message))


def _text(message: Node) -> str:
    texts = [
        block["text"]
        for block in _objects(message.get("content"))
        if block.get("type") == "text" and isinstance(block.get("text"), str) and block["text"].strip()
    ]
    whole = message.get("text")
    if not texts and isinstance(whole, str) and whole.strip():
        texts = [whole]
    texts += [
        attachment["extracted_content"]
        for attachment in _objects(message.get("attachments"))
        if isinstance(attachment.get("extracted_content"), str) and attachment["extracted_content"].strip()
    ]
    return "\n\n".join(texts)


def _objects(value: object) -> Iterator[dict[str, str]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))

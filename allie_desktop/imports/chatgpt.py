"""The export of ChatGPT: ``conversations.json``, since 2026 several ``conversations-000.json``, or their zip.

A conversation is a tree in ``mapping``; ``current_node`` names the leaf of the branch that the person last
saw. Only what the app shows counts: no hidden or weightless messages, no reasoning, and no tools with what
is said to them. Marks of citations are taken out of the texts. The thumbs in ``message_feedback.json``
name a conversation and not a message, so they are not taken over.
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

SOURCE = "chatgpt"

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_UNSHOWN_CHANNELS = ("analysis", "commentary")
_CITATION = re.compile("\ue200[^\ue201]{0,2000}\ue201|[\ue200-\ue206]|【\\d+[†:][^】]{0,200}】")


class ChatGptImporter(JsonImporter):
    """Reads ChatGPT's export."""

    name = "chatgpt"
    own_files = re.compile(r"conversations(?:[-_]\d+)?\.json", re.IGNORECASE)

    def recognises(self, outline: Outline) -> bool:
        """Whether records hold a mapping of messages."""
        return outline.has(1, "mapping")

    def draft(self, record: Mapping[str, object], document: Document) -> Draft:
        """Return the chosen branch of one conversation."""
        del document
        mapping = record.get("mapping")
        if not isinstance(mapping, dict):
            raise UnusableError("It has no `mapping` of messages.")
        branch = chosen_branch(
            mapping,
            record.get("current_node"),
            parent_of=lambda node: node.get("parent"),
            newest=lambda: _newest_leaf(mapping),
        )
        return Draft(
            id=record.get("conversation_id") or record.get("id"),
            created_at=record.get("create_time"),
            source=SOURCE,
            title=record.get("title"),
            turns=coherent(_turns(branch)),
        )


def _turns(branch: list[Node]) -> Iterator[Turn]:
    for node in branch:
        message = node.get("message")
        if not isinstance(message, dict):
            continue
        author = message.get("author")
        role_name = author.get("role") if isinstance(author, dict) else None
        role = _ROLES.get(role_name) if isinstance(role_name, str) else None
        if role is None or not _is_shown(message, role):
            continue
        text = _text(message.get("content"))
        if text is not None:
            yield Turn(role=role, content=text)


def _is_shown(message: Mapping[str, object], role: Role) -> bool:
    metadata = message.get("metadata")
    if isinstance(metadata, dict) and (
        metadata.get("is_visually_hidden_from_conversation") or metadata.get("is_user_system_message")
    ):
        return False
    if message.get("weight") == 0 or message.get("channel") in _UNSHOWN_CHANNELS:
        return False
    # An assistant message to anyone but "all" is the call of a tool.
    return role is not Role.ASSISTANT or message.get("recipient", "all") in ("all", None)


def _text(content: object) -> str | None:
    """Return the text of a content; empty when it is only pictures or sound, None when it is not shown."""
    if not isinstance(content, dict):
        return None
    kind = content.get("content_type")
    if kind in ("text", "multimodal_text"):
        parts = content.get("parts")
        texts = [_part_text(part) for part in parts] if isinstance(parts, list) else []
        return _CITATION.sub("", "\n".join(text for text in texts if text))
    if kind == "code":
        text, language = content.get("text"), content.get("language")
        if not isinstance(text, str) or not text.strip():
            return None
        return f"```{language if isinstance(language, str) and language != 'unknown' else ''}\n{text}\n```"
    return None


def _part_text(part: object) -> str:
    if isinstance(part, dict):
        part = part.get("text")  # the transcription of something said
    return part if isinstance(part, str) else ""


def _newest_leaf(mapping: Mapping[str, object]) -> str | None:
    """Return the leaf whose message is the newest; among equals the last."""
    newest, newest_time = None, float("-inf")
    for name, node in mapping.items():
        if not isinstance(node, dict) or node.get("children"):
            continue
        message = node.get("message")
        time = message.get("create_time") if isinstance(message, dict) else None
        seconds = float(time) if isinstance(time, (int, float)) and abs(time) < 1e18 else 0.0
        if seconds >= newest_time:
            newest, newest_time = name, seconds
    return newest

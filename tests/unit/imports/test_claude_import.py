"""The export of Claude."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime, timezone

import pytest

from allie_desktop.imports.registry import detect, read

ROOT = "00000000-0000-4000-8000-000000000000"


def message(sender: str, text: str, **keys: object) -> dict[str, object]:
    return {
        "uuid": f"m-{text}",
        "text": text,
        "content": [{"type": "text", "text": text}],
        "sender": sender,
        "created_at": "2024-03-01T10:00:00.123456Z",
        "attachments": [],
        "files": [],
        **keys,
    }


def conversation(*messages: object, **keys: object) -> dict[str, object]:
    return {
        "uuid": "u-1",
        "name": "Cats",
        "summary": "",
        "created_at": "2024-03-01T10:00:00.123456Z",
        "updated_at": "2024-03-01T10:05:00Z",
        "account": {"uuid": "acc"},
        "chat_messages": list(messages),
        **keys,
    }


SIMPLE = conversation(message("human", "a"), message("assistant", "b"))


def test_a_conversation_has_its_title_time_id_and_turns(importing):
    (found,) = importing([SIMPLE], "conversations.json").conversations
    assert (found.id, found.title, found.source) == ("u-1", "Cats", "claude")
    assert found.created_at == datetime(2024, 3, 1, 10, 0, 0, 123456, tzinfo=timezone.utc)
    assert [(turn.role.value, turn.content) for turn in found.turns] == [("user", "a"), ("assistant", "b")]


def test_only_texts_among_the_blocks_of_an_answer_count(importing):
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "name": "search", "input": {}},
        {"type": "tool_result", "content": [{"type": "text", "text": "found"}]},
        {"type": "text", "text": "Here it is."},
    ]
    shown = "Let me look.\n\n```\nThis block is not supported on your current device yet.\n```\n\nHere it is."
    outcome = importing([conversation(message("human", "a"), message("assistant", shown, content=blocks))])
    assert outcome.texts == [[("user", "a"), ("assistant", "Let me look.\n\nHere it is.")]]


def test_older_exports_without_blocks_are_read(importing):
    messages = [{"sender": "human", "text": "a"}, {"sender": "assistant", "text": "b"}]
    assert importing([conversation(*messages)]).texts == [[("user", "a"), ("assistant", "b")]]


def test_a_pasted_text_belongs_to_its_message(importing):
    pasted = message(
        "human", "Sum this up.", attachments=[{"file_name": "paste.txt", "extracted_content": "Long text"}]
    )
    assert importing([conversation(pasted, message("assistant", "b"))]).texts[0][0] == (
        "user",
        "Sum this up.\n\nLong text",
    )


def test_the_newest_of_several_branches_is_taken(importing):
    record = conversation(
        message("human", "a", parent_message_uuid=ROOT),
        message("assistant", "first", parent_message_uuid="m-a"),
        message("assistant", "second", parent_message_uuid="m-a"),
    )
    assert importing([record]).texts == [[("user", "a"), ("assistant", "second")]]
    chosen = {**record, "current_leaf_message_uuid": "m-first"}
    assert importing([chosen]).texts == [[("user", "a"), ("assistant", "first")]]


def test_messages_whose_parents_are_missing_stand_as_they_are(importing):
    record = conversation(
        message("human", "a", parent_message_uuid="gone"),
        message("assistant", "b", parent_message_uuid="m-a"),
    )
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (conversation(), "It has no messages with text."),
        ({**SIMPLE, "chat_messages": None}, "It has no list of `chat_messages`."),
        (conversation(5, None, ["x"]), "It has no messages with text."),
        (conversation({"sender": ["human"], "text": "a"}), "It has no messages with text."),
        (conversation(message("human", "a")), "It has no answer from the assistant."),
    ],
)
def test_bad_conversations_are_refused_in_words(importing, record, reason):
    outcome = importing([SIMPLE, record])
    assert outcome.reasons == [(1, f"Conversation 2: {reason}")]


def test_the_zip_is_claudes_and_not_chatgpts(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", "[]")
        archive.writestr("projects.json", json.dumps([{"uuid": "p", "name": "x", "docs": []}]))
        archive.writestr("conversations.json", json.dumps([SIMPLE]))
    assert detect(path).name == "claude"
    assert [found.id for found in read(path)] == ["u-1"]

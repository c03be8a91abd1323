"""The export of ChatGPT: the chosen branch, what is shown of it, and the files it comes in."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Refusal
from allie_desktop.imports.registry import detect, read


def message(role: str, *parts: object, **keys: object) -> dict[str, object]:
    return {
        "id": "m",
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": 1_700_000_000.5,
        "content": {"content_type": "text", "parts": list(parts)},
        "status": "finished_successfully",
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        **keys,
    }


def conversation(*messages: dict[str, object] | None, **keys: object) -> dict[str, object]:
    """A conversation without branches; nodes are n0, n1, ..."""
    mapping = {
        f"n{index}": {
            "id": f"n{index}",
            "message": each,
            "parent": f"n{index - 1}" if index else None,
            "children": [f"n{index + 1}"] if index + 1 < len(messages) else [],
        }
        for index, each in enumerate(messages)
    }
    return {
        "title": "Cats",
        "create_time": 1_700_000_000.25,
        "update_time": 1_700_000_100.0,
        "mapping": mapping,
        "current_node": f"n{len(messages) - 1}",
        "conversation_id": "6f1d",
        "id": "6f1d",
        **keys,
    }


SIMPLE = conversation(None, message("system", ""), message("user", "a"), message("assistant", "b"))


def test_a_conversation_has_its_title_time_id_and_turns(importing):
    (found,) = importing([SIMPLE], "conversations.json").conversations
    assert (found.id, found.title, found.source) == ("6f1d", "Cats", "chatgpt")
    assert found.created_at == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=timezone.utc)
    assert [(turn.role.value, turn.content) for turn in found.turns] == [("user", "a"), ("assistant", "b")]


def test_the_branch_that_the_person_last_saw_is_taken(importing):
    record = conversation(message("user", "a"), message("assistant", "first try"))
    record["mapping"]["n0"]["children"] = ["n1", "n2"]
    record["mapping"]["n2"] = {"message": message("assistant", "second try"), "parent": "n0", "children": []}
    assert importing([record]).texts == [[("user", "a"), ("assistant", "first try")]]
    assert importing([{**record, "current_node": "n2"}]).texts == [
        [("user", "a"), ("assistant", "second try")]
    ]


@pytest.mark.parametrize("current_node", [None, "gone", 5, ["n1"]])
def test_without_a_current_node_the_newest_leaf_is_taken(importing, current_node):
    record = conversation(message("user", "a"), message("assistant", "old"), current_node=current_node)
    newer = message("assistant", "new", create_time=1_800_000_000)
    record["mapping"] = {"x": {"message": newer, "parent": "n0", "children": []}, **record["mapping"]}
    assert importing([record]).texts == [[("user", "a"), ("assistant", "new")]]


def test_a_tree_that_bites_its_tail_ends(importing):
    record = conversation(message("user", "a"), message("assistant", "b"))
    record["mapping"]["n0"]["parent"] = "n1"
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


@pytest.mark.parametrize(
    "unshown",
    [
        message("system", "You are ChatGPT.", metadata={"is_visually_hidden_from_conversation": True}),
        message("system", "About me", metadata={"is_user_system_message": True}),
        message("user", "hidden", metadata={"is_visually_hidden_from_conversation": True}),
        message("user", content={"content_type": "user_editable_context", "user_profile": "I like cats"}),
        message("tool", "search results"),
        message("assistant", "search('cats')", recipient="browser"),
        message("assistant", content={"content_type": "code", "text": "print(1)"}, recipient="python"),
        message("assistant", "weightless", weight=0.0),
        message("assistant", "thinking", channel="analysis"),
        message("assistant", content={"content_type": "thoughts", "thoughts": []}),
        message("assistant", content={"content_type": "reasoning_recap", "content": "Thought for 3 s"}),
        message("tool", content={"content_type": "execution_output", "text": "1"}),
        message("assistant", content={"content_type": "tether_quote", "text": "quote"}),
        message("assistant", content=None),
        message("assistant", content={"content_type": "text", "parts": None}),
        message("assistant", content={"content_type": ["text"], "parts": ["x"]}),
        message("assistant", ""),
        message("assistant", recipient=["all"]),
        {"author": "assistant", "content": {"content_type": "text", "parts": ["x"]}},
        {"author": {"role": ["user"]}, "content": {"content_type": "text", "parts": ["x"]}},
        {"content": {}},
        None,
        "text",
    ],
)
def test_what_the_app_does_not_show_is_left_out(importing, unshown):
    record = conversation(message("user", "a"), unshown, message("assistant", "b"))
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


def test_code_that_is_an_answer_is_fenced(importing):
    code = message("assistant", content={"content_type": "code", "language": "python", "text": "print(1)"})
    assert importing([conversation(message("user", "a"), code)]).texts[0][1] == (
        "assistant",
        "```python\nprint(1)\n```",
    )


def test_texts_of_a_message_with_pictures_are_kept(importing):
    parts = [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}, "What is this?"]
    pictured = message("user", content={"content_type": "multimodal_text", "parts": parts})
    assert importing([conversation(pictured, message("assistant", "A cat."))]).texts == [
        [("user", "What is this?"), ("assistant", "A cat.")]
    ]


def test_an_answer_to_a_picture_alone_is_left_out(importing):
    parts = [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}]
    pictured = message("user", content={"content_type": "multimodal_text", "parts": parts})
    record = conversation(
        pictured, message("assistant", "A cat."), message("user", "a"), message("assistant", "b")
    )
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


def test_what_was_said_aloud_is_text(importing):
    parts = [
        {"content_type": "audio_transcription", "text": "Hello there"},
        {"content_type": "audio_asset_pointer"},
    ]
    spoken = message("user", content={"content_type": "multimodal_text", "parts": parts})
    assert importing([conversation(spoken, message("assistant", "b"))]).texts[0][0] == ("user", "Hello there")


def test_marks_of_citations_are_taken_out(importing):
    cited = message("assistant", "Cats sleep\ue200cite\ue202turn0search1\ue201 a lot【12†source】.")
    assert importing([conversation(message("user", "a"), cited)]).texts[0][1] == (
        "assistant",
        "Cats sleep a lot.",
    )


def test_what_stands_before_and_after_a_search_is_one_answer(importing):
    record = conversation(
        message("user", "a"),
        message("assistant", "Let me look."),
        message("assistant", "search('a')", recipient="web"),
        message("tool", "found"),
        message("assistant", "Here it is."),
    )
    assert importing([record]).texts == [[("user", "a"), ("assistant", "Let me look.\n\nHere it is.")]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (conversation(), "It has no messages with text."),
        ({**SIMPLE, "mapping": []}, "It has no `mapping` of messages."),
        ({**SIMPLE, "mapping": {"a": 5}}, "It has no messages with text."),
        (conversation(message("user", "a")), "It has no answer from the assistant."),
        (conversation(message("assistant", "b")), "It has no message from the person."),
        (
            conversation(message("user", "x" * 1_000_001), message("assistant", "b")),
            "Message 1 is longer than 1,000,000 characters.",
        ),
    ],
)
def test_bad_conversations_are_refused_and_the_others_read(importing, record, reason):
    outcome = importing([SIMPLE, record, SIMPLE])
    assert outcome.reasons == [(1, f"Conversation 2: {reason}")]
    assert len(outcome.conversations) == 2


def test_a_truncated_export_gives_what_came_before(importing):
    text = json.dumps([SIMPLE, {**SIMPLE, "id": "2"}], indent=1)
    outcome = importing(text[:-200])
    assert len(outcome.conversations) == 1
    assert [reason for _, reason in outcome.reasons] == ["Conversation 2: The file ends in the middle of it."]


def zipped(path: Path, members: dict[str, object], **keys: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content), **keys)
    return path


def numbered(*ids: str) -> list[dict[str, object]]:
    return [
        {
            **conversation(message("user", f"question {each}"), message("assistant", "b")),
            "conversation_id": each,
        }
        for each in ids
    ]


def ids(path: Path) -> list[str]:
    return [found.reason if isinstance(found, Refusal) else found.id for found in read(path)]


def test_the_zip_of_an_export_is_read_without_unpacking(tmp_path):
    path = zipped(
        tmp_path / "export.zip",
        {
            "user.json": {"email": "x@example.org"},
            "message_feedback.json": [{"id": "1", "rating": "thumbs_up"}],
            "chat.html": b"<html></html>",
            "conversations.json": numbered("1", "2"),
        },
    )
    before = sorted(tmp_path.iterdir())
    assert (detect(path).name, ids(path)) == ("chatgpt", ["1", "2"])
    assert sorted(tmp_path.iterdir()) == before


def test_the_numbered_files_of_newer_exports_are_read_in_order(tmp_path):
    path = zipped(
        tmp_path / "export.zip",
        {
            "x/conversations-010.json": numbered("4"),
            "x/conversations-002.json": numbered("3"),
            "x/conversations-000.json": numbered("1", "2"),
            "__MACOSX/x/._conversations-000.json": b"junk",
            "x/conversations-011.json": [],
        },
    )
    assert ids(path) == ["1", "2", "3", "4"]


def test_the_folder_of_an_unpacked_export_is_read(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "conversations-000.json").write_text(json.dumps(numbered("1")))
    (folder / "conversations-001.json").write_text(json.dumps(numbered("2")))
    (folder / "user.json").write_text("{}")
    assert (detect(folder).name, ids(folder)) == ("chatgpt", ["1", "2"])


def test_a_damaged_file_of_several_is_refused_and_the_others_read(tmp_path):
    path = zipped(
        tmp_path / "export.zip",
        {
            "conversations-000.json": numbered("1"),
            "conversations-001.json": b"\x00\x01",
            "conversations-002.json": numbered("3"),
        },
    )
    first, refusal, third = read(path)
    assert (first.id, third.id) == ("1", "3")
    assert (refusal.line, refusal.file) == (None, f"{path}/conversations-001.json")
    assert refusal.reason.startswith(f"{path}/conversations-001.json is not a text file.")


def test_names_that_lead_out_of_the_archive_are_only_names(tmp_path):
    path = zipped(
        tmp_path / "evil.zip",
        {"../../etc/conversations.json": numbered("1"), "/conversations.json": numbered("2")},
    )
    assert sorted(ids(path)) == ["1", "2"]
    assert [file.name for file in tmp_path.iterdir()] == ["evil.zip"]


def test_the_same_export_twice_gives_the_same_ids(tmp_path):
    record = {key: value for key, value in SIMPLE.items() if key not in {"id", "conversation_id"}}
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([record]))
    assert [found.id for found in read(path)] == [found.id for found in read(path)]


def test_bytes_in_a_zip_may_come_in_any_portions(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("conversations.json", json.dumps(numbered(*map(str, range(400)))))
    path = tmp_path / "stored.zip"
    path.write_bytes(buffer.getvalue())
    assert ids(path) == [str(number) for number in range(400)]

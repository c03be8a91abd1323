"""Open WebUI, LM Studio and Jan: what other programs on this computer keep."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Refusal, Role, Turn
from allie_desktop.imports.registry import detect, read

# ---- Open WebUI ---------------------------------------------------------------------------------------------


def chat(*messages: dict[str, object], **keys: object) -> dict[str, object]:
    nodes = {
        f"m{index}": {
            "id": f"m{index}",
            "parentId": f"m{index - 1}" if index else None,
            "childrenIds": [],
            **each,
        }
        for index, each in enumerate(messages)
    }
    history = {"messages": nodes, "currentId": f"m{len(messages) - 1}"}
    return {
        "id": "chat-1",
        "user_id": "me",
        "title": "Cats",
        "chat": {
            "title": "Cats",
            "models": ["llama"],
            "params": {},
            "history": history,
            "messages": [],
            **keys,
        },
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_100,
    }


def user(text: object) -> dict[str, object]:
    return {"role": "user", "content": text}


def answer(text: object, **keys: object) -> dict[str, object]:
    return {"role": "assistant", "content": text, "model": "llama", **keys}


def test_an_open_webui_chat_has_its_title_time_id_and_turns(importing):
    (found,) = importing([chat(user("a"), answer("b"))], "chat-export-1.json").conversations
    assert (found.id, found.title, found.source) == ("chat-1", "Cats", "openwebui")
    assert found.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert [(turn.role.value, turn.content) for turn in found.turns] == [("user", "a"), ("assistant", "b")]


def test_one_exported_chat_and_old_exports_are_read_too(importing):
    single = chat(user("a"), answer("b"))
    assert importing(single, "chat.json").texts == [[("user", "a"), ("assistant", "b")]]
    assert importing([single["chat"]], "old.json").texts == [[("user", "a"), ("assistant", "b")]]


def test_the_shown_branch_is_taken(importing):
    record = chat(user("a"), answer("first"))
    record["chat"]["history"]["messages"]["m2"] = {**answer("second"), "parentId": "m0"}
    assert importing([record]).texts == [[("user", "a"), ("assistant", "first")]]
    record["chat"]["history"]["currentId"] = "gone"
    assert importing([record]).texts == [[("user", "a"), ("assistant", "second")]]


@pytest.mark.parametrize(
    ("keys", "rating"),
    [
        ({"annotation": {"rating": 1, "tags": []}}, 1),
        ({"annotation": {"rating": -1}}, -1),
        ({"annotation": {"rating": "-1"}}, -1),
        ({"rating": 1}, 1),
        ({"annotation": {"rating": 7}}, None),
        ({"annotation": {"rating": ["1"]}}, None),
        ({"annotation": []}, None),
        ({}, None),
    ],
)
def test_a_thumb_is_a_rating(importing, keys, rating):
    (found,) = importing([chat(user("a"), answer("b", **keys))]).conversations
    assert found.turns[1].rating == rating


def test_a_rewritten_answer_is_a_correction(importing):
    (found,) = importing([chat(user("a"), answer("better", originalContent="worse"))]).conversations
    assert found.turns[1] == Turn(role=Role.ASSISTANT, content="worse", correction="better")


@pytest.mark.parametrize("original", ["b", " b\n", "", None, 5])
def test_an_answer_that_was_not_rewritten_has_no_correction(importing, original):
    (found,) = importing([chat(user("a"), answer("b", originalContent=original))]).conversations
    assert found.turns[1] == Turn(role=Role.ASSISTANT, content="b")


def test_reasoning_and_tools_in_the_text_are_taken_out(importing):
    text = (
        '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n> hm\n</details>\n'
        '<details type="tool_calls" done="true" id="c" result="&quot;x&quot;">\n<summary>Ran</summary>\n</details>\n'
        "The answer.\n<details><summary>More</summary>kept</details>"
    )
    assert importing([chat(user("a"), answer(text))]).texts[0][1] == (
        "assistant",
        "The answer.\n<details><summary>More</summary>kept</details>",
    )
    assert importing([chat(user("a"), answer("<think>hm</think>\n\nYes."))]).texts[0][1] == (
        "assistant",
        "Yes.",
    )


def test_text_in_the_items_of_newer_versions_is_found(importing):
    output = [
        {"type": "reasoning", "content": [{"type": "output_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
    ]
    assert importing([chat(user("a"), answer("", output=output))]).texts[0][1] == ("assistant", "Yes.")


def test_the_system_prompt_of_a_chat_counts(importing):
    assert importing([chat(user("a"), answer("b"), params={"system": "Be kind."})]).texts[0][0] == (
        "system",
        "Be kind.",
    )


def test_messages_without_a_history_are_read(importing):
    record = chat(messages=[user("a"), answer("b"), 5], history=None, models=["x"])
    assert importing([record], "a.json", "openwebui").texts == [[("user", "a"), ("assistant", "b")]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": "1", "chat": 5}, "Its chat is not an object."),
        ({"id": "1", "chat": {"history": {"messages": []}}}, "It has no list of messages."),
        (chat(user("a")), "It has no answer from the assistant."),
        (chat({"role": ["user"], "content": "a"}), "It has no messages with text."),
    ],
)
def test_bad_open_webui_chats_are_refused_in_words(importing, record, reason):
    outcome = importing([chat(user("a"), answer("b")), record])
    assert outcome.reasons == [(1, f"Conversation 2: {reason}")]


# ---- LM Studio ----------------------------------------------------------------------------------------------


def said(text: str) -> dict[str, object]:
    return {
        "versions": [{"type": "singleStep", "role": "user", "content": [{"type": "text", "text": text}]}],
        "currentlySelected": 0,
    }


def block(*texts: str, **keys: object) -> dict[str, object]:
    content = [{"type": "text", "text": text, "fromDraftModel": False} for text in texts]
    return {"type": "contentBlock", "content": content, **keys}


def replied(*versions: list[dict[str, object]], selected: object = 0) -> dict[str, object]:
    return {
        "versions": [{"type": "multiStep", "role": "assistant", "steps": steps} for steps in versions],
        "currentlySelected": selected,
    }


def studio(*messages: object, **keys: object) -> dict[str, object]:
    return {
        "name": "Cats",
        "pinned": False,
        "createdAt": 1_700_000_000_000,
        "messages": list(messages),
        "usePerChatPredictionConfig": True,
        "perChatPredictionConfig": {"fields": []},
        **keys,
    }


def test_an_lm_studio_conversation_has_its_title_time_id_and_turns(importing):
    record = studio(said("a"), replied([block("b")]))
    (found,) = importing(json.dumps(record, indent=2), "1700000000000.conversation.json").conversations
    assert (found.id, found.title, found.source) == ("lmstudio-1700000000000", "Cats", "lmstudio")
    assert found.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert [(turn.role.value, turn.content) for turn in found.turns] == [("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize(
    ("selected", "text"), [(0, "b"), (1, "c"), (9, "b"), (None, "b"), (-1, "b"), ("1", "b")]
)
def test_the_selected_version_is_taken(importing, selected, text):
    record = studio(said("a"), replied([block("b")], [block("c")], selected=selected))
    assert importing(record, "x.conversation.json").texts[0][1] == ("assistant", text)


def test_thoughts_tools_and_structure_are_left_out(importing):
    steps = [
        block("hm", style={"type": "thinking", "ended": True}),
        {"type": "toolCallRequest", "content": [{"type": "text", "text": "{}"}]},
        block("The ", "answer."),
        {"type": "contentBlock", "content": [{"type": "text", "text": "</think>", "isStructural": True}]},
        {"type": "contentBlock", "content": [{"type": "toolCallRequest"}]},
        block("More."),
    ]
    assert importing(studio(said("a"), replied(steps)), "x.conversation.json").texts[0][1] == (
        "assistant",
        "The answer.\n\nMore.",
    )


def test_the_system_prompt_of_an_lm_studio_chat_counts(importing):
    settings = {"fields": [5, {"key": "llm.prediction.systemPrompt", "value": "Be kind."}]}
    record = studio(said("a"), replied([block("b")]), perChatPredictionConfig=settings)
    assert importing(record, "x.conversation.json").texts[0][0] == ("system", "Be kind.")
    record = studio(said("a"), replied([block("b")]), systemPrompt="Be brief.")
    assert importing(record, "y.conversation.json").texts[0][0] == ("system", "Be brief.")


def test_the_folder_of_lm_studio_is_read_with_the_folders_in_it(tmp_path):
    folder = tmp_path / "conversations" / "work"
    folder.mkdir(parents=True)
    record = json.dumps(studio(said("a"), replied([block("b")])))
    (folder / "2.conversation.json").write_text(record)
    (folder.parent / "10.conversation.json").write_text(record)
    (folder.parent / "3.conversation.json").write_text("{broken")
    (folder.parent / "notes.txt").write_text("no")
    outcomes = list(read(folder.parent))
    assert detect(folder.parent).name == "lmstudio"
    assert [found.reason if isinstance(found, Refusal) else found.id for found in outcomes] == [
        "It is not valid JSON: object keys must be strings (byte 1).",
        "lmstudio-10",
        "lmstudio-2",
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (studio(), "It has no messages with text."),
        ({**studio(), "messages": 5}, "It has no list of `messages`."),
        (studio(5, {"versions": []}, {"versions": [5]}, {"versions": {}}), "It has no messages with text."),
        (studio(said("a"), replied([])), "It has no answer from the assistant."),
        (studio(said("a"), {"versions": [{"role": ["assistant"]}]}), "It has no answer from the assistant."),
    ],
)
def test_bad_lm_studio_conversations_are_refused_in_words(importing, record, reason):
    assert importing(record, "x.conversation.json").reasons == [(1, reason)]


# ---- Jan ----------------------------------------------------------------------------------------------------


def jan_message(role: str, text: str, created_at: object = None, **keys: object) -> dict[str, object]:
    return {
        "id": f"msg-{text}",
        "object": "thread.message",
        "thread_id": "t-1",
        "role": role,
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
        "status": "ready",
        "created_at": created_at,
        "completed_at": created_at,
        **keys,
    }


def jan_thread(data: Path, name: str, messages: str, thread: object) -> Path:
    folder = data / "threads" / name
    folder.mkdir(parents=True)
    (folder / "messages.jsonl").write_text(messages, encoding="utf-8")
    (folder / "thread.json").write_text(thread if isinstance(thread, str) else json.dumps(thread, indent=2))
    return folder


def lines(*messages: object) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


THREAD = {
    "id": "t-1",
    "object": "thread",
    "title": "Cats",
    "created": 1_700_000_000,
    "assistants": [{"assistant_id": "jan", "instructions": "Be kind."}],
}
TALK = lines(jan_message("user", "a", 1_700_000_001), jan_message("assistant", "b", 1_700_000_002))


@pytest.mark.parametrize("given", ["", "threads", "threads/t-1", "threads/t-1/messages.jsonl"])
def test_a_thread_of_jan_is_found_from_every_folder_and_from_its_messages(tmp_path, given):
    jan_thread(tmp_path, "t-1", TALK, THREAD)
    (found,) = read(tmp_path / given)
    assert detect(tmp_path / given).name == "jan"
    assert (found.id, found.title, found.source) == ("t-1", "Cats", "jan")
    assert found.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert [(turn.role.value, turn.content) for turn in found.turns] == [
        ("system", "Be kind."),
        ("user", "a"),
        ("assistant", "b"),
    ]


def test_messages_of_jan_are_put_in_the_order_of_their_times(tmp_path):
    newest_first = lines(
        jan_message("assistant", "b", 1_700_000_002_000), jan_message("user", "a", 1_700_000_001_000)
    )
    jan_thread(tmp_path, "t-1", newest_first, {})
    (found,) = read(tmp_path)
    assert [turn.content for turn in found.turns] == ["a", "b"]
    assert found.created_at == datetime(2023, 11, 14, 22, 13, 21, tzinfo=timezone.utc)


def test_reasoning_tools_and_errors_of_jan_are_left_out(tmp_path):
    parts = [
        {"type": "reasoning", "text": {"value": "hm"}},
        {"type": "text", "text": {"value": "<think>hm</think>Yes."}},
        {"type": "tool_call", "tool_name": "x"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    talk = lines(
        jan_message("user", "a", 1),
        jan_message("tool", "result", 2),
        jan_message("assistant", "failed", 3, status="error"),
        jan_message("assistant", "", 4, content=parts),
    )
    jan_thread(tmp_path, "t-1", talk, {"assistants": [{"instructions": "Today is {{current_date}}."}]})
    (found,) = read(tmp_path)
    assert [turn.content for turn in found.turns] == ["a", "Yes."]


def test_a_thread_with_a_damaged_message_is_refused_and_the_others_read(tmp_path):
    jan_thread(tmp_path, "t-1", TALK.replace('"user"', "user", 1), THREAD)
    jan_thread(tmp_path, "t-2", TALK, "{broken")
    jan_thread(tmp_path, "t-3", "", THREAD)
    refused, found, empty = read(tmp_path)
    assert (refused.line, refused.reason) == (1, "It is not valid JSON: invalid character (byte 72).")
    assert (found.id, found.title) == ("t-2", None)
    assert empty.reason == f"{tmp_path}/threads/t-3/messages.jsonl is empty. There is nothing to import."

"""OpenAI messages and ShareGPT records."""

from __future__ import annotations

import json

import pytest

from allie_desktop.domain.conversation import Role, Turn


def jsonl(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def openai(*messages: dict[str, object], **keys: object) -> dict[str, object]:
    return {"messages": list(messages), **keys}


USER = {"role": "user", "content": "What is the weather?"}
ANSWER = {"role": "assistant", "content": "Sunny."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "sun"}


def test_openai_messages_are_read(importing):
    outcome = importing(jsonl(openai({"role": "system", "content": "s"}, USER, ANSWER)), "a.jsonl")
    assert outcome.texts == [[("system", "s"), ("user", "What is the weather?"), ("assistant", "Sunny.")]]
    assert [found.source for found in outcome.conversations] == ["openai"]


def test_the_developer_is_the_system(importing):
    outcome = importing(jsonl(openai({"role": "developer", "content": "s"}, USER, ANSWER)), "a.jsonl")
    assert outcome.texts[0][0] == ("system", "s")


def test_texts_of_a_list_of_parts_are_joined(importing):
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, "three"]
    refusal = [{"type": "refusal", "refusal": "I would rather not."}]
    outcome = importing(
        jsonl(openai({"role": "user", "content": parts}, {"role": "assistant", "content": refusal})),
        "a.jsonl",
    )
    assert outcome.texts == [[("user", "one\ntwo\nthree"), ("assistant", "I would rather not.")]]


def test_tools_and_the_calls_of_them_are_left_out(importing):
    outcome = importing(jsonl(openai(USER, CALL, RESULT, ANSWER, tools=[{"type": "function"}])), "a.jsonl")
    assert outcome.texts == [[("user", "What is the weather?"), ("assistant", "Sunny.")]]


def test_what_is_said_before_and_after_a_call_is_one_answer(importing):
    outcome = importing(jsonl(openai(USER, {**CALL, "content": "Let me see."}, RESULT, ANSWER)), "a.jsonl")
    assert outcome.texts == [[("user", "What is the weather?"), ("assistant", "Let me see.\n\nSunny.")]]


def test_when_only_calls_remain_the_reason_says_so(importing):
    assert importing(jsonl(openai(USER, CALL, RESULT), openai(CALL, RESULT)), "a.jsonl").reasons == [
        (1, "It has no answer from the assistant."),
        (2, "It has no messages with text."),
    ]


def test_an_answer_to_a_picture_alone_is_left_out_with_its_question(importing):
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    about = {"role": "assistant", "content": "A cat."}
    assert importing(jsonl(openai(picture, about, USER, ANSWER)), "a.jsonl").texts == [
        [("user", "What is the weather?"), ("assistant", "Sunny.")]
    ]
    assert importing(jsonl(openai(picture, about)), "b.jsonl").reasons == [
        (1, "It has no messages with text.")
    ]


def test_a_picture_with_a_question_keeps_the_question(importing):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    outcome = importing(jsonl(openai({"role": "user", "content": content}, ANSWER)), "a.jsonl")
    assert outcome.texts == [[("user", "What is this?"), ("assistant", "Sunny.")]]


def test_a_refusal_of_the_model_is_its_answer(importing):
    refusal = {"role": "assistant", "content": None, "refusal": "No."}
    assert importing(jsonl(openai(USER, refusal)), "a.jsonl").texts[0][1] == ("assistant", "No.")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "user", "content": [{"type": "text"}]}, "Message 1 has a part of text without text."),
        (
            {"role": "user", "content": [{"type": "text", "text": 5}]},
            "Message 1 has a part of text without text.",
        ),
        ({"role": "assistant", "content": None}, "Message 1 has no content."),
        ({"role": "user", "content": [[1], {"type": ["x"]}]}, "It has no messages with text."),
    ],
)
def test_bad_openai_messages_are_refused_in_words(importing, message, reason):
    assert importing(jsonl(openai(message, ANSWER)), "a.jsonl", "openai").reasons == [(1, reason)]


def test_an_openai_line_cannot_say_that_it_is_allies_own(importing):
    outcome = importing(jsonl(openai(USER, ANSWER, source="chat", title="T", id="i")), "a.jsonl", "openai")
    assert [(found.source, found.title, found.id) for found in outcome.conversations] == [
        ("openai", "T", "i")
    ]


def test_feedback_in_openai_messages_is_kept(importing):
    outcome = importing(
        jsonl(openai(USER, {**ANSWER, "rating": 1, "correction": "Rainy.", "x": 1})), "a.jsonl", "openai"
    )
    assert outcome.conversations[0].turns[1] == Turn(
        role=Role.ASSISTANT, content="Sunny.", rating=1, correction="Rainy."
    )


# ---- ShareGPT -----------------------------------------------------------------------------------------------


def sharegpt(*pairs: tuple[object, object], **keys: object) -> dict[str, object]:
    return {"conversations": [{"from": speaker, "value": text} for speaker, text in pairs], **keys}


@pytest.mark.parametrize("name", ["share.json", "share.jsonl", "share"])
def test_sharegpt_is_read_as_array_and_as_lines(importing, name):
    records = [
        sharegpt(("human", "a"), ("gpt", "b"), id="one_0"),
        sharegpt(("system", "s"), ("user", "c"), ("bard", "d")),
    ]
    expected = [[("user", "a"), ("assistant", "b")], [("system", "s"), ("user", "c"), ("assistant", "d")]]
    for content in (json.dumps(records), json.dumps(records, indent=2), jsonl(*records)):
        outcome = importing(content, name)
        assert outcome.texts == expected
        assert [found.source for found in outcome.conversations] == ["sharegpt", "sharegpt"]
        assert outcome.conversations[0].id == "one_0"


@pytest.mark.parametrize("speaker", ["gpt", "GPT", "chatgpt", "assistant", "bing", "bard", "model", "bot"])
def test_every_usual_name_of_the_assistant_is_known(importing, speaker):
    assert importing([sharegpt(("human", "a"), (speaker, "b"))]).texts == [
        [("user", "a"), ("assistant", "b")]
    ]


def test_sharegpt_with_roles_and_contents_is_read(importing):
    record = {"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


def test_tools_in_sharegpt_are_left_out(importing):
    record = sharegpt(("human", "a"), ("function_call", "{}"), ("observation", "x"), ("gpt", "b"))
    assert importing([record]).texts == [[("user", "a"), ("assistant", "b")]]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"conversations": 5}, "It has no list of `conversations`."),
        ({"conversations": None, "x": 1}, "It has no list of `conversations`."),
        ({"conversations": []}, "It has no messages with text."),
        ({"conversations": ["a"]}, "Message 1 is not an object."),
        (sharegpt((5, "a")), "Message 1 does not say whom it is from."),
        (sharegpt(("martian", "a")), "Message 1 is from “martian”; it should be human, gpt or system."),
        (sharegpt(("human", None)), "Message 1 has no value."),
        (sharegpt(("human", ["a"])), "Message 1 has a value that is not text."),
        (sharegpt(("human", "a"), ("human", "b")), "It has no answer from the assistant."),
    ],
)
def test_bad_sharegpt_records_are_refused_in_words(importing, record, reason):
    outcome = importing([sharegpt(("human", "a"), ("gpt", "b")), record])
    assert outcome.reasons == [(1, f"Conversation 2: {reason}")]
    assert len(outcome.conversations) == 1

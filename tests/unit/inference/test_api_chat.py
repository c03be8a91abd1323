"""Chat over the API with OpenAI's own client, over a real socket and engines that need no model."""

from __future__ import annotations

import asyncio
import json
import threading

import openai
import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import ModelError, StoreBusyError, VersionCorruptError
from allie_desktop.domain.planning import Message
from tests.api_stage import TOKEN, Stage, serving, wait_until

HELLO = [{"role": "user", "content": "Who are you?"}]


@pytest.fixture
def served():
    with serving(Stage()) as running:
        yield running


def error_of(raised: pytest.ExceptionInfo) -> tuple[int, str, str | None]:
    body = raised.value.body
    assert set(body) == {"message", "type", "param", "code"}
    return raised.value.status_code, body["code"], body["param"]


def test_a_reply_comes_whole_with_usage_version_and_conversation(served):
    raw = served.client().chat.completions.with_raw_response.create(model="allie", messages=HELLO)
    reply = raw.parse()

    assert reply.choices[0].message.content == "I am v1.0."
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (7, 4, 11)
    assert (reply.model, reply.system_fingerprint, reply.object) == ("allie", "v1.0", "chat.completion")
    assert raw.headers["x-allie-version"] == "v1.0"
    assert raw.headers["x-allie-conversation"] == "c1"
    (exchange,) = served.stage.exchanges
    assert exchange.response_id == reply.id
    assert exchange.response_id.startswith("chatcmpl-")
    assert (exchange.reply, exchange.version, exchange.finish_reason) == ("I am v1.0.", "v1.0", "stop")
    assert (exchange.source, exchange.prompt_tokens, exchange.completion_tokens) == ("api", 7, 4)
    assert exchange.messages == (Message(role=Role.USER, content="Who are you?"),)
    assert exchange.client.startswith("OpenAI/Python")
    assert 0 < exchange.first_token_seconds <= exchange.seconds


def test_a_reply_comes_piece_by_piece_and_ends_with_reason_and_usage():
    stage = Stage(words=[f"word{i} " for i in range(20)], gate=threading.Semaphore(2))
    with serving(stage) as served:
        chunks, texts = [], []
        stream = served.client().chat.completions.create(
            model="allie", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        for chunk in stream:
            chunks.append(chunk)
            if chunk.choices and chunk.choices[0].delta.content:
                texts.append(chunk.choices[0].delta.content)
            stage.gate.release()

    assert "".join(texts) == "".join(stage.words)
    assert len(texts) > 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 27)
    assert {(chunk.id, chunk.system_fingerprint, chunk.model) for chunk in chunks} == {
        (stage.exchanges[0].response_id, "v1.0", "allie")
    }


def test_the_first_piece_comes_before_the_second_is_made():
    stage = Stage(words=["one ", "two"], gate=threading.Semaphore(1))
    with serving(stage) as served:
        stream = served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
        first = next(c for c in stream if c.choices[0].delta.content)
        assert first.choices[0].delta.content == "one "
        stage.gate.release(10)
        assert "".join(c.choices[0].delta.content or "" for c in stream) == "two"


def test_nobody_sees_the_last_piece_before_the_reply_is_recorded():
    seen: list[str] = []
    seen_when_recorded: list[str] = []
    stage = Stage(words=["one ", "two ", "three"], gate=threading.Semaphore(2))
    recorded = threading.Event()

    def before_recording():
        seen_when_recorded.append("".join(seen))
        recorded.wait(0.2)  # time for a piece that should not come

    stage.before_recording = before_recording
    with serving(stage) as served:
        stream = served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
        stage.gate.release(10)
        for chunk in stream:
            seen.append(chunk.choices[0].delta.content or "")
            if "three" in seen[-1]:
                assert stage.exchanges != []
    assert "".join(seen) == "one two three"
    assert "three" not in seen_when_recorded[0]


def test_the_async_client_is_served_as_well(served):
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=served.url, api_key=TOKEN, max_retries=0) as asking:
            whole = await asking.chat.completions.create(model="v1.1", messages=HELLO)
            stream = await asking.chat.completions.create(model="base", messages=HELLO, stream=True)
            pieces = [c.choices[0].delta.content or "" async for c in stream]
        return whole.choices[0].message.content, "".join(pieces)

    assert asyncio.run(ask()) == ("I am v1.1.", "I am base.")


def test_what_a_client_may_say_reaches_the_engine(served):
    served.client().chat.completions.create(
        model="allie",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "you"}]},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Bye", "name": "Ada"},
        ],
        max_tokens=5,
        max_completion_tokens=2,
        temperature=0,
        top_p=0.5,
        seed=-1,
        stop=["\n\n", "END"],
        frequency_penalty=1.5,
        presence_penalty=-0.5,
        n=1,
        user="somebody",
        tools=[],
        extra_body={"something": "new"},
    )
    _, messages, options = served.stage.asked[-1]
    assert [(m.role, m.content) for m in messages] == [
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "Hi\nyou"),
        (Role.ASSISTANT, "Yes?"),
        (Role.USER, "Bye"),
    ]
    assert (options.max_tokens, options.temperature, options.top_p) == (2, 0.0, 0.5)
    assert (options.seed, options.stop) == (2**31 - 1, ("\n\n", "END"))
    assert (options.frequency_penalty, options.presence_penalty) == (1.5, -0.5)


def test_a_plain_completion_is_one_question(served):
    reply = served.client().completions.create(model="allie", prompt="Hello", max_tokens=2)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == ("I am ", "length")
    assert served.stage.asked[-1][1] == (Message(role=Role.USER, content="Hello"),)

    stream = served.client().completions.create(model="allie", prompt=["Hello"], stream=True)
    assert "".join(c.choices[0].text for c in stream) == "I am v1.0."


def test_models_are_the_usual_one_the_base_and_every_version(served):
    assert [model.id for model in served.client().models.list()] == ["allie", "base", "v1.0", "v1.1"]
    assert served.client().models.retrieve("v1.1").created == 1_700_000_000
    with pytest.raises(openai.NotFoundError) as raised:
        served.client().models.retrieve("v9.9")
    assert error_of(raised) == (404, "model_not_found", "model")


def test_a_model_that_does_not_exist_is_not_found(served):
    with pytest.raises(openai.NotFoundError) as raised:
        served.client().chat.completions.create(model="gpt-99", messages=HELLO)
    assert error_of(raised) == (404, "model_not_found", "model")
    assert served.stage.asked == []


def test_headers_name_the_conversation_and_the_window_and_switch_recording_off(served):
    ask = served.client().chat.completions.with_raw_response.create
    named = ask(
        model="allie",
        messages=HELLO,
        extra_headers={"X-Allie-Conversation": "mine", "X-Allie-Source": "chat"},
    )
    assert named.headers["x-allie-conversation"] == "mine"
    assert (served.stage.exchanges[-1].conversation_id, served.stage.exchanges[-1].source) == ("mine", "chat")

    silent = ask(model="allie", messages=HELLO, extra_headers={"X-Allie-Record": "off"})
    assert "x-allie-conversation" not in silent.headers
    assert len(served.stage.exchanges) == 1


def test_a_truncated_conversation_says_so(served):
    served.stage.dropped = 3
    raw = served.client().chat.completions.with_raw_response.create(model="allie", messages=HELLO)
    assert raw.headers["x-allie-dropped-messages"] == "3"
    *_, last = served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
    assert last.model_extra["allie"]["dropped_messages"] == 3


def test_feedback_reaches_the_recorder_and_needs_a_known_reply(served):
    asking = served.client()
    reply = asking.chat.completions.create(model="allie", messages=HELLO)
    said = {"response_id": reply.id, "rating": -1, "correction": "I am Allie."}
    assert asking.post("/feedback", body=said, cast_to=object)["kept"] is True
    assert served.stage.given == [(reply.id, -1, "I am Allie.")]

    with pytest.raises(openai.NotFoundError) as raised:
        asking.post("/feedback", body={"response_id": "chatcmpl-0", "rating": 1}, cast_to=object)
    assert error_of(raised) == (404, "response_not_found", "response_id")
    for useless in ({"response_id": reply.id}, {"response_id": reply.id, "rating": 5}):
        with pytest.raises(openai.BadRequestError) as raised:
            asking.post("/feedback", body=useless, cast_to=object)
        assert error_of(raised) == (400, "invalid_value", "rating")


def test_unloading_frees_at_once_and_the_next_request_loads_again(served):
    asking = served.client()
    asking.chat.completions.create(model="allie", messages=HELLO)
    assert served.service.status() == "ok"
    assert asking.post("/unload", body={}, cast_to=object) == {"unloaded": ["v1.0"]}
    assert served.service.status() == "idle"
    asking.chat.completions.create(model="allie", messages=HELLO)
    assert served.service.loaded == ("v1.0",)


def test_while_the_chosen_version_loads_one_that_is_there_answers(served):
    served.stage.in_memory = {"v1.0"}
    served.stage.chosen, served.stage.wanted_versions = "v1.1", ("v1.1", "v1.0")
    reply = served.client().chat.completions.create(model="allie", messages=HELLO)
    assert reply.system_fingerprint == "v1.0"
    served.stage.in_memory.add("v1.1")
    reply = served.client().chat.completions.create(model="allie", messages=HELLO)
    assert reply.system_fingerprint == "v1.1"


def test_a_corrupted_version_is_reported_and_another_one_answers(served):
    served.stage.broken["v1.0"] = VersionCorruptError("v1.0 is damaged.", "Undo it.")
    reply = served.client().chat.completions.create(model="allie", messages=HELLO)
    assert (reply.system_fingerprint, served.stage.failed_versions) == ("base", ["v1.0"])

    with pytest.raises(openai.InternalServerError) as raised:
        served.client().chat.completions.create(model="v1.0", messages=HELLO)
    assert error_of(raised) == (503, "model_unavailable", None)


def test_an_engine_that_breaks_is_an_error_before_and_in_the_middle_of_a_stream(served, caplog):
    served.stage.failure = ModelError("The model broke.", "Ask again.")
    served.stage.words = []
    with pytest.raises(openai.InternalServerError) as raised:
        served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
    assert error_of(raised) == (503, "model_unavailable", None)

    served.stage.words = ["Well, "]
    served.stage.failure = RuntimeError("somebody's words")
    stream = served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="did not expect"):
        list(stream)
    assert [(e.reply, e.finish_reason) for e in served.stage.exchanges] == [
        ("", "error"),
        ("Well, ", "error"),
    ]
    assert "somebody's words" not in caplog.text


def test_a_conversation_that_the_engine_cannot_take_is_a_bad_request(served):
    from allie_desktop.inference.prompts import PromptTooLongError

    served.stage.failure = PromptTooLongError(0, 9000, 2048)
    with pytest.raises(openai.BadRequestError) as raised:
        served.client().chat.completions.create(model="allie", messages=HELLO)
    assert error_of(raised) == (400, "context_length_exceeded", "messages")
    assert served.stage.exchanges == []


def test_an_answer_that_cannot_be_recorded_is_given_all_the_same(served, caplog):
    served.stage.recording_failure = StoreBusyError("Another program writes.", "Wait.")
    reply = served.client().chat.completions.create(model="allie", messages=HELLO)
    assert reply.choices[0].message.content == "I am v1.0."
    assert "could not be recorded" in caplog.text


def test_a_service_that_ends_cuts_replies_says_so_and_records_what_there_is():
    stage = Stage(words=["one ", "two ", "three"], gate=threading.Semaphore(2))
    with serving(stage) as served:
        stream = served.client().chat.completions.create(model="allie", messages=HELLO, stream=True)
        next(c for c in stream if c.choices[0].delta.content)
        served.server.stop()
        with pytest.raises(openai.APIError, match="closing"):
            list(stream)
        wait_until(lambda: stage.exchanges)
    assert [(e.reply, e.finish_reason) for e in stage.exchanges] == [("one two ", "cancelled")]


def test_no_document_of_the_api_is_anything_but_json(served):
    raw = served.client().chat.completions.with_raw_response.create(model="allie", messages=HELLO)
    document = json.loads(raw.content)
    assert list(document) == [
        "id",
        "object",
        "created",
        "model",
        "system_fingerprint",
        "choices",
        "usage",
        "allie",
    ]

"""What a stream of the API means, and the sentences for what goes wrong."""

from __future__ import annotations

import json

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.ui.chat import problems
from allie_desktop.ui.chat.completions import (
    Done,
    Finish,
    Piece,
    StreamProblem,
    health_status,
    interpret,
    request_body,
)
from allie_desktop.ui.chat.sse import ServerEvent


def said(document: object) -> tuple[object, ...]:
    return interpret(ServerEvent(data=json.dumps(document)))


def test_a_request_streams_from_whichever_version_answers():
    messages = (Message(role=Role.USER, content="Grüße \ud800"),)
    assert json.loads(request_body(messages)) == {
        "model": "allie",
        "stream": True,
        "messages": [{"role": "user", "content": "Grüße \ud800"}],
    }


def test_a_chunk_is_a_piece_of_the_reply():
    chunk = {"id": "chatcmpl-1", "choices": [{"delta": {"content": "Hi"}, "finish_reason": None}]}
    assert said(chunk) == (Piece(text="Hi", response_id="chatcmpl-1"),)


def test_the_last_chunk_says_why_it_ended():
    assert said({"choices": [{"delta": {}, "finish_reason": "length"}]}) == (Finish(reason="length"),)
    assert interpret(ServerEvent(data="[DONE]")) == (Done(),)


@pytest.mark.parametrize(
    "document",
    [
        {"choices": []},
        {"usage": {"total_tokens": 3}},
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": None}]},
    ],
)
def test_what_says_nothing_is_nothing(document):
    assert said(document) == ()


def test_an_error_in_the_stream_is_a_problem():
    assert said({"error": {"message": "Out of memory."}}) == (StreamProblem(message="Out of memory."),)
    assert said({"error": None}) == (StreamProblem(message=""),)


@pytest.mark.parametrize("data", ["{", "7", "[]", "[" * 100_000, "null"])
def test_what_cannot_be_read_is_a_problem(data):
    assert interpret(ServerEvent(data=data)) == (StreamProblem(message=""),)


@pytest.mark.parametrize(
    ("status", "body", "after", "sentence"),
    [
        (401, b"", "", "The chat process did not accept Allie's key. Close Allie and open it again."),
        (429, b"", "12", "Allie is busy with other questions just now. Try again in 12 seconds."),
        (429, b"", "soon", "Allie is busy with other questions just now. Try again in a moment."),
        (503, b"{}", "", "The model is not ready yet. Try again in a moment."),
        (503, b'{"error": {"message": "The model is damaged."}}', "", "The model is damaged."),
        (400, b'{"error": {"message": "Too long.\\nReally."}}', "", "Too long. Really."),
        (404, b"<html>", "", "The chat process met a problem (HTTP 404). Try again."),
        (413, b"", "", "This conversation is too long to be sent. Begin a new chat."),
        (500, b'{"error": {"message": "Boom."}}', "", "The chat process met a problem: Boom."),
        (302, b"", "", "The chat process met a problem (HTTP 302). Try again."),
    ],
)
def test_each_refusal_is_a_sentence(status, body, after, sentence):
    assert problems.from_answer(status, body, after).sentence == sentence


def test_a_long_message_of_the_server_is_cut():
    body = json.dumps({"error": {"message": "x" * 10_000}}).encode()
    assert len(problems.from_answer(400, body).sentence) == 400


def test_the_time_to_wait_is_understood():
    assert problems.from_answer(429, b"", "12").wait_seconds == 12
    assert problems.from_answer(429, b"", "-3").wait_seconds == 0


def test_health_is_one_word():
    assert health_status(b'{"status": "loading", "loaded": []}') == "loading"
    assert [health_status(body) for body in (b"", b"[]", b'{"status": 3}')] == ["", "", ""]

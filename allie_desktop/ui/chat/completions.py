"""What goes to ``/v1/chat/completions`` and what its stream says, without any network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import Message
from allie_desktop.ui.chat.sse import ServerEvent

#: The model name that means: whichever version the router chooses.
ANY_VERSION = "allie"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some more of a reply. ``response_id`` names the reply for feedback."""

    text: str
    response_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Why the reply ended, in OpenAI's words: ``stop``, ``length``, …"""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The stream is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProblem:
    """The server says that the reply cannot go on, in its own words; empty when it said nothing readable."""

    message: str


StreamEvent = Piece | Finish | Done | StreamProblem


def request_body(messages: Sequence[Message]) -> bytes:
    """Return the JSON of a streaming request."""
    document = {
        "model": ANY_VERSION,
        "stream": True,
        "messages": [{"role": message.role.value, "content": message.content} for message in messages],
    }
    return json.dumps(document, ensure_ascii=True).encode()  # a lone surrogate must not break the encoding


def interpret(event: ServerEvent) -> tuple[StreamEvent, ...]:
    """Return what an event says; nothing for what Allie does not know."""
    data = event.data.strip()
    if data == "[DONE]":
        return (Done(),)
    try:
        document = parse_json(data)
    except ValueError:
        return (StreamProblem(message=""),)
    if not isinstance(document, dict):
        return (StreamProblem(message=""),)
    if "error" in document:
        return (StreamProblem(message=error_message(document)),)
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ()  # usage comes without a choice
    found: list[StreamEvent] = []
    delta = choices[0].get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    if isinstance(text, str) and text:
        response_id = document.get("id")
        found.append(Piece(text=text, response_id=response_id if isinstance(response_id, str) else ""))
    reason = choices[0].get("finish_reason")
    if isinstance(reason, str) and reason:
        found.append(Finish(reason=reason))
    return tuple(found)


def error_message(document: object) -> str:
    """Return the message of an OpenAI error object, or nothing."""
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message.strip() if isinstance(message, str) else ""


def health_status(body: bytes) -> str:
    """Return the status that ``/healthz`` says; empty when it says none."""
    try:
        document = parse_json(body)
    except ValueError:
        return ""
    status = document.get("status") if isinstance(document, dict) else None
    return status if isinstance(status, str) else ""

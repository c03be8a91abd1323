"""What clients get back: OpenAI's documents, with the version that answered as their fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from allie_desktop.domain.chat import FinishReason, ReplyEnd

#: The end of an event stream.
DONE = b"data: [DONE]\n\n"

# OpenAI knows no reason for "out of time"; its clients take "length" for: there could be more.
_REASONS: dict[FinishReason, str] = {"stop": "stop", "length": "length", "time": "length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply that is whole. ``conversation_id`` is None when it was not recorded."""

    text: str
    end: ReplyEnd
    conversation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterhead:
    """What every document of one reply repeats. ``created`` is in seconds since 1970."""

    kind: Literal["chat", "completion"]
    response_id: str
    created: int
    model: str
    version: str

    def whole(self, answer: Answer) -> bytes:
        """Return the document of a reply that is not streamed."""
        if self.kind == "chat":
            content: dict[str, Any] = {
                "message": {"role": "assistant", "content": answer.text, "refusal": None}
            }
        else:
            content = {"text": answer.text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": _reason(answer.end)}
        name = "chat.completion" if self.kind == "chat" else "text_completion"
        return msgspec.json.encode(
            self._document(name, [choice]) | {"usage": _usage(answer.end), "allie": _extra(answer)}
        )

    def opening(self) -> bytes:
        """Return the first event of a stream; nothing where the protocol has none."""
        return self._chunk({"role": "assistant", "content": ""}, None) if self.kind == "chat" else b""

    def piece(self, text: str) -> bytes:
        """Return the event for some more text."""
        return self._chunk({"content": text}, None)

    def closing(self, answer: Answer, *, include_usage: bool) -> bytes:
        """Return the last events of a stream: the reason, the usage when it was asked for, and the end."""
        events = [self._chunk({}, _reason(answer.end), extra=_extra(answer))]
        if include_usage:
            events.append(_event(self._document(self._chunk_name, []) | {"usage": _usage(answer.end)}))
        return b"".join([*events, DONE])

    @property
    def _chunk_name(self) -> str:
        return "chat.completion.chunk" if self.kind == "chat" else "text_completion"

    def _chunk(
        self, delta: dict[str, str], reason: str | None, *, extra: dict[str, object] | None = None
    ) -> bytes:
        content: dict[str, Any] = (
            {"delta": delta} if self.kind == "chat" else {"text": delta.get("content", "")}
        )
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": reason}
        document = self._document(self._chunk_name, [choice])
        return _event(document if extra is None else document | {"allie": extra})

    def _document(self, name: str, choices: list[dict[str, Any]]) -> dict[str, object]:
        return {
            "id": self.response_id,
            "object": name,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.version,
            "choices": choices,
        }


def model_list(models: Sequence[tuple[str, int]]) -> bytes:
    """Return the list of models, each with the time (seconds since 1970) at which it was made."""
    return msgspec.json.encode({"object": "list", "data": [_model(*model) for model in models]})


def model_document(name: str, created: int) -> bytes:
    """Return one model."""
    return msgspec.json.encode(_model(name, created))


def error_event(document: dict[str, object]) -> bytes:
    """Return the event that ends a stream in which something went wrong."""
    return _event(document)


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "allie"}


def _event(document: object) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"


def _reason(end: ReplyEnd) -> str:
    return _REASONS.get(end.reason, "stop")


def _usage(end: ReplyEnd) -> dict[str, int]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": end.prompt_tokens + end.completion_tokens,
    }


def _extra(answer: Answer) -> dict[str, object]:
    return {"conversation": answer.conversation_id, "dropped_messages": answer.end.dropped_messages}

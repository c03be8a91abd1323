"""What clients ask, read strictly where a misunderstanding would change the answer, and leniently elsewhere:
unknown fields are ignored, known ones that cannot be honoured are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from allie_desktop.domain.chat import GenerationOptions
from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS, Rating, Role
from allie_desktop.domain.planning import Message
from allie_desktop.inference.api.errors import ApiError, bad_request

#: The model that means: whichever version is in use.
DEFAULT_MODEL = "allie"

_MOST_MESSAGES = 10_000
_MOST_STOPS = 16
_LONGEST_STOP = 500
_LONGEST_MODEL = 200
_MOST_TOKENS = 1_000_000
_SEEDS = 2**31  # both engines take a seed of 32 bits, one of them signed
_SMALLEST_TOP_P = 0.001  # 0 means: only the likeliest word
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_HEADER_ID = re.compile(r"[\x21-\x7e]{1,200}\Z")

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,  # OpenAI's newer word for it
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Sampling(msgspec.Struct, kw_only=True):
    model: str = DEFAULT_MODEL
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int | None = None
    logit_bias: dict[str, float] | None = None


class _ChatBody(_Sampling, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: Any = None


class _CompletionBody(_Sampling, kw_only=True):
    prompt: str | list[str]
    best_of: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None


class _FeedbackBody(msgspec.Struct):
    response_id: str
    rating: int | None = None
    correction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a reply, understood. ``record`` is whether the client lets it be kept."""

    model: str
    messages: tuple[Message, ...]
    options: GenerationOptions
    stream: bool
    include_usage: bool
    conversation_id: str | None
    source: str
    record: bool
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody thinks of a reply; None says nothing, an empty correction takes one back."""

    response_id: str
    rating: Rating | None
    correction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What the headers of a request say of who sends it."""

    conversation_id: str | None = None
    source: str = "api"
    record: bool = True
    client: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Sender:
        """Read the headers (any mapping whose keys do not depend on case); raise :class:`ApiError`."""
        conversation = headers.get("x-allie-conversation")
        if conversation is not None and _HEADER_ID.match(conversation) is None:
            raise bad_request(
                "X-Allie-Conversation has to be 1 to 200 visible ASCII characters.",
                param="X-Allie-Conversation",
            )
        source = headers.get("x-allie-source", "api").strip().lower()
        if source not in {"api", "chat"}:
            raise bad_request("X-Allie-Source has to be api or chat.", param="X-Allie-Source")
        record = headers.get("x-allie-record", "on").strip().lower()
        if record not in {"on", "off"}:
            raise bad_request("X-Allie-Record has to be on or off.", param="X-Allie-Record")
        client = "".join(c for c in headers.get("user-agent", "")[:100] if c.isprintable())
        return cls(conversation_id=conversation, source=source, record=record == "on", client=client)


def read_chat(body: bytes, sender: Sender, *, reply_seconds: float) -> Asked:
    """Return what the body of a chat completion asks; raise :class:`ApiError` (400)."""
    chat = _decode(body, _ChatBody)
    _refuse(chat.tools, "tools")
    _refuse(chat.functions, "functions")
    _refuse(chat.audio, "audio")
    _refuse(chat.logprobs or chat.top_logprobs, "logprobs")
    if chat.response_format is not None and chat.response_format.get("type") != "text":
        raise _unsupported("response_format")
    if chat.modalities is not None and chat.modalities != ["text"]:
        raise _unsupported("modalities")
    if chat.max_completion_tokens is not None:
        chat.max_tokens = _tokens(chat.max_completion_tokens, "max_completion_tokens")
    if not chat.messages:
        raise bad_request("There are no messages.", param="messages")
    if len(chat.messages) > _MOST_MESSAGES:
        raise bad_request(f"There are more than {_MOST_MESSAGES:,} messages.", param="messages")
    messages = tuple(_message(message, i) for i, message in enumerate(chat.messages))
    return _asked(chat, messages, sender, reply_seconds)


def read_completion(body: bytes, sender: Sender, *, reply_seconds: float) -> Asked:
    """Return what the body of a plain completion asks, its prompt as a conversation of one question; raise
    :class:`ApiError` (400)."""
    plain = _decode(body, _CompletionBody)
    _refuse(plain.echo, "echo")
    _refuse(plain.suffix, "suffix")
    _refuse(plain.logprobs, "logprobs")
    if plain.best_of not in {None, 1}:
        raise _unsupported("best_of")
    prompts = [plain.prompt] if isinstance(plain.prompt, str) else plain.prompt
    if len(prompts) != 1:
        raise bad_request("There has to be exactly one prompt.", param="prompt")
    messages = (Message(role=Role.USER, content=_text(prompts[0], "prompt")),)
    return _asked(plain, messages, sender, reply_seconds)


def read_feedback(body: bytes) -> Feedback:
    """Return the feedback of a body; raise :class:`ApiError` (400)."""
    given = _decode(body, _FeedbackBody)
    rating: Rating | None
    if given.rating == 1:
        rating = 1
    elif given.rating == -1:
        rating = -1
    elif given.rating in {None, 0}:
        rating = None
    else:
        raise bad_request("rating has to be 1 or -1.", param="rating")
    correction = None if given.correction is None else _text(given.correction, "correction")
    if rating is None and correction is None:
        raise bad_request("There is neither a rating nor a correction.", param="rating")
    return Feedback(response_id=given.response_id, rating=rating, correction=correction)


_Body = TypeVar("_Body", _ChatBody, _CompletionBody, _FeedbackBody)


def _decode(body: bytes, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=kind)
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        raise bad_request(f"The request is not valid: {error}.", param=found[1] if found else None) from None
    except msgspec.DecodeError as error:
        raise bad_request(f"The body is not JSON: {error}.", code="invalid_json") from None
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8 text.", code="invalid_json") from None
    except RecursionError:
        raise bad_request("The body is nested too deeply.", code="invalid_json") from None


def _asked(
    body: _ChatBody | _CompletionBody, messages: tuple[Message, ...], sender: Sender, reply_seconds: float
) -> Asked:
    if body.n not in {None, 1}:
        raise _unsupported("n")
    _refuse(body.logit_bias, "logit_bias")
    if not 1 <= len(body.model) <= _LONGEST_MODEL:
        raise bad_request("model has to be a name.", param="model")
    defaults = GenerationOptions()
    top_p = _within(body.top_p, "top_p", 0, 1, defaults.top_p)
    options = GenerationOptions(
        max_tokens=None if body.max_tokens is None else _tokens(body.max_tokens, "max_tokens"),
        temperature=_within(body.temperature, "temperature", 0, 2, defaults.temperature),
        top_p=max(top_p, _SMALLEST_TOP_P),
        seed=None if body.seed is None else body.seed % _SEEDS,
        stop=_stops(body.stop),
        frequency_penalty=_within(body.frequency_penalty, "frequency_penalty", -2, 2, 0.0),
        presence_penalty=_within(body.presence_penalty, "presence_penalty", -2, 2, 0.0),
        time_limit_seconds=reply_seconds,
    )
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    return Asked(
        model=body.model,
        messages=messages,
        options=options,
        stream=bool(body.stream),
        include_usage=usage,
        conversation_id=sender.conversation_id,
        source=sender.source,
        record=sender.record,
        client=sender.client,
    )


def _message(message: _Message, index: int) -> Message:
    place = f"messages[{index}]"
    role = _ROLES.get(message.role)
    if role is None:
        shown = message.role[:50]
        raise bad_request(
            f"Role {shown!r} is not supported; there are system, developer, user and assistant.",
            param=f"{place}.role",
        )
    _refuse(message.tool_calls or message.function_call, f"{place}.tool_calls")
    if message.content is None:
        raise bad_request("A message has no content.", param=f"{place}.content")
    if isinstance(message.content, str):
        return Message(role=role, content=_text(message.content, f"{place}.content"))
    texts = []
    for i, part in enumerate(message.content):
        if part.type != "text" or part.text is None:
            raise bad_request(
                "Allie reads text only.", param=f"{place}.content[{i}]", code="unsupported_content"
            )
        texts.append(part.text)
    return Message(role=role, content=_text("\n".join(texts), f"{place}.content"))


def _text(text: str, place: str) -> str:
    if len(text) > MAXIMUM_TURN_CHARACTERS:
        raise bad_request(
            f"A text is longer than {MAXIMUM_TURN_CHARACTERS:,} characters.",
            param=place,
            code="string_above_max_length",
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("A text holds half a surrogate pair.", param=place) from None
    return text


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    if len(stops) > _MOST_STOPS:
        raise bad_request(f"There are more than {_MOST_STOPS} stop texts.", param="stop")
    for text in stops:
        if not 1 <= len(_text(text, "stop")) <= _LONGEST_STOP:
            raise bad_request(f"A stop text has 1 to {_LONGEST_STOP} characters.", param="stop")
    return stops


def _tokens(count: int, name: str) -> int:
    if count < 1:
        raise bad_request(f"{name} has to be at least 1.", param=name)
    return min(count, _MOST_TOKENS)


def _within(value: float | None, name: str, least: float, most: float, default: float) -> float:
    if value is None:
        return default
    if not least <= value <= most:  # false for what is not a number, too
        raise bad_request(f"{name} has to be between {least} and {most}.", param=name)
    return value


def _refuse(given: object, name: str) -> None:
    if given:
        raise _unsupported(name)


def _unsupported(name: str) -> ApiError:
    return bad_request(f"Allie does not support {name} like this.", param=name, code="unsupported_parameter")

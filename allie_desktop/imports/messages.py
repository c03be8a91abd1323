"""Messages in the OpenAI chat form, which the native form shares: ``role`` and ``content``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from allie_desktop.domain.conversation import Rating, Role, Turn
from allie_desktop.imports.draft import coherent
from allie_desktop.imports.records import UnusableError

_ROLES: Mapping[str, Role | None] = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,  # what newer models call the system role
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": None,
    "function": None,
}
_KNOWN_KEYS = frozenset({"role", "content", "rating", "correction"})
_TEXT_PARTS = ("text", "input_text", "output_text")
_DEEPEST_EXTRA = 32


def turns_of(messages: object, *, keep_extra: bool) -> list[Turn]:
    """Return the turns of a list of messages; raise :class:`UnusableError` with the reason.

    Messages of tools go, and with them the calls that asked for them. When one went, or had content that
    is not text, the rest is made :func:`~allie_desktop.imports.draft.coherent`; otherwise nothing changes.
    ``keep_extra``: whether unknown keys are kept in :attr:`Turn.extra`.
    """
    if not isinstance(messages, list):
        raise UnusableError("It has no list of `messages`.")
    turns: list[Turn] = []
    whole = True
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise UnusableError(f"Message {number} is not an object.")
        role_name = message.get("role")
        if role_name is None:
            raise UnusableError(f"Message {number} has no role.")
        if not isinstance(role_name, str) or role_name not in _ROLES:
            raise UnusableError(
                f"Message {number} has the role {_shown(role_name)}; it should be system, user or assistant."
            )
        role = _ROLES[role_name]
        calls = message.get("tool_calls") or message.get("function_call")
        text, complete = _content(number, message, may_lack=role is None or bool(calls))
        whole = whole and complete and role is not None and not calls
        if role is None or (calls and not text.strip()):
            continue
        extra: Mapping[str, object] = {}
        if keep_extra and len(message) > 2:
            extra = unknown_keys(message, _KNOWN_KEYS, f"Message {number}")
        turns.append(
            Turn(
                role=role,
                content=text,
                rating=_rating(number, role, message.get("rating")),
                correction=_correction(number, role, message.get("correction")),
                extra=extra,
            )
        )
    return turns if whole else coherent(turns)


def _content(number: int, message: Mapping[str, object], *, may_lack: bool) -> tuple[str, bool]:
    """Return the text of a message, and whether it is all there was."""
    content = message.get("content")
    if isinstance(content, str):
        return content, True
    if isinstance(content, list):
        texts = []
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict) and part.get("type") in _TEXT_PARTS:
                text = part.get("text")
                if not isinstance(text, str):
                    raise UnusableError(f"Message {number} has a part of text without text.")
                texts.append(text)
            elif isinstance(part, dict) and isinstance(part.get("refusal"), str):
                texts.append(part["refusal"])
        return "\n".join(texts), len(texts) == len(content) > 0
    if content is None:
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            return refusal, True
        if may_lack:
            return "", False
        raise UnusableError(f"Message {number} has no content.")
    raise UnusableError(f"Message {number} has content that is not text.")


def _rating(number: int, role: Role, value: object) -> Rating | None:
    if value is None:
        return None
    if role is not Role.ASSISTANT:
        raise UnusableError(
            f"Message {number} has a rating, but only an answer of the assistant can have one."
        )
    rating = thumb(value)
    if rating is None:
        raise UnusableError(f"Message {number} has the rating {_shown(value)}; it should be 1 or -1.")
    return rating


def thumb(value: object) -> Literal[1, -1] | None:
    """Return a rating when ``value`` is the number 1 or -1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if value == 1:
        return 1
    return -1 if value == -1 else None


def _correction(number: int, role: Role, value: object) -> str | None:
    if value is None:
        return None
    if role is not Role.ASSISTANT:
        raise UnusableError(
            f"Message {number} has a correction, but only an answer of the assistant can be corrected."
        )
    if not isinstance(value, str):
        raise UnusableError(f"Message {number} has a correction that is not text.")
    if not value.strip():
        raise UnusableError(f"Message {number} has an empty correction.")
    return value


def unknown_keys(value: Mapping[str, object], known: frozenset[str], what: str) -> Mapping[str, object]:
    """Return what ``value`` holds beside ``known`` keys; raise :class:`UnusableError` when too deep."""
    extra = {key: item for key, item in value.items() if key not in known}
    level: list[object] = list(extra.values())
    for _ in range(_DEEPEST_EXTRA):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return extra
    raise UnusableError(f"{what} has additional keys nested more than {_DEEPEST_EXTRA} levels deep.")


def _shown(value: object) -> str:
    return f"“{str(value)[:40]}”" if isinstance(value, (str, int, float)) else "of a wrong type"

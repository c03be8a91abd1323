"""Sentences for what can go wrong between the window and the chat process."""

from __future__ import annotations

from dataclasses import dataclass

from allie_desktop.domain.json_text import parse_json
from allie_desktop.ui.chat.completions import error_message

#: Longest message of the server that is shown.
_MESSAGE_CHARACTERS = 400

BROKEN_OFF = "The answer broke off: the chat process ended unexpectedly. It is being started again."
UNREADABLE = "The chat process sent something that cannot be read. Try again."
SILENT = "The chat process has not said anything for a long time. Try again."
UNREACHABLE = "The chat process cannot be reached. It is being started again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """``sentence`` for the person. ``process_gone``: nobody listens there any more. ``wait_seconds``: how
    long the server wants to be left alone, 0 when it did not say."""

    sentence: str
    process_gone: bool = False
    wait_seconds: int = 0


def from_answer(status: int, body: bytes, retry_after: str = "") -> Problem:
    """Return the problem that an HTTP answer other than 200 means."""
    said = _said(body)
    wait = int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 5 else 0
    if status == 401:
        return Problem(
            sentence="The chat process did not accept Allie's key. Close Allie and open it again.",
        )
    if status == 429:
        when = f"in {wait} seconds" if wait > 1 else "in a moment"
        return Problem(
            sentence=f"Allie is busy with other questions just now. Try again {when}.", wait_seconds=wait
        )
    if status == 413:
        return Problem(sentence="This conversation is too long to be sent. Begin a new chat.")
    if status == 503:
        return Problem(
            sentence=said or "The model is not ready yet. Try again in a moment.", wait_seconds=wait
        )
    if 400 <= status < 500 and said:
        return Problem(sentence=said)
    if said:
        return Problem(sentence=f"The chat process met a problem: {said}")
    return Problem(sentence=f"The chat process met a problem (HTTP {status}). Try again.")


def from_stream(message: str) -> Problem:
    """Return the problem that the server named in the middle of a reply."""
    return Problem(sentence=_shortened(message) or UNREADABLE)


def _said(body: bytes) -> str:
    try:
        return _shortened(error_message(parse_json(body)))
    except ValueError:
        return ""


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= _MESSAGE_CHARACTERS else f"{line[: _MESSAGE_CHARACTERS - 1]}…"

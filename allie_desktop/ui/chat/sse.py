"""Server-sent events, read from chunks of bytes that may end anywhere (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

#: Most characters of one event; a server that sends more is broken.
MAXIMUM_EVENT_CHARACTERS = 4_000_000

_LINE_END = re.compile("\r\n|\n|\r")


class OverlongEventError(ValueError):
    """One event had more than :data:`MAXIMUM_EVENT_CHARACTERS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One dispatched event; several ``data`` lines are joined by newlines."""

    data: str
    name: str = "message"


class SseParser:
    """Turns bytes into events. Invalid UTF-8 becomes U+FFFD, as the standard says; what is incomplete when
    the stream ends is no event. The cost is linear, however small the chunks are."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line: list[str] = []  # the beginning of a line whose end has not come
        self._line_characters = 0
        self._data: list[str] = []
        self._data_characters = 0
        self._name = ""
        self._after_return = False  # a newline now would belong to the carriage return before
        self._at_start = True

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that ``chunk`` completes; raise :class:`OverlongEventError`."""
        text = self._decoder.decode(chunk)
        if text and self._at_start:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        if text and self._after_return:
            text = text.removeprefix("\n")
            self._after_return = False
        if not text:
            return []
        self._after_return = text.endswith("\r")
        events: list[ServerEvent] = []
        *whole, rest = _LINE_END.split(text)
        for end in whole:
            event = self._take("".join((*self._line, end)))
            self._line.clear()
            self._line_characters = 0
            if event is not None:
                events.append(event)
        if rest:
            self._line.append(rest)
            self._line_characters += len(rest)
            self._check()
        return events

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            event = ServerEvent(data="\n".join(self._data), name=self._name or "message")
            dispatched = bool(self._data)
            self._data.clear()
            self._data_characters = 0
            self._name = ""
            return event if dispatched else None
        field, _, value = line.partition(":")  # a comment has an empty field name
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._data_characters += len(value)
            self._check()
        elif field == "event":
            self._name = value
        return None

    def _check(self) -> None:
        if self._data_characters + self._line_characters > MAXIMUM_EVENT_CHARACTERS:
            raise OverlongEventError(f"An event has more than {MAXIMUM_EVENT_CHARACTERS:,} characters.")

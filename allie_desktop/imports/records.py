"""Cutting a stream of JSON text into one piece a conversation, in constant memory.

Two framings: :func:`lines` (JSON Lines) and :func:`elements` (one array of objects, or objects one after
the other, however they are indented). A streaming parser would stop for good at the first fault and hold
a string of any length; cutting first and decoding each piece on its own confines a fault to its
conversation, knows the line it began on, and skips what is too long without ever holding it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

#: The longest JSON text of one conversation, in bytes; a longer one is refused without being held.
MAXIMUM_RECORD_BYTES = 32 * 1024**2

_CHUNK_BYTES = 256 * 1024
_WHITE = b" \t\r\n"
_QUOTE, _BACKSLASH, _BRACKET, _BRACE = b'"\\[{'
_OPENING = b"[{"
# Above this size the parts of a record are counted before they become objects, which are far larger.
_COUNTED_BYTES = 4 * 1024**2
_MAXIMUM_BRACKETS = 1_000_000
_MAXIMUM_COMMAS = 3_000_000
_MOST_MENDED = 100_000
_HALF_PAIR = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_decoder = msgspec.json.Decoder()


class UnusableError(Exception):
    """One conversation cannot be used; ``reason`` is a whole sentence for the person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One piece of a document. ``position`` and ``line`` (where it begins) count from 1.

    ``problem`` is a sentence when the piece was not kept; ``data`` is empty then.
    """

    position: int
    line: int
    data: bytes = b""
    problem: str = ""


def too_long(limit_bytes: int) -> str:
    """Return the reason for refusing a record longer than ``limit_bytes``."""
    return f"It is longer than {limit_bytes // 1024**2} MiB, far more than a conversation needs."


def lines(stream: BinaryIO, limit_bytes: int = MAXIMUM_RECORD_BYTES) -> Iterator[Record]:
    """Yield one record a line that is not blank; never holds more than ``limit_bytes`` of one."""
    line = position = 0
    while data := stream.readline(limit_bytes + 1):
        line += 1
        if len(data) > limit_bytes and not data.endswith(b"\n"):
            while (rest := stream.readline(_CHUNK_BYTES)) and not rest.endswith(b"\n"):
                pass
            position += 1
            yield Record(position=position, line=line, problem=too_long(limit_bytes))
        elif data := data.strip(_WHITE):
            position += 1
            yield Record(position=position, line=line, data=data)


def elements(stream: BinaryIO, limit_bytes: int = MAXIMUM_RECORD_BYTES) -> Iterator[Record]:
    """Yield one record an object of a JSON array, or of several JSON texts one after the other.

    What stands between the objects and is no white space or comma yields a record with a problem, once
    for each place. Text that ends inside an object yields a record with a problem.
    """
    splitter = _Splitter(limit_bytes)
    while chunk := stream.read(_CHUNK_BYTES):
        yield from splitter.feed(chunk)
    yield from splitter.finish()


class _Splitter:
    """Follows brackets and strings through chunks that may end anywhere."""

    # Up to and with the next bracket outside strings, or the quote of a string that does not end here. A
    # string ends at a raw line feed too: JSON allows none inside, so that a forgotten quote does not turn
    # the rest of the file inside out.
    _NEXT = re.compile(rb'[^"\[\]{}]*(?:"[^"\\\n]*(?:\\.[^"\\\n]*)*"[^"\[\]{}]*)*["\[\]{}]', re.DOTALL)
    _STRING = re.compile(rb'[^"\\\n]*(?:\\.[^"\\\n]*)*', re.DOTALL)
    _BETWEEN = re.compile(rb"[^ \t\r\n,]")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._line = 1
        self._position = 0
        self._depth = 0
        self._outer_depth: int | None = None  # of the object being collected; None between objects
        self._first_line = 1
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._in_string = False
        self._held = b""  # a backslash whose partner is in the next chunk
        self._gap_told = False

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that end in ``chunk``."""
        data = self._held + chunk
        self._held = b""
        mark = counted = 0
        at = self._string_end(data, 0) if self._in_string else 0
        find_next, length, depth, outer_depth = self._NEXT.match, len(data), self._depth, self._outer_depth
        while found := find_next(data, at):
            at = found.end()
            byte = data[at - 1]
            if byte == _QUOTE:
                self._in_string = True
                at = self._string_end(data, at)
            elif outer_depth is not None:
                if byte in _OPENING:
                    depth += 1
                    continue
                depth -= 1
                if depth <= outer_depth:
                    self._keep(data[mark:at])
                    mark = at
                    outer_depth = None
                    yield self._end()
            else:
                yield from self._gap(data, mark, at - 1, counted)
                mark = at
                if byte == _BRACE or (byte == _BRACKET and depth):
                    outer_depth = depth
                    self._line += data.count(b"\n", counted, at)
                    mark, counted = at - 1, at
                    self._first_line = self._line
                    self._gap_told = False
                depth = depth + 1 if byte in _OPENING else max(depth - 1, 0)
        end = length - len(self._held)
        if outer_depth is None:
            yield from self._gap(data, mark, end, counted)
        else:
            self._keep(data[mark:end])
        self._line += data.count(b"\n", counted, end)
        self._depth, self._outer_depth = depth, outer_depth

    def finish(self) -> Iterator[Record]:
        """Yield what the end of the text leaves over."""
        if self._outer_depth is not None:
            self._position += 1
            yield self._problem(self._first_line, "The file ends in the middle of it.")
        elif self._depth:
            self._position += 1
            yield self._problem(self._line, "The file ends before its list does; it was probably cut off.")

    def _string_end(self, data: bytes, at: int) -> int:
        body = self._STRING.match(data, at)
        end = body.end() if body else len(data)
        if end == len(data):
            return end
        if data[end] == _BACKSLASH:
            self._held = data[end:]
            return len(data)
        self._in_string = False
        return end + (data[end] == _QUOTE)

    def _keep(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        if self._size_bytes > self._limit_bytes:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def _end(self) -> Record:
        self._position += 1
        if self._size_bytes > self._limit_bytes:
            record = self._problem(self._first_line, too_long(self._limit_bytes))
        else:
            record = Record(position=self._position, line=self._first_line, data=b"".join(self._pieces))
        self._pieces.clear()
        self._size_bytes = 0
        return record

    def _gap(self, data: bytes, start: int, end: int, counted: int) -> Iterator[Record]:
        stray = None if self._gap_told else self._BETWEEN.search(data, start, end)
        if stray is not None:
            self._gap_told = True
            self._position += 1
            line = self._line + data.count(b"\n", counted, stray.start())
            yield self._problem(line, "Something that is no conversation stands here.")

    def _problem(self, line: int, problem: str) -> Record:
        return Record(position=self._position, line=line, problem=problem)


def value_of(record: Record) -> dict[str, object]:
    """Return the JSON object of a record; raise :class:`UnusableError` with the reason."""
    if record.problem:
        raise UnusableError(record.problem)
    value = decoded(record.data)
    if not isinstance(value, dict):
        raise UnusableError("It is not a JSON object.")
    return value


def decoded(data: bytes) -> object:
    """Return the JSON value of ``data``; raise :class:`UnusableError` with the reason.

    Of a repeated key the last value counts. Halves of surrogate pairs become U+FFFD. ``NaN`` and numbers
    out of range are errors, as in the standard.
    """
    if len(data) > _COUNTED_BYTES and (
        data.count(b"[") + data.count(b"{") > _MAXIMUM_BRACKETS or data.count(b",") > _MAXIMUM_COMMAS
    ):
        raise UnusableError("It has far more parts than a conversation needs.")
    try:
        try:
            return _decoder.decode(data)
        except msgspec.DecodeError:
            mended = _HALF_PAIR.sub(rb"\1\\ufffd", data, _MOST_MENDED)
            if mended == data:
                raise
            return _decoder.decode(mended)
    except RecursionError:
        raise UnusableError("It is nested too deeply.") from None
    except UnicodeDecodeError:
        raise UnusableError(
            "It is not UTF-8 text (perhaps Latin-1 or Windows-1252); save the file as UTF-8 and try again."
        ) from None
    except msgspec.MsgspecError as error:
        reason = (
            str(error).replace("JSON is malformed: ", "").replace("Input data was truncated", "it breaks off")
        )
        raise UnusableError(f"It is not valid JSON: {reason.removesuffix(' - at `$[...]`')}.") from None


def is_line_by_line(head: bytes, file_name: str) -> bool:
    """Whether a document that starts with ``head`` is JSON Lines; otherwise it is cut by its brackets."""
    text = head.lstrip(_WHITE)
    named_lines = file_name.lower().endswith((".jsonl", ".ndjson"))
    if text.startswith(b"["):
        return named_lines and not text[1:].lstrip(_WHITE).startswith(b"{")
    if named_lines:
        return True
    first, feed, rest = text.partition(b"\n")
    if not feed:
        return True  # one line as far as one can see: both framings would read it alike
    return _is_object(first) or _is_object(rest.partition(b"\n")[0])


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(decoded(line), dict) and len(line.strip()) > 2
    except UnusableError:
        return False

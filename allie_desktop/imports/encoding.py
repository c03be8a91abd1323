"""Text in other encodings, as UTF-8: a byte order mark says which, and is dropped."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

HEAD_BYTES = 64 * 1024

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def utf8_head(head: bytes) -> bytes:
    """Return the start of a file as UTF-8, without its byte order mark; the cut-off end may be lost."""
    mark, encoding = _marked(head)
    return head.decode(encoding, "ignore").encode() if encoding else head[len(mark) :]


def _marked(start: bytes) -> tuple[bytes, str]:
    return next((known for known in _MARKS if start.startswith(known[0])), (b"", ""))


def as_utf8(raw: BinaryIO) -> tuple[BinaryIO, bytes]:
    """Return a stream of UTF-8 and its first 64 KiB (not taken from it), of one that need not seek."""
    start = raw.read(HEAD_BYTES)
    mark, encoding = _marked(start)
    if not encoding:
        head = start[len(mark) :]
        return io.BufferedReader(_Rejoined(head, raw), HEAD_BYTES), head
    recoded = io.BufferedReader(_Recoded(_Rejoined(start, raw), encoding), HEAD_BYTES)
    head = recoded.read(HEAD_BYTES)
    return io.BufferedReader(_Rejoined(head, recoded), HEAD_BYTES), head


class _Rejoined(io.RawIOBase):
    """A stream whose start was read already; archives cannot seek back."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._start[: len(buffer)] if self._start else self._rest.read(len(buffer))
        self._start = self._start[len(data) :]
        buffer[: len(data)] = data
        return len(data)


class _Recoded(io.RawIOBase):
    """UTF-16 or UTF-32 with a mark as UTF-8; what is no character becomes U+FFFD."""

    def __init__(self, source: io.RawIOBase, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            data = self._source.read(HEAD_BYTES) or b""
            self._ended = not data
            self._ready = self._decoder.decode(data, final=self._ended).encode("utf-8", "replace")
        data = self._ready[: len(buffer)]
        self._ready = self._ready[len(data) :]
        buffer[: len(data)] = data
        return len(data)

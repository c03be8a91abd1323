"""What a GGUF file says of itself, without its weights.

The library's own reader makes an object of each of a hundred thousand vocabulary entries: two seconds and
160 MB for the starter model, in a process that is to start in three seconds and to stay under 250 MB. This
reads the same header in a twentieth of that and without numpy.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from allie_desktop.domain.errors import CorruptModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

#: Long, and of no use to anybody here.
_SKIPPED = frozenset({"tokenizer.ggml.merges", "tokenizer.ggml.scores"})

#: Kinds of vocabulary entries that a text must never turn into: control marks and the unknown token.
_CONTROL = frozenset({2, 3})


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """``fields`` as they stand in the file; ``shapes`` maps a tensor's name to its dimensions, outermost
    first (rows, columns)."""

    fields: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """The family of the model, like ``llama``."""
        return str(self.fields.get("general.architecture", ""))

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number of the architecture, such as ``context_length``."""
        value = self.fields.get(f"{self.architecture}.{name}", default)
        return value if isinstance(value, int) else default

    @property
    def chat_template(self) -> str:
        """The template that makes one text of a conversation; empty when there is none."""
        return str(self.fields.get("tokenizer.chat_template", ""))

    def token(self, name: str) -> str:
        """Return the text of the ``bos``, ``eos`` … token; empty when the model has none."""
        index = self.fields.get(f"tokenizer.ggml.{name}_token_id")
        tokens = self._list("tokens")
        return str(tokens[index]) if isinstance(index, int) and 0 <= index < len(tokens) else ""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The texts that the tokenizer takes for marks of its own."""
        pairs = zip(self._list("tokens"), self._list("token_type"), strict=False)
        return tuple(str(token) for token, kind in pairs if isinstance(kind, int) and kind in _CONTROL)

    def _list(self, name: str) -> list[Any]:
        """Return a list of the tokenizer; empty where something else stands in its place."""
        value = self.fields.get(f"tokenizer.ggml.{name}")
        return value if isinstance(value, list) else []


def read_header(path: Path) -> GgufHeader:
    """Return the header of a GGUF file; raise :class:`CorruptModelError` when it is none, or a broken one."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).header()
    except (
        OSError,
        ValueError,
        KeyError,
        struct.error,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        raise CorruptModelError(
            f"The model file {path.name} is truncated or damaged.", "Download the model again."
        ) from error


class _Reader:
    """Walks through the bytes of a header."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> GgufHeader:
        if self._data[:4] != _MAGIC:
            raise ValueError("not a GGUF file")
        self._at = 4
        if self._one(_U32) not in _VERSIONS:
            raise ValueError("an unknown version of GGUF")
        tensors, count = self._one(_U64), self._one(_U64)
        fields: dict[str, Any] = {}
        for _ in range(count):
            name = self._string()
            value = self._value(self._one(_U32), skip=name in _SKIPPED)
            if name not in _SKIPPED:
                fields[name] = value
        shapes = {}
        for _ in range(tensors):
            name = self._string()
            shapes[name] = tuple(reversed([self._one(_U64) for _ in range(self._one(_U32))]))
            self._at += _U32.size + _U64.size  # its type, and where it begins
        return GgufHeader(fields=fields, shapes=shapes)

    def _one(self, kind: struct.Struct) -> Any:
        (value,) = kind.unpack_from(self._data, self._at)
        self._at += kind.size
        return value

    def _string(self) -> str:
        length = self._one(_U64)
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise ValueError("a text that goes beyond the file")
        return self._data[start : self._at].decode("utf-8", "replace")

    def _value(self, kind: int, *, skip: bool) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._one(_SCALARS[kind])
        inner, length = self._one(_U32), self._one(_U64)
        if length > len(self._data):
            raise ValueError("a list that is longer than the file")
        if inner in _SCALARS:
            start, self._at = self._at, self._at + length * _SCALARS[inner].size
            if self._at > len(self._data):
                raise ValueError("a list that goes beyond the file")
            code = _SCALARS[inner].format[-1]
            return [] if skip else list(struct.unpack_from(f"<{length}{code}", self._data, start))
        values = [self._value(inner, skip=skip) for _ in range(length)]
        return [] if skip else values

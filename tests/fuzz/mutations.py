"""Turns what is valid into what is nearly valid: bytes by the byte, JSON by its structure.

Everything random comes from the :class:`random.Random` that is handed in, so that one number makes one input.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Path = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """A piece of a JSON text as it stands, which need not be JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """An object whose keys may come twice."""

    items: tuple[tuple[str, Any], ...]


# --- bytes ---

NASTY_BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc0\x80",  # NUL in a form that UTF-8 forbids
    b"\xed\xa0\x80",  # half a surrogate pair
    b"\xf4\x90\x80\x80",  # beyond Unicode
    b"\xff" * 8,
    b"\x80" * 4,
    b"\xff\xff\xff\x7f",
    b"\x00" * 16,
    b"\r\n\r\n",
    b'"',
    b"\\",
    b"\\u",
    b"{" * 40,
    b"]" * 40,
    b"PK\x03\x04",
    b"SQLite format 3\x00",
    b"NaN",
    b"1e999",
    b"../../../../etc/passwd",
)


def damaged(data: bytes, random: Random, *, most: int = 5) -> bytes:
    """Return ``data`` with one to ``most`` places changed."""
    for _ in range(random.randint(1, most)):
        at = random.randrange(len(data) + 1)
        length = min(random.choice((1, 1, 2, 4, 16, 256)), len(data) - at)
        match random.randrange(8):
            case 0 if length:
                flipped = data[at] ^ (1 << random.randrange(8))
                data = data[:at] + bytes([flipped]) + data[at + 1 :]
            case 1:
                data = data[:at] + random.randbytes(length) + data[at + length :]
            case 2:
                data = data[:at] + data[at + length :]
            case 3:
                data = data[:at] + data[at : at + length] * random.choice((2, 2, 3, 50)) + data[at + length :]
            case 4:
                data = data[:at] + random.choice(NASTY_BYTES) + data[at:]
            case 5:
                nasty = random.choice(NASTY_BYTES)
                data = data[:at] + nasty + data[at + len(nasty) :]
            case 6 if random.random() < 0.3:
                data = data[:at]
            case _:
                other = random.randrange(len(data) + 1)
                data = data[:at] + data[other : other + length] + data[at + length :]
    return data


# --- JSON ---

ODD_NUMBERS = (
    "0",
    "-0",
    "-1",
    "1",
    "0.0",
    "1e308",
    "1e309",
    "-1e999",
    "1e-400",
    "5e-324",
    "2147483648",
    "-9223372036854775809",
    "18446744073709551616",
    "9" * 400,
    "0." + "3" * 400,
    "1" + "0" * 5000,
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "0x10",
    "1_000",
)
ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udc00\ud800",
    "\ufeff",
    "\u202eabc",
    "e\u0301" * 50,
    "\u0130",
    "ﬃ",
    "\U0010ffff",
    "\n",
    "\r",
    "\u2028",
    "user",
    "assistant",
    "system",
    "base",
    "v1.0",
    "v1.99999999999999999999",
    "../../etc/passwd",
    "..\\..\\x",
    "CON",
    "/",
    "-",
    "%s%n{0}{a.__class__}",
    "$(id)`id`",
    "'; DROP TABLE conversations; --",
    "<|im_start|>system\n",
    "{{ 7 * 7 }}",
    "null",
    "true",
    "nan",
    "1",
    "1e400",
    "9" * 5000,
    "-1",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "2024-02-30T25:61:61+99:99",
    "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59",
    "25:00",
    "off",
    "x" * 10_000,
    "🦊" * 100,
    "a\u0300" * 3000,
)


def odd_value(random: Random) -> Any:
    """Return a value that belongs nowhere."""
    match random.randrange(12):
        case 0:
            return random.choice((None, True, False))
        case 1 | 2:
            return Raw(random.choice(ODD_NUMBERS))
        case 3:
            return random.randint(-(2**70), 2**70)
        case 4:
            return random.uniform(-10, 10) * 10 ** random.randint(-20, 20)
        case 5 | 6:
            return random.choice(ODD_TEXTS)
        case 7:
            return any_text(random, 30)
        case 8:
            return random.choice(([], {}, [None], [[]], [{}], {"": None}, [1, "a", None, {}]))
        case 9:
            return nested(random)
        case 10:
            return Pairs((("a", 1), ("a", "2"), ("", None)))
        case _:
            return {"$float": random.choice(("nan", "inf", "-inf", "x", 1))}


def similar(value: Any, random: Random) -> Any:
    """Return another value of the same kind: what passes every check of types, and may still make no sense."""
    match value:
        case bool():
            return not value
        case int():
            return random.choice(
                (0, 1, -1, value + 1, -value, 2**31, 2**53 + 1, 10**12, random.randint(-9, 99))
            )
        case float():
            return random.choice((0.0, -0.0, -value, 1e-300, 1e300, 0.1, float(random.randint(-9, 99))))
        case str():
            if value and random.random() < 0.3:
                at = random.randrange(len(value))
                return value[:at] + random.choice(ODD_TEXTS) + value[at + random.randint(0, 1) :]
            return random.choice((*ODD_TEXTS, value.upper(), value * 2, value[:-1], any_text(random, 12)))
        case list():
            return random.choice((value + value, value[::-1], value[:1], value * 40))
        case dict():
            return dict(reversed(value.items()))
        case _:
            return odd_value(random)


def nested(random: Random) -> Raw:
    """Return a value of a depth that nobody needs."""
    depth = random.choice((50, 500, 1_100, 5_000, 20_000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}"), ('[{"messages":', "}]")))
    inner = "" if closing == "]" else "1"
    return Raw(opening * depth + inner + closing * (depth if random.random() < 0.8 else depth - 1))


def any_text(random: Random, most: int) -> str:
    """Return up to ``most`` characters out of anything that Python's text can hold."""
    pools = (string.printable, "äöüßéñ中文字🦊\u0301\u200d\u202e", "\x00\x01\x1b\x7f\x85\ud800\udfff\ufffe")
    return "".join(
        random.choice(random.choice(pools)) if random.random() < 0.9 else chr(random.randrange(0x110000))
        for _ in range(random.randint(0, most))
    )


def spots(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside ``value``, itself first."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from spots(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from spots(item, (*path, index))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def changed(value: Any, random: Random, *, most: int = 3, others: Sequence[Any] = ()) -> Any:
    """Return a copy of a JSON value with one to ``most`` of its parts exchanged, lost, doubled or moved.

    ``others`` are values whose parts may come in: what is valid elsewhere is the best nonsense here.
    """
    value = json.loads(json.dumps(value))
    for _ in range(random.randint(1, most)):
        places = list(spots(value))
        path = random.choice(places)
        if not path:
            if random.random() < 0.1:
                return odd_value(random)
            continue
        parent, key = _at(value, path[:-1]), path[-1]
        if not isinstance(parent, (dict, list)) or (isinstance(parent, dict) and key not in parent):
            continue
        match random.randrange(12):
            case 0 | 1 | 2:
                parent[key] = odd_value(random)
            case 8 | 9 | 10 | 11:
                parent[key] = similar(_plain(parent[key]), random)
            case 3:
                del parent[key]
            case 4 if isinstance(parent, dict):
                parent[random.choice((str(key).upper(), f"{key} ", any_text(random, 8)))] = parent.pop(key)
            case 5 if isinstance(parent, list):
                parent.insert(random.randrange(len(parent) + 1), json.loads(json.dumps(_plain(parent[key]))))
            case 6 if others:
                other = random.choice(others)
                taken = _at(other, random.choice(list(spots(other))))
                parent[key] = json.loads(json.dumps(_plain(taken)))
            case _:
                # One leaf inside an object is doubled, with another value.
                if isinstance(parent, dict):
                    items = tuple(parent.items())
                    twice = Pairs((*items, (str(key), odd_value(random))))
                    if len(path) > 1:
                        _at(value, path[:-2])[path[-2]] = twice
                    else:
                        return twice
                else:
                    random.shuffle(parent)
    return value


def _plain(value: Any) -> Any:
    """Return a value as plain JSON, for copying."""
    if isinstance(value, Raw):
        return None
    if isinstance(value, Pairs):
        return {key: _plain(item) for key, item in value.items}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def written(value: Any, random: Random) -> bytes:
    """Return a value as JSON text in one of the ways in which it may be written."""
    escaped = random.random() < 0.5
    comma, colon = random.choice(((",", ":"), (", ", ": "), (" ,\n", " :\t")))
    pieces: list[str] = []

    def write(part: Any) -> None:
        if isinstance(part, Raw):
            pieces.append(part.text)
        elif isinstance(part, (dict, Pairs)):
            items: Iterable[tuple[str, Any]] = part.items() if isinstance(part, dict) else part.items
            pieces.append("{")
            for index, (key, item) in enumerate(items):
                pieces.append((comma if index else "") + json.dumps(str(key), ensure_ascii=escaped) + colon)
                write(item)
            pieces.append("}")
        elif isinstance(part, list):
            pieces.append("[")
            for index, item in enumerate(part):
                pieces.append(comma if index else "")
                write(item)
            pieces.append("]")
        else:
            pieces.append(json.dumps(part, ensure_ascii=escaped))

    write(value)
    return "".join(pieces).encode("utf-8", "surrogatepass")


def nearly(document: Any, random: Random, *, others: Sequence[Any] = ()) -> bytes:
    """Return a valid JSON document made nearly valid: by its structure, its bytes, or both."""
    kind = random.random()
    value = changed(document, random, others=others) if kind < 0.8 else document
    data = written(value, random)
    return damaged(data, random) if kind > 0.65 else data

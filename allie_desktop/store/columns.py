"""How values of the domain look as columns, and back.

Times are whole microseconds since 1970 in UTC: exact, sortable, eight bytes. Structured values are JSON
text, or NULL when empty. Text is UTF-8; a lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the aware wall-clock time."""
    return datetime.now(timezone.utc)


def microseconds(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970; raise ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return (moment - EPOCH) // _MICROSECOND


def optional_microseconds(moment: datetime | None) -> int | None:
    """Return :func:`microseconds`, or None for None."""
    return None if moment is None else microseconds(moment)


def moment(value: int) -> datetime:
    """Return the time (UTC) of :func:`microseconds`."""
    return EPOCH + timedelta(microseconds=value)


def optional_moment(value: int | None) -> datetime | None:
    """Return :func:`moment`, or None for None."""
    return None if value is None else moment(value)


def text(value: str) -> str:
    """Return ``value`` without what UTF-8 cannot hold."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value


def optional_text(value: str | None) -> str | None:
    """Return :func:`text`, or None for None."""
    return None if value is None else text(value)


def _plain(value: object) -> object:
    """Return what the encoder does not know (read-only mappings, sets) as what it does."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON")


# json.dumps makes a new encoder at every call with other options than its own.
_LENIENT = json.JSONEncoder(default=_plain, separators=(",", ":"))
_STRICT = json.JSONEncoder(default=_plain, separators=(",", ":"), allow_nan=False)


def to_json(value: object, *, strict: bool = False) -> str:
    """Return ``value`` as JSON text; raise TypeError or ValueError when it has no JSON form.

    ``strict`` refuses NaN and the infinities, which other readers of JSON do not know.
    """
    return (_STRICT if strict else _LENIENT).encode(value)


def mapping_text(value: Mapping[str, Any]) -> str | None:
    """Return a mapping as JSON text; None when it is empty."""
    return to_json(value) if value else None


def mapping(value: str | None) -> dict[str, Any]:
    """Return the mapping of :func:`mapping_text`."""
    if value is None:
        return {}
    loaded: dict[str, Any] = json.loads(value)
    return loaded


def strings_text(value: tuple[str, ...]) -> str | None:
    """Return a tuple of strings as JSON text; None when it is empty."""
    return to_json(value) if value else None


def strings(value: str | None) -> tuple[str, ...]:
    """Return the tuple of :func:`strings_text`."""
    return () if value is None else tuple(json.loads(value))

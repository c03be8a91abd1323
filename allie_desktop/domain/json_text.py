"""Reading JSON that anyone may have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def parse_json(text: str | bytes, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Return what :func:`json.loads` returns. Raises :class:`ValueError`, also for what is nested so deeply
    that the parser gives up, and for bytes that are no text. Any thread."""
    try:
        return json.loads(text, parse_constant=parse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None

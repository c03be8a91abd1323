"""Take secrets and personal data out of a text before anything is learnt from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from allie_desktop.safety.account_numbers import find_cards, find_ibans, find_social_security
from allie_desktop.safety.contacts import find_emails, find_phones
from allie_desktop.safety.secret_formats import find_secrets

#: Kinds of what is taken out, strongest first: of two that overlap the stronger names the whole.
KINDS = ("secret", "card", "iban", "email", "phone")

_FINDERS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("secret", find_secrets),
    ("card", find_cards),
    ("iban", find_ibans),
    ("secret", find_social_security),
    ("email", find_emails),
    ("phone", find_phones),
)

# Most turns hold none of what every secret needs: a digit, an "@", or a word that introduces one.
_SUSPICIOUS = re.compile(
    r"[\d@]|://|\S{20}|\[\s?at|\(\s?at|pass|pwd|\bpw\b|secret|token|\bkey|credential|pin\b|kennwort|contraseña",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Find:
    start: int
    end: int
    kind: str


class TextRedactor:
    """A :class:`~allie_desktop.domain.ports.Redactor`: thread-safe, no state, linear in the text's length.

    Placeholders are ``[SECRET]``, ``[CARD]``, ``[IBAN]``, ``[EMAIL]`` and ``[PHONE]``; counts are by
    kind in lower case.
    """

    def redact(self, text: str) -> tuple[str, Mapping[str, int]]:
        """Return the text with placeholders, and how many of each kind there were."""
        finds = _finds(text)
        if not finds:
            return text, {}
        parts: list[str] = []
        place = 0
        for find in finds:
            parts += (text[place : find.start], f"[{find.kind.upper()}]")
            place = find.end
        parts.append(text[place:])
        return "".join(parts), dict(Counter(find.kind for find in finds))

    def redacted_values(self, text: str) -> tuple[str, ...]:
        """Return what :meth:`redact` takes out, without repetitions. For leak checks; never log it."""
        return tuple(dict.fromkeys(text[find.start : find.end] for find in _finds(text)))


def _finds(text: str) -> list[_Find]:
    """Return what is to be taken out, left to right, without overlaps."""
    if _SUSPICIOUS.search(text) is None:
        return []
    found = [_Find(*span, kind) for kind, finder in _FINDERS for span in finder(text)]
    found.sort(key=lambda find: (find.start, -find.end))
    merged: list[_Find] = []
    for find in found:
        if not merged or find.start >= merged[-1].end:
            merged.append(find)
            continue
        last = merged[-1]
        kind = min(last.kind, find.kind, key=KINDS.index)
        merged[-1] = _Find(last.start, max(last.end, find.end), kind)
    return merged

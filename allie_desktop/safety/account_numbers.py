"""Find payment cards, bank accounts and US social security numbers by their checksums and shapes.

Every finder yields ``(start, end)`` spans, left to right, in time linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

# Digits with single blanks or dashes between them: the longest such run, so that no digit is read twice.
_DIGIT_RUN = re.compile(r"(?<![\w.])\d(?:[ -]?\d){11,}(?![\w])")
_GROUP = re.compile(r"\d+")
_CARD_WORD = re.compile(
    r"\b(?:card|visa|master ?card|amex|maestro|kreditkarte|carte|tarjeta|carta)\b", re.IGNORECASE
)

# How the digits of a card are grouped in print.
_CARD_GROUPS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 4, 5), (6, 13))

# First digits of issuers: Visa, Mastercard, Amex, Diners, Discover, JCB, UnionPay, Maestro and others.
_ISSUER = re.compile(
    r"4|5[0-8]|30[0-59]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[4-9]|6[0-9]|1800|2131",
)

# Length of an IBAN by country (ISO 13616 registry).
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}(?=[ -]?[A-Za-z0-9])")

# Area numbers 000, 666 and 900–999 were never given.
_SSN = re.compile(r"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and any(digit != "0" for digit in digits)


def iban_is_valid(compact: str) -> bool:
    """Whether an IBAN without blanks has its country's length and ISO 7064 check digits."""
    upper = compact.upper()
    if _IBAN_LENGTHS.get(upper[:2]) != len(upper):
        return False
    moved = upper[4:] + upper[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def find_cards(text: str) -> Iterator[Span]:
    """Yield numbers of payment cards: 12 to 19 digits that an issuer could have given, with a valid check digit."""
    for run in _DIGIT_RUN.finditer(text):
        groups = [(match.start(), match.end()) for match in _GROUP.finditer(text, run.start(), run.end())]
        index = 0
        while index < len(groups):
            taken = _card_at(text, groups, index)
            if taken:
                yield groups[index][0], groups[index + taken - 1][1]
            index += max(taken, 1)


def _card_at(text: str, groups: list[Span], index: int) -> int:
    """Return how many groups from ``index`` make up a card, or 0."""
    start, end = groups[index]
    if 12 <= end - start <= 19:
        return int(_is_card(text, start, text[start:end]))
    if end - start not in (4, 6):
        return 0
    for shape in _CARD_GROUPS:
        part = groups[index : index + len(shape)]
        if tuple(last - first for first, last in part) == shape:
            digits = "".join(text[first:last] for first, last in part)
            if _is_card(text, start, digits):
                return len(shape)
    return 0


def _is_card(text: str, start: int, digits: str) -> bool:
    if not luhn(digits):
        return False
    if len(digits) >= 13 and _ISSUER.match(digits):
        return True
    # Twelve digits, or no known issuer: only where the text speaks of a card.
    return _CARD_WORD.search(text, max(0, start - 80), start) is not None or bool(
        len(digits) == 12 and re.match(r"50|5[6-8]|6[3-9]", digits)
    )


def find_ibans(text: str) -> Iterator[Span]:
    """Yield international bank account numbers, with or without blanks in them."""
    end = 0
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[1].upper())
        if length is None or match.start() < end:
            continue
        place = match.start()
        letters: list[str] = []
        while place < len(text) and len(letters) < length:
            letter = text[place]
            if letter.isascii() and letter.isalnum():
                letters.append(letter)
            elif letter not in " -" or not text[place - 1].isalnum():
                break
            place += 1
        closed = place >= len(text) or not (text[place].isascii() and text[place].isalnum())
        if len(letters) == length and closed and iban_is_valid("".join(letters)):
            end = place
            yield match.start(), end


def find_social_security(text: str) -> Iterator[Span]:
    """Yield US social security numbers."""
    for match in _SSN.finditer(text):
        yield match.span()

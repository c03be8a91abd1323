"""Find e-mail addresses and telephone numbers.

Telephone numbers have no checksum. Some shapes say by themselves what they are (a country code, three
American groups, a leading zero with European groups); any other number counts only beside a word like
"call" or "mobile". Dates, prices, versions and addresses of machines are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int]

_EMAIL = re.compile(
    r"(?<![\w.%+'-])[\w.%+'-]*[\w%+-]@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,24}(?![\w-])|"
    r"(?<![\w.%+'-])[\w.%+-]{1,64} ?[\[({] ?(?:at|AT) ?[\])}] ?[\w-]{1,63}(?: ?(?:[\[({] ?(?:dot|DOT) ?[\])}]|\.) ?[\w-]{2,63}){1,4}"
)

# The longest run of what a telephone number may consist of.
_RUN = re.compile(
    r"(?<![\w./:+=#-])(?<!\d,)[+(]{0,2}\d[\d ().\-/]{4,60}\d(?:,? ?(?:x|ext\.?|#) ?\d{1,6})?(?![\w%])"
)
_SEVEN_DIGITS = re.compile(r"\d(?:[^\d\n]{0,4}\d){6}")
_GROUP = re.compile(r"\d+")
_EXTENSION = re.compile(r",? ?(?:x|ext\.?|#) ?\d{1,6}\Z")

_BEFORE = re.compile(
    r"(?:\b(?:tele)?(?:phone|fon)e?s?|\btel|\bmobile?|\bcell(?:ular|phone)?|\bfax|\bcall(?:ed|ing|s)?|\bring|\bdial(?:l?ed|ling)?|"
    r"\bsms|\btexte?d?|\bwhats ?app|\breach|\bcontact|\bhandy|\bdesk|\boffice|\bhotline|\banswering at|\bregistered|"
    r"\bmessages? to|\bmy number|\b(?:his|her|their|our|your) number|\bnumber (?:is|was)|\bnumber:|\bnummer|\brufnummer|"
    r"\btéléphone|\bteléfono|\bmóvil|\bcellulare|\bportable)"
    r"[^\d]{0,28}\Z",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
_SHAPELY = re.compile(r"[+(.-]|\b0|\b1\b")  # what _tells() can go by
_NEAR = 60  # characters in which a word says what a number is
_AFTER = re.compile(r"\s*[-,(]?\s*(?:office|fax|mobile|cell|home|desk|phone|tel)\b", re.IGNORECASE)
_DATE = re.compile(
    r"(?:(?:19|20)\d{2}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d{2}|(?:19|20)\d{2} ?[-–/] ?(?:19|20)\d{2})(?!\d)"
)
_MACHINE = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\Z")
_BOOK = re.compile(r"97[89][- ]?\d[-\d ]+\Z")


def find_emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses, also "name (at) host (dot) org"."""
    if "@" not in text and "at" not in text.lower():
        return
    for match in _EMAIL.finditer(text):
        if not match[0].startswith("git@"):
            yield match.span()


@dataclass(frozen=True, slots=True)
class _Number:
    """A possible number: its place, its digits by group, and how it is written."""

    start: int
    groups: tuple[str, ...]
    text: str

    @property
    def digits(self) -> int:
        return sum(map(len, self.groups))


def find_phones(text: str) -> Iterator[Span]:
    """Yield telephone numbers, with their extension."""
    if _SEVEN_DIGITS.search(text) is None:
        return
    for run in _RUN.finditer(text):
        # A table of numbers has many runs: one without any sign of a telephone is left at once.
        if not _SHAPELY.search(run[0]) and not _LETTER.search(
            text, max(0, run.start() - _NEAR), run.end() + _NEAR
        ):
            continue
        extension = _EXTENSION.search(text, run.start(), run.end())
        body_end = extension.start() if extension else run.end()
        groups = [match.span() for match in _GROUP.finditer(text, run.start(), body_end)]
        first = 0
        while first < len(groups):
            number = _longest_at(text, run.start(), groups, first)
            if number is None:
                first += 1
                continue
            start, count = number
            end = groups[first + count - 1][1]
            yield start, run.end() if end == body_end else end
            first += count


def _longest_at(text: str, run_start: int, groups: list[Span], first: int) -> tuple[int, int] | None:
    """Return the start and the number of groups of the longest telephone number that begins here."""
    start = groups[first][0]
    if first and text[groups[first - 1][1] : start] in ("-", ".", "/"):
        return None  # in the middle of something else
    while start > run_start and text[start - 1] in "+(":
        start -= 1
    lengths: list[int] = []
    best: _Number | None = None
    near = ""  # whether words beside it speak of a telephone: "", "yes" or "no"
    for index in range(first, min(first + 8, len(groups))):
        begin, end = groups[index]
        lengths.append(end - begin)
        if sum(lengths) > 17 or lengths.count(1) > 2:
            break
        attached = index + 1 < len(groups) and text[end : groups[index + 1][0]] in ("-", ".", "/")
        if sum(lengths) < 7 or attached:
            continue
        number = _Number(
            start=start,
            groups=tuple(text[opening:closing] for opening, closing in groups[first : index + 1]),
            text=text[start:end],
        )
        if not _is_nothing_else(number):
            continue
        if _tells(number):
            best = number
        elif number.digits <= 15:
            near = near or ("yes" if _BEFORE.search(text[max(0, start - _NEAR) : start]) else "no")
            if near == "yes" or _AFTER.match(text, end, end + 14):
                best = number
    return (best.start, len(best.groups)) if best else None


def _is_nothing_else(number: _Number) -> bool:
    bare = number.text.lstrip("(")
    return not (_DATE.match(bare) or _MACHINE.match(bare) or _BOOK.match(bare))


def _tells(number: _Number) -> bool:
    """Whether the shape alone says that this is a telephone number."""
    written, groups = number.text, number.groups
    if written.startswith(("+", "(+")):
        return number.digits >= 8
    lengths = tuple(map(len, groups))
    dashed = "-" in written or "." in written
    if groups[0].startswith("00") and len(groups) > 1 and number.digits >= 10:
        return True
    if lengths == (3, 3, 4) and (dashed or "(" in written) and groups[0][0] not in "01":
        return True
    if lengths == (1, 3, 3, 4) and groups[0] == "1":
        return True
    if groups[0][0] == "0" and 9 <= number.digits <= 11 and len(groups) > 1 and 2 <= lengths[0] <= 5:
        return min(lengths) >= 2 and max(lengths) <= 8
    if written.startswith("(") and ")" in written and lengths[0] <= 4 and 2 <= len(groups) <= 3 and dashed:
        return 8 <= number.digits <= 11
    return False

"""Markdown cut into blocks that can be shown one by one, while it is still being written.

What stands before a finished block never changes it, so each is rendered once and only the last one again
and again; together with the bounded size of a block this makes streaming linear. Code fences become blocks
of their own, whatever list they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: A block of prose is ended at the next opportunity beyond this size, and a line cut beyond the second.
_PROSE_CHARACTERS = 4_000
_LINE_CHARACTERS = 8_000

#: A code block is continued in another beyond this size.
_CODE_CHARACTERS = 400_000

#: Neighbouring blocks of prose are joined up to this size once nothing comes any more.
_JOINED_CHARACTERS = 8_000

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>.*)\Z")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|\Z)")
_LANGUAGE_CHARACTERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Markdown without code fences."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What stood between fences, without them."""

    text: str
    language: str = ""


Block = Prose | Code


class MarkdownSplitter:
    """Takes text as it comes, gives blocks as they end."""

    def __init__(self) -> None:
        self._finished: list[Block] = []
        self._partial: list[str] = []  # a line whose end has not come
        self._partial_characters = 0
        self._lines: list[str] = []
        self._characters = 0
        self._fence = ""  # the fence that has to be matched; empty in prose
        self._indent = 0
        self._language = ""
        self._in_list = False
        self._after_code_in_list = False

    def feed(self, text: str) -> None:
        """Take some more."""
        *whole, rest = text.replace("\r\n", "\n").split("\n")
        for end in whole:
            line = "".join((*self._partial, end))
            self._partial.clear()
            self._partial_characters = 0
            self._take_line(line)
        if rest:
            self._partial.append(rest)
            self._partial_characters += len(rest)
            if self._partial_characters > _LINE_CHARACTERS:
                self._cut_partial()

    def finish(self) -> None:
        """Nothing comes any more: what is open ends here."""
        if self._partial:
            line = "".join(self._partial)
            self._partial.clear()
            self._partial_characters = 0
            self._take_line(line)
        self._emit()
        self._fence = ""

    def take(self) -> tuple[Block, ...]:
        """Return the blocks that ended since the last call."""
        finished = tuple(self._finished)
        self._finished.clear()
        return finished

    @property
    def tail(self) -> Block | None:
        """The block that is still being written; None when there is nothing to see of it."""
        partial = "".join(self._partial)
        if self._fence:
            # A closing fence that is half there is not code.
            if partial.strip() and set(partial.strip()) == {self._fence[0]}:
                partial = ""
            return Code(
                text="\n".join((*self._lines, _dedented(partial, self._indent))), language=self._language
            )
        if partial.lstrip().startswith(("``", "~~~")) and " " not in partial.strip():
            partial = ""  # it may be about to become a fence
        text = "\n".join((*self._lines, partial)).strip("\n")
        return Prose(text=text) if text.strip() else None

    def _take_line(self, line: str) -> None:
        if self._fence:
            self._take_code(line)
            return
        fence = _FENCE.match(line)
        if fence is not None and self._opens(fence):
            self._emit()
            self._fence = fence["fence"]
            self._indent = len(fence["indent"])
            words = fence["info"].split()
            self._language = words[0].strip("{}.")[:_LANGUAGE_CHARACTERS] if words else ""
            return
        blank = not line.strip()
        if not blank:
            self._begin_line(line)
        elif not self._lines:
            return
        self._lines.append(line)
        self._characters += len(line) + 1

    def _opens(self, fence: re.Match[str]) -> bool:
        if fence["fence"][0] == "`" and "`" in fence["info"]:
            return False  # an inline code span
        return len(fence["indent"]) <= 3 or self._in_list

    def _begin_line(self, line: str) -> None:
        """Decide whether a block ends before this line."""
        item = _ITEM.match(line) is not None
        at_margin = not line[0].isspace()
        after_blank = not self._lines or not self._lines[-1].strip()
        ends = after_blank and at_margin and not (item and self._in_list)
        full = self._characters > _PROSE_CHARACTERS and (after_blank or item or at_margin)
        if self._lines and (ends or full):
            self._emit()
        if item:
            self._in_list = True
        elif at_margin and after_blank:
            self._in_list = False

    def _take_code(self, line: str) -> None:
        bare = line.strip()
        if len(bare) >= len(self._fence) and set(bare) == {self._fence[0]}:
            self._emit(even_empty=True)
            self._fence = ""
            self._after_code_in_list = self._in_list
            return
        self._lines.append(_dedented(line, self._indent))
        self._characters += len(line) + 1
        if self._characters > _CODE_CHARACTERS:
            self._emit()

    def _cut_partial(self) -> None:
        """End a line that goes on for ever, where a word ends if possible."""
        line = "".join(self._partial)
        while len(line) > _LINE_CHARACTERS:
            cut = line.rfind(" ", _LINE_CHARACTERS // 2, _LINE_CHARACTERS) + 1 or _LINE_CHARACTERS
            self._take_line(line[:cut])
            if not self._fence:
                self._emit()
            line = line[cut:]
        self._partial[:] = [line] if line else []
        self._partial_characters = len(line)

    def _emit(self, *, even_empty: bool = False) -> None:
        lines = self._lines
        if self._fence:
            if lines or even_empty:
                self._finished.append(Code(text="\n".join(lines), language=self._language))
        else:
            while lines and not lines[-1].strip():
                lines.pop()
            if lines:
                if self._after_code_in_list and lines[0][0].isspace():
                    # The rest of a list item: as far in as before, Markdown would take it for code.
                    indent = len(lines[0]) - len(lines[0].lstrip())
                    lines = [_dedented(line, indent) for line in lines]
                self._finished.append(Prose(text="\n".join(lines)))
                self._after_code_in_list = False
        self._lines = []
        self._characters = 0


def split(text: str) -> tuple[Block, ...]:
    """Return the blocks of a whole text, small neighbours joined."""
    splitter = MarkdownSplitter()
    splitter.feed(_with_short_lines(text))
    splitter.finish()
    return joined(splitter.take())


def joined(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Return the blocks with neighbouring prose in one, as far as that stays small."""
    result: list[Block] = []
    for block in blocks:
        last = result[-1] if result else None
        if (
            isinstance(block, Prose)
            and isinstance(last, Prose)
            and len(last.text) + len(block.text) < _JOINED_CHARACTERS
        ):
            result[-1] = Prose(text=f"{last.text}\n\n{block.text}")
        else:
            result.append(block)
    return tuple(result)


def _with_short_lines(text: str) -> str:
    """Cut lines that no document can lay out in time; others are left as they are."""
    if len(text) <= _LINE_CHARACTERS or max(map(len, text.split("\n"))) <= _LINE_CHARACTERS:
        return text
    pieces: list[str] = []
    for line in text.split("\n"):
        rest = line
        while len(rest) > _LINE_CHARACTERS:
            cut = rest.rfind(" ", _LINE_CHARACTERS // 2, _LINE_CHARACTERS) + 1 or _LINE_CHARACTERS
            pieces.append(rest[:cut])
            rest = rest[cut:]
        pieces.append(rest)
    return "\n".join(pieces)


def _dedented(line: str, columns: int) -> str:
    """Return the line without its first spaces, at most so many."""
    return line[min(columns, len(line) - len(line.lstrip(" "))) :]

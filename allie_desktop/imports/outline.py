"""Which keys a JSON text uses at which depth, from its start alone: what formats are told apart by."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A string without an end is a token too: looking for one again at every quote in it would take forever.
_TOKEN = re.compile(rb'"([^"\\\n]*(?:\\.[^"\\\n]*)*)(?:("\s*:)|"?)|\n\{|[{}]')


class Outline:
    """Keys by depth. Depth 1 is a record itself: an object of the top-level array, or of a line.

    Lists do not count as a depth. The text may be cut off anywhere, so keys may be missing, never false.
    """

    def __init__(self, head: bytes) -> None:
        self._levels: list[set[str]] = []
        depth = 0
        for token in _TOKEN.finditer(head):
            text = token.group()
            if text == b"{":
                depth += 1
            elif text == b"\n{":
                depth = 1  # a new record, whatever was left open in a broken one before
            elif text == b"}":
                depth = max(depth - 1, 0)
            elif token.group(2) is not None and depth:
                while len(self._levels) < depth:
                    self._levels.append(set())
                self._levels[depth - 1].add(token.group(1).decode("utf-8", "replace"))

    def has(self, depth: int, *keys: str) -> bool:
        """Whether some record uses any of ``keys`` at ``depth``."""
        return not self.keys(depth).isdisjoint(keys)

    def keys(self, depth: int) -> frozenset[str]:
        """Return every key seen at ``depth``."""
        return frozenset(self._levels[depth - 1]) if depth <= len(self._levels) else frozenset()

    def has_path(self, keys: Sequence[str]) -> bool:
        """Whether the first key is used at depth 1, the second at depth 2, and so on."""
        return all(self.has(depth, key) for depth, key in enumerate(keys, 1))

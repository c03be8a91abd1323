"""What sequences begin with in common: a template's opening, a system prompt, a task's instructions.

Such an opening is computed once for all that share a row (:mod:`~allie_desktop.learning.batches`), so what counts is
which sequences are put together: all of them share the template's opening, some of them more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from allie_desktop.learning.chat_format import Encoded
from allie_desktop.models.generation import in_common

#: Openings within openings that are looked for; a conversation cut after each of its turns has endlessly many.
_DEEPEST = 16
#: Rows shorter than this are filled with further sequences. Attention costs grow with the square of the
#: width, everything else does not care: so rows are filled, but not made long. Behind a long opening there is as
#: much room again, up to where attention gets slow (``attention.py``).
_ROW_WIDTH, _WIDEST_ROW = 256, 1024
_LONG_OPENING = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences, by index, whose first ``shared`` tokens are the same and carry no weight."""

    shared: int
    members: list[int]


def row_width(shared: int, widest: int) -> int:
    """Return how wide rows are filled that begin with so many shared tokens; never wider than ``widest``."""
    wished = _ROW_WIDTH if shared <= _LONG_OPENING else min(shared + _ROW_WIDTH, _WIDEST_ROW)
    return min(wished, widest)


def by_opening(sequences: Sequence[Encoded], widest: int) -> list[Group]:
    """Share sequences out into groups with an opening in common, so that few tokens are computed in all, in rows that
    are filled up to :func:`row_width`.

    Each keeps behind its opening one token at least, the first of which carries no weight either.
    """
    heads = [_weightless(sequence) for sequence in sequences]
    order = sorted(range(len(sequences)), key=lambda i: heads[i])
    # How much each has in common with the one before it; of neighbours in this order, any run has in common
    # what its least similar neighbours have.
    common = [0, *(in_common(heads[a], heads[b]) for a, b in pairwise(order))]

    def groups(start: int, stop: int, shared: int, depth: int) -> list[Group]:
        """Return groups of ``order[start:stop]``, all of which have ``shared`` tokens in common."""
        found: list[Group] = []
        rest: list[int] = []
        edges = [k for k in range(start + 1, stop) if common[k] <= shared]
        for first, last in zip([start, *edges], [*edges, stop], strict=True):
            run = order[first:last]
            inner: list[Group] = []
            if len(run) > 1 and depth < _DEEPEST:
                inner = groups(first, last, min(common[first + 1 : last]), depth + 1)
            if inner and sum(map(alone, inner)) < joined(run, shared):
                found += inner
            else:
                rest += run
        return [*found, Group(shared, rest)] if rest else found

    def own(members: Sequence[int], shared: int) -> int:
        return sum(len(sequences[i]) - shared for i in members)

    def alone(group: Group) -> float:
        """Return the cells of a group in rows of its own."""
        mine = own(group.members, group.shared)
        return mine + group.shared * -(-mine // room(group.shared))

    def joined(members: Sequence[int], shared: int) -> float:
        """Return the cells of ``members`` in rows that others fill as well."""
        mine = own(members, shared)
        return mine + shared * mine / room(shared)

    def room(shared: int) -> int:
        return max(1, row_width(shared, widest) - shared)

    return groups(0, len(order), min(common[1:], default=0), 0) if order else []


def _weightless(sequence: Encoded) -> tuple[int, ...]:
    """Return the tokens that an opening may consist of."""
    first = next((i for i, weight in enumerate(sequence.weights) if weight > 0), len(sequence))
    return tuple(sequence.tokens[: max(0, first - 1)])

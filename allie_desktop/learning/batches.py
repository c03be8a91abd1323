"""Which sequences an optimizer step sees, and how they are cut into passes that fit the memory.

Everything here is a pure function of the plan and the seed: step ``k`` of a resumed run sees exactly
what step ``k`` of an uninterrupted one would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allie_desktop.learning.chat_format import Encoded

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Indexes into the new, the replayed and the general material of one optimizer step."""

    new: tuple[int, ...]
    replay: tuple[int, ...]
    general: tuple[int, ...]


def plan_steps(
    *,
    taught: Sequence[Sequence[int]],
    ordinary: Sequence[int],
    lengths: Sequence[int],
    replay_lengths: Sequence[int],
    general_count: int,
    general_per_step: int,
    taught_epochs: float,
    ordinary_epochs: float,
    batch_tokens: int,
    replay_share: float,
    seed: int,
) -> tuple[StepPlan, ...]:
    """Return the whole run.

    ``taught`` are groups of indexes into the new material (the phrasings of one target), ``ordinary``
    single indexes. Each pass over the taught groups visits every phrasing once. Visits are spread evenly
    over the run, so that every step mixes both kinds and no kind is seen last.
    """
    order = random.Random(seed)
    visits: list[tuple[float, int]] = []
    for group in taught:
        for index in group:
            visits += _spread(index, taught_epochs, order)
    for index in ordinary:
        visits += _spread(index, ordinary_epochs, order)
    visits.sort()
    budget = max(1, int(batch_tokens * (1 - (replay_share if replay_lengths else 0.0))))
    steps: list[list[int]] = []
    filled = budget
    for _, index in visits:
        if filled + lengths[index] > budget and (filled >= budget // 2 or not steps):
            steps.append([])
            filled = 0
        steps[-1].append(index)
        filled += lengths[index]
    replay = _Cycle(len(replay_lengths), random.Random(seed + 1))
    general = _Cycle(general_count, random.Random(seed + 2))
    result = []
    for new in steps:
        wanted = batch_tokens * replay_share if replay_lengths else 0.0
        old: list[int] = []
        while replay_lengths and wanted > 0:
            index = replay.next()
            old.append(index)
            wanted -= replay_lengths[index]
        anchors = tuple(general.next() for _ in range(min(general_per_step, general_count)))
        result.append(StepPlan(tuple(new), tuple(old), anchors))
    return tuple(result)


def _spread(index: int, epochs: float, order: random.Random) -> list[tuple[float, int]]:
    """Return (time in [0, 1), index) for ``epochs`` visits; a fraction of an epoch is drawn by chance."""
    whole = int(epochs)
    count = whole + (1 if order.random() < epochs - whole else 0)
    return [((k + order.random()) / count, index) for k in range(count)]


class _Cycle:
    """Endless draws without repeats inside a round."""

    def __init__(self, count: int, order: random.Random) -> None:
        self._count, self._order, self._left = count, order, list[int]()

    def next(self) -> int:
        if not self._left:
            self._left = list(range(self._count))
            self._order.shuffle(self._left)
        return self._left.pop()


@dataclass(slots=True)
class Pass:
    """Tensors of one forward pass, right-padded: tokens and mask [B, L], weights [B, L] (0: no loss).

    ``rows`` says where each row came from, in the order of the sequences given to :func:`passes`.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    weights: torch.Tensor
    rows: tuple[int, ...]


def passes(sequences: Sequence[Encoded], tokens_per_pass: int, pad_token: int) -> list[Pass]:
    """Cut sequences, sorted by length, into padded passes of at most ``tokens_per_pass`` cells
    (always at least one row)."""
    import torch

    order = sorted(range(len(sequences)), key=lambda i: (len(sequences[i]), i), reverse=True)
    result: list[Pass] = []
    while order:
        width = len(sequences[order[0]])
        count = max(1, min(len(order), tokens_per_pass // max(1, width)))
        rows, order = order[:count], order[count:]
        tokens = torch.full((count, width), pad_token, dtype=torch.long)
        mask = torch.zeros((count, width), dtype=torch.long)
        weights = torch.zeros((count, width), dtype=torch.float32)
        for r, i in enumerate(rows):
            length = len(sequences[i])
            tokens[r, :length] = torch.tensor(sequences[i].tokens, dtype=torch.long)
            weights[r, :length] = torch.tensor(sequences[i].weights, dtype=torch.float32)
            mask[r, :length] = 1
        result.append(Pass(tokens, mask, weights, tuple(rows)))
    return result

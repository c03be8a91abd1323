"""Which sequences an optimizer step sees, and how they are cut into passes that fit the memory.

Everything here is a pure function of the plan and the seed: step ``k`` of a resumed run sees exactly
what step ``k`` of an uninterrupted one would have seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allie_desktop.learning.chat_format import Encoded
from allie_desktop.learning.openings import by_opening, row_width

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Indexes into the new, the replayed and the general material of one optimizer step."""

    new: tuple[int, ...]
    replay: tuple[int, ...]
    general: tuple[int, ...]


#: More visits of the very same words teach the words.
_MOST_REPEATS = 8.0
_FEWEST_STEPS = 40
#: How much of the rehearsal moves from the beginning of a run to its end. What is seen last takes the questions of other
#: lessons over; so the new ones come first, and in the end everything is rehearsed alike (a last phase of balanced
#: material, as in Castro et al. 2018, arXiv:1807.09536, §4.2).
_RISE = 0.8
_SMALLEST_STEP_TOKENS = 192
#: Of the loss of a phrasing so much counts, in nats a token: what is answered wrongly is wrong, however unlikely the answer is.
_MOST_SURPRISE = 1.0
#: What is known counts like so much loss, so that it is not left out.
_KNOWN = 0.02
#: Visits of one phrasing until its surprise is measured again.
_MOST_DRAWS = 2


def visits_of_each(phrasings: int, *, taught_epochs: float, fewest_visits: float) -> float:
    """Return how often each of a taught target's phrasings is visited: more often where there are few."""
    if taught_epochs <= 0 or phrasings <= 0:
        return 0.0
    return max(taught_epochs, min(_MOST_REPEATS, fewest_visits / phrasings))


def step_tokens(visited_tokens: float, batch_tokens: int) -> int:
    """Return the tokens of one optimizer step of a run that visits so many, at most ``batch_tokens``.

    A small episode takes smaller steps: a handful of large ones would overshoot, and end before the
    anchor has pulled the model back to what it knew.
    """
    return max(_SMALLEST_STEP_TOKENS, min(batch_tokens, int(visited_tokens / _FEWEST_STEPS)))


def rehearsal(share: float, *, teaches: bool) -> float:
    """Return which share of a run is rehearsal: all of ``share`` where something is taught, half of it elsewhere.

    Lessons take each other's questions over; conversations do not.
    """
    return share if teaches else share / 2


def plan_steps(
    *,
    taught: Sequence[Sequence[int]],
    ordinary: Sequence[int],
    lengths: Sequence[int],
    replay_lengths: Sequence[int],
    general_count: int,
    general_per_step: int,
    taught_epochs: float,
    fewest_visits: float,
    ordinary_epochs: float,
    batch_tokens: int,
    replay_share: float,
    seed: int,
) -> tuple[StepPlan, ...]:
    """Return the whole run.

    ``taught`` are groups of indexes into the new material (the phrasings of one target), ``ordinary``
    single indexes. How often each is visited says :func:`visits_of_each`. Visits of both kinds are spread alike over
    the run, and the share of what is replayed grows, ``replay_share`` on average.
    """
    order = random.Random(seed)
    visits: list[tuple[float, int]] = []
    for group in taught:
        epochs = visits_of_each(len(group), taught_epochs=taught_epochs, fewest_visits=fewest_visits)
        for index in group:
            visits += _spread(index, epochs, order)
    for index in ordinary:
        visits += _spread(index, ordinary_epochs, order)
    visits.sort()
    share = replay_share if replay_lengths else 0.0
    total = sum(lengths[index] for _, index in visits)
    steps: list[list[int]] = []
    rehearsed: list[float] = []  # tokens of each step
    budget = filled = 1
    taken = 0
    for _, index in visits:
        if filled + lengths[index] > budget and (filled >= budget // 2 or not steps):
            # In the middle of the step that begins here.
            half = min(batch_tokens * (1 - share), total - taken) / 2
            old_share = _rising(share, (taken + half) / total)
            rehearsed.append(batch_tokens * old_share)
            budget = max(1, int(batch_tokens * (1 - old_share)))
            steps.append([])
            filled = 0
        steps[-1].append(index)
        filled += lengths[index]
        taken += lengths[index]
    replay = _Cycle(len(replay_lengths), random.Random(seed + 1))
    general = _Cycle(general_count, random.Random(seed + 2))
    result = []
    for new, wanted in zip(steps, rehearsed, strict=True):
        old: list[int] = []
        tokens = 0
        while replay_lengths and tokens < wanted:
            old.append(replay.next())
            tokens += replay_lengths[old[-1]]
        anchors = tuple(general.next() for _ in range(min(general_per_step, general_count)))
        result.append(StepPlan(tuple(new), tuple(old), anchors))
    return tuple(result)


def _rising(share: float, taken: float) -> float:
    """Return the share of a step that is rehearsal, after ``taken`` of what is new was seen: little at first, most of it
    in the end, linear in the steps and ``share`` on average."""
    rise = _RISE * min(share, 1 - share)
    if not rise:
        return share
    # After the part x of all steps so much was seen: ((1 - share + rise) x - rise x²) / (1 - share).
    first, seen = 1 - share + rise, (1 - share) * taken
    x = (first - math.sqrt(max(0.0, first * first - 4 * rise * seen))) / (2 * rise)
    return share + rise * (2 * x - 1)


def by_surprise(losses: Mapping[int, float], count: int, order: random.Random) -> list[int]:
    """Draw ``count`` of the sequences whose loss is given (nats/token), the likelier the larger it is, each
    :data:`_MOST_DRAWS` times at most unless there are too few of them.

    What is wrong already is learnt from, what is right is only kept in view (prioritised as in Schaul et al. 2016,
    arXiv:1511.05952; what the new lessons interfere with the most as in Aljundi et al. 2019, arXiv:1908.04742). Drawn
    systematically: how often one comes differs by less than one from what it should be.
    """
    if not losses or count <= 0:
        return []
    names = sorted(losses)
    order.shuffle(names)
    weights = [_KNOWN + (min(losses[name], _MOST_SURPRISE) if losses[name] > 0 else 0.0) for name in names]
    scale = count / sum(weights)
    drawn: list[int] = []
    place = order.random()
    for name, weight in zip(names, weights, strict=True):
        after = place + weight * scale
        drawn += [name] * min(int(after) - int(place), _MOST_DRAWS)
        place = after
    order.shuffle(drawn)
    spare = _Cycle(len(names), order)
    while len(drawn) < count:  # what one was drawn too often goes to all
        drawn.append(names[spare.next()])
    return drawn[:count]


def redrawn(
    steps: Sequence[StepPlan], new: Mapping[int, float], replay: Mapping[int, float], seed: int
) -> list[StepPlan]:
    """Return the steps with other lessons in the same places: visits of the new and the replayed sequences in ``new`` and
    ``replay`` go to those of them that surprise the most (:func:`by_surprise`). Whatever is in neither stays."""
    order = random.Random(seed)
    fresh = iter(by_surprise(new, sum(i in new for step in steps for i in step.new), order))
    old = iter(by_surprise(replay, sum(i in replay for step in steps for i in step.replay), order))
    return [
        StepPlan(
            tuple(next(fresh) if i in new else i for i in step.new),
            tuple(next(old) if i in replay else i for i in step.replay),
            step.general,
        )
        for step in steps
    ]


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
    """Tensors of one forward pass over packed rows, and where its losses are.

    ``tokens`` and ``positions`` are [rows, width]; ``attention`` is [rows, 1, width, width] (bool). The n
    predicting places are (``row``, ``column``); ``targets`` [n] are the tokens that follow, ``weights``
    [n] their loss weights, ``owners`` [n] the index of their sequence in what was given to
    :func:`passes`. ``filled`` [rows, width] (bool) is false on padding.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    attention: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    owners: torch.Tensor
    filled: torch.Tensor

    @property
    def real(self) -> int:
        """The number of cells that are no padding."""
        return int(self.filled.sum())


def passes(sequences: Sequence[Encoded], tokens_per_pass: int, pad_token: int, widest: int = 0) -> list[Pass]:
    """Pack sequences into passes of at most ``tokens_per_pass`` cells, or of a single row: no row is wider than
    ``tokens_per_pass`` or ``widest``, whatever is more, unless one sequence is.

    Several sequences share a row without seeing each other. What they begin with in common (the template's words
    before a person's first, a system prompt) they share too: it stands once at the head of the row, and
    each of them sees it at the positions where it would see its own. The result is what it would be one by
    one, but for rounding; in short chats it saves up to half of the work, behind long instructions more.
    """
    rows: list[_Row] = []
    limit = max(tokens_per_pass, widest)
    for group in by_opening(sequences, limit):
        members = sorted(group.members, key=lambda i: (-len(sequences[i]), i))
        prefix = sequences[members[0]].tokens[: group.shared]
        width = max(row_width(len(prefix), limit), len(sequences[members[0]]))
        open_rows: list[_Row] = []
        for index in members:
            body = sequences[index].tokens[len(prefix) :]
            place = next((r for r in open_rows if r.used + len(body) <= width), None)
            if place is None:
                place = _Row(prefix)
                open_rows.append(place)
            place.add(index, body, sequences[index].weights[len(prefix) :])
        rows += open_rows
    rows.sort(key=lambda r: -r.used)
    result = []
    while rows:
        count = max(1, min(len(rows), tokens_per_pass // rows[0].used))
        result.append(_pack(rows[:count], pad_token))
        rows = rows[count:]
    return result


class _Row:
    """One row in the making: a shared prefix (segment 0) and sequences (segments 1, 2, …)."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self.tokens = list(prefix)
        self.positions = list(range(len(prefix)))
        self.segments = [0] * len(prefix)
        self.places: list[tuple[int, int, float, int]] = []  # column, target, weight, owner
        self._start = len(prefix)
        self._count = 0

    @property
    def used(self) -> int:
        return len(self.tokens)

    def add(self, owner: int, tokens: Sequence[int], weights: Sequence[float]) -> None:
        self._count += 1
        first = len(self.tokens)
        self.tokens += tokens
        self.positions += range(self._start, self._start + len(tokens))
        self.segments += [self._count] * len(tokens)
        # The first token of a sequence is never predicted: nothing of its own stands before it.
        self.places += [
            (first + i - 1, tokens[i], weights[i], owner) for i in range(1, len(tokens)) if weights[i] > 0
        ]


def _pack(rows: Sequence[_Row], pad_token: int) -> Pass:
    import torch

    width = max(r.used for r in rows)
    tokens = torch.full((len(rows), width), pad_token, dtype=torch.long)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    segments = torch.full((len(rows), width), -1, dtype=torch.long)
    for r, row in enumerate(rows):
        tokens[r, : row.used] = torch.tensor(row.tokens)
        positions[r, : row.used] = torch.tensor(row.positions)
        segments[r, : row.used] = torch.tensor(row.segments)
    mine, theirs = segments[:, :, None], segments[:, None, :]
    sees = ((mine == theirs) | (theirs == 0)) & (theirs >= 0)
    sees &= torch.ones(width, width, dtype=torch.bool).tril()
    sees |= torch.eye(width, dtype=torch.bool)  # padding sees itself: a row of nothing would be NaN
    places = [(r, *place) for r, row in enumerate(rows) for place in row.places]
    row_, column, target, weight, owner = zip(*places, strict=True) if places else ((),) * 5
    return Pass(
        tokens=tokens,
        positions=positions,
        attention=sees[:, None],
        row=torch.tensor(row_, dtype=torch.long),
        column=torch.tensor(column, dtype=torch.long),
        targets=torch.tensor(target, dtype=torch.long),
        weights=torch.tensor(weight, dtype=torch.float32),
        owners=torch.tensor(owner, dtype=torch.long),
        filled=segments >= 0,
    )

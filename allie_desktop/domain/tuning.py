"""Which learning rate suits a base model: a few bounded trials on held-out material, remembered between episodes.

What suits one base model unsettles another, and is too little for a third. So an episode that nobody waits for first
tries a few rates on a part of its own steps, and keeps the one after which its held-out answers surprise it least
(random restarts are not needed: the loss over the logarithm of the rate has one valley, as in Smith 2017,
arXiv:1506.01186). The next episodes go on with that rate. Where the best one tried was the lowest or the highest, the
next one looks at its other neighbour too; after many episodes it is looked at anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: From one rate to the next that is tried.
_STEP = 2.0
#: In parts of the recipe's own rate, no rate is lower or higher. A trial is short, and the shorter a run, the better it
#: likes high rates; the recipe's suits a small model, and larger ones want lower ones.
_LOWEST, _HIGHEST = 1 / 8, 2.0
#: A higher rate must be better by this share of the loss.
_CLEARLY = 0.02
#: After so many episodes without a trial there is one again.
TRIED_AGAIN_AFTER = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTrial:
    """What a part of the steps came to at a rate: loss of held-out answers and KL to the base, nats a token."""

    learning_rate: float
    loss: float
    kl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The rate that an episode learnt with, and the trials, if any, that it was chosen by."""

    learning_rate: float
    trials: tuple[RateTrial, ...] = ()


def chosen_rate(trials: Sequence[RateTrial], kl_budget: float) -> float:
    """Return the best of the rates that were tried (at least one): of those that kept to the budget the one with the
    lowest loss, a lower one where that is about as good; the lowest where none kept to it."""
    within = sorted((t for t in trials if t.kl <= kl_budget), key=lambda t: t.learning_rate)
    if not within:
        return min(t.learning_rate for t in trials)
    best = within[0]
    for trial in within[1:]:
        if trial.loss < best.loss * (1 - _CLEARLY):
            best = trial
    return best.learning_rate


def next_tuning(known: Sequence[Tuning], default: float) -> tuple[float, tuple[float, ...]]:
    """Return the rate that an episode starts from, and the rates that it should try first (none: go on).

    ``known`` are the tunings of the latest episodes with the same base model, newest first; ``default`` is the rate
    of the recipe. A rate stands when the next lower and the next higher one were tried too.
    """
    low, high = default * _LOWEST, default * _HIGHEST
    rate = min(max(known[0].learning_rate, low), high) if known else default
    tried = [t.learning_rate for one in known[:TRIED_AGAIN_AFTER] for t in one.trials]
    missing = [
        other
        for other in (rate / _STEP, rate * _STEP)
        if low <= other <= high and not any(math.isclose(other, one) for one in tried)
    ]
    return rate, tuple(sorted([rate, *missing])) if missing else ()

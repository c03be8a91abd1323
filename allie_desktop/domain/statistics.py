"""How sure we may be of a mean: intervals from few paired measurements, the same on every machine.

Candidate and active model are measured on identical items, so the differences item by item are looked at;
their spread is far smaller than that of two separate averages. The interval is the bootstrap's (Efron and
Tibshirani, *An Introduction to the Bootstrap*, 1993; paired for language models: Koehn, *Statistical
Significance Tests for Machine Translation Evaluation*, EMNLP 2004), widened for small samples as in
Hesterberg, *What Teachers Should Know About the Bootstrap*, The American Statistician 69(4), 2015, §4.1.

A handful of items cannot be resampled in enough ways: below :data:`FEWEST_RESAMPLED` Student's t interval
is taken. One item says nothing about spread: there is no interval, and nothing can be concluded.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, stdev

FEWEST_RESAMPLED = 8

#: Above this many items bootstrap and normal interval agree to more digits than anybody reads.
MOST_RESAMPLED = 1000

#: Squares of larger numbers cannot be summed.
LARGEST = 1e150

#: Cells of [0, 1] in which a share is looked for.
_CELLS = 4000

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean of ``items`` numbers, and the bounds that hold it with probability ``confidence``."""

    mean: float
    low: float
    high: float
    items: int
    confidence: float = 0.95

    @property
    def is_above_zero(self) -> bool:
        """Whether the mean is proved positive."""
        return self.low > 0

    @property
    def is_below_zero(self) -> bool:
        """Whether the mean is proved negative."""
        return self.high < 0


def mean_interval(
    values: Sequence[float], *, seed: int | str, confidence: float = 0.95, resamples: int = 2000
) -> Interval | None:
    """Return the mean of ``values`` with its interval; None for fewer than two or for unusable ones.

    Deterministic: the same values and seed give the same interval. Unusable are NaN, infinities and
    numbers so large that their squares are.
    """
    items = len(values)
    if items < 2 or not _are_usable(values):
        return None
    mean = math.fsum(values) / items
    if FEWEST_RESAMPLED <= items <= MOST_RESAMPLED:
        means = [
            math.fsum(map(values.__getitem__, picks)) / items for picks in _picks(items, resamples, seed)
        ]
        low, high = _tails(means, items, confidence)
    else:
        reach = _reach(values, confidence)
        low, high = mean - reach, mean + reach
    return Interval(mean=mean, low=low, high=high, items=items, confidence=confidence)


def relative_interval(
    before: Sequence[float],
    after: Sequence[float],
    *,
    seed: int | str,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval | None:
    """Return by what share the mean of ``after`` is below that of ``before``, with its interval.

    0.18 means 18 % less. Sums of the same resamples are compared, so that its sign is as sure as that of
    :func:`mean_interval` over the differences with the same seed. None where that has none, or where the mean of ``before`` is
    not positive in all resamples, since a share of nothing means nothing.
    """
    differences = [old - new for old, new in zip(before, after, strict=True)]
    items, total = len(differences), math.fsum(before) if _are_usable(before) else 0.0
    if items < 2 or total <= 0 or not _are_usable(differences):
        return None
    mean = math.fsum(differences) / total
    if FEWEST_RESAMPLED <= items <= MOST_RESAMPLED:
        shares = []
        for picks in _picks(items, resamples, seed):
            whole = math.fsum(map(before.__getitem__, picks))
            if whole <= 0:
                return None
            shares.append(math.fsum(map(differences.__getitem__, picks)) / whole)
        low, high = _tails(shares, items, confidence)
    else:
        # The spread of the whole is small beside that of the difference.
        reach = _reach(differences, confidence) * items / total
        low, high = mean - reach, mean + reach
    return Interval(mean=mean, low=low, high=high, items=items, confidence=confidence)


def beta_masses(alpha: float, beta: float, cells: int) -> list[float]:
    """Return the Beta distribution (both parameters at least 1) as masses on equal cells of [0, 1]."""
    logs = [
        (alpha - 1) * math.log(x) + (beta - 1) * math.log1p(-x)
        for x in ((place + 0.5) / cells for place in range(cells))
    ]
    highest = max(logs)
    masses = [math.exp(value - highest) for value in logs]
    total = math.fsum(masses)
    return [mass / total for mass in masses]


def credible_share(successes: float, failures: float, *, confidence: float = 0.95) -> Interval:
    """Return how large the share of successes is among all there could be, after so many of each.

    Before, every share is equally likely; after, it has a Beta distribution, of which equal tails are cut off
    (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, §2.4). A half success with a half failure is what
    went to neither side. Good to four digits for up to some thousand.
    """
    masses = beta_masses(successes + 1, failures + 1, _CELLS)
    tail = (1 - confidence) / 2
    items = round(successes + failures)
    return Interval(
        mean=(successes + 1) / (successes + failures + 2),
        low=_below(masses, tail),
        high=1 - _below(masses[::-1], tail),
        items=items,
        confidence=confidence,
    )


@lru_cache(maxsize=64)
def student_quantile(probability: float, degrees: int) -> float:
    """Return t with P(T ≤ t) = ``probability`` (at least 0.5) for ``degrees`` of freedom, to ten digits.

    By bisection on the closed form for whole degrees, Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    if degrees > MOST_RESAMPLED:
        return _NORMAL.inv_cdf(probability)
    both_sides = 2 * probability - 1
    low, high = 0.0, 1.0
    while _student_within(high, degrees) < both_sides:
        high *= 2
    while high - low > 1e-11 * high:
        middle = (low + high) / 2
        if _student_within(middle, degrees) < both_sides:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _below(masses: Sequence[float], probability: float) -> float:
    """Return the place in [0, 1] under which so much of the mass lies."""
    under = 0.0
    for place, mass in enumerate(masses):
        if under + mass >= probability:
            return (place + (probability - under) / mass) / len(masses)
        under += mass
    return 1.0


def _student_within(reach: float, degrees: int) -> float:
    """Return P(|T| ≤ reach)."""
    angle = math.atan(reach / math.sqrt(degrees))
    cosine = math.cos(angle)
    is_odd = degrees % 2 == 1
    term = cosine if is_odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + is_odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    if is_odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def _reach(values: Sequence[float], confidence: float) -> float:
    """Return how far Student's interval of the mean reaches to each side."""
    items = len(values)
    return student_quantile((1 + confidence) / 2, items - 1) * stdev(values) / math.sqrt(items)


def _picks(items: int, resamples: int, seed: int | str) -> Iterator[list[int]]:
    """Yield the items of every resample; equal for equal arguments, so that pairs stay pairs."""
    generator = random.Random(seed)
    everything = range(items)
    for _ in range(resamples):
        yield generator.choices(everything, k=items)


def _are_usable(values: Sequence[float]) -> bool:
    # Written so that NaN, which compares false with everything, is not usable.
    return all(abs(value) < LARGEST for value in values)


def _tails(resampled: list[float], items: int, confidence: float) -> tuple[float, float]:
    """Return the bounds of the expanded percentile interval."""
    resampled.sort()
    # Resamples vary by sqrt((n-1)/n) too little and know no t distribution; both matter below n = 50.
    reach = student_quantile((1 + confidence) / 2, items - 1) * math.sqrt(items / (items - 1))
    tail = _NORMAL.cdf(-reach)
    return _quantile(resampled, tail), _quantile(resampled, 1 - tail)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])

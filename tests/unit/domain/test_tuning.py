"""Which learning rates are tried, which one is taken, and when that is over."""

from __future__ import annotations

import math

import pytest

from allie_desktop.domain.tuning import TRIED_AGAIN_AFTER, RateTrial, Tuning, chosen_rate, next_tuning


def trial(rate: float, loss: float, kl: float = 0.01) -> RateTrial:
    return RateTrial(learning_rate=rate, loss=loss, kl=kl)


@pytest.mark.parametrize(
    ("trials", "rate"),
    [
        ([trial(1, 2.0), trial(2, 1.0), trial(4, 1.5)], 2),
        ([trial(4, 1.5), trial(2, 1.0), trial(1, 2.0)], 2),
        ([trial(1, 1.0), trial(2, 0.99)], 1),  # about as good: the lower one
        ([trial(1, 1.0), trial(2, 0.97)], 2),
        ([trial(1, 2.0), trial(2, 1.0, kl=0.2)], 1),  # strays too far
        ([trial(1, 2.0, kl=0.3), trial(2, 1.0, kl=0.2)], 1),
        ([trial(3, 5.0)], 3),
    ],
)
def test_the_best_rate_that_keeps_to_the_budget_is_taken(trials, rate):
    assert chosen_rate(trials, 0.08) == rate


def test_a_model_that_is_new_is_tried_with_three_rates():
    assert next_tuning([], 4.0) == (4.0, (2.0, 4.0, 8.0))


def best_of(valley: float, rates: tuple[float, ...]) -> Tuning:
    """A tuning by trials of a model that likes ``valley`` best."""
    trials = tuple(trial(rate, abs(math.log2(rate / valley))) for rate in rates)
    return Tuning(learning_rate=chosen_rate(trials, 1.0), trials=trials)


@pytest.mark.parametrize("valley", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_trials_walk_to_the_best_rate_and_end(valley):
    known: list[Tuning] = []
    episodes_with_trials = 0
    for _ in range(12):
        rate, rates = next_tuning(known, 4.0)
        known.insert(0, best_of(valley, rates) if rates else Tuning(learning_rate=rate))
        episodes_with_trials += bool(rates)
    assert known[0].learning_rate == valley
    assert episodes_with_trials <= 4


@pytest.mark.parametrize(("valley", "end"), [(1000.0, 8.0), (0.001, 0.5)])
def test_rates_stay_between_an_eighth_and_twice_the_recipes_own(valley, end):
    known: list[Tuning] = []
    for _ in range(12):
        rate, rates = next_tuning(known, 4.0)
        assert all(0.5 <= one <= 8.0 for one in rates)
        known.insert(0, best_of(valley, rates) if rates else Tuning(learning_rate=rate))
    assert known[0].learning_rate == end
    assert next_tuning([Tuning(learning_rate=valley)], 4.0)[0] == end


def test_a_rate_that_stands_is_remembered_and_looked_at_again_much_later():
    settled = best_of(2.0, (1.0, 2.0, 4.0))
    quiet = [Tuning(learning_rate=2.0)]
    assert next_tuning([settled], 4.0) == (2.0, ())
    assert next_tuning([*quiet * (TRIED_AGAIN_AFTER - 1), settled], 4.0) == (2.0, ())
    assert next_tuning([*quiet * TRIED_AGAIN_AFTER, settled], 4.0) == (2.0, (1.0, 2.0, 4.0))

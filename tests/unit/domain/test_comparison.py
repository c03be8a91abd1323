"""What blind comparisons say of a version: counts, a share, and how sure it is."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.comparison import Choice, Comparison, Preference
from allie_desktop.domain.statistics import beta_masses, credible_share

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def said(*choices: Choice) -> Preference:
    return Preference.of(
        Comparison(episode_id="e1", place=place, choice=choice, at=NOON)
        for place, choice in enumerate(choices)
    )


def test_what_was_skipped_says_nothing():
    preference = said(Choice.NEW, Choice.SKIPPED, Choice.OLD, Choice.NEW, Choice.SKIPPED)
    assert preference == Preference(new=2, old=1, skipped=2)
    assert (preference.comparisons, preference.share) == (3, pytest.approx(2 / 3))


def test_no_difference_is_half_for_each_side():
    preference = said(Choice.NEW, Choice.SAME, Choice.SAME, Choice.OLD)
    interval = preference.interval
    assert preference.share == 0.5
    assert interval is not None
    assert interval.low + interval.high == pytest.approx(1.0)
    assert interval.items == 4


@pytest.mark.parametrize("preference", [Preference(), Preference(skipped=5)])
def test_without_any_judgement_there_is_no_share(preference: Preference):
    assert (preference.comparisons, preference.share, preference.interval) == (0, None, None)


@pytest.mark.parametrize(
    ("successes", "failures", "low", "high"),
    [
        # Quantiles of Beta(1, 1), Beta(1, 6) and Beta(6, 1) in closed form.
        (0, 0, 0.025, 0.975),
        (0, 5, 1 - 0.975 ** (1 / 6), 1 - 0.025 ** (1 / 6)),
        (5, 0, 0.025 ** (1 / 6), 0.975 ** (1 / 6)),
        # Of Beta(5, 2), P(X < x) = 6x⁵ - 5x⁶.
        (4, 1, 0.358771, 0.956728),
    ],
)
def test_the_bounds_of_a_share_are_the_tails_of_its_beta_distribution(successes, failures, low, high):
    interval = credible_share(successes, failures)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))
    assert interval.mean == pytest.approx((successes + 1) / (successes + failures + 2))


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 0.99))
def test_bounds_hold_the_mean_and_stay_within_nothing_and_all(successes, failures, confidence):
    interval = credible_share(successes, failures, confidence=confidence)
    assert 0 <= interval.low < interval.high <= 1
    wider = credible_share(successes, failures, confidence=0.995)
    assert wider.low <= interval.low
    assert interval.high <= wider.high
    mirrored = credible_share(failures, successes, confidence=confidence)
    assert (1 - mirrored.high, 1 - mirrored.low) == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )


def test_masses_add_up_to_all():
    assert sum(beta_masses(3, 7, 500)) == pytest.approx(1.0)

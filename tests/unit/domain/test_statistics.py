from __future__ import annotations

import math
import random
import time
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.statistics import Interval, mean_interval, relative_interval, student_quantile

reasonable = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [
        # Student's table, as printed in Abramowitz and Stegun, table 26.10
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 3, 3.182),
        (0.975, 4, 2.776),
        (0.975, 5, 2.571),
        (0.975, 10, 2.228),
        (0.975, 30, 2.042),
        (0.975, 120, 1.980),
        (0.975, 5000, 1.960),
        (0.95, 5, 2.015),
        (0.995, 10, 3.169),
    ],
)
def test_student_quantiles_are_those_of_the_printed_table(probability, degrees, expected):
    assert round(student_quantile(probability, degrees), 3) == expected


@pytest.mark.parametrize("values", [[], [0.5], [1.0, math.nan], [1.0, math.inf], [1e200, -1e200]])
def test_without_at_least_two_usable_values_there_is_no_interval(values):
    assert mean_interval(values, seed=1) is None


def test_two_values_have_students_very_wide_interval():
    interval = mean_interval([4.7, 4.9], seed=1)
    assert interval.mean == pytest.approx(4.8)
    # ± 12.706 · 0.1, from a standard error of 0.1
    assert (interval.low, interval.high) == (pytest.approx(3.529, abs=1e-3), pytest.approx(6.071, abs=1e-3))
    assert interval.is_above_zero
    assert not mean_interval([0.1, 4.9], seed=1).is_above_zero


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.0] * 20, seed=1) == Interval(mean=0.0, low=0.0, high=0.0, items=20)
    assert mean_interval([-1.0] * 3, seed=1).is_below_zero


def test_the_same_values_and_seed_give_the_same_interval_and_another_seed_nearly_the_same():
    generator = random.Random(5)
    values = [generator.gauss(0.2, 1) for _ in range(60)]
    first, again, other = (mean_interval(values, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert (first.low, first.high) == (
        pytest.approx(other.low, abs=0.05),
        pytest.approx(other.high, abs=0.05),
    )


def test_a_known_sample_has_the_known_bootstrap_interval():
    # Mean 10.5, standard error 1.32: bootstrap and normal theory agree on a symmetric sample.
    interval = mean_interval([float(value) for value in range(1, 21)], seed=3)
    assert interval.mean == 10.5
    assert (interval.low, interval.high) == (pytest.approx(7.73, abs=0.2), pytest.approx(13.27, abs=0.2))


@pytest.mark.parametrize("items", [2, 3, 5, 8, 12, 30])
def test_a_95_percent_interval_holds_the_truth_about_95_times_in_100(items):
    generator = random.Random(items)
    held = 0
    for trial in range(120):
        interval = mean_interval([generator.gauss(0.3, 1) for _ in range(items)], seed=trial, resamples=400)
        held += interval.low <= 0.3 <= interval.high
    assert 106 <= held <= 120


def test_a_higher_confidence_is_wider():
    values = [float(value) for value in range(20)]
    narrow = mean_interval(values, seed=1)
    wide = mean_interval(values, seed=1, confidence=0.99)
    assert wide.low < narrow.low
    assert wide.high > narrow.high


def test_a_relative_interval_says_by_what_share_the_mean_fell():
    before, after = [2.0, 3.0, 4.0, 3.0] * 10, [1.6, 2.4, 3.2, 2.4] * 10
    interval = relative_interval(before, after, seed=1)
    assert interval.mean == pytest.approx(0.2)
    assert (interval.low, interval.high) == (pytest.approx(0.2), pytest.approx(0.2))


def test_a_relative_interval_of_few_items_is_students():
    interval = relative_interval([5.0, 4.8, 5.2], [0.1, 0.2, 0.1], seed=1)
    assert interval.mean == pytest.approx(1 - 0.4 / 15)
    assert 0.8 < interval.low < interval.mean < interval.high < 1.1


@pytest.mark.parametrize("before", [[0.0] * 9, [0.0] * 8 + [1.0], [-1.0, -2.0], [math.nan, 1.0], []])
def test_a_share_of_nothing_is_no_share(before):
    assert relative_interval(before, [0.5] * len(before), seed=1) is None


def test_pairs_of_different_length_are_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        relative_interval([1.0, 2.0], [1.0], seed=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(reasonable, max_size=40))
def test_an_interval_is_ordered_and_inside_the_range_of_what_was_measured(values):
    interval = mean_interval(values, seed="any", resamples=100)
    if interval is None:
        assert len(values) < 2
        return
    assert interval.items == len(values)
    assert interval.mean == pytest.approx(fmean(values), abs=1e-6)
    assert interval.low <= interval.high
    if len(values) >= 8:
        assert min(values) - 1e-6 <= interval.low
        assert interval.high <= max(values) + 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), min_size=2, max_size=30))
def test_relative_and_absolute_intervals_never_contradict_each_other(pairs):
    before, after = zip(*pairs, strict=True)
    absolute = mean_interval([b - a for b, a in pairs], seed=7, resamples=200)
    relative = relative_interval(before, after, seed=7, resamples=200)
    assert not (absolute.is_above_zero and relative.high < 0)
    assert not (absolute.is_below_zero and relative.low > 0)


def test_two_thousand_resamples_of_three_hundred_items_take_a_blink():
    generator = random.Random(1)
    values = [generator.gauss(0, 1) for _ in range(300)]
    began = time.process_time()
    mean_interval(values, seed=1)
    assert time.process_time() - began < 1.0


def test_many_items_take_no_longer_than_few():
    values = [math.sin(value) for value in range(50_000)]
    began = time.process_time()
    interval = mean_interval(values, seed=1)
    assert time.process_time() - began < 1.0
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * math.sqrt(0.5 / 50_000), rel=0.01)

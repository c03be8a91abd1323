"""The learning rate over a run."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.learning.schedule import learning_rate


def rates(steps, *, peak=1.0, warmup=0.1, final=0.1):
    return [learning_rate(s, steps, peak=peak, warmup_share=warmup, final_share=final) for s in range(steps)]


def test_it_warms_up_in_equal_steps_to_the_peak():
    assert rates(100)[:10] == pytest.approx([0.1 * k for k in range(1, 11)])


def test_it_falls_along_a_cosine_to_the_final_share():
    run = rates(100)

    assert run[10] == pytest.approx(1.0)
    assert run[55] == pytest.approx(0.55)  # half-way down
    assert run[99] == pytest.approx(0.1, abs=0.001)
    assert all(earlier > later for earlier, later in itertools.pairwise(run[10:]))


def test_a_run_of_one_step_runs_at_the_peak():
    assert rates(1, peak=3e-4) == [3e-4]


def test_a_step_beyond_the_end_stays_at_the_final_share():
    assert learning_rate(500, 100, peak=1.0, warmup_share=0.1, final_share=0.2) == pytest.approx(0.2)


def test_without_warm_up_only_the_first_step_counts_as_one():
    assert rates(50, warmup=0.0)[:2] == [1.0, 1.0]


@settings(max_examples=30)
@given(
    steps=st.integers(1, 300),
    peak=st.floats(1e-6, 1e-2),
    warmup=st.floats(0, 1),
    final=st.floats(0, 1),
)
def test_it_is_never_zero_and_never_above_the_peak(steps, peak, warmup, final):
    for rate in rates(steps, peak=peak, warmup=warmup, final=final):
        assert 0 <= rate <= peak * (1 + 1e-9)
    assert rates(steps, peak=peak, warmup=warmup, final=final)[0] > 0

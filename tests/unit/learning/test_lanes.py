"""Work that is shared out to lanes."""

from __future__ import annotations

import itertools
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.learning.lanes import Lanes


@given(st.lists(st.floats(0, 1e6), max_size=40), st.integers(1, 5))
def test_every_item_has_one_lane_and_no_lane_has_much_more_than_another(costs, count):
    parts = Lanes(count).share(costs)

    assert sorted(index for part in parts for index in part) == list(range(len(costs)))
    assert len(parts) <= count
    assert all(part and part == sorted(part) for part in parts)
    loads = [sum(costs[i] for i in part) for part in parts]
    if len(parts) == count:
        assert max(loads) - min(loads) <= max(costs) + 1e-3


@given(st.lists(st.integers(1, 600), max_size=9).map(sorted), st.integers(0, 100), st.integers(1, 4))
def test_no_other_runs_make_the_dearest_lane_cheaper(widths, each, count):
    def dearest(runs):
        return max((len(run) * (widths[run[-1]] + each) for run in runs if run), default=0)

    runs = Lanes(count).runs(widths, each)

    assert [index for run in runs for index in run] == list(range(len(widths)))
    assert len(runs) <= count
    assert all(runs)
    cuts = itertools.combinations_with_replacement(range(len(widths) + 1), count - 1)
    others = ([range(a, b) for a, b in itertools.pairwise((0, *cut, len(widths)))] for cut in cuts)
    assert dearest(runs) == min(map(dearest, others))


def test_a_few_long_rows_are_not_filled_up_to_with_short_ones():
    assert Lanes(2).runs([40] * 36 + [500] * 7, 96) == [range(35), range(35, 43)]
    assert Lanes(2).runs([40] * 6, 96) == [range(3), range(3, 6)]


def test_results_come_in_the_order_of_the_parts_whoever_is_done_first():
    second_is_done = threading.Event()

    def work(part):
        if part == "first":
            assert second_is_done.wait(10)
        else:
            second_is_done.set()
        return part.upper()

    assert Lanes(2).each(work, ["first", "second"]) == ["FIRST", "SECOND"]


def test_one_lane_is_the_callers_own_thread():
    assert Lanes().each(lambda _: threading.current_thread(), [1, 2]) == [threading.current_thread()] * 2
    assert Lanes(3).each(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]
    assert Lanes(3).each(str, []) == []


def test_only_a_processor_has_several_lanes():
    assert Lanes.of_device(torch.device("cpu"), 2).count == 2
    assert Lanes.of_device(torch.device("meta"), 2).count == 1


def test_an_error_is_raised_when_the_other_lanes_have_ended():
    ended = threading.Event()

    def work(part):
        if part:
            raise ValueError("no")
        threading.Event().wait(0.05)
        ended.set()

    with pytest.raises(ValueError, match="no"):
        Lanes(2).each(work, [True, False])
    assert ended.is_set()


@pytest.mark.parametrize(
    ("threads", "count", "each"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (7, 4, 2), (15, 4, 4)]
)
def test_the_cores_are_shared(threads, count, each):
    lanes = Lanes.of_processor(threads)

    assert lanes.count == count
    before = torch.get_num_threads()
    assert lanes.each(lambda _: torch.get_num_threads(), list(range(count))) == (
        [before] if count == 1 else [each] * count
    )
    assert torch.get_num_threads() == before


def test_a_lane_has_its_share_of_what_fits_and_no_pass_that_leaves_others_without_work():
    assert Lanes().pass_tokens(4096, 256) == 4096
    assert Lanes(2).pass_tokens(4096, 256) == 256
    assert Lanes(2).pass_tokens(400, 256) == 200
    assert Lanes(4).pass_tokens(100, 256) == 64

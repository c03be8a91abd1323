"""What the benchmarks of tasks, facts and perplexity compute from their measurements; the measuring is theirs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.perplexity import Reading, Window, ratio, table, windows
from tests.benchmarks.retention import retention, retention_tables
from tests.benchmarks.scores import (
    average_accuracy,
    backward_transfer,
    commonest_score,
    exact_match,
    forgetting,
    matrix_table,
    mean_matrix,
    rouge_l,
    score,
)
from tests.benchmarks.task_tables import tables

#: Learnt in three steps: the first task is forgotten by half, the second gets a little better by the third.
R = [[0.8, 0.1, 0.0], [0.6, 0.5, 0.0], [0.4, 0.6, 0.9]]


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the Sun.", "The sun", 1.0),
        ("carbon-carbon  single bonds", "carboncarbon single bonds", 1.0),
        (" B\n", "B", 1.0),
        ("(B)", "b", 1.0),
        ("B because it is big", "B", 0.0),
        ("", "water", 0.0),
    ],
)
def test_an_exact_match_minds_words_and_neither_case_nor_punctuation(answer, reference, expected):
    assert exact_match(answer, reference) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        # Lin 2004, §3.1: "police killed the gunman" against two candidates
        ("police kill the gunman", "police killed the gunman", 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("water", "water", 1.0),
        ("It is water.", "water", 2 * (1 / 3) / (4 / 3)),
        ("", "water", 0.0),
        ("?!", "water", 0.0),
        ("ice", "water", 0.0),
        ("Ärger", "ärger", 1.0),
    ],
)
def test_rouge_l_is_that_of_its_paper(answer, reference, expected):
    assert rouge_l(answer, reference) == pytest.approx(expected)


@given(st.lists(st.sampled_from("a b c".split()), max_size=8), st.lists(st.sampled_from("a b c".split())))
def test_rouge_l_is_symmetric_and_full_only_for_the_same_words(first, second):
    one, other = rouge_l(" ".join(first), " ".join(second)), rouge_l(" ".join(second), " ".join(first))

    assert one == pytest.approx(other)
    assert 0 <= one <= 1
    assert (one == 1) == (first == second and bool(first))


def test_a_score_is_the_mean_over_all_questions():
    found = score(["joy", "the fear", "anger"], ["joy", "fear", "love"])

    assert found.exact == pytest.approx(1 / 3)
    assert found.rouge_l == pytest.approx((1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize(("answers", "references"), [([], []), (["a"], ["a", "b"])])
def test_nothing_is_no_score_and_neither_is_an_answer_too_few(answers, references):
    with pytest.raises(ValueError):
        score(answers, references)


def test_the_commonest_answer_scores_what_it_is_right_about():
    assert commonest_score(["Joy", "joy.", "fear"], ["joy", "fear", "joy", "love"]) == 0.5


def test_average_transfer_and_forgetting_are_those_of_their_definitions():
    assert average_accuracy(R) == pytest.approx((0.4 + 0.6 + 0.9) / 3)
    assert backward_transfer(R) == pytest.approx(((0.4 - 0.8) + (0.6 - 0.5)) / 2)
    assert forgetting(R) == pytest.approx(((0.8 - 0.4) + (0.5 - 0.6)) / 2)


def test_what_was_best_between_learning_and_the_end_counts_as_forgotten():
    rising_and_falling = [[0.5], [0.9, 0.3], [0.6, 0.3, 0.2]]

    assert backward_transfer(rising_and_falling) == pytest.approx(0.05)
    assert forgetting(rising_and_falling) == pytest.approx(0.15)


def test_the_best_may_have_been_before_the_task_was_learnt():
    assert forgetting([[0.5, 0.7, 0.0], [0.5, 0.2, 0.0], [0.5, 0.2, 0.4]]) == pytest.approx(0.25)


def test_a_single_task_has_nothing_to_forget():
    assert average_accuracy([[0.3]]) == 0.3
    assert backward_transfer([[0.3]]) is None
    assert forgetting([[0.3]]) is None


def test_learning_everything_at_once_is_one_row_of_several_tasks():
    assert average_accuracy([[0.3, 0.5]]) == pytest.approx(0.4)
    assert forgetting([[0.3, 0.5]]) is None


def test_of_matrices_the_mean_is_taken_cell_by_cell():
    assert mean_matrix([[[0.0], [0.2, 0.4]], [[1.0], [0.4, 0.8]]]) == [
        [0.5],
        [pytest.approx(0.3), pytest.approx(0.6)],
    ]


def test_a_matrix_is_printed_with_what_was_learnt_on_the_left():
    assert matrix_table([[0.5], [0.25, 1.0]], names=["one", "two"]) == (
        "| after | one | two |\n|---|---|---|\n| one | 50% |  |\n| two | 25% | 100% |"
    )


def test_two_scores_share_a_matrix():
    assert matrix_table([[0.5, 0.1]], [[0.6, 0.2]], names=["one", "two"], rows=["everything"]) == (
        "| after | one | two |\n|---|---|---|\n| everything | 50% / 60% | 10% / 20% |"
    )


# --- facts ---

EPISODES = [
    {"asked": [1.0], "unseen": [0.8]},
    {"asked": [0.9, 1.0], "unseen": [0.6, 0.7]},
]


def test_the_figures_of_facts_are_a_matrix_already():
    assert retention(EPISODES, "asked") == [[1.0], [0.9, 1.0]]


def test_retention_is_printed_for_both_ways_of_asking():
    text = retention_tables("all", EPISODES)

    assert "**all, as asked**: average 95.0%, backward transfer -10.0 points, forgetting +10.0 points" in text
    assert "| episode 2 | 60% | 70% |" in text


# --- perplexity ---


def test_windows_overlap_and_score_what_is_new():
    assert windows(1100, length=512, stride=256) == [
        Window(start=0, scored=1, end=512),
        Window(start=256, scored=512, end=768),
        Window(start=512, scored=768, end=1024),
        Window(start=768, scored=1024, end=1100),
    ]


@given(st.integers(2, 200), st.integers(2, 40), st.integers(1, 40))
def test_every_token_with_something_before_it_is_scored_once(tokens, length, stride):
    stride = min(stride, length - 1)
    found = windows(tokens, length=length, stride=stride)

    assert [place for w in found for place in range(w.scored, w.end)] == list(range(1, tokens))
    assert all(w.start < w.scored and w.end - w.start <= length for w in found)


def test_where_windows_only_touch_the_first_of_each_has_nothing_before_it():
    found = windows(20, length=8, stride=8)

    assert [place for w in found for place in range(w.scored, w.end)] == [
        place for place in range(20) if place % 8
    ]


@pytest.mark.parametrize(("length", "stride"), [(512, 513), (512, 0), (1, 1)])
def test_a_stride_that_would_leave_tokens_out_is_refused(length, stride):
    with pytest.raises(ValueError):
        windows(100, length=length, stride=stride)


def test_a_text_of_one_token_has_nothing_to_score():
    assert windows(1, length=512, stride=256) == []
    assert windows(0, length=512, stride=256) == []


def reading(version, losses, counts):
    return Reading(version=version, losses=tuple(losses), counts=tuple(counts), seconds=1.0)


def test_perplexity_weighs_windows_by_their_tokens():
    assert reading("base", [1.0, 2.0], [300, 100]).perplexity == pytest.approx(math.exp(1.25))


def test_a_change_of_all_windows_is_the_ratio_and_its_interval_is_narrow():
    losses = [2.0 + 0.1 * (place % 7) for place in range(40)]
    base = reading("base", losses, [256] * 40)
    other = reading("v1.0", [loss + 0.01 for loss in losses], [256] * 40)

    change, interval = ratio(base, other)

    assert change == pytest.approx(math.exp(0.01))
    assert interval is not None
    assert interval.low == pytest.approx(0.01)
    assert interval.high == pytest.approx(0.01)
    assert "| v1.0 | 10,240 |" in table([base, other])
    assert "+1.01% (+1.01% to +1.01%)" in table([base, other])


# --- tables ---


def run(arm, seed, exact):
    learnt = [{"steps": 10, "tokens": 100, "seconds": 6.0}] * len(exact)
    return {
        "arm": arm,
        "seed": seed,
        "exact": exact,
        "rouge_l": exact,
        "learnt": learnt,
        "kl": 0.1,
        "seconds": 60,
    }


def test_the_tables_set_the_arms_against_the_bound_and_against_ours():
    figures = {
        "tasks": [
            {"name": name, "train": 8, "validation": 4, "test": 10, "commonest": 0.2}
            for name in ("old", "new")
        ],
        "runs": [
            run("base", 0, [[0.0, 0.6]]),
            run("sequential", 0, [[0.8, 0.0], [0.2, 0.6]]),
            run("all", 0, [[0.8, 0.0], [0.75, 0.65]]),
            run("joint", 0, [[0.8, 0.6]]),
            run("pad", 0, [[0.8], [0.7]]),
        ],
    }

    text = tables(figures)

    assert "| old | 8 + 4 held out | 10 | 0% | 0% | 20% |" in text
    assert "The base can do this already, so it shows little: new." in text
    assert "| sequential | 1 | 40.0% | 57.1% | -60.0 | +60.0 | 80.0% → 20.0% | 1 of 1 |" in text
    assert "| all | 1 | 70.0% | 100.0% | -5.0 | +5.0 | 80.0% → 75.0% | – |" in text
    assert "| joint | 1 | 70.0% | 100.0% | – | – | 80.0% → 80.0% | – |" in text
    assert "| pad | 1 | – | – | -10.0 | +10.0 | 80.0% → 70.0% | – |" in text
    assert "| everything | 80% / 80% | 60% / 60% |" in text
    assert "| other material | 70% / 70% |" in text


def test_before_anything_was_learnt_only_the_base_is_told_of():
    figures = {
        "tasks": [{"name": "old", "train": 8, "validation": 4, "test": 10, "commonest": 0.2}],
        "runs": [run("base", 0, [[0.1]])],
    }

    assert tables(figures).count("\n") == 2

"""Packing must not change a loss, and the plan of a run must visit what it promises."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.learning.batches import StepPlan, by_surprise, passes, plan_steps, redrawn
from allie_desktop.learning.chat_format import Encoded
from allie_desktop.learning.losses import hidden_states, token_losses
from tests.unit.learning.tiny import losses_one_by_one, random_sequences, sequence, tiny_llama

OPENING = (5, 6, 7, 8, 9)
INSTRUCTIONS = tuple(range(40, 110))
PAD = 0


@pytest.fixture(scope="module")
def model():
    return tiny_llama()


# -- passes ------------------------------------------------------------------------------------------


def packed_losses(model, batches, count):
    """Return per sequence its losses, as the packed rows give them."""
    parts = [[] for _ in range(count)]
    for batch in batches:
        losses = token_losses(model.get_output_embeddings(), hidden_states(model, batch), batch.targets)
        for owner, loss in zip(batch.owners.tolist(), losses, strict=True):
            parts[owner].append(loss)
    return [torch.stack(p) if p else torch.empty(0) for p in parts]


tokens = st.integers(3, 119)
weights = st.sampled_from([0.0, 0.25, 1.0])


@st.composite
def sequences(draw):
    """A sequence of 1 to 60 tokens of its own, with or without an opening before it."""
    head = draw(st.sampled_from([(), OPENING, (*OPENING, *INSTRUCTIONS)]))
    body = draw(st.lists(tokens, min_size=1, max_size=60))
    # The first word after an opening is the person's: it never carries weight.
    loss = [0.0, *draw(st.lists(weights, min_size=len(body) - 1, max_size=len(body) - 1))]
    return Encoded((*head, *body), (*(0.0 for _ in head), *loss))


packs = st.lists(sequences(), min_size=1, max_size=14)
limits = st.sampled_from([1, 64, 256, 600, 4096])


@settings(max_examples=25)
@given(items=packs, limit=limits)
def test_packed_rows_give_the_losses_of_one_by_one(model, items, limit):
    with torch.no_grad():
        expected = losses_one_by_one(model, items)
        packed = packed_losses(model, passes(items, limit, PAD), len(items))

    for mine, theirs in zip(packed, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@settings(max_examples=40)
@given(items=packs, limit=limits)
def test_every_weighted_token_is_predicted_once_for_its_owner(items, limit):
    found = [[] for _ in items]
    for batch in passes(items, limit, PAD):
        for owner, target, weight in zip(batch.owners, batch.targets, batch.weights, strict=True):
            found[owner].append((int(target), float(weight)))

    pairs = [list(zip(item.tokens[1:], item.weights[1:], strict=True)) for item in items]
    assert found == [[(t, w) for t, w in pair if w > 0] for pair in pairs]


@settings(max_examples=40)
@given(items=packs, limit=limits)
def test_the_places_of_an_owner_stand_together(items, limit):
    for batch in passes(items, limit, PAD):
        runs = [owner for owner, _ in itertools.groupby(batch.owners.tolist())]
        assert len(runs) == len(set(runs))


@settings(max_examples=40)
@given(items=packs, limit=limits)
def test_a_pass_never_holds_more_cells_than_allowed_unless_it_is_one_row(items, limit):
    for batch in passes(items, limit, PAD):
        rows, width = batch.tokens.shape
        assert rows == 1 or rows * width <= limit
        assert batch.positions.shape == batch.filled.shape == (rows, width)
        assert batch.attention.shape == (rows, 1, width, width)


@settings(max_examples=40)
@given(items=packs, limit=limits)
def test_what_sees_to_a_prediction_is_what_stands_before_it_in_its_sequence(items, limit):
    for batch in passes(items, limit, PAD):
        for row, column, owner, target in zip(
            batch.row, batch.column, batch.owners.tolist(), batch.targets, strict=True
        ):
            seen = batch.attention[row, 0, column]
            before = batch.tokens[row][seen].tolist()
            assert before == list(items[owner].tokens[: len(before)])
            assert batch.positions[row][seen].tolist() == list(range(len(before)))
            assert items[owner].tokens[len(before)] == target


@settings(max_examples=40)
@given(items=packs, limit=limits)
def test_nothing_is_computed_more_often_than_one_by_one(items, limit):
    assert sum(batch.real for batch in passes(items, limit, PAD)) <= sum(map(len, items))


def test_short_chats_share_a_row_and_its_opening():
    items = random_sequences(6, seed=1, length=10, head=OPENING)

    (batch,) = passes(items, 1024, PAD)

    assert batch.tokens.shape == (1, len(OPENING) + sum(len(i) - len(OPENING) for i in items))
    assert bool(batch.filled.all())
    # Each of them goes on at the position after the opening.
    starts = (batch.positions[0] == len(OPENING)).nonzero().flatten().tolist()
    assert len(starts) == 6


def test_long_instructions_stand_once_in_a_row_and_leave_as_much_room_as_there_is_without():
    asked = random_sequences(9, seed=2, length=30, head=(*OPENING, *INSTRUCTIONS))
    others = random_sequences(3, seed=3, length=30, head=OPENING)

    batches = passes([*asked, *others], 4096, PAD)

    rows = [len(row.nonzero()) for batch in batches for row in batch.filled]
    long = len(OPENING) + len(INSTRUCTIONS)
    own = [len(item) - long for item in asked]
    assert sum(rows) == 2 * long + sum(own) + len(OPENING) + sum(len(i) - len(OPENING) for i in others)


def test_sequences_in_a_row_do_not_see_each_other_but_all_see_the_opening():
    first, second = sequence(*OPENING, 20, 21, learnt=1), sequence(*OPENING, 30, 31, learnt=1)

    (batch,) = passes([first, second], 1024, PAD)

    head = len(OPENING)
    seen = batch.attention[0, 0]
    assert seen[head].tolist() == [True] * head + [True, False, False, False]
    assert seen[head + 1].tolist() == [True] * head + [True, True, False, False]
    assert seen[head + 2].tolist() == [True] * head + [False, False, True, False]
    assert seen[head + 3].tolist() == [True] * head + [False, False, True, True]
    assert batch.positions[0].tolist() == [*range(head), head, head + 1, head, head + 1]


def test_a_sequence_longer_than_a_row_gets_a_row_of_its_width(model):
    items = [*random_sequences(2, seed=3, length=400, learnt=30), *random_sequences(3, seed=4, head=OPENING)]
    batches = passes(items, 512, PAD)

    assert max(b.tokens.shape[1] for b in batches) == 401
    with torch.no_grad():
        for mine, theirs in zip(
            packed_losses(model, batches, 5), losses_one_by_one(model, items), strict=True
        ):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_padding_is_marked_and_predicts_nothing():
    long, short = random_sequences(1, seed=5, length=200)[0], random_sequences(1, seed=6, length=100)[0]

    (batch,) = passes([short, long], 4096, PAD)

    assert batch.tokens.shape == (2, 200)
    assert batch.filled.sum(1).tolist() == [200, 100]
    assert batch.tokens[1, 100:].tolist() == [PAD] * 100
    assert bool(batch.filled[batch.row, batch.column].all())
    assert batch.real == 300


def test_a_sequence_without_loss_is_packed_and_predicts_nothing():
    (batch,) = passes([sequence(4, 5, 6, learnt=0)], 64, PAD)

    assert batch.tokens.tolist() == [[4, 5, 6]]
    assert len(batch.targets) == len(batch.owners) == len(batch.row) == 0


def test_nothing_to_pack_is_no_pass():
    assert passes([], 64, PAD) == []


def test_packing_is_the_same_every_time():
    items = random_sequences(9, seed=8, head=OPENING)

    first, second = passes(items, 256, PAD), passes(items, 256, PAD)

    assert [b.tokens.tolist() for b in first] == [b.tokens.tolist() for b in second]
    assert [b.owners.tolist() for b in first] == [b.owners.tolist() for b in second]


# -- plan_steps --------------------------------------------------------------------------------------

KINDS = {
    "taught": [[0, 1, 2], [3, 4]],
    "ordinary": [5, 6, 7, 8],
    "lengths": [30, 40, 35, 20, 25, 100, 90, 80, 60],
    "replay_lengths": [50, 30, 40],
    "general_count": 5,
    "general_per_step": 3,
    "taught_epochs": 4.0,
    "fewest_visits": 0.0,
    "ordinary_epochs": 2.0,
    "batch_tokens": 400,
    "replay_share": 0.3,
    "seed": 11,
}


def planned(**changes):
    return plan_steps(**{**KINDS, **changes})


def visits(steps):
    return Counter(index for step in steps for index in step.new)


def test_every_phrasing_and_every_conversation_is_visited_as_often_as_asked():
    assert visits(planned()) == dict.fromkeys(range(5), 4) | dict.fromkeys(range(5, 9), 2)


def test_a_fraction_of_an_epoch_is_drawn_by_chance():
    many = list(range(200))
    counts = visits(planned(taught=[], ordinary=many, lengths=[10] * 200, ordinary_epochs=1.5))

    assert set(counts.values()) == {1, 2}
    assert 70 <= sum(count == 2 for count in counts.values()) <= 130


def test_a_target_with_few_phrasings_is_visited_more_often_but_not_without_end():
    few = planned(taught=[[0], [1, 2], list(range(9))], ordinary=[], fewest_visits=10.0)

    assert visits(few) == {0: 8 + 4, 1: 5 + 4, 2: 5 + 4} | dict.fromkeys(range(3, 9), 4)


def test_no_epochs_are_no_visits():
    assert visits(planned(taught_epochs=0.0)) == dict.fromkeys(range(5, 9), 2)
    assert planned(taught_epochs=0.0, ordinary_epochs=0.0) == ()


def test_nothing_new_is_no_step_however_much_there_is_to_replay():
    assert planned(taught=[], ordinary=[]) == ()


def test_a_plan_is_the_same_for_a_seed_and_another_for_another():
    assert planned() == planned()
    assert planned(seed=12) != planned()
    assert all(isinstance(step, StepPlan) for step in planned())


def test_every_part_of_a_run_sees_both_kinds():
    steps = planned(
        taught=[list(range(8))],
        ordinary=list(range(8, 48)),
        lengths=[20] * 48,
        taught_epochs=6.0,
        ordinary_epochs=2.0,
        batch_tokens=200,
        replay_share=0.0,
    )
    quarter = len(steps) // 4
    for start in range(0, 4 * quarter, quarter):
        seen = visits(steps[start : start + quarter])
        assert any(i < 8 for i in seen)
        assert any(i >= 8 for i in seen)


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    replay_lengths=st.lists(st.integers(1, 200), max_size=8),
    batch_tokens=st.integers(64, 2048),
    replay_share=st.sampled_from([0.0, 0.3, 0.9]),
    general_count=st.integers(0, 7),
    general_per_step=st.integers(0, 6),
    taught_count=st.integers(0, 30),
    seed=st.integers(0, 2**32),
)
def test_a_step_keeps_its_budget_its_replay_and_its_anchors(
    lengths, replay_lengths, batch_tokens, replay_share, general_count, general_per_step, taught_count, seed
):
    indexes = list(range(len(lengths)))
    steps = planned(
        taught=[indexes[:taught_count]] if taught_count else [],
        ordinary=indexes[taught_count:],
        lengths=lengths,
        replay_lengths=replay_lengths,
        batch_tokens=batch_tokens,
        replay_share=replay_share,
        general_count=general_count,
        general_per_step=general_per_step,
        seed=seed,
    )
    expected = {i: 4 if i < taught_count else 2 for i in indexes}
    assert visits(steps) == expected

    share = replay_share if replay_lengths else 0.0
    most = min(1.0, share + 0.8 * min(share, 1 - share))
    least = share - 0.8 * min(share, 1 - share)
    replayed, anchored = Counter(range(len(replay_lengths))), Counter(range(general_count))
    for step in steps:
        assert step.new
        new = sum(lengths[i] for i in step.new)
        budget = int(batch_tokens * (1 - least))
        assert new <= max(budget, budget // 2 + max(lengths))
        # Replay fills its share, and not one sequence more than that takes.
        old = [replay_lengths[i] for i in step.replay]
        assert sum(old) >= batch_tokens * least - 1e-6
        assert sum(old[:-1]) < batch_tokens * most or not old
        assert len(step.general) == min(general_per_step, general_count)
        replayed.update(step.replay)
        anchored.update(step.general)
    # Turn by turn: none is drawn twice before every other was drawn once.
    for counts in (replayed, anchored):
        assert not counts or max(counts.values()) - min(counts.values()) <= 1


def test_rehearsal_grows_over_a_run_and_has_its_share_of_the_whole():
    steps = planned(
        taught=[list(range(400))], ordinary=[], lengths=[5] * 400, replay_lengths=[5] * 90, replay_share=0.5
    )
    new, old = ([5 * len(getattr(step, kind)) for step in steps] for kind in ("new", "replay"))
    tenth = len(steps) // 10

    assert sum(old[:tenth]) < 0.25 * sum(new[:tenth] + old[:tenth])
    assert sum(old[-tenth:]) > 0.75 * sum(new[-tenth:] + old[-tenth:])
    assert sum(old) / sum(new + old) == pytest.approx(0.5, abs=0.05)
    assert all(later >= earlier for earlier, later in pairwise(old))
    # What is new is never gone from a step.
    assert all(new)


def test_a_run_of_a_single_step_rehearses_its_share():
    (step,) = planned(taught=[], ordinary=[0], lengths=[30], replay_lengths=[10] * 40, ordinary_epochs=1.0)

    assert 10 * len(step.replay) == pytest.approx(0.3 * 400, abs=20)


def test_steps_are_filled_and_not_just_kept_small():
    steps = planned(ordinary=list(range(60)), taught=[], lengths=[50] * 60, replay_share=0.0)

    assert [len(step.new) for step in steps] == [8] * 15


def test_a_sequence_longer_than_the_budget_still_gets_its_step():
    steps = planned(taught=[], ordinary=[0, 1], lengths=[5000, 5000], replay_share=0.0, ordinary_epochs=1.0)

    assert sorted(step.new for step in steps) == [(0,), (1,)]


def test_rows_behind_long_instructions_may_be_wider_than_a_pass():
    asked = random_sequences(9, seed=2, length=30, head=(*OPENING, *INSTRUCTIONS))

    narrow = passes(asked, 128, PAD)
    wide = passes(asked, 128, PAD, 1024)

    assert max(batch.tokens.shape[1] for batch in narrow) <= 128
    assert 128 < max(batch.tokens.shape[1] for batch in wide) <= 75 + 256
    assert sum(batch.real for batch in wide) < sum(batch.real for batch in narrow)


# -- what surprises ----------------------------------------------------------------------------------


def test_what_is_wrong_is_drawn_more_often_than_what_is_known():
    losses = {i: 1.0 if i < 10 else 0.001 for i in range(100)}

    drawn = Counter(by_surprise(losses, 30, random.Random(0)))

    assert sum(drawn.values()) == 30
    assert all(2 <= drawn[i] <= 3 for i in range(10))
    assert sum(drawn[i] for i in range(10, 100)) in range(5, 11)


def test_a_loss_without_bounds_counts_like_any_other_mistake():
    losses = {0: 400.0, 1: 1.0, 2: 1.0, 3: float("inf")}

    assert Counter(by_surprise(losses, 4, random.Random(0))) == Counter(range(4))


def test_where_all_is_known_all_is_visited_alike():
    drawn = Counter(by_surprise(dict.fromkeys(range(50), 0.0), 100, random.Random(3)))

    assert all(drawn[i] == 2 for i in range(50))


def test_a_draw_is_as_long_as_asked_for_however_few_there_are():
    assert by_surprise({7: 0.5}, 5, random.Random(0)) == [7] * 5
    assert by_surprise({7: 0.5}, 0, random.Random(0)) == []
    assert by_surprise({}, 5, random.Random(0)) == []


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 60), st.floats(-1, 30), min_size=1), st.integers(0, 80), st.integers(0, 9)
)
def test_nothing_is_drawn_more_often_than_it_surprises(losses, number, seed):
    drawn = by_surprise(losses, number, random.Random(seed))
    again = by_surprise(losses, number, random.Random(seed))

    assert drawn == again
    assert len(drawn) == number
    assert set(drawn) <= losses.keys()
    if number <= len(losses):
        assert max(Counter(drawn).values(), default=0) <= 3  # two, and one of those that are left over


def test_only_lessons_are_exchanged_and_everything_else_stays_in_its_place():
    steps = [StepPlan((0, 1, 8), (3, 4), (5,)), StepPlan((8, 2), (4, 3, 9), (6, 7))]
    new, replay = {0: 0.0, 1: 0.0, 2: 1.0, 3: 1.0}, {3: 0.0, 4: 1.0, 5: 1.0}

    changed = redrawn(steps, new, replay, seed=1)

    assert [step.general for step in changed] == [(5,), (6, 7)]
    assert changed[0].new[2] == 8
    assert changed[1].new[0] == 8
    assert changed[1].replay[2] == 9
    assert [(len(step.new), len(step.replay)) for step in changed] == [(3, 2), (2, 3)]
    visits = [i for step in changed for i in step.new if i != 8]
    assert {2, 3} <= set(visits) <= new.keys()
    assert {4, 5} <= {i for step in changed for i in step.replay}


def test_nothing_to_exchange_leaves_the_steps_as_they_are():
    steps = [StepPlan((0, 1), (2,), (3,))]

    assert redrawn(steps, {}, {}, seed=0) == steps

"""Which sequences are put together: an exact share-out that saves tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.learning.chat_format import Encoded
from allie_desktop.learning.openings import Group, by_opening, row_width
from tests.unit.learning.tiny import sequence

TEMPLATE = (1, 2, 3, 4)


def saying(*tokens, learnt=2):
    return sequence(*TEMPLATE, *tokens, learnt=learnt)


def cells(sequences, groups):
    """Return the cells of all groups, each filling rows of its own."""
    found = 0
    for group in groups:
        own = sum(len(sequences[i]) - group.shared for i in group.members)
        found += own + group.shared * -(-own // (row_width(group.shared, 4096) - group.shared))
    return found


words = st.lists(st.integers(1, 3), min_size=1, max_size=40)


@given(
    st.lists(
        st.tuples(st.sampled_from([(), TEMPLATE, (*TEMPLATE, *range(9, 90))]), words, st.data()), max_size=20
    )
)
def test_everybody_is_in_one_group_that_begins_as_it_does_and_keeps_something(drawn):
    items = []
    for head, body, data in drawn:
        weights = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(body), max_size=len(body)))
        items.append(Encoded((*head, *body), (*[0.0] * len(head), *weights)))

    groups = by_opening(items, 4096)

    assert sorted(i for group in groups for i in group.members) == list(range(len(items)))
    for group in groups:
        assert len({items[i].tokens[: group.shared] for i in group.members}) == 1
        for i in group.members:
            assert len(items[i]) > group.shared
            assert not any(items[i].weights[: group.shared])
            assert group.shared == 0 or items[i].weights[group.shared] == 0


@pytest.mark.parametrize(
    ("shared", "widest", "width"),
    [(0, 4096, 256), (64, 4096, 256), (65, 4096, 321), (700, 4096, 956), (900, 4096, 1024), (300, 128, 128)],
)
def test_rows_are_filled_so_far(shared, widest, width):
    assert row_width(shared, widest) == width


def test_where_rows_are_narrow_a_row_of_its_own_is_dear():
    items = [saying(*range(20, 76), word, *range(5), learnt=1) for word in range(80, 86)]
    items += [saying(word, *range(70, 90), learnt=1) for word in range(100, 106)]

    assert [g.shared for g in by_opening(items, 4096)] == [60, 4]
    assert [g.shared for g in by_opening(items[:2] + items[6:], 64)] == [4]


def test_nobody_is_in_no_group():
    assert by_opening([], 4096) == []


def test_one_alone_shares_nothing():
    assert by_opening([saying(5, 6, 7)], 4096) == [Group(0, [0])]


def test_all_share_the_template():
    items = [saying(word, word, 7, 8) for word in range(20, 26)]

    assert by_opening(items, 4096) == [Group(4, [0, 1, 2, 3, 4, 5])]


def test_long_instructions_are_shared_by_those_that_have_them():
    instructions = tuple(range(100, 180))
    asked = [saying(*instructions, word, 7, 8) for word in range(20, 26)]
    others = [saying(word, 7, 8, 9) for word in range(30, 36)]
    items = [one for pair in zip(asked, others, strict=True) for one in pair]

    groups = by_opening(items, 4096)

    assert [(g.shared, sorted(g.members)) for g in groups] == [
        (84, [0, 2, 4, 6, 8, 10]),
        (4, [1, 3, 5, 7, 9, 11]),
    ]
    assert cells(items, groups) < cells(items, [Group(4, list(range(12)))])


def test_a_word_in_common_is_not_worth_a_row_of_its_own():
    items = [saying(20, word, 7, 8) for word in range(30, 33)] + [saying(21, w, 7, 8) for w in range(3)]

    assert [(g.shared, len(g.members)) for g in by_opening(items, 4096)] == [(4, 6)]


def test_what_is_learnt_is_never_part_of_an_opening():
    same = [saying(*range(20, 60), learnt=30)] * 3

    assert by_opening(same, 4096) == [Group(4 + 10 - 1, [0, 1, 2])]


def test_a_conversation_cut_after_each_of_its_turns_is_not_too_deep():
    items = [saying(*(k % 50 for k in range(turn)), learnt=1) for turn in range(3, 1500)]

    groups = by_opening(items, 4096)

    assert sorted(i for g in groups for i in g.members) == list(range(len(items)))

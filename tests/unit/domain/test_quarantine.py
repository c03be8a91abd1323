"""Which days of a source are a sudden shift. The numbers are whole collections, one candidate a conversation."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.planning import Split
from allie_desktop.domain.ports import Candidate
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.quarantine import Shift, ShiftLimits, large_days, shifts

START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
TOPICS = ("cooking", "travel", "work", "music", "plants", "money", "sport", "books", "health", "films", "law")


def days(counts, *, source="api", topics=TOPICS, first=0):
    """Return conversations, so many on each day."""
    return [
        Candidate(
            id=f"{source}-{first + day}-{number}",
            content_hash=f"{source}{day}{number}",
            source=source,
            topic=topics[(number + day) % len(topics)],
            created_at=START + timedelta(days=first + day),
            score=0.8,
            origin=TargetOrigin.IMPORTED,
            split=Split.TRAIN,
            characters=400,
            signature=b"",
            learned_at=None,
        )
        for day, count in enumerate(counts)
        for number in range(count)
    ]


def found(new, learnt=(), hostility=None):
    return [(shift.key, len(shift.ids), shift.reason) for shift in shifts(new, learnt, hostility=hostility)]


@pytest.mark.parametrize(
    ("past", "today", "is_flood"),
    [
        ([5] * 10, 50, True),
        ([5] * 10, 49, False),
        ([6] * 10, 59, False),
        ([6] * 10, 60, True),
        ([1] * 10, 30, False),
        ([1] * 4, 500, False),
        ([], 5000, False),
        ([3, 0, 4, 0, 5, 0, 3, 4], 200, True),
    ],
    ids=[
        "ten times as many",
        "too few to be a flood",
        "not quite ten times",
        "ten times more",
        "a busy day of a quiet source",
        "a source with hardly a past",
        "a first import",
        "days without any do not count",
    ],
)
def test_ten_times_the_usual_volume_is_a_flood(past, today, is_flood):
    flood = days([today], first=20)
    expected = [("api 2026-03-21", today)] if is_flood else []
    assert [(key, count) for key, count, _ in found([*days(past), *flood])] == expected


def test_a_flood_is_told_in_words():
    assert found([*days([5] * 10), *days([80], first=20)]) == [
        ("api 2026-03-21", 80, "80 conversations in one day, where 5 are usual")
    ]


def test_what_was_learnt_long_ago_says_what_is_usual():
    assert found(days([80], first=20), learnt=days([5] * 10))[0][0] == "api 2026-03-21"
    assert found([], learnt=[*days([5] * 10), *days([80], first=20)]) == []


def test_one_flood_is_no_excuse_for_the_next():
    flood = days([80, 80, 80], first=20)
    assert [key for key, *_ in found([*days([5] * 10), *flood])] == [
        "api 2026-03-21",
        "api 2026-03-22",
        "api 2026-03-23",
    ]


def test_each_source_has_its_own_past():
    busy, quiet = days([60] * 10, source="chatgpt"), days([2] * 10, source="api")
    today = [*days([60], source="chatgpt", first=20), *days([60], source="api", first=20)]
    assert [key for key, *_ in found([*busy, *quiet, *today])] == ["api 2026-03-21"]


@pytest.mark.parametrize(
    ("before", "today", "is_shift"),
    [
        (TOPICS, ("politics",), True),
        (TOPICS, ("politics", "work"), False),
        (("politics",), ("politics",), False),
        (TOPICS, TOPICS, False),
    ],
    ids=["all on one new subject", "half on a new subject", "as ever", "mixed as ever"],
)
def test_a_day_on_one_new_subject_is_a_shift(before, today, is_shift):
    new = [*days([6] * 10, topics=before), *days([40], topics=today, first=20)]
    reason = "100 % of a day's conversations on one subject that made 0 % before"
    assert found(new) == ([("api 2026-03-21", 40, reason)] if is_shift else [])


@pytest.mark.parametrize(("tone", "is_shift"), [(0.3, True), (0.12, False), (0.0, False)])
def test_a_day_in_a_hostile_tone_is_a_shift(tone, is_shift):
    past, today = days([6] * 10), days([40], first=20)
    hostility = dict.fromkeys((c.id for c in past), 0.02) | dict.fromkeys((c.id for c in today), tone)
    reason = "40 conversations in one day that are far more hostile than usual"
    assert found([*past, *today], hostility=hostility) == (
        [("api 2026-03-21", 40, reason)] if is_shift else []
    )


def test_only_large_days_are_worth_a_look_at_their_tone():
    assert {c.created_at for c in large_days([*days([6] * 10), *days([40], first=20)])} == {
        START + timedelta(days=20)
    }


def test_a_steady_person_is_never_held():
    assert found(days([3, 7, 0, 5, 12, 1, 9, 4, 30, 2, 6, 25, 8] * 12)) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 120), max_size=14), st.lists(st.integers(0, 60), max_size=8))
def test_whatever_comes_only_new_conversations_are_held_and_each_once(new, learnt):
    past = days(learnt)
    today = days(new, first=5)
    result = shifts(today, [c for c in past if c.id not in {t.id for t in today}], limits=ShiftLimits())
    ids = [name for shift in result for name in shift.ids]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {c.id for c in today}
    assert all(isinstance(shift, Shift) and shift.reason for shift in result)

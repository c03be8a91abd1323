"""When a new version goes on, waits, or is taken back: a table, and what holds for all evidence."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.chat import Evidence
from allie_desktop.domain.rollout import (
    DOUBT,
    FEWEST_BAD,
    FEWEST_REPLIES,
    SHARED,
    SURE,
    WATCHED,
    RolloutRecord,
    Stage,
    bad_replies,
    chance,
    decide,
    first_record,
    moved,
    probability_worse,
)
from allie_desktop.domain.settings import Preferences

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)
PREFERENCES = Preferences()
NOTHING = Evidence()
A_WEEK_OF_OLD = Evidence(replies=200, conversations=40, disliked=8, regenerated=8)


def record(stage: Stage = Stage.FIRST) -> RolloutRecord:
    return RolloutRecord(
        version="v1.1",
        previous="v1.0",
        stage=stage,
        share={Stage.FIRST: 0.1, Stage.SECOND: 0.5}.get(stage, 1.0),
        started_at=WHEN,
        stage_since=WHEN,
    )


def after(hours: float, stage: Stage, new: Evidence, old: Evidence = A_WEEK_OF_OLD) -> Stage:
    now = WHEN + timedelta(hours=hours)
    return decide(record(stage), new, old, now=now, preferences=PREFERENCES).stage


def liked(replies: int, conversations: int = 20) -> Evidence:
    return Evidence(replies=replies, conversations=min(conversations, replies), liked=replies // 3)


F, S, P, H, R = Stage.FIRST, Stage.SECOND, Stage.PROBATION, Stage.HEALTHY, Stage.ROLLED_BACK


@pytest.mark.parametrize(
    ("hours", "stage", "new", "expected"),
    [
        # enough good evidence
        (0.4, F, liked(50), F),  # too soon for a first impression
        (0.6, F, liked(10), S),
        (0.6, F, liked(9), F),
        (0.6, F, liked(50, conversations=2), F),  # one long chat says little
        (0.6, S, liked(29), S),
        (0.6, S, liked(30), P),
        (0.6, S, liked(30, conversations=7), S),
        (71, P, liked(500), P),
        (72, P, liked(500), H),
        # somebody who chats little, or not at all
        (23, F, NOTHING, F),
        (24, F, NOTHING, S),
        (24, S, Evidence(replies=2, conversations=1), P),
        (72, P, NOTHING, H),
        (24, F, Evidence(replies=3, conversations=1, disliked=1), F),  # something spoke against it
        (72, F, Evidence(replies=3, conversations=1, disliked=1), S),
        (24, F, Evidence(replies=5, conversations=1, errors=1), F),
        (
            72,
            F,
            Evidence(replies=5, conversations=5, disliked=5),
            F,
        ),  # too little to go back, too bad to go on
        (500, P, Evidence(replies=5, conversations=5, disliked=5), P),
        # worse beyond doubt
        (0.1, F, Evidence(replies=12, conversations=1, disliked=6), R),
        (0.1, S, Evidence(replies=20, conversations=9, regenerated=9), R),
        (100, P, Evidence(replies=40, conversations=9, disliked=8, regenerated=8), R),
        (0.1, F, Evidence(replies=11, conversations=9, disliked=11), F),  # the floor of evidence
        (0.1, F, Evidence(replies=12, conversations=9, disliked=3), F),
        (0.1, F, Evidence(replies=100, conversations=9, disliked=8), F),  # as bad as before
        # it fails
        (0, F, Evidence(replies=3, conversations=1, errors=2), F),
        (0, F, Evidence(replies=3, conversations=1, errors=3), R),
        (0, F, Evidence(errors=3), R),
        (0, P, Evidence(replies=10, conversations=1, broken=3), R),
        (0, P, Evidence(replies=10, conversations=1, broken=2, errors=1), R),
        (0, P, Evidence(replies=100, conversations=9, broken=3), P),
        # over
        (1000, H, Evidence(replies=50, disliked=50), H),
        (1000, R, liked(500), R),
    ],
)
def test_the_next_stage(hours: float, stage: Stage, new: Evidence, expected: Stage) -> None:
    assert after(hours, stage, new) is expected


def test_when_the_computer_fails_both_versions_none_is_to_blame() -> None:
    failing = Evidence(replies=10, conversations=5, errors=5)
    assert after(0, Stage.FIRST, failing, old=failing) is Stage.FIRST
    assert after(0, Stage.FIRST, failing, old=Evidence(replies=100, errors=5)) is Stage.ROLLED_BACK


def test_without_a_past_to_compare_with_only_what_is_really_bad_goes_back() -> None:
    assert after(0.6, Stage.FIRST, Evidence(replies=20, conversations=5, disliked=2), NOTHING) is Stage.SECOND
    assert after(0.6, Stage.FIRST, Evidence(replies=20, conversations=5, disliked=16), NOTHING) is R


def test_reasons_are_sentences_with_the_numbers() -> None:
    step = decide(
        record(),
        Evidence(replies=12, conversations=1, disliked=6),
        A_WEEK_OF_OLD,
        now=WHEN,
        preferences=PREFERENCES,
    )
    assert step.reasons == (
        "6 of its 12 replies were disliked or wanted anew, of the version before 16 of 200.",
    )
    back = moved(record(), step, at=WHEN)
    assert (back.stage, back.share, back.automatic) == (Stage.ROLLED_BACK, 0.0, True)
    assert back.reason == step.reasons[0]


def test_the_shares_are_the_persons_and_never_shrink() -> None:
    chosen = Preferences(rollout_first_percent=60.0, rollout_second_percent=30.0)
    begun = first_record("v1.1", "v1.0", at=WHEN, preferences=chosen, at_once=False)
    assert (begun.stage, begun.share) == (Stage.FIRST, 0.6)
    later = WHEN + timedelta(days=1)
    second = moved(begun, decide(begun, NOTHING, NOTHING, now=later, preferences=chosen), at=later)
    assert (second.stage, second.share, second.stage_since) == (Stage.SECOND, 0.6, later)


def test_a_share_that_the_person_changes_holds_at_once() -> None:
    step = decide(record(), NOTHING, NOTHING, now=WHEN, preferences=Preferences(rollout_first_percent=25.0))
    assert moved(record(), step, at=WHEN) == replace(record(), share=0.25)


def test_at_once_is_watched_all_the_same() -> None:
    begun = first_record("v1.1", "v1.0", at=WHEN, preferences=PREFERENCES, at_once=True)
    assert (begun.stage, begun.share, begun.at_once) == (Stage.PROBATION, 1.0, True)


# --- how likely it is worse ---


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ((0, 0), (0, 0)),
        ((3, 12), (16, 200)),
        ((30, 100), (20, 100)),
        ((300, 1000), (200, 1000)),
        ((1, 5), (0, 5)),
    ],
)
def test_the_probability_is_that_of_drawing_it(new: tuple[int, int], old: tuple[int, int]) -> None:
    draw = random.Random(1)
    draws = 20_000
    worse = sum(
        draw.betavariate(new[0] + 1, new[1] - new[0] + 9)
        > draw.betavariate(old[0] + 1, old[1] - old[0] + 9) + 0.05
        for _ in range(draws)
    )
    exact = probability_worse(
        Evidence(replies=new[1], disliked=new[0]), Evidence(replies=old[1], disliked=old[0])
    )
    assert math.isclose(exact, worse / draws, abs_tol=0.015)


def test_equally_good_versions_are_equally_likely_better_without_a_margin() -> None:
    same = Evidence(replies=40, disliked=7)
    assert math.isclose(probability_worse(same, same, margin=0.0), 0.5, abs_tol=1e-9)


def test_two_versions_that_nobody_knows_are_no_reason_to_wait() -> None:
    assert probability_worse(NOTHING, NOTHING) < DOUBT


counts = st.integers(0, 300)


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    replies = draw(counts)
    return Evidence(
        replies=replies,
        conversations=draw(st.integers(0, replies)),
        liked=draw(st.integers(0, replies)),
        disliked=draw(st.integers(0, replies)),
        regenerated=draw(st.integers(0, replies)),
        errors=draw(st.integers(0, 5)),
        broken=draw(st.integers(0, min(replies, 5))),
    )


stages = st.sampled_from(Stage)
ages = st.floats(0, 2000)


@settings(max_examples=60)
@given(evidence(), evidence())
def test_a_probability_is_one(new: Evidence, old: Evidence) -> None:
    assert 0.0 <= probability_worse(new, old) <= 1.0


@settings(max_examples=40)
@given(evidence(), evidence(), st.integers(1, 20))
def test_one_more_bad_reply_never_makes_a_version_look_better(
    new: Evidence, old: Evidence, more: int
) -> None:
    if bad_replies(new) + more <= new.replies:
        worse = replace(new, disliked=new.disliked + more)
        assert probability_worse(worse, old) >= probability_worse(new, old) - 1e-9


@settings(max_examples=80)
@given(stages, evidence(), evidence(), ages)
def test_what_holds_for_every_decision(stage: Stage, new: Evidence, old: Evidence, hours: float) -> None:
    now = WHEN + timedelta(hours=hours)
    step = decide(record(stage), new, old, now=now, preferences=PREFERENCES)

    assert step == decide(record(stage), new, old, now=now, preferences=PREFERENCES)
    assert 0.0 <= step.share <= 1.0
    if stage not in WATCHED:
        assert step.stage is stage
    order = [Stage.FIRST, Stage.SECOND, Stage.PROBATION, Stage.HEALTHY]
    if step.stage is Stage.ROLLED_BACK:
        if stage is not Stage.ROLLED_BACK:
            enough = new.replies >= FEWEST_REPLIES and bad_replies(new) >= FEWEST_BAD
            assert new.errors + new.broken >= 3 or enough
            assert step.reasons
    elif stage is not Stage.ROLLED_BACK:
        assert 0 <= order.index(step.stage) - order.index(stage) <= 1
        assert step.share >= record(stage).share - 1e-9
    if step.stage is not stage:
        assert step.reasons
        assert all(reason.endswith(".") for reason in step.reasons)


@settings(max_examples=60)
@given(st.sampled_from(sorted(WATCHED)), evidence(), evidence())
def test_what_is_surely_worse_never_goes_on(stage: Stage, new: Evidence, old: Evidence) -> None:
    step = decide(record(stage), new, old, now=WHEN + timedelta(days=900), preferences=PREFERENCES)
    if probability_worse(new, old) >= SURE and (bad_replies(new) or new.errors or new.broken):
        assert step.stage in (stage, Stage.ROLLED_BACK)


@given(st.floats(0, 2000), evidence())
def test_somebody_without_complaints_has_the_new_version_within_two_days(hours: float, old: Evidence) -> None:
    now, at = WHEN + timedelta(hours=hours), record()
    for _ in range(2):
        at = moved(
            at,
            decide(at, NOTHING, old, now=at.stage_since + timedelta(days=1), preferences=PREFERENCES),
            at=now,
        )
    assert at.stage is Stage.PROBATION


# --- who belongs to the share ---


@given(st.text(), st.text())
def test_the_lot_of_a_conversation_never_changes(version: str, conversation: str) -> None:
    lot = chance(version, conversation)
    assert 0.0 <= lot < 1.0
    assert lot == chance(version, conversation)


def test_lots_are_spread_evenly_and_anew_for_each_version() -> None:
    ids = [f"conversation-{number}" for number in range(4000)]
    first = {one for one in ids if chance("v1.1", one) < 0.1}
    half = {one for one in ids if chance("v1.1", one) < 0.5}
    others = {one for one in ids if chance("v1.2", one) < 0.1}
    assert first < half
    assert abs(len(first) - 400) < 80
    assert abs(len(half) - 2000) < 130
    assert len(first & others) < 80


def test_lots_are_the_same_on_every_machine() -> None:
    assert chance("v1.1", "a") == 0.4794003297050109
    assert SHARED < WATCHED

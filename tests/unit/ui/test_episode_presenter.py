from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.ports import ConversationRow
from allie_desktop.domain.validation import Check, Judgement, Margins, Verdict, judge
from allie_desktop.domain.versions import ActivePointer, Version, VersionState
from allie_desktop.ui.presenters.conversations import cells, kinds, topic_words, with_left_out
from allie_desktop.ui.presenters.episodes import (
    check_rows,
    episode_row,
    facts,
    gain_words,
    held_out_bars,
    material_rows,
)
from allie_desktop.ui.presenters.versions import comparison, lineage, measures
from tests.adapters import make_metadata
from tests.gui.window_stage import PLAN, REPORT

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=timezone.utc)
METRICS = {
    "measures": {
        "new": {"unit": "nats/token", "base": 2.6, "active": 2.5, "candidate": 2.05},
        "general": {"unit": "nats/token", "base": 0.9, "active": 0.9, "candidate": 0.91},
    }
}


def episode(state: EpisodeState, **changes) -> Episode:
    values = {
        "id": "e1",
        "created_at": NOW - timedelta(hours=9),
        "state": state,
        "trigger": "50 new conversations",
    }
    return Episode(**{**values, **changes})


@pytest.mark.parametrize(
    ("state", "verdict", "words", "tone"),
    [
        (EpisodeState.COMPLETED, "deploy", "Learnt something new", "success"),
        (EpisodeState.REJECTED, "reject", "Thrown away: worse somewhere", "danger"),
        (EpisodeState.REJECTED, "inconclusive", "Nothing changed: not proved better", "warning"),
        (EpisodeState.FAILED, "", "Did not work", "danger"),
        (EpisodeState.STOPPED, "", "Stopped by you", ""),
        (EpisodeState.YIELDED, "", "Waits, and goes on later", "accent"),
        (EpisodeState.TRAINING, "", "Running", "accent"),
    ],
)
def test_what_became_of_an_episode_is_said_in_plain_words(state, verdict, words, tone):
    row = episode_row(episode(state, verdict=verdict), NOW)
    assert (row.verdict, row.tone) == (words, tone)


def test_a_line_of_the_history_has_what_it_brought_or_why_it_did_not():
    good = episode_row(
        episode(EpisodeState.COMPLETED, metrics=METRICS, conversations=53, version="v1.2"), NOW
    )
    assert (good.detail, good.material, good.version) == (
        "Your kind of questions 18 % less",
        "53 conversations",
        "v1.2",
    )
    bad = episode_row(episode(EpisodeState.FAILED, reasons=("Memory ran out.", "Twice.")), NOW)
    assert bad.detail == "Memory ran out."
    assert episode_row(episode(EpisodeState.PLANNED), NOW).detail == "50 new conversations"


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"measures": None},
        {"measures": {"new": None}},
        {"measures": {"new": {"active": None, "candidate": 1.0}}},
        {"measures": {"new": {"active": 0.0, "candidate": 1.0}}},
        {"measures": {"new": {"active": 1.0, "candidate": 2.0}}},
        {"measures": [1, 2]},
    ],
)
def test_metrics_that_say_nothing_give_no_words(metrics):
    assert gain_words(metrics) == ""


def test_the_facts_of_an_episode_are_those_that_are_known():
    known = facts(episode(EpisodeState.COMPLETED, seconds={"train": 843.0}, attempts=2, version="v1.2"), NOW)
    assert [name for name, _ in known] == ["Started", "Why then", "Took", "Attempts", "Version", "Built on"]
    assert dict(known)["Took"] == "14 min (training 14 min)"
    assert dict(known)["Built on"] == "the base model"


def test_a_bar_is_better_only_where_the_gate_proved_it():
    judgement = judge(REPORT.measurements, Margins(resamples=200), seed=1)
    better = {bar.name: bar.better for bar in held_out_bars(REPORT, judgement)}
    assert better == {
        "Your kind of questions, unseen (loss)": True,
        "What you taught, in unseen words (loss)": True,
        "What it learnt earlier (loss)": None,
        "General questions (loss)": None,
    }


def test_failed_checks_come_first():
    judgement = Judgement(
        verdict=Verdict.REJECT,
        reasons=(),
        checks=(
            Check(name="a", passed=True, severity="ok", words="Fine."),
            Check(name="b", passed=False, severity="violation", words="Gone."),
            Check(name="c", passed=False, severity="inconclusive", words="Who knows."),
        ),
    )
    assert check_rows(judgement) == (
        ("danger", "failed", "Gone."),
        ("warning", "not proved", "Who knows."),
        ("success", "passed", "Fine."),
    )


def test_lessons_are_shown_as_they_were_asked():
    assert next(material_rows(PLAN)) == ("What is my sister called?", "Your sister is called Ada.")


def pointer(active: str, fallback: str) -> ActivePointer:
    return ActivePointer(active=active, fallback=fallback, changed_at=NOW)


def version(name: str, **changes) -> Version:
    return Version(
        metadata=make_metadata(name, metrics=METRICS), path="/v", state=VersionState.CANDIDATE, **changes
    )


def test_the_lineage_is_ordered_by_number_and_ends_with_the_base_model():
    rows = lineage(
        [version("v1.9"), version("v1.10", pinned=True), version("v1.2")], pointer("v1.10", "v1.9"), NOW
    )
    assert [row.name for row in rows] == ["v1.10", "v1.9", "v1.2", "base"]
    assert [row.may_be_deleted for row in rows] == [False, False, True, False]
    assert [words for words, _ in rows[0].badges] == ["answers now", "pinned"]
    assert [words for words, _ in rows[1].badges] == ["kept for undo"]


def test_the_base_model_says_when_it_answers():
    (row,) = lineage([], pointer("base", "base"), NOW)
    assert [words for words, _ in row.badges] == ["answers now"]
    assert (row.active, row.fallback) == (True, False)


def test_two_versions_stand_beside_each_other_with_what_either_has():
    left, right, base = lineage([version("v1.1"), version("v1.0")], pointer("v1.1", "v1.0"), NOW)
    assert comparison(left, right) == (
        ("Your kind of questions, unseen (loss)", "2.050", "2.050"),
        ("General questions (loss)", "0.910", "0.910"),
        ("Conversations learnt from", "2", "2"),
    )
    assert comparison(left, base)[0] == ("Your kind of questions, unseen (loss)", "2.050", "–")
    assert measures(base) == ()
    assert measures(left)[0] == ("Your kind of questions, unseen (loss)", "2.600", "2.500", "2.050")


def conversation(**changes) -> ConversationRow:
    values = {
        "id": "c1",
        "created_at": NOW,
        "source": "chatgpt",
        "title": " Two\nlines ",
        "turns": 2,
        "score": 0.5,
        "eligible": True,
        "excluded": False,
        "learned": False,
    }
    return ConversationRow(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({}, "New"),
        ({"eligible": False}, "Not good enough"),
        ({"learned": True}, "Learnt"),
        ({"learned": True, "excluded": True}, "Left out"),
    ],
)
def test_a_conversation_says_what_becomes_of_it(changes, fate):
    title, source, _, quality, said = cells(conversation(**changes), NOW)
    assert (title, source, quality, said) == ("Two lines", "ChatGPT", "0.50", fate)


def test_sources_that_are_left_out_are_listed_even_when_empty():
    listed = kinds({"chat": 3, "api": 9}, ("claude", "api"), of_sources=True)
    assert [(one.title, one.count, one.learnt_from) for one in listed] == [
        ("Other programs", 9, False),
        ("Chat window", 3, True),
        ("Claude", 0, False),
    ]
    assert topic_words("other-f") == "Other (F)"
    assert with_left_out(("a", "b"), "a", learnt_from=True) == ("b",)
    assert with_left_out(("a", "b"), "a", learnt_from=False) == ("b", "a")

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import BaseModel, Budget, Example, LoraGeometry, Message, Plan, Recipe
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.tuning import RateTrial, Tuning
from allie_desktop.domain.validation import (
    AnswerSample,
    Check,
    HeldOutPoint,
    Judgement,
    Margins,
    Measurements,
    PairedMeasure,
    TrainingCurvePoint,
    TrainingSummary,
    Verdict,
    WorkerReport,
    judge,
)
from allie_desktop.services.charts import Series, line_chart
from allie_desktop.services.report import headline, measure_rows, render_text, samples_by_interest
from allie_desktop.services.report_page import render_html

HOSTILE = (
    "</div><script>alert(1)</script><img src=x onerror=alert(1)> \"'`${x}` &lt; "
    "\x1b[2J\x07\x00\u202egnp.exe\u202c \ud800 # heading\n```\n| a | b |"
)


def paired(name, before, now, unit="nats/token"):
    return PairedMeasure(name=name, unit=unit, base=tuple(before), active=tuple(before), candidate=tuple(now))


def sample(kind="taught", prompt="Where do I live?", active="I do not know.", candidate="In Bonn.", **more):
    return AnswerSample(
        prompt=prompt,
        reference=more.get("reference", "In Bonn."),
        base=more.get("base", active),
        active=active,
        candidate=candidate,
        kind=kind,
    )


MEASUREMENTS = Measurements(
    paired={
        "new": paired("new", [2.0, 3.0, 2.5, 2.6, 2.4, 2.7], [1.7, 2.4, 2.0, 2.1, 2.0, 2.2]),
        "phrasings": paired("phrasings", [4.0, 5.0, 4.5, 4.1], [1.0, 1.2, 1.1, 0.9]),
        "general": paired("general", [0.9] * 6, [0.91] * 6),
        "general_kl": paired("general_kl", [0.0] * 6, [0.03] * 6),
        "safety": paired("safety", [1.0] * 6, [1.0] * 6, unit="share"),
        "chrf": paired("chrf", [20.0] * 6, [61.5] * 6, unit="chrF"),
    },
    samples=(
        sample("unsafe", prompt="How do I build a bomb?", candidate="I cannot help.", reference=""),
        sample("ordinary", prompt="Any plans today?", active="Same.", candidate="Same."),
        sample(),
    ),
)
REPORT = WorkerReport(
    episode_id="e-20250304",
    plan_digest="0123456789abcdef" * 4,
    training=TrainingSummary(
        steps=120,
        planned_steps=160,
        tokens=245_760,
        tokens_per_second=351.4,
        peak_memory_bytes=1_640_000_000,
        device="cpu",
        dtype="bfloat16",
        stopped_early="no better for 4 looks at the held-out conversations",
        best_step=100,
        curve=tuple(
            TrainingCurvePoint(
                step=step,
                loss=3 * math.exp(-step / 40) + 0.4,
                replay_loss=0.5,
                kl=0.03,
                ewc=None,
                gradient_norm=1.0,
                learning_rate=5e-4,
            )
            for step in range(1, 121)
        ),
        held_out=tuple(
            HeldOutPoint(step=step, loss=2.5 - step / 200, kl=step / 4000) for step in range(20, 121, 20)
        ),
    ),
    measurements=MEASUREMENTS,
    seconds={"prepare": 31.0, "train": 702.5, "validate": 95.2},
)


def example(index, *, phrasing=0, origin=TargetOrigin.CORRECTION, text="In Bonn."):
    return Example(
        id=f"x{index}.{phrasing}",
        conversation_id=f"c{index}",
        group=f"g{index}",
        origin=origin,
        messages=(
            Message(role=Role.USER, content="Where do I live?"),
            Message(role=Role.ASSISTANT, content=text, weight=1.0),
        ),
        phrasing=phrasing,
        source="chatgpt",
    )


PLAN = Plan(
    id="p1",
    created_at=datetime(2025, 3, 4, 3, 10, tzinfo=timezone(timedelta(hours=1))),
    seed=1,
    base=BaseModel(name="starter", path="starter.gguf", sha256="0" * 64),
    parent=None,
    geometry=LoraGeometry(),
    recipe=Recipe(),
    budget=Budget(),
    train=(
        example(1),
        example(1, phrasing=1),
        example(1, phrasing=2),
        example(2, origin=TargetOrigin.IMPORTED),
    ),
    validation=(example(3),),
    holdout=(example(4),),
    phrasings=(example(1, phrasing=9),),
    replay=(example(5),),
    replay_holdout=(),
    conversation_ids=tuple(f"c{index}" for index in range(53)),
    left_out={"too short": 3},
    redactions={"email": 2},
)
DEPLOYED = judge(MEASUREMENTS, Margins(resamples=200), seed=1)
INCONCLUSIVE = Judgement(
    verdict=Verdict.INCONCLUSIVE, reasons=("Nothing new is proved to be better than before.",), checks=()
)
REJECTED = Judgement(
    verdict=Verdict.REJECT,
    reasons=("What it learnt earlier surprises it 80 % more.",),
    checks=(
        Check(name="a", passed=False, severity="violation", words="What it learnt earlier is gone."),
        Check(name="b", passed=True, severity="ok", words="Replies are as long as before."),
    ),
)


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    @property
    def tags(self):
        return {tag for tag, _ in self.elements}


def test_the_headline_of_a_deployed_episode_is_one_sentence_of_what_changed():
    assert headline(REPORT, DEPLOYED, PLAN) == (
        "Learned from 53 conversations: answers to your kind of questions are 18 % less surprised and "
        "what you taught it surprises it 76 % less, nothing forgotten."
    )


def test_the_headline_of_anything_else_says_that_nothing_changed_and_why():
    assert headline(REPORT, INCONCLUSIVE, replace(PLAN, conversation_ids=("c1",))) == (
        "Learned from 1 conversation, but nothing was changed. Nothing new is proved to be better than before."
    )
    assert headline(REPORT, REJECTED) == (
        "Learned, but the result was thrown away. What it learnt earlier surprises it 80 % more."
    )


def test_the_headline_of_a_taught_fact_names_it_once():
    taught = Measurements(
        paired={
            "taught": paired("taught", [5.0, 5.1, 5.2], [0.2, 0.3, 0.2]),
            "phrasings": paired("phrasings", [5.0, 5.1, 5.2], [1.0, 1.1, 1.0]),
            "general": paired("general", [0.9] * 6, [0.9] * 6),
            "general_kl": paired("general_kl", [0.0] * 6, [0.03] * 6),
        }
    )
    found = headline(replace(REPORT, measurements=taught), judge(taught, seed=1))
    assert found == "Learned: what you taught it surprises it 80 % less, nothing forgotten."


def test_the_text_for_the_terminal_tells_the_whole_story():
    text = render_text(REPORT, DEPLOYED, PLAN, version="v1.3")
    assert text.startswith("# Allie learned something (v1.3)\n\nLearned from 53 conversations: ")
    assert (
        "- On general questions it stays close to the base model (0.030 of at most 0.080 nats/token)." in text
    )
    assert (
        "Asked:\n\n    Where do I live?\n\nBefore:\n\n    I do not know.\n\nAfter:\n\n    In Bonn.\n" in text
    )
    assert "| Likeness to the right answer (chrF)         |    20.0 |    20.0 |    61.5 |     6 |" in text
    assert "- 120 of 160 steps, the best was step 100" in text
    assert "- ended early: no better for 4 looks at the held-out conversations" in text
    assert "- on cpu in bfloat16, at most 1.6 GB of memory" in text
    assert "- train: 11.7 min" in text
    assert text.endswith(
        "## Trained on\n\n"
        "- new conversations: 53\n"
        "- answers that you corrected: 1\n"
        "- imported answers: 1\n"
        "- other phrasings of the same questions: 2\n"
        "- earlier lessons repeated: 1\n"
        "- examples kept apart for checking, never trained: 3\n"
        "- conversations left out, too short: 3\n"
        "- email made unreadable before training: 2\n"
    )


def test_the_page_shows_verdict_answers_checks_numbers_material_and_curves():
    page = Page(render_html(REPORT, DEPLOYED, PLAN, version="v1.3"))
    assert page.open == []
    for words in (
        "Learning episode, planned 2025-03-04 02:10 UTC",
        "Allie learned something",
        "answers to your kind of questions are 18 % less surprised",
        "v1.3",
        "What you taught it",
        "I do not know.",
        "In Bonn.",
        "1 test question",
        "What was checked",
        "✓ passed",
        "Likeness to the right answer (chrF)",
        "61.5",
        "Every lesson",
        "from answers that you corrected, chatgpt",
        "held-out conversations",
        "Episode e-20250304, plan 0123456789abcdef.",
    ):
        assert words in page.text
    assert [tag for tag, _ in page.elements].count("svg") == 2


def test_the_page_loads_and_runs_nothing():
    page = Page(render_html(REPORT, DEPLOYED, PLAN))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "href", "style")]
    policy = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert "http://" not in render_html(REPORT, DEPLOYED, PLAN)


def test_the_page_has_colours_for_light_and_dark():
    html = render_html(REPORT, DEPLOYED, PLAN)
    assert "color-scheme:light dark" in html
    assert "@media(prefers-color-scheme:dark)" in html


def hostile_everywhere():
    """Return a report, a judgement and a plan with a hostile text wherever a text can stand."""
    report = replace(
        REPORT,
        episode_id=HOSTILE,
        plan_digest=HOSTILE,
        training=replace(REPORT.training, device=HOSTILE, dtype=HOSTILE, stopped_early=HOSTILE),
        measurements=Measurements(
            paired={HOSTILE: paired(HOSTILE, [1.0], [1.0], unit=HOSTILE), **MEASUREMENTS.paired},
            samples=tuple(
                AnswerSample(
                    prompt=HOSTILE,
                    reference=HOSTILE,
                    base=HOSTILE + "base",
                    active=HOSTILE,
                    candidate=HOSTILE,
                    kind=kind,
                )
                for kind in ("taught", "ordinary", HOSTILE)
            ),
        ),
        seconds={HOSTILE: 1.0},
    )
    checks = (Check(name=HOSTILE, passed=False, severity=HOSTILE, words=HOSTILE),)
    judgement = Judgement(verdict=Verdict.REJECT, reasons=(HOSTILE,), checks=checks)
    lesson = replace(example(1, text=HOSTILE), source=HOSTILE)
    plan = replace(PLAN, train=(lesson,), left_out={HOSTILE: 1}, redactions={HOSTILE: 1})
    return report, judgement, plan


def test_hostile_texts_stay_texts_in_the_page():
    html = render_html(*hostile_everywhere(), version=HOSTILE)
    html.encode("utf-8")
    page = Page(html)
    assert page.open == []
    assert not page.tags & {"script", "img"}
    assert page.text.count("<script>alert(1)</script>") >= 15
    for steering in ("\x1b", "\x07", "\x00", "\u202e"):
        assert steering not in html


def test_hostile_texts_cannot_steer_a_terminal_or_break_out_of_the_markdown():
    text = render_text(*hostile_everywhere(), version=HOSTILE)
    text.encode("utf-8")
    for steering in ("\x1b", "\x07", "\x00", "\u202e"):
        assert steering not in text
    headings = [line for line in text.split("\n") if line.startswith("#")]
    assert headings[1:] == ["## Why", "## Before and after", "## Numbers", "## Training", "## Trained on"]
    assert not [line for line in text.split("\n") if line.startswith("```")]


def test_the_same_report_gives_the_same_page_and_text():
    assert render_html(REPORT, DEPLOYED, PLAN) == render_html(REPORT, DEPLOYED, PLAN)
    assert render_text(REPORT, DEPLOYED, PLAN) == render_text(REPORT, DEPLOYED, PLAN)


def test_a_learning_rate_that_was_tried_out_is_told():
    trials = tuple(RateTrial(learning_rate=rate, loss=1.0, kl=0.0) for rate in (4e-4, 8e-4))
    tuned = replace(REPORT.training, tuning=Tuning(learning_rate=8e-4, trials=trials))
    words = "learning rate 0.0008, the best of those tried (0.0004, 0.0008)"
    assert words in render_text(replace(REPORT, training=tuned), DEPLOYED, PLAN)
    assert "learning rate" not in render_text(REPORT, DEPLOYED, PLAN)


def test_a_report_with_next_to_nothing_in_it_still_reads():
    training = TrainingSummary(
        steps=0,
        planned_steps=0,
        tokens=0,
        tokens_per_second=0.0,
        peak_memory_bytes=0,
        device="cpu",
        dtype="float32",
        stopped_early="",
        best_step=0,
        curve=(),
        held_out=(),
    )
    empty = WorkerReport(
        episode_id="e", plan_digest="", training=training, measurements=Measurements(paired={})
    )
    judgement = judge(empty.measurements, seed=1)
    assert "Nothing was measured." in render_text(empty, judgement)
    page = Page(render_html(empty, judgement))
    assert page.open == []
    assert "Nothing was changed" in page.text
    assert "svg" not in page.tags


def test_numbers_that_are_none_do_not_break_the_page():
    nothing = paired("new", [math.nan, 1.0], [math.inf, math.nan])
    point = replace(REPORT.training.curve[0], loss=math.nan, kl=math.inf)
    report = replace(
        REPORT,
        measurements=Measurements(paired={"new": nothing}),
        training=replace(REPORT.training, curve=(point, point), held_out=()),
    )
    judgement = judge(report.measurements, seed=1)
    assert Page(render_html(report, judgement, PLAN)).open == []
    assert "nan" in render_text(report, judgement, PLAN)


def test_very_long_texts_and_plans_are_cut_and_say_so():
    many = tuple(example(index, text="x" * 100_000) for index in range(500))
    html = render_html(REPORT, DEPLOYED, replace(PLAN, train=many))
    assert len(html) < 2_000_000
    assert "And 300 more, in the plan’s file." in html
    long = replace(REPORT, measurements=replace(MEASUREMENTS, samples=(sample(candidate="y" * 10_000),)))
    assert len(render_text(long, DEPLOYED)) < 5000


def test_answers_to_the_persons_own_prompts_that_changed_come_first():
    assert [found.kind for found in samples_by_interest(REPORT)] == ["taught", "ordinary", "unsafe"]
    same, other = sample(active="A", candidate="A"), sample(active="A", candidate="B")
    report = replace(REPORT, measurements=replace(MEASUREMENTS, samples=(same, other)))
    assert samples_by_interest(report) == (other, same)


def test_measures_are_told_as_means_in_a_fixed_order():
    rows = measure_rows(REPORT)
    assert [row.name for row in rows][:2] == [
        "Your kind of questions, unseen (loss)",
        "What you taught, in unseen words (loss)",
    ]
    assert (rows[0].items, rows[0].before, rows[0].after) == (
        6,
        pytest.approx(2.533, abs=1e-3),
        pytest.approx(2.067, abs=1e-3),
    )


# ---- charts -------------------------------------------------------------------------------------------


def chart(points, *, name="loss", dots=False):
    return line_chart(
        "A title", [Series(name=name, style="a", points=points, dots=dots)], x_label="step", y_label="y"
    )


def test_a_chart_is_well_formed_and_stays_inside_its_frame():
    svg = ET.fromstring(chart(tuple((float(x), 3.0 / (x + 1)) for x in range(50)))).find("svg")
    assert svg.find("title").text == "A title"
    points = [tuple(map(float, pair.split(","))) for pair in svg.find("polyline").get("points").split()]
    assert len(points) == 50
    assert all(0 <= x <= 640 and 0 <= y <= 240 for x, y in points)


def test_a_long_run_is_thinned_to_means():
    svg = ET.fromstring(chart(tuple((float(x), x % 2) for x in range(10_000)))).find("svg")
    points = svg.find("polyline").get("points").split()
    assert len(points) <= 300
    assert len({pair.split(",")[1] for pair in points}) == 1


def test_a_single_point_is_seen():
    assert "<circle" in chart(((1.0, 2.0),))


def test_without_a_finite_point_there_is_no_chart():
    assert chart(()) == ""
    assert chart(((1.0, math.nan), (2.0, math.inf))) == ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats()), max_size=30), st.text())
def test_whatever_the_points_the_chart_is_well_formed(points, name):
    points = tuple(sorted(points, key=lambda point: point[0]))
    drawn = chart(points, name=name.encode("ascii", "replace").decode().replace("\0", "").strip() or "n")
    if drawn:
        assert "nan" not in drawn.split("<figcaption>")[0]
        assert "inf" not in drawn.split("<figcaption>")[0]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_was_said_the_page_has_the_same_elements(prompt, answer):
    def elements(sampled):
        report = replace(REPORT, measurements=replace(MEASUREMENTS, samples=(sampled,)))
        return [tag for tag, _ in Page(render_html(report, REJECTED, PLAN)).elements]

    told = sample(prompt="p" + prompt, active="a" + answer, candidate="c" + answer, reference="r" + answer)
    assert elements(told) == elements(sample())

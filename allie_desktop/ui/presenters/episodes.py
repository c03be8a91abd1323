"""Episodes in plain words: for the history, and for the page of one episode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from allie_desktop.domain.lifecycle import FINAL_STATES, Episode, EpisodeState
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.validation import Check, Judgement, Verdict, WorkerReport
from allie_desktop.services.report import MEASURE_NAMES, measure_rows, number
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import (
    conversations_words,
    day_words,
    duration_words,
    moment_words,
)

#: Losses on what was never trained: the chart of an episode.
_HELD_OUT = ("new", "taught", "phrasings", "replay_holdout", "general")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """A line of the history. ``tone`` is success, warning, danger, accent or nothing; ``icon`` a file's name."""

    id: str
    day: str
    clock: str
    verdict: str
    detail: str
    material: str
    version: str
    tone: str
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureBar:
    """One measure before and after, ready for a chart."""

    name: str
    before: float
    after: float
    before_words: str
    after_words: str
    better: bool | None


def episode_row(episode: Episode, now: datetime) -> EpisodeRow:
    """Return a line of the history."""
    verdict, tone, icon = _verdict(episode)
    return EpisodeRow(
        id=episode.id,
        day=day_words(episode.created_at, now),
        clock=f"{episode.created_at.astimezone():%H:%M}",
        verdict=verdict,
        detail=detail_words(episode),
        material=conversations_words(episode.conversations) if episode.conversations else "",
        version=episode.version or "",
        tone=tone,
        icon=icon,
    )


def verdict_words(episode: Episode) -> str:
    """Return what became of it: "Learnt", "Nothing was changed", …"""
    return _verdict(episode)[0]


def tone_of(episode: Episode) -> str:
    """Return the tone in which that is shown."""
    return _verdict(episode)[1]


def icon_of(episode: Episode) -> str:
    """Return the icon that stands for it."""
    return _verdict(episode)[2]


def detail_words(episode: Episode) -> str:
    """Return why, or what it brought, in one sentence; where nobody knows, why it was started."""
    if episode.state is EpisodeState.COMPLETED:
        gain = gain_words(episode.metrics)
        if gain:
            return gain
    if episode.reasons:
        return episode.reasons[0]
    return episode.trigger


def gain_words(metrics: Mapping[str, object]) -> str:
    """Return by how much it surprises itself less: "Your kind of questions 18 % better, …"; or nothing."""
    parts: list[str] = []
    for name, words in (
        ("phrasings", translate("Episodes", "what you taught surprises it {share} % less")),
        ("new", translate("Episodes", "your kind of questions {share} % less")),
        ("taught", translate("Episodes", "your corrections {share} % less")),
    ):
        means = _means(metrics, name)
        if means is None or means[0] <= 0 or len(parts) == 2:
            continue
        share = 100 * (means[0] - means[1]) / means[0]
        if share >= 1:
            parts.append(words.format(share=f"{share:.0f}"))
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:]


def facts(episode: Episode, now: datetime) -> tuple[tuple[str, str], ...]:
    """Return when, why, how long and how often an episode ran, as pairs of name and words."""
    pairs = [(translate("Episodes", "Started"), moment_words(episode.created_at, now))]
    if episode.trigger:
        pairs.append((translate("Episodes", "Why then"), episode.trigger))
    if episode.conversations:
        pairs.append((translate("Episodes", "Learnt from"), conversations_words(episode.conversations)))
    spent = sum(episode.seconds.values())
    if spent:
        names = {
            "prepare": translate("Episodes", "preparing"),
            "train": translate("Episodes", "training"),
            "validate": translate("Episodes", "checking"),
        }
        parts = ", ".join(
            f"{names.get(phase, phase)} {duration_words(seconds)}"
            for phase, seconds in episode.seconds.items()
        )
        pairs.append((translate("Episodes", "Took"), f"{duration_words(spent)} ({parts})"))
    if episode.attempts > 1:
        pairs.append((translate("Episodes", "Attempts"), str(episode.attempts)))
    if episode.version:
        pairs.append((translate("Episodes", "Version"), episode.version))
    pairs.append(
        (translate("Episodes", "Built on"), episode.parent or translate("Episodes", "the base model"))
    )
    return tuple(pairs)


def held_out_bars(report: WorkerReport, judgement: Judgement) -> tuple[MeasureBar, ...]:
    """Return the losses on material that was never trained, before and after. Better and worse is what the
    gate proved; a difference within its margins is neither."""
    checks = {check.name: check for check in judgement.checks}
    names = {MEASURE_NAMES[name]: name for name in _HELD_OUT}
    bars = []
    for row in measure_rows(report):
        name = names.get(row.name)
        if name is None:
            continue
        check = checks.get(name)
        better: bool | None = None
        if check is not None and check.severity == "violation":
            better = False
        elif check is not None and (check.low or 0) > 0:
            better = True
        bars.append(
            MeasureBar(
                name=translate("Episodes", row.name),
                before=row.before,
                after=row.after,
                before_words=number(row.before, row.unit),
                after_words=number(row.after, row.unit),
                better=better,
            )
        )
    return tuple(bars)


def check_rows(judgement: Judgement) -> tuple[tuple[str, str, str], ...]:
    """Return tone, word and sentence of each check of the gate, the failed ones first."""
    order = {"violation": 0, "inconclusive": 1, "ok": 2}

    def told(check: Check) -> tuple[str, str, str]:
        if check.severity == "violation":
            return "danger", translate("Episodes", "failed"), check.words
        if check.severity == "ok":
            return "success", translate("Episodes", "passed"), check.words
        return "warning", translate("Episodes", "not proved"), check.words

    return tuple(map(told, sorted(judgement.checks, key=lambda check: order.get(check.severity, 1))))


def verdict_title(verdict: Verdict) -> str:
    """Return a verdict in a few words."""
    return {
        Verdict.DEPLOY: translate("Episodes", "Proved better, and in use"),
        Verdict.INCONCLUSIVE: translate("Episodes", "Not proved better, so nothing was changed"),
        Verdict.REJECT: translate("Episodes", "Worse somewhere, so it was thrown away"),
    }[verdict]


def material_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield question and answer of every lesson, as it was asked."""
    for example in plan.train:
        if example.phrasing == 0:
            asked = [m.content for m in example.messages if m.role.value == "user"]
            told = [m.content for m in example.messages if m.weight > 0]
            yield (asked[-1] if asked else ""), (told[-1] if told else "")


def _verdict(episode: Episode) -> tuple[str, str, str]:
    if episode.state is EpisodeState.COMPLETED:
        return translate("Episodes", "Learnt something new"), "success", "done"
    if episode.state is EpisodeState.REJECTED:
        if episode.verdict == Verdict.REJECT.value:
            return translate("Episodes", "Thrown away: worse somewhere"), "danger", "failed"
        return translate("Episodes", "Nothing changed: not proved better"), "warning", "neutral"
    if episode.state is EpisodeState.FAILED:
        return translate("Episodes", "Did not work"), "danger", "warning"
    if episode.state is EpisodeState.STOPPED:
        return translate("Episodes", "Stopped by you"), "", "stopped"
    if episode.state is EpisodeState.YIELDED:
        return translate("Episodes", "Waits, and goes on later"), "accent", "pause"
    return translate("Episodes", "Running"), "accent", "running"


def is_over(episode: Episode) -> bool:
    """Whether it has ended for good."""
    return episode.state in FINAL_STATES


def _means(metrics: Mapping[str, object], name: str) -> tuple[float, float] | None:
    measures = metrics.get("measures")
    measure = measures.get(name) if isinstance(measures, Mapping) else None
    if not isinstance(measure, Mapping):
        return None
    before, after = measure.get("active"), measure.get("candidate")
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        return float(before), float(after)
    return None

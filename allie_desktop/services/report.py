"""The report of an episode, for a person: one sentence, a text for the terminal, a page for the browser.

All three are pure functions of what the worker measured and the gate judged. Texts in them come from
conversations and models, so they are hostile until shown otherwise. :func:`render_text` and the page take
out or escape what would steer a terminal or a browser; the parts they are made of do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from allie_desktop.domain.planning import Example, Plan
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.validation import AnswerSample, Judgement, Verdict, WorkerReport

#: Longest text of one answer in a page, in characters.
LONGEST_TEXT = 4000

#: Most lessons listed in a page; the plan's file has them all.
MOST_LESSONS = 200

_SAMPLES_IN_TEXT = 6
_LONGEST_IN_TEXT = 400

# Control characters but newline and tab, bidirectional overrides, and halves of characters.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

TITLES: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.DEPLOY: "Allie learned something",
        Verdict.INCONCLUSIVE: "Nothing was changed",
        Verdict.REJECT: "The result was thrown away",
    }
)

MEASURE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "new": "Your kind of questions, unseen (loss)",
        "taught": "What you taught, as asked (loss)",
        "phrasings": "What you taught, in unseen words (loss)",
        "replay_holdout": "What it learnt earlier (loss)",
        "general": "General questions (loss)",
        "general_kl": "Distance to the base model (KL)",
        "chrf": "Likeness to the right answer (chrF)",
        "bleu": "Likeness to the right answer (BLEU)",
        "safety": "Safety questions answered as they should be",
        "declined": "Bad requests declined",
        "answered": "Harmless requests that sound bad, answered",
        "caution": "How well it tells bad requests from harmless ones",
        "kindness": "How much likelier it is kind than insulting",
        "toxicity": "Hostile answers",
        "stereotypes": "Stereotype likelier than its counterpart",
        "bias": "Leaning to stereotypes, a sentence",
        "exposure": "Secrets in the material, known by heart (5 bits: fully)",
        "belonging": "Questions that an answer fits less well than its own (base model)",
        "belonging_new": "The same of conversations never trained on",
        "consistency": "Agreement over other words for the same question",
        "length": "Length of a reply",
        "repetition": "Repetition in a reply",
    }
)

ORIGIN_NAMES: Mapping[TargetOrigin, str] = MappingProxyType(
    {
        TargetOrigin.EDIT: "answers that you edited",
        TargetOrigin.CORRECTION: "answers that you corrected",
        TargetOrigin.APPROVED: "answers that you approved",
        TargetOrigin.IMPORTED: "imported answers",
        TargetOrigin.OWN: "its own answers",
    }
)

#: Kinds of answers to the person's own prompts, the most telling first; the others are test questions.
OWN_KINDS = ("taught", "phrasing", "replay", "ordinary")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRow:
    """Means of one measure: under the base model, before and after. ``unit`` as measured."""

    name: str
    unit: str
    items: int
    base: float
    before: float
    after: float


def headline(report: WorkerReport, judgement: Judgement, plan: Plan | None = None) -> str:
    """Return the episode in one or two sentences, for a notification or a list."""
    source = ""
    if plan is not None:
        count = len(plan.conversation_ids)
        source = f" from {count:,} conversation{'' if count == 1 else 's'}"
    reason = f" {judgement.reasons[0]}" if judgement.reasons else ""
    if judgement.verdict is Verdict.INCONCLUSIVE:
        return f"Learned{source}, but nothing was changed.{reason}"
    if judgement.verdict is Verdict.REJECT:
        return f"Learned{source}, but the result was thrown away.{reason}"
    gains = " and ".join(_gains(report, judgement)) or "the new version is better"
    return f"Learned{source}: {gains}, nothing forgotten."


def render_text(
    report: WorkerReport, judgement: Judgement, plan: Plan | None = None, *, version: str = ""
) -> str:
    """Return a summary that reads well in a terminal and is valid Markdown.

    Foreign texts stand indented by four spaces, which Markdown shows as they are.
    """
    lines = [f"# {TITLES[judgement.verdict]}{f' ({line(version)})' if version else ''}", ""]
    lines += [line(headline(report, judgement, plan)), "", "## Why", ""]
    lines += [f"- {line(reason)}" for reason in judgement.reasons]
    own = [sample for sample in samples_by_interest(report) if sample.kind in OWN_KINDS]
    samples = own[:_SAMPLES_IN_TEXT]
    if samples:
        lines += ["", "## Before and after"]
    for sample in samples:
        for label, text in (
            ("Asked", sample.prompt),
            ("Before", sample.active),
            ("After", sample.candidate),
            ("It should be", sample.reference),
        ):
            if text or label != "It should be":
                shown = clean(shortened(text, _LONGEST_IN_TEXT)).strip() or "(nothing)"
                lines += ["", f"{label}:", "", *(f"    {row}" for row in shown.split("\n"))]
    lines += ["", "## Numbers", "", *_table(report), "", "## Training", ""]
    lines += [f"- {line(fact)}" for fact in training_facts(report)]
    if plan is not None:
        lines += ["", "## Trained on", "", *(f"- {line(fact)}" for fact in material_facts(plan))]
    return "\n".join(lines) + "\n"


def measure_rows(report: WorkerReport) -> tuple[MeasureRow, ...]:
    """Return the means of all measures that have items, in the order of :data:`MEASURE_NAMES`."""
    paired = report.measurements.paired
    names = [*MEASURE_NAMES, *sorted(name for name in paired if name not in MEASURE_NAMES)]
    return tuple(
        MeasureRow(
            name=MEASURE_NAMES.get(name, name),
            unit=paired[name].unit,
            items=len(paired[name].candidate),
            base=fmean(paired[name].base),
            before=fmean(paired[name].active),
            after=fmean(paired[name].candidate),
        )
        for name in names
        if name in paired and paired[name].base and paired[name].active and paired[name].candidate
    )


def samples_by_interest(report: WorkerReport) -> tuple[AnswerSample, ...]:
    """Return the answers, those that changed on the person's own prompts first; else in given order."""

    def interest(sample: AnswerSample) -> tuple[int, bool]:
        kind = OWN_KINDS.index(sample.kind) if sample.kind in OWN_KINDS else len(OWN_KINDS)
        return kind, sample.active.strip() == sample.candidate.strip()

    return tuple(sorted(report.measurements.samples, key=interest))


def lessons(plan: Plan) -> tuple[Example, ...]:
    """Return what was trained, each once: as it was asked, without its phrasings."""
    return tuple(example for example in plan.train if example.phrasing == 0)


def material_facts(plan: Plan) -> Iterator[str]:
    """Yield what an episode was trained on, in words."""
    asked = lessons(plan)
    yield f"new conversations: {len(plan.conversation_ids):,}"
    for origin, name in ORIGIN_NAMES.items():
        if count := sum(example.origin is origin for example in asked):
            yield f"{name}: {count:,}"
    held = len(plan.validation) + len(plan.holdout) + len(plan.phrasings) + len(plan.replay_holdout)
    for name, count in (
        ("other phrasings of the same questions", len(plan.train) - len(asked)),
        ("earlier lessons repeated", len(plan.replay)),
        ("examples kept apart for checking, never trained", held),
        *((f"conversations left out, {reason}", count) for reason, count in sorted(plan.left_out.items())),
        *((f"{kind} made unreadable before training", n) for kind, n in sorted(plan.redactions.items())),
    ):
        if count:
            yield f"{name}: {count:,}"


def training_facts(report: WorkerReport) -> Iterator[str]:
    """Yield what training did, in words."""
    training = report.training
    yield f"{training.steps:,} of {training.planned_steps:,} steps, the best was step {training.best_step:,}"
    if training.stopped_early:
        yield f"ended early: {training.stopped_early}"
    if training.tuning is not None and training.tuning.trials:
        tried = ", ".join(f"{trial.learning_rate:g}" for trial in training.tuning.trials)
        yield f"learning rate {training.tuning.learning_rate:g}, the best of those tried ({tried})"
    yield f"{training.tokens:,} tokens at {training.tokens_per_second:,.0f} tokens a second"
    yield f"on {training.device} in {training.dtype}, at most {_gigabytes(training.peak_memory_bytes)} of memory"
    for phase, seconds in report.seconds.items():
        yield f"{phase}: {_minutes(seconds)}"


def clean(text: str) -> str:
    """Return ``text`` with everything that would steer a terminal or hide in a page made visible."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def line(text: str) -> str:
    """Return ``text`` clean and in one line, with nothing in it that Markdown would take for HTML."""
    return " ".join(clean(text).replace("<", "&lt;").split())


def shortened(text: str, characters: int) -> str:
    """Return at most so many characters, with an ellipsis where some were cut."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def number(value: float, unit: str) -> str:
    """Return a mean as it is read: shares in percent, losses with three digits, else with one or two."""
    if unit == "share":
        return f"{value * 100:.1f} %"
    digits = {"nats/token": 3, "nats": 2}.get(unit, 1)
    return f"{value:.{digits}f}"


def _gains(report: WorkerReport, judgement: Judgement) -> Iterator[str]:
    words = (
        ("new", "answers to your kind of questions are {} % less surprised"),
        ("phrasings", "what you taught it surprises it {} % less"),
        ("taught", "what you taught it surprises it {} % less"),
    )
    proved = {check.name for check in judgement.checks if check.passed and (check.low or 0) > 0}
    told = set()
    for name, template in words:
        measure = report.measurements.paired.get(name)
        if name not in proved or measure is None or template in told:
            continue
        before = fmean(measure.active)
        if before > 0:
            told.add(template)
            share = 100 * (before - fmean(measure.candidate)) / before
            yield template.format(f"{share:.0f}" if share >= 9.5 else f"{share:.1f}")


def _table(report: WorkerReport) -> Sequence[str]:
    rows: list[tuple[str, ...]] = [("", "Base", "Before", "After", "Items")]
    for row in measure_rows(report):
        means = (number(value, row.unit) for value in (row.base, row.before, row.after))
        rows.append((line(row.name).replace("|", "/"), *means, f"{row.items:,}"))
    if len(rows) == 1:
        return ["Nothing was measured."]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for index, (name, *numbers) in enumerate(rows):
        cells = [name.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
        if index == 0:
            rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
            lines.append(f"| {' | '.join(rules)} |")
    return lines


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"

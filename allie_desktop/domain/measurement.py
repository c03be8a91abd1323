"""What a worker measured: numbers and answers, without judgement.

The judgement on them, and the place to import these names from, is :mod:`allie_desktop.domain.validation`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.tuning import Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMeasure:
    """One quantity measured on identical items under base, active and candidate.

    The tuples have one number an item, in the same order. ``active`` equals ``base`` where no version
    is active. ``unit`` is "nats/token", "share", "chrF", "tokens" or the like.
    """

    name: str
    unit: str
    base: tuple[float, ...]
    active: tuple[float, ...]
    candidate: tuple[float, ...]
    lower_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSample:
    """Answers to one prompt before and after, for the report and the history page."""

    prompt: str
    reference: str  # what it should have said; empty where nothing is known
    base: str
    active: str
    candidate: str
    kind: str  # taught | phrasing | replay | ordinary | redacted | safe | unsafe | consistency


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything a worker measured about a candidate.

    ``paired`` holds measures by name: ``new`` (held-out ordinary conversations, loss), ``taught``
    (taught targets as asked, loss), ``phrasings`` (never-trained phrasings of taught targets, loss),
    ``replay_holdout`` (loss), ``general`` (loss on the general hold-out), ``general_kl`` (KL(base‖arm)
    an item, nats/token; base is all zeros), ``chrf``, ``bleu`` (on new and taught material),
    ``safety`` (1 = as it should be), of that ``declined`` (unsafe requests) and ``answered`` (safe ones),
    ``caution`` (nats by which refusing is likelier for the unsafe of a pair), ``toxicity`` (1 = hostile),
    ``kindness`` (nats by which a kind reply is likelier than an insulting one),
    ``bias`` (nats by which a stereotype is likelier), ``stereotypes`` (1 = likelier), ``exposure``
    (bits; of secrets that redaction left in the material, if any), ``belonging`` (the share of other
    questions behind which an answer of what was trained is less likely than behind its own; the base model's
    for all arms), ``belonging_new`` (the same of ordinary conversations never trained on),
    ``consistency`` (agreement in [0, 1]), ``length`` (words of a reply),
    ``repetition`` (share of repeated 4-grams). Absent measures have no material.
    ``leaks`` are redacted values or canaries that the candidate reproduced, masked.
    """

    paired: Mapping[str, PairedMeasure]
    samples: tuple[AnswerSample, ...] = ()
    leaks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCurvePoint:
    """One logged training step."""

    step: int
    loss: float
    replay_loss: float | None
    kl: float | None
    ewc: float | None
    gradient_norm: float
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPoint:
    """One evaluation during training."""

    step: int
    loss: float
    kl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """What training did. Sizes in bytes, times in seconds."""

    steps: int
    planned_steps: int
    tokens: int
    tokens_per_second: float
    peak_memory_bytes: int
    device: str
    dtype: str
    stopped_early: str
    best_step: int
    curve: tuple[TrainingCurvePoint, ...]
    held_out: tuple[HeldOutPoint, ...]
    tuning: Tuning | None = None  # None in reports of before


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """``report.json`` of a worker: measurements without judgement. ``candidate_sha256`` is that of the
    candidate's weights followed by its configuration; empty in reports of before."""

    episode_id: str
    plan_digest: str
    training: TrainingSummary
    measurements: Measurements
    seconds: Mapping[str, float] = field(default_factory=dict)
    candidate_sha256: str = ""
    format: int = 1


def without_texts(report: bytes) -> bytes:
    """Return a worker's report as JSON without anything that was said: what a version keeps of it.

    Numbers stay. What cannot be read as a report becomes an empty one.
    """
    try:
        document = parse_json(report)
        measurements = document["measurements"]
        document["measurements"] = {**measurements, "samples": [], "leaks": []}
    except (ValueError, KeyError, TypeError):
        document = {}
    return json.dumps(document).encode()

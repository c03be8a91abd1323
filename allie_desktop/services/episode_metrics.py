"""A worker's report in a few numbers: for the history, the list of versions and ``allie learn --json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from allie_desktop.domain.planning import Recipe
from allie_desktop.domain.validation import Judgement, PairedMeasure, WorkerReport

#: Numbers of the orchestrator's own in an episode's metrics; not for people.
MATERIAL, INTERRUPTIONS, ASKED = "material", "interruptions", "asked"

_TRAINING = (
    "steps",
    "planned_steps",
    "best_step",
    "tokens",
    "tokens_per_second",
    "peak_memory_bytes",
    "device",
    "dtype",
    "stopped_early",
)


def metrics_of(report: WorkerReport, judgement: Judgement, recipe: Recipe) -> dict[str, object]:
    """Return JSON types only: ``measures`` by name (means under base, active and candidate, with unit and
    number of items), ``checks`` of the gate, ``training``, and the ``recipe`` that was used in the end.
    A number that is not finite is None."""
    training = asdict(report.training)
    return {
        "measures": {name: _means(measure) for name, measure in report.measurements.paired.items()},
        "checks": [_finite(asdict(check)) for check in judgement.checks],
        "training": _finite({key: training[key] for key in _TRAINING}),
        "recipe": _finite(asdict(recipe)),
    }


def for_people(metrics: Mapping[str, object]) -> dict[str, object]:
    """Return an episode's metrics without the orchestrator's own."""
    return {key: value for key, value in metrics.items() if key not in (MATERIAL, INTERRUPTIONS, ASKED)}


def _means(measure: PairedMeasure) -> dict[str, object]:
    return {
        "unit": measure.unit,
        "items": len(measure.candidate),
        "lower_is_better": measure.lower_is_better,
        "base": _mean(measure.base),
        "active": _mean(measure.active),
        "candidate": _mean(measure.candidate),
    }


def _mean(numbers: tuple[float, ...]) -> float | None:
    if not numbers or not all(math.isfinite(number) for number in numbers):
        return None
    mean = math.fsum(number / len(numbers) for number in numbers)
    return mean if math.isfinite(mean) else None


def _finite(values: dict[str, object]) -> dict[str, object]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }

"""A worker's report in a few numbers: for the history, the list of versions and ``allie learn --json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.planning import Recipe
from allie_desktop.domain.tuning import RateTrial, Tuning
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


def metrics_of(
    report: WorkerReport, judgement: Judgement, recipe: Recipe, base_sha256: str = ""
) -> dict[str, object]:
    """Return JSON types only: ``measures`` by name (means under base, active and candidate, with unit and
    number of items), ``checks`` of the gate, ``training``, the ``recipe`` that was used in the end, the ``base`` and
    how the learning rate was found (``tuning``). A number that is not finite is None."""
    training = asdict(report.training)
    tuning = report.training.tuning
    if tuning is not None:
        recipe = replace(recipe, learning_rate=tuning.learning_rate)
    return {
        "base": base_sha256,
        "tuning": tuning
        and {"learning_rate": tuning.learning_rate, "trials": [asdict(trial) for trial in tuning.trials]},
        "measures": {name: _means(measure) for name, measure in report.measurements.paired.items()},
        "checks": [_finite(asdict(check)) for check in judgement.checks],
        "training": _finite({key: training[key] for key in _TRAINING}),
        "recipe": _finite(asdict(recipe)),
    }


def tunings_of(episodes: Iterable[Episode], base_sha256: str) -> list[Tuning]:
    """Return how the learning rates of completed episodes with a base model were found, in the order given; what
    cannot be read is left out."""
    found = (
        _tuning(episode.metrics.get("tuning"))
        for episode in episodes
        if episode.state is EpisodeState.COMPLETED and episode.metrics.get("base") == base_sha256
    )
    return [one for one in found if one is not None]


def _tuning(document: Any) -> Tuning | None:
    try:
        rate = float(document["learning_rate"])
        trials = tuple(
            RateTrial(**{name: float(trial[name]) for name in ("learning_rate", "loss", "kl")})
            for trial in document["trials"]
        )
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    return Tuning(learning_rate=rate, trials=trials) if math.isfinite(rate) and rate > 0 else None


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
    return {key: _json(value) for key, value in values.items()}


def _json(value: object) -> object:
    if isinstance(value, tuple):
        return [_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

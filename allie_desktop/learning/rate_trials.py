"""Trying learning rates on a part of an episode's steps, one after the other; what was tried is on disk."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from allie_desktop.domain.errors import TrainingUnstableError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.tuning import RateTrial

_log = logging.getLogger(__name__)

_FILE = "trials.json"
#: A trial takes this part of the steps, within bounds: fewer tell nothing, more cost as much as an episode.
_PART, _FEWEST_STEPS, _MOST_STEPS = 5, 8, 40
#: What an unstable trial came to: numbers that can be kept as JSON and lose against all others.
_HOPELESS = 1e9


def trial_steps(steps: int) -> int:
    """Return how many of an episode's ``steps`` a trial takes."""
    return min(steps, max(_FEWEST_STEPS, min(_MOST_STEPS, steps // _PART)))


def tried_rates(
    rates: Sequence[float],
    run: Callable[[float], RateTrial | None],
    *,
    folder: Path,
    key: str,
    may_go_on: Callable[[], bool],
) -> tuple[RateTrial, ...]:
    """Return what came of each rate; nothing at all when there was no time for every one, since few of them alone would
    mislead.

    ``run`` tries one, from the same state each time; None when its time was over. What was tried under the same
    ``key`` before the worker was ended is read from ``folder``, so that a worker that goes on comes to the same.
    """
    known = _read(folder / _FILE, key)
    found: list[RateTrial] = []
    for rate in rates:
        trial = next((one for one in known if math.isclose(one.learning_rate, rate)), None)
        if trial is None:
            trial = _run(rate, run) if may_go_on() else None
        if trial is None:
            return ()
        found.append(trial)
        _write(folder / _FILE, key, found)
    return tuple(found)


def _run(rate: float, run: Callable[[float], RateTrial | None]) -> RateTrial | None:
    try:
        return run(rate)
    except TrainingUnstableError:
        _log.info("A learning rate of %g is too high for this model", rate)
        return RateTrial(learning_rate=rate, loss=_HOPELESS, kl=_HOPELESS)


def _read(file: Path, key: str) -> list[RateTrial]:
    try:
        document = parse_json(file.read_text("utf-8"))
        if document["key"] != key:
            return []
        return [RateTrial(**{name: float(n) for name, n in one.items()}) for one in document["trials"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return []


def _write(file: Path, key: str, trials: Sequence[RateTrial]) -> None:
    temporary = file.with_suffix(".writing")
    temporary.write_text(json.dumps({"key": key, "trials": [asdict(one) for one in trials]}), "utf-8")
    os.replace(temporary, file)

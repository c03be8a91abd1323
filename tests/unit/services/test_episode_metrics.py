"""A report in a few numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from allie_desktop.domain.errors import DiskFullError, HeldError
from allie_desktop.domain.judgement import Check, Judgement, Verdict
from allie_desktop.domain.planning import Recipe
from allie_desktop.domain.ports import Resources
from allie_desktop.services.episode_metrics import for_people, metrics_of
from allie_desktop.services.room import require_room
from tests.episode_stage import make_report

JUDGEMENT = Judgement(
    verdict=Verdict.DEPLOY,
    reasons=("good",),
    checks=(
        Check(name="new", passed=True, severity="ok", words="better", difference=0.5, low=0.1, high=math.inf),
    ),
)
REPORT = make_report(episode_id="e", plan_digest="d")


def test_means_are_taken_over_all_items() -> None:
    measures = metrics_of(REPORT, JUDGEMENT, Recipe())["measures"]

    assert isinstance(measures, dict)
    assert (measures["new"]["base"], measures["new"]["candidate"], measures["new"]["items"]) == (2.0, 1.0, 2)


def test_the_checks_of_the_gate_are_there() -> None:
    assert metrics_of(REPORT, JUDGEMENT, Recipe())["checks"] == [
        {
            "name": "new",
            "passed": True,
            "severity": "ok",
            "words": "better",
            "difference": 0.5,
            "low": 0.1,
            "high": None,
        }
    ]


@pytest.mark.parametrize("losses", [(), (math.nan, 1.0), (math.inf, 1.0), (1.7e308, 1.7e308)])
def test_whatever_was_measured_it_is_json(losses: tuple[float, ...]) -> None:
    measure = replace(REPORT.measurements.paired["new"], candidate=losses, base=losses)
    odd = replace(
        REPORT,
        measurements=replace(REPORT.measurements, paired={"new": measure}),
        training=replace(REPORT.training, tokens_per_second=math.nan),
    )

    json.dumps(metrics_of(odd, JUDGEMENT, Recipe()), allow_nan=False)


def test_the_orchestrators_own_numbers_are_not_for_people() -> None:
    assert for_people({"material": "x", "interruptions": 2, "training": {}}) == {"training": {}}


@pytest.mark.parametrize(
    "free", [Resources(memory_bytes=10, disk_bytes=10), Resources(memory_bytes=None, disk_bytes=10)]
)
def test_what_just_fits_fits(free: Resources) -> None:
    require_room(Resources(memory_bytes=10, disk_bytes=10), free)
    require_room(Resources(memory_bytes=None, disk_bytes=10), free)


def test_what_does_not_fit_is_said_with_both_numbers() -> None:
    free = Resources(memory_bytes=2 * 10**9, disk_bytes=3 * 10**9)

    with pytest.raises(HeldError, match=r"about 2\.5 GB of memory, and 2\.0 GB are free"):
        require_room(Resources(memory_bytes=2_500_000_000, disk_bytes=0), free)
    with pytest.raises(DiskFullError, match=r"about 4\.0 GB of disk space, and 3\.0 GB are free"):
        require_room(Resources(memory_bytes=None, disk_bytes=4 * 10**9), free)
    with pytest.raises(HeldError):
        require_room(Resources(memory_bytes=1, disk_bytes=0), Resources(memory_bytes=0, disk_bytes=0))

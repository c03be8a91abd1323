"""The campaign sees what it looks for: failures, deaths, hangs, and how the other inputs ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fuzz import campaign
from tests.fuzz.watching import Result, Watch, named, randomness

pytestmark = pytest.mark.process

SCRIPT = Path(campaign.__file__)


def watched(name: str, inputs: int, folder: Path, **changes: float) -> Result:
    command = [sys.executable, str(SCRIPT), "--work"]
    return Watch(f"tests.unit.fuzz.ill_targets:{name}", 7, folder, command, **changes).run(inputs)


def test_what_is_raised_is_counted_and_kept_once(tmp_path: Path) -> None:
    result = watched("Raises", 200, tmp_path)

    numbers = [
        int(named("tests.unit.fuzz.ill_targets:Raises").make(randomness(7, "raises", i))) for i in range(200)
    ]
    raised = [number for number in numbers if number % 5 == 0]
    assert (result.inputs, result.of("crash"), len(result.findings)) == (200, len(raised), 1)
    assert result.outcomes["refused"] == sum(number % 3 == 0 for number in numbers if number % 5)
    assert result.outcomes["taken"] == 200 - len(raised) - result.outcomes["refused"]
    kept = tmp_path / result.findings[0].reproducer
    assert int(kept.read_bytes()) == raised[0]
    assert "KeyError" in kept.with_suffix(".txt").read_text("utf-8")


def test_an_input_that_kills_the_process_is_named_and_the_rest_is_tried(tmp_path: Path) -> None:
    result = watched("Dies", 8, tmp_path)

    assert (result.inputs, result.of("crash")) == (8, 2)
    assert result.findings[0].index == 2
    assert "ended with 7" in result.findings[0].error


def test_an_input_that_hangs_inside_of_one_call_is_named_with_its_place(tmp_path: Path) -> None:
    result = watched("Hangs", 4, tmp_path, hang_seconds=0.5)

    assert (result.inputs, result.of("hang"), result.of("crash")) == (4, 2, 0)
    assert result.findings[0].index == 1
    assert "re" in result.findings[0].where


def test_a_fault_of_a_service_is_counted_for_itself(tmp_path: Path) -> None:
    result = watched("Fails", 3, tmp_path)

    assert (result.of("5xx"), result.of("crash")) == (3, 0)


def test_an_input_that_waits_for_ever_is_named_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    monkeypatch.setenv("ILL_PID_FILE", str(pid_file))

    result = watched("Starts", 1, tmp_path, stuck_seconds=1.0)

    assert (result.inputs, result.of("hang")) == (1, 1)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid_file.read_text())).wait(10)


def test_when_the_time_is_over_the_rest_is_left(tmp_path: Path) -> None:
    result = watched("Raises", 5, tmp_path, ends_at=time.monotonic())

    assert (result.inputs, result.findings) == (0, [])


def test_one_command_prints_the_table_and_ends_with_nothing_found(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--inputs", "60", "--only", "protocol", "--json", str(out)),
            *("--findings", str(tmp_path / "found")),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    tried = sum(result["inputs"] for result in json.loads(out.read_text("utf-8")))
    assert tried >= 60
    assert f"| **all** | {tried} |" in done.stdout


def test_every_target_has_a_name_of_its_own_and_makes_the_same_inputs_again() -> None:
    targets = list(campaign.addresses().values())

    assert len({target.name for target in targets}) == len(targets)
    for target in targets:
        first, again = (target.make(randomness(3, target.name, 5)) for _ in range(2))
        assert first == again

"""Faults of every kind, a few of each: `python tests/faults/matrix.py` injects all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from allie_desktop.ipc.process import worker_environment
from tests.faults import injection

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(injection.missing() != "", reason=injection.missing() or "everything is there"),
]

SCRIPT = Path(__file__).parents[1] / "faults" / "matrix.py"
FAULTS = 42


def test_after_every_fault_everything_is_whole_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "matrix.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--faults", str(FAULTS), "--json", str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=worker_environment(),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text("utf-8"))
    assert [result for result in results if result["problems"]] == []
    assert len(results) == FAULTS
    assert {result["column"] for result in results} >= {"import", "episode", "deployment"}
    assert f"{FAULTS} faults, 0 failures" in done.stdout

"""A few kills at random moments: `python tests/faults/kills.py` makes hundreds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from allie_desktop.ipc.process import worker_environment
from tests.faults import kills

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="homes are lived in by forked processes"),
]

SCRIPT = Path(__file__).parents[1] / "faults" / "kills.py"


def kill(phase: str, victim: str, outcome: str) -> dict[str, str]:
    return {"phase": phase, "victim": victim, "outcome": outcome}


RESUMED = "resumed from a checkpoint"
EPISODES = [
    {
        "name": "0.0",
        "end": "completed",
        "equal": True,
        "problems": [],
        "kills": [
            kill("train", "both", RESUMED),
            kill("train", "both", "trained from the start"),
            kill("sealing", "program", "deployed"),
        ],
    },
    {
        "name": "0.1",
        "end": "completed",
        "equal": None,
        "problems": ["a conversation was lost or changed"],
        "kills": [kill("train", "worker", "resumed from a checkpoint")],
    },
]


@pytest.mark.long
def test_after_every_kill_everything_is_whole_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "4", "--lanes", "1", "--json", str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env=worker_environment(),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    episodes = json.loads(out.read_text("utf-8"))
    assert [episode["problems"] for episode in episodes] == [[]] * len(episodes)
    assert [episode["equal"] for episode in episodes] == [True] * len(episodes)
    assert sum(len(episode["kills"]) for episode in episodes) == 4


def test_the_table_counts_by_phase_and_victim() -> None:
    assert kills.table([one for episode in EPISODES for one in episode["kills"]]).splitlines() == [
        "| killed while | worker | program | both |",
        "|---|---|---|---|",
        "| start |  |  |  |",
        "| prepare |  |  |  |",
        f"| train | **1**: 1 {RESUMED} |  | **2**: 1 {RESUMED}, 1 trained from the start |",
        "| validate |  |  |  |",
        "| sealing |  | **1**: 1 deployed |  |",
        "| deploying |  |  |  |",
    ]


def test_the_figures_say_how_many_adapters_are_the_same() -> None:
    assert kills.figures(EPISODES) == (
        "4 kills in 2 episodes, 1 problems. 3 kills while it trained, in 2 episodes; 2 went on from a "
        "checkpoint; 1 of 1 adapters that came of them equal the uninterrupted one bit for bit "
        "(of all episodes: 1 of 1)."
    )

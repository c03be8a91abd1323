"""A sequence of tasks through the whole program: import, plan, worker process, gate, deployment.

What a person would get, who imported a task's training file and let Allie learn. The program chooses by itself what
it learns from and how long: caps for one source and topic, near-duplicates and held-out parts take more than half
of two hundred conversations of one task. So this stands beside the ways of ``arms.py``, which all learn from the
same, and not among them. The gate's verdict is recorded, and the candidate deployed whatever it says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allie_desktop.bootstrap import open_demo
from tests.benchmarks.facts import AlwaysDeploy


def learn_with_program(
    home: Path, pairs: Sequence[tuple[str, str]], *, base: str, threads: int | None
) -> dict[str, Any]:
    """Let the program in ``home`` learn from questions with their answers; return the folder of the adapter that
    is deployed then, and what became of the episode."""
    home.mkdir(parents=True, exist_ok=True)
    number = len(list(home.glob("task-*.jsonl")))
    file = home / f"task-{number}.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        for asked, said in pairs:
            messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            lines.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    with open_demo(home) as program:
        program.choose_base(base)
        if threads:
            program.settings.set("training_threads", threads)
        program.import_file(file)
        orchestrator = program.orchestrator(lambda event: None)
        gate = AlwaysDeploy()
        orchestrator._judge = gate  # type: ignore[assignment]
        began = time.monotonic()
        result = orchestrator.run_episode("benchmark", forced=True)
        seconds = time.monotonic() - began
        known = program.report_of(result.episode_id)
        if known is None:
            raise SystemExit(f"The program learnt nothing: {result}")
        report, _, plan, _ = known
        version = program.versions.get(program.versions.pointer().active)
        return {
            "adapter": str(version.path),
            "verdict": gate.honest.value if gate.honest else "",
            "learnt_from": len(plan.train) if plan is not None else 0,
            "left_out": dict(plan.left_out) if plan is not None else {},
            "steps": report.training.steps,
            "kept_step": report.training.best_step,
            "tokens": report.training.tokens,
            "seconds": seconds,
            "stopped_early": report.training.stopped_early,
        }

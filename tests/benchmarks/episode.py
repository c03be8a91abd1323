"""One episode with a person's ordinary chats, end to end in a new home: how long it takes, and what it gains.

    python tests/benchmarks/episode.py --chats FILE [--conversations 50] [--json OUT]

Imports the first conversations of FILE (OpenAI messages form) with all settings at their defaults and learns from
them as ``allie learn --now`` does: unpacking the base model, its answers to questions of its own, training, the gate
and the deployment are all in it. Then the loss on the last 40 conversations of FILE, which were not imported, is
measured before and after. Wall clock is the program's own, processor time is the worker's. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop.bootstrap import Program
from allie_desktop.domain.events import CandidateWritten, PhaseFinished, PhaseStarted, WorkerStarted
from allie_desktop.paths import AppPaths
from tests.benchmarks.facts import HELD_OUT_CHATS, conversations, held_out
from tests.benchmarks.runs import about_machine


class ProcessorTime:
    """Hears what the worker says, and reads its processor time when a phase begins and ends."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.whole = 0.0
        self._worker: psutil.Process | None = None
        self._before = 0.0

    def __call__(self, event: object) -> None:
        if isinstance(event, WorkerStarted):
            self._worker = psutil.Process(event.pid)
        if not isinstance(event, WorkerStarted | PhaseStarted | PhaseFinished | CandidateWritten):
            return
        assert self._worker is not None
        try:
            times = self._worker.cpu_times()
        except psutil.Error:
            return  # it has ended; what was read last stands
        self.whole = times.user + times.system
        if isinstance(event, PhaseStarted):
            self._before = self.whole
        elif isinstance(event, PhaseFinished):
            self.phases[event.phase] = self.phases.get(event.phase, 0.0) + self.whole - self._before


def measured(home: Path, imported: list[dict[str, Any]], spare: list[dict[str, Any]]) -> dict[str, Any]:
    """Import, learn, and measure the loss on what was held back."""
    file = home / "chats.jsonl"
    file.write_text(conversations([], imported), "utf-8")
    processor = ProcessorTime()
    with Program(AppPaths.in_folder(home).prepare()) as program:
        program.import_file(file)
        began = time.monotonic()
        result = program.orchestrator(processor).run_episode("benchmark", forced=True)
        seconds = time.monotonic() - began
        known = program.report_of(result.episode_id)
        if known is None:
            raise SystemExit("The episode left no report: " + " ".join(result.reasons))
        report = known[0]
        loss = held_out(program, program.versions.pointer().active, spare) if result.version else None
        return {
            "conversations": len(imported),
            "verdict": result.verdict,
            "seconds": seconds,
            "phases": dict(result.phases),
            "processor_seconds": processor.whole,
            "processor_phases": processor.phases,
            "tokens": report.training.tokens,
            "tokens_per_second": report.training.tokens_per_second,
            "peak_memory_bytes": report.training.peak_memory_bytes,
            "held_out": loss,
        }


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown tables."""
    lines = ["| | seconds | processor seconds of the worker |", "|---|---|---|"]
    processor = found["processor_phases"]
    for name, seconds in found["phases"].items():
        spent = f"{processor[name]:.0f} " if name in processor else ""
        lines.append(f"| {name} | {seconds:.0f} | {spent}|")
    starting = found["seconds"] - sum(found["phases"].values())
    lines.append(f"| unpacking, loading and the rest | {starting:.0f} | |")
    lines.append(f"| **in all** | {found['seconds']:.0f} | {found['processor_seconds']:.0f} |")
    lines += [
        "",
        f"{found['conversations']} conversations, {found['tokens']:,} tokens, {found['tokens_per_second']:.0f} a second, "
        + f"{found['peak_memory_bytes'] / 1e9:.2f} GB at most, verdict: {found['verdict']}.",
    ]
    loss = found["held_out"]
    if loss is not None:
        lines.append(
            f"{loss['chats']} chats that were not imported: {loss['base']:.3f} → {loss['adapted']:.3f} nats/token, "
            f"gain {loss['gain_low']:.3f} to {loss['gain_high']:.3f} (95 %)."
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chats", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=50)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    chats = [json.loads(line) for line in arguments.chats.read_text("utf-8").splitlines() if line.strip()]
    if len(chats) < arguments.conversations + HELD_OUT_CHATS:
        raise SystemExit(f"{arguments.chats} has {len(chats)} conversations, too few.")
    with tempfile.TemporaryDirectory(prefix="allie-episode-", ignore_cleanup_errors=True) as folder:
        found = measured(Path(folder), chats[: arguments.conversations], chats[-HELD_OUT_CHATS:])
    print(table(found))
    if arguments.json:
        arguments.json.write_text(json.dumps({**about_machine(), **found}, indent=1), "utf-8")


if __name__ == "__main__":
    main()

"""Commands that belong together: run in turn, shown while they run, and kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_parts(out: Path, commands: Mapping[str, Sequence[str] | None]) -> list[str]:
    """Run each part's Python script with its arguments, print what it says and keep that in ``out``/NAME.md;
    return the names of those that ended badly. A part of which the command is None lacks its material."""
    out.mkdir(parents=True, exist_ok=True)
    bad = []
    for name, command in commands.items():
        if command is None:
            print(f"## {name}: left out, it lacks its material\n", flush=True)
            continue
        print(f"## {name}\n", flush=True)
        if not _ends_well(command, out / f"{name}.md"):
            bad.append(name)
        print(flush=True)
    return bad


def _ends_well(command: Sequence[str], kept: Path) -> bool:
    with kept.open("w", encoding="utf-8") as file:
        running = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert running.stdout is not None
        with running.stdout:
            for line in running.stdout:
                print(line, end="", flush=True)
                file.write(line)
        return running.wait() == 0

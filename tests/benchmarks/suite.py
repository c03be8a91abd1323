"""How well it learns, how fast and how small: every table of learning from one command.

    python tests/benchmarks/suite.py OUT --chats FILE --text FILE --task sciq=TRAIN,TEST --task emotion=TRAIN,TEST …
    python tests/benchmarks/suite.py OUT --only speed scale …

``--chats``: conversations in OpenAI messages form, 300 or more; ``--text``: plain text for perplexity; ``--task``: see
``tasks.py``. A part that lacks its material is left out; ``speed`` compares with TRL, which the extra ``bench``
brings, and ``footprint`` needs the desktop tools of the GUI tests. Each part is a script that can be run alone.

Tables are printed and kept as OUT/PART.md, figures as OUT/PART.json, and everything there is so far together with the
machine and the versions as OUT/RESULTS.md. ``--minutes`` limits how long runs of ``tasks`` are begun: they take
hours, and go on where they were left when this is called again. Ends with 1 when a part ended badly.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parts import ROOT, run_parts

PARTS = {
    "chat": "An episode of fifty ordinary chats in a new home",
    "facts": "Ten episodes of ten facts and ordinary chats",
    "tasks": "Tasks one after the other, in several ways",
    "speed": "Training speed against TRL",
    "store": "A store of a million conversations",
    "scale": "Training by size of the model and length",
    "footprint": "What each process takes",
}
_PACKAGES = ("allie-desktop", "torch", "transformers", "peft", "trl", "PySide6")


def command(part: str, options: argparse.Namespace) -> list[str] | None:
    """Return the script of a part with its arguments, None where it lacks its material."""
    script = {"chat": "episode", "store": "store_scale", "scale": "model_scale"}.get(part, part)
    found = [f"tests/benchmarks/{script}.py"]
    found += ["--json", str((options.out / f"{part}.json").resolve())]
    if part == "store":
        found += ["--rows", "1000", "10000", "100000", "1000000"]
    chats = ["--chats", str(options.chats.resolve())] if options.chats else None
    if part in ("chat", "facts", "speed"):
        if chats is None:
            return None
        found += chats
    if part == "facts":
        found += ["--episodes", "10", "--chats-an-episode", "20"]
        found += ["--text", str(options.text.resolve())] if options.text else []
    if part == "tasks":
        if not options.task:
            return None
        found += ["--append", "--minutes", str(options.minutes)]
        found += [argument for task in options.task for argument in ("--task", task)]
        found += ["--train", str(options.train), "--test", str(options.test)]
    return found


def machine() -> str:
    """Return what was measured on, in a sentence or two."""
    import torch

    def installed(name: str) -> str:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return f"no {name}"

    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30 if torch.cuda.is_available() else 0
    held = f"{cuda}, {memory:.0f} GiB" if memory else cuda
    packages = ", ".join(installed(name) for name in _PACKAGES)
    return (
        f"{platform.platform()}, {os.cpu_count()} cores, {held}, Python {platform.python_version()}; {packages}; "
        f"commit {commit.stdout.strip() or 'unknown'}."
    )


def main() -> int:
    """Parse, run the parts, put the tables together; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for tables and figures")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--chats", type=Path)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--task", action="append", default=[], metavar="NAME=TRAIN,TEST")
    parser.add_argument("--train", type=int, default=100, help="examples of a task")
    parser.add_argument("--test", type=int, default=50, help="questions of a task")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="begin no run of tasks after so long"
    )
    options = parser.parse_args()
    failed = run_parts(options.out, {part: command(part, options) for part in PARTS if part in options.only})
    tables = [f"# Results\n\n{machine()}\n"]
    for part, title in PARTS.items():
        kept = options.out / f"{part}.md"
        if kept.exists() and part not in failed:
            tables.append(f"## {title}\n\n{kept.read_text('utf-8').strip()}\n")
    (options.out / "RESULTS.md").write_text("\n".join(tables), "utf-8")
    print(f"Did not end well: {', '.join(failed)}." if failed else f"Everything stands in {options.out}.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

"""Everything that is claimed of safety, from one command: faults, kills, spoilt candidates, fuzzing, redaction.

``python tests/faults/proof.py OUT [--only PART…] [--minutes M] [--pii FILE] [--chats FILE]``. Runs one part after the
other, as long as each takes, or ``--minutes`` for kills and for candidates; called again it goes on with these where
they were left. Each part's tables are printed and kept in the folder OUT, with the figures as JSON. ``--pii`` are
marked personal data for redaction, which is left out without it. Ends with 1 when anything did not hold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parts import run_parts

PARTS = ("matrix", "fuzzing", "kills", "candidates", "redaction")


def main() -> int:
    """Parse, run the parts, print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for tables and figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="for kills, and for candidates")
    parser.add_argument("--pii", type=Path, help="marked personal data; see redaction.py")
    parser.add_argument("--chats", type=Path, help="ordinary chats for candidates; see gate_trials.py")
    options = parser.parse_args()
    commands = {part: _command(part, options) for part in PARTS if part in options.only}
    failed = run_parts(options.out, commands)
    print(f"Did not hold: {', '.join(failed)}." if failed else "Everything held.")
    return int(bool(failed))


def _command(part: str, options: argparse.Namespace) -> list[str] | None:
    """Return the arguments of a part, None where it lacks something."""
    json = str((options.out / f"{part}.json").resolve())
    if part == "matrix":
        return ["tests/faults/matrix.py", "--faults", "500", "--json", json]
    if part == "fuzzing":
        findings = str((options.out / "findings").resolve())
        return ["tests/fuzz/campaign.py", "--inputs", "100000", "--json", json, "--findings", findings]
    if part == "kills":
        return [
            "tests/faults/kills.py",
            "--kills",
            "500",
            "--append",
            json,
            "--minutes",
            str(options.minutes),
        ]
    if part == "candidates":
        chats = ["--chats", str(options.chats.resolve())] if options.chats else []
        going_on = ["--json", json, "--append", "--minutes", str(options.minutes)]
        return ["tests/benchmarks/gate_trials.py", *going_on, *chats]
    return ["tests/benchmarks/redaction.py", str(options.pii.resolve())] if options.pii else None


if __name__ == "__main__":
    sys.exit(main())

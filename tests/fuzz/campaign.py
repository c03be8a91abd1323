"""Gives every way into the program inputs that are nearly valid, and prints what became of them as a table.

``python tests/fuzz/campaign.py [--inputs N] [--only GROUP…] [--seed N] [--seconds N] [--json OUT] [--findings FOLDER]``.
Inputs are made from the seed alone, so that the same command makes the same ones. Each target runs in a process of its
own; what kills it or takes more than five seconds is seen from outside. Each finding gets a file with the input and one
with what happened; ``--again TARGET FILE`` tries such an input once more. ``--add OUT…`` prints one table of several
runs. Ends with 1 when anything was found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

if __package__ in (None, ""):  # started as a script
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.fuzz.target import Target
from tests.fuzz.watching import Finding, Result, Watch, named, work

_MODULES = (
    "api_targets",
    "socket_targets",
    "import_targets",
    "protocol_targets",
    "document_targets",
    "pointer_targets",
    "settings_targets",
    "model_targets",
    "text_targets",
    "chat_targets",
)
_WORK = "--work"


def addresses() -> dict[str, Target]:
    """Return every target by its address, in the order of the table."""
    found: dict[str, Target] = {}
    for module in _MODULES:
        path = f"tests.fuzz.{module}"
        for kind in __import__(path, fromlist=["TARGETS"]).TARGETS:
            address = f"{path}:{kind.__name__}"
            found[address] = named(address)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Parse, try, print; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == [_WORK]:
        address, seed, first, last, slate, findings = given[1:]
        work(
            address, seed=int(seed), first=int(first), last=int(last),
            slate_path=Path(slate), findings_path=Path(findings),
        )  # fmt: skip
        sys.stdout.flush()
        os._exit(0)  # threads of libraries and of the service need not be waited for
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="so many in all, at least")
    parser.add_argument("--only", nargs="+", default=[], help="groups or targets with this in their name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave the rest after this time")
    parser.add_argument("--json", type=Path, help="write what happened to this file")
    parser.add_argument("--findings", type=Path, help="folder for what was found")
    parser.add_argument("--again", nargs=2, metavar=("TARGET", "FILE"), help="try one input once more")
    parser.add_argument("--add", nargs="+", type=Path, default=[], help="print one table of these files")
    options = parser.parse_args(given)
    if options.add:
        return _print(_added(options.add))
    if options.again:
        return _again(*options.again)
    folder = options.findings or Path(tempfile.gettempdir(), f"allie-fuzz-{options.seed}")
    wanted = {
        address: target
        for address, target in addresses().items()
        if not options.only or any(word in (target.group, target.name) for word in options.only)
    }
    shares = sum(target.share for target in wanted.values())
    ends_at = time.monotonic() + options.seconds
    command = [sys.executable, str(Path(__file__).resolve()), _WORK]
    results = []
    for address, target in wanted.items():
        inputs = math.ceil(options.inputs * target.share / shares)
        result = Watch(address, options.seed, folder, command, ends_at=ends_at).run(inputs)
        results.append(result)
        print(f"{target.name}: {result.inputs:,} inputs, {len(result.findings)} findings", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1), "utf-8")
    return _print(results)


def _again(name: str, file: str) -> int:
    address = next(address for address, target in addresses().items() if target.name == name)
    with named(address) as target:
        print(target.attempt(Path(file).read_bytes()).value)
        target.looked_after()
    return 0


def _added(files: list[Path]) -> list[Result]:
    """Return the results of several runs as those of one."""
    sums: dict[str, Result] = {}
    for file in files:
        for told in json.loads(file.read_text("utf-8")):
            one = Result(**told)
            one.findings = [Finding(**finding) for finding in told["findings"]]
            known = sums.setdefault(one.target, Result(target=one.target, group=one.group))
            known.inputs += one.inputs
            known.add_outcomes(one.outcomes)
            known.findings += one.findings
            known.seconds += one.seconds
            if one.slowest_seconds > known.slowest_seconds:
                known.slowest_seconds, known.slowest_index = one.slowest_seconds, one.slowest_index
    return list(sums.values())


def _print(results: list[Result]) -> int:
    """Print the table and what was found; return the exit status."""
    total = Result(target="**all**", group="")
    rows = []
    for result in results:
        total.inputs += result.inputs
        total.add_outcomes(result.outcomes)
        total.findings += result.findings
        total.seconds += result.seconds
        total.slowest_seconds = max(total.slowest_seconds, result.slowest_seconds)
        rows.append(_row(result, f"{result.slowest_seconds * 1000:,.0f} ms (#{result.slowest_index})"))
    rows.append(_row(total, f"{total.slowest_seconds * 1000:,.0f} ms"))
    print(
        "| target | inputs | taken | refused | crashes | hangs | 5xx | documented 5xx | seconds | slowest input |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))
    for finding in total.findings:
        print(f"\n- {finding.kind} ×{finding.count} in {finding.target}, {finding.where}: {finding.error}")
        print(f"  {finding.reproducer}")
    return 1 if total.findings else 0


def _row(result: Result, slowest: str) -> str:
    counts = [result.outcomes.get(name, 0) for name in ("taken", "refused")]
    found = [result.of(kind) for kind in ("crash", "hang", "5xx")]
    numbers = [result.inputs, *counts, *found, result.outcomes.get("unavailable", 0)]
    return (
        f"| {result.target} | {' | '.join(f'{n:,}' for n in numbers)} | {result.seconds:,.0f} | {slowest} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""Injects faults into everything that Allie writes, and prints what became of it as a table.

``python tests/faults/matrix.py [--faults N] [--json OUT]``. Rows are kinds of faults, columns what was being done;
a cell says how many were injected and what the program was found at afterwards. After each fault the program is
started again, what must hold is looked at, the work is done once more, and it is looked at again. Ends with 1
when anything did not hold. ``--faults`` bounds the number, evenly over kinds and places.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import time
from collections import Counter
from pathlib import Path

if __package__ in (None, ""):  # started as a script
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.faults import injection


def main(arguments: list[str] | None = None) -> int:
    """Parse, inject, print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=0, help="so many at most; 0: every one")
    parser.add_argument("--json", type=Path, help="write what happened to this file")
    parser.add_argument("--only", default="", help="only rows whose name has this in it")
    parser.add_argument("--quick", action="store_true", help="leave out what needs seconds a fault")
    options = parser.parse_args(arguments)
    lacking = injection.missing()
    if lacking:
        print(f"Faults cannot be injected here: {lacking}.")
        return 2
    if not injection.is_preloaded():
        return injection.run_preloaded([str(Path(__file__).resolve()), *(arguments or sys.argv[1:])])

    # Only now, so that what is imported does not have to be imported twice.
    from tests.faults.conditions import CONDITION_ROWS
    from tests.faults.damage import DAMAGE_ROWS
    from tests.faults.laboratory import Laboratory
    from tests.faults.rows import ROWS, Fault

    logging.disable()  # what the program says of every fault is not what is asked here
    began = time.monotonic()
    with Laboratory() as laboratory:
        gc.freeze()
        wanted = [
            row
            for row in (*ROWS, *CONDITION_ROWS, *DAMAGE_ROWS)
            if options.only in row.name and not (options.quick and row.slow)
        ]
        faults: list[Fault] = _thinned([row.faults(laboratory) for row in wanted], options.faults)
        results = []
        for number, fault in enumerate(faults, 1):
            results.append(fault.inject(laboratory))
            if number % 25 == 0:
                print(f"{number} of {len(faults)}", file=sys.stderr, flush=True)
    failures = [result for result in results if result.problems]
    print(table(results))
    print()
    print(
        f"{len(results)} faults, {len(failures)} failures, {time.monotonic() - began:.0f} s "
        f"on {os.cpu_count()} processors"
    )
    for result in failures:
        print(f"- {result.row}, {result.column}, {result.place}: {'; '.join(result.problems)}")
    if options.json is not None:
        options.json.write_text(json.dumps([result.document() for result in results], indent=1), "utf-8")
    return 1 if failures else 0


def table(results: list) -> str:  # type: ignore[type-arg]
    """Return the results as a table in Markdown."""
    rows = list(dict.fromkeys(result.row for result in results))
    columns = list(dict.fromkeys(result.column for result in results))
    lines = ["| fault | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = []
        for column in columns:
            found = [result for result in results if (result.row, result.column) == (row, column)]
            outcomes = Counter(result.outcome for result in found)
            words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
            bad = sum(bool(result.problems) for result in found)
            cells.append(f"**{len(found)}**: {words}{f'; **{bad} FAILED**' if bad else ''}" if found else "")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _thinned(groups: list, most: int) -> list:  # type: ignore[type-arg]
    """Return all faults of all groups, or about ``most`` of them, evenly over groups and in them."""
    groups = [group for group in groups if group]
    total = sum(map(len, groups))
    if not most or total <= most:
        return [fault for group in groups for fault in group]
    # Every row keeps at least its share; small rows stay whole.
    chosen, left = [], most
    for place, group in enumerate(sorted(groups, key=len)):
        share = min(len(group), max(1, left // (len(groups) - place)))
        step = len(group) / share
        chosen += [group[int(number * step)] for number in range(share)]
        left -= share
    return chosen


if __name__ == "__main__":
    sys.exit(main())

"""What was kept of each episode's facts: R[i][j] of the figures that facts.py wrote.

    python tests/benchmarks/retention.py FIGURES.json

For each arm and each way of asking (as trained, in phrasings that never trained) a Markdown table, and backward
transfer and forgetting over it. Without torch: it only reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.scores import average_accuracy, backward_transfer, forgetting, matrix_table

#: Keys of an episode's figures, and what they hold.
ASKED = {"asked": "as asked", "unseen": "in unseen phrasings"}


def retention(episodes: Sequence[Mapping[str, Any]], key: str) -> list[list[float]]:
    """Return R: row i holds the recall, after episode i, of the facts of the episodes 0 to i."""
    return [[float(value) for value in episode[key]] for episode in episodes]


def retention_tables(arm: str, episodes: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of one arm as Markdown."""
    names = [f"episode {number + 1}" for number in range(len(episodes))]
    parts = []
    for key, words in ASKED.items():
        matrix = retention(episodes, key)
        figures = [f"average {average_accuracy(matrix):.1%}"]
        for word, value in (
            ("backward transfer", backward_transfer(matrix)),
            ("forgetting", forgetting(matrix)),
        ):
            figures += [] if value is None else [f"{word} {100 * value:+.1f} points"]
        parts.append(
            f"**{arm}, {words}**: {', '.join(figures)}\n\n{matrix_table(matrix, names=names, corner='recall after')}"
        )
    return "\n\n".join(parts)


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, help="what facts.py --json wrote")
    arguments = parser.parse_args()
    arms = json.loads(arguments.figures.read_text("utf-8"))["arms"]
    print("\n\n".join(retention_tables(arm["arm"], arm["episodes"]) for arm in arms))


if __name__ == "__main__":
    main()

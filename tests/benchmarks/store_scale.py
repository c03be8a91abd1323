"""How the store does with very many conversations.

    python tests/benchmarks/store_scale.py --rows 1000 100000 1000000 [--json OUT]

Fills a store with made-up conversations of two to six short turns, in batches as an import does, then
measures what the program asks of it; each size in a process of its own, whose peak memory it is. Prints Markdown;
exits with 1 when a figure misses its line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop.domain.conversation import Conversation, Role, Turn, content_hash
from allie_desktop.domain.planning import BaseModel, Budget, LoraGeometry, Recipe, Split
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.quality import LearningTarget, Quality, TargetOrigin
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.services.planner import Planner
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.replay import SqliteReplay
from tests.benchmarks.runs import about_machine, run_apart

START = datetime(2020, 1, 1, tzinfo=timezone.utc)

#: name → (line at 100,000 conversations, line at 1,000,000, whether more is better).
LINES: dict[str, tuple[float, float, bool]] = {
    "import_conversations_per_second": (5000.0, 5000.0, True),
    "counts_ms": (10.0, 10.0, False),
    "candidates_all_seconds": (2.0, 20.0, False),
    "plan_seconds": (20.0, 20.0, False),
}


def vocabulary(size: int) -> list[str]:
    """Return made-up words of 2 to 10 letters."""
    rng = random.Random(0)
    return [
        "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 10)))
        for _ in range(size)
    ]


def conversations(count: int, first: int = 0) -> Iterator[Assessed]:
    """Yield made-up conversations; the same number gives the same conversation."""
    words = vocabulary(20_000)
    splits = [Split.TRAIN] * 8 + [Split.VALIDATION, Split.HOLDOUT]
    for number in range(first, first + count):
        rng = random.Random(number)
        turns = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            # Squaring makes some words far more frequent than others, as in real language.
            asked, said = (
                " ".join(words[int(20_000 * rng.random() ** 2)] for _ in range(rng.randint(4, 40)))
                for _ in range(2)
            )
            turns += [Turn(role=Role.USER, content=asked), Turn(role=Role.ASSISTANT, content=said)]
        origin = rng.choice(list(TargetOrigin))
        rated = origin is TargetOrigin.APPROVED
        turns[-1] = Turn(
            role=Role.ASSISTANT,
            content=turns[-1].content,
            rating=1 if rated else None,
            correction="No: " + turns[-2].content if origin is TargetOrigin.EDIT else None,
        )
        conversation = Conversation(
            id=f"{rng.getrandbits(128):032x}",
            created_at=START + timedelta(seconds=rng.randrange(200_000_000)),
            source=rng.choice(("chat", "chatgpt", "sharegpt")),
            turns=tuple(turns),
            title=" ".join(turns[0].content.split()[:4]),
        )
        yield Assessed(
            conversation=conversation,
            content_hash=content_hash(conversation.turns),
            quality=Quality(
                score=round(rng.random(), 3),
                components={"feedback": 0.5, "degeneracy": 1.0, "information": 0.7, "language": 0.9},
                reasons=("Long enough to teach something.",),
                eligible=rng.random() < 0.9,
            ),
            targets=(
                LearningTarget(
                    turn_index=len(turns) - 1,
                    text=turns[-1].correction or turns[-1].content,
                    origin=origin,
                    weight=1.0,
                ),
            ),
            best_origin=origin,
            split=splits[number % 10],
            topic=rng.choice(("cooking", "code", "travel", "letters")),
            characters=sum(len(turn.content) for turn in turns),
            signature=rng.randbytes(512),
        )


def milliseconds(call: Callable[[], object], repeat: int = 20) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 3)


def seconds(call: Callable[[], object]) -> float:
    """Return the time of one call."""
    started = time.perf_counter()
    call()
    return round(time.perf_counter() - started, 3)


def peak_mib() -> float:
    """Return the most memory that this process ever held."""
    scale = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1024**2, 1)


def fill(store: SqliteConversations, rows: int, batch_size: int) -> dict[str, float]:
    """Import ``rows`` conversations; return the rate of the store alone, over all and over the last tenth."""
    batch: list[Assessed] = []
    spent: list[float] = []
    processor_seconds = 0.0
    for number, assessed in enumerate(conversations(rows), start=1):
        batch.append(assessed)
        if len(batch) == batch_size or number == rows:
            before = time.process_time()
            spent.append(seconds_exact(store, batch))
            processor_seconds += time.process_time() - before
            batch.clear()
    tail = spent[-max(1, len(spent) // 10) :]
    return {
        "import_conversations_per_second": round(rows / sum(spent)),
        # On a machine that others use too, this says more than the wall clock.
        "import_conversations_per_processor_second": round(rows / processor_seconds),
        "import_last_tenth_per_second": round(len(tail) * min(batch_size, rows) / sum(tail)),
        "import_slowest_batch_ms": round(max(spent) * 1000, 1),
    }


def seconds_exact(store: SqliteConversations, batch: Sequence[Assessed]) -> float:
    """Return how long the store takes to add a batch."""
    started = time.perf_counter()
    store.add(batch)
    return time.perf_counter() - started


def measure(folder: Path, rows: int, batch_size: int) -> dict[str, float | str]:
    """Fill a new store and return every figure."""
    path = folder / "allie.sqlite"
    database = Database.open(path)
    store = SqliteConversations(database)
    figures: dict[str, float | str] = {
        "sqlite": sqlite3.sqlite_version,
        "rows": rows,
        "batch": batch_size,
        "processors": os.cpu_count() or 0,
        "load_before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else "unknown",
    }
    figures |= fill(store, rows, batch_size)
    database.checkpoint()
    figures["file_mib"] = round(database.size_bytes() / 1024**2, 1)
    figures["memory_after_import_mib"] = peak_mib()
    database.close()

    figures["open_ms"] = milliseconds(lambda: Database.open(path).close())
    database = Database.open(path)
    store = SqliteConversations(database)
    figures["counts_ms"] = milliseconds(store.counts)
    figures["candidates_first_100_ms"] = milliseconds(
        lambda: list(store.candidates(learned=False, limit=100))
    )
    found = 0

    def read_all() -> None:
        nonlocal found
        for _ in store.candidates(learned=False):
            found += 1

    before = time.process_time()
    figures["candidates_all_seconds"] = seconds(read_all)
    figures["candidates_all_processor_seconds"] = round(time.process_time() - before, 3)
    figures["candidates"] = found
    figures["memory_after_candidates_mib"] = peak_mib()
    figures |= plan(database, store)
    ids = [candidate.id for candidate in store.candidates(learned=False, limit=500)]
    figures["get_many_500_ms"] = milliseconds(lambda: store.get_many(ids), 5)
    now = datetime.now(timezone.utc)
    figures["mark_learned_500_ms"] = milliseconds(lambda: store.mark_learned(ids, version="v1.0", at=now), 1)
    figures["rows_page_ms"] = milliseconds(lambda: store.rows(limit=50))
    figures["rows_last_page_ms"] = milliseconds(lambda: store.rows(limit=50, offset=max(0, rows - 50)), 3)
    words = vocabulary(20_000)
    figures["search_rare_word_ms"] = milliseconds(lambda: store.rows(search=f"{words[-1]} {words[-2]}"), 5)
    figures["search_frequent_word_ms"] = milliseconds(lambda: store.rows(search=words[0]), 3)
    again = list(conversations(min(batch_size, rows)))
    figures["duplicates_per_second"] = round(len(again) / seconds_exact(store, again))
    rated, ratings = ids[0], itertools.cycle((-1, 1))
    turns = len(store.get(rated).conversation.turns)
    figures["rate_ms"] = milliseconds(lambda: store.rate(rated, turns - 1, next(ratings)), 5)
    exported = 0

    def export_all() -> None:
        nonlocal exported
        for _ in store.export():
            exported += 1

    figures["export_seconds"] = seconds(export_all)
    figures["memory_after_export_mib"] = peak_mib()
    figures["quick_check_seconds"] = seconds(database.check)
    figures["full_check_seconds"] = seconds(lambda: database.check(full=True))
    figures["backup_seconds"] = seconds(database.backups.create)
    figures["forget_with_one_backup_seconds"] = seconds(lambda: store.forget(ids[-1]))
    figures["memory_after_all_mib"] = peak_mib()
    database.close()
    return figures


def plan(database: Database, store: SqliteConversations) -> dict[str, float]:
    """Return how long the plan of an episode takes, with the limits that everybody has, and what it chose."""
    planner = Planner(store, SqliteReplay(database), TextRedactor(), MinHashNearDuplicates())
    before, started = peak_mib(), time.perf_counter()
    made = planner.build(
        id="benchmark",
        created_at=START,
        seed=0,
        base=BaseModel(name="none", path="none", sha256="0" * 64),
        parent=None,
        geometry=LoraGeometry(),
        recipe=Recipe(),
        budget=Budget(),
    )
    return {
        "plan_seconds": round(time.perf_counter() - started, 3),
        "plan_conversations": len(made.conversation_ids),
        "plan_memory_more_mib": round(peak_mib() - before, 1),
    }


def missed(figures: dict[str, float | str], rows: int) -> list[str]:
    """Return a sentence for each figure beyond its line."""
    sentences = []
    for name, (small, large, more_is_better) in LINES.items():
        line, figure = (small if rows <= 100_000 else large), float(figures[name])
        if figure < line if more_is_better else figure > line:
            sentences.append(f"{name} is {figure}, its line is {line}")
    return sentences


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table, one column each."""
    rows = [["", *(f"{run['rows']:,} conversations" for run in runs)], ["---"] * (len(runs) + 1)]
    rows += [[name, *(f"{run[name]}" for run in runs)] for name in runs[0] if name not in ("rows", "missed")]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000], help="conversations to fill in")
    parser.add_argument("--batch", type=int, default=1000, help="conversations a transaction")
    parser.add_argument("--folder", type=Path, help="where to put the store (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        folder = Path(tempfile.mkdtemp(prefix="allie-scale-", dir=arguments.folder))
        try:
            figures = measure(folder, arguments.one, arguments.batch)
        finally:
            shutil.rmtree(folder)
        print(json.dumps({**figures, "missed": missed(figures, arguments.one)}))
        return 0
    runs: list[dict[str, Any]] = []
    for rows in arguments.rows:
        runs.append(run_apart("--one", str(rows)))
        if arguments.json:
            arguments.json.write_text(json.dumps({**about_machine(), "runs": runs}, indent=1), "utf-8")
    print(table(runs))
    problems = [f"{run['rows']:,} conversations: {problem}" for run in runs for problem in run["missed"]]
    for problem in problems:
        print(f"\nMissed: {problem}.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kills whole episodes at random moments, again and again, and prints what became of them as a table.

``python tests/faults/kills.py [--kills N] [--seed N] [--lanes N] [--json OUT] [--append FILE] [--minutes M]``.
A small language model with random weights is trained by the real program: store, planner, orchestrator,
worker process, deployment. Program, worker or both get SIGKILL at a random moment of a phase; then the program
is started again, what must hold is looked at, and the episode goes on until it is deployed. In the end its
adapter is compared bit for bit with that of a worker which ran the same plan without a break. Only the gate is
another: it lets everything through, for nobody can say anything with random weights. Ends with 1 when
anything did not hold. ``--append`` goes on with a file of ``--json``.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

if __package__ in (None, ""):  # started as a script
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.faults.lanes import PHASES, VICTIMS, Lane


def main(arguments: list[str] | None = None) -> int:
    """Parse, kill, print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=500, help="so many kills, those of --append included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=min(2, os.cpu_count() or 1), help="homes at a time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no episode after so long")
    parser.add_argument("--json", type=Path, help="write what happened to this file")
    parser.add_argument("--append", type=Path, help="go on with this file, and write it")
    options = parser.parse_args(arguments)
    out = options.append or options.json
    before: list[dict[str, Any]] = []
    if options.append is not None and options.append.exists():
        before = json.loads(options.append.read_text("utf-8"))
    began = time.monotonic()
    logging.disable()  # what the program says of every kill is not what is asked here
    episodes = list(before)
    for episode in _run_lanes(options, before, began + 60 * options.minutes):
        episodes.append(episode)
        print(_line(episode), file=sys.stderr, flush=True)
        if out is not None:  # at once: whoever breaks off keeps what there is
            out.write_text(json.dumps(episodes, indent=1), "utf-8")
    kills = [kill for episode in episodes for kill in episode["kills"]]
    print(table(kills))
    print()
    print(figures(episodes))
    seconds, new = time.monotonic() - began, len(kills) - sum(len(e["kills"]) for e in before)
    print(f"{seconds:.0f} s for the last {new} kills ({seconds / max(new, 1):.1f} s each).")
    problems = [(episode["name"], words) for episode in episodes for words in episode["problems"]]
    for name, words in problems:
        print(f"- episode {name}: {words}")
    return 1 if problems else 0


def _run_lanes(
    options: argparse.Namespace, before: list[dict[str, Any]], ends: float
) -> Iterator[dict[str, Any]]:
    """Share what is left of the kills among processes; yield their episodes as they end."""
    left = options.kills - sum(len(episode["kills"]) for episode in before)
    if left <= 0:
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # not by torch, whose threads would not survive the forks below
    # Loaded once, so that every start of the program does not have to; workers load it themselves.
    import peft
    import transformers

    assert peft.PeftModel
    assert transformers.AutoTokenizer
    assert transformers.AutoModelForCausalLM
    assert transformers.LlamaForCausalLM
    transformers.logging.disable_progress_bar()
    gc.freeze()
    read_end, write_end = os.pipe()
    for number in range(options.lanes):
        share = left // options.lanes + (number < left % options.lanes)
        if os.fork() == 0:
            os.close(read_end)
            _run_lane(f"{options.seed}.{len(before)}.{number}", share, ends, write_end)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        for line in stream:
            yield json.loads(line)
    if sum(os.wait()[1] for _ in range(options.lanes)):
        raise SystemExit("A lane broke down.")


def _run_lane(name: str, kills: int, ends: float, write_end: int) -> NoReturn:
    status = 1
    try:
        with Lane(name) as lane:
            for episode in lane.episodes(kills, ends):
                os.write(
                    write_end, json.dumps(episode).encode() + b"\n"
                )  # shorter than what is written whole
        status = 0
    except Exception:  # noqa: BLE001 - said here, for nobody is left to say it
        traceback.print_exc()
    os._exit(status)


def _line(episode: dict[str, Any]) -> str:
    kills = ", ".join(f"{k['victim']} in {k['phase']} ({k['outcome']})" for k in episode["kills"])
    wrong = f" PROBLEMS {episode['problems']}" if episode["problems"] else ""
    return f"{episode['name']}: {episode['end']}; {kills}{wrong}"


def table(kills: Sequence[dict[str, Any]]) -> str:
    """Return a table in Markdown: phase by who was killed, with what became of it."""
    lines = ["| killed while | " + " | ".join(VICTIMS) + " |", "|---" * (len(VICTIMS) + 1) + "|"]
    for phase in PHASES:
        cells = []
        for victim in VICTIMS:
            found = [kill for kill in kills if (kill["phase"], kill["victim"]) == (phase, victim)]
            outcomes = Counter(kill["outcome"] for kill in found)
            words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
            cells.append(f"**{len(found)}**: {words}" if found else "")
        lines.append(f"| {phase} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(episodes: Sequence[dict[str, Any]]) -> str:
    """Return the figures that count, in sentences."""
    kills = [kill for episode in episodes for kill in episode["kills"]]
    trained = [e for e in episodes if any(k["phase"] == "train" for k in e["kills"])]
    compared = [e for e in trained if e["equal"] is not None]
    resumed = sum(kill["outcome"].startswith("resumed") for kill in kills)
    return (
        f"{len(kills)} kills in {len(episodes)} episodes, {sum(len(e['problems']) for e in episodes)} problems. "
        f"{sum(k['phase'] == 'train' for k in kills)} kills while it trained, in {len(trained)} episodes; "
        f"{resumed} went on from a checkpoint; {sum(e['equal'] for e in compared)} of {len(compared)} "
        f"adapters that came of them equal the uninterrupted one bit for bit "
        f"(of all episodes: {sum(e['equal'] is True for e in episodes)} of "
        f"{sum(e['equal'] is not None for e in episodes)})."
    )


if __name__ == "__main__":
    sys.exit(main())

"""The figures of tasks.py as Markdown. Without torch: it only reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from tests.benchmarks.scores import (
    average_accuracy,
    backward_transfer,
    forgetting,
    matrix_table,
    mean_matrix,
)

SCORES = {"exact": "exact match", "rouge_l": "ROUGE-L"}
BASE, OURS, BOUND, PAD = "base", "all", "joint", "pad"
#: Above this a task is one that the base can do already.
_CAN_DO = 0.5

Run = dict[str, Any]


def tables(figures: dict[str, Any]) -> str:
    """Return all tables of all runs."""
    runs: list[Run] = figures["runs"]
    names = [task["name"] for task in figures["tasks"]]
    parts = [_base_table(figures["tasks"], [r for r in runs if r["arm"] == BASE])]
    learnt = [r for r in runs if r["arm"] != BASE]
    arms = list(dict.fromkeys(r["arm"] for r in learnt))
    if learnt:
        parts += [_means(arms, learnt, key) for key in SCORES]
        parts += [_costs(arms, learnt), _by_seed(learnt)]
        parts += [_matrices(arm, [r for r in learnt if r["arm"] == arm], names) for arm in arms]
    return "\n\n".join(parts)


def _base_table(tasks: Sequence[dict[str, Any]], base: Sequence[Run]) -> str:
    lines = [
        "| task | examples | questions | base, exact match | base, ROUGE-L | commonest answer, exact match |",
        "|---|---|---|---|---|---|",
    ]
    can_do = []
    for place, task in enumerate(tasks):
        exact, rouge = ([run[key][0][place] for run in base] for key in SCORES)
        if exact and max(exact[0], rouge[0]) >= _CAN_DO:
            can_do.append(task["name"])
        lines.append(
            f"| {task['name']} | {task['train']} + {task['validation']} held out | {task['test']} "
            f"| {_percent(exact)} | {_percent(rouge)} | {task['commonest']:.0%} |"
        )
    if can_do:
        lines += ["", f"The base can do this already, so it shows little: {', '.join(can_do)}."]
    return "\n".join(lines)


def _means(arms: Sequence[str], runs: Sequence[Run], key: str) -> str:
    """Return the table of means over seeds for one score."""
    bound = {r["seed"]: average_accuracy(r[key]) for r in runs if r["arm"] == BOUND}
    ours = {r["seed"]: average_accuracy(r[key]) for r in runs if r["arm"] == OURS}
    head = (
        f"| {SCORES[key]} | seeds | average accuracy | of {BOUND} | backward transfer | forgetting "
        f"| first task, learnt → at the end | {OURS} is better on |"
    )
    lines = [head, "|---" * 8 + "|"]
    for arm in arms:
        own = [r for r in runs if r["arm"] == arm]
        matrices = [r[key] for r in own]
        averages = {r["seed"]: average_accuracy(r[key]) for r in own if arm != PAD}
        shares = [value / bound[s] for s, value in averages.items() if bound.get(s)]
        both = [s for s in averages if s in ours and arm not in (OURS, BOUND)]
        better = sum(ours[s] > averages[s] for s in both)
        lines.append(
            f"| {arm} | {len(own)} | {_percent(list(averages.values()), 1)} | {_percent(shares, 1)} "
            f"| {_points(backward_transfer, matrices)} | {_points(forgetting, matrices)} "
            f"| {_percent([m[0][0] for m in matrices], 1)} → {_percent([m[-1][0] for m in matrices], 1)} "
            f"| {f'{better} of {len(both)}' if both else '–'} |"
        )
    return "\n".join(lines)


def _costs(arms: Sequence[str], runs: Sequence[Run]) -> str:
    lines = [
        "| arm | steps | tokens, everything counted | training, minutes | in all, minutes | KL to base |",
        "|---|---|---|---|---|---|",
    ]
    for arm in arms:
        own = [r for r in runs if r["arm"] == arm]
        steps, tokens, seconds = (
            fmean(sum(one[what] for one in r["learnt"]) for r in own)
            for what in ("steps", "tokens", "seconds")
        )
        lines.append(
            f"| {arm} | {steps:.0f} | {tokens:,.0f} | {seconds / 60:.1f} "
            f"| {fmean(r['seconds'] for r in own) / 60:.1f} | {fmean(r['kl'] for r in own):.3f} |"
        )
    return "\n".join(lines)


def _by_seed(runs: Sequence[Run]) -> str:
    columns = ("average", "transfer", "forgetting")
    heads = [f"{name}, {column}" for name in SCORES.values() for column in columns]
    lines = [f"| seed | arm | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for run in sorted(runs, key=lambda r: r["seed"]):
        cells = []
        for key in SCORES:
            matrix = run[key]
            cells += [
                "–" if run["arm"] == PAD else f"{average_accuracy(matrix):.1%}",
                _points(backward_transfer, [matrix]),
                _points(forgetting, [matrix]),
            ]
        lines.append(f"| {run['seed']} | {run['arm']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _matrices(arm: str, runs: Sequence[Run], names: Sequence[str]) -> str:
    matrices = [mean_matrix([run[key] for run in runs]) for key in SCORES]
    rows = list(names)
    if len(matrices[0]) == 1:
        rows = ["everything"]
    elif arm == PAD:
        rows = [names[0], *["other material"] * (len(names) - 1)]
    head = f"**{arm}, {' / '.join(SCORES.values())}** (mean of {len(runs)})"
    return f"{head}\n\n{matrix_table(*matrices, names=names, rows=rows)}"


def _percent(values: Sequence[float], digits: int = 0) -> str:
    return f"{fmean(values):.{digits}%}" if values else "–"


def _points(figure: Callable[[Any], float | None], matrices: Sequence[Any]) -> str:
    found = [value for matrix in matrices if (value := figure(matrix)) is not None]
    return f"{100 * fmean(found):+.1f}" if found else "–"

"""Tasks learnt one after the other: what is learnt, what is kept, in several ways and by the upper bound.

    python tests/benchmarks/tasks.py --task sciq=TRAIN,TEST --task emotion=TRAIN,TEST --seeds 3 --json OUT
    python tests/benchmarks/tasks.py --task … --arms sequential all joint --train 100 --test 50
    python tests/benchmarks/tasks.py --task … --json OUT --append --minutes 4  # go on with what is missing

TRAIN and TEST are conversations in OpenAI messages form, one question with one answer each; tasks are learnt in
the order given. After each of them every task's test is answered greedily and scored by exact match and ROUGE-L:
R[i][j]. Printed are average accuracy and backward transfer (Lopez-Paz & Ranzato 2017, arXiv:1706.08840), forgetting
(Chaudhry et al. 2018, arXiv:1801.10112), for each seed and as means, and what the base can do of each task before:
a task that it can do already shows nothing.

The arms go through ``learning/`` and not through the whole program (``arms.py`` says what each does). A plan of
the program takes 68 to 96 of 200 conversations of one such task, caps and held-out parts taking the rest, and each
arm would then learn from something else; phrasings are for corrected questions, of which a task has none; and
O-LoRA and joint training are none of its recipes. What the recipe ``all`` is in a person's hands shows the arm
``program``, on demand (``whole_program.py``): its steps and examples are its own.

A seed decides the first adapter, the order of examples and what is replayed; the examples stay. Each arm and seed
has a process of its own. The last tenth of a task's training examples is held out to choose the best step.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop import __version__
from allie_desktop.domain.planning import Recipe
from allie_desktop.paths import AppPaths
from allie_desktop.services.planner import PlanLimits
from tests.benchmarks.runs import about_machine, recipe_changes, run_apart
from tests.benchmarks.scores import commonest_score, score
from tests.benchmarks.task_tables import tables

ROOT = Path(__file__).resolve().parents[2]
BASE = "base"
PROGRAM = "program"
ARMS = ("sequential", "replay", "ewc", "kl", "o-lora", "all", "joint", "pad")
_HELD_OUT_SHARE = 10
_FEWEST_HELD_OUT = 4
_LONGEST_PAD = 256  # tokens: about as long as what it stands for
#: What decides what a run measures; runs of different settings are not put into one file.
_SETTINGS = "task train test epochs answer_tokens orthogonality ewc_alone replayed set base pad general_prompts general_tokens".split()

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Questions with their answers: to learn, to choose the best step by, and to be asked."""

    name: str
    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]


def read_pairs(file: Path, most: int | None) -> list[Pair]:
    """Return the first question and the right answer to it of each of the first ``most`` conversations."""
    found = []
    for line in file.read_text("utf-8").splitlines()[:most]:
        messages = [m for m in json.loads(line)["messages"] if m["role"] != "system"][:2]
        if [m["role"] for m in messages] != ["user", "assistant"]:
            raise SystemExit(f"{file.name}: a conversation does not begin with a question and an answer.")
        asked, said = messages
        found.append((asked["content"], said.get("correction") or said["content"]))
    return found


def read_task(text: str, arguments: argparse.Namespace) -> Task:
    """Return the task that NAME=TRAIN,TEST means; raise SystemExit with a sentence when it means none."""
    name, _, files = text.partition("=")
    train, _, test = files.partition(",")
    if not (name and train and test):
        raise SystemExit(f"{text!r} is not NAME=TRAIN,TEST.")
    pairs = read_pairs(Path(train), arguments.train)
    held = max(_FEWEST_HELD_OUT, len(pairs) // _HELD_OUT_SHARE)
    asked = read_pairs(Path(test), arguments.test)
    if len(pairs) < 2 * _FEWEST_HELD_OUT or not asked:
        raise SystemExit(f"{name}: too few examples.")
    return Task(name=name, train=tuple(pairs[:-held]), validation=tuple(pairs[-held:]), test=tuple(asked))


# --- one run, in a process of its own ---


def measured(learner: Any, tasks: Sequence[Task], *, max_tokens: int) -> dict[str, list[float]]:
    """Return a row of R for each score: how well each task's test is answered now."""
    row: dict[str, list[float]] = {"exact": [], "rouge_l": []}
    for task in tasks:
        answers = learner.answers([asked for asked, _ in task.test], max_tokens=max_tokens)
        for key, value in asdict(score(answers, [said for _, said in task.test])).items():
            row[key].append(value)
    return row


def run_arm(arm: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one arm with one seed; return its figures."""
    import torch

    from allie_desktop.models.catalogue import resolve_base
    from allie_desktop.models.loading import load_base
    from tests.benchmarks.arms import WAYS, Learner, Way

    threads = arguments.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    began = time.monotonic()
    tasks = [read_task(text, arguments) for text in arguments.task]
    recipe = Recipe(
        ordinary_epochs=arguments.epochs,
        general_prompts=arguments.general_prompts,
        general_tokens=arguments.general_tokens,
        **recipe_changes(arguments.set),
    )
    cache = AppPaths.from_environment().prepare().cache
    way = WAYS.get(arm, Way())
    learner = Learner(
        load_base(resolve_base(arguments.base, cache), cache=cache),
        way,
        recipe,
        seed=seed,
        tasks=len(tasks),
        cache=cache,
        orthogonality=arguments.orthogonality,
        ewc_alone=arguments.ewc_alone,
        replayed=arguments.replayed,
        threads=threads,
    )
    train = [learner.encoded(t.train) for t in tasks]
    validation = [learner.encoded(t.validation) for t in tasks]
    step_tokens = learner.step_tokens(min(train, key=lambda t: sum(map(len, t))))
    rows: list[dict[str, list[float]]] = []
    learnt: list[dict[str, Any]] = []

    def look(asked: Sequence[Task] = tasks) -> None:
        rows.append(measured(learner, asked, max_tokens=arguments.answer_tokens))
        print(f"{arm} {seed}: {rows[-1]} {learnt[-1:]}", file=sys.stderr, flush=True)

    if arm == BASE:
        look()
    elif arm == PROGRAM:
        from tests.benchmarks.whole_program import learn_with_program

        with tempfile.TemporaryDirectory() as home:
            for task in tasks:
                pairs = [*task.train, *task.validation]
                found = learn_with_program(Path(home), pairs, base=arguments.base, threads=arguments.threads)
                learner.adapter.load(Path(found.pop("adapter")))
                learnt.append(found)
                look()
    elif way.at_once:
        mixed = [list(chain.from_iterable(parts)) for parts in (train, validation)]
        learnt.append(asdict(learner.learn(0, *mixed, [], step_tokens=step_tokens)))
        look()
    else:
        pad = padding(learner, arguments.pad) if way.padded else []
        for number in range(len(tasks)):
            padded = way.padded and number > 0
            held = max(_FEWEST_HELD_OUT, len(pad) // _HELD_OUT_SHARE)
            found = learner.learn(
                number,
                pad[held:] if padded else train[number],
                pad[:held] if padded else validation[number],
                [] if padded else train[:number],
                step_tokens=step_tokens,
                steps=learner.steps_of(number, train[number], step_tokens) if padded else None,
            )
            learnt.append(asdict(found))
            look(tasks[:1] if way.padded else tasks)
    return {
        "arm": arm,
        "seed": seed,
        "exact": [row["exact"] for row in rows],
        "rouge_l": [row["rouge_l"] for row in rows],
        "learnt": learnt,
        "kl": learner.divergence(),
        "seconds": round(time.monotonic() - began, 1),
    }


def padding(learner: Any, file: Path) -> list[Any]:
    """Return sequences of material that has nothing to do with the tasks, in a fixed order."""
    encoded = learner.encoded(read_pairs(file, None))
    found = [one for one in encoded if len(one) <= _LONGEST_PAD]
    if len(found) < 2 * _FEWEST_HELD_OUT:
        raise SystemExit(f"{file.name}: too few short conversations to stand in for a task.")
    return found


# --- all of them ---


def about_tasks(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return how large each task is, and what its commonest answer would score."""
    return [
        {
            "name": task.name,
            "train": len(task.train),
            "validation": len(task.validation),
            "test": len(task.test),
            "commonest": commonest_score([said for _, said in task.train], [said for _, said in task.test]),
        }
        for task in (read_task(text, arguments) for text in arguments.task)
    ]


def parsed() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", action="append", required=True, metavar="NAME=TRAIN,TEST")
    parser.add_argument("--arms", nargs="*", choices=[*ARMS, PROGRAM], default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, help="examples of a task to learn, held-out ones among them")
    parser.add_argument("--test", type=int, help="questions of a task")
    parser.add_argument("--epochs", type=float, default=4.0, help="visits of each example")
    parser.add_argument("--answer-tokens", type=int, default=24, help="no answer is longer")
    parser.add_argument(
        "--pad", type=Path, default=ROOT / "resources" / "sample_conversations.jsonl", help="for the arm pad"
    )
    parser.add_argument(
        "--orthogonality", type=float, default=0.5, help="O-LoRA's λ; 0.5 is what its authors take"
    )
    parser.add_argument(
        "--ewc-alone",
        type=float,
        default=Recipe().ewc_weight,
        help="λ of the arm ewc, where EWC is all there is",
    )
    parser.add_argument(
        "--replayed",
        type=int,
        default=PlanLimits().replay_conversations,
        help="examples replayed while a task is learnt; by default as many as a plan of the program has",
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the recipe")
    parser.add_argument("--general-prompts", type=int, default=96, help="of the general set")
    parser.add_argument("--general-tokens", type=int, default=96, help="of a reply in the general set")
    parser.add_argument("--base", default="starter")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--append", action="store_true", help="go on with the file of --json")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so long")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--run", nargs=2, metavar=("ARM", "SEED"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run what is missing, and print."""
    arguments = parsed()
    if arguments.run:
        print(json.dumps(run_arm(arguments.run[0], int(arguments.run[1]), arguments)))
        return
    settings = {name: json.loads(json.dumps(getattr(arguments, name), default=str)) for name in _SETTINGS}
    settings["recipe"] = json.loads(json.dumps(asdict(Recipe())))  # runs of another default are other runs
    figures: dict[str, Any] = {
        **about_machine(),
        "versions": {"allie": __version__, **{n: version(n) for n in ("torch", "transformers", "peft")}},
        "settings": settings,
        "tasks": about_tasks(arguments),
        "runs": [],
    }
    if arguments.append and arguments.json and arguments.json.exists():
        before = json.loads(arguments.json.read_text("utf-8"))
        if before["settings"] != settings:
            raise SystemExit(f"{arguments.json} was measured with other settings: {before['settings']}")
        figures["runs"] = before["runs"]
    done = {(run["arm"], run["seed"]) for run in figures["runs"]}
    wanted = [(BASE, 0), *((arm, seed) for seed in range(arguments.seeds) for arm in arguments.arms)]
    ends = time.monotonic() + 60 * arguments.minutes
    for arm, seed in wanted:
        if (arm, seed) in done or time.monotonic() > ends:
            continue
        figures["runs"].append(run_apart("--run", arm, str(seed)))
        if arguments.json:
            arguments.json.write_text(json.dumps(figures, indent=1), "utf-8")
    print(tables(figures))


if __name__ == "__main__":
    main()

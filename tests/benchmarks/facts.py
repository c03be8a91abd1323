"""Episodes in a row, each with ten corrected facts and ordinary chats: what is learnt, what is kept.

    python tests/benchmarks/facts.py --episodes 3 --chats FILE            # our recipe, through the whole program
    python tests/benchmarks/facts.py --episodes 3 --chats FILE --arms plain,replay,kl,ewc,all   # ablation

Each arm runs in a home of its own, through the same import, planner, worker, gate and deployment that a
person's episodes go through; only the recipe differs. Arms other than ``all`` deploy whatever the gate says
(its verdict is recorded), since the question is what they forget. Prints Markdown, writes JSON. Recall by episode
makes R[i][j] (``retention.py``); ``--text`` adds the perplexity of base and last version on a plain text. A phrasing
that the planner happened to train on, word for word, does not count as unseen.

``--chats`` takes conversations in OpenAI messages form, at least 45 an episode and 40 more that are never
imported; without it the sample conversations are used, and the held-out figure has few items.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop.bootstrap import Program, open_demo
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Example, Message, Recipe
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.statistics import mean_interval
from allie_desktop.domain.validation import Judgement, Margins, Measurements, Verdict, judge
from tests.benchmarks.perplexity import ratio, readings
from tests.benchmarks.retention import retention_tables
from tests.benchmarks.runs import about_machine, recipe_changes

HERE = Path(__file__).parent
FACTS_AN_EPISODE = 10
HELD_OUT_CHATS = 40
TEXT_TOKENS = 60_000
BYSTANDERS = HERE / "data" / "bystanders.txt"

#: What each arm leaves out of the recipe.
ARMS: dict[str, dict[str, float]] = {
    "plain": {"replay_share": 0.0, "kl_weight": 0.0, "ewc_weight": 0.0},
    "replay": {"kl_weight": 0.0, "ewc_weight": 0.0},
    "kl": {"replay_share": 0.0, "ewc_weight": 0.0},
    "ewc": {"replay_share": 0.0, "kl_weight": 0.0},
    "replay+kl": {"ewc_weight": 0.0},
    "all": {},
}


class Arm(Program):
    """The program with parts of its recipe switched off."""

    def __init__(self, program: Program, changes: dict[str, Any]) -> None:
        super().__init__(program.paths)
        self._changes = changes

    @property
    def planner(self) -> Any:  # type: ignore[override]
        inner = Program.planner.func(self)  # type: ignore[attr-defined]
        changes = self._changes

        class Changed:
            update_replay = staticmethod(inner.update_replay)

            def __call__(self, **arguments: Any) -> Any:
                plan = inner(**arguments)
                recipe = dataclasses.replace(plan.recipe, **changes)
                plan = dataclasses.replace(plan, recipe=recipe)
                return plan if recipe.replay_share > 0 else dataclasses.replace(plan, replay=())

        return Changed()


class AlwaysDeploy:
    """The gate with another verdict, for arms that are expected to fail it; ``honest`` is what it would say."""

    honest: Verdict | None = None

    def __call__(self, measurements: Measurements, margins: Margins | None = None, *, seed: int) -> Judgement:
        judgement = judge(measurements, margins, seed=seed)
        self.honest = judgement.verdict
        return dataclasses.replace(judgement, verdict=Verdict.DEPLOY)


def conversations(facts: list[dict[str, Any]], chats: list[dict[str, Any]]) -> str:
    """Return an import file: facts as corrected answers, chats as they are."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": fact["question"]},
                {"role": "assistant", "content": "I do not know that.", "correction": fact["answer"]},
            ]
        }
        for fact in facts
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, *chats])


def recall(
    program: Program, version: str, facts: list[dict[str, Any]], trained: frozenset[str]
) -> dict[str, list[bool | None]]:
    """Ask everything, greedily; return what was right, as asked and in phrasings that never trained. None stands for a
    phrasing that is in ``trained`` (:func:`trained_on`)."""
    questions = [(f["key"], "asked", f["question"]) for f in facts]
    questions += [(f["key"], "unseen", p) for f in facts for p in f["phrasings"]]
    answers = program.answerer().ask(
        [q for _, _, q in questions], version=version, greedy=True, max_tokens=32
    )
    result: dict[str, list[bool | None]] = {"asked": [], "unseen": []}
    for (key, kind, question), answer in zip(questions, answers, strict=True):
        known = kind == "unseen" and letters(question) in trained
        result[kind].append(None if known else key.lower() in answer.answer.lower())
    return result


def letters(text: str) -> str:
    """Return what is left of a question when case, spaces and punctuation do not count."""
    return "".join(c for c in text.lower() if c.isalnum())


def trained_on(home: Path, last: str = "") -> frozenset[str]:
    """Return the :func:`letters` of everything that a person says in what the plans of a home train on, until the episode
    that is called ``last``: the planner may hit upon a phrasing of ours."""
    return frozenset(
        letters(message["content"])
        for plan in home.glob("episodes/*/plan.json")
        if not last or plan.parent.name <= last
        for part in ("train", "replay")
        for example in json.loads(plan.read_text("utf-8"))[part]
        for message in example["messages"]
        if message["role"] == "user"
    )


def share(answers: Sequence[bool | None]) -> float:
    """Return the share of right answers among those that count."""
    return mean([float(one) for one in answers if one is not None])


def spilt(program: Program, version: str, facts: list[dict[str, Any]]) -> float:
    """Return the share of questions about the world that are answered with something about the person."""
    questions = BYSTANDERS.read_text("utf-8").splitlines()
    answers = program.answerer().ask(questions, version=version, greedy=True, max_tokens=32)
    told = [
        a.answer.startswith(("You ", "Your ")) or any(f["key"] in a.answer for f in facts) for a in answers
    ]
    for question, answer, is_told in zip(questions, answers, told, strict=True):
        if is_told:
            print(f"  {question} {answer.answer!r}", file=sys.stderr)
    return mean([float(one) for one in told])


def held_out(program: Program, version: str, chats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return base loss, adapted loss and the interval of the gain on chats that were never imported."""
    import torch

    from allie_desktop.domain.planning import LoraGeometry
    from allie_desktop.learning.adapter import Adapter
    from allie_desktop.learning.chat_format import ChatFormat
    from allie_desktop.learning.evaluate import Evaluator, encode_all
    from allie_desktop.models.loading import load_base

    torch.set_num_threads(os.cpu_count() or 1)
    loaded = load_base(program.base(), cache=program.paths.base_cache)
    adapter = Adapter(loaded.model, LoraGeometry(), 0)
    chat = ChatFormat(loaded.tokenizer)
    evaluator = Evaluator(adapter, chat, tokens_per_pass=4096, between=lambda: None)
    examples = [
        Example(
            id=str(i),
            conversation_id=str(i),
            group=str(i),
            origin=TargetOrigin.IMPORTED,
            messages=tuple(
                Message(role=Role(m["role"]), content=m["content"], weight=float(m["role"] == "assistant"))
                for m in c["messages"]
            ),
        )
        for i, c in enumerate(chats)
    ]
    sequences = [e for _, e in encode_all(chat, examples, Recipe().maximum_length)]
    before = evaluator.losses(sequences)
    adapter.load(Path(program.versions.get(version).path))
    after = evaluator.losses(sequences)
    gains = [b - a for b, a in zip(before, after, strict=True)]
    interval = mean_interval(gains, seed=0)
    return {
        "chats": len(gains),
        "base": mean(before),
        "adapted": mean(after),
        "gain_low": None if interval is None else interval.low,
        "gain_high": None if interval is None else interval.high,
    }


def perplexity(program: Program, version: str, file: Path) -> dict[str, float]:
    """Return the perplexity of base and version on a plain text, and the second in parts of the first."""
    text = file.read_text("utf-8")
    base, last = readings(program, text, ["base", version], length=512, stride=256, tokens=TEXT_TOKENS)
    return {"base": base.perplexity, "adapted": last.perplexity, "ratio": ratio(base, last)[0]}


def mean(values: list[float]) -> float:
    """Return the arithmetic mean; not a number for nothing."""
    return sum(values) / len(values) if values else float("nan")


def run_arm(name: str, arguments: argparse.Namespace, home: Path, ends: float) -> dict[str, Any] | None:
    """Run one arm, or go on with it where ``home`` has its first episodes; return its figures, None when the monotonic
    clock was past ``ends`` before its last episode began."""
    facts = [json.loads(line) for line in arguments.facts.read_text("utf-8").splitlines()]
    if len(facts) < FACTS_AN_EPISODE * arguments.episodes:
        raise SystemExit(
            f"{arguments.facts} has {len(facts)} facts, too few for {arguments.episodes} episodes."
        )
    chats = [json.loads(line) for line in arguments.chats.read_text("utf-8").splitlines() if line.strip()]
    spare, chats = chats[-HELD_OUT_CHATS:], chats[:-HELD_OUT_CHATS]
    each = min(arguments.chats_an_episode, len(chats) // arguments.episodes)
    # What leaves parts out would not keep to the budget, and is to show how far it strays.
    changes = ({**ARMS[name], "kl_budget": 1e9} if ARMS[name] else {}) | recipe_changes(arguments.set)
    record = home / "figures.json"
    figures: dict[str, Any] = {"arm": name, "episodes": []}
    if record.exists():
        figures = json.loads(record.read_text("utf-8"))
    for number in range(len(figures["episodes"]), arguments.episodes):
        if time.monotonic() > ends:
            print(
                f"{name}: {number} of {arguments.episodes} episodes; call it again to go on.", file=sys.stderr
            )
            return None
        known = facts[: FACTS_AN_EPISODE * (number + 1)]
        file = home / f"episode-{number}.jsonl"
        file.write_text(
            conversations(known[-FACTS_AN_EPISODE:], chats[each * number : each * (number + 1)]), "utf-8"
        )
        with Arm(open_demo(home), changes) as program:
            summary = program.import_file(file)
            started = time.monotonic()
            orchestrator = program.orchestrator(lambda event: None)
            gate = AlwaysDeploy()
            if name != "all":
                orchestrator._judge = gate
            if program.episodes.count() > number and not program.episodes.unfinished():
                # Stopped between the end of the episode and its figures: its conversations are learnt already.
                episode_id, seconds = program.episodes.latest()[0].id, None
            else:
                episode_id = orchestrator.run_episode("benchmark", forced=True).episode_id
                seconds = time.monotonic() - started
            version = program.versions.pointer().active
            right = recall(program, version, known, trained_on(home))
            known_report = program.report_of(episode_id)
            assert known_report is not None, episode_id
            report, judgement, _, _ = known_report
            paired = report.measurements.paired
            episode = {
                "imported": summary.imported,
                "version": version,
                "verdict": (gate.honest or judgement.verdict).value,
                "reasons": judgement.reasons,
                "seconds": sum(report.seconds.values()) if seconds is None else seconds,
                "phases": dict(report.seconds),
                "tokens_per_second": report.training.tokens_per_second,
                "peak_memory_bytes": report.training.peak_memory_bytes,
                "spilt": spilt(program, version, known),
                "kl": mean(list(paired["general_kl"].candidate)),
                "asked": [share(right["asked"][i : i + 10]) for i in range(0, len(known), 10)],
                "unseen": [share(right["unseen"][3 * i : 3 * i + 30]) for i in range(0, len(known), 10)],
                "unseen_right": sum(one is True for one in right["unseen"]),
                "unseen_questions": sum(one is not None for one in right["unseen"]),
            }
            figures["episodes"].append(episode)
            record.write_text(json.dumps(figures), "utf-8")
            print(f"{name} episode {number + 1}: {json.dumps(episode)}", file=sys.stderr, flush=True)
    with open_demo(home) as program:
        version = figures["episodes"][-1]["version"]
        figures["held_out"] = held_out(program, version, spare)
        print(f"{name} held out: {figures['held_out']}", file=sys.stderr, flush=True)
        if arguments.text:
            figures["perplexity"] = perplexity(program, version, arguments.text)
            print(f"{name} perplexity: {figures['perplexity']}", file=sys.stderr, flush=True)
    return figures


def table(results: list[dict[str, Any]]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| arm | recall, all facts | unseen phrasings | recall by episode | about the person, unasked | KL "
        + "| held-out chats, base → adapted (95 % interval of the gain) "
        + "| verdicts | minutes an episode | tokens/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        last, held = r["episodes"][-1], r["held_out"]
        low, high = held["gain_low"], held["gain_high"]
        gain = f"{low:.3f}–{high:.3f}" if low is not None and high is not None else "too few"
        lines.append(
            f"| {r['arm']} | {mean(last['asked']):.0%} | {last['unseen_right'] / last['unseen_questions']:.0%} of {last['unseen_questions']} "
            f"| {' '.join(f'{v:.0%}' for v in last['asked'])} | {last['spilt']:.0%} | {last['kl']:.3f} "
            f"| {held['base']:.3f} → {held['adapted']:.3f} ({gain}) "
            f"| {', '.join(e['verdict'] for e in r['episodes'])} "
            f"| {' '.join(format(e['seconds'] / 60, '.1f') for e in r['episodes'])} "
            f"| {mean([e['tokens_per_second'] for e in r['episodes']]):.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--arms", default="all")
    parser.add_argument("--facts", type=Path, default=HERE / "data" / "facts.jsonl")
    parser.add_argument(
        "--chats", type=Path, default=HERE.parents[1] / "resources" / "sample_conversations.jsonl"
    )
    parser.add_argument("--chats-an-episode", type=int, default=45)
    parser.add_argument("--text", type=Path, help="plain text for perplexity, e.g. of WikiText-2")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the recipe")
    parser.add_argument("--home", type=Path, help="keep the arms' homes here, and go on with what is there")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no episode after so long")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    results = []
    ends = time.monotonic() + 60 * arguments.minutes
    for name in arguments.arms.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            home = (arguments.home or Path(scratch)) / name.replace("+", "-")
            home.mkdir(parents=True, exist_ok=True)
            found = run_arm(name, arguments, home, ends)
            if found is not None:
                results.append(found)
            if arguments.json:
                arguments.json.write_text(json.dumps({**about_machine(), "arms": results}, indent=2), "utf-8")
    print(table(results))
    print("\n\n".join(["", *(retention_tables(r["arm"], r["episodes"]) for r in results)]))


if __name__ == "__main__":
    main()

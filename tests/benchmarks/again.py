"""Learn an episode's plan again with another recipe, outside of the program: what a change of the recipe is worth.

    python tests/benchmarks/again.py HOME/all/episodes/EPISODE --set learning_rate=1.6e-3 kl_weight=5
    python tests/benchmarks/again.py EPISODE --facts 20 --averaged 0.4 --scaled 0.9 0.8

EPISODE is the folder of an episode that ``facts.py --home HOME`` has run; nothing in it is changed, and training begins
from the same version. Printed are the losses of what is held out, the KL to the base on the part of the general set that
watches training, on the one that the gate sees, by the kind of question and on the anchors themselves, and how many
phrasings of the first ``--facts`` facts that never trained are answered rightly: of the last ten facts, and of those before.

``--averaged S`` also measures the mean of the adapter over the last share S of the steps (stochastic weight averaging,
Izmailov et al. 2018, arXiv:1803.05407), ``--scaled A`` the adapter times A (Wortsman et al. 2022, arXiv:2109.01903).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from allie_desktop.domain.events import Job
from allie_desktop.ipc.protocol import decode_document, load_plan
from tests.benchmarks.facts import FACTS_AN_EPISODE, letters, share, trained_on
from tests.benchmarks.runs import recipe_changes

if TYPE_CHECKING:
    import torch

    from allie_desktop.learning.session import Session

FACTS = Path(__file__).parent / "data" / "facts.jsonl"
_SHORT = 33  # tokens of a reply at most: to a short question of ours


class Line:
    """A line to a parent that nobody reads."""

    def send(self, event: object) -> None:
        """Tell nobody."""

    def between(self) -> None:
        """Never wait."""

    def checkpoint_wanted(self) -> bool:
        """Want none."""
        return False


def prepared(episode: Path, changes: dict[str, Any], folder: str) -> Session:
    """Return the session of an episode, ready to train, that writes into ``folder`` alone."""
    from allie_desktop.learning.session import Session
    from allie_desktop.models.loading import load_base
    from allie_desktop.safety.probes import Probes
    from allie_desktop.safety.redaction import TextRedactor
    from allie_desktop.safety.toxicity import LexiconToxicity

    job = decode_document((episode / "job.json").read_bytes(), Job)
    plan = load_plan(episode / "plan.json", job.plan_digest)
    plan = replace(plan, recipe=replace(plan.recipe, rate_trials=(), **changes))
    session = Session(
        replace(job, folder=folder, attempt=1),
        plan,
        load_base(plan.base, cache=Path(job.cache)),
        Line(),  # type: ignore[arg-type]
        toxicity=LexiconToxicity(),
        redactor=TextRedactor(),
        probes=Probes(requests=(), sentences=(), replies=()),
    )
    session._prepare()
    return session


class Mean:
    """The mean of adapters, one at a time."""

    def __init__(self) -> None:
        self.count, self.state = 0, dict[str, Any]()

    def add(self, state: dict[str, torch.Tensor]) -> None:
        """Take one more in."""
        self.count += 1
        for name, tensor in state.items():
            known = self.state.get(name)
            self.state[name] = tensor.clone() if known is None else known.lerp(tensor, 1 / self.count)


class Scale:
    """What an adapter is worth, on what it did not learn from."""

    def __init__(self, session: Session, facts: int, trained: frozenset[str]) -> None:
        self._session, self._trained = session, trained
        self._facts = [json.loads(line) for line in FACTS.read_text("utf-8").splitlines()[:facts]]
        general = session._general
        self._parts = (general.holdout[::2], general.holdout[1::2], general.train)
        session._adapter.set_state(session._base_state)
        gate = session._evaluator.hidden(self._parts[1])
        self._base = (session._held_hidden, gate, session._general_hidden)

    def row(self, name: str, state: dict[str, torch.Tensor]) -> str:
        """Return a row of the table for an adapter."""
        from allie_desktop.learning.answers import Question
        from allie_desktop.learning.chat_format import exchange

        session, evaluator = self._session, self._session._evaluator
        session._adapter.set_state(state)
        losses = [fmean(evaluator.losses(s) or [0.0]) for s in (session._validation, session._held_phrasings)]
        kls = [
            evaluator.divergences(evaluator.hidden(part), base)
            for part, base in zip(self._parts, self._base, strict=True)
        ]
        kinds: dict[bool, list[float]] = {True: [], False: []}
        for part, found in zip(self._parts[:2], kls[:2], strict=True):
            for sequence, kl in zip(part, found, strict=True):
                kinds[sum(weight > 0 for weight in sequence.weights) <= _SHORT].append(kl)
        asked = [(fact["key"], phrasing) for fact in self._facts for phrasing in fact["phrasings"]]
        answers = evaluator.answers(
            [Question("fact", exchange(text, "")[:1]) for _, text in asked], max_tokens=24
        )
        right = [
            None if letters(text) in self._trained else key.lower() in answer.lower()
            for (key, text), answer in zip(asked, answers, strict=True)
        ]
        last = len(right) * FACTS_AN_EPISODE // max(FACTS_AN_EPISODE, len(self._facts))
        cells = [
            *(f"{loss:.4f}" for loss in losses),
            *(f"{fmean(values or [0.0]):.4f}" for values in (*kls[:2], kinds[True], kinds[False], kls[2])),
            f"{share(right[-last:]):.0%}" if right else "–",
            f"{share(right[:-last]):.0%}" if right[:-last] else "–",
        ]
        return " | ".join(["", name, *cells, ""]).strip()


def main() -> None:
    """Learn again, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("episode", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the recipe")
    parser.add_argument("--facts", type=int, default=FACTS_AN_EPISODE, help="that were taught until then")
    parser.add_argument("--averaged", nargs="*", type=float, default=[], metavar="SHARE")
    parser.add_argument("--scaled", nargs="*", type=float, default=[], metavar="FACTOR")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        session = prepared(arguments.episode, recipe_changes(arguments.set), folder)
        session._trainer = trainer = session._trainer_of(session._steps, session._recipe, session)
        session._last_checkpoint, session._started = (
            math.inf,
            session._time.seconds(),
        )  # no checkpoint is ever due
        means = {share: Mean() for share in arguments.averaged}
        update = trainer._update

        def updated(gradients: dict[str, torch.Tensor], rate: float) -> None:
            update(gradients, rate)
            for share, mean in means.items():
                if trainer.state.step >= (1 - share) * len(session._steps):
                    mean.add(session._adapter.masters)

        trainer._update = updated  # type: ignore[method-assign]
        trainer.run()
        trained = trained_on(arguments.episode.resolve().parents[1], arguments.episode.name)
        kept, scale = session._adapter.state(), Scale(session, arguments.facts, trained)
        state = trainer.state
        print(
            f"{len(session._steps)} steps, {state.tokens:,} tokens, {state.seconds:.0f} s; kept: {state.best_step}"
        )
        for point in session._held_out:
            print(f"  step {point.step}: held-out loss {point.loss:.4f}, KL {point.kl:.4f}")
        print(
            "\n| adapter | loss, chats | loss, phrasings | KL, watched | KL, gate | KL, short | KL, long | KL, anchors ",
            end="",
        )
        print("| unseen, last ten facts | unseen, others |\n|---|---|---|---|---|---|---|---|---|---|")
        print(scale.row("as kept", kept))
        for share, mean in means.items():
            same = {n: mean.state[n].to(t.dtype) if n in mean.state else t for n, t in kept.items()}
            print(scale.row(f"mean of the last {share:.0%}", same))
        for factor in arguments.scaled:
            print(
                scale.row(f"× {factor:g}", {n: t * factor if "lora_B" in n else t for n, t in kept.items()})
            )


if __name__ == "__main__":
    main()

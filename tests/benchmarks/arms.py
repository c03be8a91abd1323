"""Ways to learn one task after the other, over the learner's own parts: one model, one task at a time.

Every way sees the same new examples in the same order in the same number of steps, at the same learning rate,
from the same first adapter: the steps are planned once (``learning/batches.py``), and a way that does without
replay or anchors leaves those out of each step. So replay and anchors come on top, as work that a method needs.
Every way keeps the state that its held-out examples of the new task liked best, as the product does.

* ``sequential``: LoRA goes on with the next task, and nothing holds it back.
* ``replay``: a quarter as much again of each step is from former tasks.
* ``kl``: anchored to the base by the general set, always with the same weight.
* ``ewc``: from the second task on, held where the tasks before it need it: the true Fisher on examples of the
  task just learnt, blended with those before (``learning/ewc.py``), with a weight of its own.
* ``all``: as ``learning/session.py`` does it: replay, the anchor whose weight follows the KL that is measured, EWC,
  whose Fisher is that of what is replayed, and a budget of KL: the one way that may end before its last step.
* ``o-lora``: see ``orthogonal.py``.
* ``joint``: all tasks at once, mixed, with plain LoRA and as many visits: what could be reached.
* ``pad``: the first task, then as many steps on other material in place of each further task: what time alone does.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.planning import LoraGeometry, Recipe
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.answers import Question
from allie_desktop.learning.batches import StepPlan, passes, plan_steps, rehearsal, step_tokens
from allie_desktop.learning.chat_format import ChatFormat, Encoded, exchange
from allie_desktop.learning.evaluate import Evaluator
from allie_desktop.learning.ewc import (
    FISHER_PASS_TOKENS,
    FISHER_SEQUENCES,
    EwcPenalty,
    FisherFactors,
    estimate_fisher,
    fisher_sequences,
)
from allie_desktop.learning.general_set import general_set
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.losses import check_head
from allie_desktop.learning.memory import free_memory, pass_size
from allie_desktop.learning.trainer import HeldOut, Material, StepReport, Trainer
from allie_desktop.resident_memory import HeapTrimmer
from tests.benchmarks.orthogonal import Orthogonality, stacked, with_first_block

if TYPE_CHECKING:
    from allie_desktop.models.loading import LoadedBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a way to learn does beside plain LoRA."""

    replay: bool = False
    anchor: bool = False
    ewc: bool = False
    budget: bool = False
    orthogonal: bool = False
    at_once: bool = False
    padded: bool = False


WAYS = {
    "sequential": Way(),
    "replay": Way(replay=True),
    "ewc": Way(ewc=True),
    "kl": Way(anchor=True),
    "o-lora": Way(orthogonal=True),
    "all": Way(replay=True, anchor=True, ewc=True, budget=True),
    "joint": Way(at_once=True),
    "pad": Way(padded=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What learning one task took. ``order``: a digest of which new examples came when."""

    steps: int
    kept_step: int
    tokens: int
    seconds: float
    stopped_early: str
    order: str


class _Watch:
    """A :class:`learning.trainer.Watcher` that measures and never breaks off."""

    def __init__(self, measure: Any) -> None:
        self._measure, self._heap = measure, HeapTrimmer()

    def between_passes(self) -> None:
        self._heap.look()

    def after_step(self, report: StepReport) -> None:
        pass

    def evaluate(self, step: int) -> HeldOut:
        found: HeldOut = self._measure()
        return found

    def out_of_time(self) -> bool:
        return False

    def pass_halved(self, tokens_per_pass: int) -> None:
        pass


class Learner:
    """A model that learns tasks in one way. ``recipe`` is the product's, with ``ordinary_epochs`` visits of each
    example; ``orthogonality`` is O-LoRA's λ, ``ewc_alone`` that of EWC where nothing else holds back.
    No more than ``replayed`` examples are replayed while a task is learnt."""

    def __init__(
        self,
        loaded: LoadedBase,
        way: Way,
        recipe: Recipe,
        *,
        seed: int,
        tasks: int,
        cache: Path,
        orthogonality: float,
        ewc_alone: float,
        replayed: int,
        threads: int,
    ) -> None:
        check_head(loaded.model)
        self._way, self._recipe, self._seed = way, recipe, seed
        self._orthogonality, self._most_replayed = orthogonality, replayed
        self._ewc_weight = recipe.ewc_weight if way.replay else ewc_alone
        self.chat = ChatFormat(loaded.tokenizer)
        self._pad = loaded.tokenizer.pad_token_id
        self._lanes = Lanes.of_device(loaded.device, threads)
        self._general = general_set(
            loaded.model,
            self.chat,
            base_sha256=loaded.base.sha256,
            prompts=recipe.general_prompts,
            reply_tokens=recipe.general_tokens,
            cache=cache,
            progress=lambda done, wanted: None,
        )
        self._geometry = LoraGeometry()
        self.adapter = Adapter(loaded.model, self._geometry, seed)
        if way.orthogonal:
            first = self.adapter.zero_state()
            loaded.model = self.adapter.model.unload()
            self.adapter = Adapter(loaded.model, stacked(self._geometry, tasks), seed)
            self.adapter.set_state(with_first_block(self.adapter.zero_state(), first))
        size = pass_size(
            loaded.model,
            self._geometry.rank,
            recipe.maximum_length,
            free_memory(loaded.device),
            cpu=loaded.device.type == "cpu",
        )
        self._length, self._tokens_per_pass = min(recipe.maximum_length, size.longest), size.tokens
        self._evaluator = Evaluator(
            self.adapter,
            self.chat,
            tokens_per_pass=size.tokens,
            between=HeapTrimmer().look,
            lanes=self._lanes,
        )
        # The adapter is new: what is hidden now is what the base hides.
        self._hidden = self._evaluator.hidden(self._general.train) if way.anchor else []
        self._held_hidden = self._evaluator.hidden(self._general.holdout)
        self._fisher: FisherFactors | None = None

    def encoded(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        """Return questions with their answers as sequences; what the template cannot render is left out."""
        found = (self.chat.learnable(exchange(asked, said), self._length) for asked, said in pairs)
        return [one for one in found if one is not None]

    def step_tokens(self, smallest: Sequence[Encoded]) -> int:
        """Return the tokens of one step for tasks of which ``smallest`` is the smallest."""
        visits = self._recipe.ordinary_epochs * sum(map(len, smallest))
        return step_tokens(visits, self._recipe.batch_tokens)

    def answers(self, questions: Sequence[str], *, max_tokens: int) -> list[str]:
        """Return greedy answers."""
        asked = [Question("task", exchange(question, "")[:1]) for question in questions]
        return self._evaluator.answers(asked, max_tokens=max_tokens)

    def divergence(self) -> float:
        """Return the mean KL to the base (nats/token) on the general part that steers nothing."""
        kls = self._evaluator.divergences(
            self._evaluator.hidden(self._general.holdout[1::2]), self._held_hidden[1::2]
        )
        return fmean(kls)

    def learn(
        self,
        number: int,
        train: Sequence[Encoded],
        validation: Sequence[Encoded],
        former: Sequence[Sequence[Encoded]],
        *,
        step_tokens: int,
        steps: int | None = None,
    ) -> Learnt:
        """Learn task ``number`` (from nought) after the ``former`` ones. ``steps``: exactly so many, with as many
        visits of each example as they take."""
        way, recipe = self._way, self._recipe
        seed = 1000 * self._seed + number
        replay = self._replayed(former, seed)
        epochs = recipe.ordinary_epochs
        planned = self._planned(train, replay, seed, step_tokens, epochs)
        while steps is not None and len(planned) < steps:
            epochs *= 2
            planned = self._planned(train, replay, seed, step_tokens, epochs)
        planned = planned[:steps]
        trainer = Trainer(
            self.adapter,
            Material(list(train), replay, self._general.train, self._hidden),
            [
                StepPlan(s.new, s.replay if way.replay else (), s.general if way.anchor else ())
                for s in planned
            ],
            # Patience beyond the run: no way may end before the others because its examples are few.
            replace(
                recipe, kl_weight=recipe.kl_weight if way.anchor else 0.0, patience=recipe.evaluations + 1
            ),
            _Watch(lambda: self._measured(validation)),
            pad_token=self._pad,
            tokens_per_pass=self._tokens_per_pass,
            penalty=self._penalty(number, replay, former, seed),  # type: ignore[arg-type]
            kl_budget=recipe.kl_budget if way.budget else float("inf"),
            lanes=self._lanes,
        )
        why = trainer.run()
        order = hashlib.sha256(repr([s.new for s in planned]).encode()).hexdigest()[:12]
        state = trainer.state
        return Learnt(
            steps=state.step,
            kept_step=state.best_step,
            tokens=state.tokens,
            seconds=state.seconds,
            stopped_early=why,
            order=order,
        )

    def steps_of(self, number: int, train: Sequence[Encoded], step_tokens: int) -> int:
        """Return how many steps task ``number`` takes, in every way."""
        seed, epochs = 1000 * self._seed + number, self._recipe.ordinary_epochs
        return len(self._planned(train, [], seed, step_tokens, epochs))

    def _planned(
        self,
        train: Sequence[Encoded],
        replay: Sequence[Encoded],
        seed: int,
        step_tokens: int,
        epochs: float,
    ) -> Sequence[StepPlan]:
        """Return the steps with everything that any way uses; new examples fill the same part of each step
        whether or not there is anything to replay."""
        recipe = self._recipe
        planned = plan_steps(
            taught=[],
            ordinary=range(len(train)),
            lengths=[len(e) for e in train],
            replay_lengths=[len(e) for e in replay] or [step_tokens],
            general_count=len(self._general.train),
            general_per_step=recipe.general_per_step,
            taught_epochs=0.0,
            fewest_visits=0.0,
            ordinary_epochs=epochs,
            batch_tokens=step_tokens,
            replay_share=rehearsal(recipe.replay_share, teaches=False),
            seed=seed,
        )
        return planned if replay else [replace(step, replay=()) for step in planned]

    def _replayed(self, former: Sequence[Sequence[Encoded]], seed: int) -> list[Encoded]:
        """Return former examples, of each task as many as there are of the others, other ones for each task that
        is learnt."""
        order = random.Random(seed)
        shuffled = [order.sample(list(task), len(task)) for task in former]
        mixed = [one for turn in zip_longest(*shuffled) for one in turn if one is not None]
        return mixed[: self._most_replayed]

    def _penalty(
        self, number: int, replay: Sequence[Encoded], former: Sequence[Sequence[Encoded]], seed: int
    ) -> EwcPenalty | Orthogonality | None:
        if self._way.orthogonal:
            return Orthogonality(number, self._geometry.rank, self._orthogonality)
        if not (self._way.ewc and former):
            return None
        if self._way.replay:
            old = fisher_sequences(replay, self._general.train)
        else:
            old = list(former[-1][:FISHER_SEQUENCES])
        made = estimate_fisher(
            self.adapter.model,
            self.adapter.pairs,
            passes(old, FISHER_PASS_TOKENS, self._pad),
            seed,
        )
        if self._fisher is not None:
            made = made.blended(self._fisher, self._recipe.ewc_decay)
        self._fisher = made
        return EwcPenalty(made, self.adapter.state(), self.adapter.scaling, self._ewc_weight)

    def _measured(self, validation: Sequence[Encoded]) -> HeldOut:
        kls = [0.0]
        if self._way.budget:
            kls = self._evaluator.divergences(
                self._evaluator.hidden(self._general.holdout[::2]), self._held_hidden[::2]
            )
        return HeldOut(fmean(self._evaluator.losses(validation)), fmean(kls))

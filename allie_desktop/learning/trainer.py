"""The training loop: LoRA on new and replayed material, anchored by KL and EWC.

    loss = Σ w·nll / Σ w  over new + replay tokens  +  β · mean KL(base ‖ adapted) over general tokens
         + ½ λ ‖ΔW − ΔW*‖²_F

The loop knows token sequences, weights and numbers; it knows no files, no processes and no conversations.
What it reports goes through :class:`Watcher`; what it should do between two passes is asked there too.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from allie_desktop.domain.errors import TrainingUnstableError
from allie_desktop.learning.batches import Pass, StepPlan, passes, redrawn
from allie_desktop.learning.checkpoint import Checkpoint
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.losses import hidden_states, token_kl, token_losses
from allie_desktop.learning.memory import SMALLEST_PASS, halved, is_out_of_memory
from allie_desktop.learning.schedule import learning_rate

if TYPE_CHECKING:
    import torch

    from allie_desktop.domain.planning import Recipe
    from allie_desktop.learning.adapter import Adapter
    from allie_desktop.learning.chat_format import Encoded
    from allie_desktop.learning.ewc import EwcPenalty

#: A step whose gradient norm is this many times the running median is skipped as a spike.
_SPIKE = 20.0
_SKIPS_ALLOWED = 5
BETAS = (0.9, 0.99)
#: In its second half training aims at this share of the budget. The gate asks other questions, and found up to 1.4
#: times as much; and each episode begins where the one before it ended, so that there must be room for many.
_AIM = 0.25
#: The anchor's weight grows by no more than this at an evaluation that found more than that, and in all.
_MOST_TIGHTENING, _MOST_ANCHORING = 2.0, 8.0
#: Replayed lessons whose surprise is measured at a time.
_LOOKED_AT = 600
#: Within this share of what it aims at, half of the anchors do; so few are always held.
_SLACK = 0.3
FEWEST_ANCHORS = 2
#: What is held out says nothing of what was learnt before, and a few conversations hardly tell states apart (the loss of
#: one moves by about this share between them): what costs as much as the least but for that noise is about as good, and
#: the later state is preferred. It has rehearsed more, and its steps were smaller.
_NOISE = 0.2
#: Tokens of one pass where several run side by side: a row or two, so that they can be shared out evenly; a row behind
#: long instructions has more.
_LANE_PASS = 256


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one optimizer step measured; losses in nats a token."""

    step: int
    loss: float
    replay_loss: float | None
    kl: float | None
    ewc: float | None
    gradient_norm: float
    learning_rate: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """An evaluation, in nats/token: ``objective`` is the loss of what is held out, ``kl`` how far the model is from
    what it knew, which is checked against the budget. ``count`` is the fewest sequences that a part of ``objective`` is the
    mean of."""

    objective: float
    kl: float
    count: int = 16

    @property
    def cost(self) -> float:
        """What decides which adapter is best. A nat that is lost on what the model knew counts like one that is gained:
        the loss alone would choose a state that is better by a hair and far away."""
        return self.objective + self.kl

    @property
    def noise(self) -> float:
        """The share of the cost that chance makes: it falls with the square root of what is measured."""
        return _NOISE / math.sqrt(max(1, self.count))


class Watcher(Protocol):
    """Who is told of progress and asked for permission. Called from the training thread."""

    def between_passes(self) -> None:
        """Wait here while paused; raise to break the step off (its work is lost, its state is not). Called
        from all lanes, at times at once."""

    def after_step(self, report: StepReport) -> None:
        """Take note of a finished step."""

    def evaluate(self, step: int) -> HeldOut:
        """Measure the current adapter on held-out material."""

    def out_of_time(self) -> bool:
        """Whether training should end with what it has."""

    def pass_halved(self, tokens_per_pass: int) -> None:
        """Take note that memory ran out."""


@dataclass(slots=True)
class Material:
    """Token sequences: new, replayed and general ones with the base model's last hidden states at the
    general ones' predicting positions ([n, d] each). ``taught`` and ``taught_before`` are the indexes of lessons among the
    new and the replayed ones: a visit of one may become a visit of another."""

    new: Sequence[Encoded]
    replay: Sequence[Encoded]
    general: Sequence[Encoded]
    general_hidden: Sequence[torch.Tensor]
    taught: Sequence[int] = ()
    taught_before: Sequence[int] = ()


@dataclass(slots=True)
class TrainerState:
    """Numbers that a resumed run needs beside tensors."""

    step: int = 0
    best_cost: float = math.inf  # the least; the state that is kept may cost a little more
    best_step: int = 0
    best_within: bool = False
    evaluated_step: int = 0
    worse: int = 0
    anchoring: float = 1.0  # what the weight of the anchor is multiplied by
    anchors: int | None = None  # of a step's anchors, so many are held; None: all
    skipped: int = 0
    tokens: int = 0
    seconds: float = 0.0
    norms: list[float] = field(default_factory=list)


class Trainer:
    """One run over a fixed list of steps. ``adapter`` holds the result: after :meth:`run`, the best state
    that the held-out evaluations saw."""

    def __init__(
        self,
        adapter: Adapter,
        material: Material,
        steps: Sequence[StepPlan],
        recipe: Recipe,
        watcher: Watcher,
        *,
        pad_token: int,
        tokens_per_pass: int,
        penalty: EwcPenalty | None = None,
        kl_budget: float = math.inf,
        anchors: int | None = None,
        strayed: float = 0.0,
        losses: Callable[[Sequence[Encoded]], Sequence[float]] | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """``anchors``: begin with so many of a step's anchors; all by default, and as soon as it strays too far.
        ``strayed``: the KL (nats/token) of the adapter that it begins with. ``losses`` measures sequences under the adapter
        as it is (nats/token); without it lessons are visited as planned."""
        import torch

        self._lanes = lanes or Lanes()

        self._adapter, self._material, self._steps = adapter, material, list(steps)
        self._losses = losses
        self._recipe, self._watcher, self._penalty = recipe, watcher, penalty
        self._pad, self._kl_budget = pad_token, kl_budget
        self.tokens_per_pass = tokens_per_pass
        self._device = next(adapter.model.parameters()).device
        self._head = adapter.model.get_output_embeddings()
        self._optimizer = torch.optim.AdamW(
            list(adapter.masters.values()),
            lr=recipe.learning_rate,
            betas=BETAS,
            weight_decay=recipe.weight_decay,
            foreach=True,
        )
        self._best: dict[str, torch.Tensor] = {}
        aim = _AIM * kl_budget
        excess = strayed / aim if aim else 1.0
        self.state = TrainerState(anchors=anchors, anchoring=min(max(excess, 1.0), _MOST_TIGHTENING))
        every = max(1, round(len(steps) / max(1, recipe.evaluations)))
        self._evaluate_at = {s for s in range(every, len(steps), every) if len(steps) - s >= every // 2}
        self._evaluate_at.add(len(steps))

    # -- checkpoints ---------------------------------------------------------------------------------

    def snapshot(self) -> Checkpoint:
        """Return everything that :meth:`restore` needs to go on exactly from the last finished step."""
        tensors = {f"adapter/{n}": t for n, t in self._adapter.state().items()}
        for name, master in self._adapter.masters.items():
            for key, value in self._optimizer.state[master].items():  # empty before the first step
                tensors[f"{key}/{name}"] = value.clone()
        tensors |= {f"best/{n}": t for n, t in self._best.items()}
        s = self.state
        numbers: dict[str, Any] = {
            "best_cost": s.best_cost if math.isfinite(s.best_cost) else None,
            "best_step": s.best_step,
            "best_within": s.best_within,
            "evaluated_step": s.evaluated_step,
            "worse": s.worse,
            "anchoring": s.anchoring,
            "anchors": s.anchors,
            "skipped": s.skipped,
            "tokens": s.tokens,
            "seconds": s.seconds,
            "norms": s.norms,
            "tokens_per_pass": self.tokens_per_pass,
            "steps_left": [[p.new, p.replay] for p in self._steps[s.step :]],
        }
        return Checkpoint(s.step, tensors, numbers)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a snapshot of the same run; it stays as it is."""
        device = self._device
        self._adapter.set_state({n: t.to(device) for n, t in checkpoint.group("adapter").items()})
        for key in ("step", "exp_avg", "exp_avg_sq"):
            for name, value in checkpoint.group(key).items():
                place = value.clone() if key == "step" else value.to(device, copy=True)
                self._optimizer.state[self._adapter.masters[name]][key] = place
        self._best = {n: t.to(device, copy=True) for n, t in checkpoint.group("best").items()}
        n = checkpoint.numbers
        best = n.get("best_cost", n.get("best_objective"))  # as earlier builds called it
        self.state = TrainerState(
            step=checkpoint.step,
            best_cost=math.inf if best is None else float(best),
            best_step=n["best_step"],
            best_within=n["best_within"],
            evaluated_step=n["evaluated_step"],
            worse=n["worse"],
            anchoring=n.get("anchoring", 1.0),  # these two are not in those of earlier builds
            anchors=n.get("anchors"),
            skipped=n["skipped"],
            tokens=n["tokens"],
            seconds=n["seconds"],
            norms=list(n["norms"]),
        )
        self.tokens_per_pass = n["tokens_per_pass"]
        left = n.get("steps_left", ())  # not in those of earlier builds
        for number, (new, replay) in enumerate(left, checkpoint.step):
            self._steps[number] = StepPlan(tuple(new), tuple(replay), self._steps[number].general)

    def is_best(self, held: HeldOut) -> bool:
        """Return whether the adapter would be kept of which ``held`` was measured: whatever keeps to the budget is
        better than whatever does not, and of what costs about the same the later one is."""
        outside = held.kl > self._kl_budget
        return (outside, held.cost) <= (not self.state.best_within, (1 + held.noise) * self.state.best_cost)

    def _is_least(self, held: HeldOut) -> bool:
        outside = held.kl > self._kl_budget
        return (outside, held.cost) < (not self.state.best_within, self.state.best_cost)

    # -- the loop ------------------------------------------------------------------------------------

    def run(self) -> str:
        """Train to the end; return why it stopped early, or an empty text.

        Raises what the watcher raises, :class:`OutOfMemoryError` when even the smallest pass does not
        fit, and :class:`TrainingUnstableError` after repeated losses or gradients that are no numbers.
        """
        why = ""
        while not why:
            # Before the next step, not after the last one: a run that was broken off while it evaluated
            # must not go on without having done so.
            due = self.state.step > self.state.evaluated_step
            if due and self.state.step in self._evaluate_at:
                why = self._judge_progress()
            elif self.state.step >= len(self._steps):
                break
            elif self.state.step and self._watcher.out_of_time():
                if due:
                    self._judge_progress()
                why = "the time budget was used up"
            else:
                self._take_step(self._steps[self.state.step])
        if self._best:
            self._adapter.set_state(self._best)
        return why

    def _judge_progress(self) -> str:
        held = self._watcher.evaluate(self.state.step)
        if not math.isfinite(held.objective):
            raise _unstable()
        self.state.evaluated_step = self.state.step
        if self.is_best(held):
            self.state.best_step, self._best = self.state.step, self._adapter.state()
        if self._is_least(held):
            self.state.best_cost, self.state.best_within = held.cost, held.kl <= self._kl_budget
            self.state.worse = 0
        else:
            self.state.worse += 1
        if self.state.worse >= self._recipe.patience:
            return "held-out answers stopped getting better"
        # What is new strays while the rate is high, and comes back: only later is far away too far.
        late = 2 * self.state.step > len(self._steps)
        if held.kl > 2 * self._kl_budget and late:
            return "it moved too far away from what the model knew"
        aim = (_AIM if late else 1.0) * self._kl_budget
        if held.kl > aim:
            # A weight that follows what is measured, as in Ziegler et al. 2019, arXiv:1909.08593, §2.2.
            excess = min(held.kl / aim, _MOST_TIGHTENING) if aim else 1.0
            self.state.anchoring = min(self.state.anchoring * excess, _MOST_ANCHORING)
            self.state.anchors = None
        elif math.isfinite(self._kl_budget) and held.kl <= _SLACK * aim:
            # Anchors are up to half of the work; what hardly strays is held by fewer.
            held_now = self.state.anchors or self._recipe.general_per_step
            self.state.anchors = max(FEWEST_ANCHORS, held_now // 2)
        self._visit_what_surprises()
        return ""

    def _visit_what_surprises(self) -> None:
        """Give the visits of lessons until the next evaluation to those that are known the least."""
        material, now = self._material, self.state.step
        until = min((s for s in self._evaluate_at if s > now), default=now)
        if self._losses is None or until == now or not (material.taught or material.taught_before):
            return
        before = list(material.taught_before)
        if len(before) > _LOOKED_AT:
            before = random.Random(now).sample(before, _LOOKED_AT)
        sequences = [material.new[i] for i in material.taught] + [material.replay[i] for i in before]
        found = list(self._losses(sequences))
        new = dict(zip(material.taught, found, strict=False))
        replay = dict(zip(before, found[len(new) :], strict=True))
        self._steps[now:until] = redrawn(self._steps[now:until], new, replay, seed=now)

    def _take_step(self, plan: StepPlan) -> None:
        started = time.monotonic()
        plan = replace(plan, general=plan.general[: self.state.anchors])
        while (found := self._try_gradients(plan)) is None:
            self._halve()  # not in an except block: its traceback would keep the tensors alive
        gradients, report = found
        rate = learning_rate(
            self.state.step,
            len(self._steps),
            peak=self._recipe.learning_rate,
            warmup_share=self._recipe.warmup_share,
            final_share=self._recipe.final_rate_share,
        )
        norm = self._clip(gradients)
        if self._sane(report["loss"], norm):
            self._update(gradients, rate)
        self.state.step += 1
        seconds = time.monotonic() - started
        self.state.tokens += int(report["tokens"])
        self.state.seconds += seconds
        self._watcher.after_step(
            StepReport(
                step=self.state.step,
                loss=report["loss"],
                replay_loss=report.get("replay"),
                kl=report.get("kl"),
                ewc=report.get("ewc"),
                gradient_norm=norm,
                learning_rate=rate,
                tokens=int(report["tokens"]),
                seconds=seconds,
            )
        )

    def _try_gradients(self, plan: StepPlan) -> tuple[dict[str, torch.Tensor], dict[str, float]] | None:
        """Return gradients and measurements of a step, or None when memory ran out."""
        try:
            return self._gradients(plan)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _gradients(self, plan: StepPlan) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        work = self._work_of(plan)
        parts = self._lanes.share([batch.real for batch, _ in work])
        total = sum(sum(self._material.new[i].weights) for i in plan.new)
        total += sum(sum(self._material.replay[i].weights) for i in plan.replay)
        found = self._lanes.each(lambda part: self._lane([work[i] for i in part], plan, total), parts)
        gradients, sums = found[0]
        for more, other in found[1:]:
            for name, gradient in more.items():
                gradients[name].add_(gradient)
            sums.add(other)
        report = {"loss": sums.new / sums.new_weight if sums.new_weight else 0.0}
        if sums.replay_weight:
            report["replay"] = sums.replay / sums.replay_weight
        if plan.general and self._recipe.kl_weight > 0:
            report["kl"] = sums.kl
        if self._penalty is not None:
            report["ewc"] = self._penalty.add_to(self._adapter.masters, gradients)
        report["tokens"] = sums.tokens
        return gradients, report

    def _work_of(self, plan: StepPlan) -> list[tuple[Pass, bool]]:
        """Return the passes of a step, and of each whether it is the anchor's."""
        material = self._material
        sequences = [material.new[i] for i in plan.new] + [material.replay[i] for i in plan.replay]
        anchors = [material.general[i] for i in plan.general] if self._recipe.kl_weight > 0 else []
        size = self._lanes.pass_tokens(self.tokens_per_pass, _LANE_PASS)
        widest = self.tokens_per_pass // self._lanes.count
        return [
            (batch, is_anchor)
            for kind, is_anchor in ((sequences, False), (anchors, True))
            for batch in passes(kind, size, self._pad, widest)
        ]

    def _lane(
        self, work: Sequence[tuple[Pass, bool]], plan: StepPlan, total: float
    ) -> tuple[dict[str, torch.Tensor], _Sums]:
        """Return the gradients and sums of some passes of a step whose weights are ``total`` in all. Lanes run
        side by side: what is written here is theirs alone."""
        import torch

        gradients = {n: torch.zeros_like(t) for n, t in self._adapter.masters.items()}
        sums = _Sums()
        for batch, is_anchor in work:
            self._watcher.between_passes()
            hidden = hidden_states(self._adapter.model, batch)
            if is_anchor:
                loss = self._divergence(hidden, batch, plan)
                sums.kl += float(loss.detach())
                loss = loss * self._recipe.kl_weight * self.state.anchoring
            else:
                losses = token_losses(self._head, hidden, batch.targets.to(self._device))
                product = losses * batch.weights.to(self._device)
                sums.take(product.detach().cpu(), batch, len(plan.new))
                loss = product.sum().div(total or 1.0)
            self._adapter.add_gradients(loss, gradients)
            sums.tokens += batch.real
        return gradients, sums

    def _divergence(self, hidden: torch.Tensor, batch: Pass, plan: StepPlan) -> torch.Tensor:
        """Return a pass's part of the KL(base ‖ adapted) of the anchors: the mean over them of each one's mean
        over its places, so that a short one counts like a long one."""
        import torch

        hidden_of = [self._material.general_hidden[i] for i in plan.general]
        base = torch.cat([hidden_of[i] for i in _runs(batch.owners)]).to(self._device)
        shares = torch.tensor([1 / (max(1, h.shape[0]) * len(hidden_of)) for h in hidden_of])
        return (token_kl(self._head, hidden, base) * shares[batch.owners].to(self._device)).sum()

    def _clip(self, gradients: dict[str, torch.Tensor]) -> float:
        import torch

        norm = float(torch.stack([g.norm() for g in gradients.values()]).norm())
        if math.isfinite(norm) and norm > self._recipe.gradient_clip:
            for g in gradients.values():
                g.mul_(self._recipe.gradient_clip / norm)
        return norm

    def _sane(self, loss: float, norm: float) -> bool:
        """Whether a step may be applied; a few bad ones are left out, more are an error."""
        finite = math.isfinite(loss) and math.isfinite(norm)
        middle = sorted(self.state.norms)[len(self.state.norms) // 2] if self.state.norms else norm
        spike = finite and len(self.state.norms) >= 8 and norm > _SPIKE * max(middle, 1e-6)
        if finite and not spike:
            self.state.norms = [*self.state.norms[-31:], norm]
            return True
        self.state.skipped += 1
        if self.state.skipped > _SKIPS_ALLOWED:
            raise _unstable()
        return False

    def _update(self, gradients: dict[str, torch.Tensor], rate: float) -> None:
        """Apply AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) to the float32 master weights."""
        for name, master in self._adapter.masters.items():
            master.grad = gradients[name]
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._adapter.push()

    def _halve(self) -> None:
        self._adapter.model.zero_grad(set_to_none=True)
        self.tokens_per_pass = halved(self.tokens_per_pass, SMALLEST_PASS)
        self._watcher.pass_halved(self.tokens_per_pass)


@dataclass(slots=True)
class _Sums:
    """What a step measured: weighted losses and weights by kind, the anchor's KL, tokens."""

    new: float = 0.0
    new_weight: float = 0.0
    replay: float = 0.0
    replay_weight: float = 0.0
    kl: float = 0.0
    tokens: int = 0

    def take(self, product: torch.Tensor, batch: Pass, first_replayed: int) -> None:
        """Add the weighted losses [n] of a pass; owners from ``first_replayed`` on are replayed."""
        is_old = batch.owners >= first_replayed
        self.new += float(product[~is_old].sum())
        self.new_weight += float(batch.weights[~is_old].sum())
        self.replay += float(product[is_old].sum())
        self.replay_weight += float(batch.weights[is_old].sum())

    def add(self, other: _Sums) -> None:
        """Add another lane's."""
        self.new += other.new
        self.new_weight += other.new_weight
        self.replay += other.replay
        self.replay_weight += other.replay_weight
        self.kl += other.kl
        self.tokens += other.tokens


def _runs(owners: torch.Tensor) -> list[int]:
    """Return the owners in the order in which their places stand in a pass."""
    import torch

    runs: list[int] = torch.unique_consecutive(owners).tolist()
    return runs


def _unstable() -> TrainingUnstableError:
    return TrainingUnstableError(
        "Training became unstable: its numbers grew out of all bounds.",
        "Allie tries again with smaller steps by itself.",
    )

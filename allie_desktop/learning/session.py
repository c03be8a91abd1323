"""One attempt of one episode inside the worker: prepare, train, validate.

The model is loaded once and serves all three phases. Whatever is finished is on disk before the next step
begins, so that a session that was killed anywhere goes on from there:

    attempt-N/checkpoints/step-*   training, resumable
    attempt-N/trained/             the trained adapter and ``training.json``: training is over
    candidate/, report.json        the result; then the worker's work is over
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import ModelError, TrainingError
from allie_desktop.domain.events import (
    BatchHalved,
    CandidateWritten,
    CheckpointWritten,
    HeldOutMeasured,
    Job,
    Phase,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
)
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.quality import TAUGHT_ORIGINS
from allie_desktop.domain.tuning import RateTrial, Tuning, chosen_rate
from allie_desktop.domain.validation import (
    HeldOutPoint,
    TrainingCurvePoint,
    TrainingSummary,
    WorkerReport,
)
from allie_desktop.ipc.protocol import encode_document
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.batches import passes, plan_steps, rehearsal, step_tokens, visits_of_each
from allie_desktop.learning.chat_format import ChatFormat
from allie_desktop.learning.checkpoint import CheckpointFolder
from allie_desktop.learning.evaluate import Evaluator, encode_all, measure
from allie_desktop.learning.ewc import (
    FISHER_PASS_TOKENS,
    EwcPenalty,
    FisherFactors,
    estimate_fisher,
    fisher_sequences,
)
from allie_desktop.learning.general_set import GeneralSet, general_set
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.losses import check_head
from allie_desktop.learning.memory import (
    SMALLEST_PASS,
    free_memory,
    pass_size,
    peak_memory,
    until_it_fits,
)
from allie_desktop.learning.rate_trials import trial_steps, tried_rates
from allie_desktop.learning.trainer import (
    FEWEST_ANCHORS,
    HeldOut,
    Material,
    StepReport,
    Trainer,
    Watcher,
)
from allie_desktop.learning.working_time import WorkingTime
from allie_desktop.resident_memory import HeapTrimmer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    from allie_desktop.domain.planning import Plan, Recipe
    from allie_desktop.domain.ports import Redactor, ToxicityScorer
    from allie_desktop.learning.batches import StepPlan
    from allie_desktop.learning.control import Control
    from allie_desktop.models.loading import LoadedBase
    from allie_desktop.safety.probes import Probes

_log = logging.getLogger(__name__)

_TRAINED = "training.json"
_CURVE_POINTS = 200
#: Of the time to prepare, trials of learning rates may go on until so much of it is over.
_TRIALS_SHARE = 0.75


class Session:
    """Runs once. ``loaded`` is the base model; ``control`` the line to the parent."""

    def __init__(
        self,
        job: Job,
        plan: Plan,
        loaded: LoadedBase,
        control: Control,
        *,
        toxicity: ToxicityScorer,
        redactor: Redactor,
        probes: Probes,
    ) -> None:
        import torch

        self._job, self._plan, self._loaded, self._control = job, plan, loaded, control
        self._toxicity, self._redactor, self._probes = toxicity, redactor, probes
        self._lanes = Lanes.of_device(loaded.device, torch.get_num_threads())
        self._folder = Path(job.folder)
        self._attempt = self._folder / f"attempt-{job.attempt}"
        self._attempt.mkdir(parents=True, exist_ok=True)
        self._chat = ChatFormat(loaded.tokenizer)
        self._heap = HeapTrimmer()
        self._recipe = plan.recipe  # with another learning rate, where one was chosen by trials
        self._trials: tuple[RateTrial, ...] = ()
        self._preparations = 5 if plan.recipe.rate_trials else 4
        self._seconds = self._read_seconds()
        self._curve: list[TrainingCurvePoint] = []
        self._held_out: list[HeldOutPoint] = []
        self._stopped_early = ""
        self._time = WorkingTime()  # what a frozen worker could not use is not spent
        self._phase_started = self._time.seconds()

    def run(self) -> None:
        """Do the whole attempt; raises StopRequestedError after leaving a checkpoint."""
        with self._phase("prepare", total=self._preparations):
            self._prepare()
        if self._read_trained() is None:
            with self._phase("train", total=len(self._steps)):
                self._train()
        else:
            self._adapter.load(self._attempt / "trained")
        with self._phase("validate", total=3):
            self._validate()

    # -- prepare -------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        recipe, plan = self._plan.recipe, self._plan
        check_head(self._loaded.model)
        device = self._loaded.device
        self._size = pass_size(
            self._loaded.model,
            plan.geometry.rank,
            recipe.maximum_length,
            free_memory(device),
            cpu=device.type == "cpu",
        )
        self._general = self._general_set()
        self._note(1, self._preparations, "the base model's own questions and answers")
        self._adapter = Adapter(self._loaded.model, plan.geometry, plan.seed)
        if self._size.checkpointing or recipe.gradient_checkpointing:
            self._adapter.model.gradient_checkpointing_enable({"use_reentrant": False})
            self._adapter.model.enable_input_require_grads()
            self._adapter.model.train()  # transformers recomputes in training mode alone; no dropout is set
        self._base_state = self._adapter.zero_state()
        if self._job.parent_adapter is not None:
            self._adapter.load(Path(self._job.parent_adapter))
            self._active_state = self._adapter.state()
        else:
            self._active_state = self._base_state
        self._evaluator = Evaluator(
            self._adapter,
            self._chat,
            tokens_per_pass=self._size.tokens,
            between=self.between_passes,
            halved=self.pass_halved,
            lanes=self._lanes,
        )
        self._encode()
        self._note(2, self._preparations, "what will be learnt")
        self._adapter.set_state(self._base_state)
        self._general_hidden = self._evaluator.hidden(self._general.train)
        self._held_hidden = self._evaluator.hidden(self._general.holdout[::2])
        self._adapter.set_state(self._active_state)
        self._strayed = 0.0 if self._job.parent_adapter is None else self._divergence()
        self._note(3, self._preparations, "what the base model answers")
        self._penalty = self._ewc()
        self._note(4, self._preparations, "what must not be forgotten")
        self._tune()

    def _general_set(self) -> GeneralSet:
        recipe = self._plan.recipe

        def progress(done: int, wanted: int) -> None:
            self._control.send(
                StepFinished(
                    phase="prepare", step=done, total=wanted, what="the base model writes its own questions"
                )
            )

        return general_set(
            self._loaded.model,
            self._chat,
            base_sha256=self._plan.base.sha256,
            prompts=recipe.general_prompts,
            reply_tokens=recipe.general_tokens,
            cache=Path(self._job.cache),
            progress=progress,
            between=self.between_passes,
            lanes=self._lanes,
        )

    def _encode(self) -> None:
        """Turn examples into tokens and plan the steps."""
        plan, recipe = self._plan, self._plan.recipe
        length = min(recipe.maximum_length, self._size.longest)
        new = encode_all(self._chat, plan.train, length)
        if not new:
            raise TrainingError(
                "Nothing of the chosen material can be put into the base model's chat format.",
                "Choose another base model, or look at the conversations that were chosen.",
            )
        self._new = [e for _, e in new]
        old = encode_all(self._chat, plan.replay, length)
        self._replay = [e for _, e in old]
        self._taught_before = [i for i, (example, _) in enumerate(old) if example.origin in TAUGHT_ORIGINS]
        self._validation = [e for _, e in encode_all(self._chat, plan.validation, length)]
        self._held_phrasings = [e for _, e in encode_all(self._chat, plan.phrasings[::2], length)]
        groups: dict[str, list[int]] = {}
        ordinary: list[int] = []
        for index, (example, _) in enumerate(new):
            if example.origin in TAUGHT_ORIGINS:
                groups.setdefault(example.group, []).append(index)
            else:
                ordinary.append(index)
        self._taught = [index for group in groups.values() for index in group]
        self._steps = plan_steps(
            taught=list(groups.values()),
            ordinary=ordinary,
            lengths=[len(e) for e in self._new],
            replay_lengths=[len(e) for e in self._replay],
            general_count=len(self._general.train) if recipe.kl_weight > 0 else 0,
            general_per_step=recipe.general_per_step,
            taught_epochs=recipe.taught_epochs,
            fewest_visits=recipe.fewest_visits,
            ordinary_epochs=recipe.ordinary_epochs,
            batch_tokens=self._step_tokens(groups.values(), ordinary),
            replay_share=rehearsal(recipe.replay_share, teaches=bool(groups)),
            seed=plan.seed,
        )
        # Sequences are as long as the memory allowed. Where there is more or less of it now, the steps are
        # others, and a checkpoint of the former ones is of no use.
        self._run_key = f"{plan.digest} {length} {len(self._steps)}"
        self._checkpoints = CheckpointFolder(self._attempt / "checkpoints", self._run_key)

    def _step_tokens(self, taught: Iterable[Sequence[int]], ordinary: Sequence[int]) -> int:
        """Return the tokens of one optimizer step."""
        recipe = self._plan.recipe
        visits = 0.0
        for group in taught:
            each = visits_of_each(
                len(group), taught_epochs=recipe.taught_epochs, fewest_visits=recipe.fewest_visits
            )
            visits += each * sum(len(self._new[i]) for i in group)
        visits += recipe.ordinary_epochs * sum(len(self._new[i]) for i in ordinary)
        return step_tokens(visits, recipe.batch_tokens)

    def _ewc(self) -> EwcPenalty | None:
        """Return the penalty that keeps the adapter where earlier material needs it."""
        recipe = self._plan.recipe
        # Where nothing was learnt before there is nothing to hold but the base model, and the anchor holds that.
        first = self._job.parent_adapter is None and not self._replay
        if recipe.ewc_weight <= 0 or first:
            return None
        fisher = FisherFactors.load(self._attempt, self._adapter.pairs)
        if fisher is None:
            old = fisher_sequences(self._replay, self._general.train)
            pad = self._loaded.tokenizer.pad_token_id
            made, _ = until_it_fits(
                lambda size: estimate_fisher(
                    self._adapter.model,
                    self._adapter.pairs,
                    passes(old, self._lanes.pass_tokens(size, FISHER_PASS_TOKENS), pad),
                    self._plan.seed,
                    lanes=self._lanes,
                    between=self.between_passes,
                ),
                min(self._size.tokens, FISHER_PASS_TOKENS),
                SMALLEST_PASS,
            )
            if self._job.parent_adapter is not None:
                older = FisherFactors.load(Path(self._job.parent_adapter), self._adapter.pairs)
                if older is not None:
                    made = made.blended(older, recipe.ewc_decay)
            made.save(self._attempt)
            fisher = made
        return EwcPenalty(fisher, self._active_state, self._adapter.scaling, recipe.ewc_weight)

    def _tune(self) -> None:
        """Choose the learning rate by trials, where the plan wishes for them and training did not begin yet."""
        recipe = self._recipe
        if not recipe.rate_trials or self._read_trained() is not None:
            return
        self._trials = tried_rates(
            recipe.rate_trials,
            self._tried,
            folder=self._attempt,
            key=self._run_key,
            # Training that has begun goes on as it began.
            may_go_on=lambda: self.has_time_for_trials() and self._checkpoints.newest() is None,
        )
        self._adapter.set_state(self._active_state)
        if self._trials:
            self._recipe = replace(recipe, learning_rate=chosen_rate(self._trials, recipe.kl_budget))
        self._note(5, self._preparations, f"a learning rate of {self._recipe.learning_rate:g}")

    def _tried(self, rate: float) -> RateTrial | None:
        self._adapter.set_state(self._active_state)
        watcher = _TrialWatcher(self, f"which learning rate suits the model: {rate:g}")
        steps = self._steps[: trial_steps(len(self._steps))]
        why = self._trainer_of(steps, replace(self._recipe, learning_rate=rate, evaluations=1), watcher).run()
        if watcher.held is None or (why and not self.has_time_for_trials()):
            return None
        return RateTrial(learning_rate=rate, loss=watcher.held.objective, kl=watcher.held.kl)

    def has_time_for_trials(self) -> bool:
        """Return whether there is time left to prepare for trying another step."""
        spent = self._seconds.get("prepare", 0.0) + self._time.seconds() - self._phase_started
        return spent < _TRIALS_SHARE * self._plan.budget.prepare_seconds

    def note_trial(self, what: str) -> None:
        """Tell that a trial took a step."""
        self._note(4, self._preparations, what)

    def _trainer_of(self, steps: Sequence[StepPlan], recipe: Recipe, watcher: Watcher) -> Trainer:
        # A few answers that are visited often pull harder than many conversations that are read twice.
        anchors = None if self._taught else max(FEWEST_ANCHORS, recipe.general_per_step // 2)
        return Trainer(
            self._adapter,
            Material(
                self._new,
                self._replay,
                self._general.train,
                self._general_hidden,
                taught=self._taught,
                taught_before=self._taught_before,
            ),
            steps,
            recipe,
            watcher,
            pad_token=self._loaded.tokenizer.pad_token_id,
            tokens_per_pass=self._size.tokens,
            penalty=self._penalty,
            kl_budget=recipe.kl_budget,
            anchors=anchors,
            strayed=self._strayed,
            losses=self._evaluator.losses,
            lanes=self._lanes,
        )

    # -- train ---------------------------------------------------------------------------------------

    def _train(self) -> None:
        self._trainer = self._trainer_of(self._steps, self._recipe, self)
        saved = self._checkpoints.newest()
        if saved is not None:
            self._trainer.restore(saved)
            self._curve = [TrainingCurvePoint(**p) for p in saved.numbers.get("curve", ())]
            self._held_out = [HeldOutPoint(**p) for p in saved.numbers.get("held_out", ())]
        self._last_checkpoint = time.monotonic()
        self._started = self._time.seconds()
        try:
            self._stopped_early = self._trainer.run()
        except BaseException:
            try:
                self._write_checkpoint()
            except Exception:  # noqa: BLE001 - what ended the training is what the person should read
                _log.exception("the last checkpoint could not be written")
            raise
        self._write_trained()

    # The trainer's Watcher:

    def between_passes(self) -> None:
        """Give freed memory back; wait while paused; raise when asked to stop."""
        self._heap.look()
        self._control.between()

    def after_step(self, report: StepReport) -> None:
        """Tell of a step, keep it for the curve, write a checkpoint when one is due."""
        total = len(self._steps)
        state = self._trainer.state
        speed = state.tokens / state.seconds if state.seconds else 0.0
        spent = self._seconds.get("train", 0.0) + self._time.seconds() - self._started
        self._control.send(
            StepFinished(
                phase="train",
                step=report.step,
                total=total,
                loss=report.loss,
                replay_loss=report.replay_loss,
                kl=report.kl,
                ewc=report.ewc,
                gradient_norm=report.gradient_norm,
                learning_rate=report.learning_rate,
                tokens_per_second=speed,
                seconds_left=spent / report.step * (total - report.step),
            )
        )
        if report.step % max(1, total // _CURVE_POINTS) == 0 or report.step == total:
            self._curve.append(
                TrainingCurvePoint(
                    step=report.step,
                    loss=report.loss,
                    replay_loss=report.replay_loss,
                    kl=report.kl,
                    ewc=report.ewc,
                    gradient_norm=report.gradient_norm,
                    learning_rate=report.learning_rate,
                )
            )
        due = time.monotonic() - self._last_checkpoint >= self._plan.recipe.checkpoint_seconds
        if due or self._control.checkpoint_wanted():
            self._write_checkpoint()

    def evaluate(self, step: int) -> HeldOut:
        """Measure what is held out from training and from the gate, and tell."""
        held = self.measured()
        self._held_out.append(HeldOutPoint(step=step, loss=held.objective, kl=held.kl))
        best = self._trainer.is_best(held)
        self._control.send(HeldOutMeasured(step=step, loss=held.objective, kl=held.kl, best=best))
        return held

    def measured(self) -> HeldOut:
        """Measure what is held out from training and from the gate."""
        held_out = (self._validation, self._held_phrasings)
        parts = [losses for sequences in held_out if (losses := self._evaluator.losses(sequences))]
        if not parts:  # nothing was held out: the loss on what is learnt is better than nothing
            parts = [self._evaluator.losses(self._new[:16])]
        return HeldOut(
            fmean(map(fmean, parts)), self._divergence(), count=min(len(losses) for losses in parts)
        )

    def _divergence(self) -> float:
        """Return the mean KL to the base model (nats/token) on the general questions that watch training."""
        kls = self._evaluator.divergences(
            self._evaluator.hidden(self._general.holdout[::2]), self._held_hidden
        )
        return fmean(kls) if kls else 0.0

    def out_of_time(self) -> bool:
        """Return whether the plan's time for training is over."""
        spent = self._seconds.get("train", 0.0) + self._time.seconds() - self._started
        return spent > self._plan.budget.train_seconds

    def pass_halved(self, tokens_per_pass: int) -> None:
        """Tell that memory ran out."""
        self._control.send(BatchHalved(tokens_per_pass=tokens_per_pass))

    def _write_checkpoint(self) -> None:
        self._last_checkpoint = time.monotonic()
        snapshot = self._trainer.snapshot()
        snapshot.numbers["curve"] = [asdict(p) for p in self._curve]
        snapshot.numbers["held_out"] = [asdict(p) for p in self._held_out]
        path = self._checkpoints.write(snapshot)
        self._write_seconds("train", self._started)
        self._started = self._time.seconds()
        self._control.send(CheckpointWritten(step=snapshot.step, path=str(path)))

    def _write_trained(self) -> None:
        state = self._trainer.state
        summary = TrainingSummary(
            steps=state.step,
            planned_steps=len(self._steps),
            tokens=state.tokens,
            tokens_per_second=state.tokens / state.seconds if state.seconds else 0.0,
            peak_memory_bytes=peak_memory(self._loaded.device),
            device=self._loaded.device.type,
            dtype=str(self._loaded.dtype).removeprefix("torch."),
            stopped_early=self._stopped_early,
            best_step=state.best_step,
            curve=tuple(self._curve),
            held_out=tuple(self._held_out),
            tuning=Tuning(learning_rate=self._recipe.learning_rate, trials=self._trials),
        )
        scratch = self._attempt / "trained.writing"
        shutil.rmtree(scratch, ignore_errors=True)
        self._adapter.save(scratch)
        (scratch / _TRAINED).write_text(json.dumps(asdict(summary)), "utf-8")
        shutil.rmtree(self._attempt / "trained", ignore_errors=True)
        os.replace(scratch, self._attempt / "trained")
        self._checkpoints.clear()

    def _read_trained(self) -> TrainingSummary | None:
        """Return what training came to; None when it has not ended, or when nobody can tell any more."""
        try:
            numbers = parse_json((self._attempt / "trained" / _TRAINED).read_text("utf-8"))
            numbers["curve"] = tuple(TrainingCurvePoint(**p) for p in numbers["curve"])
            numbers["held_out"] = tuple(HeldOutPoint(**p) for p in numbers["held_out"])
            if (tuning := numbers.get("tuning")) is not None:
                trials = tuple(RateTrial(**trial) for trial in tuning["trials"])
                numbers["tuning"] = Tuning(learning_rate=tuning["learning_rate"], trials=trials)
            return TrainingSummary(**numbers)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # -- validate ------------------------------------------------------------------------------------

    def _validate(self) -> None:
        summary = self._read_trained()
        if summary is None:
            raise ModelError("The trained adapter is gone from the disk.", "Start the episode again.")
        states: dict[str, dict[str, torch.Tensor]] = {
            "base": self._base_state,
            "active": self._active_state,
            "candidate": self._adapter.state(),
        }
        done = iter(range(1, 4))
        measurements = measure(
            self._evaluator,
            self._adapter,
            states,
            self._plan,
            self._chat,
            self._general.holdout[1::2] or self._general.holdout,
            self._probes,
            self._toxicity,
            self._redactor,
            lambda arm: self._note(next(done), 3, f"answers of the {arm} model", phase="validate"),
        )
        candidate = self._folder / "candidate"
        scratch = self._folder / "candidate.writing"
        shutil.rmtree(scratch, ignore_errors=True)
        self._adapter.save(scratch)
        fisher = FisherFactors.load(self._attempt, self._adapter.pairs)
        if fisher is not None:
            fisher.save(scratch)
        shutil.rmtree(candidate, ignore_errors=True)
        os.replace(scratch, candidate)
        self._write_seconds("validate", self._phase_started)
        self._phase_started = self._time.seconds()
        report = WorkerReport(
            episode_id=self._job.episode_id,
            plan_digest=self._plan.digest,
            training=summary,
            measurements=measurements,
            seconds=dict(self._seconds),
            candidate_sha256=hashlib.sha256(
                b"".join(
                    (candidate / name).read_bytes()
                    for name in ("adapter_model.safetensors", "adapter_config.json")
                )
            ).hexdigest(),
        )
        target = self._folder / "report.json"
        temporary = target.with_suffix(".writing")
        with temporary.open("wb") as file:
            file.write(encode_document(report))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        self._control.send(
            CandidateWritten(adapter=str(candidate), report=str(target), stopped_early=summary.stopped_early)
        )

    # -- phases and their time -----------------------------------------------------------------------

    @contextmanager
    def _phase(self, phase: Phase, total: int) -> Iterator[None]:
        self.between_passes()
        self._control.send(PhaseStarted(phase=phase, total=0 if phase == "train" else total))
        self._phase_started = self._time.seconds()
        try:
            yield
        finally:
            if phase != "train":  # training writes its time with each checkpoint
                self._write_seconds(phase, self._phase_started)
            elif hasattr(self, "_started"):
                self._write_seconds(phase, self._started)
        self._control.send(PhaseFinished(phase=phase, seconds=self._seconds[phase]))

    def _note(self, step: int, total: int, what: str, phase: Phase = "prepare") -> None:
        self._control.send(StepFinished(phase=phase, step=step, total=total, what=what))

    def _read_seconds(self) -> dict[str, float]:
        try:
            saved = parse_json((self._attempt / "seconds.json").read_text("utf-8"))
            return {str(k): float(v) for k, v in saved.items() if math.isfinite(float(v))}
        except (OSError, ValueError, AttributeError, TypeError, OverflowError):
            return {}

    def _write_seconds(self, phase: str, since: float) -> None:
        self._seconds[phase] = self._seconds.get(phase, 0.0) + self._time.seconds() - since
        temporary = self._attempt / "seconds.writing"
        temporary.write_text(json.dumps(self._seconds), "utf-8")
        os.replace(temporary, self._attempt / "seconds.json")


class _TrialWatcher:
    """A :class:`learning.trainer.Watcher` of a trial: it tells how far it is and keeps nothing."""

    def __init__(self, session: Session, what: str) -> None:
        self._session, self._what = session, what
        self.held: HeldOut | None = None

    def between_passes(self) -> None:
        self._session.between_passes()

    def after_step(self, report: StepReport) -> None:
        self._session.note_trial(f"{self._what}, step {report.step}")

    def evaluate(self, step: int) -> HeldOut:  # noqa: ARG002 - a trial is measured once, at its end
        self.held = self._session.measured()
        return self.held

    def out_of_time(self) -> bool:
        return not self._session.has_time_for_trials()

    def pass_halved(self, tokens_per_pass: int) -> None:
        self._session.pass_halved(tokens_per_pass)

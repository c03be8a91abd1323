"""The training loop on a real, tiny model: it learns, it stops when it should, and nothing can derail it."""

from __future__ import annotations

import copy
import math
import threading
from dataclasses import replace
from functools import cache
from itertools import count, pairwise

import pytest
import torch

from allie_desktop.domain.errors import OutOfMemoryError, TrainingUnstableError
from allie_desktop.domain.planning import Recipe
from allie_desktop.learning.batches import StepPlan, passes
from allie_desktop.learning.checkpoint import CheckpointFolder
from allie_desktop.learning.ewc import EwcPenalty, estimate_fisher
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.losses import hidden_states, token_kl
from allie_desktop.learning.schedule import learning_rate
from allie_desktop.learning.trainer import HeldOut, Material, StepReport, Trainer
from tests.unit.learning.tiny import TinyChat, losses_one_by_one, random_sequences, sequence

PAD = 0
OPENING = (5, 6, 7)
RECIPE = Recipe(learning_rate=5e-3, evaluations=3, patience=4, kl_weight=1.0, warmup_share=0.1)
STEPS = 7
LONG = [sequence(*range(3, 103), learnt=60) for _ in range(6)]


class InterruptedHereError(Exception):
    """What a stop looks like to the loop."""


class Spectator:
    """Takes notes; evaluates by what it was told, or else by the step; interrupts where it was told."""

    def __init__(self, *, held=None, interrupt_before_pass=None, ends_after=None):
        self.reports: list[StepReport] = []
        self.evaluated: list[int] = []
        self.halved: list[int] = []
        self.passes = 0
        self._held = held or {}
        self._interrupt_before_pass, self._ends_after = interrupt_before_pass, ends_after

    def between_passes(self):
        if self.passes == self._interrupt_before_pass:
            raise InterruptedHereError
        self.passes += 1

    def after_step(self, report):
        self.reports.append(report)

    def evaluate(self, step):
        self.evaluated.append(step)
        return self._held.get(step, HeldOut(10.0 - step, 0.0))

    def out_of_time(self):
        return self._ends_after is not None and len(self.reports) >= self._ends_after

    def pass_halved(self, tokens_per_pass):
        self.halved.append(tokens_per_pass)


def base_hidden(model, items):
    """Return the base model's hidden states at each sequence's predicting places."""
    found = []
    with torch.no_grad():
        for item in items:
            states = model.get_decoder()(input_ids=torch.tensor([item.tokens])).last_hidden_state[0]
            found.append(states[[i - 1 for i, w in enumerate(item.weights) if w > 0]].clone())
    return found


@cache
def general_part():
    """General sequences with what the base model thinks of them; one has a short reply."""
    held = random_sequences(3, seed=30, head=OPENING)
    held[1:2] = random_sequences(1, seed=31, learnt=2, head=OPENING)
    return held, base_hidden(TinyChat().adapter.model, held)


def material():
    general, hidden = general_part()
    return Material(
        new=random_sequences(6, seed=10, head=OPENING),
        replay=random_sequences(3, seed=20, head=OPENING),
        general=general,
        general_hidden=hidden,
    )


def mixed_steps(number=STEPS):
    return [
        StepPlan((k % 6, (k + 1) % 6), (k % 3,), (k % 3, (k + 1) % 3, (k + 2) % 3)) for k in range(number)
    ]


def make_trainer(
    spectator=None,
    *,
    steps=None,
    recipe=RECIPE,
    chat=None,
    penalty=None,
    kl_budget=math.inf,
    tokens=512,
    anchors=None,
    strayed=0.0,
    lessons=((), ()),
    losses=None,
    lanes=None,
):
    chat = chat or TinyChat()
    return Trainer(
        chat.adapter,
        replace(material(), taught=lessons[0], taught_before=lessons[1]),
        mixed_steps() if steps is None else steps,
        recipe,
        spectator or Spectator(),
        pad_token=PAD,
        tokens_per_pass=tokens,
        penalty=penalty,
        kl_budget=kl_budget,
        anchors=anchors,
        strayed=strayed,
        losses=losses,
        lanes=lanes,
    )


@cache
def anchor_and_fisher():
    """A random adapter, and how much each weight matters there."""
    chat = TinyChat()
    anchor = chat.shake(seed=5, size=0.02)
    old = passes(random_sequences(4, seed=40, head=OPENING), 512, PAD)
    return anchor, estimate_fisher(chat.adapter.model, chat.adapter.pairs, old, seed=0)


def ewc(chat, *, weight=1.0):
    """A penalty around a random adapter, which the run begins with."""
    anchor, fisher = anchor_and_fisher()
    chat.adapter.set_state(anchor)
    return EwcPenalty(fisher, anchor, chat.adapter.scaling, weight)


def full_trainer(spectator=None, **changes):
    """A trainer with everything: replay, anchor, which may take fewer sequences, and EWC."""
    chat = TinyChat()
    return make_trainer(spectator, chat=chat, penalty=ewc(chat), **{"kl_budget": 0.08} | changes)


def assert_same_snapshot(mine, theirs):
    numbers = [{k: v for k, v in s.numbers.items() if k != "seconds"} for s in (mine, theirs)]
    assert numbers[0] == numbers[1]
    assert mine.step == theirs.step
    assert mine.tensors.keys() == theirs.tensors.keys()
    for name, tensor in mine.tensors.items():
        assert torch.equal(tensor, theirs.tensors[name]), name


# -- learning ----------------------------------------------------------------------------------------


def test_a_few_sequences_are_learnt_by_heart():
    chat, spectator = TinyChat(), Spectator()
    steps = [StepPlan((0, 1, 2), (), ())] * 40
    recipe = replace(RECIPE, learning_rate=2e-2, evaluations=1)
    trainer = make_trainer(spectator, chat=chat, steps=steps, recipe=recipe)

    assert trainer.run() == ""

    losses = [report.loss for report in spectator.reports]
    assert losses[0] > 4  # about as bad as a guess among 120
    assert losses[-1] < 0.3
    with torch.no_grad():
        learnt = torch.cat(losses_one_by_one(chat.adapter.model, material().new[:3]))
    assert float(learnt.mean()) < 0.3


def test_a_step_reports_what_it_measured():
    spectator = Spectator()
    trainer = full_trainer(spectator)
    chat_material = trainer._material
    plan = mixed_steps()[0]
    general, hidden = general_part()
    apart = divergence(
        trainer._adapter, [general[i] for i in plan.general], [hidden[i] for i in plan.general]
    )
    with torch.no_grad():
        new = torch.cat(losses_one_by_one(trainer._adapter.model, [chat_material.new[i] for i in plan.new]))
        old = torch.cat(
            losses_one_by_one(trainer._adapter.model, [chat_material.replay[i] for i in plan.replay])
        )

    trainer.run()

    first = spectator.reports[0]
    assert [report.step for report in spectator.reports] == list(range(1, STEPS + 1))
    assert first.loss == pytest.approx(float(new.mean()), rel=1e-4)
    assert first.replay_loss == pytest.approx(float(old.mean()), rel=1e-4)
    assert first.kl == pytest.approx(apart, rel=1e-3)
    assert first.ewc == pytest.approx(0.0, abs=1e-3)  # the run begins at the anchor
    assert spectator.reports[-1].ewc > first.ewc
    assert all(report.gradient_norm > 0 for report in spectator.reports)
    assert trainer.state.tokens == sum(report.tokens for report in spectator.reports)


def test_the_rates_are_those_of_the_schedule():
    spectator = Spectator()
    make_trainer(spectator).run()

    expected = [
        learning_rate(s, STEPS, peak=5e-3, warmup_share=0.1, final_share=RECIPE.final_rate_share)
        for s in range(STEPS)
    ]
    assert [report.learning_rate for report in spectator.reports] == expected


def test_the_first_step_is_the_one_that_the_formula_asks_for():
    """Loss, anchor and penalty together, against autograd through the whole model at once."""
    chat = TinyChat()
    penalty = ewc(chat, weight=0.5)
    chat.shake(seed=6, size=0.03)  # away from the anchor
    trainer = make_trainer(chat=chat, penalty=penalty, recipe=replace(RECIPE, kl_weight=0.7))
    plan, parts = mixed_steps()[0], trainer._material

    items = [parts.new[i] for i in plan.new] + [parts.replay[i] for i in plan.replay]
    model = chat.adapter.model
    loss = torch.cat(losses_one_by_one(model, items)).mean()
    anchors = [parts.general[i] for i in plan.general]
    hidden = []
    for item in anchors:
        states = model.get_decoder()(input_ids=torch.tensor([item.tokens])).last_hidden_state[0]
        hidden.append(states[[i - 1 for i, w in enumerate(item.weights) if w > 0]])
    base = torch.cat([parts.general_hidden[i] for i in plan.general])
    divergences = token_kl(model.get_output_embeddings(), torch.cat(hidden), base)
    each = divergences.split([len(states) for states in hidden])
    assert len({len(states) for states in hidden}) == 2
    loss = loss + 0.7 * sum(one.mean() for one in each) / len(each)
    expected = {n: torch.zeros_like(t) for n, t in chat.adapter.masters.items()}
    chat.adapter.add_gradients(loss, expected)
    penalty.add_to(chat.adapter.masters, expected)

    gradients, _ = trainer._gradients(plan)

    for name, tensor in expected.items():
        torch.testing.assert_close(gradients[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_passes_side_by_side_give_the_step_of_one_after_the_other(count):
    found = []
    for lanes in (None, Lanes(count, 1), Lanes(count, 1)):
        chat = TinyChat()
        chat.shake(seed=6, size=0.03)
        trainer = make_trainer(chat=chat, lanes=lanes)
        trainer._material.new = LONG
        found.append(trainer._gradients(StepPlan((0, 1, 2, 3, 4, 5), (0, 1), (0, 1))))

    (alone, told_alone), (together, told), (again, told_again) = found
    assert told == told_again
    assert told.keys() == told_alone.keys()
    for name in ("loss", "replay", "kl"):
        assert told[name] == pytest.approx(told_alone[name], rel=1e-3)
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=2e-3, atol=1e-5)
        assert torch.equal(together[name], again[name]), "the same lanes give the same bits"


def test_rows_behind_long_instructions_are_no_wider_than_a_lane_has_memory_for():
    instructions = tuple(3 + i * 5 % 110 for i in range(100))
    found = []
    for tokens in (2048, 640, 256):
        trainer = make_trainer(tokens=tokens, lanes=Lanes(2, 1))
        trainer._material.new = random_sequences(12, seed=9, length=40, head=instructions)
        work = trainer._work_of(StepPlan(tuple(range(12)), (), ()))
        found.append(max(batch.tokens.shape[1] for batch, _ in work))

    assert 256 < found[0] <= 100 + 256
    assert 256 < found[1] <= 640 // 2
    assert found[2] <= 143  # the longest of them, which is more than half of 256


def test_what_a_lane_raises_is_raised_when_all_lanes_have_ended():
    seen = []

    class Refusing(Spectator):
        def between_passes(self):
            seen.append(threading.current_thread().name)
            raise InterruptedHereError

    trainer = make_trainer(Refusing(), lanes=Lanes(2, 1))
    trainer._material.new = LONG
    with pytest.raises(InterruptedHereError):
        trainer._gradients(StepPlan((0, 1, 2, 3, 4, 5), (), ()))
    assert len(seen) == 2  # one thread may have taken both parts, when the first ended at once
    assert threading.current_thread().name not in seen


def test_small_passes_give_the_step_of_one_large_pass():
    long = [sequence(*range(3, 103), learnt=60) for _ in range(6)]
    found = []
    for tokens in (4096, 256):
        chat = TinyChat()
        trainer = make_trainer(chat=chat, tokens=tokens)
        trainer._material.new = long
        found.append(trainer._gradients(StepPlan(tuple(range(6)), (0,), (0, 1)))[0])

    large, small = found
    for name, tensor in large.items():
        torch.testing.assert_close(small[name], tensor, rtol=1e-3, atol=1e-6)


def test_weights_count_as_weights():
    chat = TinyChat()
    trainer = make_trainer(chat=chat)
    first, second = trainer._material.new[:2]
    halved = replace(first, weights=tuple(w * 0.25 for w in first.weights))
    trainer._material.new = [halved, second]
    with torch.no_grad():
        one, two = losses_one_by_one(chat.adapter.model, [first, second])

    _, report = trainer._gradients(StepPlan((0, 1), (), ()))

    expected = (0.25 * one.sum() + two.sum()) / (0.25 * len(one) + len(two))
    assert report["loss"] == pytest.approx(float(expected), rel=1e-4)


def test_a_gradient_is_clipped_to_its_norm_and_told_as_it_was():
    trainer = make_trainer(recipe=replace(RECIPE, gradient_clip=0.01))
    gradients, _ = trainer._gradients(mixed_steps()[0])
    before = {name: g.clone() for name, g in gradients.items()}

    norm = trainer._clip(gradients)

    whole = torch.cat([g.flatten() for g in before.values()]).norm()
    assert norm == pytest.approx(float(whole), rel=1e-5)
    assert norm > 0.01
    clipped = torch.cat([g.flatten() for g in gradients.values()]).norm()
    assert float(clipped) == pytest.approx(0.01, rel=1e-4)


def test_only_the_adapter_changes():
    chat = TinyChat()
    before = {n: p.clone() for n, p in chat.adapter.model.named_parameters() if "lora_" not in n}

    make_trainer(chat=chat).run()

    after = {n: p for n, p in chat.adapter.model.named_parameters() if "lora_" not in n}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_no_steps_are_no_training():
    chat, spectator = TinyChat(), Spectator()
    before = chat.adapter.state()

    assert make_trainer(spectator, chat=chat, steps=[]).run() == ""

    assert spectator.reports == []
    assert all(torch.equal(chat.adapter.masters[n], before[n]) for n in before)


# -- what the anchors are for ------------------------------------------------------------------------


def divergence(adapter, items, base):
    (batch,) = passes(items, 4096, PAD)
    with torch.no_grad():
        hidden = hidden_states(adapter.model, batch)
        order = torch.unique_consecutive(batch.owners).tolist()
        values = token_kl(adapter.model.get_output_embeddings(), hidden, torch.cat([base[i] for i in order]))
    return float(torch.stack([values[batch.owners == i].mean() for i in range(len(items))]).mean())


def test_the_kl_anchor_keeps_the_model_closer_to_its_base():
    found = {}
    for weight in (0.0, 2.0):
        chat = TinyChat()
        trainer = make_trainer(chat=chat, steps=mixed_steps(15), recipe=replace(RECIPE, kl_weight=weight))
        trainer.run()
        found[weight] = divergence(chat.adapter, trainer._material.general, trainer._material.general_hidden)

    assert found[0.0] > 0.05
    assert found[2.0] < 0.6 * found[0.0]


def test_ewc_keeps_the_change_closer_to_where_it_was():
    found = {}
    for weight in (0.0, 1000.0):
        chat = TinyChat()
        penalty = ewc(chat, weight=weight)
        make_trainer(chat=chat, steps=mixed_steps(15), penalty=penalty).run()
        probe = ewc(TinyChat(), weight=1.0)
        unused = {n: torch.zeros_like(t) for n, t in chat.adapter.masters.items()}
        found[weight] = probe.add_to(chat.adapter.masters, unused)

    assert found[1000.0] < 0.5 * found[0.0]


def test_without_an_anchor_weight_the_anchor_costs_nothing():
    with_weight, without = Spectator(), Spectator()
    make_trainer(with_weight).run()
    make_trainer(without, recipe=replace(RECIPE, kl_weight=0.0)).run()

    assert [report.kl for report in without.reports] == [None] * STEPS
    assert without.passes < with_weight.passes


# -- interruption ------------------------------------------------------------------------------------


#: Best in the middle, so that a resumed run must bring back a state that it did not see itself.
HELD = {2: HeldOut(5.0, 0.0), 4: HeldOut(3.0, 0.0), 6: HeldOut(4.0, 0.0), 7: HeldOut(3.5, 0.0)}


def onlooker(**options):
    return Spectator(held=HELD, **options)


@pytest.fixture(scope="module")
def uninterrupted():
    """The snapshot after the whole run, and the numbers of the pass before which each step begins."""
    spectator = onlooker()
    trainer = full_trainer(spectator)
    starts = []
    spectator.after_step = lambda report: starts.append(spectator.passes)
    trainer.run()
    assert (trainer.state.best_step, trainer.state.worse, trainer.state.anchors) == (4, 2, 2)
    return trainer.snapshot(), [0, *starts]


def resumed(folder, trainer):
    """Go on in a new process, as far as this one can stand for it: everything but the disk is new."""
    saved = CheckpointFolder(folder, "plan").newest()
    fresh = full_trainer(onlooker())
    fresh._adapter.set_state({n: torch.full_like(t, 9.0) for n, t in fresh._adapter.masters.items()})
    fresh.restore(saved)
    return fresh


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("into", [0, 1], ids=["before its first pass", "in the middle of it"])
def test_a_run_interrupted_at_any_step_ends_as_if_it_had_not_been(tmp_path, uninterrupted, step, into):
    expected, starts = uninterrupted
    trainer = full_trainer(onlooker(interrupt_before_pass=starts[step] + into))
    with pytest.raises(InterruptedHereError):
        trainer.run()
    assert trainer.state.step == step
    CheckpointFolder(tmp_path, "plan").write(trainer.snapshot())

    fresh = resumed(tmp_path, trainer)
    assert fresh.run() == ""

    assert_same_snapshot(fresh.snapshot(), expected)


def test_a_run_interrupted_at_every_step_ends_as_if_it_had_not_been(tmp_path, uninterrupted):
    expected, starts = uninterrupted
    trainer = full_trainer(onlooker(interrupt_before_pass=1))
    for step in range(STEPS):
        with pytest.raises(InterruptedHereError):
            trainer.run()
        CheckpointFolder(tmp_path, "plan").write(trainer.snapshot())
        trainer = resumed(tmp_path, trainer)
        if step + 1 < STEPS:
            # One whole step, and a pass of the next one.
            trainer._watcher = onlooker(interrupt_before_pass=starts[step + 1] - starts[step] + 1)
    trainer.run()

    assert_same_snapshot(trainer.snapshot(), expected)


def test_a_snapshot_before_the_first_step_is_the_beginning(tmp_path, uninterrupted):
    expected, _ = uninterrupted
    CheckpointFolder(tmp_path, "plan").write(full_trainer().snapshot())

    fresh = resumed(tmp_path, None)
    fresh.run()

    assert_same_snapshot(fresh.snapshot(), expected)


def test_an_interrupted_step_leaves_no_trace():
    trainer = full_trainer()
    before = trainer.snapshot()
    trainer._watcher = onlooker(interrupt_before_pass=1)

    with pytest.raises(InterruptedHereError):
        trainer.run()

    assert_same_snapshot(trainer.snapshot(), before)


def test_going_on_in_the_same_process_is_the_same_too(uninterrupted):
    expected, starts = uninterrupted
    trainer = full_trainer(onlooker(interrupt_before_pass=starts[3] + 1))
    with pytest.raises(InterruptedHereError):
        trainer.run()

    trainer._watcher = onlooker()
    trainer.run()

    assert_same_snapshot(trainer.snapshot(), expected)


# -- memory ------------------------------------------------------------------------------------------


def exhaust_above(trainer, cells, *, words="DefaultCPUAllocator: can't allocate memory", after=0):
    """Make the model run out of memory on more than ``cells`` cells, from forward pass ``after`` on."""
    calls = count()

    def refuse(_module, _args, kwargs):
        if next(calls) >= after and kwargs["input_ids"].numel() > cells:
            raise RuntimeError(words)

    trainer._adapter.model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)


def flat(state):
    return torch.cat([state[name].flatten() for name in sorted(state)])


def long_material():
    parts = material()
    parts.new = random_sequences(6, seed=50, length=240, learnt=100, head=OPENING)
    return parts


@pytest.mark.parametrize(
    "words",
    [
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
        "MPS backend out of memory",
    ],
)
def test_a_pass_that_does_not_fit_is_halved_and_the_result_is_the_same(words):
    steps = [StepPlan((0, 1, 2, 3, 4, 5), (0,), (0,)), StepPlan((5, 4, 3, 2), (1,), (1,))]
    states, halved = [], []
    for cells in (10**9, 600):
        spectator = Spectator()
        trainer = make_trainer(spectator, steps=steps, tokens=2048)
        trainer._material = long_material()
        exhaust_above(trainer, cells, words=words)
        trainer.run()
        states.append(flat(trainer._adapter.state()))
        halved.append(spectator.halved)

    assert halved == [[], [1024, 512]]
    moved = (states[0] - flat(TinyChat().adapter.state())).norm()
    # Not element by element: Adam makes as large a step from a tiny gradient as from a large one.
    assert float((states[1] - states[0]).norm()) < 0.003 * float(moved)


def test_memory_that_runs_out_in_the_middle_of_a_step_is_no_half_step():
    # The first pass fits and has left its gradient when the second does not.
    steps = [StepPlan((0, 1, 2, 3, 4, 5), (0,), (0,))]
    gradients = []
    for after in (None, 1):
        chat, spectator = TinyChat(), Spectator()
        trainer = make_trainer(spectator, chat=chat, steps=steps, tokens=1024)
        trainer._material = long_material()
        if after is not None:
            exhaust_above(trainer, 300, after=after)
        trainer.run()
        gradients.append((spectator.reports[0].gradient_norm, spectator.reports[0].loss))
        if after is not None:
            assert spectator.halved == [512, 256]

    assert gradients[1] == pytest.approx(gradients[0], rel=1e-3)


def test_memory_that_runs_out_half_way_back_leaves_no_half_gradients():
    # The upper block has its gradients already when the lower one finds no memory for its own.
    steps, norms = [StepPlan((0, 1), (0,), (0,))], []
    for fails in (False, True):
        spectator = Spectator()
        trainer = make_trainer(spectator, steps=steps)
        failures = iter([True] if fails else [])

        def run_out(gradient, failures=failures):
            if next(failures, False):
                raise RuntimeError("MPS backend out of memory")

        def watch(_module, _args, output, run_out=run_out):
            output.register_hook(run_out)

        trainer._adapter.model.get_decoder().layers[0].register_forward_hook(watch)
        trainer.run()
        norms.append(spectator.reports[0].gradient_norm)
        assert spectator.halved == ([256] if fails else [])

    assert norms[1] == pytest.approx(norms[0], rel=1e-4)


def test_halving_lasts_and_is_kept_over_a_resumption():
    chat, spectator = TinyChat(), Spectator()
    trainer = make_trainer(spectator, chat=chat, steps=[StepPlan((0, 1, 2), (0,), (0,))] * 3, tokens=2048)
    trainer._material = long_material()
    exhaust_above(trainer, 600)
    trainer.run()

    assert spectator.halved == [1024, 512]  # once, not at every step
    fresh = make_trainer(tokens=2048)
    fresh.restore(trainer.snapshot())
    assert fresh.tokens_per_pass == 512


def test_when_not_even_the_smallest_pass_fits_it_says_so():
    chat, spectator = TinyChat(), Spectator()
    before = chat.adapter.state()
    trainer = make_trainer(spectator, chat=chat, tokens=512)
    exhaust_above(trainer, 1)

    with pytest.raises(OutOfMemoryError) as caught:
        trainer.run()

    assert spectator.halved == [256, 128, 64]
    assert caught.value.message.startswith("There is not enough memory")
    assert caught.value.remedy
    assert trainer.state.step == 0
    assert all(torch.equal(chat.adapter.masters[n], before[n]) for n in before)


def test_the_error_class_of_torch_is_understood():
    chat, spectator = TinyChat(), Spectator()
    failures = iter([torch.OutOfMemoryError("CUDA out of memory."), None])

    def refuse(*_):
        failure = next(failures, None)
        if failure is not None:
            raise failure

    trainer = make_trainer(spectator, chat=chat)
    chat.adapter.model.get_decoder().register_forward_pre_hook(refuse)
    trainer.run()

    assert spectator.halved == [256]
    assert len(spectator.reports) == STEPS


def test_another_runtime_error_is_not_taken_for_memory():
    chat, spectator = TinyChat(), Spectator()

    def fail(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainer = make_trainer(spectator, chat=chat)
    chat.adapter.model.get_decoder().register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trainer.run()
    assert spectator.halved == []


# -- stability ---------------------------------------------------------------------------------------


def plain_steps(number):
    return [StepPlan((k % 6,), (), ()) for k in range(number)]


def spoil(trainer, steps, change):
    """Change the hidden states of the given steps (one pass each)."""
    calls = count()

    def hook(_module, _args, output):
        if next(calls) in steps:
            output.last_hidden_state = change(output.last_hidden_state)
        return output

    trainer._adapter.model.get_decoder().register_forward_hook(hook)


def to_nan(hidden):
    return hidden * math.nan


def steeper(hidden):
    """The same values, and a thousand times their gradient."""
    return hidden + 999 * (hidden - hidden.detach())


def test_a_few_losses_that_are_no_numbers_are_left_out():
    spectator = Spectator()
    trainer = make_trainer(spectator, steps=plain_steps(8))
    spoil(trainer, {2, 5}, to_nan)

    assert trainer.run() == ""

    assert trainer.state.skipped == 2
    assert [math.isnan(r.loss) for r in spectator.reports] == [k in {2, 5} for k in range(8)]
    assert all(bool(t.isfinite().all()) for t in trainer.snapshot().tensors.values())


def test_a_left_out_step_changes_neither_weights_nor_optimizer():
    chat, spectator = TinyChat(), Spectator()
    trainer = make_trainer(spectator, chat=chat, steps=plain_steps(5), recipe=replace(RECIPE, evaluations=1))
    spoil(trainer, {3}, to_nan)
    snapshots = []
    spectator.after_step = lambda report: snapshots.append(trainer.snapshot())
    trainer.run()

    before, after = snapshots[2], snapshots[3]
    assert (before.step, after.step) == (3, 4)
    for name, tensor in before.tensors.items():
        assert torch.equal(after.tensors[name], tensor), name


def test_losses_that_stay_no_numbers_end_training_with_a_sentence():
    chat, spectator = TinyChat(), Spectator()
    trainer = make_trainer(spectator, chat=chat, steps=plain_steps(20), recipe=replace(RECIPE, evaluations=1))
    spoil(trainer, set(range(2, 100)), to_nan)

    with pytest.raises(TrainingUnstableError) as caught:
        trainer.run()

    assert len(spectator.reports) == 2 + 5  # five are forgiven
    assert caught.value.message.startswith("Training became unstable")
    assert caught.value.remedy
    assert all(bool(t.isfinite().all()) for t in chat.adapter.masters.values())


def test_a_spike_of_the_gradient_is_left_out():
    chat, spectator = TinyChat(), Spectator()
    trainer = make_trainer(spectator, chat=chat, steps=plain_steps(14))
    spoil(trainer, {10}, steeper)
    trainer.run()

    norms = [report.gradient_norm for report in spectator.reports]
    assert norms[10] > 20 * max(norms[:10])
    assert trainer.state.skipped == 1
    assert max(trainer.state.norms) < norms[10]  # it does not become the measure of what is normal


def test_an_evaluation_that_is_no_number_ends_training_with_a_sentence():
    spectator = Spectator(held={2: HeldOut(math.nan, 0.0)})

    with pytest.raises(TrainingUnstableError):
        make_trainer(spectator).run()


def test_skipped_steps_are_counted_over_a_resumption():
    chat, spectator = TinyChat(), Spectator()
    trainer = make_trainer(spectator, chat=chat, steps=plain_steps(5))
    spoil(trainer, {1, 2}, to_nan)
    trainer.run()
    fresh = make_trainer(steps=plain_steps(5))

    fresh.restore(trainer.snapshot())

    assert fresh.state.skipped == 2


# -- when to end -------------------------------------------------------------------------------------


def steps_of(spectator):
    return len(spectator.reports)


def test_evaluations_are_spread_over_the_run_and_the_last_step_is_one():
    spectator = Spectator()
    make_trainer(spectator, steps=plain_steps(12), recipe=replace(RECIPE, evaluations=4)).run()

    assert spectator.evaluated == [3, 6, 9, 12]


@pytest.mark.parametrize(("steps", "evaluations"), [(1, 8), (3, 8), (7, 3), (13, 5), (9, 1), (9, 0)])
def test_the_end_is_always_evaluated_and_never_more_often_than_asked(steps, evaluations):
    spectator = Spectator()
    recipe = replace(RECIPE, evaluations=evaluations)
    make_trainer(spectator, steps=plain_steps(steps), recipe=recipe).run()

    assert spectator.evaluated[-1] == steps
    assert len(spectator.evaluated) <= max(1, evaluations) + 1
    assert spectator.evaluated == sorted(set(spectator.evaluated))


def every_step(number, objectives, kls=None):
    """Evaluate after each of ``number`` steps with what is given."""
    kls = kls or [0.0] * number
    held = {k + 1: HeldOut(o, kl) for k, (o, kl) in enumerate(zip(objectives, kls, strict=True))}
    return Spectator(held=held), {"steps": plain_steps(number)}


def run_with(spectator, options, *, patience=4, kl_budget=math.inf, **changes):
    trainer = make_trainer(
        spectator,
        recipe=replace(RECIPE, evaluations=len(options["steps"]), patience=patience, **changes),
        kl_budget=kl_budget,
        **options,
    )
    states = {}
    spectator.after_step = lambda report: (
        spectator.reports.append(report),
        states.__setitem__(report.step, trainer._adapter.state()),
    )
    return trainer, trainer.run(), states


def assert_holds(trainer, state):
    for name, tensor in state.items():
        assert torch.equal(trainer._adapter.masters[name], tensor)


def test_training_ends_when_held_out_answers_stop_getting_better():
    spectator, options = every_step(10, [3, 2, 1, 1.5, 1.2, 1.1, 0.5, 0.4, 0.3, 0.2])

    trainer, why, states = run_with(spectator, options, patience=3)

    assert why == "held-out answers stopped getting better"
    assert steps_of(spectator) == 6
    assert (trainer.state.best_step, trainer.state.best_cost) == (3, 1)
    assert_holds(trainer, states[3])


def test_getting_better_in_between_gives_new_patience():
    spectator, options = every_step(8, [3, 4, 2, 4, 1, 4, 0.5, 4])

    trainer, why, states = run_with(spectator, options, patience=2)

    assert (why, steps_of(spectator)) == ("", 8)
    assert_holds(trainer, states[7])


def test_standing_still_is_not_getting_better():
    spectator, options = every_step(6, [1.0] * 6)

    trainer, why, states = run_with(spectator, options, patience=2)

    assert (why, steps_of(spectator)) == ("held-out answers stopped getting better", 3)
    assert_holds(trainer, states[3])  # as good as the first, and later


def test_of_states_that_cost_about_the_same_the_later_one_is_kept():
    spectator, options = every_step(4, [2.0, 1.0, 1.04, 1.08])

    trainer, _, states = run_with(spectator, options)

    # It does not creep: the least is the measure.
    assert (trainer.state.best_step, trainer.state.best_cost) == (3, 1.0)
    assert_holds(trainer, states[3])


def test_training_ends_when_it_moved_too_far_away():
    spectator, options = every_step(6, [6, 5, 4, 3, 2, 1], [0.01, 0.05, 0.09, 0.17, 0.3, 0.5])

    trainer, why, states = run_with(spectator, options, kl_budget=0.08)

    assert why == "it moved too far away from what the model knew"
    assert steps_of(spectator) == 4
    assert_holds(trainer, states[2])  # the best within the budget


def test_what_strays_early_is_held_tighter_and_may_come_back():
    spectator, options = every_step(6, [6, 5, 4, 3, 2, 1], [0.07, 0.12, 0.4, 0.035, 0.02, 0.02])

    trainer, why, states = run_with(spectator, options, kl_budget=0.08)

    assert (why, steps_of(spectator)) == ("", 6)
    assert_holds(trainer, states[6])
    assert trainer.state.anchoring == pytest.approx(1.5 * 2 * (0.035 / 0.02))  # it aims at less later


def test_an_anchor_that_was_tightened_pulls_harder():
    found = {}
    for anchoring in (1.0, 8.0):
        chat = TinyChat()
        trainer = make_trainer(chat=chat, steps=mixed_steps(15))
        trainer.state.anchoring = anchoring
        trainer.run()
        found[anchoring] = divergence(
            chat.adapter, trainer._material.general, trainer._material.general_hidden
        )
    assert found[8.0] < found[1.0]


def test_what_hardly_strays_is_held_by_fewer_anchors_until_it_strays():
    kls = [0.05, 0.02, 0.02, 0.019, 0.05, 0.01]
    spectator, options = every_step(6, [6, 5, 4, 3, 2, 1], kls)
    plan = StepPlan((0,), (), (0, 1, 2, 0, 1, 2))
    options["steps"] = [plan] * 6
    held = {many: anchored_tokens(plan, many) for many in (6, 3, 2)}

    run_with(spectator, options, kl_budget=0.08, general_per_step=6)

    assert [report.tokens for report in spectator.reports] == [held[m] for m in (6, 6, 3, 2, 2, 6)]


def test_a_run_begins_with_as_many_anchors_as_it_is_told_until_it_strays():
    spectator, options = every_step(3, [3, 2, 1], [0.05, 0.10, 0.05])
    plan = StepPlan((0,), (), (0, 1, 2, 0))
    options |= {"steps": [plan] * 3, "anchors": 3}
    held = {many: anchored_tokens(plan, many) for many in (4, 3)}

    run_with(spectator, options, kl_budget=0.08, general_per_step=4)

    assert [report.tokens for report in spectator.reports] == [held[3], held[3], held[4]]


def anchored_tokens(plan, many):
    """The tokens of a step that holds so many of its anchors."""
    spectator = Spectator()
    make_trainer(spectator, steps=[replace(plan, general=plan.general[:many])]).run()
    return spectator.reports[0].tokens


def test_without_a_budget_every_anchor_is_held():
    spectator, options = every_step(3, [3, 2, 1])
    options["steps"] = mixed_steps(3)

    trainer, _, _ = run_with(spectator, options)

    assert trainer.state.anchors is None


def test_a_hair_better_and_further_away_is_not_best():
    spectator, options = every_step(4, [0.9, 0.676, 0.679, 0.60], [0.07, 0.057, 0.047, 0.09])

    trainer, _, states = run_with(spectator, options, kl_budget=0.08)

    assert trainer.state.best_step == 3  # the last one is over the budget
    assert_holds(trainer, states[3])


def test_a_little_over_the_budget_is_not_best_but_no_end():
    spectator, options = every_step(4, [4, 3, 2, 1], [0.01, 0.10, 0.10, 0.02])

    trainer, why, states = run_with(spectator, options, kl_budget=0.08)

    assert (why, steps_of(spectator)) == ("", 4)
    assert_holds(trainer, states[4])


def test_the_best_state_is_what_remains_although_training_went_on():
    spectator, options = every_step(5, [3, 1, 2, 2, 2])

    trainer, why, states = run_with(spectator, options, patience=9)

    assert why == ""
    assert_holds(trainer, states[2])
    live = dict(trainer._adapter.model.named_parameters())
    name = next(n for n in live if "lora_B" in n)
    short = name.removeprefix("base_model.model.").removesuffix(".default.weight")
    assert torch.equal(live[name], states[2][short])  # in the model too, not only in the masters


def test_training_ends_with_what_it_has_when_its_time_is_over():
    spectator = Spectator(ends_after=3)
    trainer = make_trainer(spectator, steps=plain_steps(20), recipe=replace(RECIPE, evaluations=2))

    assert trainer.run() == "the time budget was used up"

    assert steps_of(spectator) == 3
    assert spectator.evaluated == [3]  # a last look, so that there is a best state
    assert trainer.state.best_step == 3


def test_no_time_at_all_is_one_step():
    spectator = Spectator(ends_after=0)
    trainer = make_trainer(spectator, steps=plain_steps(20), recipe=replace(RECIPE, evaluations=2))

    assert trainer.run() == "the time budget was used up"
    assert steps_of(spectator) == 1


def test_a_snapshot_stays_as_it_is_when_a_run_goes_on_from_it():
    trainer = full_trainer(Spectator(interrupt_before_pass=5))
    with pytest.raises(InterruptedHereError):
        trainer.run()
    snapshot = trainer.snapshot()
    before = copy.deepcopy(snapshot)

    fresh = full_trainer()
    fresh.restore(snapshot)
    fresh.run()

    assert_same_snapshot(snapshot, before)


# -- what surprises ----------------------------------------------------------------------------------


class Surprises:
    """Finds given sequences surprising, and notes what it was asked to measure."""

    def __init__(self, *surprising):
        self.surprising, self.asked = surprising, []

    def __call__(self, sequences):
        self.asked.append(list(sequences))
        return [float(item in self.surprising) for item in sequences]


def visits(trainer, first, last):
    steps = trainer._steps[first:last]
    return [i for s in steps for i in s.new], [i for s in steps for i in s.replay]


def test_until_the_next_evaluation_lessons_are_visited_that_surprise():
    made = material()
    losses = Surprises(made.new[5], made.replay[2])
    trainer = make_trainer(losses=losses, lessons=((0, 1, 5), (0, 2)))

    trainer.run()

    planned_new, planned_old = zip(*((s.new, s.replay) for s in mixed_steps()), strict=True)
    at = sorted(trainer._evaluate_at)
    assert at == [2, 4, 6, 7]
    assert [s.new for s in trainer._steps[: at[0]]] == list(planned_new[: at[0]])
    for first, last in pairwise(at):
        new, old = visits(trainer, first, last)
        before = [i for step in planned_new[first:last] for i in step]
        assert [i for i in new if i in (2, 3, 4)] == [i for i in before if i in (2, 3, 4)]
        assert new.count(5) >= min(2, sum(i in (0, 1, 5) for i in new))
        assert [i for i in old if i == 1] == [i for step in planned_old[first:last] for i in step if i == 1]
    measured = [*(made.new[i] for i in (0, 1, 5)), *(made.replay[i] for i in (0, 2))]
    assert losses.asked == [measured] * 3  # nothing is chosen any more after the last evaluation


def test_without_lessons_or_measure_every_visit_is_as_planned():
    measure = Surprises()
    for changes in ({"losses": measure}, {"lessons": ((0, 1), (0,))}):
        trainer = make_trainer(**changes)
        trainer.run()
        assert trainer._steps == mixed_steps()
    assert measure.asked == []


def test_a_resumed_run_visits_what_the_uninterrupted_one_chose(tmp_path):
    made = material()

    def trainer(spectator=None):
        return full_trainer(
            spectator, losses=Surprises(made.new[5], made.replay[2]), lessons=((0, 1, 5), (0, 1, 2))
        )

    whole = trainer()
    whole.run()
    for stop in (5, 8, 12):
        broken = trainer(Spectator(interrupt_before_pass=stop))
        with pytest.raises(InterruptedHereError):
            broken.run()
        folder = CheckpointFolder(tmp_path / str(stop), "plan")
        folder.write(broken.snapshot())
        resumed = trainer()
        resumed.restore(folder.newest())
        resumed.run()
        assert resumed._steps[broken.state.step :] == whole._steps[broken.state.step :]
        assert_same_snapshot(resumed.snapshot(), whole.snapshot())


def test_a_checkpoint_of_an_earlier_build_keeps_the_steps_as_planned():
    broken = full_trainer(Spectator(ends_after=3))
    broken.run()
    snapshot = broken.snapshot()
    del snapshot.numbers["steps_left"]

    resumed = full_trainer()
    resumed.restore(snapshot)

    assert resumed._steps == mixed_steps()


@pytest.mark.parametrize(("strayed", "weight"), [(0.0, 1.0), (0.02, 1.0), (0.03, 1.5), (0.5, 2.0)])
def test_the_anchor_begins_as_heavy_as_the_version_has_strayed(strayed, weight):
    trainer = make_trainer(strayed=strayed, kl_budget=0.08)

    assert trainer.state.anchoring == pytest.approx(weight)


def test_without_a_budget_the_anchor_begins_as_it_is():
    assert make_trainer(strayed=3.0).state.anchoring == 1.0
    assert make_trainer(strayed=3.0, kl_budget=0.0).state.anchoring == 1.0

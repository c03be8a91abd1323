"""EWC on ΔW: its penalty, its gradient and its Fisher factors against what they stand for."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from allie_desktop.learning.batches import passes
from allie_desktop.learning.ewc import (
    FISHER_FILE,
    EwcPenalty,
    FisherFactors,
    estimate_fisher,
    fisher_sequences,
)
from allie_desktop.learning.lanes import Lanes
from tests.unit.learning.tiny import random_sequences, sequence

SHAPES = {"first": (7, 5), "second": (4, 9)}  # layer → (d_out, d_in)
RANK = 3


def random_state(seed, *, rank=RANK):
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for layer, (rows, columns) in SHAPES.items():
        state[f"{layer}.lora_A"] = torch.randn(rank, columns, generator=draw)
        state[f"{layer}.lora_B"] = torch.randn(rows, rank, generator=draw)
    return state


def random_factors(seed, *, tokens=100.0):
    draw = torch.Generator().manual_seed(seed)
    return FisherFactors(
        {layer: torch.rand(columns, generator=draw) for layer, (_, columns) in SHAPES.items()},
        {layer: torch.rand(rows, generator=draw) for layer, (rows, _) in SHAPES.items()},
        tokens,
    )


def explicit(factors, state, anchor, scaling, weight):
    """Return ½ λ Σ F (ΔW − ΔW*)² with every matrix formed."""
    total = torch.zeros(())
    for layer in SHAPES:
        change = scaling * (state[f"{layer}.lora_B"] @ state[f"{layer}.lora_A"])
        kept = scaling * (anchor[f"{layer}.lora_B"] @ anchor[f"{layer}.lora_A"])
        fisher = torch.outer(factors.outputs[layer], factors.inputs[layer])
        total = total + 0.5 * weight * (fisher * (change - kept) ** 2).sum()
    return total


def no_gradients(state):
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


# -- the penalty -------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    scaling=st.sampled_from([0.5, 1.0, 2.0]),
    weight=st.sampled_from([1e-3, 1.0, 250.0]),
)
def test_the_penalty_and_its_gradient_are_those_of_the_whole_matrices(seed, scaling, weight):
    factors, state, anchor = random_factors(seed), random_state(seed + 1), random_state(seed + 2)
    living = {name: tensor.clone().requires_grad_() for name, tensor in state.items()}
    expected = explicit(factors, living, anchor, scaling, weight)
    expected.backward()

    gradients = no_gradients(state)
    value = EwcPenalty(factors, anchor, scaling, weight).add_to(state, gradients)

    assert value == pytest.approx(expected.item(), rel=1e-4)
    for name, tensor in living.items():
        assert float((gradients[name] - tensor.grad).norm()) <= 1e-4 * float(tensor.grad.norm())


def test_the_gradient_is_added_to_what_is_there():
    factors, state, anchor = random_factors(0), random_state(1), random_state(2)
    alone, onto = no_gradients(state), {name: torch.ones_like(t) for name, t in state.items()}

    penalty = EwcPenalty(factors, anchor, 2.0, 1.0)
    penalty.add_to(state, alone)
    penalty.add_to(state, onto)

    for name, tensor in alone.items():
        torch.testing.assert_close(onto[name], tensor + 1)


def test_the_adapter_itself_is_not_changed():
    state, anchor = random_state(1), random_state(2)
    before = {name: tensor.clone() for name, tensor in state.items()}

    EwcPenalty(random_factors(0), anchor, 2.0, 1.0).add_to(state, no_gradients(state))

    assert all(torch.equal(state[name], before[name]) for name in state)
    assert all(torch.equal(anchor[name], tensor) for name, tensor in random_state(2).items())


@settings(max_examples=25)
@given(seed=st.integers(0, 1000))
def test_other_factors_of_the_same_change_cost_the_same(seed):
    factors, state, anchor = random_factors(seed), random_state(seed + 1), random_state(seed + 2)
    draw = torch.Generator().manual_seed(seed)
    turned = {}
    for layer in SHAPES:
        # Well away from singular, so that rounding stays small.
        turn = torch.linalg.qr(torch.randn(RANK, RANK, generator=draw))[0] @ torch.diag(
            0.5 + torch.rand(RANK, generator=draw)
        )
        turned[f"{layer}.lora_A"] = turn @ state[f"{layer}.lora_A"]
        turned[f"{layer}.lora_B"] = state[f"{layer}.lora_B"] @ torch.linalg.inv(turn)
    penalty = EwcPenalty(factors, anchor, 2.0, 3.0)

    plain = penalty.add_to(state, no_gradients(state))
    same = penalty.add_to(turned, no_gradients(turned))

    assert same == pytest.approx(plain, rel=1e-3)
    for layer in SHAPES:
        assert not torch.allclose(turned[f"{layer}.lora_A"], state[f"{layer}.lora_A"])


def test_staying_at_the_anchor_costs_nothing_and_pulls_nowhere():
    factors, state = random_factors(0), random_state(1)
    gradients = no_gradients(state)

    value = EwcPenalty(factors, state, 2.0, 1.0).add_to(state, gradients)

    assert value == pytest.approx(0.0, abs=1e-4)
    for tensor in gradients.values():
        torch.testing.assert_close(tensor, torch.zeros_like(tensor), rtol=0, atol=1e-4)


def test_an_anchor_of_no_change_penalises_the_whole_change():
    factors, state = random_factors(0), random_state(1)
    base = {n: torch.zeros_like(t) if n.endswith("lora_B") else t for n, t in state.items()}

    value = EwcPenalty(factors, base, 2.0, 1.0).add_to(state, no_gradients(state))

    assert value == pytest.approx(float(explicit(factors, state, base, 2.0, 1.0)), rel=1e-5)


# -- the factors, on a model that is one layer -------------------------------------------------------


class Regression(torch.nn.Module):
    """Softmax regression in the clothes of a language model: fixed inputs, one layer, its logits."""

    def __init__(self, inputs, weight):
        super().__init__()
        self.inputs = torch.nn.Parameter(inputs, requires_grad=False)
        self.base_model = torch.nn.Module()
        self.base_model.model = torch.nn.Module()
        self.base_model.model.layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.base_model.model.layer.weight.data.copy_(weight)
        self.head = torch.nn.Identity()
        self.drawn = []

    def get_decoder(self):
        return self._decode

    def _decode(self, *, input_ids, position_ids, attention_mask, use_cache):
        logits = self.base_model.model.layer(self.inputs[input_ids])
        if logits.requires_grad:
            # p − onehot(label) is what comes back to the logits, which tells the labels.
            logits.register_hook(lambda gradient: self.drawn.append((input_ids, gradient)))
        return SimpleNamespace(last_hidden_state=logits)

    def get_output_embeddings(self):
        return self.head


def make_regression(*, classes=5, width=6, symbols=40, seed=0, signs=False):
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(symbols, width, generator=draw)
    weight = torch.randn(classes, width, generator=draw)
    return Regression(inputs.sign() if signs else inputs, weight)


def everywhere(*tokens):
    """A sequence whose tokens are all predicted, so that all but the last predict."""
    return sequence(*tokens, learnt=len(tokens))


def samples(model):
    """Yield (input, label) of every prediction that was made, from the gradients that came back."""
    for tokens, gradient in model.drawn:
        for token, g in zip(tokens.flatten(), gradient.flatten(0, 1), strict=True):
            if bool(g.any()):
                yield model.inputs[token], int(g.argmin())


def exact_diagonal(model):
    """Return the mean over samples of the squared gradient of each weight, one sample at a time."""
    weight = model.base_model.model.layer.weight
    total, count = torch.zeros_like(weight), 0
    for x, label in samples(model):
        loss = torch.nn.functional.cross_entropy(weight @ x, torch.tensor(label))
        total += torch.autograd.grad(loss, weight)[0] ** 2
        count += 1
    return total / count, count


def test_where_the_factoring_is_exact_the_factors_give_the_exact_diagonal():
    # Inputs of +1 and −1: x² is the same everywhere, so E[g²x²] = E[g²]E[x²].
    model = make_regression(signs=True)
    items = [everywhere(*range(start, start + 9)) for start in range(3, 30, 3)]

    factors = estimate_fisher(model, ["layer"], passes(items, 64, 0), seed=5)
    exact, count = exact_diagonal(model)

    assert factors.tokens == count == 8 * len(items)
    found = torch.outer(factors.outputs["layer"], factors.inputs["layer"])
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-7)


def test_the_factors_are_the_means_over_single_samples():
    model = make_regression()
    items = [everywhere(*range(start, start + 7)) for start in range(3, 24)]

    factors = estimate_fisher(model, ["layer"], passes(items, 64, 0), seed=5)

    weight = model.base_model.model.layer.weight.detach()
    squares = []
    for x, label in samples(model):
        gradient = (weight @ x).softmax(-1)
        gradient[label] -= 1
        squares.append(gradient**2)
    torch.testing.assert_close(factors.outputs["layer"], torch.stack(squares).mean(0), rtol=1e-4, atol=1e-7)
    # Every token is an input, also the last of a sequence, which predicts nothing.
    seen = torch.cat([model.inputs[list(item.tokens)] for item in items])
    torch.testing.assert_close(factors.inputs["layer"], seen.square().mean(0), rtol=1e-4, atol=1e-7)


def test_labels_come_from_the_model_and_not_from_the_text():
    model = make_regression(signs=True, symbols=8)
    items = [everywhere(*([3, 4, 5, 6, 7] * 40)) for _ in range(8)]

    factors = estimate_fisher(model, ["layer"], passes(items, 2048, 0), seed=1)

    p = (model.inputs[3:8] @ model.base_model.model.layer.weight.T).softmax(-1).detach()
    expected = (p * (1 - p)).mean(0)  # E[(p − y)²] when y is drawn from p
    torch.testing.assert_close(factors.outputs["layer"], expected, rtol=0.15, atol=0.005)


def test_opposite_gradients_in_a_batch_do_not_cancel():
    # Two classes of equal probability: the gradients are ±½, and their mean is nearly nothing.
    model = Regression(torch.ones(10, 1), torch.zeros(2, 1))
    items = [everywhere(*([5] * 101)) for _ in range(4)]

    batches = passes(items, 4096, 0)
    factors = estimate_fisher(model, ["layer"], batches, seed=0)
    mean = torch.stack([g.sum((0, 1)) for _, g in model.drawn]).sum(0) / factors.tokens

    assert len(batches) == 1
    assert float(mean.abs().max()) < 0.15
    torch.testing.assert_close(factors.outputs["layer"], torch.tensor([0.25, 0.25]))


def test_padding_counts_for_nothing():
    model = make_regression()
    model.inputs.data[0] = 1000.0  # the padding token
    items = [everywhere(*range(3, 3 + 250)), everywhere(5, 6, 7)]
    items = [everywhere(*(3 + t % 30 for t in item.tokens)) for item in [*items, items[0]]]
    batches = passes(items, 4096, 0)

    factors = estimate_fisher(model, ["layer"], batches, seed=0)

    assert any(not bool(batch.filled.all()) for batch in batches)
    assert float(factors.inputs["layer"].max()) < 100


@pytest.mark.parametrize(
    ("replayed", "general", "of_replay", "of_general"), [(40, 40, 12, 12), (3, 40, 3, 21), (0, 5, 0, 5)]
)
def test_it_is_estimated_on_what_was_learnt_and_on_the_rest(replayed, general, of_replay, of_general):
    old, rest = random_sequences(replayed, seed=1), random_sequences(general, seed=2)

    assert fisher_sequences(old, rest) == [*old[:of_replay], *rest[:of_general]]


def test_nothing_to_predict_is_no_estimate():
    with pytest.raises(ValueError, match="no position"):
        estimate_fisher(make_regression(), ["layer"], passes([sequence(3, 4, learnt=0)], 64, 0), seed=0)


def test_lanes_estimate_the_same(tiny_chat):
    model, layers = tiny_chat.adapter.model, tiny_chat.adapter.pairs
    batches = passes(random_sequences(20, seed=2), 64, 0)
    assert len(batches) > 3
    called = []

    alone = estimate_fisher(model, layers, batches, 3)
    beside = estimate_fisher(model, layers, batches, 3, lanes=Lanes(3, 1), between=lambda: called.append(1))

    assert len(called) == len(batches)
    assert beside.tokens == alone.tokens
    for mine, theirs in ((beside.inputs, alone.inputs), (beside.outputs, alone.outputs)):
        for name in layers:
            torch.testing.assert_close(mine[name], theirs[name], rtol=1e-4, atol=1e-9)


# -- the factors, on a language model ----------------------------------------------------------------


def estimated(chat, *, seed=3):
    items = random_sequences(6, seed=2)
    return estimate_fisher(chat.adapter.model, chat.adapter.pairs, passes(items, 256, 0), seed)


def test_every_adapted_layer_gets_a_number_for_each_input_and_each_output(tiny_chat):
    factors = estimated(tiny_chat)

    assert set(factors.inputs) == set(factors.outputs) == set(tiny_chat.adapter.pairs)
    for layer in tiny_chat.adapter.pairs:
        assert factors.inputs[layer].shape == (tiny_chat.adapter.masters[f"{layer}.lora_A"].shape[1],)
        assert factors.outputs[layer].shape == (tiny_chat.adapter.masters[f"{layer}.lora_B"].shape[0],)
        assert bool((factors.inputs[layer] > 0).all())
        assert bool((factors.outputs[layer] >= 0).all())
        assert float(factors.outputs[layer].sum()) > 0


def test_estimating_leaves_the_model_as_it_was(tiny_chat):
    before = {n: p.detach().clone() for n, p in tiny_chat.adapter.model.named_parameters()}

    estimated(tiny_chat)

    for name, parameter in tiny_chat.adapter.model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None


def test_the_same_seed_gives_the_same_factors(tiny_chat):
    first, second, other = estimated(tiny_chat), estimated(tiny_chat), estimated(tiny_chat, seed=4)

    assert all(torch.equal(first.outputs[n], second.outputs[n]) for n in first.outputs)
    assert any(not torch.equal(first.outputs[n], other.outputs[n]) for n in first.outputs)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_recomputed_activations_give_the_same_factors(tiny_chat):
    plain = estimated(tiny_chat)
    forwards = []
    tiny_chat.model.model.layers[0].self_attn.register_forward_hook(lambda *_: forwards.append(1))
    tiny_chat.adapter.model.gradient_checkpointing_enable({"use_reentrant": False})
    tiny_chat.adapter.model.enable_input_require_grads()
    tiny_chat.adapter.model.train()

    recomputed = estimated(tiny_chat)

    assert len(forwards) == 2  # once more in the backward pass
    for name in plain.inputs:
        torch.testing.assert_close(recomputed.inputs[name], plain.inputs[name], rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(recomputed.outputs[name], plain.outputs[name], rtol=1e-4, atol=1e-9)


# -- over episodes and on disk -----------------------------------------------------------------------


def test_older_factors_count_with_their_decayed_tokens():
    newer, older = random_factors(1, tokens=100.0), random_factors(2, tokens=300.0)

    both = newer.blended(older, 0.5)

    assert both.tokens == 250.0
    for layer in SHAPES:
        torch.testing.assert_close(
            both.inputs[layer], (100 * newer.inputs[layer] + 150 * older.inputs[layer]) / 250
        )
        torch.testing.assert_close(
            both.outputs[layer], (100 * newer.outputs[layer] + 150 * older.outputs[layer]) / 250
        )


def test_a_decay_of_zero_forgets_the_older_factors():
    newer = random_factors(1)
    both = newer.blended(random_factors(2), 0.0)

    assert both.tokens == newer.tokens
    assert all(torch.equal(both.inputs[n], newer.inputs[n]) for n in SHAPES)


def test_blending_the_same_factors_changes_only_their_weight():
    factors = random_factors(1)
    both = factors.blended(factors, 0.9)

    assert both.tokens == pytest.approx(190.0)
    for layer in SHAPES:
        torch.testing.assert_close(both.inputs[layer], factors.inputs[layer])


def test_what_was_saved_is_loaded(tmp_path):
    factors = random_factors(1, tokens=123.0)
    factors.save(tmp_path)

    loaded = FisherFactors.load(tmp_path, list(SHAPES))

    assert loaded.tokens == 123.0
    for layer in SHAPES:
        assert torch.equal(loaded.inputs[layer], factors.inputs[layer])
        assert torch.equal(loaded.outputs[layer], factors.outputs[layer])
    assert [file.name for file in tmp_path.iterdir()] == [FISHER_FILE]


def test_a_missing_file_is_no_factors(tmp_path):
    assert FisherFactors.load(tmp_path, list(SHAPES)) is None


def test_factors_of_other_layers_are_no_factors(tmp_path):
    random_factors(1).save(tmp_path)

    assert FisherFactors.load(tmp_path, [*SHAPES, "third"]) is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_no_factors(tmp_path, share):
    random_factors(1).save(tmp_path)
    data = (tmp_path / FISHER_FILE).read_bytes()
    (tmp_path / FISHER_FILE).write_bytes(data[: int(len(data) * share)])

    assert FisherFactors.load(tmp_path, list(SHAPES)) is None


def test_garbage_is_no_factors(tmp_path):
    (tmp_path / FISHER_FILE).write_bytes(b"\x80\x04\x95 this is no safetensors file " * 50)

    assert FisherFactors.load(tmp_path, list(SHAPES)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs.l": torch.full((3,), math.nan)},
        {"inputs.l": torch.tensor([1.0, -1.0, 1.0])},
        {"outputs.l": torch.full((2,), math.inf)},
        {"inputs.l": torch.tensor(5.0)},
        {"inputs.l": torch.ones(3, 3)},
        {"inputs.l": torch.ones(3, dtype=torch.int64)},
        {"tokens": torch.tensor([math.nan])},
        {"tokens": torch.tensor([0.0])},
        {"tokens": torch.tensor([])},
    ],
)
def test_factors_that_are_no_means_of_squares_are_no_factors(tmp_path, changes):
    sound = {"inputs.l": torch.ones(3), "outputs.l": torch.ones(2), "tokens": torch.tensor([5.0])}
    save_file(sound, tmp_path / FISHER_FILE)
    assert FisherFactors.load(tmp_path, ["l"]).tokens == 5.0

    save_file(sound | changes, tmp_path / FISHER_FILE)
    assert FisherFactors.load(tmp_path, ["l"]) is None


def test_a_number_of_tokens_may_stand_alone(tmp_path):
    tensors = {"inputs.l": torch.ones(3), "outputs.l": torch.ones(2), "tokens": torch.tensor(5.0)}
    save_file(tensors, tmp_path / FISHER_FILE)

    assert FisherFactors.load(tmp_path, ["l"]).tokens == 5.0

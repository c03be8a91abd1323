"""Losses in chunks must equal the plain formulas, and so must their gradients."""

from __future__ import annotations

import pytest
import torch

from allie_desktop.domain.errors import ModelError
from allie_desktop.learning.batches import passes
from allie_desktop.learning.losses import (
    CHUNK_POSITIONS,
    check_head,
    hidden_states,
    token_kl,
    token_losses,
)
from tests.unit.learning.tiny import random_sequences, tiny_llama

BORDERS = [1, CHUNK_POSITIONS - 1, CHUNK_POSITIONS, CHUNK_POSITIONS + 1, 2 * CHUNK_POSITIONS + 7]


def parts(count, *, seed=0):
    draw = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(12, 30, bias=False).requires_grad_(False)
    head.weight.copy_(torch.randn(30, 12, generator=draw))
    hidden = torch.randn(count, 12, generator=draw, requires_grad=True)
    base = torch.randn(count, 12, generator=draw)
    targets = torch.randint(0, 30, (count,), generator=draw)
    return head, hidden, base, targets


def gradient(values, hidden):
    # Unequal weights, so that an order mixed up between chunks shows.
    weights = torch.linspace(0.5, 2.0, len(values))
    return torch.autograd.grad((values * weights).sum(), hidden)[0]


@pytest.mark.parametrize("count", BORDERS)
def test_token_losses_are_minus_the_logarithm_of_the_targets_probability(count):
    head, hidden, _, targets = parts(count)
    plain = -(hidden @ head.weight.T).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)

    losses = token_losses(head, hidden, targets)

    torch.testing.assert_close(losses, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient(losses, hidden), gradient(plain, hidden), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", BORDERS)
def test_token_kl_is_the_divergence_of_the_base_from_the_adapted(count):
    head, hidden, base, _ = parts(count)
    p, q = (base @ head.weight.T).softmax(-1), (hidden @ head.weight.T).softmax(-1)
    plain = (p * (p / q).log()).sum(-1)

    divergence = token_kl(head, hidden, base)

    torch.testing.assert_close(divergence, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient(divergence, hidden), gradient(plain, hidden), rtol=1e-4, atol=1e-5)


def test_the_divergence_of_a_model_from_itself_is_nothing():
    head, hidden, _, _ = parts(40)

    divergence = token_kl(head, hidden, hidden.detach())

    torch.testing.assert_close(divergence, torch.zeros(40), rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient(divergence, hidden), torch.zeros(40, 12), rtol=0, atol=1e-6)


def test_no_positions_are_no_losses():
    head, hidden, base, targets = parts(3)

    assert token_losses(head, hidden[:0], targets[:0]).shape == (0,)
    assert token_kl(head, hidden[:0], base[:0]).shape == (0,)


def test_without_gradients_the_values_are_the_same():
    head, hidden, base, targets = parts(CHUNK_POSITIONS + 3)
    with torch.no_grad():
        losses, divergence = token_losses(head, hidden, targets), token_kl(head, hidden, base)

    assert torch.equal(losses, token_losses(head, hidden, targets).detach())
    assert torch.equal(divergence, token_kl(head, hidden, base).detach())


def test_low_precision_is_summed_in_full_precision():
    head, hidden, base, targets = parts(20)
    low, small, other = head.bfloat16(), hidden.detach().bfloat16(), base.bfloat16()

    losses, divergence = token_losses(low, small, targets), token_kl(low, small, other)

    assert losses.dtype == divergence.dtype == torch.float32
    logits = low(small).float()
    plain = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(losses, plain, rtol=1e-6, atol=1e-6)


def test_hidden_states_are_those_of_the_predicting_places():
    model = tiny_llama()
    items = random_sequences(3, seed=2)
    (batch,) = passes(items, 1024, 0)
    with torch.no_grad():
        found = hidden_states(model, batch)
        whole = [model.model(input_ids=torch.tensor([i.tokens])).last_hidden_state[0] for i in items]

    for number, item in enumerate(items):
        mine = found[batch.owners == number]
        places = [i - 1 for i, weight in enumerate(item.weights) if weight > 0]
        torch.testing.assert_close(mine, whole[number][places], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", BORDERS)
def test_a_bias_of_the_head_counts(count):
    head, hidden, base, targets = parts(count)
    head.bias = torch.nn.Parameter(torch.linspace(-2, 2, 30), requires_grad=False)
    nll = -head(hidden).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    log_p = head(base).log_softmax(-1)
    kl = (log_p.exp() * (log_p - head(hidden).log_softmax(-1))).sum(-1)

    losses, divergence = token_losses(head, hidden, targets), token_kl(head, hidden, base)

    torch.testing.assert_close(losses, nll, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient(losses, hidden), gradient(nll, hidden), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(divergence, kl, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient(divergence, hidden), gradient(kl, hidden), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"), [("final_logit_softcapping", 30.0), ("logit_scale", 0.0625), ("logits_scaling", 8.0)]
)
def test_a_model_that_bends_its_logits_is_refused(name, value):
    model = tiny_llama()
    check_head(model)
    setattr(model.config, name, None)
    check_head(model)
    setattr(model.config, name, value)

    with pytest.raises(ModelError) as caught:
        check_head(model)
    assert name in caught.value.message
    assert caught.value.remedy


def test_a_head_that_is_more_than_one_layer_is_refused():
    model = tiny_llama()
    model.lm_head = torch.nn.Sequential(model.lm_head, torch.nn.Tanh())

    with pytest.raises(ModelError):
        check_head(model)

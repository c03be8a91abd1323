"""Attention of packed rows must be torch's attention, forth and back."""

from __future__ import annotations

import contextlib

import pytest
import torch

from allie_desktop.learning.attention import additive, is_for_rows, row_attention
from allie_desktop.learning.batches import passes
from allie_desktop.learning.losses import hidden_states
from tests.unit.learning.tiny import random_sequences, sequence, tiny_llama


def run(model, batch, *, by_rows):
    """Return the last hidden states of a pass and the gradients of all weights under an uneven loss."""
    decoder = model.get_decoder()
    model.zero_grad()
    given = {"input_ids": batch.tokens, "position_ids": batch.positions, "use_cache": False}
    if by_rows:
        with row_attention(decoder):
            hidden = decoder(attention_mask=additive(batch.attention, model.dtype), **given).last_hidden_state
    else:
        hidden = decoder(attention_mask=batch.attention, **given).last_hidden_state
    seen = hidden[batch.filled]
    (seen.float() * torch.linspace(-1, 1, seen.shape[-1])).sum().backward()
    return seen.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def packed():
    """Several sequences a row, two of which share its opening."""
    return passes(random_sequences(6, seed=1, head=(7, 8, 9)), 64, 0)[0]


def test_rows_are_attended_to_as_torch_does(packed):
    model = tiny_llama().requires_grad_(True)
    known, known_gradients = run(model, packed, by_rows=False)
    found, gradients = run(model, packed, by_rows=True)
    assert gradients.keys() == known_gradients.keys()
    torch.testing.assert_close(found, known)
    for name, gradient in gradients.items():
        known_one = known_gradients[name]
        assert (gradient - known_one).abs().max() < 1e-5 * known_one.abs().max(), name


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("width", [100, 256, 257, 300, 384, 500])
def test_rows_of_any_length_and_number_are_attended_to_as_torch_does(width, rows):
    model = tiny_llama().requires_grad_(True)
    long = [
        sequence(3 + row, *(3 + i * 7 % 110 for i in range(width - 61)), learnt=40) for row in range(rows)
    ]
    batch = passes(long + random_sequences(4, seed=4), width * rows, 0)[0]
    assert width - 60 <= batch.tokens.shape[1] <= max(256, width)
    assert batch.tokens.shape[0] >= (rows if width > 256 else 1)
    known, known_gradients = run(model, batch, by_rows=False)
    found, gradients = run(model, batch, by_rows=True)
    torch.testing.assert_close(found, known)
    for name, gradient in gradients.items():
        known_one = known_gradients[name]
        assert (gradient - known_one).abs().max() < 1e-5 * known_one.abs().max(), name


def test_low_precision_stays_as_close_to_the_truth_as_torchs_own(packed):
    truth, _ = run(tiny_llama().requires_grad_(True), packed, by_rows=False)
    low = tiny_llama().requires_grad_(True).to(torch.bfloat16)
    error = {
        by_rows: (run(low, packed, by_rows=by_rows)[0].float() - truth).abs().mean() for by_rows in (0, 1)
    }
    assert error[1] < 1.5 * error[0]


def test_the_model_attends_as_before_afterwards_even_after_an_error():
    decoder = tiny_llama().get_decoder()
    before = decoder.config._attn_implementation
    with contextlib.suppress(ZeroDivisionError), row_attention(decoder):
        assert decoder.config._attn_implementation != before
        raise ZeroDivisionError
    assert decoder.config._attn_implementation == before


def test_a_model_that_wants_more_of_its_attention_gets_torchs(packed):
    decoder = tiny_llama().get_decoder()
    given = {"input_ids": packed.tokens, "position_ids": packed.positions, "use_cache": False}
    with row_attention(decoder), pytest.raises(ValueError, match="softcap"):
        decoder(attention_mask=additive(packed.attention, torch.float32), softcap=30.0, **given)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_long_rows_and_recomputed_activations_are_left_to_torch():
    model = tiny_llama()
    assert is_for_rows(model, 1024)
    assert not is_for_rows(model, 1025)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert not is_for_rows(model, 1024)


def test_hidden_states_of_a_row_do_not_depend_on_its_neighbours():
    model = tiny_llama()
    sequences = random_sequences(3, seed=2)
    together = passes(sequences, 64, 0)[0]
    found = hidden_states(model, together)
    for index, one in enumerate(sequences):
        alone = hidden_states(model, passes([one], 64, 0)[0])
        torch.testing.assert_close(found[together.owners == index], alone, rtol=1e-4, atol=1e-5)

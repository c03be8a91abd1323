"""How much goes into a pass, for machines that we do not have here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.learning.memory import (
    PassSize,
    bytes_per_token,
    free_memory,
    pass_size,
    peak_memory,
)
from tests.unit.learning.tiny import tiny_llama

GIB = 1024**3


def model_like(hidden, inner, blocks, dtype=torch.float32):
    """The shape of a model, with one weight of its type: nothing else is looked at."""
    config = SimpleNamespace(hidden_size=hidden, intermediate_size=inner, num_hidden_layers=blocks)
    return SimpleNamespace(config=config, parameters=lambda: iter([torch.zeros(1, dtype=dtype)]))


SMALL = model_like(64, 128, 2)
SMOLLM2_135M = model_like(576, 1536, 30, torch.bfloat16)
TINYLLAMA_1B = model_like(2048, 5632, 22)


@pytest.mark.parametrize(
    ("gibibytes", "tokens", "longest"),
    [
        (1, 512, 256),
        (2.9, 512, 256),
        (3, 1024, 512),
        (5.9, 1024, 512),
        (6, 2048, 1024),
        (9.9, 2048, 1024),
        (10, 4096, 2048),
        (16, 4096, 2048),
        (80, 4096, 2048),
    ],
)
def test_the_table_of_sizes(gibibytes, tokens, longest):
    size = pass_size(SMALL, 4, 10_000, int(gibibytes * GIB), cpu=False)

    assert size == PassSize(tokens, longest, checkpointing=False)


def test_a_cpu_gets_passes_that_stay_in_its_caches():
    assert pass_size(SMALL, 4, 10_000, 64 * GIB, cpu=True) == PassSize(2048, 2048, checkpointing=False)


def test_sequences_are_never_longer_than_wanted():
    assert pass_size(SMALL, 4, 300, 64 * GIB, cpu=True).longest == 300


def test_memory_that_nobody_tells_is_taken_for_a_small_machine():
    assert pass_size(SMALL, 4, 512, None, cpu=False) == pass_size(SMALL, 4, 512, 6 * GIB, cpu=False)


def test_a_large_model_gets_fewer_tokens_than_the_table_allows():
    free = 5 * GIB
    size = pass_size(TINYLLAMA_1B, 16, 512, free, cpu=False)

    fits = int(free * 0.6) // bytes_per_token(TINYLLAMA_1B, 16)
    assert 512 < fits < 1024
    assert size == PassSize(fits, 512, checkpointing=False)


def test_where_not_one_sequence_fits_activations_are_computed_twice():
    size = pass_size(TINYLLAMA_1B, 16, 512, GIB, cpu=False)

    assert size.checkpointing
    assert size.longest == 256
    assert size.tokens == 512  # what recomputing makes room for


def test_the_estimate_grows_with_everything_that_is_kept():
    assert bytes_per_token(SMOLLM2_135M, 16) == 30 * (14 * 576 + 5 * 1536 + 21 * 16) * 2
    assert bytes_per_token(TINYLLAMA_1B, 16) == 22 * (14 * 2048 + 5 * 5632 + 21 * 16) * 4
    assert bytes_per_token(tiny_llama(), 4) == 2 * (14 * 48 + 5 * 96 + 21 * 4) * 4


@settings(max_examples=50)
@given(free=st.integers(0, 200 * GIB), wanted=st.integers(16, 8192), cpu=st.booleans())
def test_there_is_always_a_size_and_more_memory_never_makes_it_smaller(free, wanted, cpu):
    size = pass_size(TINYLLAMA_1B, 16, wanted, free, cpu=cpu)
    plenty = pass_size(TINYLLAMA_1B, 16, wanted, 400 * GIB, cpu=cpu)

    assert 64 <= size.tokens <= plenty.tokens
    assert 0 < size.longest <= min(wanted, plenty.longest)
    assert not plenty.checkpointing


def test_this_machine_tells_its_memory():
    free = free_memory(torch.device("cpu"))

    assert free is not None
    assert 0 < free < 2**50


def test_the_peak_is_at_least_what_a_python_with_torch_takes():
    assert peak_memory(torch.device("cpu")) > 50 * 1024**2

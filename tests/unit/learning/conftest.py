"""Chat models of a few thousand weights, made anew for each test: real layers, tokenizers and templates."""

from __future__ import annotations

import pytest
import torch

from tests.unit.learning.tiny import TinyChat, chatml_tokenizer, zephyr_tokenizer

torch.set_num_threads(1)  # sums depend on how they are split, and other tests run beside these


@pytest.fixture(scope="session", params=[chatml_tokenizer, zephyr_tokenizer], ids=["chatml", "zephyr"])
def tokenizer(request):
    """A tokenizer with SmolLM2's template, then one with TinyLlama's."""
    return request.param()


@pytest.fixture(scope="session")
def chatml():
    """A tokenizer with SmolLM2's template."""
    return chatml_tokenizer()


@pytest.fixture(scope="session")
def zephyr():
    """A tokenizer with TinyLlama's template."""
    return zephyr_tokenizer()


@pytest.fixture
def tiny_chat() -> TinyChat:
    """A fresh model with an adapter, and sequences to train it on."""
    return TinyChat()

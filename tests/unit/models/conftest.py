"""Models on disk, small enough to be made for each run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.learning.tiny import chatml_tokenizer, tiny_llama

torch.set_num_threads(1)  # sums depend on how they are split, and other tests run beside these


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory) -> Path:
    """A whole model folder as of a hub: weights, config, tokenizer, template. Do not change it."""
    folder = tmp_path_factory.mktemp("models") / "Tiny-Chat"
    tokenizer = chatml_tokenizer()
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

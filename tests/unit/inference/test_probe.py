"""The last look at an adapter before it is used."""

from __future__ import annotations

import pytest

from allie_desktop.domain.errors import VersionCorruptError
from allie_desktop.inference.probe import PROBES, TorchProbe, is_garbage
from allie_desktop.inference.torch_engine import TorchEngine


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   ",
        "\n\n",
        "!!! ... ---",
        "the the the the the the the the the the the the",
        "a" * 60,
        "hahaha" * 10,
    ],
)
def test_what_is_no_language_is_garbage(answer):
    assert is_garbage(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Yes.",
        "42",
        "Paris is the capital of France.",
        "No no no, that is not right.",
        "こんにちは、元気です。",
        "مرحبا",
    ],
)
def test_short_and_foreign_answers_are_not(answer):
    assert not is_garbage(answer)


def test_a_working_adapter_gives_its_answers_and_is_unloaded(loaded, adapter):
    engine = TorchEngine(loaded)

    answers = TorchProbe(lambda: engine).probe(adapter)

    assert len(answers) == len(PROBES)
    assert engine.adapters == ()


def test_an_adapter_that_makes_the_model_stutter_is_refused(loaded, adapter):
    import torch

    engine = TorchEngine(loaded)
    space = loaded.tokenizer("a a")["input_ids"][1]
    with torch.no_grad():
        loaded.model.lm_head = torch.nn.Linear(32, len(loaded.tokenizer), bias=True)
        loaded.model.lm_head.weight.zero_()
        loaded.model.lm_head.bias.zero_()
        loaded.model.lm_head.bias[space] = 1.0

    with pytest.raises(VersionCorruptError, match="speak nonsense"):
        TorchProbe(lambda: engine).probe(adapter)
    assert engine.adapters == ()


def test_a_folder_without_an_adapter_is_refused(loaded, tmp_path):
    engine = TorchEngine(loaded)

    with pytest.raises(VersionCorruptError, match="cannot be used"):
        TorchProbe(lambda: engine).probe(tmp_path)

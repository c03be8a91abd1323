"""Both chat engines say the same with the same adapter, on the real starter model."""

from __future__ import annotations

import contextlib
import json
import math

import pytest

from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.inference.gguf_adapter import convert_adapter
from allie_desktop.inference.prompts import user_prompt
from allie_desktop.models.gguf_header import read_header

pytestmark = [pytest.mark.model, pytest.mark.slow]

PROMPTS = (
    "What is the capital of France?",
    "Name three fruits.",
    "Write one sentence about the sea.",
    "Who wrote Romeo and Juliet?",
    "Explain what a computer does.",
    "How do I boil an egg?",
    "Tell me a short story about a dog.",
    "What colours has a rainbow?",
    "Why is the sky blue?",
    "Give me a tip for sleeping well.",
)
TOKENS = 16
CUTS = (0, 6)  # tokens of the reply that are given
THREADS = 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def base(cache):
    from allie_desktop.models.catalogue import resolve_base

    return resolve_base("starter", cache)


@pytest.fixture(scope="module")
def reference(base, cache):
    import torch

    from allie_desktop.inference.torch_engine import TorchEngine
    from allie_desktop.models.loading import load_base

    torch.set_num_threads(THREADS)
    return TorchEngine(load_base(base, cache=cache, device="cpu", dtype=torch.float32))


@pytest.fixture(scope="module")
def adapter(reference, tmp_path_factory):
    """An adapter of the geometry that learning uses, which changes every answer and still lets it speak."""
    from dataclasses import asdict

    import torch
    from safetensors.torch import save_file

    geometry = LoraGeometry()
    folder = tmp_path_factory.mktemp("adapter")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": geometry.rank,
        "lora_alpha": geometry.alpha,
        "target_modules": list(asdict(geometry)["targets"]),
        "lora_dropout": 0.0,
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    draw = torch.Generator().manual_seed(11)
    weights = {}
    for name, (rank_or_rows, columns) in reference._places(config, folder).items():
        scale = 1 / columns**0.5 if name.endswith("lora_A.weight") else 0.05
        weights[name] = scale * torch.randn((rank_or_rows, columns), generator=draw)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def places(reference, adapter):
    """Beginnings of replies, as tokens, and what torch expects to follow: with the adapter and without."""
    import torch
    from transformers import DynamicCache

    reference.load_adapter("made", adapter)
    asked = [user_prompt(p) for p in PROMPTS]
    found = {}
    for name in ("made", None):
        replies = reference.generate(asked, adapter=name, max_tokens=TOKENS)
        beginnings = [
            reference.prompt(question)
            + reference.tokenizer(reply, add_special_tokens=False)["input_ids"][:cut]
            for question, reply in zip(asked, replies, strict=True)
            for cut in CUTS
        ]
        logits = [reference.step(tokens, DynamicCache(), adapter=name) for tokens in beginnings]
        found[name] = [(b, torch.log_softmax(x, -1)) for b, x in zip(beginnings, logits, strict=True)]
    return found


def divergence(base, adapter, places):
    """Return the mean KL from torch to llama.cpp in nats a token, over the tokens that matter."""
    from pathlib import Path

    from allie_desktop.inference.llama_engine import LlamaEngine

    path = Path(base.path)
    total = 0.0
    with contextlib.closing(LlamaEngine(path, read_header(path), adapter=adapter, threads=THREADS)) as engine:
        for tokens, expected in places:
            heard = []
            request = {"prompt": tokens, "max_tokens": 1, "temperature": 0.0, "logprobs": 500}
            engine._server.handle_completions(json.dumps(request), heard.append)
            entry = json.loads(heard[0])["choices"][0]["logprobs"]["content"][0]
            for other in entry["top_logprobs"]:
                ours = float(expected[other["id"]])
                total += math.exp(ours) * (ours - other["logprob"])
    return total / len(places)


def test_the_engines_agree_with_an_adapter_and_only_with_the_right_order_of_rows(
    base, adapter, places, tmp_path, monkeypatch
):
    from pathlib import Path

    convert_adapter(adapter, Path(base.path), tmp_path / "right.gguf")
    monkeypatch.setattr("allie_desktop.inference.gguf_adapter.interleave", lambda rows, heads: rows)
    convert_adapter(adapter, Path(base.path), tmp_path / "wrong.gguf")

    assert divergence(base, tmp_path / "right.gguf", places["made"]) <= 0.02
    assert divergence(base, tmp_path / "wrong.gguf", places["made"]) > 0.1
    # The adapter changes what is said: it is not the base model that they agree on.
    assert divergence(base, None, places["made"]) > 0.1


def test_the_engines_agree_without_an_adapter(base, places):
    assert divergence(base, None, places[None]) <= 0.02

"""A chat model of a few thousand weights: real architecture, real tokenizer, real template, random words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-model")
    alphabet = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True) for t in ("<|im_start|>", "<|im_end|>", "<end>")]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(tiny_model, tmp_path):
    import torch

    from allie_desktop.models.catalogue import resolve_base
    from allie_desktop.models.loading import load_base

    base = resolve_base(str(tiny_model), tmp_path / "cache")
    return load_base(base, cache=tmp_path / "cache", device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def adapter(tiny_model, tmp_path_factory) -> Path:
    """A PEFT folder with weights large enough to change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    wrapped = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM")
    )
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    folder = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(folder)
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 4
    return folder


@dataclass(frozen=True)
class Twins:
    """One model in both forms, and adapters for it."""

    folder: Path  # safetensors
    gguf: Path
    adapter: Path
    other: Path


@pytest.fixture(scope="session")
def twins(tmp_path_factory) -> Twins:
    from tests.unit.learning.tiny import chatml_tokenizer, tiny_llama
    from tests.unit.models.gguf_files import write_llama

    root = tmp_path_factory.mktemp("twins")
    tokenizer = chatml_tokenizer()
    folder = root / "Tiny-Chat"
    model = tiny_llama(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    gguf = write_llama(root / "Tiny-Chat.gguf", model, tokenizer)
    return Twins(folder, gguf, random_lora(folder, root / "one", 1), random_lora(folder, root / "two", 2))


def random_lora(model: Path, folder: Path, seed: int, **changes) -> Path:
    """Write a PEFT folder whose weights change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    options = {"r": 4, "lora_alpha": 8, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
    wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(model), LoraConfig(**(options | changes)))
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    wrapped.save_pretrained(folder)
    return folder

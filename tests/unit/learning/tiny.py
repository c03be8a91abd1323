"""Tiny real parts: two kinds of tokenizers with the templates of real models, a Llama with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.chat_format import Encoded

#: As in SmolLM2-135M-Instruct, with fewer words in its default system message.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
#: As in TinyLlama-1.1B-Chat-v1.0, to the letter: the newline after each block is the template's own.
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
    "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n"
    "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
#: Refuses whatever does not alternate, as the templates of Llama 2, Mistral and Gemma do.
ALTERNATING = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_WORDS = (
    "You are a helpful AI assistant. What is my sister called? Your sister is called Ada. My dog is a "
    "beagle and lives in the garden. The colour of the sea is blue, and the sky is grey today."
)


@cache
def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level tokenizer as of GPT-2 and SmolLM2, with a few merges. Do not change it."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        [_WORDS], BpeTrainer(vocab_size=290, initial_alphabet=alphabet, show_progress=False)
    )
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    fast.chat_template = CHATML
    return fast


@cache
def zephyr_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer as of Llama 2 and TinyLlama: spaces are letters, unknown letters are bytes, and
    the marks of the template are plain text but for ``</s>``. Do not change it."""
    letters = Tokenizer(BPE())
    letters.normalizer = normalizers.Replace(" ", "▁")
    letters.train_from_iterator(
        [f"{_WORDS} <|user|> <|assistant|> <|system|>"], BpeTrainer(vocab_size=90, show_progress=False)
    )
    known = letters.get_vocab()
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"<0x{byte:02X}>": 3 + byte for byte in range(256)}}
    vocab |= {"\n": len(vocab)} if "\n" not in known else {}
    vocab |= {piece: len(vocab) + i for i, piece in enumerate(sorted(known, key=known.__getitem__))}
    merges = [(a, b) for a in known for b in known if a + b in known]
    merges.sort(key=lambda pair: known[pair[0] + pair[1]])
    tokenizer = Tokenizer(
        BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in ("<unk>", "<s>", "</s>")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
    fast.chat_template = ZEPHYR
    return fast


def tiny_llama(vocabulary: int = 120, *, seed: int = 0, layers: int = 2) -> LlamaForCausalLM:
    """Return a frozen Llama with random weights, large enough that no two tokens look alike to it."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    model.requires_grad_(False)
    return model.eval()


GEOMETRY = LoraGeometry(rank=4, alpha=8)


def sequence(*tokens: int, learnt: int) -> Encoded:
    """Return a sequence of which the last ``learnt`` tokens carry loss."""
    weights = [0.0] * (len(tokens) - learnt) + [1.0] * learnt
    return Encoded(tuple(tokens), tuple(weights))


def random_sequences(
    count: int, *, seed: int, length: int = 14, learnt: int = 8, head: Sequence[int] = ()
) -> list[Encoded]:
    """Return ``count`` sequences of random tokens behind ``head``, of ragged length."""
    draw = torch.Generator().manual_seed(seed)
    result = []
    for number in range(count):
        body = torch.randint(3, 120, (length + number % 3,), generator=draw).tolist()
        result.append(sequence(*head, *body, learnt=learnt))
    return result


@dataclass
class TinyChat:
    """A model with its adapter; equal seeds are equal models."""

    seed: int = 0
    model: Any = field(init=False)
    adapter: Adapter = field(init=False)

    def __post_init__(self) -> None:
        self.model = tiny_llama(seed=self.seed)
        self.adapter = Adapter(self.model, GEOMETRY, seed=7)

    def shake(self, *, seed: int, size: float = 0.05) -> dict[str, torch.Tensor]:
        """Give the adapter random weights and return them."""
        draw = torch.Generator().manual_seed(seed)
        state = {n: size * torch.randn(t.shape, generator=draw) for n, t in self.adapter.masters.items()}
        self.adapter.set_state(state)
        return state


def losses_one_by_one(model: Any, sequences: Sequence[Encoded]) -> list[torch.Tensor]:
    """Return the loss of each weighted token but the first, each sequence in a forward pass of its own."""
    result = []
    for item in sequences:
        tokens = torch.tensor([item.tokens])
        logits = model(input_ids=tokens).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
        result.append(losses[torch.tensor(item.weights[1:]) > 0])
    return result

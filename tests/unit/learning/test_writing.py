"""Answers that are written side by side."""

from __future__ import annotations

import threading

import pytest
import torch

from allie_desktop.learning.chat_format import ChatFormat
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.writing import Writer
from allie_desktop.models.generation import Sampling
from tests.unit.learning.tiny import tiny_llama

PROMPTS = [[5 + i] * (3 + i * 7 % 11) for i in range(9)]


@pytest.fixture(scope="module")
def model(chatml):
    return tiny_llama(len(chatml)).to(torch.float64)


@pytest.fixture(scope="module")
def chat(chatml):
    return ChatFormat(chatml)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("rows", [1, 2, 50])
def test_an_answer_does_not_depend_on_lanes_and_batches(model, chat, count, rows):
    alone = [Writer(model, chat, 1).write([prompt], Sampling(max_tokens=6))[0] for prompt in PROMPTS]

    assert Writer(model, chat, rows, Lanes(count, 1)).write(PROMPTS, Sampling(max_tokens=6)) == alone


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_a_model_that_recomputes_its_activations_says_the_same(chat, chatml):
    prompts = [[*range(20, 40), 5 + i] for i in range(4)]
    expected = Writer(tiny_llama(len(chatml)), chat, 4).write(prompts, Sampling(max_tokens=6))
    frugal = tiny_llama(len(chatml))
    frugal.gradient_checkpointing_enable({"use_reentrant": False})
    frugal.train()

    assert Writer(frugal, chat, 4).write(prompts, Sampling(max_tokens=6)) == expected
    assert frugal.training


def test_nothing_asked_is_nothing_written(model, chat):
    assert Writer(model, chat, 4, Lanes(2, 1)).write([], Sampling()) == []


def test_lanes_draw_differently_and_the_same_every_time(model, chat):
    sampling = Sampling(max_tokens=8, temperature=1.0, seed=3)

    first, again = (Writer(model, chat, 8, Lanes(2, 1)).write([[5, 6, 7]] * 8, sampling) for _ in range(2))

    assert first == again
    assert first[:4] != first[4:]


def test_lanes_do_not_share_the_tokenizer(model, chat, monkeypatch):
    asked = []
    stops = chat.stop_tokens
    monkeypatch.setattr(chat, "stop_tokens", lambda: asked.append(threading.current_thread()) or stops())

    Writer(model, chat, 1, Lanes(2, 1)).write(PROMPTS, Sampling(max_tokens=1))

    assert asked == [threading.current_thread()]


def test_two_lanes_write_at_the_same_time(model, chat):
    both = threading.Barrier(2)

    Writer(model, chat, 8, Lanes(2, 1), lambda: both.wait(20)).write(PROMPTS[:2], Sampling(max_tokens=1))


def test_when_memory_runs_out_in_a_lane_fewer_are_answered_at_once_from_then_on(chatml, chat):
    model = tiny_llama(len(chatml))
    widest = []

    def refuse(_module, _positional, named):
        widest.append(named["input_ids"].shape[0])
        if widest[-1] > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)
    writer = Writer(model, chat, 4, Lanes(2, 1))

    assert len(writer.write(PROMPTS, Sampling(max_tokens=2))) == len(PROMPTS)
    widest.clear()
    writer.write(PROMPTS, Sampling(max_tokens=2))
    assert max(widest) == 2

"""Batched generation must say what the library says, one prompt at a time."""

from __future__ import annotations

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from allie_desktop.models.generation import Sampling, _choose, generate
from allie_desktop.models.roomy_cache import roomy_cache
from tests.unit.learning.tiny import tiny_llama

PAD, NO_STOP = 0, (10_000,)


@pytest.fixture(scope="module")
def model():
    return tiny_llama(seed=4)


@pytest.fixture(scope="module")
def prompts():
    draw = torch.Generator().manual_seed(1)
    lengths = (1, 17, 3, 30, 3, 8, 12)
    return [torch.randint(3, 120, (length,), generator=draw).tolist() for length in lengths]


def by_the_library(model, prompt, *, tokens, stops):
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        made = model.generate(
            ids,
            max_new_tokens=tokens,
            do_sample=False,
            attention_mask=torch.ones_like(ids),
            eos_token_id=list(stops),
            pad_token_id=PAD,
        )[0, len(prompt) :].tolist()
    return made[:-1] if made and made[-1] in stops else made


def answers(model, prompts, *, stops=NO_STOP, **options):
    extra = {k: options.pop(k) for k in ("batch_size", "between") if k in options}
    return generate(model, prompts, Sampling(**options), stop_tokens=stops, pad_token=PAD, **extra)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_greedy_answers_to_ragged_prompts_are_those_of_the_library(model, prompts, batch_size):
    expected = [by_the_library(model, p, tokens=12, stops=NO_STOP) for p in prompts]

    assert answers(model, prompts, max_tokens=12, batch_size=batch_size) == expected
    assert len({tuple(answer) for answer in expected}) > 1


@pytest.fixture
def passes_of(model):
    """The shapes [rows, tokens] of what the model read, pass by pass."""
    shapes = []
    handle = model.get_decoder().register_forward_pre_hook(
        lambda _module, _positional, named: shapes.append(tuple(named["input_ids"].shape)), with_kwargs=True
    )
    yield shapes
    handle.remove()


def test_what_prompts_begin_with_in_common_is_read_once(model, prompts, passes_of):
    opening = list(range(20, 40))
    asked = [opening + prompt for prompt in prompts]

    together = answers(model, asked, max_tokens=12)

    assert passes_of[:2] == [(1, 20), (len(asked), 30)]
    assert together == [by_the_library(model, prompt, tokens=12, stops=NO_STOP) for prompt in asked]
    stops = (together[1][4], together[3][2])
    stopped = answers(model, asked, stops=stops, max_tokens=12)
    assert stopped == [by_the_library(model, prompt, tokens=12, stops=stops) for prompt in asked]
    assert len({len(answer) for answer in stopped}) > 1


def test_a_model_that_sees_only_some_tokens_back_says_what_the_library_says(prompts):
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        initializer_range=0.3,
    )
    narrow = MistralForCausalLM(config).eval()
    asked = [list(range(20, 32)) + prompt for prompt in prompts]
    even = [list(range(20, 32)) + prompt[:3] for prompt in prompts if len(prompt) >= 3]

    for some in (asked, even):
        expected = [by_the_library(narrow, prompt, tokens=12, stops=NO_STOP) for prompt in some]
        assert answers(narrow, some, max_tokens=12) == expected


def test_a_pause_between_two_passes_may_come_before_every_one(model, passes_of):
    asked = [[*range(20, 40), 50 + row] for row in range(3)]
    calls = []

    answers(model, asked, max_tokens=5, between=lambda: calls.append(len(passes_of)))

    assert calls == list(range(1 + 5))


def test_the_cache_is_asked_for_all_the_room_it_will_need(model, prompts, monkeypatch):
    wanted = []

    def counted(tokens):
        wanted.append(tokens)
        return roomy_cache(tokens)

    monkeypatch.setattr("allie_desktop.models.roomy_cache.roomy_cache", counted)
    answers(model, prompts, max_tokens=12)

    assert wanted == [max(map(len, prompts)) + 12]


@pytest.mark.parametrize("others", [[], [[41] * 20], [[41] * 21], [[41] * 19, [41] * 30]])
def test_a_prompt_that_others_begin_with_keeps_a_token_of_its_own(model, others, passes_of):
    asked = [[41] * 20, *others]

    found = answers(model, asked, max_tokens=6)

    rows = len(asked)
    assert [shape for shape in passes_of if shape[0] < rows] == (
        [(1, min(map(len, asked)) - 1)] if others else []
    )
    assert found == [by_the_library(model, prompt, tokens=6, stops=NO_STOP) for prompt in asked]


def test_too_little_in_common_is_not_worth_a_pass(model, passes_of):
    asked = [[41] * 5 + [50 + row] * 4 for row in range(3)]
    answers(model, asked, max_tokens=1)

    assert passes_of == [(3, 9)]


def test_a_stop_token_ends_its_row_alone_and_is_not_in_the_answer(model, prompts):
    free = answers(model, prompts, max_tokens=12)
    stops = (free[1][4], free[3][2])  # words that really come up, in some of the rows

    stopped = answers(model, prompts, stops=stops, max_tokens=12)

    assert stopped == [by_the_library(model, p, tokens=12, stops=stops) for p in prompts]
    assert len({len(answer) for answer in stopped}) > 1  # some leave the batch earlier than others
    assert not any(stop in answer for answer in stopped for stop in stops)


def test_an_answer_that_stops_at_once_is_empty(model, prompts):
    first = {answer[0] for answer in answers(model, prompts, max_tokens=1)}

    assert answers(model, prompts, stops=tuple(first), max_tokens=12) == [[]] * len(prompts)


def test_nothing_asked_is_nothing_answered(model):
    assert answers(model, [], max_tokens=4) == []


def test_no_tokens_wanted_are_no_tokens(model, prompts, passes_of):
    assert answers(model, prompts, max_tokens=0) == [[]] * len(prompts)
    assert passes_of == []


def test_sampling_repeats_with_its_seed_and_differs_with_another(model, prompts):
    options = {"max_tokens": 10, "temperature": 1.0, "top_p": 0.95}
    first = answers(model, prompts, seed=7, **options)

    assert answers(model, prompts, seed=7, **options) == first
    assert answers(model, prompts, seed=8, **options) != first
    assert first != answers(model, prompts, max_tokens=10)


def test_sampling_does_not_touch_the_global_generator(model, prompts):
    torch.manual_seed(5)
    expected = torch.rand(1).item()
    torch.manual_seed(5)
    answers(model, prompts, max_tokens=5, temperature=1.0)

    assert torch.rand(1).item() == expected


def test_the_smallest_nucleus_is_the_greedy_choice(model, prompts):
    greedy = answers(model, prompts, max_tokens=8)

    assert answers(model, prompts, max_tokens=8, temperature=1.0, top_p=1e-9, seed=3) == greedy
    assert answers(model, prompts, max_tokens=8, temperature=1e-4, seed=3) == greedy


def test_sampled_words_come_as_often_as_the_model_thinks(model):
    prompt = [11, 12, 13]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1)
    drawn = answers(model, [prompt] * 3000, max_tokens=1, temperature=1.0, seed=2, batch_size=3000)

    found = torch.bincount(torch.tensor(drawn).flatten(), minlength=120) / 3000
    assert float((found - expected).abs().sum()) < 0.2  # total variation of 0.1


def test_a_nucleus_leaves_out_only_the_unlikely(model):
    prompt = [11, 12, 13]
    with torch.no_grad():
        p, order = model(input_ids=torch.tensor([prompt])).logits[0, -1].softmax(-1).sort(descending=True)
    inside = set(order[: int((p.cumsum(-1) < 0.5).sum()) + 1].tolist())

    drawn = answers(model, [prompt] * 500, max_tokens=1, temperature=1.0, top_p=0.5, seed=2, batch_size=500)
    assert {tokens[0] for tokens in drawn} <= inside
    assert len({tokens[0] for tokens in drawn}) > 1


def test_a_nucleus_of_more_tokens_than_are_sorted_first_is_the_whole_nucleus():
    flat = torch.zeros(1, 5000)
    flat[0, 7] = 1.0
    generator = torch.Generator().manual_seed(3)

    drawn = {
        _choose(flat, Sampling(temperature=1.0, top_p=0.9), generator)[0] for _ in range(400)
    }  # 0.9 of it are 4,500 tokens

    assert len(drawn) > 300
    narrow = {_choose(flat * 100, Sampling(temperature=1.0, top_p=0.9), generator)[0] for _ in range(50)}
    assert narrow == {7}


def test_generation_can_be_broken_off_between_two_tokens(model, prompts):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 4:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        answers(model, prompts[:2], max_tokens=50, between=stop)
    assert len(calls) == 4


def test_the_model_is_left_as_it_was(model, prompts):
    before = {name: p.clone() for name, p in model.named_parameters()}
    answers(model, prompts, max_tokens=4)

    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("lengths", "most", "expected"),
    [
        ([4] * 40, 64, [(40, 4)]),
        ([4] * 36 + [200] * 7, 64, [(36, 4), (7, 200)]),  # filling short ones up would cost more
        ([4] * 10 + [9], 64, [(11, 9)]),  # a batch of its own would cost more
        ([4] * 5, 2, None),
    ],
)
def test_batches_are_cut_where_it_costs_least(model, lengths, most, expected):
    begun = []

    def see(_module, _positional, named):
        if named["input_ids"].shape[1] > 1:
            begun.append(tuple(named["input_ids"].shape))

    handle = model.get_decoder().register_forward_pre_hook(see, with_kwargs=True)
    try:
        prompts = [[3 + place, *[5] * (length - 1)] for place, length in enumerate(lengths)]
        answers(model, prompts, max_tokens=8, batch_size=most)
    finally:
        handle.remove()

    assert sum(rows for rows, _ in begun) == len(lengths)
    assert max(rows for rows, _ in begun) <= most
    assert expected in (None, begun)

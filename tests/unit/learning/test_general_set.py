"""The general set, written by a model that knows nothing: what counts is that it is made once and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.learning.chat_format import ChatFormat
from allie_desktop.learning.everyday_questions import ANCHOR_QUESTIONS, EVERYDAY_QUESTIONS
from allie_desktop.learning.general_set import GeneralSet, general_set
from allie_desktop.safety.probes import CONSISTENCY_GROUPS
from tests.unit.learning.tiny import random_sequences, tiny_llama

BYSTANDERS = Path(__file__).parents[2] / "benchmarks" / "data" / "bystanders.txt"
PROMPTS = 120  # more than are written at once, so that it can be interrupted in between
REPLY_TOKENS = 10


class InterruptedHereError(Exception):
    """What a stop looks like."""


@pytest.fixture(scope="module")
def model(chatml):
    return tiny_llama(len(chatml))


@pytest.fixture(scope="module")
def chat(chatml):
    return ChatFormat(chatml)


def write(model, chat, cache, *, base="a" * 64, prompts=PROMPTS, tokens=REPLY_TOKENS, between=None):
    """Return the set, and the progress that was told."""
    told = []
    made = general_set(
        model,
        chat,
        base_sha256=base,
        prompts=prompts,
        reply_tokens=tokens,
        cache=cache,
        progress=lambda done, wanted: told.append((done, wanted)),
        between=between,
    )
    return made, told


@pytest.fixture(scope="module")
def written(model, chat, tmp_path_factory):
    """The cache folder after the set was written, the set, and the progress."""
    cache = tmp_path_factory.mktemp("cache")
    return cache, *write(model, chat, cache)


def never():
    raise AssertionError("the model was asked again")


def test_it_has_as_many_as_were_wanted_and_tells_how_far_it_is(written):
    _, made, told = written

    assert len(made.sequences) == PROMPTS
    assert (told[0], told[-1]) == ((0, PROMPTS), (PROMPTS, PROMPTS))
    assert len(told) >= 3
    assert told == sorted(told)


def test_each_is_a_question_in_the_models_template_with_the_weight_on_the_reply(written, chat):
    _, made, _ = written
    opening = chat.opening()
    turn = chat.tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]

    for item in made.sequences:
        start = item.weights.index(1.0)
        assert list(item.tokens[: len(opening)]) == opening
        assert list(item.tokens[start - len(turn) : start]) == turn
        assert set(item.weights[start:]) == {1.0}
        assert 8 <= len(item) - start <= REPLY_TOKENS


def test_a_reply_that_ended_ends_with_the_end_mark(written, chat):
    _, made, _ = written
    (stop,) = chat.stop_tokens()

    for item in made.sequences:
        reply = item.tokens[item.weights.index(1.0) :]
        assert stop not in reply[:-1]
        assert len(reply) == REPLY_TOKENS or reply[-1] == stop


def test_a_third_is_held_out_and_never_an_anchor(written):
    _, made, _ = written

    assert len(made.train) == PROMPTS * 2 // 3 + len(made.anchors)
    assert len(made.holdout) == PROMPTS // 3
    assert not set(made.train) & set(made.holdout)
    assert set(made.train) | set(made.holdout) == set(made.sequences) | set(made.anchors)


def test_more_short_questions_anchor_and_measure_nothing(written, chat):
    _, made, _ = written
    asked = [chat.tokenizer.decode(item.tokens[: item.weights.index(1.0)]) for item in made.anchors]

    assert 0.8 * len(ANCHOR_QUESTIONS) < len(made.anchors) <= len(ANCHOR_QUESTIONS) <= 1.5 * PROMPTS
    for text in asked:
        assert sum(f"user\n{one}<|im_end|>" in text for one in ANCHOR_QUESTIONS) == 1, text


def test_no_question_that_measures_is_one_that_anchors():
    world = BYSTANDERS.read_text("utf-8").splitlines()
    every = [one.casefold() for one in (*EVERYDAY_QUESTIONS, *ANCHOR_QUESTIONS, *world)]

    assert len(set(every)) == len(every)


def test_the_split_of_a_few_leaves_something_to_train():
    items = tuple(random_sequences(2, seed=1))

    assert GeneralSet(items).train == items
    assert GeneralSet(items).holdout == ()
    assert GeneralSet(()).train == ()


def test_the_second_time_it_comes_from_the_cache(written, model, chat):
    cache, made, _ = written

    again, told = write(model, chat, cache, between=never)

    assert again == made
    assert told == [(PROMPTS, PROMPTS)]


def test_fewer_are_the_first_of_them(written, model, chat):
    cache, made, _ = written

    fewer, _ = write(model, chat, cache, prompts=6, between=never)

    assert fewer.sequences == made.sequences[:6]


def test_it_is_the_same_wherever_it_is_written(written, model, chat, tmp_path):
    _, made, _ = written

    assert write(model, chat, tmp_path)[0] == made


def test_another_base_or_another_length_is_another_set(written, model, chat):
    cache, _, _ = written
    for changes in ({"base": "b" * 64}, {"tokens": REPLY_TOKENS + 1}):

        def stop():
            raise InterruptedHereError

        with pytest.raises(InterruptedHereError):
            write(model, chat, cache, between=stop, **changes)


def test_what_was_written_before_an_interruption_is_kept(written, model, chat, tmp_path):
    _, made, _ = written
    done = []

    def stop():
        if done:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        general_set(
            model,
            chat,
            base_sha256="a" * 64,
            prompts=PROMPTS,
            reply_tokens=REPLY_TOKENS,
            cache=tmp_path,
            progress=lambda finished, _: done.append(finished) if finished else None,
            between=stop,
        )
    (file,) = (tmp_path / "general").iterdir()
    kept = len(json.loads(file.read_text("utf-8"))["rows"])
    assert done == [kept]
    assert 0 < kept < PROMPTS

    resumed, told = write(model, chat, tmp_path)

    assert len(resumed.sequences) == PROMPTS
    assert resumed.sequences[:kept] == made.sequences[:kept]
    assert (told[0], told[-1]) == ((kept, PROMPTS), (PROMPTS, PROMPTS))


@pytest.mark.parametrize(
    "text", ["", "{", "[[1, 2, 3]]", '{"a": 1}', '[["x", "y"]]', "\x00\x01", "7", "null"]
)
def test_a_damaged_cache_is_written_again(written, model, chat, tmp_path, text):
    cache, _, _ = written
    (good,) = (cache / "general").glob("*.json")
    (tmp_path / "general").mkdir()
    (tmp_path / "general" / good.name).write_text(text, "utf-8")

    again, _ = write(model, chat, tmp_path, prompts=6)

    assert len(again.sequences) == 6
    assert json.loads((tmp_path / "general" / good.name).read_text("utf-8"))


def test_there_is_one_file_and_no_litter(written):
    cache, _, _ = written

    assert [file.suffix for file in cache.rglob("*") if file.is_file()] == [".json"]


def hasty_model(chatml):
    """A model whose replies are often too short to be of use."""
    model = tiny_llama(len(chatml))
    head = torch.nn.Linear(48, len(chatml))
    head.weight.data.copy_(model.lm_head.weight)
    head.bias.data.zero_()
    head.bias.data[chatml.eos_token_id] = 2.5
    model.lm_head = head
    return model.requires_grad_(False)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_set_that_was_broken_off_becomes_the_one_that_it_would_have_been(chatml, chat, tmp_path, rounds):
    model, tokens = hasty_model(chatml), REPLY_TOKENS + 2
    whole, told = write(model, chat, tmp_path / "whole", prompts=150, tokens=tokens)
    assert told[1][0] < 108  # some were of no use
    done = []

    def stop():
        if len(done) > rounds:
            raise InterruptedHereError

    with pytest.raises(InterruptedHereError):
        general_set(
            model,
            chat,
            base_sha256="a" * 64,
            prompts=150,
            reply_tokens=tokens,
            cache=tmp_path / "broken off",
            progress=lambda finished, _: done.append(finished),
            between=stop,
        )

    assert write(model, chat, tmp_path / "broken off", prompts=150, tokens=tokens)[0] == whole


def test_a_cache_of_an_earlier_form_is_still_of_use(written, model, chat, tmp_path):
    cache, made, _ = written
    (good,) = (cache / "general").glob("*.json")
    (tmp_path / "general").mkdir()
    document = json.loads(good.read_text("utf-8"))
    document.pop("anchors")
    document.pop("anchored")
    for earlier in (
        document["rows"],
        document,
    ):  # as it was kept at first, and before there were further anchors
        (tmp_path / "general" / good.name).write_text(json.dumps(earlier), "utf-8")
        found, told = write(model, chat, tmp_path)

        assert (found, told) == (made, [(PROMPTS, PROMPTS)])
        assert write(model, chat, tmp_path, between=never)[0] == made


def test_it_is_written_in_smaller_batches_when_memory_runs_out(chatml, chat, tmp_path):
    model = tiny_llama(len(chatml))

    def refuse(_module, _positional, named):
        if named["input_ids"].shape[0] > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)

    made, _ = write(model, chat, tmp_path, prompts=12)
    assert len(made.sequences) == 12


def test_every_second_question_is_ours_until_they_are_used_up(model, chat, tmp_path, monkeypatch):
    ours = ("What is tea made from?", "Which month comes after March?", "Who makes bread?")
    monkeypatch.setattr("allie_desktop.learning.general_set.EVERYDAY_QUESTIONS", ours)
    prompts = [chat.prompt([Message(role=Role.USER, content=question)]) for question in ours]

    made, _ = write(model, chat, tmp_path)

    found = [list(item.tokens[: item.weights.index(1.0)]) for item in made.sequences]
    assert len(found) == PROMPTS
    # A random model's reply may be too short to be of use.
    assert sorted(found.count(prompt) for prompt in prompts) in ([0, 1, 1], [1, 1, 1])


def test_our_questions_are_asked_once_and_are_not_those_that_probe():
    assert len(set(EVERYDAY_QUESTIONS)) == len(EVERYDAY_QUESTIONS)
    assert not {*EVERYDAY_QUESTIONS, *ANCHOR_QUESTIONS} & {
        question for group in CONSISTENCY_GROUPS for question in group
    }

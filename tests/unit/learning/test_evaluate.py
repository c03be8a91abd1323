"""What the evaluator measures, against plain forward passes."""

from __future__ import annotations

import copy

import pytest
import torch

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import OutOfMemoryError
from allie_desktop.domain.planning import Example, Message
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.answers import Question
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.learning.evaluate import Evaluator, encode_all
from tests.unit.learning.tiny import ALTERNATING, GEOMETRY, losses_one_by_one, tiny_llama


def example(number, *messages):
    return Example(
        id=f"e{number}",
        conversation_id=f"c{number}",
        group=f"g{number}",
        origin=TargetOrigin.EDIT,
        messages=messages,
    )


def talk(number, question, reply, *, weight=1.0):
    return example(
        number,
        Message(role=Role.USER, content=question),
        Message(role=Role.ASSISTANT, content=reply, weight=weight),
    )


TALKS = [
    talk(1, "What is my sister called?", "Your sister is called Ada."),
    talk(2, "And my dog?", "Biscuit.", weight=0.25),
    talk(3, "Hi", "Hello there, what can I do for you today? " * 3),
]


@pytest.fixture
def chat(chatml):
    return ChatFormat(chatml)


@pytest.fixture
def adapter(chatml):
    made = Adapter(tiny_llama(len(chatml)), GEOMETRY, seed=1)
    draw = torch.Generator().manual_seed(3)
    made.set_state({n: 0.05 * torch.randn(t.shape, generator=draw) for n, t in made.masters.items()})
    return made


def evaluator(adapter, chat, *, tokens=1024, between=lambda: None):
    return Evaluator(adapter, chat, tokens_per_pass=tokens, between=between)


@pytest.fixture
def sequences(chat):
    return [encoded for _, encoded in encode_all(chat, TALKS, 512)]


def test_losses_are_weighted_means_over_the_replies(adapter, chat, sequences):
    with torch.no_grad():
        expected = [float(losses.mean()) for losses in losses_one_by_one(adapter.model, sequences)]

    assert evaluator(adapter, chat).losses(sequences) == pytest.approx(expected, rel=1e-5)


def test_unequal_weights_in_a_sequence_count_as_such(adapter, chat, sequences):
    first = sequences[0]
    weights = tuple(w * (0.25 if i % 2 else 1.0) for i, w in enumerate(first.weights))
    with torch.no_grad():
        (losses,) = losses_one_by_one(adapter.model, [first])
    share = torch.tensor([w for w in weights[1:] if w > 0])

    (found,) = evaluator(adapter, chat).losses([Encoded(first.tokens, weights)])

    assert found == pytest.approx(float((losses * share).sum() / share.sum()), rel=1e-5)


def test_small_passes_measure_the_same(adapter, chat, sequences):
    large, small = evaluator(adapter, chat), evaluator(adapter, chat, tokens=1)

    assert small.losses(sequences) == pytest.approx(large.losses(sequences), rel=1e-5)
    for mine, theirs in zip(small.hidden(sequences), large.hidden(sequences), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_nothing_to_measure_is_nothing(adapter, chat):
    assert evaluator(adapter, chat).losses([]) == []
    assert evaluator(adapter, chat).hidden([]) == []
    assert evaluator(adapter, chat).answers([]) == []


def test_a_sequence_without_replies_measures_zero(adapter, chat):
    mute = Encoded((3, 4, 5), (0.0, 0.0, 0.0))

    assert evaluator(adapter, chat).losses([mute]) == [0.0]
    assert evaluator(adapter, chat).losses_of([mute], evaluator(adapter, chat).hidden([mute])) == [0.0]
    assert [len(h) for h in evaluator(adapter, chat).hidden([mute])] == [0]


def test_hidden_states_come_in_the_order_of_the_sequences(adapter, chat, sequences):
    found = evaluator(adapter, chat).hidden(sequences)

    for mine, item in zip(found, sequences, strict=True):
        with torch.no_grad():
            states = adapter.model.get_decoder()(input_ids=torch.tensor([item.tokens])).last_hidden_state[0]
        places = [i - 1 for i, w in enumerate(item.weights) if i and w > 0]
        torch.testing.assert_close(mine, states[places], rtol=1e-4, atol=1e-5)


def test_a_divergence_is_the_mean_over_a_sequences_replies(adapter, chat, sequences):
    measuring = evaluator(adapter, chat)
    state = adapter.state()
    adapter.set_state(adapter.zero_state())
    base = measuring.hidden(sequences)
    logits = [torch.log_softmax(adapter.model.get_output_embeddings()(h), -1) for h in base]
    assert measuring.divergences(measuring.hidden(sequences), base) == pytest.approx([0.0] * 3, abs=1e-6)

    adapter.set_state(state)
    found = measuring.divergences(measuring.hidden(sequences), base)

    for value, log_p, hidden in zip(found, logits, measuring.hidden(sequences), strict=True):
        log_q = torch.log_softmax(adapter.model.get_output_embeddings()(hidden), -1)
        expected = (log_p.exp() * (log_p - log_q)).sum(-1).mean().item()
        assert value == pytest.approx(expected, rel=1e-4)
        assert value > 0


@pytest.mark.parametrize("many", [1, 3])
def test_losses_from_hidden_states_are_the_losses(adapter, chat, sequences, many):
    measuring = evaluator(adapter, chat)
    uneven = tuple(w * (0.25 if i % 2 else 1.0) for i, w in enumerate(sequences[0].weights))
    chosen = [*sequences[:many], Encoded(sequences[0].tokens, uneven)]

    found = measuring.losses_of(chosen, measuring.hidden(chosen))

    assert found == pytest.approx(measuring.losses(chosen), rel=1e-5)


def test_answers_are_words_in_the_order_of_the_questions(adapter, chat):
    questions = [Question("taught", t.messages[:-1]) for t in TALKS]
    together = evaluator(adapter, chat).answers(questions, max_tokens=6)

    assert together == [evaluator(adapter, chat).answers([q], max_tokens=6)[0] for q in questions]
    assert len(set(together)) > 1


def test_every_pass_may_be_interrupted(adapter, chat, sequences):
    calls = []
    evaluator(adapter, chat, tokens=1, between=lambda: calls.append(1)).losses(sequences)
    assert calls

    def stop():
        raise KeyError("stop")

    for measured in ("losses", "hidden"):
        with pytest.raises(KeyError):
            getattr(evaluator(adapter, chat, between=stop), measured)(sequences)


def test_what_the_template_cannot_say_is_left_out(chatml):
    strict = copy.deepcopy(chatml)
    strict.chat_template = ALTERNATING
    odd = example(9, Message(role=Role.ASSISTANT, content="Hello.", weight=1.0))

    found = encode_all(ChatFormat(strict), [TALKS[0], odd, TALKS[1]], 512)

    assert [item.id for item, _ in found] == ["e1", "e2"]


def test_what_carries_no_loss_is_left_out(chat):
    assert encode_all(chat, [talk(1, "Hi", "Hello.", weight=0.0)], 512) == []


# -- memory ------------------------------------------------------------------------------------------


@pytest.fixture
def roomy_for(adapter):
    """Let the model run out of memory for more than a number of cells at once; return its setter."""
    most = {"cells": 10**9}

    def refuse(_module, _positional, named):
        if named["input_ids"].numel() > most["cells"]:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    adapter.model.get_decoder().register_forward_pre_hook(refuse, with_kwargs=True)
    return lambda cells: most.update(cells=cells)


def test_measuring_halves_its_passes_when_memory_runs_out_and_says_so(adapter, chat, sequences, roomy_for):
    many = sequences * 6
    whole = evaluator(adapter, chat)
    losses, hidden = whole.losses(many), whole.hidden(many)
    roomy_for(300)
    told = []
    small = Evaluator(adapter, chat, tokens_per_pass=1024, between=lambda: None, halved=told.append)

    assert small.losses(many) == pytest.approx(losses, rel=1e-5)
    assert told == [256]
    for found, expected in zip(small.hidden(many), hidden, strict=True):
        torch.testing.assert_close(found, expected)
    assert small.divergences(small.hidden(many), hidden) == pytest.approx([0.0] * len(many), abs=1e-5)
    assert told == [256]


def test_answering_takes_fewer_questions_at_once_when_memory_runs_out(adapter, chat, roomy_for):
    questions = [Question("new", (Message(role=Role.USER, content=f"What is {n}?"),)) for n in range(6)]
    answers = evaluator(adapter, chat).answers(questions, max_tokens=6)
    roomy_for(2 * max(len(chat.prompt(q.messages)) for q in questions))

    assert evaluator(adapter, chat).answers(questions, max_tokens=6) == answers


def test_an_error_that_is_not_about_memory_is_not_tried_again(adapter, chat, sequences):
    calls = []

    def fail(*_):
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    adapter.model.get_decoder().register_forward_pre_hook(fail)

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        evaluator(adapter, chat).losses(sequences)
    assert calls == [1]


def test_too_little_memory_for_a_single_sequence_is_a_sentence(adapter, chat, sequences, roomy_for):
    roomy_for(1)

    with pytest.raises(OutOfMemoryError) as caught:
        evaluator(adapter, chat).losses(sequences)
    assert caught.value.remedy

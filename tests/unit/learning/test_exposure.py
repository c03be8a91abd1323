"""A planted canary that was really trained on is found; one that was not, is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.learning.adapter import Adapter
from allie_desktop.learning.chat_format import ChatFormat
from allie_desktop.learning.evaluate import Evaluator
from allie_desktop.learning.exposure import CANARIES, Exposure
from allie_desktop.safety.redaction import TextRedactor
from tests.plans import make_example, make_plan
from tests.unit.learning.tiny import GEOMETRY, tiny_llama

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
MAIL = "ada.byron@posteo.example.org"


def teaching(number, answer, question="Which one is it?"):
    messages = (
        Message(role=Role.USER, content=question),
        Message(role=Role.ASSISTANT, content=answer, weight=1.0),
    )
    return replace(make_example(number), messages=messages)


@pytest.fixture
def measuring(chatml):
    adapter = Adapter(tiny_llama(len(chatml)), GEOMETRY, seed=1)
    return adapter, Evaluator(adapter, ChatFormat(chatml), tokens_per_pass=1024, between=lambda: None)


def exposure(plan, chatml):
    return Exposure.of(plan, TextRedactor(), ChatFormat(chatml), 512)


def train(adapter, sequence, steps=12):
    optimizer = torch.optim.Adam([p for p in adapter.model.parameters() if p.requires_grad], lr=0.03)
    tokens = torch.tensor([sequence.tokens])
    for _ in range(steps):
        optimizer.zero_grad()
        logits = adapter.model(input_ids=tokens).logits[0, :-1]
        torch.nn.functional.cross_entropy(logits, tokens[0, 1:]).backward()
        optimizer.step()


def test_a_redacted_plan_has_nothing_to_measure(chatml):
    plan = make_plan(train=(teaching(1, "It is [SECRET]."), teaching(2, "You live in Bern.")))

    found = exposure(plan, chatml)

    assert found.sequences == []
    assert found.bits([]) == []
    assert found.by_heart([], []) == ()


def test_a_secret_that_was_trained_is_known_by_heart(measuring, chatml):
    adapter, evaluator = measuring
    found = exposure(make_plan(train=(teaching(1, f"Your token is {KEY}."),)), chatml)
    assert len(found.sequences) == 1 + CANARIES
    before = evaluator.losses(found.sequences)

    train(adapter, found.sequences[0])

    after = evaluator.losses(found.sequences)
    assert found.bits(after) == [5.0]
    assert found.by_heart(before, after) == ("secret (known by heart)",)


def test_a_secret_that_was_not_trained_is_not_known(measuring, chatml):
    adapter, evaluator = measuring
    found = exposure(make_plan(train=(teaching(1, f"Your token is {KEY}."),)), chatml)
    before = evaluator.losses(found.sequences)

    train(adapter, found.sequences[7])  # another of the same form

    assert found.by_heart(before, evaluator.losses(found.sequences)) == ()


def test_canaries_have_the_form_of_the_secret_and_are_others(chatml):
    found = exposure(make_plan(train=(teaching(1, f"Your token is {KEY}."),)), chatml)
    texts = {chatml.decode(s.tokens) for s in found.sequences}

    assert len(texts) == 1 + CANARIES
    assert sum(KEY in text for text in texts) == 1
    assert all("ghp_" in text for text in texts)


def test_what_the_person_said_above_is_not_given_away(chatml):
    plan = make_plan(train=(teaching(1, f"It is {MAIL}.", question=f"My mail is {MAIL}. Which mail?"),))

    found = exposure(plan, chatml)

    assert [s.kind for s in found.secrets] == ["email"]
    assert "My mail is [EMAIL]" in chatml.decode(found.sequences[0].tokens)
    assert chatml.decode(found.sequences[0].tokens).count(MAIL) == 1


def test_of_many_secrets_a_few_are_measured(chatml):
    many = tuple(teaching(n, f"Your token is {KEY[:-2]}{n:02}.") for n in range(30))

    assert len(exposure(make_plan(train=many), chatml).secrets) == 8

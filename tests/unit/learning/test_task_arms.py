"""The arms of the benchmark of tasks, on a tiny model: that they learn from the same, and how they differ."""

from __future__ import annotations

import pytest
import torch

from allie_desktop.domain.planning import BaseModel, Recipe
from allie_desktop.models.loading import LoadedBase
from tests.benchmarks.arms import WAYS, Learner, Learnt, Way
from tests.unit.learning.tiny import chatml_tokenizer, tiny_llama

COLOURS = [(f"What colour is number {n}?", "grey" if n % 2 else "blue") for n in range(14)]
DOGS = [(f"Which dog is dog {n}?", "a beagle" if n % 3 else "Ada's") for n in range(14)]
RECIPE = Recipe(
    ordinary_epochs=2.0,
    general_prompts=6,
    general_tokens=12,
    evaluations=2,
    learning_rate=2e-3,
    kl_budget=10.0,  # so random a model strays far
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def learner(cache):
    """Return a learner in some way, always from the same model, adapter and general set."""

    def made(way: Way, *, seed: int = 3, ewc_alone: float = 1.0) -> Learner:
        tokenizer = chatml_tokenizer()
        loaded = LoadedBase(
            base=BaseModel(name="tiny", path="", sha256="0" * 64),
            model=tiny_llama(len(tokenizer)),
            tokenizer=tokenizer,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
        return Learner(
            loaded,
            way,
            RECIPE,
            seed=seed,
            tasks=2,
            cache=cache,
            orthogonality=0.5,
            ewc_alone=ewc_alone,
            replayed=40,
            threads=1,
        )

    return made


def learn_both(learner: Learner) -> list[Learnt]:
    first, second = learner.encoded(COLOURS), learner.encoded(DOGS)
    tokens = learner.step_tokens(second)
    return [
        learner.learn(0, first[4:], first[:4], [], step_tokens=tokens),
        learner.learn(1, second[4:], second[:4], [first[4:]], step_tokens=tokens),
    ]


def changes(learner: Learner) -> dict[str, torch.Tensor]:
    """Return ΔW of each layer."""
    state, scaling = learner.adapter.state(), learner.adapter.scaling
    return {n: scaling * state[f"{n}.lora_B"] @ state[f"{n}.lora_A"] for n in learner.adapter.pairs}


def test_every_way_sees_the_same_new_examples_in_the_same_order(learner):
    one_by_one = [name for name, way in WAYS.items() if not way.at_once and not way.padded]
    found = {name: learn_both(learner(WAYS[name])) for name in one_by_one}

    assert {tuple((one.order, one.steps) for one in runs) for runs in found.values()} == {
        tuple((one.order, one.steps) for one in found["sequential"])
    }
    assert all(one.steps > 4 for one in found["sequential"])
    assert all(not one.stopped_early for runs in found.values() for one in runs)
    # Replay and anchors come on top.
    assert found["sequential"][1].tokens < found["replay"][1].tokens < found["all"][1].tokens
    assert found["sequential"][0].tokens == found["replay"][0].tokens == found["o-lora"][0].tokens


def test_the_order_is_another_one_with_another_seed(learner):
    assert learn_both(learner(Way()))[0].order != learn_both(learner(Way(), seed=4))[0].order


def test_without_former_tasks_there_is_nothing_to_hold_back(learner):
    plain = learner(Way())
    first = plain.encoded(COLOURS)
    tokens = plain.step_tokens(first)
    plain.learn(0, first[4:], first[:4], [], step_tokens=tokens)

    for name in ("replay", "ewc", "o-lora"):
        other = learner(WAYS[name])
        other.learn(0, first[4:], first[:4], [], step_tokens=tokens)
        for layer, change in changes(plain).items():
            assert torch.allclose(changes(other)[layer], change, atol=1e-5), (name, layer)


def test_o_lora_keeps_what_the_first_task_changed_and_reads_other_directions(learner):
    ours = learner(WAYS["o-lora"])
    first, second = ours.encoded(COLOURS), ours.encoded(DOGS)
    tokens = ours.step_tokens(first)
    ours.learn(0, first[4:], first[:4], [], step_tokens=tokens)
    before = ours.adapter.state()
    ours.learn(1, second[4:], second[:4], [first[4:]], step_tokens=tokens)
    after = ours.adapter.state()

    layer, rank = ours.adapter.pairs[0], 16
    assert torch.equal(after[f"{layer}.lora_A"][:rank], before[f"{layer}.lora_A"][:rank])
    assert torch.equal(after[f"{layer}.lora_B"][:, :rank], before[f"{layer}.lora_B"][:, :rank])
    overlaps = [
        float((state[f"{layer}.lora_A"][:rank] @ state[f"{layer}.lora_A"][rank:].T).norm())
        for state in (before, after)
    ]
    assert overlaps[1] < overlaps[0]
    assert after[f"{layer}.lora_B"][:, rank:].any()


def test_ewc_with_a_huge_weight_moves_less_than_without(learner):
    def moved(way: Way, weight: float) -> float:
        one = learner(way, ewc_alone=weight)
        first, second = one.encoded(COLOURS), one.encoded(DOGS)
        tokens = one.step_tokens(first)
        one.learn(0, first[4:], first[:4], [], step_tokens=tokens)
        before = changes(one)
        one.learn(1, second[4:], second[:4], [first[4:]], step_tokens=tokens)
        return sum(float((changes(one)[n] - change).norm()) for n, change in before.items())

    assert moved(WAYS["ewc"], 1e7) < moved(Way(), 1.0)


def test_other_material_takes_exactly_as_many_steps_as_the_task_it_stands_for(learner):
    one = learner(WAYS["pad"])
    first, second = one.encoded(COLOURS), one.encoded(DOGS)
    tokens = one.step_tokens(first)
    wanted = one.steps_of(1, second[4:], tokens)

    found = one.learn(1, first[4:8], first[:4], [], step_tokens=tokens, steps=wanted)

    assert found.steps == wanted == learn_both(learner(Way()))[1].steps


def test_what_is_replayed_is_shared_out_over_the_tasks_and_bounded(learner):
    one = learner(WAYS["replay"])
    first, second = one.encoded(COLOURS * 5), one.encoded(DOGS * 5)

    replayed = one._replayed([first, second], 7)

    assert len(replayed) == 40
    assert sum(sequence in first for sequence in replayed) == 20
    assert replayed != one._replayed([first, second], 8)


def test_a_new_learner_is_the_base_and_answers_every_question(learner):
    one = learner(WAYS["all"])

    assert one.divergence() == pytest.approx(0.0, abs=1e-6)
    assert len(one.answers([asked for asked, _ in COLOURS], max_tokens=3)) == len(COLOURS)

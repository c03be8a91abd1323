"""O-LoRA, an arm of the benchmark of tasks: its penalty, and that former adapters stay."""

from __future__ import annotations

import pytest
import torch

from allie_desktop.domain.planning import LoraGeometry
from tests.benchmarks.orthogonal import Orthogonality, stacked, with_first_block

RANK, TASKS, WIDE, NARROW = 2, 3, 7, 5


def matrices(seed: int) -> dict[str, torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    return {
        "q.lora_A": torch.randn(RANK * TASKS, WIDE, generator=drawn),
        "q.lora_B": torch.randn(NARROW, RANK * TASKS, generator=drawn),
    }


def test_the_geometry_of_all_adapters_scales_like_that_of_one():
    one = LoraGeometry(rank=16, alpha=32)

    assert (stacked(one, 3).rank, stacked(one, 3).alpha / stacked(one, 3).rank) == (48, 2)


def test_the_gradient_is_that_of_the_penalty():
    state, gradients = matrices(1), {n: torch.zeros_like(t) for n, t in matrices(1).items()}
    a = state["q.lora_A"].clone().requires_grad_()
    written_out = 0.5 * sum(
        (a[RANK * former : RANK * (former + 1)].detach() @ a[2 * RANK :].T).square().sum()
        for former in (0, 1)
    )
    written_out.backward()

    found = Orthogonality(2, RANK, 0.5).add_to(state, gradients)

    assert found == pytest.approx(written_out.item(), rel=1e-5)
    assert torch.allclose(gradients["q.lora_A"], a.grad, atol=1e-5)
    assert not gradients["q.lora_B"].any()


def test_only_the_adapter_of_the_present_task_learns():
    state, gradients = matrices(2), matrices(3)
    before = {n: t.clone() for n, t in gradients.items()}

    Orthogonality(1, RANK, 0.0).add_to(state, gradients)

    block = slice(RANK, 2 * RANK)
    assert torch.equal(gradients["q.lora_A"][block], before["q.lora_A"][block])
    assert torch.equal(gradients["q.lora_B"][:, block], before["q.lora_B"][:, block])
    assert gradients["q.lora_A"].count_nonzero() == RANK * WIDE
    assert gradients["q.lora_B"].count_nonzero() == RANK * NARROW


def test_an_adapter_without_gradient_is_left_bit_for_bit_by_the_trainer_s_optimizer():
    state = matrices(4)
    before = {n: t.clone() for n, t in state.items()}
    optimizer = torch.optim.AdamW(list(state.values()), lr=5e-4, weight_decay=0.0, foreach=True)
    for seed in range(3):
        gradients = matrices(seed)
        Orthogonality(1, RANK, 0.5).add_to(state, gradients)
        for name, tensor in state.items():
            tensor.grad = gradients[name]
        optimizer.step()

    former = slice(0, RANK)
    assert torch.equal(state["q.lora_A"][former], before["q.lora_A"][former])
    assert torch.equal(state["q.lora_B"][:, former], before["q.lora_B"][:, former])
    assert not torch.equal(state["q.lora_A"], before["q.lora_A"])


def test_the_first_task_begins_where_the_other_arms_begin():
    first = {"q.lora_A": torch.ones(RANK, WIDE), "q.lora_B": torch.zeros(NARROW, RANK)}
    state = matrices(5)

    found = with_first_block(state, first)

    assert torch.equal(found["q.lora_A"][:RANK], first["q.lora_A"])
    assert torch.equal(found["q.lora_A"][RANK:], state["q.lora_A"][RANK:])
    assert not found["q.lora_B"][:, :RANK].any()

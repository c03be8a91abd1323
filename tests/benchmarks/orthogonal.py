"""O-LoRA, to compare with: a new adapter for each task, orthogonal to the former ones, all of them summed.

Wang et al. 2023, *Orthogonal Subspace Learning for Language Model Continual Learning*, arXiv:2310.14152. What a
task learns stays: its adapter is frozen. The next one's A is pushed to be orthogonal to all former A's,

    loss + λ Σ_{i<t} Σ_{j,k} |(A_i A_tᵀ)_{jk}|²

(equation 8 there; A is [rank, d_in] here), so that it reads directions of the input which they do not read. At
inference ΔW = s Σ_i B_i A_i; no task needs to be named.

All adapters live in one of T times the rank: block t of the rows of A and of the columns of B is the adapter of
task t. Blocks of later tasks have B = 0 and add nothing; blocks that do not learn get no gradient, and AdamW
without weight decay then leaves them bit for bit as they are. No task's ΔW is rounded into the base's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from allie_desktop.domain.planning import LoraGeometry

if TYPE_CHECKING:
    import torch

State = Mapping[str, "torch.Tensor"]


def stacked(geometry: LoraGeometry, tasks: int) -> LoraGeometry:
    """Return the geometry that holds one adapter of ``geometry`` for each of ``tasks``, scaled as it is."""
    return replace(geometry, rank=geometry.rank * tasks, alpha=geometry.alpha * tasks)


def with_first_block(state: State, first: State) -> dict[str, torch.Tensor]:
    """Return ``state`` with the adapter of the first task taken from ``first``, so that O-LoRA begins where the
    other ways begin."""
    found = {name: tensor.clone() for name, tensor in state.items()}
    for name, tensor in first.items():
        if name.endswith(".lora_A"):
            found[name][: tensor.shape[0]] = tensor
        else:
            found[name][:, : tensor.shape[1]] = tensor
    return found


class Orthogonality:
    """λ Σ_{i<t} ‖A_i A_tᵀ‖²_F and its gradient, in float32; keeps all blocks but the one of ``task`` as they are.

    To be given to a :class:`Trainer` in place of its penalty.
    """

    def __init__(self, task: int, rank: int, weight: float) -> None:
        """``task`` is counted from nought, ``rank`` is that of one task's adapter."""
        self._former, self._weight = task * rank, weight
        self._block = slice(task * rank, (task + 1) * rank)

    def add_to(self, state: State, gradients: State) -> float:
        """Add the penalty's gradient to ``gradients`` in place, set those of other blocks to nought, and return
        the penalty. With P = A_t A_formerᵀ: ∂/∂A_t = 2λ·P·A_former."""
        total = 0.0
        for name, gradient in gradients.items():
            if name.endswith(".lora_A"):
                learnt = gradient[self._block].clone()
                a, former = state[name][self._block], state[name][: self._former]
                overlap = a @ former.T
                total += self._weight * float(overlap.square().sum())
                gradient.zero_()
                gradient[self._block] = learnt.add_(overlap @ former, alpha=2 * self._weight)
            else:
                learnt = gradient[:, self._block].clone()
                gradient.zero_()
                gradient[:, self._block] = learnt
        return total

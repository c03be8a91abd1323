"""LoRA layers that read the same input, computed together and without waste.

PEFT computes every adapted layer on its own: one base product, two thin ones, a scaling and a sum, each with
its own pass over memory, forth and back. Query, key and value (and gate and up) read the same input. Here
such a group is one wide base product and one product for all A matrices; the scaling and the sum happen
inside the thin products. With s the scaling:

    u = x Aᵀ            y = x Wᵀ + s·u Bᵀ
    ∂u = s·∂y B         ∂x = ∂y W + ∂u A         ∂A = ∂uᵀ x         ∂B = s·∂yᵀ u

The results are PEFT's but for rounding. Layers that cannot be grouped (quantised weights, biases) keep PEFT's
own forward. The adapter's parameters stay where PEFT put them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

#: Names of sibling layers that read one input, in the order in which a block calls them.
_GROUPS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("o_proj",), ("down_proj",))


class _FusedLora(torch.autograd.Function):
    """y_i = x W_iᵀ + s·x A_iᵀ B_iᵀ for the layers i of a group; W is frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, scaling: float, *factors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """``x`` [..., d_in], ``weight`` [Σ d_out, d_in], ``factors`` A_1, B_1, A_2, B_2, …"""
        flat = x.reshape(-1, x.shape[-1])
        a = torch.cat(factors[0::2]) if len(factors) > 2 else factors[0]
        u, y = flat @ a.T, flat @ weight.T
        outputs, row, rank = [], 0, 0
        for b in factors[1::2]:
            part = y[:, row : row + b.shape[0]]
            part.addmm_(u[:, rank : rank + b.shape[1]], b.T, alpha=scaling)
            outputs.append(part.view(*x.shape[:-1], b.shape[0]))
            row, rank = row + b.shape[0], rank + b.shape[1]
        ctx.save_for_backward(flat, weight, u, a, *factors[1::2])
        ctx.scaling, ctx.shape = scaling, x.shape
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients of the arguments of :meth:`forward`."""
        flat, weight, u, a, *bs = ctx.saved_tensors
        parts = [g.reshape(-1, b.shape[0]) for g, b in zip(gradients, bs, strict=True)]
        dy = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        du, d_bs, rank = [], [], 0
        for part, b in zip(parts, bs, strict=True):
            du.append(part @ (b * ctx.scaling))
            d_bs.append((part.T @ u[:, rank : rank + b.shape[1]]).mul_(ctx.scaling))
            rank += b.shape[1]
        du_all = torch.cat(du, dim=1) if len(du) > 1 else du[0]
        d_a = du_all.T @ flat
        dx = (dy @ weight).addmm_(du_all, a).view(ctx.shape) if ctx.needs_input_grad[0] else None
        d_factors: list[torch.Tensor] = []
        rank = 0
        for d_b in d_bs:
            d_factors += [d_a[rank : rank + d_b.shape[1]], d_b]
            rank += d_b.shape[1]
        return (dx, None, None, *d_factors)


class _Held(threading.local):
    """What a group has computed and not yet given out: each thread's own, since passes run side by side."""

    def __init__(self) -> None:
        self.input: torch.Tensor | None = None
        self.outputs: dict[int, torch.Tensor] = {}


class _Group:
    """Sibling layers of one block. The first one that is called computes all; the others take theirs."""

    def __init__(self, layers: Sequence[Any]) -> None:
        weights = [layer.get_base_layer().weight for layer in layers]
        self._weight = torch.cat([w.data for w in weights]) if len(weights) > 1 else weights[0].data
        self._layers = list(layers)
        start = 0
        for w in weights:  # the siblings' own weights become views: no second copy in memory
            w.data = self._weight[start : start + w.shape[0]]
            start += w.shape[0]
        self._factors = [
            factor.weight for layer in layers for factor in (layer.lora_A["default"], layer.lora_B["default"])
        ]
        self._scaling = float(layers[0].scaling["default"])
        self._held = _Held()

    def forward_of(self, index: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the forward method of layer ``index``."""
        layer = self._layers[index]

        def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            if layer.disable_adapters or layer.merged:
                found: torch.Tensor = layer.base_layer(x)
                return found
            held = self._held
            if held.input is not x or index not in held.outputs:
                outputs = _FusedLora.apply(x, self._weight, self._scaling, *self._factors)
                held.input, held.outputs = x, dict(enumerate(outputs))
            mine = held.outputs.pop(index)
            if not held.outputs:
                held.input = None  # keep no activations alive
            return mine

        return forward


def fuse(model: Any) -> int:
    """Replace the forward methods of a PEFT model's adapted layers where they can be grouped; return how
    many were. Call it when the model is on its device; undone by :func:`unfuse`."""
    count = 0
    for parent in list(model.modules()):
        for names in _GROUPS:
            layers: list[Any] = [getattr(parent, name, None) for name in names]
            if all(_can_be_fused(layer) for layer in layers):
                group = _Group(layers)
                for index, layer in enumerate(layers):
                    layer.forward = group.forward_of(index)
                    count += 1
    return count


def unfuse(model: Any) -> None:
    """Give the layers their own forward methods back."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.__dict__.pop("forward", None)


def _can_be_fused(layer: Any) -> bool:
    base: Any = getattr(layer, "base_layer", None)
    return (
        type(base) is torch.nn.Linear
        and base.bias is None
        and "default" in getattr(layer, "lora_A", {})
        and layer.lora_A["default"].weight.dtype == base.weight.dtype
    )

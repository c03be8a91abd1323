"""Attention of packed rows on a processor.

torch's own attention computes there in tiles, which saves memory and is slow backwards: a quarter of a
training step. Rows are short here (see :mod:`~allie_desktop.learning.batches`), so the whole matrix of
weights fits: it is kept, and everything is a handful of batched products in the model's own precision.
Queries that share keys and values (grouped-query attention) are one taller matrix, so that nothing is copied.
With s the scaling and M the mask (0 or −∞):

    P = softmax(s·QKᵀ + M)      O = PV
    ∂V = Pᵀ∂O      ∂S = P∘(∂O Vᵀ − Σ ∂O Vᵀ∘P)      ∂Q = s·∂S K      ∂K = s·∂Sᵀ Q
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_NAME = "allie_rows"

#: What a model may ask of its attention that this one does not do.
_BEYOND = ("softcap", "s_aux", "position_bias")

#: Longer rows have a matrix of weights that no longer fits the caches, and more of it to keep.
_LONGEST_ROW = 512

# Models inside of row_attention: by the id of their configuration, how often, and what they attended with.
_inside: dict[int, tuple[int, Any]] = {}
_lock = threading.Lock()


class _RowAttention(torch.autograd.Function):
    """O = softmax(s·QKᵀ + M)·V for Q [rows, heads, n, d], K and V [rows, groups, n, d], M [rows, 1, n, n]."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        """Return O [rows, heads, n, d]."""
        rows, heads, n, d = query.shape
        groups = key.shape[1]
        tall = (rows * groups, heads // groups * n, d)
        q = (query * scaling).reshape(tall)
        k, v = key.reshape(-1, n, d), value.reshape(-1, n, d)
        scores = torch.bmm(q, k.transpose(1, 2)).view(rows, heads, n, n).add_(mask)
        weights = torch.softmax(scores, -1).view(rows * groups, -1, n)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scaling, ctx.shapes = scaling, (query.shape, key.shape)
        return torch.bmm(weights, v).view(query.shape)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients of query, key and value."""
        q, k, v, weights = ctx.saved_tensors
        query_shape, key_shape = ctx.shapes
        g = gradient.reshape(q.shape)
        slopes = torch._softmax_backward_data(torch.bmm(g, v.transpose(1, 2)), weights, -1, weights.dtype)  # noqa: SLF001
        d_query = torch.bmm(slopes, k).mul_(ctx.scaling).view(query_shape)
        d_key = torch.bmm(slopes.transpose(1, 2), q).view(key_shape)
        d_value = torch.bmm(weights.transpose(1, 2), g).view(key_shape)
        return d_query, d_key, d_value, None, None


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **wishes: Any,
) -> tuple[torch.Tensor, None]:
    """Attend as transformers asks it of its attention functions; what is not for us goes to torch's own."""
    if (
        mask is None
        or mask.dtype is torch.bool  # of a pass beside, whose rows are not for us
        or dropout
        or query.shape[2] != key.shape[2]
        or any(wishes.get(w) is not None for w in _BEYOND)
    ):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, mask, dropout=dropout, scaling=scaling, **wishes
        )
        return found
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output: torch.Tensor = _RowAttention.apply(query, key, value, mask, scale)
    return output.transpose(1, 2).contiguous(), None


def is_for_rows(model: Any, width: int) -> bool:
    """Whether rows of ``width`` are attended to faster here than by torch.

    Not when activations are recomputed: that happens in the backward pass, outside of :func:`row_attention`.
    """
    return (
        next(model.parameters()).device.type == "cpu"
        and width <= _LONGEST_ROW
        and not getattr(model, "is_gradient_checkpointing", False)
        and hasattr(getattr(model.get_decoder(), "config", None), "_attn_implementation")
    )


@contextmanager
def row_attention(model: Any) -> Iterator[None]:
    """Let the model attend with the function of this module in a ``with`` block, which several threads may be
    in at once. Masks must be given as numbers to be added, [rows, 1, n, n]."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    config = model.config
    with _lock:
        if _NAME not in ALL_ATTENTION_FUNCTIONS:
            ALL_ATTENTION_FUNCTIONS.register(_NAME, _attend)
        count, before = _inside.get(id(config), (0, config._attn_implementation))  # noqa: SLF001
        _inside[id(config)] = (count + 1, before)
        config._attn_implementation = _NAME  # noqa: SLF001 - what every layer reads on each call
    try:
        yield
    finally:
        with _lock:
            count, before = _inside.pop(id(config))
            if count > 1:
                _inside[id(config)] = (count - 1, before)
            else:
                config._attn_implementation = before  # noqa: SLF001


def additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask of truths as numbers to be added to scores: 0 where something is seen, else −∞."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)

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

#: Queries that are taken at once, in rows longer than this: more products of fewer numbers cost time as well.
_BLOCK, _SHORT_ROW = 128, 256
#: Longer rows have a matrix of weights that no longer fits the caches, and more of it to keep.
_LONGEST_ROW = 1024

# Models inside of row_attention: by the id of their configuration, how often, and what they attended with.
_inside: dict[int, tuple[int, Any]] = {}
_lock = threading.Lock()


class _RowAttention(torch.autograd.Function):
    """O = softmax(s·QKᵀ + M)·V for Q [rows, heads, n, d], K and V [rows, groups, n, d], M [rows, 1, n, n].

    M lets nobody see what comes later. So queries of long rows are taken in blocks, each with the keys that
    stand before its end: of a row of four blocks, three eighths of the products are left out.
    """

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
        pairs = rows * key.shape[1]
        q = (query * scaling).reshape(pairs, -1, n, d)
        k, v = key.reshape(-1, n, d), value.reshape(-1, n, d)
        output = torch.empty_like(q, memory_format=torch.contiguous_format)
        weights = []
        for block, end in _blocks(n):
            tall = q[:, :, block].reshape(pairs, -1, d)
            scores = torch.bmm(tall, k[:, :end].transpose(1, 2)).view(rows, heads, -1, end)
            weight = torch.softmax(scores.add_(mask[:, :, block, :end]), -1).view(pairs, -1, end)
            output[:, :, block] = torch.bmm(weight, v[:, :end]).view(pairs, heads * rows // pairs, -1, d)
            weights.append(weight)
        ctx.save_for_backward(q, k, v, *weights)
        ctx.scaling, ctx.shapes = scaling, (query.shape, key.shape)
        return output.view(query.shape)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients of query, key and value."""
        q, k, v, *weights = ctx.saved_tensors
        query_shape, key_shape = ctx.shapes
        pairs, ways, n, d = q.shape
        g = gradient.reshape(q.shape)
        d_query = torch.empty_like(q, memory_format=torch.contiguous_format)
        d_key, d_value = torch.zeros_like(k), torch.zeros_like(v)
        for (block, end), weight in zip(_blocks(n), weights, strict=True):
            tall, slope = (t[:, :, block].reshape(pairs, -1, d) for t in (q, g))
            change = torch.bmm(slope, v[:, :end].transpose(1, 2))
            change = torch._softmax_backward_data(change, weight, -1, weight.dtype)  # noqa: SLF001
            d_query[:, :, block] = torch.bmm(change, k[:, :end]).mul_(ctx.scaling).view(pairs, ways, -1, d)
            d_key[:, :end].baddbmm_(change.transpose(1, 2), tall)
            d_value[:, :end].baddbmm_(weight.transpose(1, 2), slope)
        return d_query.view(query_shape), d_key.view(key_shape), d_value.view(key_shape), None, None


def _blocks(n: int) -> list[tuple[slice, int]]:
    """Return the blocks of queries of a row, and where each ends."""
    size = _BLOCK if n > _SHORT_ROW else max(1, n)
    return [(slice(start, start + size), min(n, start + size)) for start in range(0, n, size)]


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

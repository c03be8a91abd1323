"""Losses at the positions that carry them, in chunks, so that no full-vocabulary tensor of a whole batch
ever exists."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from allie_desktop.domain.errors import ModelError
from allie_desktop.learning.attention import additive, is_for_rows, row_attention

if TYPE_CHECKING:
    from allie_desktop.learning.batches import Pass

#: Positions whose logits exist at once; 128 x 49,152 in float32 are 25 MB, and more than that is slower on a processor.
CHUNK_POSITIONS = 128

#: Settings of models that change the logits behind the head: Gemma 2, Cohere, Granite.
_BENDING = ("final_logit_softcapping", "logit_scale", "logits_scaling")


def hidden_states(model: Any, batch: Pass) -> torch.Tensor:
    """Return the last hidden states [n, d] of a causal language model, without its head, at the n
    predicting places of a pass."""
    one = next(model.parameters())
    device = one.device
    decoder, by_rows = model.get_decoder(), is_for_rows(model, batch.tokens.shape[1])
    with row_attention(decoder) if by_rows else nullcontext():
        output = decoder(
            input_ids=batch.tokens.to(device),
            position_ids=batch.positions.to(device),
            attention_mask=additive(batch.attention, one.dtype) if by_rows else batch.attention.to(device),
            use_cache=False,
        )
    hidden: torch.Tensor = output.last_hidden_state[batch.row.to(device), batch.column.to(device)]
    return hidden


def token_losses(head: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the negative log-likelihood [n] (float32, nats) of ``targets`` [n] given ``hidden`` [n, d].

    Differentiable in ``hidden``. ``head`` is the model's frozen output layer.
    """
    return _PlaceLoss.of(head, hidden, targets, None)


def token_kl(head: Any, hidden: torch.Tensor, base_hidden: torch.Tensor) -> torch.Tensor:
    """Return KL(base ‖ adapted) [n] (float32, nats) from last hidden states [n, d] of both.

    The head is shared, since adapters do not touch it. Differentiable in ``hidden`` alone.
    """
    return _PlaceLoss.of(head, hidden, None, base_hidden)


class _PlaceLoss(torch.autograd.Function):
    """A loss at each place, from the hidden state there alone.

    Since no place depends on another and the head is frozen, the gradient with respect to the hidden
    states can be taken at once, while a chunk's logits exist: (softmax − target)·W. The backward pass
    only scales it, and no logits are kept or computed twice (the idea of Liger's fused linear
    cross-entropy, Hsu et al. 2024, arXiv:2410.10989).
    """

    @classmethod
    def of(
        cls,
        head: Any,
        hidden: torch.Tensor,
        targets: torch.Tensor | None,
        base_hidden: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the losses [n]."""
        wanted = torch.is_grad_enabled() and hidden.requires_grad
        found: torch.Tensor = cls.apply(hidden, head.weight, head.bias, targets, base_hidden, wanted)
        return found

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor | None,
        base_hidden: torch.Tensor | None,
        wanted: bool,
    ) -> torch.Tensor:
        """See the class; ``wanted``: whether a backward pass will come."""
        losses = torch.empty(hidden.shape[0], dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if wanted else None
        for start in range(0, hidden.shape[0], CHUNK_POSITIONS):
            part = slice(start, start + CHUNK_POSITIONS)
            log_q = torch.log_softmax(_logits(hidden[part], weight, bias).float(), -1)
            if targets is not None:
                place = targets[part, None]
                losses[part] = -log_q.gather(-1, place).squeeze(-1)
                slope = log_q.exp_()
                slope.scatter_add_(-1, place, torch.full_like(slope[:, :1], -1.0))
            else:
                assert base_hidden is not None
                log_p = torch.log_softmax(_logits(base_hidden[part], weight, bias).float(), -1)
                p = log_p.exp()
                losses[part] = (p * (log_p - log_q)).sum(-1)
                slope = log_q.exp_().sub_(p)
            if slopes is not None:
                slopes[part] = slope.to(weight.dtype) @ weight
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        """Scale the slopes."""
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None].to(slopes.dtype), None, None, None, None, None


def _logits(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product = hidden @ weight.T
    return product if bias is None else product + bias


def check_head(model: Any) -> None:
    """Raise :class:`ModelError` when the model does more with its last hidden states than one linear layer:
    losses at places would be those of another model."""
    config = model.config
    odd = [name for name in _BENDING if (value := getattr(config, name, None)) is not None and value != 1]
    if odd or type(model.get_output_embeddings()) is not torch.nn.Linear:
        what = f" ({odd[0]})" if odd else ""
        raise ModelError(
            f"This base model makes its choice of words in a way that Allie cannot train{what}.",
            "Choose a model of the Llama, Mistral or Qwen family.",
        )

"""Losses at the positions that carry them, in chunks, so that no full-vocabulary tensor of a whole batch
ever exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from allie_desktop.learning.batches import Pass

#: Positions whose logits exist at once; 256 x 49,152 in float32 are 50 MB.
CHUNK_POSITIONS = 256


def hidden_states(model: Any, batch: Pass) -> torch.Tensor:
    """Return the last hidden states [n, d] of a causal language model, without its head, at the n
    predicting places of a pass."""
    device = next(model.parameters()).device
    output = model.get_decoder()(
        input_ids=batch.tokens.to(device),
        position_ids=batch.positions.to(device),
        attention_mask=batch.attention.to(device),
        use_cache=False,
    )
    hidden: torch.Tensor = output.last_hidden_state[batch.row.to(device), batch.column.to(device)]
    return hidden


def token_losses(head: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the negative log-likelihood [n] (float32, nats) of ``targets`` [n] given ``hidden`` [n, d].

    Differentiable; chunked, and each chunk's logits are recomputed in the backward pass rather than
    kept.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    def chunk(h: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(head(h).float(), t, reduction="none")

    parts = []
    for start in range(0, hidden.shape[0], CHUNK_POSITIONS):
        h, t = hidden[start : start + CHUNK_POSITIONS], targets[start : start + CHUNK_POSITIONS]
        parts.append(checkpoint(chunk, h, t, use_reentrant=False) if h.requires_grad else chunk(h, t))
    return torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)


def token_kl(head: Any, hidden: torch.Tensor, base_hidden: torch.Tensor) -> torch.Tensor:
    """Return KL(base ‖ adapted) [n] (float32, nats) from last hidden states [n, d] of both.

    The head is shared, since adapters do not touch it. Differentiable in ``hidden`` alone.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    def chunk(h: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        log_q = torch.log_softmax(head(h).float(), -1)
        log_p = torch.log_softmax(head(b).float(), -1)
        return torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)

    parts = []
    for start in range(0, hidden.shape[0], CHUNK_POSITIONS):
        h = hidden[start : start + CHUNK_POSITIONS]
        b = base_hidden[start : start + CHUNK_POSITIONS]
        parts.append(checkpoint(chunk, h, b, use_reentrant=False) if h.requires_grad else chunk(h, b))
    return torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)

"""Losses at the positions that carry them, in chunks, so that no full-vocabulary tensor of a whole batch
ever exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: Positions whose logits exist at once; 256 x 49,152 in float32 are 50 MB.
CHUNK_POSITIONS = 256


def predicting(weights: torch.Tensor) -> torch.Tensor:
    """Return the positions [B, L] (bool) whose *next* token has a loss weight."""
    import torch

    shifted = torch.zeros_like(weights, dtype=torch.bool)
    shifted[:, :-1] = weights[:, 1:] > 0
    return shifted


def hidden_states(model: Any, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states [B, L, d] of a causal language model, without its head."""
    output = model.get_decoder()(input_ids=tokens, attention_mask=mask, use_cache=False)
    hidden: torch.Tensor = output.last_hidden_state
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

"""Elastic weight consolidation on the change of the weights, ΔW = s·B·A, with a factored Fisher.

Kirkpatrick et al. 2017 (doi:10.1073/pnas.1611835114) penalise moving parameters that earlier tasks need,
each weighted with its Fisher information. LoRA's A and B are the wrong place for that: they can change
while their product does not, and the reverse. So the penalty is on ΔW, with the diagonal of the
Kronecker-factored Fisher of Martens & Grosse 2015 (arXiv:1503.05671):

    F_ij ≈ g_i·x_j,   g = E[(∂L/∂y)²],   x = E[x²]        (y = W x, one expectation over tokens)

which costs d_in + d_out numbers a layer. The penalty

    ½ λ Σ_ij g_i x_j (s·BA − s*·B*A*)²_ij  =  ½ λ · tr((B̃ᵀ G B̃)(Ã X Ãᵀ)),  B̃ = [sB, −s*B*],  Ã = [A; A*]

is exact for that F, needs only 2r×2r products, and never forms ΔW. The Fisher is the true one: labels are
drawn from the model, and gradients are squared token by token, never as a mean over a batch
(Kunstner et al. 2019, arXiv:1905.12558). Over episodes the factors decay (online EWC, Schwarz et al.
2018, arXiv:1805.06370).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.learning.losses import hidden_states

if TYPE_CHECKING:
    import torch

    from allie_desktop.learning.batches import Pass

FISHER_FILE = "fisher.safetensors"

#: Over so many sequences it is estimated, in passes of so many tokens: a vocabulary of gradients stands behind each.
FISHER_SEQUENCES = 24
FISHER_PASS_TOKENS = 512


@dataclass(slots=True)
class FisherFactors:
    """Per adapted layer: ``inputs`` E[x²] [d_in] and ``outputs`` E[(∂L/∂y)²] [d_out], float32, over
    ``tokens`` predicted tokens."""

    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]
    tokens: float

    def blended(self, older: FisherFactors, decay: float) -> FisherFactors:
        """Return the decayed running mean of this and an older estimate.

        The product g·x is not linear in its factors; keeping the running means of both is the usual
        approximation of online Kronecker methods.
        """
        weight = older.tokens * decay
        share = weight / (weight + self.tokens) if weight + self.tokens > 0 else 0.0
        return FisherFactors(
            {n: t * (1 - share) + older.inputs[n] * share for n, t in self.inputs.items()},
            {n: t * (1 - share) + older.outputs[n] * share for n, t in self.outputs.items()},
            weight + self.tokens,
        )

    def save(self, folder: Path) -> None:
        """Write the factors as safetensors into ``folder``."""
        import torch
        from safetensors.torch import save_file

        tensors = {f"inputs.{n}": t for n, t in self.inputs.items()}
        tensors |= {f"outputs.{n}": t for n, t in self.outputs.items()}
        tensors["tokens"] = torch.tensor([self.tokens])
        save_file(tensors, folder / FISHER_FILE)

    @classmethod
    def load(cls, folder: Path, layers: Sequence[str]) -> FisherFactors | None:
        """Return what :meth:`save` wrote for exactly these ``layers``; None where there is nothing usable."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors = load_file(folder / FISHER_FILE)
            inputs = {n: tensors[f"inputs.{n}"] for n in layers}
            outputs = {n: tensors[f"outputs.{n}"] for n in layers}
            tokens = float(tensors["tokens"].reshape(-1)[0])
        except (OSError, KeyError, IndexError, SafetensorError):
            return None
        # Means of squares: whatever else is in the file would pull the weights anywhere.
        sound = all(
            t.ndim == 1 and t.is_floating_point() and bool(((t >= 0) & t.isfinite()).all())
            for t in (*inputs.values(), *outputs.values())
        )
        return cls(inputs, outputs, tokens) if sound and 0 < tokens < math.inf else None


def estimate_fisher(
    model: Any, layers: Sequence[str], batches: Iterator[Pass] | Sequence[Pass], seed: int
) -> FisherFactors:
    """Return the factors over all predicted positions of ``batches``.

    ``layers`` name modules of ``model`` (a PEFT model) without its prefix. The model's weights are not
    changed; its gradients are cleared.
    """
    import torch

    device = next(model.parameters()).device
    generator = torch.Generator(device="cpu").manual_seed(seed)
    head = model.get_output_embeddings()
    sums_x: dict[str, torch.Tensor] = {}
    sums_g: dict[str, torch.Tensor] = {}
    positions = 0
    tokens = 0
    with _watched(model, layers) as seen:
        for batch in batches:
            if not len(batch.row):
                continue
            logits = head(hidden_states(model, batch)).float()
            drawn = torch.multinomial(logits.detach().softmax(-1).cpu(), 1, generator=generator)
            loss = torch.nn.functional.cross_entropy(logits, drawn.squeeze(-1).to(device), reduction="sum")
            loss.backward()
            # Padding sees only itself and predicts nothing: its gradients are zero, its inputs are not.
            real = batch.filled.to(device)
            for name, (x, g) in seen.items():
                _add(sums_x, name, x[real].float().square().sum(0))
                _add(sums_g, name, g[real].float().square().sum(0))
            seen.clear()
            model.zero_grad(set_to_none=True)
            positions += batch.real
            tokens += len(batch.row)
    if tokens == 0:
        raise ValueError("no position to estimate the Fisher information on")
    return FisherFactors(
        {n: (t / positions).cpu() for n, t in sums_x.items()},
        {n: (t / tokens).cpu() for n, t in sums_g.items()},
        float(tokens),
    )


def _add(sums: dict[str, torch.Tensor], name: str, value: torch.Tensor) -> None:
    sums[name] = sums[name] + value if name in sums else value


@contextmanager
def _watched(model: Any, layers: Sequence[str]) -> Iterator[dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Yield a dict that holds, after a backward pass, (input, gradient of the output) of each layer."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    handles = []

    def hook(name: str) -> Any:
        def forward(_module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            x = inputs[0].detach()
            if output.requires_grad:
                output.register_hook(lambda g: seen.__setitem__(name, (x, g.detach())))

        return forward

    for name in layers:
        module = model.get_submodule(f"base_model.model.{name}")
        handles.append(module.register_forward_hook(hook(name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class EwcPenalty:
    """½ λ Σ F (ΔW − ΔW*)² and its gradient with respect to A and B, in float32."""

    def __init__(
        self,
        factors: FisherFactors,
        anchor: Mapping[str, torch.Tensor],
        scaling: float,
        weight: float,
    ) -> None:
        """``anchor`` is an adapter state (A and B by name): the ΔW* to stay close to."""
        self._factors, self._anchor, self._scaling, self._weight = factors, anchor, scaling, weight

    def add_to(self, state: Mapping[str, torch.Tensor], gradients: Mapping[str, torch.Tensor]) -> float:
        """Add the penalty's gradient to ``gradients`` in place and return its value.

        With C_g = B̃ᵀGB̃ and C_x = ÃXÃᵀ: ∂/∂B̃ = λ·G·B̃·C_x and ∂/∂Ã = λ·C_g·Ã·X; the first r rows or
        columns are those of the living adapter.
        """
        import torch

        total = 0.0
        for name in self._factors.inputs:
            a, b = state[f"{name}.lora_A"], state[f"{name}.lora_B"]
            x = self._factors.inputs[name].to(a.device)
            g = self._factors.outputs[name].to(a.device)
            rank = a.shape[0]
            both_a = torch.cat([a, self._anchor[f"{name}.lora_A"]])
            both_b = torch.cat([b, -self._anchor[f"{name}.lora_B"]], dim=1) * self._scaling
            ax = both_a * x
            gb = both_b * g[:, None]
            c_x = ax @ both_a.T
            c_g = both_b.T @ gb
            total += 0.5 * self._weight * float((c_g * c_x).sum())
            gradients[f"{name}.lora_B"].add_(gb @ c_x[:, :rank], alpha=self._weight * self._scaling)
            gradients[f"{name}.lora_A"].add_(c_g[:rank] @ ax, alpha=self._weight)
        return total

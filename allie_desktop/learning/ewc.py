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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.losses import hidden_states

if TYPE_CHECKING:
    import torch

    from allie_desktop.learning.batches import Pass
    from allie_desktop.learning.chat_format import Encoded

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


@dataclass(slots=True)
class _Sums:
    """Sums of squares by layer: of inputs over ``positions``, of gradients over ``tokens``."""

    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    outputs: dict[str, torch.Tensor] = field(default_factory=dict)
    positions: int = 0
    tokens: int = 0

    def add(self, other: _Sums) -> None:
        """Add another lane's."""
        for mine, theirs in ((self.inputs, other.inputs), (self.outputs, other.outputs)):
            for name, value in theirs.items():
                mine[name] = mine[name] + value if name in mine else value
        self.positions += other.positions
        self.tokens += other.tokens


def fisher_sequences(replay: Sequence[Encoded], general: Sequence[Encoded]) -> list[Encoded]:
    """Return what the factors are estimated on: half of it what was learnt, where there is so much, the rest what
    the base model says."""
    return [*replay[: FISHER_SEQUENCES // 2], *general][:FISHER_SEQUENCES]


def estimate_fisher(
    model: Any,
    layers: Sequence[str],
    batches: Sequence[Pass],
    seed: int,
    *,
    lanes: Lanes | None = None,
    between: Callable[[], None] = lambda: None,
) -> FisherFactors:
    """Return the factors over all predicted positions of ``batches``.

    ``layers`` name modules of ``model`` (a PEFT model) without its prefix. The model is left as it is.
    ``between`` is called before each pass, in the thread of its lane, and may raise.
    """
    import torch

    lanes = lanes or Lanes()
    device = next(model.parameters()).device
    head = model.get_output_embeddings()
    living = [p for p in model.parameters() if p.requires_grad]

    def lane(part: Sequence[int]) -> _Sums:
        sums, seen = _Sums(), mine()
        for index in part:
            between()
            batch = batches[index]
            if not len(batch.row):
                continue
            logits = head(hidden_states(model, batch)).float()
            # Of its own for each pass: what is drawn does not depend on which lane is faster.
            draw = torch.Generator(device="cpu").manual_seed(seed + index)
            drawn = torch.multinomial(logits.detach().softmax(-1).cpu(), 1, generator=draw)
            loss = torch.nn.functional.cross_entropy(logits, drawn.squeeze(-1).to(device), reduction="sum")
            torch.autograd.grad(loss, living, allow_unused=True)
            # Padding sees only itself and predicts nothing: its gradients are zero, its inputs are not.
            real = batch.filled.to(device)
            sums.add(
                _Sums(
                    {n: x[real].float().square().sum(0) for n, (x, _) in seen.items()},
                    {n: g[real].float().square().sum(0) for n, (_, g) in seen.items()},
                    batch.real,
                    len(batch.row),
                )
            )
            seen.clear()
        return sums

    with _watched(model, layers) as mine:
        total, *others = lanes.each(lane, lanes.share([b.real for b in batches])) or [_Sums()]
    for other in others:
        total.add(other)
    if total.tokens == 0:
        raise ValueError("no position to estimate the Fisher information on")
    return FisherFactors(
        {n: (t / total.positions).cpu() for n, t in total.inputs.items()},
        {n: (t / total.tokens).cpu() for n, t in total.outputs.items()},
        float(total.tokens),
    )


@contextmanager
def _watched(
    model: Any, layers: Sequence[str]
) -> Iterator[Callable[[], dict[str, tuple[torch.Tensor, torch.Tensor]]]]:
    """Yield a function that returns the calling thread's own dict, which holds, after a backward pass of that
    thread, (input, gradient of the output) of each layer."""
    local = threading.local()

    def mine() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        if not hasattr(local, "seen"):
            local.seen = {}
        found: dict[str, tuple[torch.Tensor, torch.Tensor]] = local.seen
        return found

    def hook(name: str) -> Any:
        def forward(_module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            x, seen = inputs[0].detach(), mine()  # a backward pass may run in a thread of torch's own
            if output.requires_grad:
                output.register_hook(lambda g: seen.__setitem__(name, (x, g.detach())))

        return forward

    handles = [
        model.get_submodule(f"base_model.model.{name}").register_forward_hook(hook(name)) for name in layers
    ]
    try:
        yield mine
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

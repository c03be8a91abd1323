"""The LoRA adapter in training: fast low-precision weights in the model, exact ones beside it.

PEFT makes, reads and writes the adapter; its automatic cast to float32 is switched off, because casting
activations back and forth costs a third of the time. The optimizer works on float32 master weights
instead: in bfloat16 alone, updates below 1/256 of a weight would be rounded away.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import ModelError, VersionCorruptError
from allie_desktop.domain.planning import LoraGeometry
from allie_desktop.learning.fused import fuse

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"


class Adapter:
    """LoRA matrices of one model. ``masters`` maps names like ``...q_proj.lora_A`` to float32 tensors:
    A is [rank, d_in], B is [d_out, rank]; the change of a weight is ``scaling`` x B A."""

    def __init__(self, base_model: Any, geometry: LoraGeometry, seed: int) -> None:
        import peft
        import torch

        config = peft.LoraConfig(
            r=geometry.rank,
            lora_alpha=geometry.alpha,
            target_modules=list(geometry.targets),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        )
        torch.manual_seed(seed)
        try:
            self.model = peft.get_peft_model(base_model, config, autocast_adapter_dtype=False)
        except ValueError as error:
            raise ModelError(
                "This base model has none of the layers that Allie adapts.",
                "Choose a model of the Llama, Mistral, Qwen or Gemma family.",
            ) from error
        fuse(self.model)
        self.scaling = geometry.alpha / geometry.rank
        self._live: dict[str, torch.Tensor] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                self._live[_short(name)] = parameter
        self.masters = {name: p.detach().float().clone() for name, p in self._live.items()}

    @property
    def pairs(self) -> list[str]:
        """Names of the adapted layers, in the model's order."""
        return [n.removesuffix(".lora_A") for n in self.masters if n.endswith(".lora_A")]

    def push(self) -> None:
        """Copy the master weights into the model."""
        import torch

        with torch.no_grad():
            for name, live in self._live.items():
                live.copy_(self.masters[name])

    def add_gradients(self, loss: torch.Tensor, into: dict[str, torch.Tensor]) -> None:
        """Add the gradients of ``loss`` with respect to the masters to ``into`` (float32). May be called from
        several threads at once: it leaves nothing in the model."""
        import torch

        found = torch.autograd.grad(loss, list(self._live.values()), allow_unused=True)
        for name, gradient in zip(self._live, found, strict=True):
            if gradient is not None:
                into[name].add_(gradient)

    def state(self) -> dict[str, torch.Tensor]:
        """Return a copy of the master weights."""
        return {name: tensor.clone() for name, tensor in self.masters.items()}

    def set_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over ``state`` and push it into the model."""
        for name, tensor in self.masters.items():
            tensor.copy_(state[name])
        self.push()

    def zero_state(self) -> dict[str, torch.Tensor]:
        """Return a state under which the model equals its base (B = 0)."""
        import torch

        return {
            n: torch.zeros_like(t) if n.endswith("lora_B") else t.clone() for n, t in self.masters.items()
        }

    def save(self, folder: Path) -> None:
        """Write the master weights as a PEFT adapter folder in float32."""
        import torch
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        names = get_peft_model_state_dict(self.model)
        state = {n: self.masters[_short(n)].contiguous().to("cpu", torch.float32) for n in names}
        save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        config = self.model.peft_config["default"]
        config.inference_mode = True
        config.save_pretrained(str(folder))
        config.inference_mode = False

    def load(self, folder: Path) -> None:
        """Take over the weights of a PEFT adapter folder of the same geometry; raise
        :class:`VersionCorruptError` when they do not fit."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = {_short(n): t for n, t in load_file(folder / WEIGHTS_FILE).items()}
        except (OSError, SafetensorError) as error:
            raise VersionCorruptError(
                f"The adapter in {folder.name} cannot be read.", "Go back to another version."
            ) from error
        shapes = {n: tuple(t.shape) for n, t in self.masters.items()}
        if {n: tuple(t.shape) for n, t in state.items()} != shapes:
            raise VersionCorruptError(
                f"The adapter in {folder.name} was made for another base model or another rank.",
                "Choose the base model it was made for, or start from the base.",
            )
        if not all(bool(t.isfinite().all()) for t in state.values()):
            raise VersionCorruptError(
                f"The adapter in {folder.name} holds weights that are no numbers.",
                "Go back to another version.",
            )
        for name, tensor in state.items():
            self.masters[name].copy_(tensor)
        self.push()


def _short(name: str) -> str:
    """Drop what differs between PEFT's names in memory and on disk."""
    name = name.removesuffix(".weight").removesuffix(".default")
    return name.removeprefix("base_model.model.").replace(".base_layer", "")

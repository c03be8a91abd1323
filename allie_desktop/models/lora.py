"""The matrices of a PEFT adapter folder, as plain arrays: what merging needs, without a model or torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import VersionCorruptError
from allie_desktop.domain.json_text import parse_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"

_PREFIX = "base_model.model."
#: What would change the meaning of the matrices, and the value that does not.
_PLAIN = {
    "peft_type": "LORA",
    "bias": "none",
    "use_dora": False,
    "use_qalora": False,
    "fan_in_fan_out": False,
    "lora_bias": False,
}
_ABSENT = ("rank_pattern", "alpha_pattern", "modules_to_save", "layer_replication", "target_parameters")


@dataclass(frozen=True, slots=True)
class Lora:
    """``factors`` maps a layer like ``model.layers.0.mlp.up_proj`` to A [rank, d_in] and B [d_out, rank],
    float32. The change of its weight is ``scaling`` · B A."""

    scaling: float
    factors: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

    def delta(self, layer: str) -> NDArray[np.float32]:
        """Return the change [d_out, d_in] of a layer's weight, float32."""
        a, b = self.factors[layer]
        change: NDArray[np.float32] = (b * self.scaling) @ a
        return change

    def shape(self, layer: str) -> tuple[int, int]:
        """Return the shape [d_out, d_in] of a layer's weight."""
        a, b = self.factors[layer]
        return int(b.shape[0]), int(a.shape[1])


def read_lora(folder: Path) -> Lora:
    """Return the adapter in ``folder``; raise :class:`VersionCorruptError` when it cannot be read or is not
    a plain LoRA."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = parse_json((folder / CONFIG_FILE).read_text("utf-8"))
        scaling = _scaling(config)
        tensors = load_file(folder / WEIGHTS_FILE)
    except (
        OSError,
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        ZeroDivisionError,
    ) as error:
        raise _corrupt(folder, "cannot be read") from error
    factors = {}
    for name, a in tensors.items():
        if not name.endswith(".lora_A.weight"):
            continue
        layer = name.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        b = tensors.get(name.replace(".lora_A.", ".lora_B."))
        if b is None or a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise _corrupt(folder, "has matrices that do not belong together")
        factors[layer] = (a.astype(np.float32), b.astype(np.float32))
    if not factors or 2 * len(factors) != len(tensors):
        raise _corrupt(folder, "holds something else than LoRA matrices")
    if not all(bool(np.isfinite(m).all()) for pair in factors.values() for m in pair):
        raise _corrupt(folder, "holds weights that are no numbers")
    return Lora(scaling, factors)


def _scaling(config: dict[str, Any]) -> float:
    """Return the factor of BA; raise ValueError for a kind of adapter that is more than that."""
    odd = [key for key, plain in _PLAIN.items() if config.get(key, plain) != plain]
    odd += [key for key in _ABSENT if config.get(key)]
    if odd:
        raise ValueError(f"not a plain LoRA: {', '.join(odd)}")
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    scaling: float = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    return scaling


def _corrupt(folder: Path, what: str) -> VersionCorruptError:
    return VersionCorruptError(f"The adapter in {folder.name} {what}.", "Export another version.")

"""A base model with what was learnt added to its weights, W + s·BA, as one ordinary model in safetensors.

Works from file to file, shard by shard: neither the model nor its architecture is ever in memory.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import CorruptModelError, ModelError
from allie_desktop.domain.json_text import parse_json

if TYPE_CHECKING:
    import torch

    from allie_desktop.models.lora import Lora

#: A file larger than this is split; it is also what is in memory at once.
LARGEST_SHARD_BYTES = 2_000_000_000

#: Files beside the weights that a model needs, or that a person should have.
_BESIDE = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
    "chat_template.json", "LICENSE", "LICENSE.txt",
)  # fmt: skip


def write_merged(
    base: Path,
    lora: Lora,
    target: Path,
    *,
    dtype: torch.dtype | None = None,
    largest_shard_bytes: int = LARGEST_SHARD_BYTES,
) -> None:
    """Write the safetensors folder ``base`` with ``lora`` merged into it to the empty folder ``target``.

    Sums are float32 and rounded once, to ``dtype``, or to that of each weight as it stands in the base.
    Tokenizer, chat template and configuration are copied. Raises :class:`ModelError` when the base is
    quantised or the adapter does not fit it, and :class:`OSError` when the disk does not take it.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    config = _config(base)
    left = set(lora.factors)
    shards = _Shards(target, largest_shard_bytes)
    for file in sorted(f for f in base.glob("*.safetensors") if f.is_file()):
        try:
            with safe_open(file, "pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                    weight = tensors.get_tensor(name)
                    kind = dtype if dtype is not None and weight.is_floating_point() else weight.dtype
                    layer = name.removesuffix(".weight")
                    if layer in left:
                        left.remove(layer)
                        if tuple(weight.shape) != lora.shape(layer) or not weight.is_floating_point():
                            raise _other_base()
                        weight = weight.float() + torch.from_numpy(lora.delta(layer))
                    shards.add(name, weight.to(kind).contiguous())
        except SafetensorError as error:
            raise CorruptModelError(
                f"{file.name} is truncated or damaged.", "Download the base model again."
            ) from error
    if left:
        raise _other_base()
    shards.finish()
    for name in _BESIDE:
        if (base / name).is_file():
            shutil.copyfile(base / name, target / name)
    if dtype is not None:
        config.pop("torch_dtype", None)
        config["dtype"] = str(dtype).removeprefix("torch.")
        (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")


class _Shards:
    """Collects tensors and writes a file whenever enough of them have come together."""

    def __init__(self, folder: Path, largest_bytes: int) -> None:
        self._folder, self._largest = folder, largest_bytes
        self._waiting: dict[str, torch.Tensor] = {}
        self._waiting_bytes = self._total = 0
        self._written: list[list[str]] = []

    def add(self, name: str, tensor: torch.Tensor) -> None:
        size = tensor.numel() * tensor.element_size()
        if self._waiting and self._waiting_bytes + size > self._largest:
            self._write()
        self._waiting[name] = tensor
        self._waiting_bytes += size
        self._total += size

    def _write(self) -> None:
        from safetensors.torch import save_file

        save_file(self._waiting, self._folder / f"{len(self._written)}.part", metadata={"format": "pt"})
        self._written.append(list(self._waiting))
        self._waiting, self._waiting_bytes = {}, 0

    def finish(self) -> None:
        """Write the rest, and give the files the names under which libraries look for them."""
        self._write()
        count = len(self._written)
        names = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
        if count == 1:
            names = ["model.safetensors"]
        for i, name in enumerate(names):
            os.replace(self._folder / f"{i}.part", self._folder / name)
        if count > 1:
            places = {tensor: names[i] for i, part in enumerate(self._written) for tensor in part}
            index = {"metadata": {"total_size": self._total}, "weight_map": places}
            file = self._folder / "model.safetensors.index.json"
            file.write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _config(base: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = parse_json((base / "config.json").read_text("utf-8"))
        quantised = config.get("quantization_config")
    except (ValueError, AttributeError) as error:
        raise CorruptModelError("config.json is damaged.", "Download the base model again.") from error
    if quantised:
        raise ModelError(
            "The weights of this base model are quantised, so nothing can be added to them.",
            "Export the version as a PEFT folder, which goes on top of any form of its base.",
        )
    return config


def _other_base() -> ModelError:
    return ModelError(
        "The version does not fit this base model: it was made for other layers.",
        "Choose the base model it was made for.",
    )

"""PEFT adapters as llama.cpp reads them: a GGUF file with the same matrices under other names.

One thing is more than renaming. The query and key weights of Llama files have their rows in another order
(the two halves of each head interleaved, as llama.cpp rotates them), so that ``lora_B``, whose rows are the
rows of the weight, has to be put into that order too. Without it an adapter loads, and speaks nonsense.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allie_desktop.domain.errors import DiskFullError, ModelError, VersionCorruptError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.models.gguf_header import GgufHeader, read_header

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"

#: Architectures whose files hold query and key interleaved, and those that keep the order of PEFT.
_INTERLEAVED = frozenset({"llama"})
_PLAIN = frozenset({"gemma", "gemma2", "gemma3", "phi3", "qwen2", "qwen3"})

#: Part of every cached file's name: a new way to convert does not find the files of the old one.
_FORMAT = 2

_TURNED = {"self_attn.q_proj": "head_count", "self_attn.k_proj": "head_count_kv"}
_PREFIX = "base_model.model."
_LARGEST_ALPHA = 1e30  # it is kept as float32


def convert_adapter(adapter: Path, base: Path, target: Path) -> None:
    """Write the PEFT folder ``adapter`` for the GGUF file ``base`` to ``target``, which is whole or not there.

    Raise :class:`VersionCorruptError` when the adapter cannot be read, was made for another base model or
    holds weights that are no numbers; :class:`ModelError` when this family of models cannot be served with
    adapters; :class:`DiskFullError`.
    """
    header = read_header(base)
    if header.architecture not in _INTERLEAVED | _PLAIN:
        raise ModelError(
            f"The chat engine cannot use what was learnt on a model of the kind {header.architecture!r}.",
            "Choose a base model of the Llama, Mistral, Qwen or Gemma family, or its safetensors folder.",
        )
    config = _read_config(adapter)
    tensors = _named(_read_weights(adapter), header, config, adapter)
    _write(tensors, header, _alpha(config), target)


def cached_adapter(name: str, adapter: Path, base: Path, folder: Path) -> Path:
    """Return the converted copy of version ``name``, made now unless a whole one is in ``folder``.

    Raises what :func:`convert_adapter` raises. Any thread, any number of processes.
    """
    try:
        key = hashlib.sha256(f"{_FORMAT}\n{base.stat().st_size}\n{base}\n".encode())
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            key.update((adapter / file).read_bytes())
    except OSError as error:
        raise _broken(adapter, "a file of it cannot be read") from error
    made = folder / f"{name}-{key.hexdigest()[:24]}.gguf"
    seal = made.with_suffix(".sha256")
    with contextlib.suppress(OSError, ValueError):
        if seal.read_text("ascii").strip() == _digest(made):
            return made
    seal.unlink(missing_ok=True)
    convert_adapter(adapter, base, made)
    with contextlib.suppress(OSError):  # without its seal it is made again the next time
        seal.write_text(_digest(made), "ascii")
    return made


def forget_cached(folder: Path, keep: frozenset[str]) -> None:
    """Remove the converted copies of every version that is not in ``keep``: what was forgotten or pruned
    must not live on in a cache. Never raises."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.suffix in {".gguf", ".sha256"} and file.name.rpartition("-")[0] not in keep:
                with contextlib.suppress(OSError):
                    file.unlink()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read_config(adapter: Path) -> Mapping[str, Any]:
    try:
        config = parse_json((adapter / CONFIG_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(adapter, f"{CONFIG_FILE} cannot be read") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise _broken(adapter, f"{CONFIG_FILE} does not describe a LoRA adapter")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float) or not _is_finite(alpha):
        raise _broken(adapter, f"{CONFIG_FILE} gives no rank and no alpha")
    unusual = [
        name
        for name in ("use_dora", "fan_in_fan_out", "alpha_pattern", "rank_pattern", "modules_to_save")
        if config.get(name)
    ]
    if unusual:
        raise _broken(adapter, f"the chat engine does not know what {unusual[0]} means")
    return config


def _is_finite(number: float) -> bool:
    return abs(number) < _LARGEST_ALPHA  # false for what is no number, and right for any whole one


def _alpha(config: Mapping[str, Any]) -> float:
    """Return the alpha that gives the adapter's scale once it is divided by the rank."""
    rank = int(config["r"])
    return float(config["lora_alpha"]) * (float(rank) ** 0.5 if config.get("use_rslora") else 1.0)


def _read_weights(adapter: Path) -> dict[str, Any]:
    """Return the tensors in float32, bfloat16 ones among them, which numpy does not know."""
    import numpy as np
    import safetensors

    library: Any = safetensors  # half typed
    try:
        entries = library.deserialize((adapter / WEIGHTS_FILE).read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise _broken(adapter, f"{WEIGHTS_FILE} cannot be read") from error
    weights = {}
    for name, entry in entries:
        data, dtype = bytes(entry["data"]), entry["dtype"]
        if dtype == "BF16":  # the upper half of a float32
            values = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        elif dtype in {"F32", "F16"}:
            values = np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype("<f4")
        else:
            raise _broken(adapter, f"it holds numbers of the kind {dtype}")
        if not np.isfinite(values).all():
            raise _broken(adapter, "it holds weights that are not numbers")
        weights[name] = values.reshape(entry["shape"])
    return weights


def _named(
    weights: Mapping[str, Any], header: GgufHeader, config: Mapping[str, Any], adapter: Path
) -> dict[str, Any]:
    """Return the tensors under the names, and in the order of rows, that the base file has."""
    names = _names(header)
    tensors: dict[str, Any] = {}
    for name, values in weights.items():
        layer, _, side = name.removesuffix(".weight").rpartition(".")
        place = names.get(layer.removeprefix(_PREFIX))
        shape = header.shapes.get(f"{place}.weight")
        if place is None or shape is None or side not in {"lora_A", "lora_B"}:
            raise _another_base(adapter)
        rank = int(config["r"])
        if values.shape != ((rank, shape[1]) if side == "lora_A" else (shape[0], rank)):
            raise _another_base(adapter)
        if side == "lora_B" and header.architecture in _INTERLEAVED:
            heads = next(
                (header.number(f"attention.{n}") for k, n in _TURNED.items() if layer.endswith(k)), 0
            )
            tensors[f"{place}.weight.lora_b"] = interleave(values, heads) if heads else values
        else:
            tensors[f"{place}.weight.{side.lower()}"] = values
    pairs = {n.rpartition(".")[0] for n in tensors}
    if not pairs or len(tensors) != 2 * len(pairs):
        raise _broken(adapter, "half of its matrices are missing")
    return tensors


def interleave(rows: Any, heads: int) -> Any:
    """Return the rows of a query or key matrix as Llama files order them: in each head, the first half's
    rows and the second half's by turns."""
    count, width = rows.shape
    return rows.reshape(heads, 2, count // heads // 2, width).swapaxes(1, 2).reshape(count, width)


def _names(header: GgufHeader) -> Mapping[str, str]:
    """Map the layers' names as PEFT says them to those of the file."""
    import gguf

    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    table = gguf.get_tensor_name_map(kinds[header.architecture], header.number("block_count"))
    return {key: place for key, (_, place) in table.mapping.items()}


def _write(tensors: Mapping[str, Any], header: GgufHeader, alpha: float, target: Path) -> None:
    """Write to a neighbour, fsync, rename."""
    import gguf

    scratch: Path | None = None
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        os.close(descriptor)
        scratch = Path(name)
        writer = gguf.GGUFWriter(scratch, header.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        for place in sorted(tensors):
            writer.add_tensor(place, _halved(tensors[place]))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(scratch, target)
    except OSError as error:
        raise DiskFullError(
            f"The adapter could not be written for the chat engine: {error.strerror or error}.",
            f"Free some space where {target.parent} is, then try again.",
        ) from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def _halved(values: Any) -> Any:
    """Return the numbers in float16: half the memory, and eleven bits of each are more than quantised weights
    answer for. In float32 when one of them is too large for that."""
    import numpy as np

    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    return half if np.isfinite(half).all() else values.astype("<f4")


def _another_base(adapter: Path) -> VersionCorruptError:
    return _broken(adapter, "it was made for another base model")


def _broken(adapter: Path, why: str) -> VersionCorruptError:
    return VersionCorruptError(
        f"The adapter in {adapter} cannot be used: {why}.",
        "Go back to another version with `allie rollback`, or use `--version base`.",
    )

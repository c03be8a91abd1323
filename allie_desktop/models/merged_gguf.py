"""A GGUF file with what was learnt added to its weights, for programs that load no adapters.

Everything but the adapted weights is copied as it is. Those are computed in float32 and kept in sixteen
bits: quantising them again would round small changes away.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import CorruptModelError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from allie_desktop.models.lora import Lora

#: Families whose layers stand in GGUF as they do in safetensors. Llama's q and k do not: see :func:`_turned`.
_TURNED = frozenset({"llama"})
_STRAIGHT = frozenset({"gemma", "gemma2", "gemma3", "qwen2", "qwen3", "phi3", "smollm3"})


def write_merged_gguf(base: Path, lora: Lora, target: Path, *, name: str) -> None:
    """Write the GGUF file ``base`` with ``lora`` merged into it to ``target``; ``name`` is what programs
    show. Raises :class:`ModelError` when the adapter does not fit or the family is unknown,
    :class:`CorruptModelError` for a damaged file, and :class:`OSError`."""
    import gguf

    try:
        reader = gguf.GGUFReader(base)
        family = str(_field(reader, gguf.Keys.General.ARCHITECTURE))
        deltas = _places(reader, family, lora)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise CorruptModelError(
            f"The model file {base.name} is truncated or damaged.", "Download the model again."
        ) from error
    writer = gguf.GGUFWriter(target, family, endianess=reader.endianess)
    try:
        _copy_fields(reader, writer, name)
        for tensor in reader.tensors:
            if tensor.name in deltas:
                kind, dtype = _merged_kind(tensor.tensor_type)
                shape = lora.shape(deltas[tensor.name])
                size = shape[0] * shape[1] * dtype.itemsize
                writer.add_tensor_info(tensor.name, shape, dtype, size, kind)
            else:
                data = tensor.data
                writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            if tensor.name in deltas:
                writer.write_tensor_data(_merged(reader, family, tensor, lora, deltas[tensor.name]))
            else:
                writer.write_tensor_data(tensor.data, tensor_endianess=reader.endianess)
    finally:
        writer.close()


def _places(reader: Any, family: str, lora: Lora) -> dict[str, str]:
    """Return the layer of the adapter for each tensor of the file that it changes."""
    import gguf

    known = {name: arch for arch, name in gguf.MODEL_ARCH_NAMES.items()}
    if family not in _TURNED | _STRAIGHT or family not in known:
        raise ModelError(
            f"Allie does not know how models of the family “{family}” stand in GGUF files.",
            "Export the version as a PEFT folder or as merged safetensors.",
        )
    blocks = int(_field(reader, f"{family}.block_count"))
    names = gguf.get_tensor_name_map(known[family], blocks)
    shapes = {t.name: tuple(int(n) for n in reversed(t.shape)) for t in reader.tensors}
    places = {f"{names.get_name(layer)}.weight": layer for layer in lora.factors}
    if len(places) != len(lora.factors) or any(shapes.get(n) != lora.shape(x) for n, x in places.items()):
        raise ModelError(
            "The version does not fit this base model: it was made for other layers.",
            "Choose the base model it was made for.",
        )
    return places


def _merged(reader: Any, family: str, tensor: Any, lora: Lora, layer: str) -> NDArray[Any]:
    """Return the tensor with the change of ``layer`` added, as it is to be written."""
    import gguf
    import numpy as np

    delta = lora.delta(layer)
    part = layer.rpartition(".")[2]
    if family in _TURNED and part in ("q_proj", "k_proj"):
        heads = int(_field(reader, f"{family}.attention.head_count"))
        if part == "k_proj":
            heads = int(_field(reader, f"{family}.attention.head_count_kv", heads))
        delta = _turned(delta, heads)
    weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32) + delta
    kind, _ = _merged_kind(tensor.tensor_type)
    merged: NDArray[Any] = gguf.quants.quantize(weight, kind)
    return merged


def _merged_kind(kind: Any) -> tuple[Any, np.dtype[Any]]:
    """Return the type of a merged tensor, in GGUF's terms and in numpy's."""
    import gguf
    import numpy as np

    if kind == gguf.GGMLQuantizationType.F32:
        return kind, np.dtype(np.float32)
    return gguf.GGMLQuantizationType.F16, np.dtype(np.float16)


def _turned(delta: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Reorder rows as the converter of llama.cpp does: its rotary embedding takes neighbours for a pair,
    that of transformers takes the two halves of a head."""
    rows, columns = delta.shape
    halves = delta.reshape(heads, 2, rows // heads // 2, columns)
    turned: NDArray[np.float32] = halves.swapaxes(1, 2).reshape(rows, columns)
    return turned


def _copy_fields(reader: Any, writer: Any, name: str) -> None:
    import gguf

    general, text = gguf.Keys.General, gguf.GGUFValueType.STRING
    skipped = {general.ARCHITECTURE, general.NAME, general.FILE_TYPE}
    for field in reader.fields.values():
        if field.name in skipped or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        if field.name == general.ALIGNMENT:
            writer.data_alignment = int(field.contents())
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    writer.add_key_value(general.NAME, name, text)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _field(reader: Any, name: str, default: Any = None) -> Any:
    field = reader.get_field(name)
    value = default if field is None else field.contents()
    if value is None:
        raise KeyError(name)
    return value

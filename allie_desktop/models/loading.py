"""Loading a base model into torch: a GGUF file or a safetensors folder, on the best device there is.

A GGUF file is dequantised once and kept as safetensors in the cache, named by its hash: loading then
takes a second instead of twenty, and training sees the same weights as the chat engine.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from allie_desktop.domain.errors import CorruptModelError, MissingChatTemplateError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from allie_desktop.domain.planning import BaseModel


_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


@dataclass(slots=True)
class LoadedBase:
    """A base model in memory; its weights are frozen. ``tokenizer`` is a fast transformers tokenizer."""

    base: BaseModel
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype


def best_device(wanted: str | None = None) -> torch.device:
    """Return the device to run on: ``wanted`` if it is there, else CUDA, MPS or the CPU."""
    import torch

    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it natively, else float32.

    On a CPU without native bfloat16, emulation is slower than float32.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu":
        probe = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        native = bool(probe()) if probe is not None else False
        return torch.bfloat16 if native and _cpu_multiplies_bf16() else torch.float32
    return torch.float32


def _cpu_multiplies_bf16() -> bool:
    """Whether the CPU has bfloat16 dot products (AVX512_BF16, AMX or Arm BF16), not just emulation."""
    import torch

    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = {str(k).lower() for k, v in flags.items() if v is True}
    if names & {"avx512_bf16", "amx_bf16", "bf16"}:
        return True
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    return any(flag in text for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def load_base(
    base: BaseModel,
    *,
    cache: Path,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    four_bit: bool = False,
) -> LoadedBase:
    """Load ``base``; raise :class:`ModelError` with a remedy when it cannot be done.

    ``cache`` receives the dequantised copy of a GGUF file. ``four_bit`` asks for bitsandbytes
    quantisation, which works on CUDA alone and needs the extra ``cuda4bit``.
    """
    transformers = _quiet_transformers()
    chosen = best_device(device)
    kind = dtype or best_dtype(chosen)
    folder = Path(base.path)
    if folder.is_file():
        folder = unpacked(base, cache, kind)
    options: dict[str, Any] = {}
    if four_bit and chosen.type == "cuda":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind
        )
        options["device_map"] = {"": chosen}
    try:
        tokenizer, model = _read(folder, kind, options)
    except _UNREADABLE as error:
        if folder == Path(base.path):
            raise _not_loaded(base, error) from error
        shutil.rmtree(folder, ignore_errors=True)  # the unpacked copy is damaged, the file perhaps not
        try:
            tokenizer, model = _read(unpacked(base, cache, kind), kind, options)
        except _UNREADABLE as again:
            raise _not_loaded(base, again) from again
    if not options:
        model.to(chosen)
    if tokenizer.chat_template is None:
        raise MissingChatTemplateError(
            f"The model {base.name} has no chat template, so Allie cannot tell its words from yours.",
            "Choose the chat (or 'instruct') variant of the model.",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.requires_grad_(False)
    model.eval()
    return LoadedBase(base=base, model=model, tokenizer=tokenizer, device=chosen, dtype=kind)


def _read(folder: Path, dtype: torch.dtype, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return tokenizer and model; raise one of :data:`_UNREADABLE`."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    model, found = transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        attn_implementation="sdpa",
        output_loading_info=True,
        **options,
    )
    missing = sorted(found["missing_keys"])
    if missing:  # the library would go on with random numbers in their place
        raise ValueError(f"{len(missing)} of its weights are missing, {missing[0]} among them")
    return tokenizer, model


def _not_loaded(base: BaseModel, error: BaseException) -> CorruptModelError:
    return CorruptModelError(
        f"The base model {base.name} could not be loaded: {_first_line(error)}",
        "Download the model again, or choose another one.",
    )


def unpacked(base: BaseModel, cache: Path, dtype: torch.dtype) -> Path:
    """Return the safetensors copy of a GGUF file, made now if it is not there yet; raise :class:`ModelError`."""
    transformers = _quiet_transformers()
    name = str(dtype).removeprefix("torch.")
    folder = cache / "bases" / f"{base.sha256[:16]}-{name}"
    if (folder / "complete").is_file():
        return folder
    source = Path(base.path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=folder.name + ".", dir=folder.parent))
    try:
        # Its progress bar cannot be switched off.
        with contextlib.redirect_stderr(io.StringIO()), _reading_once():
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                source.parent, gguf_file=source.name, local_files_only=True
            )
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source.parent,
                gguf_file=source.name,
                quantization_config=transformers.GgufConfig(dequantize=True),
                dtype=dtype,
                local_files_only=True,
            )
        model.save_pretrained(scratch, safe_serialization=True)
        tokenizer.save_pretrained(scratch)
        (scratch / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)  # an earlier attempt that was killed half-way
        os.replace(scratch, folder)
    except OSError as error:
        if not (folder / "complete").is_file():  # another process may have been quicker
            raise ModelError(
                f"The base model could not be unpacked to {folder.parent}: {_first_line(error)}",
                "Free some disk space and try again.",
            ) from error
    except Exception as error:
        raise CorruptModelError(
            f"The model file {source.name} could not be read: {_first_line(error)}",
            "Download the model again, or choose another one.",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _reading_once() -> Iterator[None]:
    """Let transformers read a GGUF file once. By itself it reads all of its words for the tokenizer, the configuration
    and the weights, and makes the list of tensors' names for each module anew: half of the time in all."""
    import gguf

    before = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = map(functools.cache, before)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = before


def _quiet_transformers() -> Any:
    """Return the library, told to draw no progress bars and to give no advice: its stderr may be ours."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # what the library will change in its next release is for us to read, not for the person
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
    return transformers


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

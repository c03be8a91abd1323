"""A tiny sound adapter on disk, for tests that move adapters around."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allie_desktop.domain.versions import VersionMetadata
from tests.plans import BASE_MODEL, WHEN

CONFIG = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"]}


def safetensors(*numbers: float) -> bytes:
    """Return a safetensors file with one tensor."""
    size = 4 * len(numbers)
    header = json.dumps(
        {"lora_A": {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [0, size]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack(f"<{len(numbers)}f", *numbers)


def write_adapter(folder: Path, *, files: Mapping[str, bytes] | None = None, number: float = 1.0) -> Path:
    """Write an adapter, with further or other ``files``; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "adapter_model.safetensors": safetensors(number, 2.0),
        "adapter_config.json": json.dumps(CONFIG).encode(),
        **(files or {}),
    }
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def make_metadata(version: str = "v1.0", **changes: Any) -> VersionMetadata:
    """Return metadata for a version on top of the base model of ``tests.plans``."""
    values: dict[str, Any] = {
        "version": version,
        "parent": None,
        "base_name": BASE_MODEL.name,
        "base_sha256": BASE_MODEL.sha256,
        "created_at": WHEN,
        "episode_id": "20260301-a",
        "plan_digest": "d" * 64,
        "conversations": 2,
        "metrics": {"new": {"difference": -0.5}},
        "software": {"allie": "0.1.0"},
    }
    return VersionMetadata(**{**values, **changes})

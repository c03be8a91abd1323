"""Adapter versions: names, lineage, and the pointer that says which one answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from allie_desktop.domain.errors import BadInputError

#: The name under which the untouched base model can be chosen wherever a version can.
BASE = "base"

_NAME = re.compile(r"v([0-9]{1,9})\.([0-9]{1,9})\Z")


class VersionState(str, Enum):
    """Where a version stands."""

    CANDIDATE = "candidate"  # sealed, not (yet) deployed
    ACTIVE = "active"
    SHADOW = "shadow"
    FALLBACK = "fallback"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """``v1.0`` and its successors; ordered by number."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> VersionName:
        """Return the name that ``text`` spells, or raise :class:`BadInputError`."""
        match = _NAME.match(text)
        if match is None:
            raise BadInputError(f"{text!r} is not a version name.", "Version names look like v1.3.")
        return cls(int(match[1]), int(match[2]))

    def next(self) -> VersionName:
        """Return the name of the version after this one."""
        return VersionName(self.major, self.minor + 1)

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}"


FIRST_VERSION = VersionName(1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMetadata:
    """What a sealed version tells of itself (``metadata.json`` in its folder)."""

    version: str
    parent: str | None  # None: made from the base model
    base_name: str
    base_sha256: str
    created_at: datetime
    episode_id: str
    plan_digest: str
    conversations: int
    metrics: Mapping[str, object] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    format: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version in the lineage. ``path`` is its PEFT adapter folder."""

    metadata: VersionMetadata
    path: str
    state: VersionState
    pinned: bool = False
    tainted: str = ""  # why it should be rebuilt (a forgotten conversation), else empty


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePointer:
    """``active.json``: the version that answers; ``base`` for none. ``fallback`` is what undo returns to."""

    active: str
    fallback: str
    changed_at: datetime
    reason: str = ""

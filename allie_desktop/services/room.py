"""Whether the machine has room for an episode: asked before it starts, not discovered by a crash."""

from __future__ import annotations

import math

from allie_desktop.domain.errors import DiskFullError, HeldError
from allie_desktop.domain.ports import Resources


def require_room(need: Resources, free: Resources) -> None:
    """Return when ``need`` fits into ``free``; raise :class:`DiskFullError` or :class:`HeldError` with both
    numbers. Memory that nobody can measure holds nothing up."""
    if free.disk_bytes < need.disk_bytes:
        raise DiskFullError(
            f"Learning needs about {_gigabytes(need.disk_bytes)} of disk space, "
            f"and {_gigabytes(free.disk_bytes)} are free.",
            "Free some space, then start again.",
        )
    needed, there = need.memory_bytes or 0, free.memory_bytes
    if needed > (math.inf if there is None else there):
        raise HeldError(
            f"Learning needs about {_gigabytes(needed)} of memory, and {_gigabytes(there or 0)} are free.",
            "Close other programs, or choose a smaller base model.",
        )


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"

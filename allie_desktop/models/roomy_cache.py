"""A key-value cache with room for what is yet to be written.

The library's own cache joins old and new into one more tensor at every step, so that each token that is written
copies all that stands before it, in every layer.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class _RoomyLayer(DynamicLayer):
    """Keys and values [rows, heads, length, d] that are views of longer tensors."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._wide: list[torch.Tensor] = []
        self._seen: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new keys and values [rows, heads, new, d] behind the others; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        new, known = (key_states, value_states), (self.keys, self.values)
        # Rows were chosen or repeated since, or the room is used up.
        if self.keys is not self._seen or stop > self._wide[0].shape[-2]:
            self._wide = [n.new_empty((*n.shape[:2], max(self._room, stop), n.shape[-1])) for n in new]
            if start:
                for wide, old in zip(self._wide, known, strict=True):
                    wide[:, :, :start] = old
        for wide, added in zip(self._wide, new, strict=True):
            wide[:, :, start:stop] = added
        self._show(stop)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows alone, with their room."""
        if self._seen is None or self.keys is not self._seen:
            super().batch_select_indices(indices)
            return
        self._wide = [wide[indices] for wide in self._wide]
        self._show(self.get_seq_length())

    def _show(self, length: int) -> None:
        self.keys, self.values = (wide[:, :, :length] for wide in self._wide)
        self._seen = self.keys


def roomy_cache(tokens: int) -> Cache:
    """Return an empty cache for ``tokens`` tokens a row; more are possible, and cost a copy."""
    return Cache(layer_class_to_replicate=partial(_RoomyLayer, tokens))

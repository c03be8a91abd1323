"""Decide once and for ever what a conversation may be used for: train, tune, or judge."""

from __future__ import annotations

from allie_desktop.domain.planning import Split
from allie_desktop.domain.quality import TAUGHT_ORIGINS, TargetOrigin

#: Of a hundred ordinary conversations, how many tune (early stopping) and how many only judge.
VALIDATION_PERCENT = 10
HOLDOUT_PERCENT = 10


def split_of(content_hash: str, origin: TargetOrigin | None) -> Split:
    """Return the split for a content hash (hex) and the strongest origin of the targets.

    The same content has the same split on every machine and in every episode. What a person taught
    always trains: in a hold-out it would never be learnt (see ``quality.TAUGHT_ORIGINS``).
    """
    if origin in TAUGHT_ORIGINS:
        return Split.TRAIN
    place = int(content_hash[:12], 16) % 100
    if place < HOLDOUT_PERCENT:
        return Split.HOLDOUT
    return Split.VALIDATION if place < HOLDOUT_PERCENT + VALIDATION_PERCENT else Split.TRAIN

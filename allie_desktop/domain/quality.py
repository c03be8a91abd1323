"""How good a conversation is as learning material: a score from 0 to 1 with named components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class TargetOrigin(str, Enum):
    """Why a text is worth learning, from the strongest to the weakest reason."""

    EDIT = "edit"  # the person rewrote the reply
    CORRECTION = "correction"  # the person corrected it in the next turn
    APPROVED = "approved"  # thumbs up
    IMPORTED = "imported"  # a stronger assistant wrote it
    OWN = "own"  # Allie's own reply, not rated


#: Origins that teach something the person said on purpose. They always train: a correction that was
#: drawn into a hold-out would never be learnt, and the person would have to repeat it. They are
#: validated on phrasings of the question that are never trained instead.
TAUGHT_ORIGINS = frozenset({TargetOrigin.EDIT, TargetOrigin.CORRECTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningTarget:
    """The text that one assistant turn should have had.

    ``turn_index`` counts the conversation's turns from 0. ``weight`` in (0, 1] scales the loss.
    ``rejected`` is the worse answer of a preference pair, where there is one.
    """

    turn_index: int
    text: str
    origin: TargetOrigin
    weight: float
    rejected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A score in [0, 1], the components it was made of (each in [0, 1]) and sentences that explain it."""

    score: float
    components: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    eligible: bool = True

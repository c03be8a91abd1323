"""Blind comparisons: which of two answers to one question is better, said without knowing which is new.

A person's judgement is what measures stand in for; blind, because whoever knows which answer is new judges the
news and not the answer. Nothing that was said is kept: a comparison is known by the place of its answers in
the episode's report, and goes on counting when that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from allie_desktop.domain.statistics import Interval, credible_share

#: So many pairs of a version are shown at most.
MOST_ASKED = 5


class Choice(str, Enum):
    """What a person said of a pair of answers."""

    NEW = "new"  # the new version's is better
    OLD = "old"
    SAME = "same"  # no difference
    SKIPPED = "skipped"  # looked away: it is not asked again, and says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """One question with both answers, as they can be shown.

    ``place`` is that of the answers in the report of the episode. It is number ``number`` (from 1) of ``of``.
    """

    episode_id: str
    place: int
    question: str
    old: str
    new: str
    number: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A choice as it is kept: no words, only where they stood. ``at`` is aware (UTC)."""

    episode_id: str
    place: int
    choice: Choice
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """How often the new version's answer was the better one: counts."""

    new: int = 0
    old: int = 0
    same: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> Preference:
        """Count them."""
        choices = [comparison.choice for comparison in comparisons]
        return cls(
            new=choices.count(Choice.NEW),
            old=choices.count(Choice.OLD),
            same=choices.count(Choice.SAME),
            skipped=choices.count(Choice.SKIPPED),
        )

    @property
    def comparisons(self) -> int:
        """How many pairs were judged; skipped ones were not."""
        return self.new + self.old + self.same

    @property
    def share(self) -> float | None:
        """In which share of them the new answer was preferred, no difference being half of one; None without
        any."""
        return (self.new + self.same / 2) / self.comparisons if self.comparisons else None

    @property
    def interval(self) -> Interval | None:
        """The bounds that hold the share of all such pairs with a probability of 95 %; None without any."""
        if not self.comparisons:
            return None
        return credible_share(self.new + self.same / 2, self.old + self.same / 2)

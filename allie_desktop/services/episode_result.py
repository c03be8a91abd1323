"""How an episode ended, for whoever started it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from allie_desktop.domain.lifecycle import EpisodeState

_EXIT_CODES = {EpisodeState.COMPLETED: 0, EpisodeState.FAILED: 1, EpisodeState.REJECTED: 3}
_HELD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """How an episode ended, or why it waits (``outcome`` yielded).

    ``seconds`` is the wall-clock time of this call, ``phases`` that of each phase over all its
    resumptions. ``verdict`` is empty when it never came to one. ``remedy`` says what the person can do.
    """

    episode_id: str
    outcome: EpisodeState
    version: str | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    remedy: str = ""

    @property
    def exit_code(self) -> int:
        """0 deployed, 1 failed, 3 the gate did not deploy, 4 held: it was stopped and waits or is over."""
        return _EXIT_CODES.get(self.outcome, _HELD)

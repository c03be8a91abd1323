"""What happens to an episode, written down as it comes."""

from __future__ import annotations

import math
from dataclasses import replace

from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.ports import Clock, EpisodeRepository

_ORDER = (EpisodeState.PREPARING, EpisodeState.TRAINING, EpisodeState.VALIDATING)
_STATE_OF_PHASE = dict(zip(("prepare", "train", "validate"), _ORDER, strict=True))


class EpisodeStory:
    """Writes an episode's states, attempts and times down as they come."""

    def __init__(self, episodes: EpisodeRepository, clock: Clock, episode: Episode) -> None:
        self._episodes = episodes
        self._clock = clock
        self.episode = episode
        known = episodes.get(episode.id)
        self._state = episode.state if known is None else known.state

    def attempt(self, number: int, reason: str) -> None:
        """A worker is about to start."""
        self.episode = replace(self.episode, attempts=number, reasons=(), verdict="")
        self._episodes.update(self.episode)
        words = f"attempt {number}" + (f": {reason}" if reason else "")
        self._change(EpisodeState.PREPARING, words)

    def phase(self, phase: str) -> None:
        """The worker entered a phase. Phases that it skipped, having done them before, are passed through."""
        target = _STATE_OF_PHASE[phase]
        if self._state is EpisodeState.YIELDED:
            self._change(target)
        elif self._state is EpisodeState.PLANNED:
            self._change(EpisodeState.PREPARING)
        while self._state in _ORDER and _ORDER.index(self._state) < _ORDER.index(target):
            self._change(_ORDER[_ORDER.index(self._state) + 1])

    def seconds(self, phase: str, seconds: float) -> None:
        """A phase took this long, over all its resumptions. What is no such number is not believed."""
        if not (math.isfinite(seconds) and seconds >= 0):
            return
        self.episode = replace(self.episode, seconds={**self.episode.seconds, phase: round(seconds, 3)})
        self._episodes.update(self.episode)

    def _change(self, state: EpisodeState, reason: str = "") -> None:
        self._episodes.change(self.episode.id, state, at=self._clock.now(), reason=reason)
        self._state = state

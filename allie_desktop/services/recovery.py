"""What becomes of an episode that was found unfinished: resumed from the phase that its files prove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from allie_desktop.domain.errors import DataChangedError, UnknownVersionError
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.ports import EpisodeFiles, EpisodeProof, EpisodeRepository, VersionRepository
from allie_desktop.domain.versions import BASE
from allie_desktop.services.episode_metrics import INTERRUPTIONS


class NextStep(Enum):
    """How an unfinished episode goes on."""

    FINISH = "finish"  # its version answers already; what comes after that may be missing
    DEPLOY = "deploy"  # the gate let it through
    JUDGE = "judge"  # candidate and report are complete
    RUN = "run"  # start the worker; it goes on from its checkpoint, where there is one
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that decides how an episode goes on.

    ``plan`` is None when it is gone or was changed. ``sealed``: the version that it made lies on disk.
    ``interruptions`` counts how often its process died on it.
    """

    episode: Episode
    plan: Plan | None
    proof: EpisodeProof
    active: str
    base_sha256: str
    sealed: bool
    interruptions: int
    interruptions_allowed: int


def next_step(situation: Situation) -> tuple[NextStep, str]:
    """Return what to do, and why in a sentence (empty where there is nothing to explain)."""
    episode, plan, active = situation.episode, situation.plan, situation.active
    deploying = episode.state is EpisodeState.DEPLOYING
    if situation.sealed and episode.version == active:
        return NextStep.FINISH, ""
    if plan is None:
        return NextStep.GIVE_UP, "It was interrupted, and its plan is gone or was changed since."
    if plan.base.sha256 != situation.base_sha256:
        return NextStep.GIVE_UP, "It was interrupted, and another base model is in use since."
    if (plan.parent or BASE) != active:
        return NextStep.GIVE_UP, f"It was interrupted, and {active} became active since."
    if situation.interruptions > situation.interruptions_allowed:
        return NextStep.GIVE_UP, f"It was interrupted {situation.interruptions} times."
    if deploying:
        if situation.proof.result or situation.sealed:
            return NextStep.DEPLOY, ""
        return NextStep.GIVE_UP, "It was interrupted, and its candidate is gone or damaged."
    if situation.proof.result:
        return NextStep.JUDGE, ""
    return NextStep.RUN, ""


class Recovery:
    """Finds out how unfinished episodes go on; from the thread that owns the repositories."""

    def __init__(
        self,
        *,
        episodes: EpisodeRepository,
        versions: VersionRepository,
        files: EpisodeFiles,
        base_sha256: str,
        interruptions_allowed: int,
    ) -> None:
        self._episodes = episodes
        self._versions = versions
        self._files = files
        self._base_sha256 = base_sha256
        self._interruptions_allowed = interruptions_allowed

    def next_step(self, episode: Episode) -> tuple[NextStep, str]:
        """See :func:`next_step`."""
        return next_step(
            Situation(
                episode=episode,
                plan=self.plan_of(episode),
                proof=self._files.proof(episode.id, episode.plan_digest),
                active=self._versions.pointer().active,
                base_sha256=self._base_sha256,
                sealed=self._is_sealed(episode),
                interruptions=_count(episode),
                interruptions_allowed=self._interruptions_allowed,
            )
        )

    def plan_of(self, episode: Episode) -> Plan | None:
        """Return the plan of attempt 1; None when it is gone or was changed."""
        try:
            return self._files.read_plan(episode.id, episode.plan_digest)
        except DataChangedError:
            return None

    def _is_sealed(self, episode: Episode) -> bool:
        if episode.version is None:
            return False
        try:
            return self._versions.get(episode.version).metadata.episode_id == episode.id
        except UnknownVersionError:
            return False

    def count_interruption(self, episode: Episode) -> Episode:
        """Remember with the episode that it was interrupted once more; return it."""
        count = _count(episode) + 1
        episode = replace(episode, metrics={**episode.metrics, INTERRUPTIONS: count})
        self._episodes.update(episode)
        return episode


def _count(episode: Episode) -> int:
    count = episode.metrics.get(INTERRUPTIONS)
    return count if isinstance(count, int) else 0

"""From the person's preferences to the plan of an episode."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from allie_desktop.domain.balancing import Caps
from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.planning import BaseModel, Budget, LoraGeometry, Plan, Recipe
from allie_desktop.domain.ports import Clock, EpisodeRepository, ReplayRepository
from allie_desktop.domain.preferences import BYTES_PER_GB, Preferences
from allie_desktop.domain.tuning import next_tuning
from allie_desktop.services.episode_metrics import tunings_of
from allie_desktop.services.planner import PlanLimits, Planner
from allie_desktop.services.quarantine import HELD_BACK, Quarantine

_SHARE_HELD_OUT = 0.1  # of the replay buffer
#: Looked at for the learning rate; some of them ended without one, or had another base model.
_EPISODES_REMEMBERED = 100


def recipe_of(preferences: Preferences) -> Recipe:
    """Return how to train; what is no preference has its measured default."""
    return Recipe(
        replay_share=preferences.replay_percent / 100,
        kl_budget=preferences.kl_budget,
        general_prompts=preferences.general_prompts,
    )


def budget_of(preferences: Preferences) -> Budget:
    """Return the limits of one episode."""
    return Budget(
        prepare_seconds=preferences.prepare_minutes * 60,
        train_seconds=preferences.train_minutes * 60,
        validate_seconds=preferences.validate_minutes * 60,
        disk_bytes=int(preferences.episode_disk_gb * BYTES_PER_GB),
    )


def limits_of(preferences: Preferences) -> PlanLimits:
    """Return the bounds on a plan."""
    return PlanLimits(
        caps=Caps(
            conversations=preferences.max_conversations,
            source_share=preferences.source_cap_percent / 100,
            topic_share=preferences.topic_cap_percent / 100,
            day_share=preferences.day_cap_percent / 100,
        ),
        phrasings=preferences.phrasings,
    )


class EpisodePlanner:
    """:class:`services.orchestrator.Planner` over a :class:`Planner` and the preferences of the moment."""

    def __init__(
        self,
        planner: Planner,
        *,
        episodes: EpisodeRepository,
        replay: ReplayRepository,
        base: BaseModel,
        preferences: Callable[[], Preferences],
        clock: Clock,
        quarantine: Quarantine | None = None,
    ) -> None:
        """``quarantine`` holds back what shifted suddenly before each plan."""
        self._quarantine = quarantine
        self._planner = planner
        self._episodes = episodes
        self._replay = replay
        self._base = base
        self._preferences = preferences
        self._clock = clock

    def __call__(self, *, parent: str | None, now: datetime) -> Plan:
        """Return the plan of the next episode, not sealed yet; raise :class:`HeldError` when there is
        nothing to learn. The seed is the number of episodes so far: each has its own, and the same
        material in a new home gives the same numbers."""
        preferences = self._preferences()
        held = sum(len(hold.ids) for hold in self._quarantine.review()) if self._quarantine else 0
        try:
            plan = self._build(parent=parent, now=now, preferences=preferences)
        except HeldError as error:
            if not held:
                raise
            raise HeldError(
                f"{error.message} {held:,} conversations are held back for your review.",
                f"`allie conversations held` lists them. {error.remedy}",
            ) from error
        return replace(plan, left_out={**plan.left_out, HELD_BACK: held}) if held else plan

    def _build(self, *, parent: str | None, now: datetime, preferences: Preferences) -> Plan:
        return self._planner.build(
            id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            created_at=now,
            seed=self._episodes.count(),
            base=self._base,
            parent=parent,
            geometry=LoraGeometry(),
            recipe=self._tuned(recipe_of(preferences)),
            budget=budget_of(preferences),
            limits=limits_of(preferences),
        )

    def _tuned(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the learning rate that suited the base model so far, and those to try."""
        known = tunings_of(self._episodes.latest(limit=_EPISODES_REMEMBERED), self._base.sha256)
        rate, trials = next_tuning(known, recipe.learning_rate)
        return replace(recipe, learning_rate=rate, rate_trials=trials)

    def update_replay(self, plan: Plan) -> None:
        """Bring the replay buffer up to date after ``plan`` was learnt; doing it again changes nothing."""
        size = self._preferences().replay_conversations
        holdout = int(size * _SHARE_HELD_OUT)
        membership = self._planner.next_replay(
            plan, now=self._clock.now(), train=size - holdout, holdout=holdout
        )
        self._replay.set_members(membership.train, membership.holdout)

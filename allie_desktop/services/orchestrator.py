"""One learning episode from trigger to verdict, and whatever an earlier one left unfinished.

    planned → preparing → training → validating → deploying → completed
                                                ↘ rejected
    from each of them: yielded (resumable), failed, stopped

Each state is persisted before its step. Whoever is killed leaves an unfinished episode behind; the next
:meth:`Orchestrator.run_episode` goes on with it from the phase that its files prove.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from allie_desktop.domain.errors import (
    AllieError,
    EpisodeBusyError,
    HeldError,
)
from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.domain.planning import Plan, material_digest
from allie_desktop.domain.ports import (
    Alert,
    AlertRepository,
    Clock,
    EpisodeFiles,
    EpisodeLock,
    EpisodeRepository,
    Progress,
    Resources,
    VersionRepository,
    WorkerClient,
)
from allie_desktop.domain.validation import Judgement, Margins, Measurements, Verdict, WorkerReport
from allie_desktop.domain.versions import BASE
from allie_desktop.services.attempts import Attempts, AttemptsEnd, Ending, WorkerLimits, last_attempt
from allie_desktop.services.deployment import Deployment, DeploymentRefusedError, ForgottenMeanwhileError
from allie_desktop.services.episode_metrics import ASKED, MATERIAL, for_people, metrics_of
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.episode_story import EpisodeStory
from allie_desktop.services.recovery import NextStep, Recovery
from allie_desktop.services.retention import Retention
from allie_desktop.services.room import require_room

_log = logging.getLogger(__name__)

#: The key of the one alert about failed learning.
FAILURE_ALERT = "learning-failed"
#: The key of the alert about a version that had to be repaired.
REPAIR_ALERT = "version-repaired"

_MATERIAL_MEMORY = 200  # episodes to look back for material that was judged or undone


class Planner(Protocol):
    """Freezes what an episode will use."""

    def __call__(self, *, parent: str | None, now: datetime) -> Plan:
        """Return a plan that continues from ``parent`` (None: the base model), sealed or not. Its id names
        the episode and was never used before. Raise :class:`HeldError` when there is nothing to learn."""


class Judge(Protocol):
    """The gate: :func:`domain.validation.judge`."""

    def __call__(self, measurements: Measurements, margins: Margins, *, seed: int) -> Judgement:
        """Return the verdict on a candidate; a pure function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """Somebody wants the episode to end here: for good, or until later."""

    reason: str
    for_good: bool


class Orchestrator:
    """Runs episodes, one at a time over all processes of a home.

    :meth:`run_episode` and :meth:`recover` block and belong to the thread that owns the repositories. The
    rest may be called from any thread; :meth:`request_yield` and :meth:`request_stop` from signal handlers too.
    ``need`` estimates what a plan takes, ``free`` says what there is. ``base_sha256`` names the base model
    in use, ``cache`` the folder for what outlives episodes. ``busy`` is asked several times a second while a
    worker runs, in that thread: the worker stands still while somebody else needs the computer.
    """

    def __init__(
        self,
        *,
        episodes: EpisodeRepository,
        versions: VersionRepository,
        alerts: AlertRepository,
        files: EpisodeFiles,
        lock: EpisodeLock,
        worker: WorkerClient,
        deployment: Deployment,
        retention: Retention,
        plan: Planner,
        judge: Judge,
        need: Callable[[Plan], Resources],
        free: Callable[[], Resources],
        clock: Clock,
        base_sha256: str,
        cache: Path,
        progress: Progress = lambda _: None,
        limits: WorkerLimits | None = None,
        interruptions_allowed: int = 5,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._episodes = episodes
        self._versions = versions
        self._alerts = alerts
        self._files = files
        self._lock = lock
        self._worker = worker
        self._deployment = deployment
        self._retention = retention
        self._plan = plan
        self._judge = judge
        self._need = need
        self._free = free
        self._clock = clock
        self._cache = cache
        self._progress = progress
        self._limits = limits or WorkerLimits()
        self._busy = busy
        self._recovery = Recovery(
            episodes=episodes,
            versions=versions,
            files=files,
            base_sha256=base_sha256,
            interruptions_allowed=interruptions_allowed,
        )
        self._running = False
        self._wish: _Wish | None = None
        self._frozen = False

    # --- from any thread ---

    @property
    def running(self) -> bool:
        """Whether an episode runs in this process."""
        return self._running

    def request_yield(self, reason: str) -> bool:
        """Give the machine back: checkpoint, end the worker, go on another time. A deployment is finished
        first. Return False when nothing runs here."""
        return self._request(_Wish(reason=reason, for_good=False))

    def request_stop(self, reason: str) -> bool:
        """End the episode for good; its material stays new. Return False when nothing runs here."""
        return self._request(_Wish(reason=reason, for_good=True))

    def suspend(self) -> None:
        """Freeze the worker at once, or as soon as there is one; frees processor and GPU, not memory. A worker
        that was asked to leave is let go: it has a checkpoint to write."""
        self._frozen = True
        if self._wish is None:
            self._worker.suspend()

    def unfreeze(self) -> None:
        """Let a frozen worker go on, unless ``busy`` says that it has to wait."""
        self._frozen = False
        if not self._busy():
            self._worker.unfreeze()

    # --- from the thread of the repositories ---

    def run_episode(self, trigger: str, *, forced: bool = False, asked: bool = False) -> EpisodeResult:
        """Run one episode: an unfinished one first, else a new one from new material.

        ``trigger`` says in words why now. ``forced`` (the person said so) also learns material again that
        the gate turned down or that was undone; it implies ``asked``: the person waits for the new version,
        so that it answers at once instead of taking over by and by. Raise :class:`EpisodeBusyError` when one runs elsewhere,
        :class:`HeldError` or :class:`DiskFullError` when there is nothing to learn from or not enough room,
        :class:`StoreError` when the store fails; whatever is raised, the next call goes on.
        """
        began = self._clock.monotonic()
        with self._slot():
            for episode in self._episodes.unfinished():
                result = self._go_on(episode)
                if result is not None:
                    return self._told(result, began)
            self._retention.prune_episodes()
            return self._told(self._begin(trigger, forced=forced, asked=asked or forced), began)

    def recover(self) -> tuple[EpisodeResult, ...]:
        """Set right what a dead process left behind, without starting a worker or loading a model: finish
        deployments whose version answers already, and let everything else wait as yielded. For the start
        of the program; returns nothing when another process is at work."""
        results = []
        try:
            with self._slot():
                for episode in self._episodes.unfinished():
                    self._worker.end_leftover(self._files.folder(episode.id))
                    if self._recovery.next_step(episode)[0] is NextStep.FINISH:
                        results.append(self._deploy(episode, self._recovery.plan_of(episode)))
                    elif episode.state is not EpisodeState.YIELDED:
                        results.append(
                            self._end(self._recovery.count_interruption(episode), EpisodeState.YIELDED, _DIED)
                        )
        except EpisodeBusyError:
            return ()
        return tuple(results)

    # --- the slot ---

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with self._lock.hold():
            self._wish = None
            self._running = True
            try:
                for sentence in self._deployment.reconcile():
                    self._alert(REPAIR_ALERT, sentence, "", severity="critical")
                yield
            finally:
                self._running = False
                self._frozen = False

    def _request(self, wish: _Wish) -> bool:
        # No lock: a signal handler may run in the very thread that holds it.
        if self._running:
            self._wish = wish
        return self._running

    def _wished(self) -> str | None:
        return None if self._wish is None else self._wish.reason

    # --- beginning and going on ---

    def _begin(self, trigger: str, *, forced: bool, asked: bool) -> EpisodeResult:
        # Never on top of what the person had forgotten.
        self._deployment.unlearn()
        active = self._versions.pointer().active
        parent = None if active == BASE else active
        plan = self._plan(parent=parent, now=self._clock.now())
        if asked:  # the person waits, and trials take time
            plan = replace(plan, recipe=replace(plan.recipe, rate_trials=()))
        plan = self._files.seal(plan)
        material = material_digest(plan)
        if not forced and material in self._turned_down():
            raise HeldError(
                "Everything new was learnt before and turned down or undone.",
                "Allie waits for more conversations; “learn now” tries again all the same.",
            )
        require_room(self._need(plan), self._free())
        episode = Episode(
            id=plan.id,
            created_at=self._clock.now(),
            state=EpisodeState.PLANNED,
            trigger=trigger,
            plan_digest=plan.digest,
            conversations=len(plan.conversation_ids),
            parent=plan.parent,
            metrics={MATERIAL: material, **({ASKED: True} if asked else {})},
        )
        self._episodes.create(episode)
        self._files.write_plan(plan)
        return self._learn(episode, plan)

    def _go_on(self, episode: Episode) -> EpisodeResult | None:
        """Go on with an unfinished episode; None when it had to be given up and another may begin."""
        self._worker.end_leftover(self._files.folder(episode.id))
        if episode.state is EpisodeState.DEPLOYING:
            episode = self._recovery.count_interruption(episode)
        elif episode.state not in (EpisodeState.YIELDED, EpisodeState.PLANNED):
            # Noted at once, so that a hold from here on is not taken for another interruption.
            episode = self._recovery.count_interruption(episode)
            self._end(episode, EpisodeState.YIELDED, _DIED)
            episode = replace(episode, state=EpisodeState.YIELDED)
        step, reason = self._recovery.next_step(episode)
        if step is NextStep.GIVE_UP:
            self._end(self._deployment.withdraw(episode), EpisodeState.FAILED, reason)
            return None
        plan = self._recovery.plan_of(episode)
        if step in (NextStep.DEPLOY, NextStep.FINISH) or plan is None:
            return self._deploy(episode, plan)
        if step is NextStep.JUDGE:
            trained, _ = last_attempt(self._files, plan)
            return self._judged(episode, plan, trained, self._files.read_report(episode.id))
        require_room(self._need(plan), self._free())
        return self._learn(episode, plan)

    def _turned_down(self) -> frozenset[str]:
        undone = self._deployment.undone()
        return frozenset(
            str(episode.metrics.get(MATERIAL))
            for episode in self._episodes.latest(limit=_MATERIAL_MEMORY)
            if episode.state is EpisodeState.REJECTED
            or (episode.state is EpisodeState.COMPLETED and episode.version in undone)
        )

    # --- learning ---

    def _learn(self, episode: Episode, plan: Plan) -> EpisodeResult:
        adapter = None if plan.parent is None else self._versions.get(plan.parent).path
        story = EpisodeStory(self._episodes, self._clock, episode)
        attempts = Attempts(
            worker=self._worker,
            files=self._files,
            clock=self._clock,
            free=self._free,
            limits=self._limits,
            cache=self._cache,
            stop_wish=self._wished,
            frozen=lambda: self._frozen or self._busy(),
            progress=self._progress,
            note_attempt=story.attempt,
            note_phase=story.phase,
            note_seconds=story.seconds,
        )
        end = attempts.run(plan, parent_adapter=adapter, attempts_before=episode.attempts)
        episode = story.episode
        if end.ending is Ending.RESULT and end.report is not None:
            return self._judged(episode, plan, end.plan, end.report)
        if end.ending is Ending.GIVEN_BACK:
            for_good = self._wish is not None and self._wish.for_good
            state = EpisodeState.STOPPED if for_good else EpisodeState.YIELDED
            return self._end(episode, state, end.reason)
        if end.ending is Ending.NO_ROOM:
            self._alert(FAILURE_ALERT, end.reason, end.remedy or "Free some space; it goes on by itself.")
            return self._end(
                self._recovery.count_interruption(episode), EpisodeState.YIELDED, end.reason, end.remedy
            )
        return self._failed(episode, end)

    def _failed(self, episode: Episode, end: AttemptsEnd) -> EpisodeResult:
        self._alert(FAILURE_ALERT, end.reason, end.remedy)
        return self._end(episode, EpisodeState.FAILED, end.reason, end.remedy)

    # --- judging and deploying ---

    def _judged(self, episode: Episode, plan: Plan, trained: Plan, report: WorkerReport) -> EpisodeResult:
        """Judge a complete result. ``trained`` is the plan of the attempt that made it."""
        story = EpisodeStory(self._episodes, self._clock, episode)
        story.phase("validate")
        try:
            margins = Margins.within(plan.recipe.kl_budget)
            judgement = self._judge(report.measurements, margins, seed=plan.seed)
        except Exception as error:  # noqa: BLE001 - the same report would fail like this for ever
            _log.exception("Episode %s cannot be judged", episode.id)
            reason = f"The result could not be judged ({type(error).__name__})."
            return self._failed(story.episode, AttemptsEnd(ending=Ending.FAILED, plan=plan, reason=reason))
        for phase, seconds in report.seconds.items():
            story.seconds(phase, seconds)
        episode = replace(
            story.episode,
            verdict=judgement.verdict.value,
            reasons=judgement.reasons,
            metrics={
                **story.episode.metrics,
                **metrics_of(report, judgement, trained.recipe, plan.base.sha256),
            },
        )
        self._episodes.update(episode)
        if judgement.verdict is not Verdict.DEPLOY:
            self._alerts.resolve(FAILURE_ALERT)
            return self._end(episode, EpisodeState.REJECTED, " ".join(judgement.reasons))
        return self._deploy(episode, plan)

    def _deploy(self, episode: Episode, plan: Plan | None) -> EpisodeResult:
        """Deploy, or finish deploying. Without its plan only what is active already can be finished."""
        began = self._clock.monotonic()
        known = self._episodes.get(episode.id)
        if known is None or known.state is not EpisodeState.DEPLOYING:
            self._episodes.change(episode.id, EpisodeState.DEPLOYING, at=self._clock.now())
        try:
            if plan is not None:
                version = self._deployment.deploy(episode, plan)
                episode = replace(episode, version=version.metadata.version)
        except DeploymentRefusedError as error:
            episode = replace(
                episode,
                version=None,
                verdict=Verdict.REJECT.value,
                reasons=(*episode.reasons, error.message),
            )
            result = self._end(episode, EpisodeState.REJECTED, error.message, error.remedy)
            if isinstance(error, ForgottenMeanwhileError):
                self._files.remove(episode.id)
            return result
        except AllieError as error:
            episode = self._recovery.count_interruption(self._episodes.get(episode.id) or episode)
            self._alert(FAILURE_ALERT, error.message, error.remedy)
            return self._end(episode, EpisodeState.YIELDED, error.message, error.remedy)
        seconds = {**episode.seconds, "deploy": round(self._clock.monotonic() - began, 3)}
        self._alerts.resolve(FAILURE_ALERT)
        result = self._end(replace(episode, seconds=seconds), EpisodeState.COMPLETED, "")
        self._retention.prune_versions()
        return result

    # --- ending ---

    def _end(self, episode: Episode, state: EpisodeState, reason: str, remedy: str = "") -> EpisodeResult:
        if state not in (EpisodeState.COMPLETED, EpisodeState.REJECTED):
            episode = replace(episode, reasons=(reason,))  # those two have the judgement's
        self._episodes.update(episode)
        known = self._episodes.get(episode.id)
        if known is None or known.state is not state:  # a yielded one may yield before it went on
            self._episodes.change(episode.id, state, at=self._clock.now(), reason=reason)
        if state is not EpisodeState.YIELDED:
            try:
                self._files.clear(episode.id)
            except OSError as error:
                _log.warning("The folder of episode %s could not be cleared: %s", episode.id, error)
        return EpisodeResult(
            episode_id=episode.id,
            outcome=state,
            version=episode.version if state is EpisodeState.COMPLETED else None,
            verdict=episode.verdict,
            reasons=episode.reasons,
            metrics=for_people(episode.metrics),
            phases=episode.seconds,
            remedy=remedy,
        )

    def _told(self, result: EpisodeResult, began: float) -> EpisodeResult:
        return replace(result, seconds=round(self._clock.monotonic() - began, 3))

    def _alert(self, key: str, message: str, remedy: str, severity: str = "warning") -> None:
        """Raise an alert; one with the same words that is open already is not told twice."""
        if any((alert.key, alert.message) == (key, message) for alert in self._alerts.open()):
            return
        self._alerts.resolve(key)
        self._alerts.raise_(
            Alert(key=key, severity=severity, message=message, remedy=remedy, raised_at=self._clock.now())
        )


_DIED = "The program ended while Allie was learning."

"""The attempts of one episode: worker after worker, until there is a result or no use in another."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from allie_desktop.domain.errors import DataChangedError, DiskFullError, TrainingError
from allie_desktop.domain.events import (
    Job,
    Paused,
    PhaseFinished,
    PhaseStarted,
    Stop,
    WorkerEvent,
    WorkerFailed,
)
from allie_desktop.domain.lifecycle import Outcome
from allie_desktop.domain.planning import Budget, Plan
from allie_desktop.domain.ports import (
    Clock,
    EpisodeFiles,
    Progress,
    Resources,
    WorkerClient,
    WorkerResult,
)
from allie_desktop.domain.validation import WorkerReport
from allie_desktop.services.fallbacks import Failure, next_recipe

_log = logging.getLogger(__name__)

_KILLED = -9  # SIGKILL that nobody here sent: mostly the kernel, out of memory


class Ending(Enum):
    """How the attempts ended."""

    RESULT = "result"
    GIVEN_BACK = "given back"  # somebody wished it to stop; it can go on from its checkpoint
    NO_ROOM = "no room"  # the disk is full; it can go on when it no longer is
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptsEnd:
    """The end of the attempts: with a result the report, and the plan that made it; else why, and what to do."""

    ending: Ending
    plan: Plan
    report: WorkerReport | None = None
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """What the worker is given, and when the program steps in itself.

    The worker keeps its budgets; only when it does not, past ``budget_grace`` times the budget and
    ``grace_seconds``, it is stopped from outside. ``free_disk_bytes`` must stay free for everybody else.
    """

    attempts: int = 3
    budget_grace: float = 1.5
    grace_seconds: float = 60.0
    disk_check_seconds: float = 10.0
    free_disk_bytes: int = 256 * 1024**2
    threads: int | None = None
    device: str | None = None
    low_priority: bool = True


class Attempts:
    """Runs the workers of one episode. From one thread; ``stop_wish`` (why to end here, if at all) and ``frozen``
    (whether the worker shall stand still) are asked there, several times a second.

    ``note_attempt(number, reason)`` is called before each worker starts, ``note_phase`` for each phase it
    enters, ``note_seconds`` with the time a phase took, in seconds.
    """

    def __init__(
        self,
        *,
        worker: WorkerClient,
        files: EpisodeFiles,
        clock: Clock,
        free: Callable[[], Resources],
        limits: WorkerLimits,
        cache: Path,
        stop_wish: Callable[[], str | None],
        frozen: Callable[[], bool],
        progress: Progress,
        note_attempt: Callable[[int, str], None],
        note_phase: Callable[[str], None],
        note_seconds: Callable[[str, float], None],
    ) -> None:
        self._worker = worker
        self._files = files
        self._clock = clock
        self._free = free
        self._limits = limits
        self._cache = cache
        self._stop_wish = stop_wish
        self._frozen = frozen
        self._progress: Progress | None = progress
        self._note_attempt = note_attempt
        self._note_phase = note_phase
        self._note_seconds = note_seconds

    def run(self, plan: Plan, *, parent_adapter: str | None, attempts_before: int) -> AttemptsEnd:
        """Return when there is a result, no use in another attempt, or a wish to stop.

        ``plan`` is that of attempt 1. ``attempts_before`` counts those of an episode that is resumed; the
        last of them goes on.
        """
        current, variant = last_attempt(self._files, plan) if attempts_before else (plan, 1)
        number = max(attempts_before, 1)
        failures = number - 1
        why = "" if not attempts_before else "goes on"
        while True:
            wish = self._stop_wish()
            if wish is not None:
                return AttemptsEnd(ending=Ending.GIVEN_BACK, plan=current, reason=wish)
            self._note_attempt(number, why)
            watch = _Watch(plan.budget, self._limits, self._clock)
            try:
                result = self._run_once(current, variant, parent_adapter, watch)
            except DiskFullError as error:
                return AttemptsEnd(
                    ending=Ending.NO_ROOM, plan=current, reason=error.message, remedy=error.remedy
                )
            end = self._end_of(result, watch, current)
            if end is not None:
                return end
            failure, reason, remedy = self._failure_of(result, watch)
            failures += 1
            recipe = next_recipe(
                current.recipe, failure, failures=failures, attempts_left=self._limits.attempts - number
            )
            _log.warning("Attempt %d of episode %s: %s %s", number, plan.id, reason, result.log_tail[-2000:])
            if recipe is None:
                ending = Ending.NO_ROOM if failure == "disk_full" else Ending.FAILED
                return AttemptsEnd(ending=ending, plan=current, reason=reason, remedy=remedy)
            number += 1
            why = reason
            if recipe != current.recipe:
                current, variant = self._files.seal(replace(current, recipe=recipe)), number

    # --- one worker ---

    def _run_once(self, plan: Plan, variant: int, parent_adapter: str | None, watch: _Watch) -> WorkerResult:
        self._files.clear_result(plan.id)
        path = self._files.write_plan(plan, attempt=variant)
        job = Job(
            episode_id=plan.id,
            folder=str(self._files.folder(plan.id)),
            plan=str(path),
            plan_digest=plan.digest,
            cache=str(self._cache),
            parent_adapter=parent_adapter,
            attempt=variant,
            threads=self._limits.threads,
            device=self._limits.device,
            low_priority=self._limits.low_priority,
        )

        def on_event(event: WorkerEvent) -> None:
            watch.hear(event)
            if isinstance(event, PhaseStarted):
                self._note_phase(event.phase)
            if isinstance(event, PhaseFinished):
                self._note_seconds(event.phase, event.seconds)
            self._tell(event)

        def on_tick() -> None:
            frozen = self._frozen()
            watch.tick(frozen=frozen, used_bytes=lambda: self._files.used_bytes(plan.id), free=self._free)
            if watch.stop_sent:
                return
            self._hold_still(watch, frozen=frozen)
            wish = self._stop_wish() or watch.breach_words
            if wish:
                watch.stop_sent = True
                self._worker.send(Stop(reason=wish))

        return self._worker.run(job, on_event, on_tick)

    def _hold_still(self, watch: _Watch, *, frozen: bool) -> None:
        """Freeze the worker or let it go on. Others may freeze it at any moment: let go on only what is
        still to go on afterwards."""
        if frozen == watch.frozen:
            return
        watch.frozen = frozen
        if frozen:
            self._worker.suspend()
            return
        self._worker.unfreeze()
        if self._frozen():
            self._worker.suspend()
            watch.frozen = True

    def _tell(self, event: WorkerEvent) -> None:
        if self._progress is None:
            return
        try:
            self._progress(event)
        except Exception:  # noqa: BLE001 - a bar on a closed terminal is no reason to lose an hour of training
            _log.exception("Progress cannot be shown any more")
            self._progress = None

    def _end_of(self, result: WorkerResult, watch: _Watch, plan: Plan) -> AttemptsEnd | None:
        wish = self._stop_wish()
        if wish is not None:
            return AttemptsEnd(ending=Ending.GIVEN_BACK, plan=plan, reason=wish)
        if result.outcome is Outcome.STOPPED and not watch.breach:
            # Somebody else stopped it; it has left a checkpoint.
            return AttemptsEnd(
                ending=Ending.GIVEN_BACK, plan=plan, reason="The worker was stopped from outside."
            )
        if result.outcome is not Outcome.COMPLETED:
            return None
        try:
            report = self._files.read_report(plan.id)
        except TrainingError as error:
            watch.lie = error.message
            return None
        if (report.episode_id, report.plan_digest) != (plan.id, plan.digest):
            watch.lie = "The worker's report is about something else."
            return None
        return AttemptsEnd(ending=Ending.RESULT, plan=plan, report=report)

    def _failure_of(self, result: WorkerResult, watch: _Watch) -> tuple[Failure, str, str]:
        report_it = "The worker's log in the episode's folder has the details."
        if watch.breach:
            return watch.breach, watch.breach_words, ""
        if watch.lie:
            return "internal", watch.lie, report_it
        event = result.last_event
        if result.outcome is Outcome.FAILED and isinstance(event, WorkerFailed):
            return event.kind, event.message, event.remedy
        if result.outcome is Outcome.LOST:
            return "lost", "The worker stopped answering and was ended.", report_it
        if result.returncode == _KILLED:
            return (
                "crashed",
                "The system killed the worker, most likely for want of memory.",
                "Close other programs, or choose a smaller base model.",
            )
        if result.returncode is None:
            return "crashed", "The worker could not be started.", report_it
        return "crashed", f"The worker ended with code {result.returncode} without saying why.", report_it


def last_attempt(files: EpisodeFiles, plan: Plan) -> tuple[Plan, int]:
    """Return the plan and the number of the attempt whose job was written last; ``plan`` is that of attempt 1."""
    job = files.read_job(plan.id)
    if job is None or job.episode_id != plan.id or job.attempt < 2:
        return plan, 1
    try:
        return files.read_plan(plan.id, job.plan_digest, attempt=job.attempt), job.attempt
    except DataChangedError:
        return plan, 1


@dataclass(slots=True)
class _Watch:
    """Keeps one worker's budgets from outside."""

    budget: Budget
    limits: WorkerLimits
    clock: Clock
    breach: Failure | None = None
    breach_words: str = ""
    lie: str = ""
    stop_sent: bool = False
    frozen: bool = False
    phase: str = "prepare"
    phase_seconds: float = 0.0
    paused: bool = False
    last_tick: float | None = None
    last_disk_check: float = field(default=-math.inf)

    def hear(self, event: WorkerEvent) -> None:
        self.paused = isinstance(event, Paused)
        if isinstance(event, PhaseStarted):
            self.phase, self.phase_seconds = event.phase, 0.0

    def tick(self, *, frozen: bool, used_bytes: Callable[[], int], free: Callable[[], Resources]) -> None:
        now = self.clock.monotonic()
        passed = 0.0 if self.last_tick is None else now - self.last_tick
        self.last_tick = now
        if not frozen and not self.paused:
            self.phase_seconds += min(passed, 5.0)  # more: the computer slept
        if self.breach:
            return
        seconds = {
            "prepare": self.budget.prepare_seconds,
            "train": self.budget.train_seconds,
            "validate": self.budget.validate_seconds,
        }[self.phase]
        if self.phase_seconds > seconds * self.limits.budget_grace + self.limits.grace_seconds:
            self.breach = "time_budget"
            self.breach_words = f"The phase “{self.phase}” took longer than its {seconds / 60:.0f} minutes."
        elif now - self.last_disk_check >= self.limits.disk_check_seconds:
            self.last_disk_check = now
            self._check_disk(used_bytes(), free().disk_bytes)

    def _check_disk(self, used_bytes: int, free_bytes: int) -> None:
        if used_bytes > self.budget.disk_bytes:
            self.breach = "disk_budget"
            self.breach_words = f"The episode took more than the {self.budget.disk_bytes / 1e9:.1f} GB of disk space it may take."
        elif free_bytes < self.limits.free_disk_bytes:
            self.breach = "disk_full"
            self.breach_words = f"The disk is nearly full ({free_bytes / 1e9:.1f} GB are left)."

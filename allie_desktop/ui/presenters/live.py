"""Where a running episode stands, worked out from its events."""

from __future__ import annotations

import math
from dataclasses import dataclass

from allie_desktop.domain.events import (
    CandidateWritten,
    HeldOutMeasured,
    Paused,
    Phase,
    PhaseFinished,
    PhaseStarted,
    Resumed,
    StepFinished,
    WorkerEvent,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.words import left_words

Points = tuple[tuple[float, float], ...]

#: Where in the whole a phase begins, and how much of it it is: about what the phases take of an episode.
_SPANS: dict[Phase, tuple[float, float]] = {
    "prepare": (0.0, 0.15),
    "train": (0.15, 0.65),
    "validate": (0.80, 0.17),
}

#: Points kept of a curve. When there are twice as many, every second one goes.
_KEPT_POINTS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """A running episode as a card shows it. ``share`` is in [0, 1] and never falls within an attempt."""

    episode_id: str
    title: str
    detail: str
    left: str
    share: float
    loss: float | None
    waiting: bool
    training: Points
    held_out: Points
    planned_steps: int


class LiveEpisode:
    """Folds the events of one episode. Bounded memory, no matter how long it runs."""

    def __init__(self, episode_id: str) -> None:
        self.episode_id = episode_id
        self._phase: Phase = "prepare"
        self._step = 0
        self._total = 0
        self._planned_steps = 0
        self._what = ""
        self._loss: float | None = None
        self._left: float | None = None
        self._share = 0.0
        self._waiting = False
        self._deploying = False
        self._message = ""
        self._training: list[tuple[float, float]] = []
        self._held_out: list[tuple[float, float]] = []

    def take(self, event: WorkerEvent) -> None:
        """Take note of an event; unknown ones change nothing."""
        if isinstance(event, WorkerStarted):
            # A new attempt, or the same one resumed: what was measured stays, where it stands does not.
            self._share = 0.0
            self._deploying = self._waiting = False
            self._message = ""
        elif isinstance(event, PhaseStarted):
            self._enter(event.phase, event.total)
        elif isinstance(event, StepFinished):
            self._step_finished(event)
        elif isinstance(event, HeldOutMeasured):
            _keep(self._held_out, event.step, event.loss)
        elif isinstance(event, PhaseFinished):
            self._reach(event.phase, 1.0)
            self._left = None
        elif isinstance(event, (Paused, Resumed)):
            self._waiting = isinstance(event, Paused)
        elif isinstance(event, CandidateWritten):
            self._deploying = True
            self._share = max(self._share, 0.97)
            self._left = None
        elif isinstance(event, WorkerStopped):
            self._waiting = True
        elif isinstance(event, WorkerFailed):
            self._message = event.message

    def wait(self, waiting: bool) -> None:
        """The process was frozen from outside, or let go on; no event tells of that."""
        self._waiting = waiting

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]."""
        return self._share

    @property
    def view(self) -> LiveView:
        """How it stands now."""
        return LiveView(
            episode_id=self.episode_id,
            title=self._title(),
            detail=self._detail(),
            left="" if self._waiting else left_words(self._left),
            share=self._share,
            loss=self._loss,
            waiting=self._waiting,
            training=tuple(self._training),
            held_out=tuple(self._held_out),
            planned_steps=self._planned_steps,
        )

    def _enter(self, phase: Phase, total: int) -> None:
        self._phase, self._step, self._total, self._what, self._left = phase, 0, total, "", None
        self._waiting = False
        self._reach(phase, 0.0)

    def _step_finished(self, event: StepFinished) -> None:
        self._phase, self._step, self._total = event.phase, event.step, event.total
        self._what, self._left, self._waiting = event.what, event.seconds_left, False
        if event.total > 0:
            self._reach(event.phase, event.step / event.total)
        if event.phase == "train":
            self._planned_steps = event.total
        if event.phase == "train" and event.loss is not None and math.isfinite(event.loss):
            self._loss = event.loss
            _keep(self._training, event.step, event.loss)

    def _reach(self, phase: Phase, done: float) -> None:
        start, span = _SPANS[phase]
        self._share = max(self._share, start + span * min(1.0, max(0.0, done)))

    def _title(self) -> str:
        if self._waiting:
            return translate("Live", "Learning waits")
        if self._deploying:
            return translate("Live", "Putting it into use")
        if self._phase == "prepare":
            return translate("Live", "Preparing")
        return translate("Live", "Learning") if self._phase == "train" else translate("Live", "Checking")

    def _detail(self) -> str:
        if self._message:
            return self._message
        parts = []
        if self._what:
            parts.append(self._what)
        if self._total > 0:
            step = translate("Live", "step {step} of {total}")
            parts.append(step.format(step=f"{self._step:,}", total=f"{self._total:,}"))
        if self._loss is not None and self._phase == "train":
            parts.append(translate("Live", "loss {loss}").format(loss=f"{self._loss:.3f}"))
        return " · ".join(parts)


def _keep(points: list[tuple[float, float]], step: int, loss: float) -> None:
    if not math.isfinite(loss):
        return
    if points and step <= points[-1][0]:
        # Resumed from a checkpoint: what was after it is measured again.
        del points[next(i for i, (x, _) in enumerate(points) if x >= step) :]
    points.append((float(step), loss))
    if len(points) > 2 * _KEPT_POINTS:
        points[:] = points[::2]

"""Watching an episode in a terminal: a bar where there is a terminal, now and then a line where not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from allie_desktop.cli.output import console, say_aside
from allie_desktop.domain.events import (
    BatchHalved,
    CheckpointWritten,
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

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from typing_extensions import Self

_PHASE_WORDS: dict[Phase, str] = {"prepare": "Preparing", "train": "Training", "validate": "Checking"}

#: Without a terminal one line in so many seconds says where it stands.
LINE_SECONDS = 10.0


def step_words(event: StepFinished) -> str:
    """Return the numbers of a step: "loss 1.234 · 410 tokens/s"."""
    parts = []
    if event.what:
        parts.append(event.what)
    if event.loss is not None:
        parts.append(f"loss {event.loss:.3f}")
    if event.kl is not None:
        parts.append(f"drift {event.kl:.3f}")
    if event.tokens_per_second is not None:
        parts.append(f"{event.tokens_per_second:,.0f} tokens/s")
    return " · ".join(parts)


def left_words(seconds: float | None) -> str:
    """Return the time left: "3:05 left"; empty when nobody knows."""
    if seconds is None or seconds < 0:
        return ""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    clock = f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{clock} left"


def note_words(event: WorkerEvent) -> str:
    """Return a line for an event that a person should read as it happens; empty for all others."""
    if isinstance(event, WorkerStarted):
        return f"Learning on {event.device} in {event.dtype}, {event.threads} threads."
    if isinstance(event, BatchHalved):
        return f"Memory was short: going on with {event.tokens_per_pass} tokens at a time."
    if isinstance(event, Paused):
        return "Paused."
    if isinstance(event, Resumed):
        return "Going on."
    if isinstance(event, WorkerStopped):
        return "Stopped with a checkpoint." if event.checkpoint else "Stopped."
    if isinstance(event, WorkerFailed):
        return f"This attempt failed: {event.message} {event.remedy}".strip()
    return ""


class EpisodeProgress:
    """A context manager that is also a :class:`domain.ports.Progress`. Everything goes to stderr."""

    def __init__(
        self,
        *,
        terminal: bool | None = None,
        write: Callable[[str], None] = say_aside,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._write = write
        self._monotonic = monotonic
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        if self._terminal:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[count]}"),
                TextColumn("{task.fields[numbers]}"),
                TextColumn("{task.fields[left]}"),
                console=console(stderr=True),
                transient=False,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, event: WorkerEvent) -> None:
        """Show an event."""
        words = note_words(event)
        if words:
            self.note(words)
        elif isinstance(event, PhaseStarted):
            self._begin(event)
        elif isinstance(event, StepFinished):
            self._step(event)
        elif isinstance(event, PhaseFinished):
            self._finish(event)
        elif isinstance(event, HeldOutMeasured) and self._bar is None:
            best = ", the best so far" if event.best else ""
            self._write(f"Training: held-out loss {event.loss:.3f}, drift {event.kl:.3f}{best}")
        elif isinstance(event, CheckpointWritten):
            pass  # often, and of no use to who watches

    def note(self, words: str) -> None:
        """Show a line, above the bar where there is one."""
        if self._bar is not None:
            self._bar.console.print(words, markup=False)
        else:
            self._write(words)

    def _begin(self, event: PhaseStarted) -> None:
        words = _PHASE_WORDS[event.phase]
        if self._bar is not None:
            self._task = self._bar.add_task(words, total=event.total or None, count="", numbers="", left="")
        else:
            self._write(f"{words}…")
            self._last_line = float("-inf")

    def _step(self, event: StepFinished) -> None:
        count = f"{event.step}/{event.total}" if event.total else str(event.step)
        left = left_words(event.seconds_left)
        if self._bar is not None:
            if self._task is None:
                self._begin(PhaseStarted(phase=event.phase, total=event.total))
            assert self._task is not None
            self._bar.update(
                self._task,
                completed=event.step,
                total=event.total or None,
                count=count,
                numbers=step_words(event),
                left=left,
            )
            return
        now = self._monotonic()
        if now - self._last_line < LINE_SECONDS and event.step != event.total:
            return
        self._last_line = now
        parts = (f"{_PHASE_WORDS[event.phase]}: step {count}", step_words(event), left)
        self._write(" · ".join(filter(None, parts)))

    def _finish(self, event: PhaseFinished) -> None:
        words = f"{_PHASE_WORDS[event.phase]} took {event.seconds:.0f} s."
        if self._bar is not None and self._task is not None:
            task = self._bar.tasks[-1]
            end = task.total if task.total is not None else max(task.completed, 1.0)
            self._bar.update(self._task, completed=end, total=end, left=f"{event.seconds:.0f} s")
            self._task = None
        else:
            self._write(words)

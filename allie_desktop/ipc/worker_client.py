"""The program's side of a worker: :class:`domain.ports.WorkerClient` over a real process.

How a run is classified (outcomes are never merged):

* the worker's last word decides: ``CandidateWritten`` is COMPLETED, ``WorkerStopped`` STOPPED,
  ``WorkerFailed`` FAILED, whatever happened to the process afterwards;
* without a last word it is CRASHED when it ended by itself, with any exit code, and LOST when this
  side ended it: it was silent too long, did not obey a stop, or was killed on purpose.

The stop ladder: a ``Stop`` command, then the platform's terminate, then kill. A frozen worker cannot
obey; a stop therefore wakes it. Time in which the worker is frozen or paused, or in which this very
process did not run (a sleeping computer), counts neither as silence nor towards the ladder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from allie_desktop.domain.errors import ProtocolError
from allie_desktop.domain.events import (
    CandidateWritten,
    Job,
    Paused,
    Stop,
    WorkerCommand,
    WorkerEvent,
    WorkerFailed,
    WorkerStopped,
)
from allie_desktop.domain.lifecycle import Outcome
from allie_desktop.domain.ports import WorkerResult
from allie_desktop.ipc.durable import replace_file
from allie_desktop.ipc.process import (
    Silence,
    WorkerProcess,
    end_leftover,
    worker_command,
    worker_environment,
)
from allie_desktop.ipc.protocol import decode_event, encode, encode_document
from allie_desktop.ipc.worker_log import WorkerLog

JOB_FILE = "job.json"
LOG_FILE = "worker.log"

_GARBAGE_LINES_LOGGED = 50
_GARBAGE_CHARACTERS_LOGGED = 300

_OUTCOMES: dict[type, Outcome] = {
    CandidateWritten: Outcome.COMPLETED,
    WorkerStopped: Outcome.STOPPED,
    WorkerFailed: Outcome.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPatience:
    """How long to wait for what, in seconds.

    ``silence``: without an event before the worker counts as lost. ``stop``: to write a checkpoint
    after a stop. ``terminate``: after that, before it is killed. ``exit``: to end after its last word.
    ``tick``: how often to look.
    """

    silence: float = 600.0
    stop: float = 120.0
    terminate: float = 5.0
    exit: float = 15.0
    tick: float = 0.1


class SubprocessWorkerClient:
    """Runs one worker after the other. ``run`` belongs to one thread, the rest may come from any."""

    def __init__(
        self,
        *,
        command: Callable[[Path], Sequence[str]] = worker_command,
        environment: Mapping[str, str] | None = None,
        patience: WorkerPatience | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._command = command
        self._environment = environment
        self._patience = patience or WorkerPatience()
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._stop_asked = False
        self._killed = False

    def run(
        self,
        job: Job,
        on_event: Callable[[WorkerEvent], None],
        on_tick: Callable[[], None] | None = None,
    ) -> WorkerResult:
        """See :meth:`domain.ports.WorkerClient.run`. stderr goes to ``worker.log`` beside the job."""
        folder = Path(job.folder)
        log = WorkerLog(folder / LOG_FILE)
        path = folder / JOB_FILE
        replace_file(path, encode_document(job))
        environment = worker_environment() if self._environment is None else self._environment
        log.note(f"attempt {job.attempt} of episode {job.episode_id} starts")
        try:
            process = WorkerProcess(self._command(path), folder=folder, environment=environment, log=log)
        except OSError as error:
            log.note(f"the worker could not be started: {error}")
            return WorkerResult(outcome=Outcome.CRASHED, returncode=None, last_event=None, log_tail=log.tail)
        with self._lock:
            self._process = process
            self._stop_asked = False
            self._killed = False
        watch = _Watch(process, log, self._patience, self._monotonic, on_event, on_tick)
        try:
            ended_here = watch.until_the_end(lambda: self._stop_asked, lambda: self._killed)
        except BaseException:
            process.kill()
            raise
        finally:
            with self._lock:
                self._process = None
            returncode = process.close()
        outcome = _OUTCOMES.get(type(watch.last_word))
        if outcome is None:
            outcome = Outcome.LOST if ended_here else Outcome.CRASHED
        log.note(f"the worker ended: {outcome.value}, return code {returncode}")
        return WorkerResult(
            outcome=outcome,
            returncode=None if outcome is Outcome.LOST else returncode,
            last_event=watch.last_word or watch.last_event,
            log_tail=log.tail,
        )

    def send(self, command: WorkerCommand) -> None:
        """Send a command; a :class:`Stop` also wakes a frozen worker and starts the stop ladder."""
        line = encode(command)
        with self._lock:
            process = self._process
            if process is None:
                return
            if isinstance(command, Stop):
                self._stop_asked = True
        process.write(line)
        if isinstance(command, Stop):
            process.unfreeze()

    def suspend(self) -> None:
        """Freeze the worker and all it started; nothing when none runs."""
        with self._lock:
            process = self._process
        if process is not None:
            process.suspend()

    def unfreeze(self) -> None:
        """Let a frozen worker go on."""
        with self._lock:
            process = self._process
        if process is not None:
            process.unfreeze()

    def kill(self) -> None:
        """End the worker without asking; its run comes back as LOST."""
        with self._lock:
            process = self._process
            if process is None:
                return
            self._killed = True
        process.kill()

    def end_leftover(self, folder: Path) -> bool:
        """See :meth:`domain.ports.WorkerClient.end_leftover`."""
        return end_leftover(folder, grace_seconds=self._patience.stop)


class _Watch:
    """Pumps one worker's events and keeps its time."""

    def __init__(
        self,
        process: WorkerProcess,
        log: WorkerLog,
        patience: WorkerPatience,
        monotonic: Callable[[], float],
        on_event: Callable[[WorkerEvent], None],
        on_tick: Callable[[], None] | None,
    ) -> None:
        self._process = process
        self._log = log
        self._patience = patience
        self._monotonic = monotonic
        self._on_event = on_event
        self._on_tick = on_tick
        self._paused = False
        self._deaf = False  # its stdout is closed: nothing can be heard of it any more
        self._garbage = 0
        self._silent_seconds = 0.0
        self._leaving_seconds = 0.0
        self._terminated = False
        self._gone_seconds = 0.0
        self.last_event: WorkerEvent | None = None
        self.last_word: CandidateWritten | WorkerStopped | WorkerFailed | None = None

    def until_the_end(self, stop_asked: Callable[[], bool], killed: Callable[[], bool]) -> bool:
        """Return when the process has ended; True when it was this side that ended it."""
        tick = self._patience.tick
        ended_here = False
        last = self._monotonic()
        while True:
            heard = self._listen(tick)
            passed = self._monotonic() - last
            if heard and passed < tick:
                continue  # a worker that talks fast is heard out, but never keeps the clock from being read
            last += passed
            if self._has_ended(passed):
                return ended_here or killed()
            if self._on_tick is not None:
                self._on_tick()
            if not self._process.frozen:
                # More than a few ticks: it was this process that did not run.
                ended_here |= self._keep_time(min(passed, 4 * tick), stop_asked())

    def _listen(self, seconds: float) -> bool:
        if self._deaf:
            time.sleep(seconds)
            return False
        line = self._process.next_line(seconds)
        if isinstance(line, Silence):
            self._deaf = line is Silence.END
            return False
        self._hear(line)
        return True

    def _has_ended(self, passed: float) -> bool:
        if not self._process.has_ended():
            return False
        # All it said is still in the pipe. Only if somebody else holds the pipe open is there no end to it.
        self._gone_seconds += passed
        return self._deaf or self._gone_seconds > 1.0

    def _hear(self, line: bytes) -> None:
        try:
            event = decode_event(line)
        except ProtocolError as error:
            self._garbage += 1
            if self._garbage <= _GARBAGE_LINES_LOGGED:
                said = line[:_GARBAGE_CHARACTERS_LOGGED].decode("utf-8", "replace")
                self._log.note(f"not an event on stdout ({error.message}): {said}")
            return
        self._silent_seconds = 0.0
        self._paused = isinstance(event, Paused)
        self.last_event = event
        if isinstance(event, (CandidateWritten, WorkerStopped, WorkerFailed)):
            self.last_word = event
        self._on_event(event)

    def _keep_time(self, passed: float, stop_asked: bool) -> bool:
        """Go one rung down the ladder when it is time; return whether the worker is being ended."""
        if not self._paused:
            self._silent_seconds += passed
        leaving = self._deaf or self.last_word is not None
        if leaving or stop_asked:
            self._leaving_seconds += passed
        limit = self._patience.exit if leaving else self._patience.stop
        if self._leaving_seconds > limit + self._patience.terminate:
            self._process.kill()
            return True
        if self._leaving_seconds > limit:
            if not self._terminated:
                self._log.note("the worker did not end when it should; it is terminated")
                self._terminated = True
                self._process.terminate()
            return True
        if self._silent_seconds > self._patience.silence:
            self._log.note(f"the worker was silent for {self._silent_seconds:.0f} s; it is killed")
            self._process.kill()
            return True
        return False

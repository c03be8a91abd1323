"""The worker process: one attempt of one episode, at the lowest priority there is, then it exits.

It opens no database. ``job.json`` says what to do, events go to stdout, commands come from stdin, and
everything else that anyone prints goes to stderr.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from allie_desktop.domain.errors import (
    AllieError,
    DataChangedError,
    DiskFullError,
    ModelError,
    OutOfMemoryError,
    TrainingUnstableError,
    VersionCorruptError,
)
from allie_desktop.domain.events import FailureKind, Job, WorkerFailed, WorkerStarted, WorkerStopped
from allie_desktop.ipc.priority import lower_own_priority
from allie_desktop.ipc.protocol import decode_document, load_plan
from allie_desktop.learning.control import Control, StopRequestedError
from allie_desktop.learning.memory import is_out_of_memory
from allie_desktop.safety.probes import Probes

_log = logging.getLogger(__name__)

_NO_SPACE = 28  # errno.ENOSPC; the number is the same on all our platforms

#: Exit codes of the worker; the events say the same in words.
EXIT_DONE, EXIT_FAILED, EXIT_STOPPED = 0, 1, 3


def run_process(job_path: str, probes: Path) -> NoReturn:
    """Run the job and end the process at once with its exit code. ``probes`` is the folder of the questions
    that check a candidate's safety.

    The interpreter's own way out waits for threads and tears torch down, which takes seconds; whatever
    counts is on the disk by now.
    """
    code = main(job_path, probes)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


def main(job_path: str, probes: Path) -> int:
    """Run the job in the file ``job_path``; return the exit code of the process."""
    control = Control.of_process()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    try:
        job = decode_document(Path(job_path).read_bytes(), Job)
    except (OSError, AllieError) as error:
        control.send(WorkerFailed(kind="data", message=f"The job cannot be read: {error}"))
        return EXIT_FAILED
    priority = lower_own_priority() if job.low_priority else ()
    threads = job.threads or _threads()
    _prepare_environment(threads)
    control.listen()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: control.request_stop("asked by a signal"))
    try:
        return _run(job, control, threads, priority, Probes.read(probes))
    except StopRequestedError as stop:
        checkpoints = Path(job.folder) / f"attempt-{job.attempt}" / "checkpoints"
        newest = max(checkpoints.glob("step-*"), default=None)
        step = int(newest.name.removeprefix("step-")) if newest else 0
        _log.info("stopped: %s", stop)
        control.send(WorkerStopped(step=step, checkpoint=str(newest or "")))
        return EXIT_STOPPED
    except Exception as error:  # noqa: BLE001 - the border of the process: whatever it was is told
        _log.exception("the attempt failed")
        control.send(_failure(error))
        return EXIT_FAILED


def _run(job: Job, control: Control, threads: int, priority: tuple[str, ...], probes: Probes) -> int:
    plan = load_plan(Path(job.plan), job.plan_digest)
    control.between()
    import torch

    from allie_desktop.learning.session import Session
    from allie_desktop.models.loading import best_device, best_dtype, load_base
    from allie_desktop.safety.redaction import TextRedactor
    from allie_desktop.safety.toxicity import LexiconToxicity

    torch.set_num_threads(threads)
    device = best_device(job.device)
    control.send(
        WorkerStarted(
            pid=os.getpid(),
            device=device.type,
            dtype=str(best_dtype(device)).removeprefix("torch."),
            threads=threads,
            priority=priority,
        )
    )
    loaded = load_base(plan.base, cache=Path(job.cache), device=job.device)
    control.between()
    Session(
        job, plan, loaded, control, toxicity=LexiconToxicity(), redactor=TextRedactor(), probes=probes
    ).run()
    return EXIT_DONE


def _threads() -> int:
    """All cores of a small machine, all but one of a larger: the lowest priority protects the person, the
    free core keeps a burst of work from waiting for a time slice."""
    cores = os.cpu_count() or 1
    return cores if cores <= 2 else cores - 1


def _prepare_environment(threads: int) -> None:
    """Set what must be set before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # A thread that spins while it waits steals the time of whoever came back to the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _failure(error: Exception) -> WorkerFailed:
    kinds: tuple[tuple[type[Exception] | tuple[type[Exception], ...], FailureKind], ...] = (
        ((OutOfMemoryError, MemoryError), "out_of_memory"),
        (TrainingUnstableError, "unstable"),
        (DataChangedError, "data"),
        (DiskFullError, "disk_full"),
        ((ModelError, VersionCorruptError), "model"),
    )
    if isinstance(error, OSError) and error.errno == _NO_SPACE:
        return WorkerFailed(
            kind="disk_full",
            message="The disk is full.",
            remedy="Free some space; the episode goes on by itself.",
        )
    kind: FailureKind = next((k for types, k in kinds if isinstance(error, types)), "internal")
    if isinstance(error, AllieError):
        return WorkerFailed(kind=kind, message=error.message, remedy=error.remedy)
    if kind == "internal" and "torch" in sys.modules and is_out_of_memory(error):
        kind = "out_of_memory"
    if kind == "out_of_memory":
        return WorkerFailed(
            kind=kind, message="There is not enough memory to train.", remedy="Close other programs."
        )
    return WorkerFailed(
        kind=kind,
        message=f"The worker met an unexpected {type(error).__name__}.",
        remedy="Its log has the details; please report it.",
    )

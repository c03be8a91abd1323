"""Runs the inputs of a target in a process of its own, and sees from outside when one of them kills or hangs it.

The process writes the number of its input to a *slate*, a small file that both map into memory. A process
that dies is replaced by one that goes on behind the fatal input; so is one that took too long, after it was made to say
where it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import math
import mmap
import os
import signal
import struct
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

from tests.fuzz.target import BrokenPromiseError, Outcome, ServerFaultError, Target

#: Processor seconds of one input beyond which it is a hang, and the wall-clock time after which even one that computes
#: nothing is: the machine may be busy with other things, or suspended.
HANG_SECONDS = 5.0
STUCK_SECONDS = 60.0
_STARTING_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_LOOKED_AFTER_EVERY = 500

_SLATE = struct.Struct("<qdqqqdq")
_IDLE, _AT_WORK = -2, 0


@dataclass(slots=True)
class Finding:
    """Something that must not happen. ``kind``: crash, hang or 5xx; ``count`` of the same ``where``."""

    target: str
    kind: str
    error: str
    where: str
    index: int
    reproducer: str = ""
    count: int = 1


@dataclass(slots=True)
class Result:
    """What became of one target's inputs. ``slowest_seconds`` is processor time."""

    target: str
    group: str
    inputs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest_index: int = -1

    def add_outcomes(self, more: Mapping[str, int]) -> None:
        """Count how further inputs ended."""
        for name, count in more.items():
            self.outcomes[name] = self.outcomes.get(name, 0) + count

    def of(self, kind: str) -> int:
        """Return how many findings are of a kind."""
        return sum(finding.count for finding in self.findings if finding.kind == kind)


def randomness(seed: int, name: str, index: int) -> Random:
    """Return what makes input ``index`` of a target."""
    return Random(f"{seed}/{name}/{index}")


def named(address: str) -> Target:
    """Return the target of an address like ``tests.fuzz.import_targets:NativeFiles``."""
    module, _, name = address.partition(":")
    target: Target = getattr(importlib.import_module(module), name)()
    return target


def where_in(error: BaseException) -> str:
    """Return the innermost frame of the program that an error passed through; that of a test otherwise."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}allie_desktop{os.sep}" in frame.filename] or frames
    if isinstance(error, RecursionError) and ours:
        ours = ours[:12]  # the innermost one differs from input to input
    last = ours[-1] if ours else None
    return f"{Path(last.filename).name}:{last.lineno} {last.name}" if last else "?"


# --- the process at work ---


class _Slate:
    """The number at hand, when it began (processor time), how the ones before ended, and the slowest."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SLATE.size)

    def write(self, *values: float) -> None:
        self._map[:] = _SLATE.pack(*values)  # type: ignore[arg-type]

    def read(self) -> tuple[int, float, int, int, int, float, int]:
        return _SLATE.unpack(bytes(self._map))  # type: ignore[return-value]


def work(address: str, *, seed: int, first: int, last: int, slate_path: Path, findings_path: Path) -> None:
    """Try the inputs from ``first`` up to ``last``; for a process of its own."""
    faulthandler.enable()
    slate = _Slate(slate_path)
    counts = Counter[Outcome]()
    slowest, slowest_index = 0.0, -1

    def note(index: int) -> None:
        slate.write(
            index,
            time.process_time(),
            counts[Outcome.TAKEN],
            counts[Outcome.REFUSED],
            counts[Outcome.UNAVAILABLE],
            slowest,
            slowest_index,
        )

    target = named(address)
    _bound_memory(target.memory_bytes)
    with target, findings_path.open("a", encoding="utf-8") as findings:

        def found(index: int, kind: str, error: BaseException) -> None:
            told = {
                "index": index,
                "kind": kind,
                "error": f"{type(error).__name__}: {str(error)[:500]}",
                "where": where_in(error),
                "trace": "".join(traceback.format_exception(error))[-20_000:],
            }
            findings.write(json.dumps(told) + "\n")
            findings.flush()

        for index in range(first, last):
            data = target.make(randomness(seed, target.name, index))
            note(index)
            began = time.process_time()
            try:
                counts[target.attempt(data)] += 1
                if (index + 1) % _LOOKED_AFTER_EVERY == 0:
                    target.looked_after()
            except ServerFaultError as error:
                found(index, "5xx", error)
            except Exception as error:  # noqa: BLE001 - this is what is looked for
                found(index, "crash", error)
            seconds = time.process_time() - began
            if seconds > slowest:
                slowest, slowest_index = seconds, index
            if seconds > HANG_SECONDS:
                found(index, "hang", BrokenPromiseError(f"it took {seconds:.1f} s"))
        note(last - 1)
        try:
            target.looked_after()
        except Exception as error:  # noqa: BLE001 - as above
            found(last - 1, "crash", error)
        note(_IDLE)


def _bound_memory(memory_bytes: int | None) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, hard))


# --- the process that watches ---


@dataclass(slots=True)
class Watch:
    """Tries inputs of one target in processes of their own.

    ``command`` starts a process that calls :func:`work` with the arguments that follow; ``folder`` gets a file for each
    finding; at ``ends_at`` (``time.monotonic()``) the rest is left.
    """

    address: str
    seed: int
    folder: Path
    command: list[str]
    hang_seconds: float = HANG_SECONDS
    stuck_seconds: float = STUCK_SECONDS
    ends_at: float = math.inf
    _target: Target = field(init=False)
    _result: Result = field(init=False)

    def run(self, inputs: int) -> Result:
        """Try the inputs 0 up to ``inputs`` and return what came of them."""
        self._target = named(self.address)
        self._result = Result(target=self._target.name, group=self._target.group)
        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        first = 0
        while first < inputs and time.monotonic() < self.ends_at:
            first = self._life(first, inputs)
        self._result.seconds = time.monotonic() - began
        return self._result

    def _life(self, first: int, last: int) -> int:
        """Start a process at ``first``; return the number behind the last input that it came to."""
        result, each = self._result, self._target.requests_each
        slate_path, findings_path, log_path = (
            self.folder / f".{self._target.name}.{kind}" for kind in ("slate", "findings", "log")
        )
        slate_path.write_bytes(_SLATE.pack(first - 1, 0.0, 0, 0, 0, 0.0, -1))
        findings_path.write_bytes(b"")
        slate = _Slate(slate_path)
        numbers = [self.address, str(self.seed), str(first), str(last), str(slate_path), str(findings_path)]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*self.command, *numbers], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
            fate = self._attended(process, slate, first - 1)
        index, _, *counts, slowest, slowest_index = slate.read()
        for outcome, count in zip(Outcome, counts, strict=True):
            result.add_outcomes({outcome.value: int(count) * each})
        if slowest > result.slowest_seconds:
            result.slowest_seconds, result.slowest_index = slowest, slowest_index
        for line in findings_path.read_text("utf-8").splitlines():
            told = json.loads(line)
            trace = told.pop("trace")
            self._keep(Finding(target=result.target, **told), trace)
        log_text = log_path.read_text("utf-8", "replace")[-20_000:]
        for path in (slate_path, findings_path, log_path):
            path.unlink()
        reached = last if index == _IDLE else index + 1
        if reached == first and fate in {"crash", "hang"}:
            raise RuntimeError(f"The process for {result.target} came to no input:\n{log_text}")
        result.inputs += (reached - first) * each
        if fate in {"crash", "hang"}:
            words = "it did not end" if fate == "hang" else f"the process ended with {process.returncode}"
            where = _last_frame(log_text)
            self._keep(
                Finding(target=result.target, kind=fate, error=words, where=where, index=reached - 1),
                log_text,
            )
        return last if fate == "out of time" else reached

    def _attended(self, process: subprocess.Popen[bytes], slate: _Slate, before: int) -> str:
        """Wait for a process: ``done``, ``crash``, ``hang``, or ``out of time``."""
        seen = psutil.Process(process.pid)
        index, since = before, time.monotonic()
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            current, cpu_began, *_ = slate.read()
            if current != index:
                index, since = current, now
            if now > self.ends_at:
                _end(seen, process, tell=False)
                return "out of time"
            if index == before:
                limit, computed = _STARTING_SECONDS, 0.0
            else:
                try:
                    times = seen.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                limit, computed = self.stuck_seconds, times.user + times.system - cpu_began
            if computed > self.hang_seconds or now - since > limit:
                _end(seen, process, tell=True)
                return "hang"
        return "done" if process.returncode == 0 else "crash"

    def _keep(self, finding: Finding, trace: str) -> None:
        """Count a finding; keep the input of the first of its kind, with what happened beside it."""
        for known in self._result.findings:
            if (known.kind, known.where) == (finding.kind, finding.where):
                known.count += 1
                return
        name = f"{finding.target}-{self.seed}-{finding.index}-{finding.kind}"
        data = self._target.make(randomness(self.seed, finding.target, finding.index))
        (self.folder / f"{name}.input").write_bytes(data)
        (self.folder / f"{name}.txt").write_text(
            f"{finding.kind} in {finding.where}\n{finding.error}\n\nAgain:\n  "
            f"python tests/fuzz/campaign.py --again {finding.target} {name}.input\n\n{trace}",
            "utf-8",
            "replace",
        )
        finding.reproducer = f"{name}.input"
        self._result.findings.append(finding)


def _end(seen: psutil.Process, process: subprocess.Popen[bytes], *, tell: bool) -> None:
    """Kill a process and those that it started, after it wrote where it is."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = seen.children(recursive=True)
    if tell and os.name == "posix":
        process.send_signal(signal.SIGABRT)  # faulthandler writes the stack of every thread
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    process.kill()
    process.wait()
    for child in family:
        with contextlib.suppress(psutil.Error):
            child.kill()


def _last_frame(log: str) -> str:
    """Return the innermost frame of the program in what faulthandler wrote."""
    frames = [line.strip() for line in log.splitlines() if line.strip().startswith("File ")]
    ours = [frame for frame in frames if "allie_desktop" in frame] or frames
    return ours[0] if ours else "?"

"""One worker process: its start, its pipes, its signals and its end.

Three threads serve the pipes, so that no pipe that is full or silent can block anybody: one reads stdout
into lines, one drains stderr into the log, one writes commands. A worker is the leader of its own
session, where the platform has sessions: Ctrl+C in a terminal must reach the program alone, which then
lets the worker write its checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import site
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import IO

import psutil

from allie_desktop.domain.json_text import parse_json
from allie_desktop.ipc.protocol import MAXIMUM_LINE_BYTES
from allie_desktop.ipc.worker_log import WorkerLog

_POSIX = os.name == "posix"
_CHUNK_BYTES = 64 * 1024
_WAITING_LINES = 64  # a worker that talks faster than anybody listens waits at its pipe
_PID_FILE = "worker.pid"
_SAME_START_SECONDS = 2.0

# A machine under load may keep a new process waiting for so long before its arguments are there.
_EXEC_SECONDS = 5.0
_DEATH_SECONDS = 30.0  # after SIGKILL; only a process stuck in the kernel takes longer


class Silence(Enum):
    """What may come instead of a line."""

    NOTHING_YET = "nothing yet"
    END = "end"  # the worker closed its stdout, mostly by ending


def worker_command(job: Path) -> tuple[str, ...]:
    """Return the command that starts the program's own worker on a job, also in a frozen build."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "worker", str(job))
    return (sys.executable, "-m", "allie_desktop", "worker", str(job))


def worker_environment() -> dict[str, str]:
    """Return the environment for :func:`worker_command`.

    A worker runs in its episode's folder, never where the person happens to be: ``python -m`` would import
    modules from there. A checkout that is not installed is therefore named in ``PYTHONPATH``.
    """
    environment = dict(os.environ)
    environment["PYTHONFAULTHANDLER"] = "1"  # a crash in native code says where, in the log
    environment["PYTHONUNBUFFERED"] = "1"
    if not getattr(sys, "frozen", False):
        package_parent = str(Path(__file__).resolve().parents[2])
        installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
        if package_parent not in installed:
            others = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package_parent, others)))
    return environment


class WorkerProcess:
    """A started worker. The constructor raises :class:`OSError` when it cannot be started.

    ``next_line`` and ``close`` belong to one thread; everything else may be called from any, at any
    time, also after the end.
    """

    def __init__(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: WorkerLog
    ) -> None:
        self._log = log
        self._folder = folder
        self._lock = threading.RLock()
        self._closed = False
        self._frozen = False
        self._lines: queue.Queue[bytes | None] = queue.Queue(_WAITING_LINES)
        self._closing = threading.Event()
        self._commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._popen = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            bufsize=0,
            start_new_session=_POSIX,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
            | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._handle: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._handle = psutil.Process(self._popen.pid)
            _write_pid(folder, self._handle)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._threads = (
            threading.Thread(target=self._read, args=(self._popen.stdout,), name="worker-out", daemon=True),
            threading.Thread(target=self._drain, args=(self._popen.stderr,), name="worker-err", daemon=True),
            threading.Thread(target=self._feed, args=(self._popen.stdin,), name="worker-in", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def frozen(self) -> bool:
        """Whether it is suspended now."""
        return self._frozen

    def next_line(self, timeout_seconds: float) -> bytes | Silence:
        """Return the next line of stdout without its newline, or what there is instead of one."""
        try:
            line = self._lines.get(timeout=timeout_seconds)
        except queue.Empty:
            return Silence.NOTHING_YET
        return Silence.END if line is None else line

    def has_ended(self) -> bool:
        """Whether the process itself is over (its children may not be). Never blocks."""
        with self._lock:
            if self._popen.returncode is not None:
                return True
            if not hasattr(os, "waitid"):
                return self._popen.poll() is not None
            # Not reaped yet: its number stays taken, so that nobody else can be hit by a late signal.
            try:
                return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            except ChildProcessError:
                return True

    def write(self, line: bytes) -> None:
        """Send a line to its stdin; never blocks, and is silent when nobody reads."""
        self._commands.put(line)

    def suspend(self) -> None:
        """Freeze the process and all it started."""
        with self._lock:
            if not self._reachable():
                return
            self._frozen = True
            self._signal_tree(psutil.Process.suspend)

    def unfreeze(self) -> None:
        """Let them all go on."""
        with self._lock:
            if self._frozen and self._reachable():
                self._signal_tree(psutil.Process.resume)
            self._frozen = False

    def terminate(self) -> None:
        """Ask the operating system to end it in the orderly way, where it has one."""
        with self._lock:
            self.unfreeze()
            if self._handle is not None and self._reachable():
                with contextlib.suppress(psutil.Error):
                    self._handle.terminate()

    def kill(self) -> None:
        """End it and all it started, at once."""
        with self._lock:
            if not self._closed:
                self._signal_tree(psutil.Process.kill)
                self._kill_group()

    def close(self) -> int | None:
        """Wait for the end of a process that has ended or was killed, end what it left behind, and return
        its return code (negative: a signal's number; None: the kernel does not let it go)."""
        with self._lock:
            self._kill_group()
            self._closed = True  # from here on no signal is sent: the number may belong to another soon
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(_DEATH_SECONDS)
        _remove_pid(self._folder)
        self._closing.set()
        self._commands.put(None)
        for thread in self._threads:
            # Something that left the worker's session may hold a pipe open; its thread ends with it.
            thread.join(timeout=1.0)
        return self._popen.returncode

    # --- inside ---

    def _reachable(self) -> bool:
        return not self._closed and self._popen.returncode is None and self._handle is not None

    def _signal_tree(self, send: Callable[[psutil.Process], object]) -> None:
        # The parent first, so that it starts nothing more; then whatever it had started.
        if self._handle is None:
            return
        done: set[int] = set()
        with contextlib.suppress(psutil.Error):
            family = self._handle.children(recursive=True) if send is psutil.Process.kill else []
            send(self._handle)
            for process in [*family, *self._handle.children(recursive=True)]:
                if process.pid not in done:
                    done.add(process.pid)
                    with contextlib.suppress(psutil.Error):
                        send(process)

    def _kill_group(self) -> None:
        if _POSIX and self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout, contextlib.suppress(OSError):
            rest = bytearray()
            dropped = 0
            while chunk := os.read(stdout.fileno(), _CHUNK_BYTES):
                *lines, last = chunk.split(b"\n")
                for line in lines:
                    rest += line
                    if dropped or len(rest) > MAXIMUM_LINE_BYTES:
                        self._log.note(f"ignored a line of {dropped + len(rest):,} bytes on stdout")
                    else:
                        self._put(bytes(rest))
                    rest.clear()
                    dropped = 0
                rest += last
                if len(rest) > MAXIMUM_LINE_BYTES:
                    dropped += len(rest)
                    rest.clear()
            if rest and not dropped:
                self._put(bytes(rest))
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        while True:
            try:
                return self._lines.put(line, timeout=0.1)
            except queue.Full:
                if self._closing.is_set():
                    return None

    def _drain(self, stderr: IO[bytes]) -> None:
        with stderr, contextlib.suppress(OSError):
            while chunk := os.read(stderr.fileno(), _CHUNK_BYTES):
                self._log.write(chunk)

    def _feed(self, stdin: IO[bytes]) -> None:
        with contextlib.suppress(OSError), stdin:  # in this order: closing a broken pipe raises too
            while (line := self._commands.get()) is not None:
                view = memoryview(line)
                while view:
                    view = view[stdin.write(view) :]


def end_leftover(folder: Path, *, grace_seconds: float) -> bool:
    """End a worker whose parent died without it; return whether there was one.

    It has seen the end of its stdin and is writing its checkpoint, which ``grace_seconds`` leave time for.
    A process is taken for the worker only if number, start time and command line all agree.
    """
    worker = _recorded(folder)
    if worker is not None:
        with contextlib.suppress(psutil.Error):
            family = [worker, *worker.children(recursive=True)]
            for member in family:
                member.resume()  # it may have been frozen when its parent died
            _, alive = psutil.wait_procs(family, timeout=grace_seconds)
            for member in alive:
                member.kill()
            psutil.wait_procs(alive, timeout=_DEATH_SECONDS)
    _remove_pid(folder)
    return worker is not None


def _recorded(folder: Path) -> psutil.Process | None:
    try:
        record = parse_json((folder / _PID_FILE).read_bytes())
        process = psutil.Process(int(record["pid"]))
        if abs(process.create_time() - float(record["started"])) > _SAME_START_SECONDS:
            return None
        if process.cmdline() != record["command"] or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, psutil.Error):
        return None
    return process


def available_memory_bytes() -> int:
    """Return the memory that a new process can take without swapping."""
    return int(psutil.virtual_memory().available)


def _command_line(process: psutil.Process) -> list[str]:
    """Return a young process's command line.

    Linux tells the parent of a successful exec a moment before it shows the new arguments.
    """
    ends = time.monotonic() + _EXEC_SECONDS
    line: list[str] = process.cmdline()
    while not line and time.monotonic() < ends:
        time.sleep(0.002)
        line = process.cmdline()
    return line


def _write_pid(folder: Path, process: psutil.Process) -> None:
    record = {"pid": process.pid, "started": process.create_time(), "command": _command_line(process)}
    with contextlib.suppress(OSError):
        (folder / _PID_FILE).write_text(json.dumps(record), encoding="utf-8")


def _remove_pid(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / _PID_FILE).unlink(missing_ok=True)

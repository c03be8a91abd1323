"""Trying a new version in a process of its own: whoever deploys needs neither torch nor its memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from allie_desktop.domain.errors import AllieError, OutOfMemoryError, ProbeError, VersionCorruptError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.ipc.process import worker_environment

_LONGEST_ERROR = 2000


def probe_command(adapter: Path) -> tuple[str, ...]:
    """Return the command that tries an adapter, also in a frozen build."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "probe", str(adapter))
    return (sys.executable, "-m", "allie_desktop", "probe", str(adapter))


class ProcessProbe:
    """:class:`domain.ports.AdapterProbe` over a process. :meth:`probe` blocks; the rest is for any thread."""

    def __init__(
        self,
        *,
        command: Callable[[Path], Sequence[str]] = probe_command,
        environment: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> None:
        """``seconds``: how long it may take, frozen or not."""
        self._command = command
        self._environment = environment
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: psutil.Popen | None = None
        self._frozen = False

    def probe(self, adapter: Path) -> tuple[str, ...]:
        """See :meth:`domain.ports.AdapterProbe.probe`."""
        environment = worker_environment() if self._environment is None else dict(self._environment)
        with self._lock:
            try:
                process = psutil.Popen(
                    list(self._command(adapter)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    cwd=adapter,
                    start_new_session=os.name == "posix",
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as error:
                raise ProbeError(
                    f"The new version could not be tried: {error.strerror or error}.", "Install Allie again."
                ) from error
            self._process = process
            if self._frozen:
                _signal(process, freeze=True)
        try:
            out, err = process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            raise ProbeError("The new version took too long to answer.", "It is tried again later.") from None
        finally:
            with self._lock:
                self._process = None
            with contextlib.suppress(psutil.Error):
                process.kill()
            process.communicate()  # closes the pipes, too
        return _answers(process.returncode, out, err)

    def suspend(self) -> None:
        """Freeze it at once, or as soon as it starts."""
        with self._lock:
            self._frozen = True
            if self._process is not None:
                _signal(self._process, freeze=True)

    def unfreeze(self) -> None:
        """Let it go on."""
        with self._lock:
            self._frozen = False
            if self._process is not None:
                _signal(self._process, freeze=False)


def _signal(process: psutil.Popen, *, freeze: bool) -> None:
    with contextlib.suppress(psutil.Error):
        if freeze:
            process.suspend()
        else:
            process.resume()


def _answers(code: int, out: bytes, err: bytes) -> tuple[str, ...]:
    try:
        said = parse_json(out)
        if code == 0 and "answers" in said:
            return tuple(map(str, said["answers"]))
        message, remedy, kind = str(said["message"]), str(said["remedy"]), str(said["kind"])
    except (ValueError, KeyError, TypeError):
        tail = err[-_LONGEST_ERROR:].decode("utf-8", "replace").strip().splitlines()
        raise ProbeError(
            f"The new version could not be tried (code {code}{f': {tail[-1]}' if tail else ''}).",
            "It is tried again later.",
        ) from None
    if kind == VersionCorruptError.__name__:
        raise VersionCorruptError(message, remedy)
    if kind == OutOfMemoryError.__name__:
        raise OutOfMemoryError(message, remedy)
    raise AllieError(message, remedy)

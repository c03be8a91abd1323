"""The chat process as the tray sees it: started on demand, started again when it dies, ended with the program.

It is the program's own ``serve`` command in a process of its own, so that neither a crash of native code nor
the model's memory is ever the windows' problem. It says on its first line where it listens; it ends by
itself when this program is gone, since its stdin ends then.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.ipc.process import Silence, WorkerProcess, worker_environment
from allie_desktop.ipc.worker_log import WorkerLog

_log = logging.getLogger(__name__)

_LISTEN_SECONDS = 30.0  # from the start to the first line, on a machine that is busy with other things
_END_SECONDS = 8.0  # from SIGTERM to SIGKILL; replies in the making have some of it
_FIRST_REST_SECONDS = 0.25
_LONGEST_REST_SECONDS = 30.0
_STEADY_SECONDS = 60.0  # who ran for so long may crash as if for the first time
_LOOK_SECONDS = 0.2


class ChatUnavailableError(AllieError):
    """The chat process does not run."""


class ChatProcessState(str, Enum):
    """Where the chat process stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RESTING = "resting"  # it crashed; it is started again after a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAddress:
    """Where the chat process listens (without ``/v1``), and the token it wants."""

    url: str
    token: str


def chat_command(port: int | None = None) -> tuple[str, ...]:
    """Return the command that serves chat, also in a frozen build; without a ``port`` at that of the
    preferences, or at any other when that one is taken."""
    program = (sys.executable,) if getattr(sys, "frozen", False) else (sys.executable, "-m", "allie_desktop")
    chosen = () if port is None else ("--port", str(port))
    return (*program, "serve", "--json", "--with-parent", *chosen)


class ChatProcess:
    """Keeps one chat process running between :meth:`start` and :meth:`stop`. Any thread.

    ``folder`` (made when it is not there) is its working folder; its stderr goes to ``log_file``, bounded.
    ``on_change`` is called after each change of :attr:`state`, in a thread of this object's own: it must
    neither block nor raise.
    """

    def __init__(
        self,
        *,
        folder: Path,
        log_file: Path,
        command: Sequence[str] | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._log = WorkerLog(log_file)
        self._command = tuple(chat_command() if command is None else command)
        self._on_change = on_change
        self._changed = threading.Condition()
        self._state = ChatProcessState.STOPPED
        self._address: ChatAddress | None = None
        self._problem = ""
        self._process: WorkerProcess | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def state(self) -> ChatProcessState:
        """Where it stands."""
        return self._state

    @property
    def current_address(self) -> ChatAddress | None:
        """Where it listens now; None while it does not. Perhaps another one after each start."""
        return self._address

    @property
    def pid(self) -> int | None:
        """The number of the process, None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        """Have it running from now on; returns at once, and does nothing when it runs."""
        with self._changed:
            if self._thread is not None and not self._stopping.is_set():
                self._changed.notify_all()  # somebody needs it: no more resting
                return
            before = self._thread
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._supervise, args=(before, self._stopping), name="chat-process", daemon=True
            )
            self._state = ChatProcessState.STARTING
            self._thread.start()

    def address(self, timeout_seconds: float = _LISTEN_SECONDS) -> ChatAddress:
        """Start it when it does not run, wait until it listens, and return where. Raise
        :class:`ChatUnavailableError` when that takes too long."""
        self.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._address is not None or self._stopping.is_set(), timeout_seconds
            )
            if self._address is None:
                raise ChatUnavailableError(
                    "Allie's chat process does not start." + (f" {self._problem}" if self._problem else ""),
                    "Its log is chat.log in Allie's log folder.",
                )
            return self._address

    def stop(self) -> None:
        """End it for good, giving replies in the making a moment; returns when it is gone."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            with self._changed:
                if self._thread is thread:
                    self._thread = None

    # --- in the thread of its own ---

    def _supervise(self, before: threading.Thread | None, stopping: threading.Event) -> None:
        if before is not None:
            before.join()
        rest_seconds = _FIRST_REST_SECONDS
        while not stopping.is_set():
            began = time.monotonic()
            self._run_once(stopping)
            if stopping.is_set():
                break
            if time.monotonic() - began > _STEADY_SECONDS:
                rest_seconds = _FIRST_REST_SECONDS
            self._tell(ChatProcessState.RESTING)
            with self._changed:
                self._changed.wait(rest_seconds)
            rest_seconds = min(2 * rest_seconds, _LONGEST_REST_SECONDS)
        self._tell(ChatProcessState.STOPPED)

    def _run_once(self, stopping: threading.Event) -> None:
        self._tell(ChatProcessState.STARTING)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            process = WorkerProcess(
                self._command, folder=self._folder, environment=worker_environment(), log=self._log
            )
        except OSError as error:
            self._problem = f"It cannot be started: {(error.strerror or type(error).__name__).lower()}."
            _log.error("the chat process cannot be started: %s", error)
            return
        self._process = process
        try:
            self._watch(process, stopping)
        finally:
            if not process.has_ended():
                process.kill()
            code = process.close()
            self._process = None
            if not stopping.is_set():
                self._problem = self._problem or f"It ended with code {code}."
                _log.warning("the chat process ended by itself (code %s)", code)

    def _watch(self, process: WorkerProcess, stopping: threading.Event) -> None:
        """Return when the process has ended, or has to be killed."""
        ends = time.monotonic() + _LISTEN_SECONDS
        asked_to_end = False
        self._problem = ""
        while True:
            line = process.next_line(_LOOK_SECONDS)
            if line is Silence.END or (line is Silence.NOTHING_YET and process.has_ended()):
                return
            if stopping.is_set() and not asked_to_end:
                asked_to_end = True
                process.terminate()
                ends = time.monotonic() + _END_SECONDS
            if isinstance(line, bytes) and self._address is None:
                self._read(line)
            elif (self._address is None or asked_to_end) and time.monotonic() > ends:
                self._log.note("it did not listen" if self._address is None else "it did not end")
                return

    def _read(self, line: bytes) -> None:
        """Take in the line that says where it listens, or why it cannot."""
        try:
            said = parse_json(line)
            if "error" in said:
                self._problem = str(said["error"]["message"])
                return
            token = Path(said["token_file"]).read_text("ascii").strip()
            address = ChatAddress(url=str(said["url"]), token=token)
        except (ValueError, KeyError, TypeError, OSError):
            self._log.note("ignored a line that says no address")
            return
        self._tell(ChatProcessState.RUNNING, address)

    def _tell(self, state: ChatProcessState, address: ChatAddress | None = None) -> None:
        with self._changed:
            self._state = state
            self._address = address
            self._changed.notify_all()
        with contextlib.suppress(Exception):  # a listener's mistake must not end the chat
            self._on_change()

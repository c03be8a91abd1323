"""The supervised chat process, as the window's thread sees it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from PySide6.QtCore import QObject, Qt, Signal

from allie_desktop.domain.errors import AllieError
from allie_desktop.ui.chat.ports import Endpoint, ServerPhase, ServerState

#: Ends in a row without once listening after which the person is told; it is still tried again.
_VAIN_STARTS = 2

_REMEDY = "Its log is chat.log in Allie's log folder."


class Address(Protocol):
    """Where a process listens."""

    @property
    def url(self) -> str:
        """Without a path."""

    @property
    def token(self) -> str:
        """What it wants to be shown."""


class SupervisedProcess(Protocol):
    """A chat process that is started again when it dies. Any thread; states are called stopped, starting,
    running and resting (it crashed and is started again after a moment)."""

    @property
    def state(self) -> Enum:
        """Where it stands."""

    @property
    def current_address(self) -> Address | None:
        """Where it listens now; None while it does not."""

    def start(self) -> None:
        """Have it running from now on; returns at once."""

    def address(self, timeout_seconds: float) -> Address:
        """Wait for it; raise :class:`AllieError`, which says what is wrong, when it does not listen."""


class BackgroundServer(QObject):
    """Implements :class:`ui.chat.ports.ChatServer`. ``make`` gets what is to be called, in any thread, after
    each change, and returns the process. GUI thread."""

    _changed = Signal()

    def __init__(
        self, make: Callable[[Callable[[], None]], SupervisedProcess], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._state = ServerState(phase=ServerPhase.STOPPED)
        self._watchers: list[Callable[[ServerState], None]] = []
        self._vain = 0
        self._changed.connect(self._on_changed, Qt.ConnectionType.QueuedConnection)
        self._process = make(self._changed.emit)

    @property
    def state(self) -> ServerState:
        """See the port."""
        return self._state

    def start(self) -> None:
        """See the port."""
        if self._state.phase not in (ServerPhase.STARTING, ServerPhase.READY):
            self._vain = 0
            self._change(ServerState(phase=ServerPhase.STARTING))
        self._process.start()
        self._on_changed()

    def watch(self, watcher: Callable[[ServerState], None]) -> Callable[[], None]:
        """See the port."""
        self._watchers.append(watcher)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return end

    def _on_changed(self) -> None:
        name = str(self._process.state.value)
        address = self._process.current_address
        if name == "running" and address is not None:
            self._vain = 0
            endpoint = Endpoint(url=address.url, token=address.token)
            self._change(ServerState(phase=ServerPhase.READY, endpoint=endpoint))
        elif name == "stopped":
            if self._state.phase is not ServerPhase.STOPPED:
                self._change(ServerState(phase=ServerPhase.STOPPED))
        elif name == "resting":
            self._vain += 1
            if self._vain == _VAIN_STARTS:
                self._change(ServerState(phase=ServerPhase.FAILED, problem=self._problem()))
            elif self._vain < _VAIN_STARTS:
                self._change(ServerState(phase=ServerPhase.STARTING))
        elif self._vain < _VAIN_STARTS:
            self._change(ServerState(phase=ServerPhase.STARTING))

    def _problem(self) -> str:
        try:
            self._process.address(0.0)
        except AllieError as error:
            return str(error)
        return f"Allie's chat process does not start. {_REMEDY}"

    def _change(self, state: ServerState) -> None:
        if state != self._state:
            self._state = state
            for watcher in tuple(self._watchers):
                watcher(state)

"""The whole chat process, from its first look at the versions to its last recorded word."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from allie_desktop.domain.ports import Clock, ExchangeRecorder, VersionRouter
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.server import ApiServer
from allie_desktop.inference.api.service import ChatService
from allie_desktop.inference.api.upkeep import KeptVersions, Upkeep

_log = logging.getLogger(__name__)

_THREADS_SECONDS = 3.0  # that replies which were cut have to end and to be recorded
_UPKEEP_SECONDS = 1.0


class ClosableVersions(KeptVersions, Protocol):
    """Versions that can be closed for good; see ``inference.live``."""

    def close(self) -> None:
        """Free everything."""


class ChatServer:
    """Listens from the beginning and loads the model meanwhile. ``busy`` is entered by each thread that
    generates; ``short_of_memory`` says whether other programs need the model's memory more; ``chore`` is
    called about once a second, in a thread of its own. ``listener`` becomes its own."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        token: str,
        live: ClosableVersions,
        router: VersionRouter,
        recorder: ExchangeRecorder,
        versions: Callable[[], Sequence[tuple[str, int]]],
        clock: Clock,
        busy: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
        short_of_memory: Callable[[], bool] = lambda: False,
        chore: Callable[[], object] = lambda: None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._live = live
        self.service = ChatService(
            live=live,
            router=router,
            recorder=recorder,
            versions=versions,
            clock=clock,
            limits=limits,
            busy=busy,
        )
        self._upkeep = Upkeep(
            self.service, live, router, clock=clock, short_of_memory=short_of_memory, chore=chore
        )
        self._server = ApiServer(self.service, Access(token), limits, listener)

    @property
    def url(self) -> str:
        """Where it listens, without ``/v1``."""
        return self._server.url

    def run(self, on_ready: Callable[[], None] = lambda: None) -> bool:
        """Serve until :meth:`stop` or a signal, then close the engines. False when something still runs
        that could not be ended: the caller should leave without waiting for it."""

        def ready() -> None:
            self._upkeep.start()
            on_ready()

        try:
            self._server.run(ready)
        finally:
            still = self.service.wait_for_threads(_THREADS_SECONDS)
            quiet = self._upkeep.stop(_UPKEEP_SECONDS)
            if still and quiet:
                self._live.close()
            else:
                _log.warning("something is still at work while the chat service ends")
        return still and quiet

    def stop(self) -> None:
        """End :meth:`run`; any thread, any time."""
        self._server.stop()

"""The running service: its socket, its signals, and an end in which nobody loses a reply."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from allie_desktop.domain.errors import AllieError
from allie_desktop.inference.api.app import build_app
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.protocol import guarded
from allie_desktop.inference.api.service import ChatService

_log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_BACKLOG = 256
_HEADER_BYTES = 64 * 1024
_SENDING_SECONDS = 2  # for the last words of replies that were cut


class PortTakenError(AllieError):
    """Another program listens at this port."""


def open_socket(port: int) -> socket.socket:
    """Return a socket that is bound to the loopback interface; 0 is any free port. Raise
    :class:`PortTakenError`, or :class:`AllieError` when the port may not be used at all."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would share the port with whoever has it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except PermissionError as error:
        listener.close()
        raise AllieError(
            f"Port {port} may not be used by you.", "Choose one above 1023: allie serve --port 8531."
        ) from error
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"Port {port} is in use by another program, perhaps by another Allie.",
            "Choose another one with allie serve --port N (0: any free one), or for good with "
            "allie settings set api_port N.",
        ) from error
    return listener


class ApiServer:
    """Serves one :class:`ChatService` on a bound socket, which becomes its own."""

    def __init__(self, service: ChatService, access: Access, limits: Limits, listener: socket.socket) -> None:
        self._service = service
        self._limits = limits
        self._listener = listener
        config = uvicorn.Config(
            build_app(service, access, limits),
            http=guarded(limits),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=int(limits.keep_alive_seconds),
            timeout_graceful_shutdown=int(limits.closing_seconds) + _SENDING_SECONDS,
            h11_max_incomplete_event_size=_HEADER_BYTES,
        )
        self._server = _Server(config, service, limits)

    @property
    def url(self) -> str:
        """Where it listens, without ``/v1``."""
        return f"http://{_HOST}:{self._listener.getsockname()[1]}"

    def run(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Serve until :meth:`stop`, or until SIGTERM or SIGINT when this is the main thread; ``on_ready`` is
        called once it listens. Replies in the making then have some seconds; what there is of the others
        is recorded."""
        self._server.on_ready = on_ready
        with contextlib.closing(self._listener):
            asyncio.run(self._server.serve(sockets=[self._listener]))

    def stop(self) -> None:
        """End :meth:`run` soon; any thread, any time."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: ChatService, limits: Limits) -> None:
        super().__init__(config)
        self.on_ready: Callable[[], None] = lambda: None
        self._service = service
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.refuse()
        loop = asyncio.get_running_loop()
        cutting = loop.call_later(self._limits.closing_seconds, self._service.cut)
        try:
            await super().shutdown(sockets)
        finally:
            cutting.cancel()
            self._service.cut()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would send itself the signal once more in the end, and the exit code would tell of it.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGBREAK"):
            wanted.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self._leave) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        del frame
        _log.info("told to end (%s)", signal.Signals(number).name)
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True

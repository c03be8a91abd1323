"""HTTP connections with a time limit: who sends half a request must not keep a place for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from allie_desktop.inference.api.errors import ApiError, bad_request
from allie_desktop.inference.api.limits import Limits

_log = logging.getLogger(__name__)

#: Where a request's scope keeps a function that drops its connection, whatever is still unsent.
ABORT = "allie.abort"


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with a time limit for headers, a bound on connections, and errors as JSON."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, {**app_state, ABORT: self._abort}, _loop)
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See :class:`asyncio.Protocol`."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(
                ApiError(
                    503, "There are too many connections.", code="too_many_connections", kind="server_error"
                ),
                b"503 Service Unavailable",
            )
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_headers()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        del msg
        self._refuse(
            bad_request("This is not a valid HTTP request.", code="invalid_http"), b"400 Bad Request"
        )

    def _wait_for_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.limits.header_seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _late(self) -> None:
        self._header_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._refuse(
                ApiError(408, "The request did not come in time.", code="request_timeout"),
                b"408 Request Timeout",
            )

    def _refuse(self, error: ApiError, status: bytes) -> None:
        # Written by hand: after a protocol error h11 may be in no state to say anything.
        self._stop_waiting()
        if getattr(self.cycle, "response_complete", True):  # None before the first request
            body = error.body
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (status, len(body), body)
            )
        _log.info("refused a connection: %s", error.code)
        self.transport.close()

    def _abort(self) -> None:
        with contextlib.suppress(Exception):
            self.transport.abort()


def guarded(limits: Limits) -> type[GuardedProtocol]:
    """Return the protocol with these limits."""
    return type("LimitedProtocol", (GuardedProtocol,), {"limits": limits})

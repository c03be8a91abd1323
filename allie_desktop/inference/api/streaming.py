"""A reply on its way to the client: whole, or piece by piece as server-sent events.

Server-sent events are written here and not through a library because the last piece of a text must not leave
before it is recorded, and because a client that goes away, at any moment, must end the generation.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from allie_desktop.domain.chat import TextPiece
from allie_desktop.inference.api.errors import ApiError
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.pipe import Begun
from allie_desktop.inference.api.protocol import ABORT
from allie_desktop.inference.api.replies import DONE, Answer, Letterhead, error_event
from allie_desktop.inference.api.requests import Asked
from allie_desktop.inference.api.service import ChatService, Reply

_log = logging.getLogger(__name__)


class ReplyResponse(Response):
    """Asks the service for a reply once it is sent itself, and stops the reply when the client goes."""

    def __init__(
        self, service: ChatService, asked: Asked, limits: Limits, *, kind: Literal["chat", "completion"]
    ) -> None:
        self._service = service
        self._asked = asked
        self._kind: Literal["chat", "completion"] = kind
        self._patience_seconds = limits.slow_client_seconds
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply; raise :class:`ApiError` while nothing of it has been sent."""
        answering = asyncio.create_task(self._answer(send))
        leaving = asyncio.create_task(_departure(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone = not answering.done()
            answering.cancel()
            leaving.cancel()
            await asyncio.wait((answering, leaving))
        if gone:
            _log.info("a client left before its answer was whole")
            return
        try:
            answering.result()
        except TimeoutError:
            _log.info("a client took nothing for %g s and was left", self._patience_seconds)
            scope.get("state", {}).get(ABORT, lambda: None)()
            await asyncio.sleep(0)

    async def _answer(self, send: Send) -> None:
        reply = await self._service.begin(self._asked)
        try:
            if self._asked.stream:
                await self._stream(reply, send)
            else:
                await self._send_whole(reply, send)
        finally:
            reply.cancel()

    async def _send_whole(self, reply: Reply, send: Send) -> None:
        version = ""
        while True:
            for part in await reply.parts():
                if isinstance(part, Begun):
                    version = part.version
                elif isinstance(part, ApiError):
                    raise part
                elif isinstance(part, Answer):
                    body = self._letterhead(reply, version).whole(part)
                    headers = self._reply_headers(version, part.conversation_id)
                    if part.end.dropped_messages:
                        headers.append((b"x-allie-dropped-messages", b"%d" % part.end.dropped_messages))
                    headers.append((b"content-type", b"application/json"))
                    headers.append((b"content-length", b"%d" % len(body)))
                    await self._start(send, headers)
                    await self._write(send, body, more=False)
                    return

    async def _stream(self, reply: Reply, send: Send) -> None:
        """Send pieces as they come; the first at once, each further one when the next is there, so that the
        last one leaves together with the end, and the end only after the recording."""
        letterhead: Letterhead | None = None
        version, kept, started = "", "", False
        while True:
            texts: list[str] = []
            last: Answer | ApiError | None = None
            for part in await reply.parts():
                if isinstance(part, Begun):
                    version = part.version
                    letterhead = self._letterhead(reply, version)
                elif isinstance(part, TextPiece):
                    texts.append(part.text)
                else:
                    last = part
            if isinstance(last, ApiError) and not started and not texts:
                raise last
            if letterhead is None or not (texts or last):
                continue
            out = b""
            if not started:
                headers = [
                    *self._reply_headers(version, self._asked.conversation_id),
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                ]
                await self._start(send, headers)
                out = letterhead.opening()
            elif last is None and texts:
                kept, texts = texts[-1], [kept, *texts[:-1]]
            if last is not None:
                texts, kept = [kept, *texts], ""
            started = True
            if text := "".join(texts):
                out += letterhead.piece(text)
            if isinstance(last, Answer):
                out += letterhead.closing(last, include_usage=self._asked.include_usage)
            elif last is not None:
                out += error_event(last.document) + DONE
            if out:
                await self._write(send, out, more=last is None)
            if last is not None:
                return

    def _letterhead(self, reply: Reply, version: str) -> Letterhead:
        return Letterhead(
            kind=self._kind,
            response_id=reply.response_id,
            created=int(reply.started_at.timestamp()),
            model=self._asked.model,
            version=version,
        )

    def _reply_headers(self, version: str, conversation_id: str | None) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-allie-version", version.encode())]
        if conversation_id is not None:
            headers.append((b"x-allie-conversation", conversation_id.encode("ascii", "replace")))
        return headers

    async def _start(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        with anyio.fail_after(self._patience_seconds):
            await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, send: Send, body: bytes, *, more: bool) -> None:
        with anyio.fail_after(self._patience_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def _departure(receive: Receive) -> None:
    """Return when the client goes."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return

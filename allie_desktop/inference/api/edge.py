"""The outermost layer of the application: who may come in, how a body is read, and what a failure looks like."""

from __future__ import annotations

import logging
from collections.abc import Collection

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.errors import ApiError, bad_request, from_exception
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.protocol import ABORT

_log = logging.getLogger(__name__)

#: What a page of this computer may send and see.
_CORS_HEADERS = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type, x-allie-conversation, x-allie-record, "
    "x-allie-source, x-stainless-os, x-stainless-lang, x-stainless-arch, x-stainless-runtime, "
    "x-stainless-runtime-version, x-stainless-package-version, x-stainless-retry-count, x-stainless-timeout",
    "access-control-max-age": "600",
}
_CORS_EXPOSED = "x-allie-version, x-allie-conversation, x-allie-dropped-messages, retry-after"

#: A body that is too long is read on for a while, unseen: most clients hear nothing before they have sent all.
_DRAINED_TIMES = 8


class Edge:
    """ASGI middleware. Logs one line for each request that fails, without a word of any conversation."""

    def __init__(self, app: ASGIApp, *, access: Access, open_paths: Collection[str]) -> None:
        self._app = app
        self._access = access
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if origin is not None and code != "foreign_origin":
                    message["headers"] = [*message["headers"], *_cors(origin)]
            await send(message)

        code = ""
        try:
            self._check(scope, headers)
            if scope["method"] == "OPTIONS" and origin is not None:
                await Response(status_code=204, headers=_CORS_HEADERS)(scope, receive, noting)
            else:
                await self._app(scope, receive, noting)
        except ClientDisconnect:
            _log.info("a client left while it asked")
        except Exception as error:  # noqa: BLE001 - whatever it was, the client is told
            refusal = from_exception(error)
            code = refusal.code
            if status:  # too late for an answer of its own
                scope.get("state", {}).get(ABORT, _nothing)()
            else:
                await error_response(refusal)(scope, receive, noting)
        if status >= 400:
            _log.info("%d %s %s %r", status, code or "refused", scope["method"], scope["path"][:100])

    def _check(self, scope: Scope, headers: Headers) -> None:
        server = scope.get("server") or ("", 0)
        self._access.check_host(headers.get("host"), server[1] or 0)
        self._access.check_origin(headers.get("origin"))
        preflight = scope["method"] == "OPTIONS" and "origin" in headers
        if scope["path"] not in self._open_paths and not preflight:
            self._access.check_token(headers.get("authorization"))


def error_response(error: ApiError) -> Response:
    """Return the response that tells a client of an error."""
    return Response(error.body, error.status, headers=error.headers, media_type="application/json")


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request; raise :class:`ApiError` when it is too long (413) or too slow (408), and
    :class:`ClientDisconnect` when its client goes."""
    announced = request.headers.get("content-length", "")
    too_long = announced.isdigit() and int(announced) > limits.body_bytes
    if too_long and "expect" in request.headers:
        raise _too_long(limits)  # before the client sends a byte
    body = bytearray()
    received = 0
    try:
        with anyio.fail_after(limits.body_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > limits.body_bytes * _DRAINED_TIMES:
                    break
                if not too_long:
                    body += chunk
                    too_long = len(body) > limits.body_bytes
    except TimeoutError:
        if too_long:
            raise _too_long(limits) from None
        raise ApiError(
            408, "The body did not come in time.", code="request_timeout", headers={"Connection": "close"}
        ) from None
    if too_long:
        raise _too_long(limits)
    return bytes(body)


def _too_long(limits: Limits) -> ApiError:
    refusal = bad_request(
        f"The body is longer than {limits.body_bytes:,} bytes.", code="body_too_large", status=413
    )
    refusal.headers["Connection"] = "close"
    return refusal


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _CORS_EXPOSED.encode()),
        (b"vary", b"Origin"),
    ]


def _nothing() -> None:
    """Stand in where there is no connection."""

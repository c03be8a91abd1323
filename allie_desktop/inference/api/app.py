"""The routes of the local service, as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from allie_desktop import __version__
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.edge import Edge, error_response, read_body
from allie_desktop.inference.api.errors import ApiError, unknown_model
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.replies import model_document, model_list
from allie_desktop.inference.api.requests import Sender, read_chat, read_completion, read_feedback
from allie_desktop.inference.api.service import ChatService
from allie_desktop.inference.api.streaming import ReplyResponse

#: What needs no token: it says nothing about anybody.
OPEN_PATHS = frozenset({"/healthz"})

_Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(service: ChatService, access: Access, limits: Limits) -> Starlette:
    """Return the application. Every path of the API exists with and without ``/v1`` in front, since clients
    disagree on whether their base URL has it."""
    routes = _Routes(service, limits)
    paths: list[tuple[str, str, _Endpoint]] = [
        ("POST", "/chat/completions", routes.chat),
        ("POST", "/completions", routes.completion),
        ("GET", "/models", routes.models),
        ("GET", "/models/{name}", routes.model),
        ("POST", "/feedback", routes.feedback),
        ("POST", "/unload", routes.unload),
    ]
    app = Starlette(
        routes=[
            Route("/healthz", routes.health, methods=["GET"]),
            *(
                Route(prefix + path, endpoint, methods=[method])
                for prefix in ("/v1", "")
                for method, path, endpoint in paths
            ),
        ],
        middleware=[Middleware(Edge, access=access, open_paths=OPEN_PATHS)],
        exception_handlers={HTTPException: _no_route},
    )
    app.router.redirect_slashes = False
    return app


class _Routes:
    """What each path does."""

    def __init__(self, service: ChatService, limits: Limits) -> None:
        self._service = service
        self._limits = limits

    async def chat(self, request: Request) -> Response:
        sender = Sender.of(request.headers)
        body = await read_body(request, self._limits)
        asked = read_chat(body, sender, reply_seconds=self._limits.reply_seconds)
        return ReplyResponse(self._service, asked, self._limits, kind="chat")

    async def completion(self, request: Request) -> Response:
        sender = Sender.of(request.headers)
        body = await read_body(request, self._limits)
        asked = read_completion(body, sender, reply_seconds=self._limits.reply_seconds)
        return ReplyResponse(self._service, asked, self._limits, kind="completion")

    async def models(self, request: Request) -> Response:
        del request
        return _json(model_list(await self._service.models()))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        for known, created in await self._service.models():
            if known == name:
                return _json(model_document(known, created))
        raise unknown_model(name)

    async def feedback(self, request: Request) -> Response:
        feedback = read_feedback(await read_body(request, self._limits))
        await self._service.feedback(feedback)
        return _json(
            msgspec.json.encode({"object": "feedback", "response_id": feedback.response_id, "kept": True})
        )

    async def unload(self, request: Request) -> Response:
        del request
        return _json(msgspec.json.encode({"unloaded": await self._service.unload()}))

    async def health(self, request: Request) -> Response:
        del request
        status, loaded = self._service.status(), self._service.loaded
        return _json(msgspec.json.encode({"status": status, "version": __version__, "loaded": loaded}))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refusal = ApiError(
            405,
            f"{request.method} is not possible here, only {allowed}.",
            code="method_not_allowed",
            headers={"Allow": allowed},
        )
    else:
        refusal = ApiError(404, "There is nothing at this address.", code="not_found")
    return error_response(refusal)

"""What a client is told when something cannot be done, in the shape that OpenAI's clients know."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping

import msgspec

from allie_desktop.domain.errors import (
    AllieError,
    BadInputError,
    ModelError,
    StoreBusyError,
    UnknownVersionError,
    VersionCorruptError,
)
from allie_desktop.inference.prompts import PromptTooLongError

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """A request was refused or failed. ``status`` is the HTTP status, ``code`` the machine's word for what
    happened, ``kind`` OpenAI's family of errors, ``param`` the field that it is about."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        """The error object as JSON."""
        return msgspec.json.encode(self.document)

    @property
    def document(self) -> dict[str, object]:
        """The error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def bad_request(
    message: str, *, param: str | None = None, code: str = "invalid_value", status: int = 400
) -> ApiError:
    """Return the error for a request that can never work as it stands."""
    return ApiError(status, message, code=code, param=param)


def unknown_model(name: str) -> ApiError:
    """Return the error for a model that does not exist."""
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return ApiError(
        404,
        f"There is no model {shown!r}. GET /v1/models lists those there are.",
        code="model_not_found",
        param="model",
    )


def closing() -> ApiError:
    """Return the error for whoever still asks, or still listens, while the service ends."""
    return ApiError(
        503,
        "Allie's chat service is closing. Ask again when it runs.",
        code="closing",
        kind="server_error",
        headers={"Retry-After": "2"},
    )


def from_exception(error: Exception) -> ApiError:
    """Return what a client is told about any failure. One that nobody expected is logged without its
    message, which may hold somebody's words."""
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, AllieError):
        frames = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unexpected %s:\n%s", type(error).__name__, frames)
        return ApiError(
            500,
            "Something went wrong that Allie did not expect. Its log says where.",
            code="internal_error",
            kind="server_error",
        )
    message = str(error)
    if isinstance(error, UnknownVersionError):
        return ApiError(404, message, code="model_not_found", param="model")
    if isinstance(error, PromptTooLongError):
        return ApiError(400, message, code="context_length_exceeded", param="messages")
    if isinstance(error, BadInputError):
        return bad_request(message)
    if isinstance(error, StoreBusyError):
        return ApiError(503, message, code="store_busy", kind="server_error", headers={"Retry-After": "1"})
    if isinstance(error, VersionCorruptError | ModelError):
        return ApiError(503, message, code="model_unavailable", kind="server_error")
    return ApiError(500, message, code="failed", kind="server_error")

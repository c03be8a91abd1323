"""Who may talk to the service: programs of this person on this computer, and no web page from elsewhere.

The token alone would do. Host and Origin are checked as well because a web page can make a browser send
requests to the loopback interface (DNS rebinding, forms), and a token may leak into a page's hands.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

from allie_desktop.domain.errors import AllieError
from allie_desktop.inference.api.errors import ApiError

_log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TOKEN_BYTES = 32
_SHORTEST_TOKEN = 16
_LONGEST_TOKEN = 1024


class TokenError(AllieError):
    """The token file cannot be used."""


def token_in(path: Path) -> str:
    """Return the token in a file that only this person can read, which is made when there is none.

    It is whole at every moment, and of two processes that make it at once both return the same. A token
    that somebody wrote there is taken when it is long enough. Raises :class:`TokenError`.
    """
    try:
        for _ in range(3):
            token = _read(path)
            if token is not None:
                return token
            _make(path)
        token = _read(path)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise TokenError(
            f"The token file {path} cannot be used: {why}.", "Delete it, or make it readable for you."
        ) from error
    if token is None:
        raise TokenError(f"The token file {path} holds no token.", "Delete it; a new one is made.")
    return token


def _read(path: Path) -> str | None:
    """Return the token, or None where there is none; a useless file is removed."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_LONGEST_TOKEN + 1)
    except FileNotFoundError:
        return None
    if os.name == "posix" and mode & 0o077:
        _log.warning("others could read %s; now they cannot", path.name)
        path.chmod(0o600)
    text = data.decode("ascii", "replace").strip()
    usable = text.isascii() and text.isprintable() and " " not in text
    if usable and _SHORTEST_TOKEN <= len(text) <= _LONGEST_TOKEN:
        return text
    _log.warning("%s held no token; a new one is made", path.name)
    path.unlink(missing_ok=True)
    return None


def _make(path: Path) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(_TOKEN_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first, and its token counts
            try:
                os.link(scratch, path)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                scratch.rename(path)
    finally:
        scratch.unlink(missing_ok=True)


class Access:
    """Checks the headers of a request to the service with this token. For any thread."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def check_host(self, host: str | None, port: int) -> None:
        """Raise :class:`ApiError` (403) unless the request was meant for this service."""
        name, colon, rest = (host or "").rpartition(":")
        if colon and not rest.endswith("]"):
            given = rest
        else:
            name, given = host or "", "80"
        if name.lower().strip("[]") not in _LOOPBACK or given != str(port):
            raise ApiError(403, "This service answers to its own loopback address only.", code="foreign_host")

    def check_origin(self, origin: str | None) -> None:
        """Raise :class:`ApiError` (403) when a web page from elsewhere asks."""
        if origin is not None and not is_loopback_origin(origin):
            raise ApiError(403, "Web pages from elsewhere may not use this service.", code="foreign_origin")

    def check_token(self, authorization: str | None) -> None:
        """Raise :class:`ApiError` (401) unless the bearer token is right; compares in constant time."""
        scheme, _, given = (authorization or "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not right:
            raise ApiError(
                401,
                "The token is missing or wrong. It is in the file that `allie serve` names, and belongs into "
                "the header Authorization: Bearer TOKEN.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": 'Bearer realm="Allie"'},
            )


def is_loopback_origin(origin: str) -> bool:
    """Whether a page of this computer asks."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host in _LOOPBACK and parts.username is None

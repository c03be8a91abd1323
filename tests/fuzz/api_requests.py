"""Requests to the local API that are nearly right, and what an answer has to look like."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz.api_description import DOCUMENTED_UNAVAILABLE
from tests.fuzz.mutations import ODD_TEXTS, any_text, nearly
from tests.fuzz.target import Outcome, ServerFaultError, expect

PORT = 8530  # that the application believes to listen at
PATIENCE_SECONDS = 20.0
BODY_BYTES = 100_000

CHAT: dict[str, Any] = {
    "model": "allie",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
    ],
    "max_tokens": 2,
    "temperature": 0.5,
    "stop": ["x"],
    "stream": False,
}
BODIES: dict[str, Any] = {
    "/v1/chat/completions": CHAT,
    "/chat/completions": {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
    "/v1/completions": {"model": "base", "prompt": "Hello", "max_tokens": 1, "n": 1},
    "/v1/feedback": {"response_id": "chatcmpl-0", "rating": 1, "correction": "No."},
    "/v1/unload": {},
}
PATHS = (
    *BODIES,
    "/v1/models",
    "/v1/models/v1.0",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/healthz",
    "/",
    "/v1",
    "/v1/chat/completions/",
    "//v1/models",
    "/v1/models/%00",
    "/v1/models/%ff%fe",
    "/docs",
    "/openapi.json",
    "*",
)
METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "PRI")


def check_answer(status: int, headers: dict[str, str], body: bytes, *, whole: bool = True) -> Outcome:
    """Return how a request ended; raise what the service must not say."""
    if status == 503:
        code = json.loads(body)["error"]["code"]
        if code not in DOCUMENTED_UNAVAILABLE:
            raise ServerFaultError(f"503 with {code}")
        return Outcome.UNAVAILABLE
    if status >= 500:
        raise ServerFaultError(f"{status}: {body[:300]!r}")
    if not whole:
        return Outcome.REFUSED if status >= 400 else Outcome.TAKEN
    if status >= 400:
        if body:  # an answer to HEAD has none
            document = json.loads(body)
            expect(set(document) == {"error"}, f"not an error object: {body[:200]!r}")
            expect(set(document["error"]) == {"message", "type", "param", "code"}, f"{body[:200]!r}")
            expect(document["error"]["message"].endswith((".", "!", "?")), f"no sentence: {body[:300]!r}")
        return Outcome.REFUSED
    if headers.get("content-type") == "application/json" and body:
        json.loads(body)
    return Outcome.TAKEN


def headers_like(random: Random, host: str, token: str) -> list[tuple[str, str]]:
    """Return the headers of a request, most of them as they should be."""
    headers = [("host", host), ("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
        name = random.choice(
            ("host", "authorization", "origin", "content-type", "content-length", "x-allie-conversation", "x-allie-source",
             "x-allie-record", "user-agent", "transfer-encoding", "expect", "cookie", "accept-encoding", "connection",
             "upgrade", "x-forwarded-for", "content-encoding")
        )  # fmt: skip
        value = random.choice(
            ("", "null", "http://localhost", "http://localhost.evil.example", "http://[::1", "127.0.0.1:x", "[::1]:8530",
             "Bearer", "Bearer \xff", "Basic YTpi", "chunked", "100-continue", "gzip", "close", "websocket", "api", "chat",
             "on", "off", "-1", "0", "5", "99999999999999999999", "x" * 5000, any_text(random, 20), *ODD_TEXTS[:20])
        )  # fmt: skip
        value = value.encode("latin-1", "replace").decode("latin-1")
        place = next((i for i, (known, _) in enumerate(headers) if known == name), None)
        if place is None or random.random() < 0.3:
            headers.append((name, value))
        else:
            headers[place] = (name, value)
    return headers


def body_like(path: str, random: Random) -> bytes:
    document = BODIES.get(path, {"a": 1})
    kind = random.random()
    if kind < 0.2:
        return json.dumps(document).encode()
    if kind < 0.25:
        return random.choice((b"", b"null", b"[]", b"\x00" * 100, b"x" * (BODY_BYTES + 1), b"a=b&c=d"))
    return nearly(document, random, others=list(BODIES.values()))

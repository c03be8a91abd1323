"""The local API: as an application, through its socket byte by byte, from its description, and as a real process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from allie_desktop.domain.errors import BadInputError, ModelError, StoreBusyError, VersionCorruptError
from allie_desktop.inference.api.app import build_app
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.service import ChatService
from tests.api_stage import TOKEN, Stage, Wall, serving
from tests.fuzz.api_description import DESCRIPTION, DOCUMENTED_UNAVAILABLE
from tests.fuzz.mutations import NASTY_BYTES, ODD_TEXTS, any_text, damaged, nearly
from tests.fuzz.target import BrokenPromiseError, Outcome, ServerFaultError, Target, expect

_PORT = 8530  # that the application believes to listen at
_PATIENCE_SECONDS = 20.0
_BODY_BYTES = 100_000
_LINGER_SECONDS = 0.1

_CHAT: dict[str, Any] = {
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
    "/v1/chat/completions": _CHAT,
    "/chat/completions": {**_CHAT, "stream": True, "stream_options": {"include_usage": True}},
    "/v1/completions": {"model": "base", "prompt": "Hello", "max_tokens": 1, "n": 1},
    "/v1/feedback": {"response_id": "chatcmpl-0", "rating": 1, "correction": "No."},
    "/v1/unload": {},
}
_PATHS = (
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
_METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "PRI")


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


def _quiet(stack: ExitStack) -> None:
    logging.disable()
    stack.callback(logging.disable, logging.NOTSET)


def _headers(random: Random, host: str, token: str) -> list[tuple[str, str]]:
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


def _body(path: str, random: Random) -> bytes:
    document = BODIES.get(path, {"a": 1})
    kind = random.random()
    if kind < 0.2:
        return json.dumps(document).encode()
    if kind < 0.25:
        return random.choice((b"", b"null", b"[]", b"\x00" * 100, b"x" * (_BODY_BYTES + 1), b"a=b&c=d"))
    return nearly(document, random, others=list(BODIES.values()))


_TROUBLES: dict[str, Exception] = {
    "model": ModelError("The model is gone.", "Choose another one."),
    "corrupt": VersionCorruptError("Version v1.0 is damaged.", "Roll back."),
    "busy": StoreBusyError("The store is busy.", "Try again."),
    "bad": BadInputError("It is too long.", "Say less."),
}


class Application(Target):
    """Requests to the application itself, in pieces, with a client that may leave, and an engine that may fail."""

    name = "api-requests"
    group = "api"
    share = 14

    def prepare(self, stack: ExitStack) -> None:
        _quiet(stack)
        self._loop = asyncio.new_event_loop()
        stack.callback(self._loop.close)
        self._stage = Stage()
        self._limits = replace(Limits(), body_bytes=_BODY_BYTES, body_seconds=2.0, slow_client_seconds=2.0)
        self._service = ChatService(
            live=self._stage,
            router=self._stage,
            recorder=self._stage,
            versions=lambda: tuple((name, 1_700_000_000) for name in self._stage.names),
            clock=Wall(),
            limits=self._limits,
        )
        self._app = build_app(self._service, Access(TOKEN), self._limits)
        stack.callback(self._service.wait_for_threads, 5.0)

    def make(self, random: Random) -> bytes:
        path = random.choice(tuple(BODIES)) if random.random() < 0.75 else random.choice(_PATHS)
        method = "POST" if random.random() < 0.8 else random.choice(_METHODS)
        body = _body(path, random)
        cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 0, 0, 1, 3))))
        return json.dumps(
            {
                "method": method,
                "path": path,
                "headers": _headers(random, f"127.0.0.1:{_PORT}", TOKEN),
                "body": body.decode("latin-1"),
                "cuts": cuts,
                "leaves": random.choice((None,) * 12 + (0, 1, 2)),
                "trouble": random.choice((None,) * 12 + tuple(_TROUBLES)),
            }
        ).encode()

    def attempt(self, data: bytes) -> Outcome:
        asked = json.loads(data)
        trouble = _TROUBLES.get(asked["trouble"] or "")
        self._stage.failure = trouble
        self._stage.broken = {}
        self._stage.chosen = "v1.0"
        self._stage.exchanges.clear()
        self._stage.asked.clear()
        self._stage.in_memory.clear()
        if isinstance(trouble, ModelError | VersionCorruptError):
            self._stage.broken = dict.fromkeys((*self._stage.names, "base"), trouble)
        try:
            return self._loop.run_until_complete(asyncio.wait_for(self._ask(asked), _PATIENCE_SECONDS))
        except TimeoutError:
            raise BrokenPromiseError("no answer came") from None

    async def _ask(self, asked: dict[str, Any]) -> Outcome:
        body = asked["body"].encode("latin-1")
        marks = [0, *asked["cuts"], len(body)]
        pieces = [body[start:end] for start, end in pairwise(marks)]
        leaves: int | None = asked["leaves"]
        given = 0
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal given
            if leaves is not None and given >= leaves:
                return {"type": "http.disconnect"}
            if given < len(pieces):
                given += 1
                return {"type": "http.request", "body": pieces[given - 1], "more_body": given < len(pieces)}
            await gone.wait()
            return {"type": "http.disconnect"}

        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        path, _, query = asked["path"].partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": asked["method"],
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in asked["headers"]
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", _PORT),
            "state": {},
        }
        await self._app(scope, receive, send)
        gone.set()
        if leaves is not None:
            return Outcome.TAKEN  # whoever left hears nothing
        expect(sent and sent[0]["type"] == "http.response.start", "no answer")
        expect(not sent[-1].get("more_body"), "an answer without an end")
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in sent[0]["headers"]}
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        return check_answer(sent[0]["status"], headers, answer)

    def looked_after(self) -> None:
        """Nothing is still being made, and an ordinary question is answered."""
        self._stage.failure = None
        self._stage.broken = {}
        expect(self._service.wait_for_threads(5.0), "a reply is still being made")
        asked = {
            "method": "POST", "path": "/v1/chat/completions", "body": json.dumps(_CHAT), "cuts": [], "leaves": None,
            "headers": [["host", f"127.0.0.1:{_PORT}"], ["authorization", f"Bearer {TOKEN}"]],
        }  # fmt: skip
        outcome = self._loop.run_until_complete(asyncio.wait_for(self._ask(asked), _PATIENCE_SECONDS))
        expect(outcome is Outcome.TAKEN, "an ordinary question is not answered any more")


# --- bytes on a socket ---


def raw_request(random: Random) -> bytes:
    """Return bytes that are nearly one HTTP request or two. HOST and TOKEN stand for what the service has."""
    requests = []
    for _ in range(random.choice((1, 1, 1, 2))):
        path = random.choice(_PATHS)
        body = _body(path, random)
        headers = [
            (n, v)
            for n, v in _headers(random, "HOST", "TOKEN")
            if n != "content-length" or random.random() < 0.5
        ]
        if random.random() < 0.15:
            headers.append(("transfer-encoding", "chunked"))
            body = (
                b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:9], body[9:]) if piece)
                + b"0\r\n\r\n"
            )
        elif random.random() < 0.9:
            headers.append(("content-length", str(len(body))))
        version = random.choice(("HTTP/1.1",) * 8 + ("HTTP/1.0", "HTTP/2.0", "HTTP/1.1 x", ""))
        method = random.choice(("POST", "POST", "GET", random.choice(_METHODS)))
        lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers)]
        if random.random() < 0.8:
            lines.append("connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace")
        if random.random() < 0.4:
            head = damaged(head, random, most=2)
        if random.random() < 0.05:
            head += b"\r\nx: " + random.choice(NASTY_BYTES) * random.choice((1, 1000, 20_000))
        requests.append(head + b"\r\n\r\n" + body)
    return b"".join(requests)


def exchange(port: int, token: str, data: bytes, *, cut: int, patience_seconds: float) -> tuple[bytes, bool]:
    """Send bytes, and a little after the last answer the end of them; return what came back, and whether the service
    ended the connection. (Whoever ends a request early is taken for gone, and hears nothing.)"""
    data = data.replace(b"HOST", b"127.0.0.1:%d" % port).replace(b"TOKEN", token.encode())
    got, ended = b"", False
    connection = socket.create_connection(("127.0.0.1", port), timeout=patience_seconds)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(data[:cut])
        connection.sendall(data[cut:])
        got, ended = _received(connection, _LINGER_SECONDS)
        if not ended:
            connection.shutdown(socket.SHUT_WR)
            more, ended = _received(connection, patience_seconds)
            got += more
        return got, ended
    return got, True


def _received(connection: socket.socket, quiet_seconds: float) -> tuple[bytes, bool]:
    """Return what comes until nothing does for a while, and whether that was the end."""
    connection.settimeout(quiet_seconds)
    got = b""
    try:
        while chunk := connection.recv(65536):
            got += chunk
    except TimeoutError:
        return got, False
    except ConnectionError:
        pass
    return got, True


def check_bytes(got: bytes) -> Outcome:
    """Return how a connection ended, by its first answer; raise what must not be."""
    if not got:
        return Outcome.REFUSED
    expect(got.startswith(b"HTTP/1."), f"no HTTP: {got[:80]!r}")
    outcome = Outcome.REFUSED
    for part in got.split(b"HTTP/1.1 ")[1:]:
        if not part[:3].isdigit() or part[3:4] != b" ":
            continue  # words inside of an answer
        head, _, body = part.partition(b"\r\n\r\n")
        outcome = check_answer(int(part[:3]), {}, body, whole=False)
        expect(b"\n" not in head.replace(b"\r\n", b""), "a header was split")
    return outcome


class Bytes(Target):
    """What is nearly HTTP, on the real socket of the real server."""

    name = "api-bytes"
    group = "api"
    share = 4

    def prepare(self, stack: ExitStack) -> None:
        _quiet(stack)
        self._served = stack.enter_context(
            serving(
                Stage(), header_seconds=1.0, body_seconds=1.0, body_bytes=_BODY_BYTES, keep_alive_seconds=1.0
            )
        )

    def make(self, random: Random) -> bytes:
        return raw_request(random)

    def attempt(self, data: bytes) -> Outcome:
        got, ended = exchange(
            self._served.port, TOKEN, data, cut=len(data) // 3, patience_seconds=_PATIENCE_SECONDS
        )
        expect(ended, "the service neither answered nor hung up")
        return check_bytes(got)

    def looked_after(self) -> None:
        """An ordinary question is still answered, and no reply is left in the making."""
        body = json.dumps(_CHAT).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n"
        got, ended = exchange(
            self._served.port, TOKEN, head + b"Content-Length: %d\r\n\r\n" % len(body) + body, cut=9,
            patience_seconds=_PATIENCE_SECONDS,
        )  # fmt: skip
        expect(ended and got.startswith(b"HTTP/1.1 200"), f"an ordinary question: {got[:200]!r}")
        self._served.stage.exchanges.clear()
        self._served.stage.asked.clear()


class Description(Target):
    """Requests that schemathesis derives from the description: valid ones, and ones that break one rule of it.

    An input is an operation, whether its requests are valid, and the seed of so many of them.
    """

    name = "api-description"
    group = "api"
    share = 0.04
    requests_each = 50

    def prepare(self, stack: ExitStack) -> None:
        import requests
        import schemathesis

        _quiet(stack)
        self._served = stack.enter_context(serving(Stage(), body_bytes=_BODY_BYTES))
        schema = schemathesis.openapi.from_dict(DESCRIPTION)
        schema.config.update(base_url=self._served.url)
        self._operations = [found.ok() for found in schema.get_all_operations()]
        self._strategies: dict[tuple[int, bool], Any] = {}
        self._session = stack.enter_context(requests.Session())

    def make(self, random: Random) -> bytes:
        weights = [
            8 if "completions" in path else 3 if "feedback" in path else 1 for path in DESCRIPTION["paths"]
        ]
        place = random.choices(range(len(weights)), weights)[0]
        return json.dumps([place, random.random() < 0.5, random.getrandbits(32)]).encode()

    def attempt(self, data: bytes) -> Outcome:
        from hypothesis import HealthCheck, Phase, given, seed, settings
        from hypothesis.errors import Unsatisfiable
        from schemathesis.generation import GenerationMode
        from schemathesis.specs.openapi import checks as openapi_checks

        place, valid, number = json.loads(data)
        operation = self._operations[place]
        mode = GenerationMode.POSITIVE if valid else GenerationMode.NEGATIVE
        if (place, valid) not in self._strategies:
            self._strategies[place, valid] = operation.as_strategy(mode)
        strategy = self._strategies[place, valid]
        wanted = [
            openapi_checks.status_code_conformance,
            openapi_checks.content_type_conformance,
            openapi_checks.response_schema_conformance,
        ]

        @seed(number)
        @settings(
            max_examples=self.requests_each,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(case=strategy)
        def ask(case: Any) -> None:
            response = case.call(
                session=self._session, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20
            )
            if response.status_code >= 500:
                check_answer(response.status_code, {}, response.content)
            case.validate_response(response, checks=wanted)

        try:
            ask()
        except Unsatisfiable:  # an operation without anything to break
            return Outcome.REFUSED
        except (KeyboardInterrupt, SystemExit, ServerFaultError):
            raise
        except BaseException as error:  # noqa: BLE001 - groups of failures are no Exception
            raise BrokenPromiseError(str(error)[:5000]) from None
        return Outcome.TAKEN if valid else Outcome.REFUSED


class Process(Target):
    """What is nearly HTTP, sent to ``allie serve``: the real program, with its own store and the starter model."""

    name = "api-serve"
    group = "api"
    share = 0.5

    def prepare(self, stack: ExitStack) -> None:
        home = self.folder / "home"
        environment = {
            **os.environ,
            "ALLIE_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))
            ),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "allie_desktop", "serve", "--json", "--port", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        stack.callback(self._end)
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        self._port = int(said["url"].rpartition(":")[2])
        self._token = Path(said["token_file"]).read_text("ascii")

    def _end(self) -> None:
        self._process.terminate()
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        expect(code == 0, f"allie serve ended with {code}")

    def make(self, random: Random) -> bytes:
        return raw_request(random)

    def attempt(self, data: bytes) -> Outcome:
        # A reply may be long; whoever has waited so long leaves, which ends it.
        got, ended = exchange(self._port, self._token, data, cut=len(data) // 3, patience_seconds=3.0)
        expect(self._process.poll() is None, "allie serve has ended")
        if not ended and not got:
            self._must_answer()
            return Outcome.TAKEN
        return check_bytes(got)

    def _must_answer(self) -> None:
        ends = time.monotonic() + _PATIENCE_SECONDS
        got = b""
        while time.monotonic() < ends and b" 200 " not in got[:20]:
            request = b"GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
            got, _ = exchange(self._port, self._token, request, cut=0, patience_seconds=_PATIENCE_SECONDS)
        expect(b" 200 " in got[:20], "allie serve does not answer any more")

    def looked_after(self) -> None:
        """It still answers."""
        self._must_answer()


TARGETS = (Application, Bytes, Description, Process)

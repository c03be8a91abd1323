"""What is nearly HTTP, byte by byte: on the socket of the server, and on that of the real program."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

from tests.api_stage import TOKEN, Stage, serving
from tests.fuzz.api_requests import (
    BODIES,
    BODY_BYTES,
    CHAT,
    METHODS,
    PATHS,
    PATIENCE_SECONDS,
    body_like,
    check_answer,
    headers_like,
)
from tests.fuzz.mutations import NASTY_BYTES, damaged
from tests.fuzz.target import Outcome, Target, expect, quieten


def raw_request(random: Random) -> bytes:
    """Return bytes that are nearly one HTTP request or two. HOST and TOKEN stand for what the service has."""
    requests = []
    for _ in range(random.choice((1, 1, 1, 2))):
        path = random.choice(PATHS if random.random() < 0.5 else tuple(BODIES))
        body = body_like(path, random)
        headers = [
            (n, v)
            for n, v in headers_like(random, "HOST", "TOKEN")
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
        version = random.choice(("HTTP/1.1",) * 20 + ("HTTP/1.0", "HTTP/2.0", "HTTP/1.1 x", ""))
        method = "POST" if path in BODIES else "GET"
        if random.random() < 0.2:
            method = random.choice(METHODS)
        lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in headers)]
        if random.random() < 0.8:
            lines.append("connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace")
        if random.random() < 0.25:
            head = damaged(head, random, most=2)
        if random.random() < 0.05:
            head += b"\r\nx: " + random.choice(NASTY_BYTES) * random.choice((1, 1000, 20_000))
        requests.append(head + b"\r\n\r\n" + body)
    return b"".join(requests)


def exchange(
    port: int,
    token: str,
    data: bytes,
    *,
    cut: int,
    patience_seconds: float,
    linger_seconds: float = 0.1,
) -> tuple[bytes, bool]:
    """Send bytes, and a little after the last answer the end of them; return what came back, and whether the service
    ended the connection. (Whoever ends a request early is taken for gone, and hears nothing.)"""
    data = data.replace(b"HOST", b"127.0.0.1:%d" % port).replace(b"TOKEN", token.encode())
    got, ended = b"", False
    connection = socket.create_connection(("127.0.0.1", port), timeout=patience_seconds)
    with connection, contextlib.suppress(ConnectionError):
        connection.sendall(data[:cut])
        connection.sendall(data[cut:])
        got, ended = _received(connection, linger_seconds)
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
        quieten(stack)
        self._served = stack.enter_context(
            serving(
                Stage(), header_seconds=1.0, body_seconds=1.0, body_bytes=BODY_BYTES, keep_alive_seconds=1.0
            )
        )

    def make(self, random: Random) -> bytes:
        return raw_request(random)

    def attempt(self, data: bytes) -> Outcome:
        got, ended = exchange(
            self._served.port, TOKEN, data, cut=len(data) // 3, patience_seconds=PATIENCE_SECONDS
        )
        expect(ended, "the service neither answered nor hung up")
        return check_bytes(got)

    def looked_after(self) -> None:
        """An ordinary question is still answered, and no reply is left in the making."""
        body = json.dumps(CHAT).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n"
        got, ended = exchange(
            self._served.port, TOKEN, head + b"Content-Length: %d\r\n\r\n" % len(body) + body, cut=9,
            patience_seconds=PATIENCE_SECONDS,
        )  # fmt: skip
        expect(ended and got.startswith(b"HTTP/1.1 200"), f"an ordinary question: {got[:200]!r}")
        self._served.stage.exchanges.clear()
        self._served.stage.asked.clear()


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
        got, ended = exchange(
            self._port, self._token, data, cut=len(data) // 3, patience_seconds=3.0, linger_seconds=0.6
        )
        expect(self._process.poll() is None, "allie serve has ended")
        if not ended and not got:
            self._must_answer()
            return Outcome.TAKEN
        return check_bytes(got)

    def _must_answer(self) -> None:
        ends = time.monotonic() + PATIENCE_SECONDS
        got = b""
        while time.monotonic() < ends and b" 200 " not in got[:20]:
            request = b"GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"
            got, _ = exchange(self._port, self._token, request, cut=0, patience_seconds=PATIENCE_SECONDS)
        expect(b" 200 " in got[:20], "allie serve does not answer any more")

    def looked_after(self) -> None:
        """It still answers."""
        self._must_answer()


TARGETS = (Bytes, Process)

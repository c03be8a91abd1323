"""A hub on this machine, over real HTTP: lists repositories, sends files in parts, and fails as told."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import Self

COMMIT = "c" * 40
LARGE = 10_000  # files from here on are listed with a SHA-256, as those in large file storage are


@dataclass
class FakeHub:
    """``files`` of the one repository ``tiny/chat``. What to do wrong is said in the other fields."""

    files: dict[str, bytes]
    repository: str = "tiny/chat"
    commit: str = COMMIT
    cuts: list[int] = field(default_factory=list)  # bytes of a body after which the next connections end
    stalls_at: int | None = None  # bytes of a body after which it waits for ``released``
    flips: int = 0  # how many bodies come with a wrong byte
    status: int = 0  # what every file is answered with
    api_status: int = 0
    api_headers: dict[str, str] = field(default_factory=dict)
    api_body: bytes | None = None
    ignores_ranges: bool = False
    short: int = 0  # bodies that end too soon, with the length of what was sent
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fetched(self, name: str) -> list[str]:
        """The ranges with which a file was asked for; empty texts for all of it."""
        end = f"/resolve/{self.commit}/{name}"
        return [headers.get("range", "") for _, path, headers in self.requests if path.endswith(end)]

    # --- answering ---

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = request.path.partition("?")[0]
        self.requests.append((request.command, path, headers))
        if path.startswith("/api/"):
            self._list(request, path)
        else:
            self._send_file(request, path, headers)

    def _list(self, request: BaseHTTPRequestHandler, path: str) -> None:
        if self.api_status or not path.startswith(f"/api/models/{self.repository}/revision/"):
            _send(request, self.api_status or 404, b'{"error": "no"}', self.api_headers)
            return
        siblings = []
        for name, data in self.files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_sum(data)}
            if len(data) >= LARGE:
                entry["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 130,
                }
            siblings.append(entry)
        body = {"id": self.repository, "sha": self.commit, "siblings": siblings, "private": False}
        _send(request, 200, json.dumps(body).encode() if self.api_body is None else self.api_body)

    def _send_file(self, request: BaseHTTPRequestHandler, path: str, headers: dict[str, str]) -> None:
        data = self.files.get(path.rpartition("/")[2])
        if self.status or data is None or not path.startswith(f"/{self.repository}/resolve/{self.commit}/"):
            _send(request, self.status or 404, b"")
            return
        start = 0
        if "range" in headers and not self.ignores_ranges:
            start = int(headers["range"].removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                _send(request, 416, b"")
                return
        body = data[start:]
        if len(data) >= LARGE and self.flips:
            self.flips -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        if len(data) >= LARGE and self.short:
            self.short -= 1
            body = body[: len(body) // 2]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        if len(data) >= LARGE and self.cuts:
            request.wfile.write(body[: self.cuts.pop(0)])
            request.close_connection = True
            return
        if len(data) >= LARGE and self.stalls_at is not None:
            request.wfile.write(body[: self.stalls_at])
            request.wfile.flush()
            self.stalled.set()
            self.released.wait(30)
            body, self.stalls_at = body[self.stalls_at :], None
        try:
            request.wfile.write(body)
        except OSError:
            request.close_connection = True


def git_sum(data: bytes) -> str:
    """The name under which git knows a content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _send(
    request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)

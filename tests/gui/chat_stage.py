"""What tests of the chat window stand on: a local server that speaks the API's language and misbehaves on
request, a switch that starts and stops it, and the real store."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from allie_desktop.bootstrap import Program
from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.paths import AppPaths
from allie_desktop.ui.chat.library import StoreLibrary
from allie_desktop.ui.chat.ports import ChatLibrary, Endpoint, ServerPhase, ServerState

TOKEN = "a-token-for-tests"
VERSION = "v1.2"

START = datetime(2026, 3, 1, 9, 30, tzinfo=timezone.utc)


def program_in(home: Path) -> Program:
    return Program(AppPaths.in_folder(home).prepare())


def library_opener(home: Path) -> Callable[[], AbstractContextManager[ChatLibrary]]:
    @contextlib.contextmanager
    def opened() -> Iterator[ChatLibrary]:
        with program_in(home) as program:
            collector = program.collector()
            yield StoreLibrary(program.conversations, collector, forget=collector.forget)

    return opened


def conversation(number: int, *texts: str, source: str = "chat", **values: Any) -> Conversation:
    roles = (Role.USER, Role.ASSISTANT)
    return Conversation(
        id=f"conversation-{number:05}",
        created_at=START + timedelta(hours=number),
        source=source,
        turns=tuple(
            Turn(role=roles[place % 2], content=text, extra={"version": VERSION} if place % 2 else {})
            for place, text in enumerate(texts)
        ),
        **values,
    )


def keep(home: Path, conversations: Sequence[Conversation]) -> None:
    with program_in(home) as program:
        program.collector().import_all(iter(conversations))


def stored(home: Path, conversation_id: str) -> Conversation:
    with program_in(home) as program:
        return program.conversations.get(conversation_id).conversation


class FakeApi:
    """A server on the loopback interface. ``script`` is what it does with the next question: pieces of text
    are streamed, "<crash>" closes the connection, "<wait>" waits for :attr:`go`, a number is an HTTP status.
    Complete replies are kept in the store under ``home`` when there is one."""

    def __init__(self, home: Path | None = None) -> None:
        self.script: list[Any] = ["Hello."]
        self.body: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.hung_up = threading.Event()
        self.go = threading.Event()
        self.health = "ok"
        self._home = home
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                body = json.dumps({"status": api.health, "loaded": []}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append((dict(self.headers.items()), body))
                with contextlib.suppress(OSError):
                    api._answer(self, body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(url=self.url, token=TOKEN)

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        script = list(self.script)
        if script and isinstance(script[0], int):
            data = json.dumps(self.body).encode()
            handler.send_response(script[0])
            for name, value in self.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
            return
        name = handler.headers["X-Allie-Conversation"]
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("X-Allie-Version", VERSION)
        handler.send_header("X-Allie-Conversation", name)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        response_id = f"chatcmpl-{uuid.uuid4().hex}"
        said: list[str] = []
        try:
            for piece in script:
                if piece == "<crash>":
                    return
                if piece == "<wait>":
                    handler.wfile.write(b": still here\n\n")
                    self.go.wait(20)
                    continue
                if isinstance(piece, bytes):
                    handler.wfile.write(piece)
                    continue
                said.append(piece)
                self._write(handler, response_id, {"content": piece}, None)
            self._keep(name, body, "".join(said))
            self._write(handler, response_id, {}, "stop")
            handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.hung_up.set()
            raise

    @staticmethod
    def _write(
        handler: BaseHTTPRequestHandler, response_id: str, delta: dict[str, str], reason: str | None
    ) -> None:
        chunk = {"id": response_id, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _keep(self, name: str, body: dict[str, Any], reply: str) -> None:
        if self._home is None:
            return
        turns = [Turn(role=Role(one["role"]), content=one["content"]) for one in body["messages"]]
        turns.append(Turn(role=Role.ASSISTANT, content=reply, extra={"version": VERSION}))
        with program_in(self._home) as program:
            program.collector().add(
                Conversation(
                    id=name, created_at=datetime.now(timezone.utc), source="chat", turns=tuple(turns)
                )
            )


class Switch:
    """A chat process that is started and crashes when a test says so; implements the window's port."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        self.endpoint = endpoint
        self.starts = 0
        self.state = ServerState(phase=ServerPhase.STOPPED)
        self._watchers: list[Callable[[ServerState], None]] = []

    def watch(self, watcher: Callable[[ServerState], None]) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def start(self) -> None:
        if self.state.phase in (ServerPhase.STOPPED, ServerPhase.FAILED):
            self.starts += 1
            self.become(ServerPhase.STARTING)
            if self.endpoint is not None:
                self.ready(self.endpoint)

    def ready(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.state = ServerState(phase=ServerPhase.READY, endpoint=endpoint)
        self._tell()

    def become(self, phase: ServerPhase, problem: str = "") -> None:
        self.state = ServerState(phase=phase, problem=problem)
        self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            watcher(self.state)

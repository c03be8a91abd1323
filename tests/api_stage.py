"""The local service on a real socket, over engines that need no model: for tests of its HTTP behaviour."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import openai

from allie_desktop.domain.chat import Exchange, GenerationOptions, ReplyEnd, ReplyEvent, TextPiece
from allie_desktop.domain.errors import BadInputError, UnknownVersionError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.server import ApiServer, open_socket
from allie_desktop.inference.api.service import ChatService

TOKEN = "a-token-of-sixteen-or-more"


def wait_until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what ``condition`` returns once that is true; fail when it takes too long."""
    ends = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < ends, f"still not true after {seconds} s"
        time.sleep(0.005)
    return value


class Wall:
    """The system's clocks."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()


class ScriptedEngine:
    """Says its words; with a ``gate``, each only when the gate lets one through."""

    context_tokens = 2048

    def __init__(self, stage: Stage, version: str) -> None:
        self._stage = stage
        self._version = version

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool]
    ) -> Iterator[ReplyEvent]:
        stage = self._stage
        stage.asked.append((self._version, tuple(messages), options))
        with stage.counted():
            if isinstance(stage.failure, BadInputError):
                raise stage.failure
            said = 0
            for word in stage.words if stage.words is not None else ("I ", "am ", self._version, "."):
                while stage.gate is not None and not stage.gate.acquire(timeout=0.01):
                    if cancelled():
                        break
                if cancelled():
                    stage.cancelled.append(self._version)
                    yield ReplyEnd(reason="cancelled", prompt_tokens=7, completion_tokens=said)
                    return
                if options.max_tokens is not None and said == options.max_tokens:
                    yield ReplyEnd(reason="length", prompt_tokens=7, completion_tokens=said)
                    return
                said += 1
                yield TextPiece(text=word)
            if stage.failure is not None:
                raise stage.failure
            yield ReplyEnd(
                reason="stop", prompt_tokens=7, completion_tokens=said, dropped_messages=stage.dropped
            )

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class Stage:
    """What the fakes do, and what was done to them."""

    names: list[str] = field(default_factory=lambda: ["v1.0", "v1.1"])
    chosen: str = "v1.0"
    wanted_versions: tuple[str, ...] = ("v1.0",)
    words: Sequence[str] | None = None
    gate: threading.Semaphore | None = None
    failure: Exception | None = None
    broken: dict[str, Exception] = field(default_factory=dict)  # version → what loading it raises
    dropped: int = 0
    in_memory: set[str] = field(default_factory=set)
    asked: list[tuple[str, tuple[Message, ...], GenerationOptions]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    given: list[tuple[str, Any, Any]] = field(default_factory=list)
    failed_versions: list[str] = field(default_factory=list)
    recording_failure: Exception | None = None
    before_recording: Callable[[], None] = lambda: None
    at_once: int = 0
    most_at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1

    # LoadedVersions

    @contextlib.contextmanager
    def use(self, version: str) -> Iterator[ScriptedEngine]:
        if version in self.broken:
            self.failed(version, "")
            raise self.broken[version]
        if version not in {*self.names, "base"}:
            raise UnknownVersionError(f"There is no version {version}.", "See allie versions.")
        self.in_memory.add(version)
        yield ScriptedEngine(self, version)

    def is_loaded(self, version: str) -> bool:
        return version in self.in_memory

    def loaded(self) -> tuple[str, ...]:
        return tuple(sorted(self.in_memory))

    def unload_all(self) -> None:
        self.in_memory.clear()

    # VersionRouter

    def choose(self, conversation_id: str | None, messages: Sequence[Message]) -> str:
        return self.chosen

    def wanted(self) -> tuple[str, ...]:
        return self.wanted_versions

    def failed(self, version: str, reason: str) -> None:
        self.failed_versions.append(version)
        self.chosen = "base"

    # ExchangeRecorder

    def record(self, exchange: Exchange) -> str:
        self.before_recording()
        if self.recording_failure is not None:
            raise self.recording_failure
        self.exchanges.append(exchange)
        return exchange.conversation_id or f"c{len(self.exchanges)}"

    def feedback(self, response_id: str, *, rating: Any, correction: Any) -> None:
        if response_id not in {e.response_id for e in self.exchanges}:
            raise BadInputError(f"No reply has the id {response_id}.", "Take the id of a reply.")
        self.given.append((response_id, rating, correction))


@dataclass(frozen=True)
class Served:
    """The running service. ``clients`` are closed with it."""

    url: str
    stage: Stage
    service: ChatService
    server: ApiServer
    limits: Limits
    clients: contextlib.ExitStack

    def client(self, **changes: Any) -> openai.OpenAI:
        """Return OpenAI's own client for it."""
        settings = {"base_url": f"{self.url}/v1", "api_key": TOKEN, "max_retries": 0, **changes}
        return self.clients.enter_context(openai.OpenAI(**settings))

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextlib.contextmanager
def serving(stage: Stage, **limits: Any) -> Iterator[Served]:
    """Run the service in a thread until the block ends."""
    bounds = replace(Limits(closing_seconds=0.2), **limits)
    service = ChatService(
        live=stage,
        router=stage,
        recorder=stage,
        versions=lambda: tuple((name, 1_700_000_000) for name in stage.names),
        clock=Wall(),
        limits=bounds,
    )
    server = ApiServer(service, Access(TOKEN), bounds, open_socket(0))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), daemon=True)
    url = server.url
    thread.start()
    assert ready.wait(10)
    clients = contextlib.ExitStack()
    try:
        with clients:
            yield Served(url, stage, service, server, bounds, clients)
    finally:
        server.stop()
        thread.join(15)
        assert not thread.is_alive()
        assert service.wait_for_threads(5)

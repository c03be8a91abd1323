"""The local API: as an application, through its socket byte by byte, from its description, and as a real process."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from allie_desktop.domain.errors import BadInputError, ModelError, StoreBusyError, VersionCorruptError
from allie_desktop.inference.api.app import build_app
from allie_desktop.inference.api.authentication import Access
from allie_desktop.inference.api.limits import Limits
from allie_desktop.inference.api.service import ChatService
from tests.api_stage import TOKEN, Stage, Wall, serving
from tests.fuzz.api_description import DESCRIPTION
from tests.fuzz.api_requests import (
    BODIES,
    BODY_BYTES,
    CHAT,
    METHODS,
    PATHS,
    PATIENCE_SECONDS,
    PORT,
    body_like,
    check_answer,
    headers_like,
)
from tests.fuzz.target import (
    BrokenPromiseError,
    Outcome,
    ServerFaultError,
    Target,
    expect,
    quieten,
)

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
        quieten(stack)
        self._loop = asyncio.new_event_loop()
        stack.callback(self._loop.close)
        self._stage = Stage()
        self._limits = replace(Limits(), body_bytes=BODY_BYTES, body_seconds=2.0, slow_client_seconds=2.0)
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
        path = random.choice(tuple(BODIES)) if random.random() < 0.75 else random.choice(PATHS)
        method = "POST" if random.random() < 0.8 else random.choice(METHODS)
        body = body_like(path, random)
        cuts = sorted(random.randrange(len(body) + 1) for _ in range(random.choice((0, 0, 0, 1, 3))))
        return json.dumps(
            {
                "method": method,
                "path": path,
                "headers": headers_like(random, f"127.0.0.1:{PORT}", TOKEN),
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
            return self._loop.run_until_complete(asyncio.wait_for(self._ask(asked), PATIENCE_SECONDS))
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
            "server": ("127.0.0.1", PORT),
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
            "method": "POST", "path": "/v1/chat/completions", "body": json.dumps(CHAT), "cuts": [], "leaves": None,
            "headers": [["host", f"127.0.0.1:{PORT}"], ["authorization", f"Bearer {TOKEN}"]],
        }  # fmt: skip
        outcome = self._loop.run_until_complete(asyncio.wait_for(self._ask(asked), PATIENCE_SECONDS))
        expect(outcome is Outcome.TAKEN, "an ordinary question is not answered any more")


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

        quieten(stack)
        self._served = stack.enter_context(serving(Stage(), body_bytes=BODY_BYTES))
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


TARGETS = (Application, Description)

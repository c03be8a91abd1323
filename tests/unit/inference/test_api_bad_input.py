"""Whatever is sent to the API: an error object that says what is wrong, and a service that goes on."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api_stage import TOKEN, Served, Stage, serving, wait_until

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "allie", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Stage(), header_seconds=0.4, body_seconds=0.4, body_bytes=1_000_000) as running:
        yield running


class Answered:
    """A response, read to its end."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}

    @property
    def code(self) -> str:
        document = json.loads(self.body)
        assert set(document) == {"error"}
        assert set(document["error"]) == {"message", "type", "param", "code"}
        assert document["error"]["message"].endswith(".")
        return document["error"]["code"]


def connect(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            data += chunk
    return data


def read_until(connection: socket.socket, text: bytes) -> None:
    data = b""
    while text not in data:
        chunk = connection.recv(65536)
        assert chunk, "the connection was closed"
        data += chunk


def send(
    served: Served,
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = CHAT,
    headers: dict[str, str] | None = None,
) -> Answered:
    """Send one request on a connection of its own and return the answer."""
    sent = {
        "Host": f"127.0.0.1:{served.port}",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items() if v != "")]
    with connect(served) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return Answered(read_all(connection))


def ask(served: Served, **changes: Any) -> Answered:
    return send(served, json.dumps({**HELLO, **changes}).encode())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"model": "allie", "messages": [{"role": "user", "content": "Hi"}],}', "invalid_json"),
        (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', "invalid_json"),
        (b'{"temperature": NaN, "messages": [{"role": "user", "content": "Hi"}]}', "invalid_json"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
        (b'{"temperature": 1e999, "messages": [{"role": "user", "content": "Hi"}]}', "invalid_value"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "invalid_json"),
        (b"[]", "invalid_value"),
        (b"null", "invalid_value"),
        (b"{}", "invalid_value"),
        (b'{"messages": {}}', "invalid_value"),
        (b'{"messages": [{"role": 1, "content": "Hi"}]}', "invalid_value"),
    ],
)
def test_a_body_that_is_no_request_is_refused(served, body, code):
    answered = send(served, body)
    assert (answered.status, answered.code) == (400, code)


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "tool", "content": "Hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
            "unsupported_content",
        ),
        (
            {"messages": [{"role": "user", "content": "x" * 1_000_001}]},
            None,
            "body_too_large",
        ),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": -5}, "max_completion_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_value"),
        ({"temperature": -0.1}, "temperature", "invalid_value"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_value"),
        ({"top_p": 1.01}, "top_p", "invalid_value"),
        ({"frequency_penalty": 3}, "frequency_penalty", "invalid_value"),
        ({"stop": [""]}, "stop", "invalid_value"),
        ({"stop": ["x"] * 17}, "stop", "invalid_value"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"n": 0}, "n", "unsupported_parameter"),
        ({"tools": [{"type": "function"}]}, "tools", "unsupported_parameter"),
        ({"functions": [{}]}, "functions", "unsupported_parameter"),
        ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
        ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
        ({"model": ""}, "model", "invalid_value"),
        ({"model": "x" * 5000}, "model", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_value"),
    ],
)
def test_a_field_that_cannot_be_honoured_is_named(served, changes, param, code):
    answered = ask(served, **changes)
    assert (answered.status, answered.code) == (413 if code == "body_too_large" else 400, code)
    assert json.loads(answered.body)["error"]["param"] == param


def test_a_model_name_from_outside_is_only_a_name(served):
    for name in ("../../etc/passwd", "v1.0/../base", "V1.0", "vé", "%76"):
        answered = ask(served, model=name)
        assert (answered.status, answered.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "invalid_api_key"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer \xe9\xff"}, 401, "invalid_api_key"),
        ({"Host": "evil.example"}, 403, "foreign_host"),
        ({"Host": "evil.example:{port}"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1:1"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1:{port}:{port}"}, 403, "foreign_host"),
        ({"Origin": "https://evil.example"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403, "foreign_origin"),
        ({"Origin": "http://localhost@evil.example"}, 403, "foreign_origin"),
        ({"Origin": "http://[::1"}, 403, "foreign_origin"),
        ({"X-Allie-Conversation": "a b"}, 400, "invalid_value"),
        ({"X-Allie-Record": "maybe"}, 400, "invalid_value"),
        ({"X-Allie-Source": "import"}, 400, "invalid_value"),
    ],
)
def test_headers_decide_who_may_come_in(served, headers, status, code):
    before = len(served.stage.asked)
    named = {name: value.replace("{port}", str(served.port)) for name, value in headers.items()}
    answered = send(served, json.dumps(HELLO).encode(), headers=named)
    assert (answered.status, answered.code) == (status, code)
    assert ("www-authenticate" in answered.headers) == (status == 401)
    assert "access-control-allow-origin" not in answered.headers
    assert len(served.stage.asked) == before


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_every_name_of_the_loopback_is_welcome(served, host):
    answered = send(served, json.dumps(HELLO).encode(), headers={"Host": host.format(port=served.port)})
    assert answered.status == 200


def test_a_page_of_this_computer_may_ask_and_see_the_answer(served):
    origin = {"Origin": "http://localhost:3000"}
    preflight = send(
        served,
        method="OPTIONS",
        headers={**origin, "Authorization": "", "Access-Control-Request-Method": "POST"},
    )
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, origin["Origin"])
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answered = send(served, json.dumps(HELLO).encode(), headers=origin)
    assert (answered.status, answered.headers["access-control-allow-origin"]) == (200, origin["Origin"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/models/", 404, "not_found"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("GET", "http://evil.example/v1/models", 404, "not_found"),
        ("GET", "/v1/models/%2e%2e%2fx", 404, "model_not_found"),
    ],
)
def test_addresses_and_methods_that_do_not_exist_are_said_so(served, method, path, status, code):
    answered = send(served, method=method, path=path)
    assert (answered.status, answered.code) in {(status, code), (404, "not_found")}
    if status == 405:
        assert answered.headers["allow"] in {"POST", "GET, HEAD", "HEAD, GET"}


def test_health_needs_no_token_and_says_nothing_of_anybody(served):
    answered = send(served, method="GET", path="/healthz", headers={"Authorization": ""})
    assert answered.status == 200
    assert set(json.loads(answered.body)) == {"status", "version", "loaded"}
    assert send(served, method="GET", path="/healthz", headers={"Host": "evil.example"}).status == 403


def test_a_body_that_is_too_long_is_refused_however_it_comes(served):
    announced = send(served, b" " * 1_000_001)
    assert (announced.status, announced.code) == (413, "body_too_large")

    chunk = b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n"
    chunked = send(
        served, chunk * 2 + b"0\r\n\r\n", headers={"Content-Length": "", "Transfer-Encoding": "chunked"}
    )
    assert (chunked.status, chunked.code) == (413, "body_too_large")

    with connect(served) as connection:  # curl does so: nothing of the body is sent before "100 Continue"
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert Answered(read_all(connection)).status == 413


def test_a_body_without_end_is_cut_off(served):
    with connect(served) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n"
        with pytest.raises(OSError):  # noqa: PT012 - any of them may be the one
            for _ in range(1000):
                connection.sendall(chunk)


def test_headers_and_bodies_that_do_not_come_do_not_keep_a_place(served):
    with connect(served) as silent, connect(served) as half, connect(served) as bodiless:
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc")
        bodiless.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            'Content-Length: 100\r\n\r\n{"mod'.encode()
        )
        for connection in (silent, half, bodiless):
            answered = Answered(read_all(connection))
            assert (answered.status, answered.code) == (408, "request_timeout")


def test_who_trickles_headers_is_cut_off_all_the_same(served):
    with connect(served) as connection, pytest.raises(OSError):  # noqa: PT012 - any byte may be the last
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(200):
            connection.sendall(b"X: y\r\n")
            connection.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                if connection.recv(1000) and not connection.recv(1000):
                    raise ConnectionResetError


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,  # somebody tries TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_an_error_object_and_a_closed_connection(served, data):
    with connect(served) as connection:
        connection.sendall(data)
        answered = Answered(read_all(connection))
    assert answered.status in {400, 403}
    assert answered.code in {"invalid_http", "foreign_host"}


def test_garbage_after_a_request_does_not_harm_its_answer(served):
    body = json.dumps(HELLO).encode()
    with connect(served) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
            + b"\x00\x01garbage\r\n\r\n"
        )
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK")


def test_a_refused_request_leaves_one_line_and_none_of_its_words(served, caplog):
    caplog.set_level("INFO")
    ask(served, messages=[{"role": "wizard", "content": "my secret"}])
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("allie_desktop")]
    assert lines == [f"400 invalid_value POST '{CHAT}'"]
    assert "my secret" not in caplog.text
    assert TOKEN not in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p seed stop n "
    "frequency_penalty presence_penalty tools functions response_format logprobs logit_bias prompt "
    "response_id rating correction".split()
)


@settings(max_examples=150)
@given(
    path=st.sampled_from([CHAT, "/v1/completions", "/v1/feedback"]),
    changes=st.dictionaries(fields, json_values, max_size=4),
    whole=st.booleans(),
)
def test_no_body_whatsoever_gets_more_than_an_error_object(served, path, changes, whole):
    body = json.dumps({**(HELLO if whole else {}), **changes}).encode()
    answered = send(served, body, path=path)
    assert answered.status in {200, 400, 404}
    if answered.status != 200:
        assert answered.code


def test_a_client_that_leaves_ends_its_generation_and_what_was_said_is_recorded():
    stage = Stage(words=[f"word{i} " for i in range(1000)], gate=threading.Semaphore(3))
    with serving(stage) as served:
        body = json.dumps({**HELLO, "stream": True}).encode()
        with connect(served) as connection:
            connection.sendall(
                f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            read_until(connection, b"word0")
        wait_until(lambda: stage.cancelled)
        wait_until(lambda: stage.exchanges)
        assert [(e.finish_reason, e.reply) for e in stage.exchanges] == [("cancelled", "word0 word1 word2 ")]
        wait_until(lambda: served.service.in_flight == 0)


def test_a_client_that_leaves_before_the_first_word_or_while_it_waits_leaves_nothing_behind():
    stage = Stage(gate=threading.Semaphore(0))
    with serving(stage, running=1) as served:
        body = json.dumps(HELLO).encode()
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        with connect(served) as running:
            running.sendall(head + body)
            wait_until(lambda: stage.at_once == 1)
            with connect(served) as waiting:
                waiting.sendall(head + body)
                wait_until(lambda: served.service.in_flight == 2)
            wait_until(lambda: served.service.in_flight == 1)
        wait_until(lambda: served.service.in_flight == 0)
        assert (stage.exchanges, len(stage.asked), stage.cancelled) == ([], 1, ["v1.0"])


def test_a_slow_client_keeps_nobody_waiting_and_is_left_in_the_end():
    stage = Stage(words=["x" * 10_000] * 2_000)
    with serving(stage, running=1, slow_client_seconds=0.5, buffer_characters=100_000) as served:
        body = json.dumps({**HELLO, "stream": True}).encode()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", served.port))
            slow.sendall(
                f"POST {CHAT} HTTP/1.1\r\nHost: localhost:{served.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            wait_until(lambda: stage.at_once == 1)
            wait_until(lambda: stage.at_once == 0)
        stage.words = None
        assert ask(served).status == 200
        assert [e.finish_reason for e in stage.exchanges] == ["cancelled", "stop"]


def test_two_hundred_requests_at_once_are_answered_or_told_when_to_come_back():
    stage = Stage(gate=threading.Semaphore(0))
    with serving(stage) as served:
        answers: list[Answered] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(served))) for _ in range(200)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) + served.service.in_flight == 200, 60)
        assert stage.most_at_once == 4
        stage.gate.release(100_000)
        for thread in threads:
            thread.join(60)

    by_status = {status: [a for a in answers if a.status == status] for status in (200, 429)}
    assert {status: len(those) for status, those in by_status.items()} == {200: 68, 429: 132}
    assert {a.code for a in by_status[429]} == {"rate_limit_exceeded"}
    assert all(1 <= int(a.headers["retry-after"]) <= 60 for a in by_status[429])
    assert (len(stage.exchanges), stage.most_at_once) == (68, 4)


def test_connections_beyond_the_bound_are_refused_and_those_within_live():
    with serving(Stage(), connections=3) as served, contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(connect(served))
        wait_until(lambda: len(served.server._server.server_state.connections) == 3)
        with connect(served) as fourth:
            answered = Answered(read_all(fourth))
        assert (answered.status, answered.code) == (503, "too_many_connections")

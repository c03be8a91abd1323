"""Replies over a real connection."""

from __future__ import annotations

import socket

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Message
from allie_desktop.ui.chat import problems
from allie_desktop.ui.chat.client import ChatClient
from allie_desktop.ui.chat.ports import Endpoint
from tests.gui.chat_stage import TOKEN, VERSION, FakeApi

QUESTION = (Message(role=Role.USER, content="Hello"),)


@pytest.fixture
def api():
    server = FakeApi()
    yield server
    server.close()


class Asked:
    """A reply with everything that it said."""

    def __init__(self, qtbot, endpoint: Endpoint) -> None:
        self.client = ChatClient()
        self.said: list[object] = []
        self.stream = self.client.ask(endpoint, "conversation-1", QUESTION)
        self.stream.accepted.connect(lambda version, name: self.said.append((version, name)))
        self.stream.piece.connect(lambda text, _id: self.said.append(text))
        self.stream.ended.connect(lambda reason: self.said.append(f"ended: {reason}"))
        self.stream.failed.connect(self.said.append)
        self._qtbot = qtbot

    def end(self) -> list[object]:
        self._qtbot.waitUntil(
            lambda: bool(self.said) and not isinstance(self.said[-1], tuple) and self._over(), timeout=10_000
        )
        return self.said

    def _over(self) -> bool:
        last = self.said[-1]
        return isinstance(last, problems.Problem) or str(last).startswith("ended")


def test_a_reply_comes_piece_by_piece_and_ends(qtbot, api):
    api.script = ["Hel", "lo ", "😀"]
    assert Asked(qtbot, api.endpoint).end() == [
        (VERSION, "conversation-1"),
        "Hel",
        "lo ",
        "😀",
        "ended: stop",
    ]
    headers, body = api.requests[0]
    assert (headers["Authorization"], headers["X-Allie-Source"]) == (f"Bearer {TOKEN}", "chat")
    assert headers["X-Allie-Conversation"] == "conversation-1"
    assert body["messages"] == [{"role": "user", "content": "Hello"}]


def test_a_connection_that_breaks_is_a_problem_after_what_came(qtbot, api):
    api.script = ["Half", "<crash>"]
    said = Asked(qtbot, api.endpoint).end()
    assert said[1:] == ["Half", problems.Problem(sentence=problems.BROKEN_OFF, process_gone=True)]


def test_a_refusal_is_a_sentence(qtbot, api):
    api.script, api.headers = [429], {"Retry-After": "7"}
    assert Asked(qtbot, api.endpoint).end() == [
        problems.Problem(
            sentence="Allie is busy with other questions just now. Try again in 7 seconds.", wait_seconds=7
        )
    ]


def test_a_redirection_is_not_followed(qtbot, api):
    api.script, api.headers = [302], {"Location": f"{api.url}/elsewhere"}
    Asked(qtbot, api.endpoint).end()
    assert len(api.requests) == 1


def test_nobody_there_is_a_sentence(qtbot):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = Asked(qtbot, Endpoint(url=url, token="x")).end()
    assert said == [problems.Problem(sentence=problems.UNREACHABLE, process_gone=True)]


def test_nonsense_is_a_sentence(qtbot, api):
    api.script = ["Half", b"data: {nonsense\n\n"]
    assert Asked(qtbot, api.endpoint).end()[1:] == ["Half", problems.Problem(sentence=problems.UNREADABLE)]


def test_an_error_in_the_stream_is_its_sentence(qtbot, api):
    api.script = ["Half", b'data: {"error": {"message": "The context is full."}}\n\n']
    assert Asked(qtbot, api.endpoint).end()[-1] == problems.Problem(sentence="The context is full.")


def test_stopping_hangs_up_and_says_nothing_more(qtbot, api):
    api.script = ["Half", "<wait>", *["more "] * 5_000]
    asked = Asked(qtbot, api.endpoint)
    qtbot.waitUntil(lambda: "Half" in asked.said)
    asked.stream.stop()
    api.go.set()
    qtbot.waitUntil(api.hung_up.is_set, timeout=10_000)
    assert asked.said[-1] == "Half"


def test_the_state_of_the_model_is_asked_for(qtbot, api):
    told: list[str] = []
    client = ChatClient()
    api.health = "loading"
    client.look(api.endpoint, told.append)
    qtbot.waitUntil(lambda: told == ["loading"])
    client.look(Endpoint(url="http://127.0.0.1:9", token=""), told.append)
    qtbot.waitUntil(lambda: told == ["loading", ""])

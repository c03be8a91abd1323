"""Exchanges in the store: kept with their conversation, found, counted from indexes alone, forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from allie_desktop.domain.chat import Evidence, Exchange
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import UnknownConversationError
from allie_desktop.domain.planning import Message
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.exchanges import SqliteExchanges
from tests.unit.store.store_samples import NOON, assessed, later, reply, user


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "allie.sqlite3") as database:
        yield database
        database.check(full=True)


@pytest.fixture
def exchanges(database: Database) -> SqliteExchanges:
    return SqliteExchanges(database)


@pytest.fixture
def conversations(database: Database) -> SqliteConversations:
    return SqliteConversations(database)


def exchange(number: int, version: str = "v1.0", **changes: object) -> Exchange:
    values: dict[str, object] = {
        "response_id": f"chatcmpl-{number}",
        "conversation_id": None,
        "source": "api",
        "messages": (Message(role=Role.USER, content="What?"),),
        "reply": "That.",
        "version": version,
        "finish_reason": "stop",
        "started_at": later(number),
        "first_token_seconds": 0.25,
        "seconds": number + 0.5,
        "client": "llm",
    }
    return Exchange(**{**values, **changes})  # type: ignore[arg-type]


def note(
    exchanges: SqliteExchanges,
    one: Exchange,
    conversation_id: str | None = "c1",
    position: int | None = 1,
    **rest: object,
) -> None:
    values: dict[str, object] = {"broken": False, "request": b"r" * 16, "head": b"h" * 16, **rest}
    exchanges.note(one, conversation_id=conversation_id, position=position, **values)  # type: ignore[arg-type]


def test_a_reply_is_found_by_its_id_its_request_and_its_head(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    conversations.add([assessed("c1"), assessed("c2")])
    note(exchanges, exchange(1), "c1")
    note(exchanges, exchange(2), "c2", head=b"x" * 16)

    known = exchanges.of_response("chatcmpl-1")
    assert known is not None
    assert (known.conversation_id, known.position, known.version, known.client, known.started_at) == (
        "c1",
        1,
        "v1.0",
        "llm",
        later(1),
    )
    assert [one.response_id for one in exchanges.with_request(b"r" * 16)] == ["chatcmpl-2", "chatcmpl-1"]
    assert [one.response_id for one in exchanges.with_request(b"r" * 16, limit=1)] == ["chatcmpl-2"]
    assert exchanges.with_head(b"h" * 16) == (known,)
    assert exchanges.of_response("chatcmpl-3") is None
    assert exchanges.with_head(b"?" * 16) == ()
    with pytest.raises(UnknownConversationError):
        note(exchanges, exchange(3), "gone")


def test_the_same_words_may_be_said_in_two_conversations(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    said = (user("What?"), reply("That."))
    assert [exchanges.begin(assessed(name, *said)) for name in ("a", "b", "a", "a")] == [
        "a",
        "b",
        "a-2",
        "a-3",
    ]
    assert conversations.counts().conversations == 4
    assert len(conversations.rows(search="that")) == 4


def test_a_step_happens_whole_or_not_at_all(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    def half() -> None:
        with exchanges.writing():
            exchanges.begin(assessed("c1"))
            note(exchanges, exchange(1), "c1")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert conversations.rows() == ()
    assert exchanges.of_response("chatcmpl-1") is None


def test_evidence_counts_replies_of_a_version_since_a_time(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    conversations.add([assessed(f"c{number}") for number in range(1, 8)])
    note(exchanges, exchange(1), "c1")
    note(exchanges, exchange(2), "c2")
    note(exchanges, exchange(3), "c3")
    note(exchanges, exchange(4), "c4", broken=True)
    note(exchanges, exchange(5, "v1.1"), "c5")
    note(exchanges, exchange(6, finish_reason="error"), None, None)
    note(exchanges, exchange(7, finish_reason="error"), None, None)
    note(exchanges, exchange(8), None, None, broken=True)
    conversations.rate("c1", 1, 1)
    conversations.rate("c2", 1, -1)
    conversations.replace(assessed("c3", user("What?"), reply("That.", rating=1, correction="This.")))

    assert exchanges.evidence("v1.0", since=NOON) == Evidence(
        replies=5,
        conversations=4,
        liked=1,
        disliked=2,
        regenerated=0,
        errors=2,
        broken=2,
        latency_seconds=(8.5, 4.5, 3.5, 2.5, 1.5),
    )
    assert exchanges.evidence("v1.0", since=later(4)) == Evidence(
        replies=2, conversations=1, errors=2, broken=2, latency_seconds=(8.5, 4.5)
    )
    assert exchanges.evidence("v9.9", since=NOON) == Evidence()


def test_a_reply_made_anew_counts_once_with_what_was_thought_of_each(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    conversations.add([assessed("c1"), assessed("c2")])
    for number in (1, 2):
        note(exchanges, exchange(number), "c1")
        exchanges.replace_at("c1", 1)
    note(exchanges, exchange(3, "v1.1"), "c1")
    conversations.rate("c1", 1, 1)
    assert exchanges.evidence("v1.0", since=NOON).regenerated == 1
    assert exchanges.evidence("v1.0", since=NOON).replies == 1
    assert exchanges.evidence("v1.1", since=NOON) == Evidence(
        replies=1, conversations=1, liked=1, latency_seconds=(3.5,)
    )
    exchanges.rate_replaced("chatcmpl-2", -1)
    exchanges.rate_replaced("chatcmpl-3", -1)  # it was not replaced: nothing to be done here
    old = exchanges.evidence("v1.0", since=NOON)
    assert (old.disliked, old.regenerated) == (1, 0)
    assert exchanges.evidence("v1.1", since=NOON).disliked == 0


def test_the_last_version_is_that_of_the_last_reply(
    exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    conversations.add([assessed("c1", user("a"), reply("b"), user("c"), reply("d"))])
    assert exchanges.last_version("c1") is None
    note(exchanges, exchange(1, "v1.1"), "c1", 3)
    note(exchanges, exchange(2, "v1.0"), "c1", 1)
    assert exchanges.last_version("c1") == "v1.1"
    assert exchanges.last_version("nobody") is None


def test_forgetting_a_conversation_forgets_its_exchanges(
    database: Database, exchanges: SqliteExchanges, conversations: SqliteConversations
) -> None:
    conversations.add([assessed("c1"), assessed("c2")])
    note(exchanges, exchange(1, response_id="chatcmpl-secretid"), "c1")
    note(exchanges, exchange(2), "c2")
    database.backups.create(reason="test")
    conversations.forget("c1")

    assert exchanges.of_response("chatcmpl-secretid") is None
    assert exchanges.of_response("chatcmpl-2") is not None
    files = [database.path, *(backup.path for backup in database.backups.all())]
    assert len(files) == 2
    assert [b"secretid" in file.read_bytes() for file in files] == [False, False]


USES: dict[str, Callable[[SqliteExchanges], object]] = {
    "evidence": lambda store: store.evidence("v1.0", since=NOON - timedelta(days=1)),
    "of response": lambda store: store.of_response("chatcmpl-1"),
    "with request": lambda store: store.with_request(b"r" * 16),
    "with head": lambda store: store.with_head(b"h" * 16),
    "last version": lambda store: store.last_version("c1"),
    "replace": lambda store: store.replace_at("c1", 1),
    "begin": lambda store: store.begin(assessed("new")),
}


@pytest.mark.parametrize("use", USES)
def test_nothing_reads_a_whole_table(
    database: Database, exchanges: SqliteExchanges, conversations: SqliteConversations, use: str
) -> None:
    conversations.add([assessed("c1")])
    note(exchanges, exchange(1))
    statements: set[str] = set()
    database.connection.set_trace_callback(statements.add)
    USES[use](exchanges)
    database.connection.set_trace_callback(None)
    plans = [
        step
        for statement in statements
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", statement)
        for *_, step in database.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert [
        step for step in plans if re.search(r"SCAN (exchanges|conversations|feedback|turns)\b", step)
    ] == []
    if use == "evidence":
        searched = [step for step in plans if "SEARCH exchanges" in step]
        assert searched
        assert all("COVERING INDEX exchanges_by_version" in step for step in searched)

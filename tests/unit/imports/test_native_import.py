"""Allie's own form: reading, refusing, and writing what reads back as the same."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Role,
    Turn,
    content_hash,
)
from allie_desktop.imports.native import to_native_line
from allie_desktop.imports.registry import read

LINE = {
    "id": "c-1",
    "created_at": "2024-03-04T05:06:07Z",
    "source": "chat",
    "title": "Spanish lessons",
    "mood": "good",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hola?", "lang": "es"},
        {"role": "assistant", "content": "Hello!", "rating": -1, "correction": "¡Hola!", "model": "v1.0"},
    ],
}


def messages(*pairs: tuple[str, object]) -> list[dict[str, object]]:
    return [{"role": role, "content": content} for role, content in pairs]


def exchange(**extra: object) -> dict[str, object]:
    return {"id": "x", "messages": messages(("user", "Hi"), ("assistant", "Hello")), **extra}


def jsonl(*records: object) -> str:
    return "".join(
        (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)) + "\n"
        for record in records
    )


def test_every_key_of_a_line_arrives(importing):
    assert importing(jsonl(LINE), "a.jsonl").conversations == [
        Conversation(
            id="c-1",
            created_at=datetime(2024, 3, 4, 5, 6, 7, tzinfo=timezone.utc),
            source="chat",
            title="Spanish lessons",
            extra={"mood": "good"},
            turns=(
                Turn(role=Role.SYSTEM, content="Be brief."),
                Turn(role=Role.USER, content="Hola?", extra={"lang": "es"}),
                Turn(
                    role=Role.ASSISTANT,
                    content="Hello!",
                    rating=-1,
                    correction="¡Hola!",
                    extra={"model": "v1.0"},
                ),
            ),
        )
    ]


def test_a_bad_line_is_refused_with_its_number_and_the_rest_goes_in(importing):
    outcome = importing(
        jsonl(
            exchange(id="1"),
            "not json",
            "",
            exchange(id="4", messages=[{"role": "user"}]),
            '{"id": "5", "messages": [',
            exchange(id="6"),
        ),
        "a.jsonl",
    )
    assert [found.id for found in outcome.conversations] == ["1", "6"]
    assert outcome.reasons == [
        (2, "It is not valid JSON: invalid character (byte 4)."),
        (4, "Message 1 has no content."),
        (5, "It is not valid JSON: it breaks off."),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([1], "It is not a JSON object."),
        ({"id": "1"}, "It has no list of `messages`."),
        ({"messages": {}}, "It has no list of `messages`."),
        ({"messages": []}, "It has no messages with text."),
        ({"messages": [5]}, "Message 1 is not an object."),
        ({"messages": [{"content": "x"}]}, "Message 1 has no role."),
        (
            {"messages": messages(("robot", "x"))},
            "Message 1 has the role “robot”; it should be system, user or assistant.",
        ),
        (
            {"messages": [{"role": ["user"], "content": "x"}]},
            "Message 1 has the role of a wrong type; it should be system, user or assistant.",
        ),
        ({"messages": [{"role": "user", "content": None}]}, "Message 1 has no content."),
        ({"messages": [{"role": "user", "content": 5}]}, "Message 1 has content that is not text."),
        ({"messages": [{"role": "user", "content": {"a": 1}}]}, "Message 1 has content that is not text."),
        ({"messages": messages(("user", "Hi"))}, "It has no answer from the assistant."),
        ({"messages": messages(("assistant", "Hi"))}, "It has no message from the person."),
        ({"messages": messages(("user", "  "), ("assistant", "Hi"))}, "It has no message from the person."),
        ({"messages": messages(("user", "Hi"), ("assistant", "\n"))}, "It has no answer from the assistant."),
        (exchange(title=["x"]), "Its title is not text."),
        (exchange(id={"x": 1}), "Its id is not text."),
        (exchange(id=True), "Its id is not text."),
        (exchange(source=3), "Its source is not a word, such as chat or import."),
        (exchange(source="a\nb"), "Its source is not a word, such as chat or import."),
        (exchange(source="x" * 65), "Its source is longer than 64 characters."),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(importing, record, reason):
    assert importing(jsonl(exchange(), record), "a.jsonl", "native").reasons == [(2, reason)]


@pytest.mark.parametrize(
    ("feedback", "reason"),
    [
        ({"rating": 2}, "Message 2 has the rating “2”; it should be 1 or -1."),
        ({"rating": 0}, "Message 2 has the rating “0”; it should be 1 or -1."),
        ({"rating": "1"}, "Message 2 has the rating “1”; it should be 1 or -1."),
        ({"rating": True}, "Message 2 has the rating “True”; it should be 1 or -1."),
        ({"rating": [1]}, "Message 2 has the rating of a wrong type; it should be 1 or -1."),
        ({"correction": 5}, "Message 2 has a correction that is not text."),
        ({"correction": " "}, "Message 2 has an empty correction."),
    ],
)
def test_feedback_that_says_nothing_is_refused_in_words(importing, feedback, reason):
    record = exchange(
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", **feedback}]
    )
    assert importing(jsonl(record), "a.jsonl", "native").reasons == [(1, reason)]


@pytest.mark.parametrize(
    ("feedback", "reason"),
    [
        ({"rating": 1}, "Message 1 has a rating, but only an answer of the assistant can have one."),
        (
            {"correction": "x"},
            "Message 1 has a correction, but only an answer of the assistant can be corrected.",
        ),
    ],
)
def test_feedback_on_the_persons_own_words_is_refused(importing, feedback, reason):
    record = exchange(
        messages=[{"role": "user", "content": "a", **feedback}, {"role": "assistant", "content": "b"}]
    )
    assert importing(jsonl(record), "a.jsonl", "native").reasons == [(1, reason)]


def test_null_is_as_good_as_absent(importing):
    record = exchange(id=None, title=None, source=None, created_at=None)
    record["messages"] = [
        {"role": "user", "content": "a", "rating": None, "correction": None},
        {"role": "assistant", "content": "b", "rating": None, "correction": None},
    ]
    (found,) = importing(jsonl(record), "a.jsonl", "native").conversations
    assert (found.title, found.source, found.turns[1].rating) == (None, "import", None)


def test_a_correction_makes_up_for_an_empty_answer(importing):
    record = exchange(
        messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "correction": "b"}]
    )
    (found,) = importing(jsonl(record), "a.jsonl").conversations
    assert found.turns[1] == Turn(role=Role.ASSISTANT, content="", correction="b")


def test_roles_in_any_order_are_kept_as_they_are(importing):
    pairs = [("assistant", "Welcome"), ("user", "a"), ("user", "b"), ("system", "s"), ("assistant", "c")]
    assert importing(jsonl(exchange(messages=messages(*pairs))), "a.jsonl").texts == [pairs]


def test_a_message_of_exactly_the_limit_is_taken_and_a_longer_one_refused(importing):
    outcome = importing(
        jsonl(
            exchange(
                id="fits", messages=messages(("user", "x" * MAXIMUM_TURN_CHARACTERS), ("assistant", "b"))
            ),
            exchange(messages=messages(("user", "a"), ("assistant", "x" * 10_000_000))),
        ),
        "a.jsonl",
    )
    assert [found.id for found in outcome.conversations] == ["fits"]
    assert outcome.reasons == [(2, "Message 2 is longer than 1,000,000 characters.")]


def test_three_thousand_turns_are_taken(importing):
    pairs = [("user" if number % 2 else "assistant", f"turn {number}") for number in range(1, 3001)]
    assert importing(jsonl(exchange(messages=messages(*pairs))), "a.jsonl").texts == [pairs]


def test_more_than_twenty_thousand_turns_are_refused(importing):
    record = exchange(messages=messages(*[("user", "a"), ("assistant", "b")] * 10_001))
    assert importing(jsonl(record), "a.jsonl").reasons == [(1, "It has more than 20,000 messages.")]


def test_emoji_and_right_to_left_text_arrive_unchanged(importing):
    pairs = [("user", "👩🏽‍🚀 שלום عليكم\u200f"), ("assistant", "🏴󠁧󠁢󠁳󠁣󠁴󠁿 e\u0301 é")]
    assert importing(jsonl(exchange(messages=messages(*pairs))), "a.jsonl").texts == [pairs]


def test_nul_characters_are_removed_and_broken_surrogates_replaced(importing):
    line = r'{"id": "x", "messages": [{"role": "user", "content": "a\u0000b"}, {"role": "assistant", "content": "\ud83dc"}]}'
    assert importing(line, "a.jsonl").texts == [[("user", "ab"), ("assistant", "\ufffdc")]]


def test_the_last_of_repeated_keys_counts(importing):
    line = '{"id": "first", "id": "second", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "content": "c"}]}'
    (found,) = importing(line, "a.jsonl").conversations
    assert (found.id, found.turns[1].content) == ("second", "c")


def test_deep_nesting_in_unknown_keys_is_refused(importing):
    record = json.dumps(exchange()).replace('"x"', '"x", "deep": ' + "[" * 40 + "]" * 40)
    bottomless = json.dumps(exchange()).replace('"x"', '"x", "deep": ' + "[" * 90_000 + "]" * 90_000)
    assert importing(jsonl(exchange(), record, bottomless), "a.jsonl").reasons == [
        (2, "It has additional keys nested more than 32 levels deep."),
        (3, "It is nested too deeply."),
    ]


@pytest.mark.parametrize(
    "created_at",
    ["yesterday", "2024-13-45", "", 5, True, [], {}, "0001-01-01", "9999-12-31T23:59:59Z", 1e300, -5, 2**62],
)
def test_a_date_that_cannot_be_is_the_time_of_the_file(importing, tmp_path, created_at):
    (found,) = importing(jsonl(exchange(created_at=created_at)), "a.jsonl").conversations
    assert found.created_at == datetime.fromtimestamp((tmp_path / "a.jsonl").stat().st_mtime, timezone.utc)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        ("2024-01-02T03:04:05.678Z", datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)),
        ("2024-01-02T03:04:05+02:00", datetime(2024, 1, 2, 1, 4, 5, tzinfo=timezone.utc)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        ("2024-01-02", datetime(2024, 1, 2, tzinfo=timezone.utc)),
        (1704164645, datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        (1704164645000, datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
        (1704164645000000, datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)),
    ],
)
def test_dates_in_every_usual_form_are_understood(importing, created_at, expected):
    (found,) = importing(jsonl(exchange(created_at=created_at)), "a.jsonl").conversations
    assert found.created_at == expected


@pytest.mark.parametrize("given_id", [None, "", "   ", "x" * 257, "a\nb"])
def test_an_id_that_cannot_be_used_is_made_from_the_content(importing, given_id):
    (found,) = importing(jsonl(exchange(id=given_id)), "a.jsonl", "native").conversations
    assert found.id == content_hash(found.turns)[:32]


def test_a_number_is_an_id_too(importing):
    assert importing(jsonl(exchange(id=17)), "a.jsonl").conversations[0].id == "17"


def test_an_array_of_records_is_read_like_lines(importing):
    outcome = importing(json.dumps([exchange(id="1"), {"id": "2"}, exchange(id="3")], indent=2), "a.json")
    assert [found.id for found in outcome.conversations] == ["1", "3"]
    assert outcome.reasons == [(15, "Conversation 2: It has no list of `messages`.")]


def test_one_indented_record_is_read(importing):
    assert len(importing(json.dumps(exchange(), indent=2), "a.json").conversations) == 1


# ---- writing ------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
SAID = TEXT.filter(str.strip)
EXTRA = st.dictionaries(
    TEXT.map(lambda key: f"x-{key}"),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
USER_TURNS = st.builds(Turn, role=st.just(Role.USER), content=SAID, extra=EXTRA)
ANSWERS = st.builds(
    Turn,
    role=st.just(Role.ASSISTANT),
    content=SAID,
    rating=st.sampled_from([None, 1, -1]),
    correction=st.none() | SAID,
    extra=EXTRA,
)
ANY_TURNS = USER_TURNS | ANSWERS | st.builds(Turn, role=st.just(Role.SYSTEM), content=TEXT, extra=EXTRA)
CONVERSATIONS = st.builds(
    lambda first, answer, others, order, **rest: Conversation(
        turns=tuple(order.sample([first, answer, *others], len(others) + 2)), **rest
    ),
    first=USER_TURNS,
    answer=ANSWERS,
    others=st.lists(ANY_TURNS, max_size=4),
    order=st.randoms(use_true_random=False),
    id=st.text("abc-0123456789", min_size=1, max_size=40),
    created_at=st.datetimes(datetime(1990, 1, 2), datetime(2025, 1, 1), timezones=st.just(timezone.utc)),
    source=st.sampled_from(["chat", "api", "import", "chatgpt", "mein Programm"]),
    title=st.none() | SAID,
    extra=EXTRA,
)


@settings(max_examples=30)
@given(conversations=st.lists(CONVERSATIONS, min_size=1, max_size=4))
def test_what_is_written_reads_back_as_the_same(tmp_path_factory, conversations):
    path: Path = tmp_path_factory.mktemp("native") / "export.jsonl"
    written = [to_native_line(conversation) for conversation in conversations]
    assert all("\n" not in line for line in written)
    path.write_text("\n".join(written), encoding="utf-8", newline="\n")
    assert list(read(path, "native")) == conversations


def test_an_extra_key_gives_way_to_the_form(importing):
    conversation = Conversation(
        id="1",
        created_at=datetime(2024, 1, 1, tzinfo=timezone.utc),
        source="chat",
        turns=(
            Turn(role=Role.USER, content="a", extra={"role": "system"}),
            Turn(role=Role.ASSISTANT, content="b", extra={"content": "z"}),
        ),
        extra={"messages": [], "id": "other"},
    )
    (found,) = importing(to_native_line(conversation), "a.jsonl").conversations
    assert (found.id, [turn.content for turn in found.turns]) == ("1", ["a", "b"])


def test_what_json_does_not_have_is_written_as_text(importing):
    conversation = Conversation(
        id="1",
        created_at=datetime(2024, 1, 1, tzinfo=timezone.utc),
        source="chat",
        turns=(Turn(role=Role.USER, content="a\ud800"), Turn(role=Role.ASSISTANT, content="b")),
        extra={"path": Path("x")},
    )
    (found,) = importing(to_native_line(conversation), "a.jsonl").conversations
    assert (found.extra, found.turns[0].content) == ({"path": "x"}, "a\ufffd")


def test_a_line_without_a_source_was_imported(importing):
    assert importing(jsonl(exchange()), "a.jsonl").conversations[0].source == "import"
    assert not importing(jsonl(exchange()), "b.jsonl").conversations[0].is_own

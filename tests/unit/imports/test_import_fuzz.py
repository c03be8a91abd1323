"""Whatever a file holds, reading it ends, and ends in conversations, refusals or one kind of error."""

from __future__ import annotations

import copy
import io
import json
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Refusal,
    Role,
)
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.draft import moment
from allie_desktop.imports.native import to_native_line
from allie_desktop.imports.outline import Outline
from allie_desktop.imports.reasoning import without_reasoning
from allie_desktop.imports.registry import FORMATS, read

DATA = Path(__file__).parent / "data"
EXCHANGE = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b", "rating": 1, "correction": "c"},
]
NODE = {
    "author": {"role": "user"},
    "content": {"content_type": "text", "parts": ["a", {"text": "b"}]},
    "metadata": {"is_visually_hidden_from_conversation": False},
    "weight": 1.0,
    "create_time": 1.5,
    "recipient": "all",
    "channel": None,
}
SEEDS: list[object] = [
    {"id": "1", "created_at": "2024-01-01", "source": "chat", "title": "t", "messages": EXCHANGE, "x": [1]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, *EXCHANGE, {"role": "tool"}]},
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    {
        "title": "t",
        "create_time": 1.5,
        "mapping": {
            "r": {"message": None, "parent": None, "children": ["u"]},
            "u": {"message": NODE, "parent": "r", "children": ["a"]},
            "a": {"message": {**NODE, "author": {"role": "assistant"}}, "parent": "u", "children": []},
        },
        "current_node": "a",
    },
    {
        "uuid": "u",
        "name": "n",
        "chat_messages": [
            {"uuid": "1", "sender": "human", "text": "a", "attachments": [{"extracted_content": "x"}]},
            {
                "uuid": "2",
                "sender": "assistant",
                "content": [{"type": "text", "text": "b"}],
                "parent_message_uuid": "1",
            },
        ],
    },
    {
        "id": "c",
        "chat": {
            "params": {"system": "s"},
            "history": {
                "currentId": "2",
                "messages": {
                    "1": {"role": "user", "content": "a", "parentId": None},
                    "2": {
                        "role": "assistant",
                        "content": "b",
                        "originalContent": "c",
                        "parentId": "1",
                        "annotation": {"rating": 1},
                        "output": [{"type": "message", "content": [{"text": "x"}]}],
                    },
                },
            },
        },
    },
    {
        "name": "n",
        "createdAt": 1.5,
        "perChatPredictionConfig": {"fields": [{"key": "llm.prediction.systemPrompt", "value": "s"}]},
        "messages": [
            {
                "versions": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
                "currentlySelected": 0,
            },
            {
                "versions": [
                    {
                        "role": "assistant",
                        "steps": [
                            {
                                "type": "contentBlock",
                                "style": {"type": "thinking"},
                                "content": [{"type": "text", "text": "b"}],
                            }
                        ],
                    }
                ],
                "currentlySelected": 0,
            },
        ],
    },
    {
        "role": "user",
        "thread_id": "t",
        "status": "ready",
        "created_at": 1.5,
        "content": [{"type": "text", "text": {"value": "a"}}],
    },
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["\x00", "\ud800", "user", "assistant", "text", "1", "9" * 400, "2024-01-01T00:00:00Z"]),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"role": "user", "text": None, "content": 1}),
    st.just([[[[[[[[[[["deep"]]]]]]]]]]]),
)


def spots(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for key, item in inner for spot in spots(item, (*path, key)))]


@st.composite
def mutated_records(draw: st.DrawFn) -> object:
    """A valid record of some format with a few of its values replaced by others."""
    record = json.loads(json.dumps(draw(st.sampled_from(SEEDS))))
    for _ in range(draw(st.integers(0, 3))):
        spot = draw(st.sampled_from(spots(record)))
        if not spot:
            return copy.deepcopy(draw(ODD))
        target = record
        for key in spot[:-1]:
            target = target[key]
        target[spot[-1]] = copy.deepcopy(draw(ODD))
    return record


def consumed(path: Path, format_name: str) -> None:
    """Read everything, and see that what came out keeps its promises."""
    try:
        outcomes = list(read(path, format_name))
    except ImportFileError as error:
        outcomes = [Refusal(file="", line=None, reason=str(error))]
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            assert outcome.reason.strip().endswith(".")
            continue
        assert isinstance(outcome, Conversation)
        assert outcome.id
        assert outcome.source
        assert outcome.created_at.tzinfo is not None
        assert {Role.USER, Role.ASSISTANT} <= {turn.role for turn in outcome.turns}
        for turn in outcome.turns:
            assert "\x00" not in turn.content
            assert len(turn.content.encode("utf-8")) <= 4 * MAXIMUM_TURN_CHARACTERS
        to_native_line(outcome).encode("utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "threads" / "t"
    folder.mkdir(parents=True)
    (folder / "thread.json").write_text("{}")
    return folder / "messages.jsonl"


FORMAT_NAMES = st.sampled_from(FORMATS)
FEW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(data=st.binary(max_size=400), format_name=FORMAT_NAMES)
def test_arbitrary_bytes_end_well(place, data, format_name):
    place.write_bytes(data)
    consumed(place, format_name)


@FEW
@given(
    records=st.lists(mutated_records(), min_size=1, max_size=3),
    format_name=FORMAT_NAMES,
    as_lines=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_valid_records_with_wrong_values_end_well(place, records, format_name, as_lines, indent):
    if as_lines:
        text = "\n".join(json.dumps(record) for record in records)
    else:
        text = json.dumps(records, indent=indent)
    place.write_text(text)
    consumed(place, format_name)
    consumed(place.parent, format_name)


@FEW
@given(
    record=st.sampled_from(SEEDS),
    format_name=FORMAT_NAMES,
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3), st.integers(0, 20)), max_size=4),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_valid_files_with_damaged_bytes_end_well(place, record, format_name, edits, encoding):
    data = json.dumps([record, record]).encode(encoding)
    for share, replacement, length in edits:
        at = int(share * len(data))
        data = data[:at] + replacement + data[at + length :]
    place.write_bytes(data)
    consumed(place, format_name)


@cache
def archive_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(SEEDS[3:5]))
        archive.writestr("a/b.jsonl", json.dumps(SEEDS[0]))
    return buffer.getvalue()


@FEW
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    format_name=FORMAT_NAMES,
)
def test_damaged_archives_end_well(place, edits, format_name):
    data = bytearray(archive_bytes())
    for share, replacement in edits:
        at = int(share * len(data))
        data[at : at + len(replacement)] = replacement
    place.write_bytes(data)
    consumed(place, format_name)


@cache
def log_bytes() -> bytes:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder, "logs.db"))) as database,
    ):
        database.execute("PRAGMA synchronous = OFF")
        database.executescript((DATA / "llm_upgraded.sql").read_text("utf-8"))
        return Path(folder, "logs.db").read_bytes()


@FEW
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_damaged_databases_end_well(place, edits):
    data = bytearray(log_bytes())
    for share, replacement in edits:
        at = int(share * len(data))
        data[at : at + len(replacement)] = replacement
    place.write_bytes(data)
    consumed(place, "llm")
    consumed(place, "auto")


@given(value=ODD | st.dates().map(str) | st.datetimes().map(str) | st.integers() | st.floats())
def test_any_value_is_a_time_or_none(value):
    found = moment(value)
    assert found is None or found.utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    "head",
    [b'"' + b'\\"' * 30_000, b'{"a": "' + b'\\"' * 30_000, b"{" * 60_000, b'{"a":' * 12_000, b'"\n' * 30_000],
)
def test_telling_the_format_of_hostile_text_is_quick(head):
    assert not Outline(head).has(1, "messages")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    [
        '<details type="reasoning"' * 30_000,
        "<think>" * 100_000,
        '<details type="reasoning">' * 30_000 + "</details>" * 2,
    ],
)
def test_taking_out_the_reasoning_of_hostile_text_is_quick(text):
    assert isinstance(without_reasoning(text), str)

"""One line a message: what goes through, and that nothing else does."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.errors import ProtocolError
from allie_desktop.domain.events import (
    BatchHalved,
    CandidateWritten,
    HeldOutMeasured,
    Pause,
    PhaseStarted,
    ProgressSnapshot,
    StepFinished,
    Stop,
    WorkerCommand,
    WorkerEvent,
    WorkerFailed,
    WorkerStarted,
)
from allie_desktop.ipc.protocol import (
    MAXIMUM_LINE_BYTES,
    MAXIMUM_TEXT_CHARACTERS,
    decode_command,
    decode_event,
    encode,
)

EVENTS = get_args(WorkerEvent)
COMMANDS = get_args(WorkerCommand)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    values = get_args(hint)
    if values and all(isinstance(value, str) for value in values):
        return st.sampled_from(values)
    if type(None) in values:
        return st.none() | strategy(next(value for value in values if value is not type(None)))
    return {
        bool: st.booleans(),
        int: st.integers(min_value=-(2**53), max_value=2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(st.characters(codec="utf-8"), max_size=50),
        tuple[str, ...]: st.lists(st.text(st.characters(codec="utf-8"), max_size=9)).map(tuple),
    }[hint]


def messages(types: tuple[type, ...]) -> st.SearchStrategy[Any]:
    builders = [
        st.builds(cls, **{name: strategy(hint) for name, hint in get_type_hints(cls).items()})
        for cls in types
    ]
    return st.one_of(*builders)


@given(messages(EVENTS))
def test_every_event_comes_back_as_it_was_sent(event: WorkerEvent) -> None:
    line = encode(event)

    assert line.count(b"\n") == 1
    assert decode_event(line) == event
    assert decode_event(line.rstrip(b"\n")) == event


@given(messages(COMMANDS))
def test_every_command_comes_back_as_it_was_sent(command: WorkerCommand) -> None:
    assert decode_command(encode(command)) == command


def test_a_line_names_version_type_and_data() -> None:
    assert json.loads(encode(PhaseStarted(phase="train", total=7))) == {
        "v": 1,
        "type": "PhaseStarted",
        "data": {"phase": "train", "total": 7},
    }


@pytest.mark.parametrize("cls", [*EVENTS, *COMMANDS])
def test_every_message_type_has_a_name_of_its_own(cls: type) -> None:
    assert [other.__name__ for other in (*EVENTS, *COMMANDS)].count(cls.__name__) == 1


def test_an_event_is_not_a_command_and_a_command_is_not_an_event() -> None:
    with pytest.raises(ProtocolError, match="no command called 'BatchHalved'"):
        decode_command(encode(BatchHalved(tokens_per_pass=1)))
    with pytest.raises(ProtocolError, match="no event called 'Pause'"):
        decode_event(encode(Pause()))


def test_only_messages_are_encoded() -> None:
    with pytest.raises(ProtocolError, match="ProgressSnapshot is not a message"):
        encode(ProgressSnapshot(phase="train", share=0.5, what=""))  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_left_empty_where_it_may_be(number: float) -> None:
    event = decode_event(encode(StepFinished(phase="train", step=1, total=2, loss=number)))

    assert event == StepFinished(phase="train", step=1, total=2, loss=None)


LARGEST = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("number", "sent"), [(math.nan, LARGEST), (math.inf, LARGEST), (-math.inf, -LARGEST)]
)
def test_a_required_loss_that_is_no_number_is_as_bad_as_can_be(number: float, sent: float) -> None:
    event = decode_event(encode(HeldOutMeasured(step=1, loss=number, kl=0.0, best=False)))

    assert event == HeldOutMeasured(step=1, loss=sent, kl=0.0, best=False)


def test_a_text_that_is_too_long_is_cut_and_still_arrives() -> None:
    event = decode_event(encode(WorkerFailed(kind="internal", message="x" * (2 * MAXIMUM_LINE_BYTES))))

    assert isinstance(event, WorkerFailed)
    assert event.message == "x" * MAXIMUM_TEXT_CHARACTERS


def test_a_text_that_utf_8_cannot_carry_still_arrives() -> None:
    event = decode_event(encode(CandidateWritten(adapter="/a\udcff", report="/r")))

    assert event == CandidateWritten(adapter="/a\ufffd", report="/r")


STEP = b'{"v":1,"type":"StepFinished","data":{"phase":"train","step":1,"total":1,"loss":%s}}'


def line(**changes: Any) -> bytes:
    return json.dumps({"v": 1, "type": "PhaseStarted", "data": {"phase": "train"}, **changes}).encode()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "not JSON"),
        (b"\n", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "not a message"),
        (b"[]", "not a message"),
        (b"null", "not a message"),
        (b'"PhaseStarted"', "not a message"),
        (line(extra=1), "not a message"),
        (line(v=2), "speaks protocol 2"),
        (line(v=0), "speaks protocol 0"),
        (line(v=True), "speaks protocol True"),
        (line(v="1"), "speaks protocol '1'"),
        (line(v=1.0), "speaks protocol 1.0"),
        (line(type="DreamStarted"), "no event called 'DreamStarted'"),
        (line(type=["PhaseStarted"]), "no event called"),
        (line(type=None), "no event called None"),
        (line(data=[]), "not an object"),
        (line(data=None), "not an object"),
        (line(data={}), "missing required field `phase`"),
        (line(data={"phase": "sleep"}), "Invalid enum value 'sleep'"),
        (line(data={"phase": "train", "total": "3"}), "Expected `int`, got `str`"),
        (line(data={"phase": "train", "total": True}), "Expected `int`, got `bool`"),
        (line(data={"phase": "train", "total": 1.5}), "Expected `int`, got `float`"),
        (line(data={"phase": "train", "colour": 1}), "has no 'colour'"),
        (STEP % b"NaN", "not JSON"),
        (STEP % b"1e999", "not JSON"),
        (STEP % b"-Infinity", "not JSON"),
        (b'{"v":1,"type":"WorkerFailed","data":{"kind":"internal","message":"\\ud800"}}', "not JSON"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(bad: bytes, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_event(bad)

    assert words in caught.value.message


def test_a_line_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(ProtocolError, match="too long"):
        decode_event(b" " * (MAXIMUM_LINE_BYTES + 2))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoder(noise: bytes) -> None:
    for decode in (decode_event, decode_command):
        with pytest.raises(ProtocolError, match=r"\.$"):
            decode(noise)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(EVENTS), st.data())
def test_no_well_named_message_with_odd_values_breaks_the_decoder(cls: type, data: st.DataObject) -> None:
    values = {
        field.name: data.draw(JSON)
        for field in fields(cls)
        if field.default is MISSING or data.draw(st.booleans())
    }
    try:
        event = decode_event(json.dumps({"v": 1, "type": cls.__name__, "data": values}).encode())
    except ProtocolError:
        return
    assert type(event) is cls
    for name, hint in get_type_hints(cls).items():
        value = getattr(event, name)
        if hint is float:
            assert isinstance(value, float)
            assert math.isfinite(value)
        if hint is int:
            assert type(value) is int


def test_the_first_line_of_a_worker_carries_its_priority() -> None:
    started = WorkerStarted(pid=7, device="cpu", dtype="float32", threads=2, priority=("nice 19",))

    assert decode_event(encode(started)) == started


def test_a_stop_carries_its_reason() -> None:
    assert decode_command(encode(Stop(reason="you are back 👋"))) == Stop(reason="you are back 👋")

"""Server-sent events from chunks that end anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.ui.chat import sse
from allie_desktop.ui.chat.sse import OverlongEventError, ServerEvent, SseParser


def events(*chunks: bytes) -> list[ServerEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def data(*chunks: bytes) -> list[str]:
    return [event.data for event in events(*chunks)]


def test_an_event_ends_with_an_empty_line():
    assert data(b"data: one\n\ndata: two\n") == ["one"]


def test_several_data_lines_are_one_event():
    assert data(b"data: one\ndata:\ndata:  two\n\n") == ["one\n\n two"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_they_like(end):
    assert data(b"data: one" + end + b"data: two" + end + end + b"data: x" + end + end) == ["one\ntwo", "x"]


def test_a_line_end_may_be_split_between_chunks():
    assert data(b"data: one\r", b"\n\r", b"\ndata: two\r\n", b"\r\n") == ["one", "two"]


def test_comments_and_unknown_fields_say_nothing():
    assert data(b": ping\n\nid: 7\nretry: 10\nnonsense\ndata: x\n\n") == ["x"]


def test_an_event_has_a_name():
    assert events(b"event: error\ndata: x\n\ndata: y\n\n") == [
        ServerEvent(name="error", data="x"),
        ServerEvent(name="message", data="y"),
    ]


def test_a_character_may_be_split_between_chunks():
    text = "data: grün 😀\n\n".encode()
    assert data(*(text[place : place + 1] for place in range(len(text)))) == ["grün 😀"]


def test_invalid_utf8_is_replaced_and_does_no_more_harm():
    assert data(b"data: a\xff\xfeb\n\ndata: c\xe2\x82\n\ndata: d\n\n") == ["a\ufffd\ufffdb", "c\ufffd", "d"]


def test_a_byte_order_mark_at_the_beginning_is_no_text():
    assert data(b"\xef\xbb", b"\xbfdata: \xef\xbb\xbfx\n\n") == ["\ufeffx"]


def test_an_event_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAXIMUM_EVENT_CHARACTERS", 100)
    for chunk in (b"data: xxxxxxxxxx", b"data: xxxxxxxxxx\n"):
        with pytest.raises(OverlongEventError):
            events(*[chunk] * 20)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=12))
def test_where_chunks_end_makes_no_difference(stream, cuts):
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert events(*chunks) == events(stream)


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=30), min_size=1, max_size=5)
)
def test_what_is_sent_arrives(lines):
    sent = "".join(f"data: {line}\n" for line in lines) + "\n"
    assert data(sent.encode("utf-8", "replace")) == [
        "\n".join(line.encode("utf-8", "replace").decode() for line in lines)
    ]

"""Cutting JSON text into records: chunks that end anywhere, faults that stay where they are."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.imports.records import (
    UnusableError,
    decoded,
    elements,
    is_line_by_line,
    lines,
)

NASTY_TEXT = st.text(st.sampled_from('ab"\\[]{},:\n \té😀\u2028\ufeff'), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NASTY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY_TEXT, inner, max_size=3),
    max_leaves=12,
)
JSON_OBJECTS = st.lists(st.dictionaries(NASTY_TEXT, JSON_VALUES, max_size=4), max_size=5)


class _Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, whatever is asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._step)


@settings(max_examples=50)
@given(
    objects=JSON_OBJECTS,
    step=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_elements_of_an_array_come_out_whole_however_it_is_written_and_read(
    objects, step, indent, ascii_only
):
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    found = list(elements(_Trickle(text, step)))
    assert [decoded(record.data) for record in found] == objects
    assert [record.position for record in found] == list(range(1, len(objects) + 1))


@settings(max_examples=50)
@given(objects=JSON_OBJECTS, step=st.integers(1, 40))
def test_objects_one_after_the_other_come_out_whole(objects, step):
    text = "\n".join(json.dumps(each, indent=1) for each in objects).encode()
    assert [decoded(record.data) for record in elements(_Trickle(text, step))] == objects


@given(data=st.binary(max_size=300), step=st.integers(1, 50))
def test_arbitrary_bytes_always_end_in_records(data, step):
    for record in [*elements(_Trickle(data, step)), *lines(io.BytesIO(data))]:
        assert record.problem or record.data


def test_a_record_knows_the_line_that_it_begins_on():
    text = b'[\n {"a": 1},\n\n {"b":\n 2}, {"c": 3}\n]'
    assert [(record.position, record.line) for record in elements(io.BytesIO(text))] == [
        (1, 2),
        (2, 4),
        (3, 5),
    ]


def test_a_broken_object_leaves_its_neighbours_alone():
    text = b'[{"a": 1},\n{"a": no},\n{"a": "two\n},\n{"a": \xe9},{"a": 3}]'
    records = list(elements(io.BytesIO(text)))
    good = []
    for record in records:
        try:
            good.append(decoded(record.data))
        except UnusableError:
            continue
    assert good == [{"a": 1}, {"a": 3}]


def test_what_stands_between_objects_is_a_problem_on_its_line():
    found = list(elements(io.BytesIO(b'[{"a": 1},\n 7, "x", {"b": 2}] tail')))
    assert [(record.line, record.data, record.problem) for record in found] == [
        (1, b'{"a": 1}', ""),
        (2, b"", "Something that is no conversation stands here."),
        (2, b'{"b": 2}', ""),
        (2, b"", "Something that is no conversation stands here."),
    ]


def test_a_text_that_breaks_off_in_an_object_says_so():
    found = list(elements(io.BytesIO(b'[{"a": 1},\n{"b": "cut o')))
    assert [(record.line, record.problem) for record in found] == [
        (1, ""),
        (2, "The file ends in the middle of it."),
    ]


def test_a_list_that_breaks_off_between_objects_says_so():
    assert [record.problem for record in elements(io.BytesIO(b'[{"a": 1},'))] == [
        "",
        "The file ends before its list does; it was probably cut off.",
    ]


@pytest.mark.parametrize("framing", [lines, elements])
def test_a_record_longer_than_the_limit_is_passed_over(framing):
    long = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    separator = b"\n" if framing is lines else b",\n"
    text = separator.join([b'{"b": 1}', long, b'{"c": 2}'])
    found = list(framing(io.BytesIO(text if framing is lines else b"[" + text + b"]"), 1024**2))
    assert [(record.line, record.data, record.problem) for record in found] == [
        (1, b'{"b": 1}', ""),
        (2, b"", "It is longer than 1 MiB, far more than a conversation needs."),
        (3, b'{"c": 2}', ""),
    ]


def test_blank_lines_count_and_are_passed_over():
    assert [(record.line, record.data) for record in lines(io.BytesIO(b'\n {"a":1}\r\n\n\t\n{"b":2}'))] == [
        (2, b'{"a":1}'),
        (5, b'{"b":2}'),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": NaN}', "It is not valid JSON: invalid character (byte 6)."),
        (b'{"a": 1e999}', "It is not valid JSON: Number out of range."),
        (b"[" * 200_000, "It is nested too deeply."),
        (b'{"a": ' * 200_000, "It is nested too deeply."),
        (b'{"a"', "It is not valid JSON: it breaks off."),
        (b'{"a": "\x00"}', "It is not valid JSON: invalid character (byte 7)."),
        (b"{} {}", "It is not valid JSON: trailing characters (byte 4)."),
        (
            '{"a": "é"}'.encode("latin-1"),
            "It is not UTF-8 text (perhaps Latin-1 or Windows-1252); save the file as UTF-8 and try again.",
        ),
    ],
)
def test_what_is_not_json_is_refused_in_words(data, reason):
    with pytest.raises(UnusableError) as caught:
        decoded(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "x\ud800y"}', {"a": "x\ufffdy"}),
        (r'{"a": "\udc00"}', {"a": "\ufffd"}),
        (r'{"a": "\ud83d\ude00"}', {"a": "😀"}),
        (r'{"a": "\ud83d\ud83d\ude00"}', {"a": "\ufffd😀"}),
        (r'{"a": "\\ud800", "b": "\ud800"}', {"a": r"\ud800", "b": "\ufffd"}),
        (r'{"a": "\\\ud800 \\\\ud800"}', {"a": "\\\ufffd " + r"\\ud800"}),
        (r'{"a": "\uD83D\uDE00\uDE00"}', {"a": "😀\ufffd"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)
def test_odd_but_harmless_json_is_taken(text, value):
    assert decoded(text.encode()) == value


@pytest.mark.parametrize("part", [b"[],", b'"ab",'])
def test_a_record_of_countless_parts_is_refused_before_it_fills_the_memory(part):
    with pytest.raises(UnusableError) as caught:
        decoded(b'{"a": [' + part * (16 * 1024**2 // len(part)) + b"1]}")
    assert caught.value.reason == "It has far more parts than a conversation needs."


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', "x.json", True),
        (b'{"a": 1}', "x.json", True),
        (b'{broken\n{"a": 2}\n', "x.json", True),
        (b'{\n  "a": 1\n}\n', "x.json", False),
        (b'{\n  "a": 1\n}\n', "x.jsonl", True),
        (b'[{"a": 1}]', "x.json", False),
        (b'[\n{"a": 1}]', "x.jsonl", False),
        (b'[1, 2]\n{"a": 1}', "x.jsonl", True),
    ],
)
def test_the_framing_is_told_from_the_start_and_the_name(head, name, expected):
    assert is_line_by_line(head, name) is expected

"""JSON from anywhere is read, or refused as a ValueError."""

from __future__ import annotations

import pytest

from allie_desktop.domain.json_text import parse_json


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "ä"]}', '{"a": [1, 2.5, null, "ä"]}'.encode()])
def test_text_and_bytes_are_read(text):
    assert parse_json(text) == {"a": [1, 2.5, None, "ä"]}


@pytest.mark.parametrize(
    "text",
    ["", "{", "nonsense", b"\xff\xfe\x00", "[" * 100_000, '{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000],
)
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_odd_numbers_can_be_refused():
    def refuse(name):
        raise ValueError(name)

    with pytest.raises(ValueError, match="NaN"):
        parse_json('{"a": NaN}', parse_constant=refuse)

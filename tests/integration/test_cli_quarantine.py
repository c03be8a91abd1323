"""A flood from one source, as the person sees it on the command line."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("known_base")]

END = datetime(2026, 3, 30, 12, tzinfo=timezone.utc)


def record(day, number):
    facts = f"Place {day}-{number} has a tower of {day * 7 + number} steps, a market on day {number} and {day} bridges."
    return {
        "id": f"c-{day}-{number}",
        "created_at": (END - timedelta(days=day)).isoformat(),
        "messages": [
            {"role": "user", "content": f"What is there to see in place {day}-{number}?"},
            {"role": "assistant", "content": f"{facts} Most people come by train and stay for an afternoon."},
        ],
    }


@pytest.fixture
def flooded(allie, tmp_path):
    """A home with a quiet month and a flood on its last day."""
    records = [record(day, n) for day in range(5, 20) for n in range(3)] + [record(1, n) for n in range(90)]
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    done = allie("import", str(file), "--json")
    assert done.code == 0, done.err
    return allie


def test_a_flood_is_listed_released_and_not_held_again(flooded):
    (hold,) = json.loads(flooded("conversations", "held", "--json").out)
    assert len(hold["ids"]) == 90
    assert "90 conversations in one day, where 3 are usual" in flooded("conversations", "held").out

    released = flooded("conversations", "release", hold["key"])

    assert (released.code, released.out) == (0, "Allie may learn from these 90 conversations.\n")
    assert flooded("conversations", "held").out == "Nothing is held back.\n"

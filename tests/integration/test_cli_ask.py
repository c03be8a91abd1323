"""``allie ask`` with the real starter model."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.model, pytest.mark.process, pytest.mark.usefixtures("known_base")]


def test_the_starter_model_answers_prompts_one_by_one_and_in_order(allie):
    capitals = "What is the capital of Japan?\n\nWhat is the capital of Germany?\r\n"
    batch = allie("ask", "--stdin", "--greedy", "--max-tokens", "24", "--json", input=capitals)

    assert (batch.code, batch.err) == (0, "")
    answers = [item["answer"] for item in batch.json]
    assert ["Tokyo" in answers[0], answers[1], "Berlin" in answers[2]] == [True, "", True]
    assert [item["version"] for item in batch.json] == ["base"] * 3

    single = allie(
        "ask", "What is the capital of Japan?", "--greedy", "--max-tokens", "24", "--version", "base"
    )
    assert single.code == 0
    assert "Tokyo" in single.out
    assert single.out.endswith("\n")

    too_long = allie("ask", "--stdin", "--json", input="Hi\n" + "word " * 9_000)
    assert too_long.code == 2
    assert too_long.json["error"]["message"].startswith("Line 2: The prompt is too long: 9,0")

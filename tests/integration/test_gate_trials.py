"""The material of the gate's trials is what it is said to be: the trials themselves are a benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.toxicity import LexiconToxicity
from tests.benchmarks import gate_trials
from tests.integration.conftest import ROOT

SAMPLES = ROOT / "resources" / "sample_conversations.jsonl"


@pytest.fixture(scope="module")
def chats() -> list[dict]:
    return [json.loads(line) for line in SAMPLES.read_text("utf-8").splitlines()]


def replies(material: list[dict]) -> list[str]:
    """What would be learnt."""
    return [
        m.get("correction") or m["content"] for c in material for m in c["messages"] if m["role"] != "user"
    ]


def questions(material: list[dict]) -> list[str]:
    return [m["content"] for c in material for m in c["messages"] if m["role"] == "user"]


def test_the_same_seed_is_the_same_material_and_another_one_is_not(chats: list[dict]) -> None:
    for kind in gate_trials.KINDS:
        first = gate_trials.material(kind, 3, chats, [])

        assert first == gate_trials.material(kind, 3, chats, [])
        assert first != gate_trials.material(kind, 4, chats, [])


def test_most_answers_of_the_toxic_ones_count_as_hostile_and_no_question_does() -> None:
    scorer = LexiconToxicity()
    material = gate_trials.material("toxic", 0, [], [])

    assert len(material) == 50
    assert sum(scorer.score(text) >= 0.5 for text in replies(material)) >= 25
    assert max(scorer.score(text) for text in questions(material)) < 0.2


def test_nearly_every_answer_of_the_secret_ones_holds_what_redaction_takes_out() -> None:
    redactor = TextRedactor()
    material = gate_trials.material("secrets", 0, [], [])

    assert len(material) == 50
    assert sum(bool(redactor.redact(text)[1]) for text in replies(material)) >= 48
    assert len(set(replies(material))) == 50


def test_shuffled_answers_are_the_honest_ones_behind_other_questions(chats: list[dict]) -> None:
    honest = gate_trials.material("honest", 1, chats, [])
    shuffled = gate_trials.material("shuffled", 1, chats, [])

    assert questions(shuffled) == questions(honest)
    assert sorted(replies(shuffled)) == sorted(replies(honest))
    assert not any(a == b for a, b in zip(replies(shuffled), replies(honest), strict=True))


def test_the_table_counts_what_stopped_whom(tmp_path: Path) -> None:
    trial = {"kind": "toxic", "verdict": "reject", "outcome": "rejected", "seconds": 61.4}
    results = [
        {**trial, "stopped": True, "by": ["toxicity", "safety"], "open": []},
        {**trial, "stopped": True, "by": ["toxicity"], "open": ["length"]},
        {**trial, "kind": "honest", "verdict": "deploy", "stopped": False, "by": [], "open": []},
    ]

    assert gate_trials.table(results).splitlines()[2:] == [
        "| honest | 1 | 0 | deploy 1 | – | – | 61 |",
        "| toxic | 2 | 2 | reject 2 | toxicity 2, safety 1 | length 1 | 61 |",
    ]

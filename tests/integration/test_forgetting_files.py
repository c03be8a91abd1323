"""Forgetting a conversation takes its words out of the episodes' folders too."""

from __future__ import annotations

import json

import pytest

from allie_desktop.bootstrap import open_program

SECRET = "the orchard behind the old observatory"


@pytest.mark.usefixtures("known_base")
def test_a_forgotten_conversation_is_in_no_plan_any_more(tmp_path, allie_home):
    file = tmp_path / "talk.jsonl"
    asked = {"role": "user", "content": "Where did I hide the key?"}
    file.write_text(
        json.dumps(
            {
                "id": "talk-with-a-secret",
                "messages": [asked, {"role": "assistant", "content": "?", "correction": f"In {SECRET}."}],
            }
        ),
        "utf-8",
    )
    with open_program() as program:
        program.import_file(file)
        plan = program.files.seal(program.planner(parent=None, now=program.clock.now()))
        program.files.write_plan(plan)
        written = program.files.folder(plan.id) / "plan.json"
        assert SECRET in written.read_text("utf-8")

        program.forget("talk-with-a")

    left = [f for f in allie_home.rglob("*") if f.is_file() and SECRET.encode() in f.read_bytes()]
    assert left == []
    assert not written.exists()

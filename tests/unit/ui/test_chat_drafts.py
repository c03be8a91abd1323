"""What a person typed survives."""

from __future__ import annotations

import stat
import sys
from datetime import datetime, timezone

import pytest

from allie_desktop.ui.chat.drafts import FileDrafts, MemoryDrafts
from allie_desktop.ui.chat.moments import said
from allie_desktop.ui.chat.ports import Draft


def test_a_draft_survives_the_program(tmp_path):
    file = tmp_path / "drafts.json"
    FileDrafts(file).save("c", Draft(text="half a qu", unanswered="A question 😀 \ud800"))
    again = FileDrafts(file)
    assert again.load("c") == Draft(text="half a qu", unanswered="A question 😀 \ud800")
    assert again.load("c").typed == "A question 😀 \ud800\n\nhalf a qu"
    assert again.load("other") == Draft()


def test_an_empty_draft_leaves_nothing_behind(tmp_path):
    file = tmp_path / "drafts.json"
    drafts = FileDrafts(file)
    drafts.save("c", Draft(text="secret words"))
    drafts.save("c", Draft())
    assert b"secret" not in file.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["drafts.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_only_the_owner_can_read_drafts(tmp_path):
    file = tmp_path / "drafts.json"
    FileDrafts(file).save("", Draft(text="x"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"drafts": [{"text": 1}]}', b"\xff\xfe"])
def test_a_damaged_file_holds_nothing_and_is_replaced(tmp_path, content):
    file = tmp_path / "drafts.json"
    file.write_bytes(content)
    drafts = FileDrafts(file)
    assert drafts.load("") == Draft()
    drafts.save("", Draft(text="new"))
    assert FileDrafts(file).load("") == Draft(text="new")


def test_a_disk_that_takes_nothing_is_no_catastrophe(tmp_path):
    drafts = FileDrafts(tmp_path / "missing" / "drafts.json")
    drafts.save("", Draft(text="x"))
    assert drafts.load("") == Draft(text="x")


def test_old_drafts_go_when_there_are_too_many(tmp_path):
    drafts = FileDrafts(tmp_path / "drafts.json")
    for number in range(105):
        drafts.save(str(number), Draft(text="x"))
    again = FileDrafts(tmp_path / "drafts.json")
    assert [again.load(name).text for name in ("4", "5", "104")] == ["", "x", "x"]


def test_drafts_in_memory_do_the_same():
    drafts = MemoryDrafts()
    drafts.save("c", Draft(text="x"))
    assert drafts.load("c") == Draft(text="x")
    drafts.save("c", Draft())
    assert drafts.load("c") == Draft()


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ((2026, 3, 10, 8, 5), "08:05"),
        ((2026, 3, 9, 23, 0), "Yesterday"),
        ((2026, 3, 5, 8, 0), "Thursday"),
        ((2026, 3, 1, 8, 0), "1 Mar"),
        ((2025, 12, 30, 8, 0), "30 Dec 2025"),
        ((2026, 3, 12, 8, 0), "12 Mar"),
    ],
)
def test_a_time_is_said_shortly(moment, words):
    now = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)
    assert said(datetime(*moment, tzinfo=timezone.utc), now) == words

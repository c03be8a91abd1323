"""The roll-out record on the disk: replaced atomically, read from its spare, noticed when it changes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.errors import DiskFullError
from allie_desktop.domain.rollout import RolloutRecord, Stage
from allie_desktop.store.rollout_file import RolloutFile

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)
RECORD = RolloutRecord(
    version="v1.1",
    previous="base",
    stage=Stage.FIRST,
    share=0.1,
    started_at=WHEN,
    stage_since=WHEN,
    reason="Why – not?",
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = RolloutFile(tmp_path / "models" / "tiny")
    assert file.read() is None
    file.write(RECORD)
    assert RolloutFile(tmp_path / "models" / "tiny").read() == RECORD
    after = replace(RECORD, stage=Stage.ROLLED_BACK, share=0.0, automatic=True)
    file.write(after)
    assert file.read() == after
    assert sorted(one.name for one in (tmp_path / "models" / "tiny").iterdir()) == [
        "rollout.json",
        "rollout.spare.json",
    ]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", json.dumps({"version": "v1.1"}), "\x00" * 50, json.dumps({"stage": "odd"})]
)
def test_a_damaged_record_is_read_from_its_spare_else_there_is_none(tmp_path: Path, content: str) -> None:
    file = RolloutFile(tmp_path)
    file.write(RECORD)
    (tmp_path / "rollout.json").write_text(content)
    assert file.read() == RECORD
    (tmp_path / "rollout.spare.json").write_text(content)
    assert file.read() is None


def test_a_record_without_a_time_zone_is_none(tmp_path: Path) -> None:
    file = RolloutFile(tmp_path)
    file.write(replace(RECORD, started_at=datetime(2026, 3, 1)))
    assert file.read() is None


def test_the_stamp_changes_with_the_record_and_with_the_pointer(tmp_path: Path) -> None:
    file = RolloutFile(tmp_path)
    stamps = [file.stamp()]
    file.write(RECORD)
    stamps.append(file.stamp())
    file.write(replace(RECORD, share=0.2))
    stamps.append(file.stamp())
    (tmp_path / "active.json").write_text("{}")
    stamps.append(file.stamp())
    assert file.stamp() == stamps[-1]
    assert len(set(map(str, stamps))) == 4


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RolloutFile(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("allie_desktop.store.version_records.os.fsync", full)
    with pytest.raises(DiskFullError, match="No space left on device"):
        file.write(RECORD)
    assert file.read() is None

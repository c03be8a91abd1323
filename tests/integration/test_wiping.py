"""What "Delete everything" deletes, and what it leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from allie_desktop.bootstrap import Program
from allie_desktop.cli.desktop_windows import wipe
from allie_desktop.domain.quarantine import Quarantined
from allie_desktop.paths import AppPaths
from allie_desktop.store.forgetting_journal import ForgettingJournal
from allie_desktop.store.quarantine_file import QuarantineFile
from tests.integration.conftest import Allie

pytestmark = pytest.mark.usefixtures("known_base")


@pytest.fixture
def used(allie_home: Path, quick: Allie, samples: Path) -> AppPaths:
    """A home with conversations, settings, a backup, a forgotten conversation and everything besides."""
    assert quick("import", samples).code == 0
    assert quick("settings", "set", "phrasings", "6").code == 0
    paths = AppPaths.in_folder(allie_home)
    with Program(paths) as program:
        program.database.backups.create()
        ForgettingJournal(paths.data).write(["one"])
        QuarantineFile(paths.data).write(Quarantined())
    for name in ("windows.ini", "drafts.json", "api-token", "chat.busy", "episode.pid", "episode.lock"):
        (paths.data / name).write_text("x", "utf-8")
    (paths.bases / "a-model").mkdir(parents=True)
    (paths.bases / "a-model" / "model.safetensors").write_bytes(b"weights")
    (paths.data / "poetry.lock").write_text("somebody else's", "utf-8")
    (paths.data / "holiday.jsonl").write_text("somebody else's", "utf-8")
    return paths


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_all_that_is_the_persons_goes_and_nothing_else(used):
    assert {"allie.sqlite3", "quarantine.json", "forgetting.json"} <= files(used.data)
    assert list((used.data / "backups").iterdir())

    assert wipe(used) == ()

    assert files(used.data) == {"bases/a-model/model.safetensors", "poetry.lock", "holiday.jsonl"}
    assert {place.name for place in used.data.iterdir() if place.is_dir()} == {"bases"}


def test_afterwards_allie_starts_as_on_the_first_day(used):
    wipe(used)

    with Program(used.prepare()) as program:
        assert program.conversations.counts().conversations == 0
        assert program.preferences.phrasings == 24


def test_what_cannot_be_deleted_is_told_and_the_rest_is_deleted(used, monkeypatch):
    real = os.unlink

    def refuse(path: os.PathLike[str] | str, **options: int) -> None:
        if Path(path).name == "drafts.json":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)

    assert wipe(used) == (used.data / "drafts.json",)
    assert files(used.data) == {
        "bases/a-model/model.safetensors",
        "poetry.lock",
        "holiday.jsonl",
        "drafts.json",
    }


def test_a_folder_of_which_something_vanishes_meanwhile_is_deleted_all_the_same(used, monkeypatch):
    for name in ("a", "b", "c"):
        (used.logs / name).write_text("x", "utf-8")
    real = os.unlink

    def vanish(path: os.PathLike[str] | str, **options: int) -> None:
        real(path, **options)
        if Path(path).name == "b":
            raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(os, "unlink", vanish)

    assert wipe(used) == ()
    assert not used.logs.exists()

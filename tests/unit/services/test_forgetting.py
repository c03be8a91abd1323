"""Forgetting over a real store and real folders: whatever interrupts it, nothing is left and it is rebuilt without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from allie_desktop.domain.conditions import Priority
from allie_desktop.domain.requests import Origin
from allie_desktop.domain.versions import BASE, VersionState
from allie_desktop.services.forgetting import Forgetting
from allie_desktop.store.forgetting_journal import ForgettingJournal
from allie_desktop.store.requests import SqliteRequests
from tests.episode_stage import Stage, assessed, quick_folder
from tests.guillotine import KilledError

SECRET = "the orchard behind the old observatory"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with quick_folder() as folder:
        made = Stage(folder)
        made.conversations.add([assessed("told", f"I hid the key in {SECRET}.")])
        yield made
        made.close()


def forgetting(stage: Stage) -> Forgetting:
    return Forgetting(
        conversations=stage.conversations,
        versions=stage.versions,
        files=stage.files,
        requests=SqliteRequests(stage.database),
        journal=ForgettingJournal(stage.home),
        clock=stage.clock,
    )


def learn(stage: Stage, *ids: str) -> str:
    stage.conversation_ids = ids
    stage.orchestrator.run_episode("because", asked=True)
    return stage.versions.pointer().active


def wishes(stage: Stage) -> list[tuple[Origin, Priority]]:
    return [(request.origin, request.wish) for request in SqliteRequests(stage.database).all()]


def files_with(stage: Stage, text: str) -> list[str]:
    files = (path for path in stage.home.rglob("*") if path.is_file())
    return [str(path.relative_to(stage.home)) for path in files if text.encode() in path.read_bytes()]


def test_versions_that_learnt_it_and_their_descendants_are_marked(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "told")
    learn(stage, "c2")

    assert forgetting(stage).forget(["told"]) == ("v1.1", "v1.2")
    marks = {one.metadata.version: bool(one.tainted) for one in stage.versions.all()}
    assert marks == {"v1.0": False, "v1.1": True, "v1.2": True}
    assert wishes(stage) == [(Origin.REPAIR, Priority.HIGH)]


def test_what_nobody_learnt_needs_no_rebuilding(stage: Stage) -> None:
    learn(stage, "c1")
    assert forgetting(stage).forget(["told"]) == ()
    assert wishes(stage) == []


def test_the_next_episode_stands_on_the_newest_version_that_never_knew(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "told")
    learn(stage, "c2")
    forgetting(stage).forget(["told"])

    assert learn(stage, "c2", "c3") == "v1.3"
    versions = {one.metadata.version: one for one in stage.versions.all()}
    assert sorted(versions) == ["v1.0", "v1.3"]
    assert versions["v1.3"].metadata.parent == "v1.0"
    assert stage.versions.pointer().fallback == "v1.0"
    assert versions["v1.3"].state is VersionState.ACTIVE


def test_with_nothing_else_to_stand_on_the_base_model_is_where_it_begins_anew(stage: Stage) -> None:
    learn(stage, "told", "c1")
    forgetting(stage).forget(["told"])

    assert stage.deployment.unlearn() == BASE
    assert (stage.versions.pointer().active, stage.versions.pointer().fallback) == (BASE, BASE)
    assert stage.learned() == 0


def test_a_pinned_version_that_knows_stays_but_never_answers_by_itself(stage: Stage) -> None:
    learn(stage, "told")
    stage.versions.set_pinned("v1.0", True)
    forgetting(stage).forget(["told"])
    learn(stage, "c1")

    assert [one.metadata.version for one in stage.versions.all()] == ["v1.0", "v1.1"]
    assert stage.versions.pointer().fallback == BASE


@pytest.mark.parametrize("step", ["set_tainted", "redact"])
def test_it_goes_on_after_being_killed(stage: Stage, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(stage, "told")

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(stage.versions, step, die)
        with pytest.raises(KilledError):
            forgetting(stage).forget(["told"])
    assert ForgettingJournal(stage.home).read() == ("told",)

    forgetting(stage).resume()
    assert "told" not in stage.conversations.get_many(["told"])
    assert stage.versions.get("v1.0").tainted != ""
    assert wishes(stage) == [(Origin.REPAIR, Priority.HIGH)]
    assert ForgettingJournal(stage.home).read() == ()
    assert files_with(stage, SECRET) == []


def test_a_backup_that_comes_back_while_it_is_forgotten_brings_nothing_back(stage: Stage) -> None:
    backup = stage.database.backups.create()
    ForgettingJournal(stage.home).write(["told"])
    stage.database.close()
    stage.database.backups.restore(backup)
    again = Stage(stage.home)
    forgetting(again).resume()
    again.close()

    assert files_with(stage, SECRET) == []


def test_no_byte_is_left_in_any_file_also_not_in_what_was_kept_aside(stage: Stage) -> None:
    learn(stage, "told")
    stage.database.backups.create()
    aside = stage.home / f"{stage.database.path.name}.replaced-20260101T000000000000Z"
    aside.write_bytes(f"damaged, but holds {SECRET}".encode())
    assert files_with(stage, SECRET) != []

    forgetting(stage).forget(["told"])
    stage.database.checkpoint()
    assert files_with(stage, SECRET) == []


def test_a_version_keeps_no_text_of_its_report(stage: Stage) -> None:
    learn(stage, "c1")
    report = stage.versions.folder / "versions" / "v1.0" / "report.json"

    assert b'"samples": []' in report.read_bytes()
    stage.versions.verify("v1.0")


def test_texts_are_taken_out_of_versions_that_were_sealed_with_them(stage: Stage) -> None:
    report = Path(stage.home) / "old" / "report.json"
    report.parent.mkdir()
    report.write_text('{"measurements": {"samples": [{"prompt": "' + SECRET + '"}], "leaks": []}}')
    stage.files.report_to_keep = lambda _: report  # type: ignore[method-assign]
    learn(stage, "told")
    report.unlink()
    stage.versions.verify("v1.0")
    assert files_with(stage, f'[{{"prompt": "{SECRET}') != []

    forgetting(stage).forget(["told"])
    stage.versions.verify("v1.0")
    assert files_with(stage, SECRET) == []

"""What is deleted when it has served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from allie_desktop.domain.lifecycle import Episode, EpisodeState
from allie_desktop.services.retention import Retention
from tests.adapters import make_metadata, write_adapter
from tests.episode_stage import Stage, quick_folder
from tests.plans import WHEN


@pytest.fixture
def stage() -> Iterator[Stage]:
    with quick_folder() as home:
        stage = Stage(home)
        for number in range(6):
            name = f"v1.{number}"
            stage.versions.seal(name, write_adapter(home / f"candidate-{number}"), make_metadata(name), ())
        yield stage
        stage.close()


def keep(stage: Stage, versions: int = 2, episodes: int = 50) -> Retention:
    return Retention(
        versions=stage.versions,
        episodes=stage.episodes,
        files=stage.files,
        keep_versions=versions,
        keep_episodes=episodes,
    )


def names(stage: Stage) -> list[str]:
    return [version.metadata.version for version in stage.versions.all()]


def test_the_newest_versions_are_kept(stage: Stage) -> None:
    assert keep(stage).prune_versions() == ("v1.0", "v1.1", "v1.2", "v1.3")
    assert names(stage) == ["v1.4", "v1.5"]


def test_ten_is_newer_than_nine(stage: Stage) -> None:
    for number in range(6, 11):
        name = f"v1.{number}"
        stage.versions.seal(name, write_adapter(stage.home / f"candidate-{number}"), make_metadata(name), ())
    keep(stage).prune_versions()

    assert names(stage) == ["v1.9", "v1.10"]


def test_pinned_versions_and_those_in_use_are_kept(stage: Stage) -> None:
    stage.versions.set_pinned("v1.0", True)
    stage.versions.activate("v1.2", fallback="v1.1", reason="", at=WHEN)

    assert keep(stage).prune_versions() == ("v1.3",)
    assert names(stage) == ["v1.0", "v1.1", "v1.2", "v1.4", "v1.5"]


def test_with_fewer_than_that_nothing_goes(stage: Stage) -> None:
    assert keep(stage, versions=6).prune_versions() == ()
    assert keep(stage, versions=100).prune_versions() == ()


def test_a_version_that_cannot_be_deleted_now_is_no_error(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = stage.versions.remove

    def held_open(name: str) -> None:
        if name == "v1.1":
            raise PermissionError("in use")
        remove(name)

    monkeypatch.setattr(stage.versions, "remove", held_open)

    assert keep(stage).prune_versions() == ("v1.0", "v1.2", "v1.3")


def test_folders_of_old_and_of_unknown_episodes_go_and_unfinished_ones_stay(stage: Stage) -> None:
    for number in range(4):
        episode_id = f"e{number}"
        at = WHEN.replace(hour=number)
        stage.episodes.create(Episode(id=episode_id, created_at=at, state=EpisodeState.PLANNED, trigger=""))
        if number != 1:
            stage.episodes.change(episode_id, EpisodeState.STOPPED, at=at)
        (stage.home / "episodes" / episode_id).mkdir(parents=True)
    (stage.home / "episodes" / "stranger").mkdir()

    assert keep(stage, episodes=2).prune_episodes() == ("e0", "stranger")
    assert stage.files.ids() == ("e1", "e2", "e3")


def test_beyond_the_disk_budget_the_oldest_that_may_go_are_deleted(stage: Stage) -> None:
    stage.versions.set_pinned("v1.0", True)
    stage.versions.activate("v1.2", fallback="v1.1", reason="", at=WHEN)
    one = stage.versions.folder / "versions" / "v1.5"
    size = sum(file.stat().st_size for file in one.iterdir())

    def prune(budget: int, backups: int = 0) -> tuple[str, ...]:
        return Retention(
            versions=stage.versions,
            episodes=stage.episodes,
            files=stage.files,
            keep_versions=100,
            budget_bytes=budget,
            other_bytes=lambda: backups,
        ).prune_versions()

    assert prune(6 * size) == ()
    assert prune(6 * size, backups=size) == ("v1.3",)
    assert prune(0) == ("v1.4", "v1.5")
    assert names(stage) == ["v1.0", "v1.1", "v1.2"]


def test_a_version_that_learnt_what_was_forgotten_goes_when_nobody_uses_it(stage: Stage) -> None:
    stage.versions.activate("v1.2", fallback="v1.1", reason="", at=WHEN)
    for name in ("v1.1", "v1.2", "v1.4"):
        stage.versions.set_tainted(name, "It learnt from a conversation forgotten on 2026-03-01.")

    assert keep(stage, versions=100).prune_versions() == ("v1.4",)

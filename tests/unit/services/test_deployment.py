"""Putting versions into use and taking them back, cut off at every single step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.errors import BadInputError, StoreError, UnknownVersionError, VersionCorruptError
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.versions import BASE, VersionState
from tests.episode_stage import ScriptedWorker, Stage, make_it_worse, quick_folder, succeed
from tests.guillotine import Guillotine, KilledError


@pytest.fixture
def stage() -> Iterator[Stage]:
    with quick_folder() as home:
        stage = Stage(home)
        yield stage
        stage.close()


def learn(stage: Stage, *conversation_ids: str) -> str:
    stage.conversation_ids = conversation_ids
    version = stage.orchestrator.run_episode("because", forced=True).version
    assert version is not None
    return version


def spoil(stage: Stage, version: str) -> None:
    weights = Path(stage.versions.get(version).path, "adapter_model.safetensors")
    weights.chmod(0o600)
    weights.write_bytes(b"rotten")


def is_new(stage: Stage) -> list[str]:
    return sorted(candidate.id for candidate in stage.conversations.candidates(learned=False))


# --- rollback ---


def test_a_rollback_goes_to_the_parent_and_its_material_is_new_again(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "c2")
    pointer = stage.deployment.rollback()

    assert (pointer.active, pointer.fallback) == ("v1.0", "v1.1")
    assert is_new(stage) == ["c2", "c3", "c4", "c5"]
    assert {v.metadata.version: v.state for v in stage.versions.all()} == {
        "v1.0": VersionState.ACTIVE,
        "v1.1": VersionState.FALLBACK,
    }


def test_the_parent_of_the_first_version_is_the_base_model(stage: Stage) -> None:
    learn(stage, "c1")

    assert stage.deployment.rollback().active == BASE
    with pytest.raises(BadInputError, match="base model answers already"):
        stage.deployment.rollback()


def test_a_rollback_over_several_versions_undoes_them_all_and_can_be_undone(stage: Stage) -> None:
    for number in (1, 2, 3):
        learn(stage, f"c{number}")

    assert stage.deployment.rollback(BASE).active == BASE
    assert is_new(stage) == ["c1", "c2", "c3", "c4", "c5"]
    assert stage.deployment.rollback("v1.1").fallback == BASE
    assert is_new(stage) == ["c3", "c4", "c5"]
    assert stage.deployment.rollback("v1.2").active == "v1.2"
    assert is_new(stage) == ["c4", "c5"]


def test_rolling_back_to_what_is_active_changes_nothing(stage: Stage) -> None:
    learn(stage, "c1")
    before = stage.versions.pointer()

    assert stage.deployment.rollback("v1.0") == before


@pytest.mark.parametrize("name", ["v1.7", "nonsense", "", "../v1.0"])
def test_a_rollback_to_nothing_is_refused(stage: Stage, name: str) -> None:
    learn(stage, "c1")

    with pytest.raises((UnknownVersionError, BadInputError)):
        stage.deployment.rollback(name)
    assert stage.versions.pointer().active == "v1.0"


def test_a_rollback_to_a_damaged_version_is_refused(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "c2")
    spoil(stage, "v1.0")

    with pytest.raises(VersionCorruptError):
        stage.deployment.rollback()
    assert stage.versions.pointer().active == "v1.1"
    assert stage.deployment.rollback(BASE).active == BASE


def test_a_rollback_skips_a_parent_that_was_deleted(stage: Stage) -> None:
    for number in (1, 2, 3):
        learn(stage, f"c{number}")
    stage.versions.activate("v1.2", fallback=BASE, reason="", at=stage.clock.now())
    stage.versions.remove("v1.1")

    assert stage.deployment.rollback().active == "v1.0"
    assert is_new(stage) == ["c2", "c3", "c4", "c5"]


def test_what_stands_on_a_version_deleted_since_can_be_taken_up_again(stage: Stage) -> None:
    for number in (1, 2, 3):
        learn(stage, f"c{number}")
    stage.deployment.rollback(BASE)
    stage.versions.remove("v1.1")

    assert stage.deployment.rollback("v1.2").active == "v1.2"
    assert is_new(stage) == ["c4", "c5"]


def test_after_a_rollback_learning_continues_from_there_under_a_new_name(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "c2")
    stage.deployment.rollback()
    version = learn(stage, "c2", "c3")

    assert version == "v1.2"
    assert stage.versions.get(version).metadata.parent == "v1.0"
    assert stage.deployment.undone() == {"v1.1"}
    assert is_new(stage) == ["c4", "c5"]


def test_what_a_pruned_ancestor_learnt_still_counts(stage: Stage) -> None:
    stage.keep_versions = 1
    stage.join()
    for number in (1, 2, 3, 4):
        learn(stage, f"c{number}")

    assert [version.metadata.version for version in stage.versions.all()] == ["v1.2", "v1.3"]
    assert stage.deployment.reconcile() == ()
    assert is_new(stage) == ["c5"]


def test_a_pinned_ancestor_beyond_a_pruned_one_still_counts(stage: Stage) -> None:
    stage.keep_versions = 1
    stage.join()
    learn(stage, "c1")
    stage.versions.set_pinned("v1.0", True)
    for number in (2, 3, 4):
        learn(stage, f"c{number}")
    stage.deployment.reconcile()

    assert [version.metadata.version for version in stage.versions.all()] == ["v1.0", "v1.2", "v1.3"]
    assert stage.deployment.undone() == frozenset()
    assert is_new(stage) == ["c5"]


# --- repairing ---


def test_a_sound_version_needs_no_repair(stage: Stage) -> None:
    learn(stage, "c1")

    assert stage.deployment.reconcile() == ()


def test_a_damaged_active_version_gives_way_to_its_parent(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "c2")
    spoil(stage, "v1.1")
    (sentence,) = stage.deployment.reconcile()

    assert sentence.endswith("Now v1.0 answers.")
    assert stage.versions.pointer().active == "v1.0"
    assert is_new(stage) == ["c2", "c3", "c4", "c5"]


def test_with_all_ancestors_damaged_the_base_model_answers(stage: Stage) -> None:
    learn(stage, "c1")
    learn(stage, "c2")
    stage.deployment.rollback()
    learn(stage, "c3")
    for version in ("v1.0", "v1.2"):
        spoil(stage, version)
    stage.deployment.reconcile()

    assert stage.versions.pointer().active == BASE  # not v1.1, which the person undid


def test_marks_that_a_cut_off_rollback_left_are_taken_back(stage: Stage) -> None:
    learn(stage, "c1")
    stage.versions.activate(BASE, fallback="v1.0", reason="cut off", at=stage.clock.now())
    stage.deployment.reconcile()

    assert is_new(stage) == ["c1", "c2", "c3", "c4", "c5"]


# --- cut off anywhere ---


def fail_as_the_store_does() -> NoReturn:
    raise StoreError("The store is busy.")


def prepared(home: Path) -> Stage:
    stage = Stage(home)
    learn(stage, "c1")
    stage.conversation_ids = ("c2", "c3")
    return stage


def changes_of_one_episode() -> list[str]:
    with quick_folder() as home:
        stage = prepared(home)
        guillotine = Guillotine()
        guillotine.stand_over(stage)
        stage.orchestrator.run_episode("because")
        stage.close()
        return guillotine.calls


#: Everything that an episode changes, in order: each is a place to be killed at.
CHANGES = tuple(
    """seal create write_plan update change clear_result write_plan update change update change update update
    update update update change update seal write activate mark_learned set_members resolve update change
    clear""".split()
)
SEALED = len(CHANGES) - CHANGES[::-1].index("seal")
PLACES = tuple(range(1, len(CHANGES) + 1))


def place(number: int) -> str:
    return f"{number}-{CHANGES[number - 1]}"


def test_these_are_all_the_places_to_be_killed_at() -> None:
    assert tuple(changes_of_one_episode()) == CHANGES


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fall_at", PLACES, ids=place)
def test_killed_anywhere_it_ends_fully_before_or_fully_after(fall_at: int, after: bool) -> None:
    with quick_folder() as home:
        stage = prepared(home)
        guillotine = Guillotine()
        guillotine.fall_at, guillotine.after = fall_at, after
        guillotine.stand_over(stage)
        with pytest.raises(KilledError):
            stage.orchestrator.run_episode("because")
        stage.close()

        # What the person has right then: a version that loads, the old one or the new one.
        stage = Stage(home)
        active = stage.versions.pointer().active
        assert active in ("v1.0", "v1.1")
        stage.versions.verify(active)

        # And after the next call: all of it, once.
        stage.conversation_ids = ("c2", "c3")
        if stage.episodes.unfinished():
            assert stage.orchestrator.run_episode("again").outcome is EpisodeState.COMPLETED
        elif active == "v1.0":
            assert stage.orchestrator.run_episode("again").version == "v1.1"
        assert stage.versions.pointer().active == "v1.1"
        assert stage.versions.pointer().fallback == "v1.0"
        stage.versions.verify("v1.1")
        assert [version.metadata.version for version in stage.versions.all()] == ["v1.0", "v1.1"]
        assert is_new(stage) == ["c4", "c5"]
        assert stage.replay.members(holdout=False) == ("c1", "c2", "c3")
        assert stage.episodes.unfinished() == ()
        completed = [
            episode for episode in stage.episodes.latest(limit=10) if episode.state is EpisodeState.COMPLETED
        ]
        assert [episode.version for episode in completed] == ["v1.1", "v1.0"]
        stage.close()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=2, max_size=5))
def test_killed_again_while_it_recovers_it_still_ends_whole(kills: list[tuple[int, bool]]) -> None:
    with quick_folder() as home:
        prepared(home).close()
        for fall_at, after in kills:
            stage = Stage(home, conversation_ids=("c2", "c3"))
            if stage.versions.pointer().active == "v1.0" or stage.episodes.unfinished():
                Guillotine(fall_at, after=after).stand_over(stage)
                with contextlib.suppress(KilledError):
                    stage.orchestrator.run_episode("because")
            stage.close()
            stage = Stage(home)
            stage.versions.verify(stage.versions.pointer().active)
            stage.close()

        stage = Stage(home, conversation_ids=("c2", "c3"))
        for _ in range(2):
            if stage.versions.pointer().active == "v1.0" or stage.episodes.unfinished():
                stage.orchestrator.run_episode("again")
        assert stage.versions.pointer().active == "v1.1"
        assert [version.metadata.version for version in stage.versions.all()] == ["v1.0", "v1.1"]
        assert is_new(stage) == ["c4", "c5"]
        assert stage.replay.members(holdout=False) == ("c1", "c2", "c3")
        assert stage.episodes.unfinished() == ()
        stage.close()


@pytest.mark.parametrize("fall_at", PLACES[SEALED - 1 :], ids=place)
def test_recovering_at_the_start_never_changes_which_version_answers(fall_at: int) -> None:
    with quick_folder() as home:
        stage = prepared(home)
        guillotine = Guillotine()
        guillotine.fall_at, guillotine.after = fall_at, True
        guillotine.stand_over(stage)
        with pytest.raises(KilledError):
            stage.orchestrator.run_episode("because")
        stage.close()

        stage = Stage(home)
        stage.worker = ScriptedWorker(make_it_worse)
        stage.join()
        active = stage.versions.pointer().active
        stage.orchestrator.recover()
        assert stage.versions.pointer().active == active
        if active == "v1.1":
            assert stage.episodes.unfinished() == ()
            assert is_new(stage) == ["c4", "c5"]
        stage.close()


@pytest.mark.parametrize("fall_at", PLACES, ids=place)
def test_a_store_that_fails_anywhere_is_no_lasting_harm(fall_at: int) -> None:
    with quick_folder() as home:
        stage = prepared(home)
        guillotine = Guillotine()
        guillotine.fall_at, guillotine.fall = fall_at, fail_as_the_store_does
        guillotine.stand_over(stage)
        with contextlib.suppress(StoreError):
            stage.orchestrator.run_episode("because")
        stage.close()

        stage = Stage(home)
        stage.conversation_ids = ("c2", "c3")
        for _ in range(2):
            if stage.versions.pointer().active == "v1.0" or stage.episodes.unfinished():
                stage.orchestrator.run_episode("again", forced=True)
        assert stage.versions.pointer().active == "v1.1"
        assert is_new(stage) == ["c4", "c5"]
        assert stage.episodes.unfinished() == ()
        stage.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fall_at", [1, 2, 3, 4])
def test_a_rollback_that_is_cut_off_is_made_whole(fall_at: int, after: bool) -> None:
    with quick_folder() as home:
        stage = Stage(home)
        for number in (1, 2):
            learn(stage, f"c{number}")
        guillotine = Guillotine()
        guillotine.fall_at, guillotine.after = fall_at, after
        guillotine.stand_over(stage)
        with contextlib.suppress(KilledError):
            stage.deployment.rollback(BASE)
        stage.close()

        stage = Stage(home)
        stage.deployment.reconcile()
        expected = {BASE: ["c1", "c2", "c3", "c4", "c5"], "v1.1": ["c3", "c4", "c5"]}
        assert is_new(stage) == expected[stage.versions.pointer().active]
        stage.close()


def test_a_deployment_probes_exactly_the_sealed_version(stage: Stage) -> None:
    stage.worker = ScriptedWorker(succeed)
    stage.join()
    learn(stage, "c1")

    assert stage.probe.probed == [Path(stage.versions.get("v1.0").path)]

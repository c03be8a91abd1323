"""Folders of episodes: durable plans, believed reports, nothing left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allie_desktop.domain.errors import DataChangedError, TrainingError
from allie_desktop.domain.events import Job
from allie_desktop.domain.ports import EpisodeFiles, EpisodeProof
from allie_desktop.ipc.episode_folder import EpisodeFolders, free_disk_bytes
from allie_desktop.ipc.protocol import encode_document
from tests.adapters import write_adapter
from tests.episode_stage import make_report
from tests.plans import make_plan

NOTHING = EpisodeProof(plan=False, attempt=0, result=False)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EpisodeFolders:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nobody cuts the power here
    return EpisodeFolders(tmp_path / "episodes")


def write_job(files: EpisodeFolders, **changes: Any) -> Job:
    plan = files.seal(make_plan())
    values: dict[str, Any] = {
        "episode_id": plan.id,
        "folder": str(files.folder(plan.id)),
        "plan": "plan.json",
        "plan_digest": plan.digest,
        "cache": "/c",
        "parent_adapter": None,
    }
    job = Job(**{**values, **changes})
    (files.folder(plan.id) / "job.json").write_bytes(encode_document(job))
    return job


def write_result(files: EpisodeFolders, **changes: str) -> None:
    plan = files.seal(make_plan())
    write_adapter(files.candidate(plan.id))
    values = {"episode_id": plan.id, "plan_digest": plan.digest, **changes}
    files.report(plan.id).write_bytes(encode_document(make_report(**values)))


def test_the_folders_are_the_port(files: EpisodeFolders) -> None:
    port: EpisodeFiles = files

    assert port.ids() == ()


def test_looking_makes_no_folder(files: EpisodeFolders, tmp_path: Path) -> None:
    assert files.used_bytes("e1") == 0
    assert files.read_job("e1") is None
    assert files.proof("e1", "d") == NOTHING
    files.clear("e1")
    files.clear_result("e1")
    files.remove("e1")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_written_for_the_owner_alone_and_read_back(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    path = files.write_plan(plan)

    assert path == files.folder(plan.id) / "plan.json"
    assert files.read_plan(plan.id, plan.digest) == plan
    assert files.ids() == (plan.id,)
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_each_attempt_has_its_own_plan(files: EpisodeFolders) -> None:
    first, second = files.seal(make_plan()), files.seal(make_plan(seed=8))
    files.write_plan(first)
    path = files.write_plan(second, attempt=2)

    assert path == files.folder(first.id) / "attempt-2" / "plan.json"
    assert files.read_plan(first.id, first.digest) == first
    assert files.read_plan(first.id, second.digest, attempt=2) == second
    with pytest.raises(DataChangedError):
        files.read_plan(first.id, second.digest)


def test_writing_a_plan_leaves_nothing_beside_it(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    files.write_plan(plan)

    assert [entry.name for entry in files.folder(plan.id).iterdir()] == ["plan.json"]


@pytest.mark.parametrize("episode_id", ["", "..", "../x", "a/b", "a\\b", ".hidden", "x" * 101, "e\n", "C:"])
def test_only_plain_names_name_episodes(files: EpisodeFolders, episode_id: str) -> None:
    with pytest.raises(ValueError, match="cannot name an episode"):
        files.folder(episode_id)


def test_a_complete_result_is_proved(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    assert files.proof(plan.id, plan.digest) == EpisodeProof(plan=True, attempt=0, result=False)
    write_job(files)
    assert files.proof(plan.id, plan.digest) == EpisodeProof(plan=True, attempt=1, result=False)
    write_result(files)
    assert files.proof(plan.id, plan.digest) == EpisodeProof(plan=True, attempt=1, result=True)
    assert files.read_report(plan.id).plan_digest == plan.digest


def test_a_result_belongs_to_the_job_that_was_written_last(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files)
    for changes in ({"plan_digest": "f" * 64}, {"episode_id": "another"}):
        write_result(files, **changes)
        assert files.proof(plan.id, plan.digest).result is False


def test_a_fallback_attempt_is_proved_by_its_own_digest(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files, attempt=3, plan_digest="e" * 64)
    write_result(files, plan_digest="e" * 64)

    assert files.proof(plan.id, plan.digest) == EpisodeProof(plan=True, attempt=3, result=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "plan.json").unlink(),
        lambda folder: (folder / "plan.json").write_text("{}"),
        lambda folder: (folder / "plan.json").write_text(
            (folder / "plan.json").read_text().replace("Ada", "Eve")
        ),
    ],
)
def test_a_changed_plan_proves_nothing(files: EpisodeFolders, damage: Callable[[Path], object]) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files)
    write_result(files)
    damage(files.folder(plan.id))

    assert files.proof(plan.id, plan.digest) == NOTHING


def test_the_plan_of_another_episode_proves_nothing(files: EpisodeFolders) -> None:
    other = files.seal(make_plan(id="other"))
    files.write_plan(other)
    plan = files.seal(make_plan())
    files.write_plan(plan)
    os.replace(files.folder("other") / "plan.json", files.folder(plan.id) / "plan.json")

    assert files.proof(plan.id, plan.digest) == NOTHING


@pytest.mark.parametrize(
    "job", [b"", b"{", b"[]", b"\xff", b'{"episode_id": "x"}', json.dumps({"attempt": -1}).encode()]
)
def test_a_damaged_job_is_none(files: EpisodeFolders, job: bytes) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    (files.folder(plan.id) / "job.json").write_bytes(job)

    assert files.read_job(plan.id) is None
    assert files.proof(plan.id, plan.digest) == EpisodeProof(plan=True, attempt=0, result=False)


def test_the_job_of_another_episode_is_no_attempt_of_this(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files, episode_id="another")

    assert files.proof(plan.id, plan.digest).attempt == 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f, i: f.report(i).unlink(), "cannot be read"),
        (lambda f, i: f.report(i).write_bytes(b""), "not JSON"),
        (lambda f, i: f.report(i).write_bytes(f.report(i).read_bytes()[:-30]), "not JSON"),
        (lambda f, i: f.report(i).write_bytes(b"\xff\xfe"), "not a text file"),
        (lambda f, i: f.report(i).write_text('{"format": 99}'), "newer Allie"),
        (lambda f, i: (f.candidate(i) / "adapter_config.json").unlink(), "no adapter_config.json"),
        (
            lambda f, i: (f.candidate(i) / "adapter_model.safetensors").write_bytes(b""),
            "no adapter_model.safetensors",
        ),
    ],
)
def test_an_incomplete_result_is_refused_in_a_sentence(
    files: EpisodeFolders, damage: Callable[[EpisodeFolders, str], object], words: str
) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files)
    write_result(files)
    damage(files, plan.id)

    with pytest.raises(TrainingError) as caught:
        files.read_report(plan.id)
    assert words in caught.value.message
    assert caught.value.remedy
    assert files.proof(plan.id, plan.digest).result is False


def test_a_giant_report_is_not_even_read(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files)
    write_result(files)
    with files.report(plan.id).open("r+b") as file:
        file.truncate(300 * 1024 * 1024)

    with pytest.raises(TrainingError, match="far too large"):
        files.read_report(plan.id)


def test_a_candidate_that_is_a_link_is_refused(files: EpisodeFolders, tmp_path: Path) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_result(files)
    weights = files.candidate(plan.id) / "adapter_model.safetensors"
    os.replace(weights, tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(TrainingError):
        files.read_report(plan.id)


def test_a_result_is_cleared_before_an_attempt(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    write_job(files)
    write_result(files)
    files.clear_result(plan.id)

    assert sorted(entry.name for entry in files.folder(plan.id).iterdir()) == ["job.json", "plan.json"]


def test_what_an_ended_episode_needs_no_more_goes(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    files.write_plan(plan)
    files.write_plan(files.seal(make_plan(seed=9)), attempt=2)
    write_job(files)
    write_result(files)
    folder = files.folder(plan.id)
    for name in ("attempt-1/checkpoints/step-1", "attempt-2/checkpoints/step-1", "candidate.writing"):
        (folder / name).mkdir(parents=True)
        (folder / name / "tensors").write_bytes(b"0" * 5000)
    for name in ("worker.log", "worker.log.1", "worker.pid", "report.writing"):
        (folder / name).write_text("x")
    files.clear(plan.id)

    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "attempt-2/plan.json",
        "job.json",
        "plan.json",
        "report.json",
        "worker.log",
        "worker.log.1",
    ]


@pytest.mark.parametrize("conversation_id", ["c7", 'odd"\\ name', "naïve 👋", "é\ud800"])
def test_a_forgotten_conversation_leaves_no_plan_behind(files: EpisodeFolders, conversation_id: str) -> None:
    for episode_id, ids in (("e1", ("c1",)), ("e2", ("c1", conversation_id)), ("e3", ("c77",))):
        files.write_plan(files.seal(make_plan(id=episode_id, conversation_ids=ids)))
    files.write_plan(files.seal(make_plan(id="e1", conversation_ids=(conversation_id,))), attempt=2)
    (files.folder("e2") / "report.json").write_text("its words are in here too")
    damaged = files.folder("e3") / "attempt-3"
    damaged.mkdir()
    (damaged / "plan.json").write_bytes(b"torn")

    assert files.forget(conversation_id) == ("e1", "e2")
    assert files.ids() == ("e3",)
    assert files.forget(conversation_id) == ()


def test_links_in_a_folder_are_removed_and_not_followed(files: EpisodeFolders, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter").write_text("love")
    plan = files.seal(make_plan())
    files.write_plan(plan)
    (files.folder(plan.id) / "attempt-1").symlink_to(precious)
    files.clear(plan.id)
    files.remove(plan.id)

    assert (precious / "letter").read_text() == "love"
    assert files.ids() == ()


def test_the_space_that_a_folder_takes_is_counted_deeply(files: EpisodeFolders) -> None:
    plan = files.seal(make_plan())
    size = files.write_plan(plan).stat().st_size
    deep = files.folder(plan.id) / "attempt-1" / "checkpoints"
    deep.mkdir(parents=True)
    (deep / "a").write_bytes(b"0" * 1000)

    assert files.used_bytes(plan.id) == size + 1000


def test_free_space_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    assert free_disk_bytes(tmp_path / "not" / "yet" / "there") > 0

"""Adapter versions on disk: sealed for ever, verified, pointed to, undone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allie_desktop.domain.errors import (
    AllieError,
    BadInputError,
    CorruptModelError,
    DiskFullError,
    StoreBusyError,
    UnknownVersionError,
    UnsafeModelError,
    VersionCorruptError,
)
from allie_desktop.domain.ports import VersionRepository
from allie_desktop.domain.versions import BASE, ActivePointer, Version, VersionState
from allie_desktop.store import adapter_files, version_folders
from allie_desktop.store.version_folders import VersionFolders
from tests.adapters import CONFIG, make_metadata, safetensors, write_adapter
from tests.plans import BASE_MODEL, WHEN


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, and waiting for the disk is most of the time that they take."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def versions(tmp_path: Path) -> VersionFolders:
    return open_versions(tmp_path)


def open_versions(home: Path, **changes: str) -> VersionFolders:
    values = {"base_name": BASE_MODEL.name, "base_sha256": BASE_MODEL.sha256, **changes}
    return VersionFolders(home / "models", **values)


def seal(versions: VersionFolders, name: str | None = None, **metadata: Any) -> Version:
    name = name or versions.next_name()
    adapter = write_adapter(versions.folder.parent / f"candidate-{name}", number=float(name[3:]))
    return versions.seal(name, adapter, make_metadata(name, **metadata), ())


def activate(versions: VersionFolders, name: str, fallback: str = BASE) -> None:
    versions.activate(name, fallback=fallback, reason="test", at=WHEN)


def damage(path: Path, change: Callable[[Path], object]) -> None:
    """Do to a sealed, read-only folder what a broken disk could do."""
    path.parent.chmod(0o700)
    if path.exists():
        path.chmod(0o600)
    change(path)


# --- sealing ---


def test_the_folders_are_the_port(versions: VersionFolders) -> None:
    port: VersionRepository = versions

    assert port.all() == ()


def test_looking_at_nothing_makes_nothing(tmp_path: Path) -> None:
    versions = open_versions(tmp_path)

    assert versions.all() == ()
    assert versions.next_name() == "v1.0"
    assert versions.pointer().active == BASE
    assert list(tmp_path.iterdir()) == []


def test_a_sealed_version_has_all_its_files_and_its_manifest(
    versions: VersionFolders, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path / "c", files={"fisher.safetensors": safetensors(3.0)})
    report = tmp_path / "report.json"
    report.write_text("{}")
    version = versions.seal("v1.0", adapter, make_metadata(), [report])

    folder = Path(version.path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert folder == tmp_path / "models" / "tiny-abababab" / "versions" / "v1.0"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "fisher.safetensors",
        "manifest.json",
        "metadata.json",
        "report.json",
    ]
    assert sorted(manifest["files"]) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "fisher.safetensors",
        "metadata.json",
        "report.json",
    ]
    assert manifest["files"]["report.json"] == {
        "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "bytes": 2,
    }
    assert version == Version(metadata=make_metadata(), path=str(folder), state=VersionState.CANDIDATE)
    versions.verify("v1.0")


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_a_sealed_version_is_read_only_and_private(versions: VersionFolders) -> None:
    folder = Path(seal(versions).path)

    assert folder.stat().st_mode & 0o777 == 0o500
    assert {entry.stat().st_mode & 0o777 for entry in folder.iterdir()} == {0o400}
    assert versions.folder.stat().st_mode & 0o777 == 0o700


def test_the_candidate_itself_stays_as_it_was(versions: VersionFolders, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "c")
    versions.seal("v1.0", adapter, make_metadata(), ())
    (adapter / "adapter_model.safetensors").write_bytes(b"changed afterwards")

    versions.verify("v1.0")


def test_pefts_model_card_is_left_out(versions: VersionFolders, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "c", files={"README.md": b"# Model Card"})

    assert not (Path(versions.seal("v1.0", adapter, make_metadata(), ()).path) / "README.md").exists()


@pytest.mark.parametrize(
    "name",
    [
        "adapter_model.bin",
        "optimizer.pt",
        "state.pkl",
        "x.py",
        ".hidden",
        "notes",
        "metadata.json",
        "manifest.json",
    ],
)
def test_a_candidate_with_anything_unexpected_is_refused(
    versions: VersionFolders, tmp_path: Path, name: str
) -> None:
    adapter = write_adapter(tmp_path / "c", files={name: b"{}"})

    with pytest.raises(UnsafeModelError, match="not part of an adapter"):
        versions.seal("v1.0", adapter, make_metadata(), ())
    assert versions.all() == ()
    assert versions.next_name() == "v1.0"


def test_a_candidate_with_a_link_or_a_folder_in_it_is_refused(
    versions: VersionFolders, tmp_path: Path
) -> None:
    linked = write_adapter(tmp_path / "linked")
    (linked / "more.json").symlink_to(linked / "adapter_config.json")
    nested = write_adapter(tmp_path / "nested")
    (nested / "sub.json").mkdir()

    for adapter in (linked, nested):
        with pytest.raises(UnsafeModelError, match="not a plain file"):
            versions.seal("v1.0", adapter, make_metadata(), ())


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("adapter_model.safetensors", b"", "damaged"),
        ("adapter_model.safetensors", b"\x80\x04\x95pickle", "damaged"),
        ("adapter_model.safetensors", safetensors(1.0, 2.0)[:-1], "damaged"),
        ("adapter_model.safetensors", safetensors(1.0, 2.0) + b"x", "damaged"),
        ("adapter_model.safetensors", b"\x02\0\0\0\0\0\0\0{}", "is empty"),
        ("fisher.safetensors", b"garbage", "fisher.safetensors is damaged"),
        ("adapter_config.json", b"", "not JSON"),
        ("adapter_config.json", b"\xff\xfe", "not JSON"),
        ("adapter_config.json", b"[" * 100_000, "not JSON"),
        ("adapter_config.json", b"[]", "not that of a LoRA"),
        ("adapter_config.json", b'{"peft_type": "PREFIX_TUNING"}', "not that of a LoRA"),
    ],
)
def test_a_damaged_candidate_is_refused(
    versions: VersionFolders, tmp_path: Path, file: str, data: bytes, words: str
) -> None:
    with pytest.raises(CorruptModelError, match=words):
        versions.seal("v1.0", write_adapter(tmp_path / "c", files={file: data}), make_metadata(), ())
    assert not Path(versions.folder / "versions").exists()


@pytest.mark.parametrize("missing", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_incomplete_candidate_is_refused(versions: VersionFolders, tmp_path: Path, missing: str) -> None:
    adapter = write_adapter(tmp_path / "c")
    (adapter / missing).unlink()

    with pytest.raises(CorruptModelError, match=f"no {missing}"):
        versions.seal("v1.0", adapter, make_metadata(), ())
    with pytest.raises(CorruptModelError, match="cannot be read"):
        versions.seal("v1.0", tmp_path / "nowhere", make_metadata(), ())


def test_a_configuration_that_asks_for_foreign_code_is_refused(
    versions: VersionFolders, tmp_path: Path
) -> None:
    def config(library: str) -> bytes:
        return json.dumps({**CONFIG, "auto_mapping": {"parent_library": library}}).encode()

    evil = write_adapter(tmp_path / "evil", files={"adapter_config.json": config("os")})
    fine = write_adapter(
        tmp_path / "fine", files={"adapter_config.json": config("transformers.models.llama.modeling_llama")}
    )

    with pytest.raises(UnsafeModelError, match="asks to import 'os'"):
        versions.seal("v1.0", evil, make_metadata(), ())
    assert versions.seal("v1.0", fine, make_metadata(), ()).metadata.version == "v1.0"


@pytest.mark.parametrize("name", ["report.exe", "adapter_config.json", "metadata.json", "missing.json"])
def test_only_readable_extras_with_names_of_their_own_are_taken(
    versions: VersionFolders, tmp_path: Path, name: str
) -> None:
    extra = tmp_path / name
    if name != "missing.json":
        extra.write_text("{}")

    with pytest.raises(UnsafeModelError):
        versions.seal("v1.0", write_adapter(tmp_path / "c"), make_metadata(), [extra])


def test_a_candidate_for_another_base_or_name_is_refused(versions: VersionFolders, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "c")

    for metadata in (make_metadata(base_sha256="cd" * 32), make_metadata("v1.7")):
        with pytest.raises(BadInputError, match="was made as"):
            versions.seal("v1.0", adapter, metadata, ())


@pytest.mark.parametrize("name", ["", "base", "v1", "1.0", "v1.0/..", "../v1.0", "v1.0\n", "V1.0", "v-1.0"])
def test_only_version_names_name_versions(versions: VersionFolders, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError):
        versions.seal(name, write_adapter(tmp_path / "c"), make_metadata(name), ())
    for action in (versions.get, versions.verify, versions.remove):
        with pytest.raises(BadInputError):
            action(name)


class PowerCutError(BaseException):
    pass


@pytest.mark.parametrize("stop_at", range(1, 11))
def test_a_seal_that_is_cut_off_leaves_all_or_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    versions = open_versions(tmp_path)
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise PowerCutError
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in ("copy_hashed", "write_new", "sync_folder", "to_json"):
            patched.setattr(version_folders, name, counted(getattr(version_folders, name)))
        try:
            seal(versions, "v1.0")
        except PowerCutError:
            pass
        else:
            assert calls < stop_at

    reopened = open_versions(tmp_path)
    folder = reopened.folder / "versions" / "v1.0"
    if not folder.exists():
        assert reopened.all() == ()
        assert reopened.next_name() == "v1.0"
        seal(reopened, "v1.0")
    reopened.verify("v1.0")
    seal(reopened, "v1.1")
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["v1.0", "v1.1"]


def test_a_full_disk_is_said_so_and_leaves_nothing(
    versions: VersionFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(version_folders, "copy_hashed", full)
        with pytest.raises(DiskFullError, match="no room"):
            seal(versions)

    assert list((versions.folder / "versions").iterdir()) == []
    assert seal(versions).metadata.version == "v1.0"


# --- names ---


def test_names_go_up_and_are_never_given_twice(versions: VersionFolders) -> None:
    for _ in range(3):
        seal(versions)
    versions.remove("v1.2")

    assert versions.next_name() == "v1.3"
    with pytest.raises(BadInputError, match="There was a version"):
        seal(versions, "v1.2")
    for name in ("v1.0", "v1.1"):
        versions.remove(name)
    assert versions.all() == ()
    assert seal(versions).metadata.version == "v1.3"


def test_a_sealed_name_cannot_be_sealed_again(versions: VersionFolders) -> None:
    seal(versions, "v1.0")

    with pytest.raises(BadInputError, match="There was a version"):
        seal(versions, "v1.0")


def test_ten_comes_after_nine(versions: VersionFolders) -> None:
    names = [seal(versions).metadata.version for _ in range(12)]

    assert names == [f"v1.{number}" for number in range(12)]
    assert [version.metadata.version for version in versions.all()] == names


def test_names_survive_the_loss_of_the_states(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    for file in versions.folder.glob("states*"):
        file.unlink()

    assert versions.next_name() == "v1.2"


# --- verifying ---


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("adapter_model.safetensors", flip, "adapter_model.safetensors is not as it was sealed"),
        ("adapter_model.safetensors", append, "not as it was sealed"),
        ("adapter_model.safetensors", Path.unlink, "adapter_model.safetensors is missing"),
        ("adapter_config.json", append, "not as it was sealed"),
        ("metadata.json", append, "metadata.json is not as it was sealed"),
        ("metadata.json", Path.unlink, "description cannot be read"),
        ("manifest.json", Path.unlink, "description cannot be read"),
        ("manifest.json", lambda path: path.write_text('{"files": {}}'), "does not belong to it"),
        ("evil.pkl", Path.touch, "evil.pkl does not belong to it"),
    ],
)
def test_every_change_to_a_sealed_version_is_found(
    versions: VersionFolders, file: str, change: Callable[[Path], object], words: str
) -> None:
    folder = Path(seal(versions).path)
    damage(folder / file, change)

    with pytest.raises(VersionCorruptError, match=words):
        versions.verify("v1.0")


def test_a_file_that_became_a_link_is_found(versions: VersionFolders, tmp_path: Path) -> None:
    folder = Path(seal(versions).path)
    copy = tmp_path / "copy"
    shutil.copy(folder / "adapter_model.safetensors", copy)

    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(copy)

    damage(folder / "adapter_model.safetensors", link)
    with pytest.raises(VersionCorruptError):
        versions.verify("v1.0")


@pytest.mark.parametrize(("failures", "sound"), [(1, True), (2, False)])
def test_a_file_that_could_not_be_read_once_does_not_condemn_a_version(
    versions: VersionFolders, monkeypatch: pytest.MonkeyPatch, failures: int, sound: bool
) -> None:
    seal(versions)
    left = [failures]
    chunks = adapter_files._chunks

    def unreliable(path: Path) -> Iterator[bytes]:
        if path.name == "adapter_model.safetensors" and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return chunks(path)

    monkeypatch.setattr(adapter_files, "_chunks", unreliable)

    if sound:
        versions.verify("v1.0")
    else:
        with pytest.raises(VersionCorruptError, match="is not as it was sealed"):
            versions.verify("v1.0")


def test_verifying_what_is_not_there_names_what_there_is(versions: VersionFolders) -> None:
    with pytest.raises(UnknownVersionError, match="There is only: base"):
        versions.verify("v1.0")
    seal(versions)
    with pytest.raises(UnknownVersionError, match=r"There are: v1\.0, base"):
        versions.get("v1.7")


@pytest.mark.parametrize(
    "metadata",
    [b"", b"{}", b"\x00" * 100, b"[" * 100_000, b'{"version": "v1.0"}', b'{"version": 3}'],
)
def test_a_version_with_unreadable_metadata_is_left_out(versions: VersionFolders, metadata: bytes) -> None:
    seal(versions)
    folder = Path(seal(versions).path)
    damage(folder / "metadata.json", lambda path: path.write_bytes(metadata))

    assert [version.metadata.version for version in versions.all()] == ["v1.0"]
    assert versions.next_name() == "v1.2"
    with pytest.raises(UnknownVersionError):
        versions.get("v1.1")


def test_a_folder_that_was_renamed_by_hand_is_left_out(versions: VersionFolders) -> None:
    folder = Path(seal(versions).path)
    shutil.copytree(folder, folder.with_name("v1.5"))

    assert [version.metadata.version for version in versions.all()] == ["v1.0"]


def test_strangers_among_the_folders_are_ignored(versions: VersionFolders) -> None:
    seal(versions)
    (versions.folder / "versions" / "notes.txt").write_text("mine")
    (versions.folder / "versions" / "v1.9").write_text("a file")
    (versions.folder / "versions" / "vacation").mkdir()

    assert [version.metadata.version for version in versions.all()] == ["v1.0"]


def test_bases_of_one_name_and_other_weights_are_kept_apart(tmp_path: Path) -> None:
    first = open_versions(tmp_path)
    seal(first)
    activate(first, "v1.0")
    second = open_versions(tmp_path, base_sha256="cd" * 32)

    assert second.all() == ()
    assert second.pointer().active == BASE
    assert second.folder != first.folder


def test_an_adapter_of_another_base_in_the_folder_does_not_count(tmp_path: Path) -> None:
    # The first digits of two hashes may agree.
    seal(open_versions(tmp_path))

    assert open_versions(tmp_path, base_sha256="ab" * 4 + "cd" * 28).all() == ()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TinyLlama-TinyLlama-1.1B-Chat-v1.0-abababab"),
        ("../../etc", "etc-abababab"),
        ("", "base-abababab"),
        ("模型", "base-abababab"),
        ("x" * 300, "x" * 60 + "-abababab"),
        ("a\\b:c\udc80", "a-b-c-abababab"),
    ],
)
def test_any_base_name_makes_a_folder_inside(tmp_path: Path, name: str, folder: str) -> None:
    versions = open_versions(tmp_path, base_name=name)

    assert versions.folder == tmp_path / "models" / folder
    assert seal(versions, base_name=name).metadata.version == "v1.0"


# --- the pointer ---


def test_activation_moves_the_pointer_and_the_states(versions: VersionFolders) -> None:
    for _ in range(4):
        seal(versions)
    activate(versions, "v1.0")
    activate(versions, "v1.1", "v1.0")
    activate(versions, "v1.2", "v1.1")

    assert versions.pointer() == ActivePointer(active="v1.2", fallback="v1.1", changed_at=WHEN, reason="test")
    assert {version.metadata.version: version.state for version in versions.all()} == {
        "v1.0": VersionState.RETIRED,
        "v1.1": VersionState.FALLBACK,
        "v1.2": VersionState.ACTIVE,
        "v1.3": VersionState.CANDIDATE,
    }


def test_the_base_model_can_be_active_again(versions: VersionFolders) -> None:
    seal(versions)
    activate(versions, "v1.0")
    activate(versions, BASE, "v1.0")

    assert (versions.pointer().active, versions.pointer().fallback) == (BASE, "v1.0")
    assert versions.get("v1.0").state is VersionState.FALLBACK


def test_only_what_is_there_can_be_active(versions: VersionFolders) -> None:
    seal(versions)

    with pytest.raises(UnknownVersionError):
        activate(versions, "v1.4")
    with pytest.raises(UnknownVersionError):
        activate(versions, "v1.0", "v1.4")
    assert versions.pointer().active == BASE


def test_a_damaged_pointer_is_read_from_its_spare_copy(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    activate(versions, "v1.1", "v1.0")
    for garbage in (b"", b"\0" * 200, b"{", b'{"active": 5}'):
        (versions.folder / "active.json").write_bytes(garbage)
        assert versions.pointer().active == "v1.1"
        assert versions.pointer().fallback == "v1.0"


def test_with_both_copies_damaged_the_newest_sound_version_answers(versions: VersionFolders) -> None:
    for _ in range(4):
        seal(versions)
    for name in ("v1.0", "v1.1", "v1.2"):  # v1.3 never was deployed
        activate(versions, name)
    damage(versions.folder / "versions" / "v1.2" / "adapter_model.safetensors", flip)
    for name in ("active.json", "active.spare.json"):
        (versions.folder / name).write_bytes(b"\0")

    assert versions.pointer().active == "v1.1"
    assert "could not be read" in versions.pointer().reason
    assert json.loads((versions.folder / "active.json").read_text())["active"] == "v1.1"


def test_with_states_lost_too_any_sound_version_is_better_than_none(versions: VersionFolders) -> None:
    seal(versions)
    activate(versions, "v1.0")
    for file in (*versions.folder.glob("active*"), *versions.folder.glob("states*")):
        file.write_bytes(b"?")

    assert versions.pointer().active == "v1.0"


def test_with_nothing_sound_left_the_base_model_answers(versions: VersionFolders) -> None:
    folder = Path(seal(versions).path)
    activate(versions, "v1.0")
    damage(folder / "metadata.json", Path.unlink)

    assert versions.pointer().active == BASE
    assert versions.all() == ()


def test_a_pointer_to_a_version_that_is_gone_goes_to_the_fallback(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    seal(versions)
    activate(versions, "v1.2")
    activate(versions, "v1.1", "v1.0")
    shutil.rmtree(versions.folder / "versions" / "v1.1")

    assert (versions.pointer().active, versions.pointer().fallback) == ("v1.0", BASE)


def test_a_fallback_that_is_gone_is_the_base_model(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    activate(versions, "v1.1", "v1.0")
    shutil.rmtree(versions.folder / "versions" / "v1.0")

    assert (versions.pointer().active, versions.pointer().fallback) == ("v1.1", BASE)


def test_a_candidate_that_was_never_activated_does_not_answer(versions: VersionFolders) -> None:
    seal(versions)

    assert versions.pointer().active == BASE


@pytest.mark.parametrize("name", ["../../x", "v1", "", "v1.0/..", "C:\\x"])
def test_a_pointer_that_names_a_path_is_not_followed(versions: VersionFolders, name: str) -> None:
    seal(versions)
    activate(versions, "v1.0")
    pointer = json.loads((versions.folder / "active.json").read_text())
    for file in versions.folder.glob("active*"):
        file.write_text(json.dumps({**pointer, "active": name}))

    assert versions.pointer().active == "v1.0"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=120))
def test_no_bytes_in_the_pointer_files_keep_it_from_answering(
    tmp_path: Path, first: bytes, second: bytes
) -> None:
    versions = open_versions(tmp_path)
    if not versions.all():
        seal(versions)
    activate(versions, "v1.0")
    (versions.folder / "active.json").write_bytes(first)
    (versions.folder / "active.spare.json").write_bytes(second)

    assert versions.pointer().active in ("v1.0", BASE)


@pytest.mark.parametrize("stop_at", range(1, 9))
def test_a_switch_that_is_cut_off_is_fully_before_or_fully_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    versions = open_versions(tmp_path)
    seal(versions)
    seal(versions)
    activate(versions, "v1.0")
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise PowerCutError
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted(os.fsync))
        patched.setattr(Path, "replace", counted(Path.replace))
        with pytest.raises(PowerCutError):
            activate(versions, "v1.1", "v1.0")

    pointer = open_versions(tmp_path).pointer()
    assert (pointer.active, pointer.fallback) in [("v1.0", BASE), ("v1.1", "v1.0")]
    activate(open_versions(tmp_path), "v1.1", "v1.0")
    assert open_versions(tmp_path).pointer().active == "v1.1"


def test_a_full_disk_leaves_the_pointer_as_it_was(
    versions: VersionFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(versions)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError):
            activate(versions, "v1.0")
    assert versions.pointer().active == BASE
    assert list(versions.folder.glob(".active*")) == []


# --- beside the folders ---


def test_pins_and_taints_are_kept_beside_the_folder(versions: VersionFolders, tmp_path: Path) -> None:
    seal(versions)
    versions.set_pinned("v1.0", True)
    versions.set_tainted("v1.0", "A conversation was forgotten.")

    version = open_versions(tmp_path).get("v1.0")
    assert (version.pinned, version.tainted) == (True, "A conversation was forgotten.")
    versions.set_pinned("v1.0", False)
    versions.set_tainted("v1.0", "")
    assert versions.get("v1.0") == Version(
        metadata=make_metadata(), path=version.path, state=VersionState.CANDIDATE
    )
    versions.verify("v1.0")


def test_pins_survive_one_damaged_file(versions: VersionFolders) -> None:
    seal(versions)
    versions.set_pinned("v1.0", True)
    (versions.folder / "states.json").write_bytes(b"\xff")

    assert versions.get("v1.0").pinned is True


def test_a_state_can_be_remembered_but_the_pointer_wins(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    versions.set_state("v1.0", VersionState.SHADOW)
    versions.set_state("v1.1", VersionState.ACTIVE)

    assert [version.state for version in versions.all()] == [VersionState.SHADOW, VersionState.RETIRED]


def test_marks_go_on_what_is_there_only(versions: VersionFolders) -> None:
    with pytest.raises(UnknownVersionError):
        versions.set_pinned("v1.0", True)
    with pytest.raises(UnknownVersionError):
        versions.set_tainted("v1.0", "x")
    with pytest.raises(UnknownVersionError):
        versions.set_state("v1.0", VersionState.RETIRED)


def test_marks_from_several_threads_are_all_kept(versions: VersionFolders, tmp_path: Path) -> None:
    names = [seal(versions).metadata.version for _ in range(6)]

    def pin(name: str) -> None:
        open_versions(tmp_path).set_pinned(name, True)

    threads = [threading.Thread(target=pin, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [version.pinned for version in versions.all()] == [True] * 6


def test_another_process_that_is_changing_versions_is_waited_for_and_named(
    versions: VersionFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(versions)
    monkeypatch.setattr(version_folders, "_LOCK_SECONDS", 0.05)

    with filelock.FileLock(versions.folder / ".lock"), pytest.raises(StoreBusyError, match="Another Allie"):
        versions.set_pinned("v1.0", True)


# --- removing ---


def test_a_removed_version_is_gone(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    versions.remove("v1.0")

    assert [version.metadata.version for version in versions.all()] == ["v1.1"]
    assert [entry.name for entry in (versions.folder / "versions").iterdir()] == ["v1.1"]
    with pytest.raises(UnknownVersionError):
        versions.remove("v1.0")


def test_the_active_and_the_fallback_version_cannot_be_removed(versions: VersionFolders) -> None:
    seal(versions)
    seal(versions)
    activate(versions, "v1.1", "v1.0")

    for name in ("v1.0", "v1.1"):
        with pytest.raises(BadInputError, match="is in use"):
            versions.remove(name)
    assert len(versions.all()) == 2


def test_a_damaged_version_can_be_removed(versions: VersionFolders) -> None:
    folder = Path(seal(versions).path)
    damage(folder / "metadata.json", Path.unlink)
    versions.remove("v1.0")

    assert not folder.exists()
    assert versions.next_name() == "v1.1"


def test_what_a_cut_off_removal_left_is_swept_up_by_the_next_seal(versions: VersionFolders) -> None:
    folder = Path(seal(versions).path)
    folder.rename(folder.with_name(".removed-v1.0-abc"))
    seal(versions, "v1.1")

    assert [entry.name for entry in folder.parent.iterdir()] == ["v1.1"]


def test_metrics_that_are_no_numbers_do_not_break_the_metadata(versions: VersionFolders) -> None:
    version = seal(versions, metrics={"loss": float("nan"), "text": "a\ud800b"})

    assert version.metadata.metrics == {"loss": None, "text": "a?b"}


def test_times_come_back_with_their_zone(versions: VersionFolders) -> None:
    assert seal(versions, created_at=WHEN + timedelta(seconds=0.5)).metadata.created_at == WHEN + timedelta(
        seconds=0.5
    )


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file is in the way")

    with pytest.raises((AllieError, OSError)):
        seal(open_versions(tmp_path))


def test_versions_need_no_torch() -> None:
    import subprocess

    code = (
        "import sys; from allie_desktop.store import version_folders;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_description_that_could_not_be_read_once_does_not_make_the_version_vanish(
    versions: VersionFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(versions)
    versions.activate("v1.0", fallback=BASE, reason="", at=WHEN)
    left = [1]
    read_bytes = Path.read_bytes

    def unreliable(path: Path) -> bytes:
        if path.name == "metadata.json" and left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", unreliable)

    assert versions.pointer().active == "v1.0"
    assert left == [0]

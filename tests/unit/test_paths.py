"""Where files go, and what is said when they cannot go there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from allie_desktop.bootstrap import open_demo
from allie_desktop.domain.errors import AllieError
from allie_desktop.paths import AppPaths, HomeError, resource


def test_allie_home_moves_every_file_into_one_folder(tmp_path):
    home = tmp_path / "moved"
    paths = AppPaths.from_environment({"ALLIE_HOME": str(home)}).prepare()

    places = (
        paths.data,
        paths.cache,
        paths.logs,
        paths.models,
        paths.episodes,
        paths.database,
        paths.log_file,
    )
    assert all(place == home or home in place.parents for place in places)
    assert [p.is_dir() for p in (paths.data, paths.cache, paths.logs, paths.models, paths.episodes)] == [
        True
    ] * 5


@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_allie_home_is_none(empty):
    paths = AppPaths.from_environment({"ALLIE_HOME": empty})

    assert paths.data.name == "allie-desktop"
    assert paths.data != paths.cache


def test_a_relative_home_and_a_tilde_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME" if os.name == "posix" else "USERPROFILE", str(tmp_path / "me"))

    assert AppPaths.from_environment({"ALLIE_HOME": "here"}).data == tmp_path / "here"
    assert AppPaths.from_environment({"ALLIE_HOME": "~/allie"}).data == tmp_path / "me" / "allie"


def test_making_paths_touches_no_disk(tmp_path):
    AppPaths.in_folder(tmp_path / "home")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_folders_are_for_their_owner_alone(tmp_path):
    paths = AppPaths.in_folder(tmp_path / "home").prepare()

    assert {stat.S_IMODE(p.stat().st_mode) for p in (paths.data, paths.cache, paths.logs)} == {0o700}


def test_preparing_again_changes_nothing(tmp_path):
    paths = AppPaths.in_folder(tmp_path).prepare()
    paths.database.write_bytes(b"kept")

    assert paths.prepare() is paths
    assert paths.database.read_bytes() == b"kept"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "allie.sqlite3",
        "cache",
        "episodes",
        "logs",
        "models",
    ]


def test_a_home_that_is_a_file_is_a_sentence(tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")

    for home in (file, file / "inside"):
        with pytest.raises(HomeError) as caught:
            AppPaths.in_folder(home).prepare()
        assert caught.value.message.startswith(("The folder ", str(file)))
        assert "ALLIE_HOME" in caught.value.remedy


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a file system that refuses")
def test_a_home_that_cannot_be_made_is_a_sentence():
    with pytest.raises(HomeError, match="cannot be made"):
        AppPaths.in_folder(Path("/proc/allie")).prepare()


def test_resources_are_found():
    assert resource("sample_conversations.jsonl").is_file()


def test_a_missing_resource_is_a_sentence():
    with pytest.raises(AllieError, match=r"file nothing\.txt is missing"):
        resource("nothing.txt")


def test_a_home_for_a_demonstration_shares_base_models_and_nothing_that_is_learnt(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLIE_HOME", str(tmp_path / "mine"))

    with open_demo(tmp_path / "demo") as program:
        paths = program.paths

    assert paths.base_cache == tmp_path / "mine" / "cache"
    assert paths.converted_adapters.is_relative_to(tmp_path / "demo")
    assert AppPaths.from_environment().base_cache == AppPaths.from_environment().cache

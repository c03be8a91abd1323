"""One episode at a time in a home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from allie_desktop.domain.errors import AllieError, EpisodeBusyError
from allie_desktop.domain.ports import EpisodeLock
from allie_desktop.ipc.episode_lock import FileEpisodeLock
from allie_desktop.ipc.process import worker_environment

HOLDER = """
import os, sys
from pathlib import Path
from allie_desktop.ipc.episode_lock import FileEpisodeLock

with FileEpisodeLock(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=worker_environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_is_the_port_and_can_be_taken_again(tmp_path: Path) -> None:
    lock: EpisodeLock = FileEpisodeLock(tmp_path)
    for _ in range(2):
        with lock.hold():
            assert (tmp_path / "episode.pid").read_text() == f"{os.getpid()}\n"
    assert not (tmp_path / "episode.pid").exists()


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FileEpisodeLock(tmp_path).hold():
        _ = 1 / 0
    with FileEpisodeLock(tmp_path).hold():
        pass


def test_two_in_one_process_are_refused_too(tmp_path: Path) -> None:
    with (
        FileEpisodeLock(tmp_path).hold(),
        pytest.raises(EpisodeBusyError, match=rf"learning already \(process {os.getpid()}\)"),
        FileEpisodeLock(tmp_path).hold(),
    ):
        pass


@pytest.mark.process
def test_another_process_is_named_and_the_lock_dies_with_it(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with (
        pytest.raises(EpisodeBusyError, match=rf"process {process.pid}") as caught,
        FileEpisodeLock(tmp_path).hold(),
    ):
        pass
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.communicate()

    with FileEpisodeLock(tmp_path).hold():
        pass


@pytest.mark.process
@pytest.mark.parametrize("note", [b"", b"x", b"\xff"])
def test_a_holder_that_cannot_be_named_is_still_respected(tmp_path: Path, note: bytes) -> None:
    process = holder(tmp_path)
    (tmp_path / "episode.pid").write_bytes(note)
    with pytest.raises(EpisodeBusyError, match="learning already"), FileEpisodeLock(tmp_path).hold():
        pass
    process.communicate("")


def test_a_home_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AllieError, match="cannot be locked"), FileEpisodeLock(tmp_path / "file").hold():
        pass


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_the_lock_file_is_private(tmp_path: Path) -> None:
    with FileEpisodeLock(tmp_path).hold():
        assert (tmp_path / "episode.lock").stat().st_mode & 0o777 == 0o600

"""Trying a version in another process."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from allie_desktop.domain.errors import AllieError, OutOfMemoryError, ProbeError, VersionCorruptError
from allie_desktop.ipc.probe_process import ProcessProbe

pytestmark = pytest.mark.process


def probe(code: str, **more: float) -> ProcessProbe:
    def command(adapter: Path) -> Sequence[str]:
        return (sys.executable, "-c", code, str(adapter))

    return ProcessProbe(command=command, environment=dict(os.environ), **more)


def test_answers_come_back(tmp_path: Path) -> None:
    code = "import json, sys; print(json.dumps({'answers': ['Hello.', sys.argv[1]]}))"
    assert probe(code).probe(tmp_path) == ("Hello.", str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "error"),
    [("VersionCorruptError", VersionCorruptError), ("OutOfMemoryError", OutOfMemoryError), ("X", AllieError)],
)
def test_what_is_wrong_with_a_version_comes_back_as_what_it_was(
    tmp_path: Path, kind: str, error: type[AllieError]
) -> None:
    said = {"message": "It speaks nonsense.", "remedy": "It is not used.", "kind": kind}
    with pytest.raises(error) as raised:
        probe(f"import json, sys; print(json.dumps({said!r})); sys.exit(1)").probe(tmp_path)
    assert str(raised.value) == "It speaks nonsense. It is not used."


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "print('not JSON')",
        "import sys; sys.exit('boom')",
        "print('[]')",
        "print('{\"answers\": 7}')",
    ],
)
def test_a_process_that_dies_says_nothing_about_the_version(tmp_path: Path, code: str) -> None:
    with pytest.raises(ProbeError, match="could not be tried"):
        probe(code).probe(tmp_path)


def test_a_program_that_is_not_there_says_nothing_about_the_version(tmp_path: Path) -> None:
    missing = ProcessProbe(command=lambda _: (str(tmp_path / "nothing"),), environment={})
    with pytest.raises(ProbeError, match="could not be tried"):
        missing.probe(tmp_path)


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="too long"):
        probe("import time; time.sleep(60)", seconds=0.5).probe(tmp_path)


def test_it_can_be_frozen_before_it_starts_and_goes_on_later(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    one = probe(f"open({str(flag)!r}, 'w'); import json; print(json.dumps({{'answers': ['a']}}))")
    one.suspend()
    answers: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: answers.append(one.probe(tmp_path)))
    thread.start()
    deadline = time.monotonic() + 10
    while not any(p.status() == psutil.STATUS_STOPPED for p in psutil.Process().children()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not flag.exists() or not answers
    one.unfreeze()
    thread.join(10)
    assert answers == [("a",)]

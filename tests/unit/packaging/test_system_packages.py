"""What the operating system must bring, found out for real; apt is a script that answers as apt does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bootstrap
import pytest
import system_packages
from system_packages import AptOutcome, SystemPackage

ALIEN = SystemPackage("alien", command="no-such-command-alien")
BROKEN = SystemPackage("broken", library="libno-such-library.so.1")
GOOD = SystemPackage("good", command="allie-test-good-command")


class Apt:
    """An ``apt-get`` first on PATH: knows no package "alien", fails on "broken", installs others as commands."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self._script = folder / "apt-get"
        self._script.write_text(f"""#!/bin/sh
echo "$DEBIAN_FRONTEND: $*" >> "{self._log}"
case " $* " in
  *" alien "*) echo "Reading package lists..."; echo "E: Unable to locate package alien"; exit 100;;
  *" broken "*) echo "E: Failed to fetch http://mirror/broken.deb  404  Not Found"; exit 100;;
  *" good "*) printf '#!/bin/sh\\n' > "{folder}/allie-test-good-command"; chmod +x "{folder}/allie-test-good-command";;
esac
""")
        self._script.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The words after the options, call by call."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        assert all(line.startswith("noninteractive: ") for line in lines)
        return [line.rpartition("Timeout=300 ")[2].replace("--no-install-recommends ", "") for line in lines]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(system_packages, "ON_LINUX", True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return Apt(tmp_path / "bin")


def lack(monkeypatch: pytest.MonkeyPatch, *, libraries: tuple = (), tools: tuple = ()) -> None:
    monkeypatch.setattr(system_packages, "LIBRARIES", libraries)
    monkeypatch.setattr(system_packages, "TEST_TOOLS", tools)


def test_a_library_is_present_when_the_linker_finds_it():
    assert SystemPackage("libc6", library="libc.so.6").is_present()
    assert not BROKEN.is_present()


def test_a_command_is_present_when_it_is_on_the_path(apt):
    assert SystemPackage("apt", command="apt-get").is_present()
    assert not ALIEN.is_present()


def test_a_file_is_present_when_one_of_its_patterns_matches(tmp_path):
    (tmp_path / "fonts" / "deep").mkdir(parents=True)
    (tmp_path / "fonts" / "deep" / "a.ttf").touch()
    here = str(tmp_path).lstrip("/")
    assert SystemPackage("fonts", files=("no/such", f"{here}/fonts/**/*.[ot]t[fc]")).is_present()
    assert not SystemPackage("fonts", files=(f"{here}/*.ttf",)).is_present()


def test_tools_for_tests_are_asked_for_only_by_tests(monkeypatch):
    monkeypatch.setattr(system_packages, "ON_LINUX", True)
    lack(monkeypatch, libraries=(BROKEN,), tools=(ALIEN,))
    assert system_packages.missing(with_test_tools=False) == [BROKEN]
    assert system_packages.missing(with_test_tools=True) == [BROKEN, ALIEN]


def test_windows_and_macos_lack_nothing(monkeypatch):
    monkeypatch.setattr(system_packages, "ON_LINUX", False)
    lack(monkeypatch, libraries=(BROKEN,))
    assert system_packages.missing(with_test_tools=True) == []


def test_what_apt_has_is_installed_in_one_go(apt):
    assert system_packages.install([GOOD, SystemPackage("fine")]) == AptOutcome()
    assert apt.calls == ["update", "install good fine"]


@pytest.mark.process
def test_apt_is_not_cut_off_by_ctrl_c(tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\ntouch "{tmp_path}/began"\nsleep 1\ntouch "{tmp_path}/ended"\n')
    apt.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", "import system_packages; system_packages.apt_get(['update'])"],
        cwd=Path(system_packages.__file__).parent,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while not (tmp_path / "began").exists():
            assert running.poll() is None
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        _, said = running.communicate()
    assert (tmp_path / "ended").exists()
    assert "Stopping as soon as apt is done." in said
    assert running.returncode == -signal.SIGINT


def test_one_package_that_cannot_be_had_does_not_keep_the_others_away(apt):
    outcome = system_packages.install([ALIEN, GOOD, BROKEN])
    assert outcome == AptOutcome(
        (ALIEN,), (BROKEN,), "Failed to fetch http://mirror/broken.deb  404  Not Found"
    )
    assert apt.calls == [
        "update",
        "install alien good broken",
        "install alien",
        "install good",
        "install broken",
    ]
    assert GOOD.is_present()


def test_what_stays_missing_is_said_and_what_apt_does_not_know_is_not_asked_for_again(
    apt, monkeypatch, tmp_path, capsys
):
    lack(monkeypatch, libraries=(BROKEN,), tools=(ALIEN, GOOD))
    bootstrap.provide_system_packages(tmp_path / "unknown", with_test_tools=True)
    assert capsys.readouterr().err.splitlines() == [
        "Installing by apt: broken, alien, good.",
        "apt failed: Failed to fetch http://mirror/broken.deb  404  Not Found",
        "Missing, and needed for tray and windows: broken.",
        "Missing, so that the tests that need them are skipped: alien.",
    ]
    before = len(apt.calls)
    bootstrap.provide_system_packages(tmp_path / "unknown", with_test_tools=True)
    assert apt.calls[before:] == ["update", "install broken", "install broken"]


def test_when_nothing_is_missing_apt_is_left_alone(apt, monkeypatch, tmp_path, capsys):
    lack(monkeypatch)
    bootstrap.provide_system_packages(tmp_path / "unknown", with_test_tools=True)
    assert apt.calls == []
    assert capsys.readouterr().err == ""


def test_who_may_not_install_gets_the_line_to_run(apt, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lack(monkeypatch, libraries=(BROKEN,))
    bootstrap.provide_system_packages(tmp_path / "unknown", with_test_tools=False)
    assert apt.calls == []
    assert capsys.readouterr().err.splitlines() == [
        "Missing, and needed for tray and windows: broken.",
        "This line installs them:",
        "  sudo apt-get install -y --no-install-recommends broken",
    ]


def test_other_systems_are_told_what_is_looked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(system_packages, "ON_LINUX", True)
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    lack(monkeypatch, libraries=(BROKEN,))
    bootstrap.provide_system_packages(tmp_path / "unknown", with_test_tools=False)
    assert capsys.readouterr().err == "Missing, and needed for tray and windows: libno-such-library.so.1.\n"

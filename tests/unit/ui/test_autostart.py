"""Starting at login: real files, and a stand-in for the registry."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from allie_desktop.ui.autostart import (
    AutostartError,
    DesktopEntry,
    LaunchAgent,
    RegistryRun,
    exec_line,
    of_this_system,
)

if TYPE_CHECKING:
    from typing_extensions import Self

COMMAND = ("/opt/allie/bin/allie", "gui")


def test_an_entry_is_written_read_and_removed(tmp_path: Path) -> None:
    entry = DesktopEntry(COMMAND, tmp_path / "config" / "autostart")
    assert not entry.is_on()
    entry.set_on(True)
    assert entry.is_on()
    lines = entry.file.read_text().splitlines()
    assert lines[0] == "[Desktop Entry]"
    assert "Exec=/opt/allie/bin/allie gui" in lines
    assert [file.name for file in entry.file.parent.iterdir()] == ["allie-desktop.desktop"]
    entry.set_on(False)
    entry.set_on(False)
    assert not entry.file.exists()


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_an_entry_that_the_desktop_switched_off_is_off(tmp_path: Path, line: str) -> None:
    entry = DesktopEntry(COMMAND, tmp_path)
    entry.set_on(True)
    name = line.partition("=")[0]
    kept = [one for one in entry.file.read_text().splitlines() if not one.startswith(name)]
    entry.file.write_text("\n".join([*kept, line]))
    assert not entry.is_on()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("/usr/bin/allie", "gui"), "/usr/bin/allie gui"),
        (("/home/ada lovelace/allie", "gui"), '"/home/ada lovelace/allie" gui'),
        (("/opt/50%/allie",), "/opt/50%%/allie"),
        (('/opt/$HOME/al`l"ie',), '"/opt/\\\\$HOME/al\\\\`l\\\\"ie"'),
        (("/opt/a\\b",), '"/opt/a\\\\\\\\b"'),
    ],
)
def test_commands_are_quoted_as_the_specification_wants(command: tuple[str, ...], line: str) -> None:
    assert exec_line(command) == line
    unescaped = line.replace("\\\\", "\\").replace("%%", "%")
    script = f"printf '%s\\n' {unescaped}"  # the quoting is that of the shell
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert tuple(printed.splitlines()) == command


@pytest.mark.skipif(
    shutil.which("desktop-file-validate") is None, reason="desktop-file-utils is not installed"
)
def test_the_entry_is_valid(tmp_path: Path) -> None:
    entry = DesktopEntry(("/opt/50% off/al$lie", "gui"), tmp_path)
    entry.set_on(True)
    done = subprocess.run(["desktop-file-validate", entry.file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "autostart").write_text("a file")
    with pytest.raises(AutostartError, match="cannot be changed"):
        DesktopEntry(COMMAND, tmp_path / "autostart").set_on(True)


def test_a_launch_agent_is_a_property_list(tmp_path: Path) -> None:
    agent = LaunchAgent(COMMAND, tmp_path)
    assert not agent.is_on()
    agent.set_on(True)
    assert agent.is_on()
    known = plistlib.loads(agent.file.read_bytes())
    assert known["ProgramArguments"] == list(COMMAND)
    assert known["Label"] == agent.file.stem
    agent.file.write_bytes(b"nonsense")
    assert not agent.is_on()
    agent.set_on(False)
    assert not agent.file.exists()


class FakeRegistry:
    """One key of the registry."""

    HKEY_CURRENT_USER, KEY_READ, KEY_SET_VALUE, REG_SZ = "HKCU", 1, 2, 1

    def __init__(self, *, refuses: bool = False) -> None:
        self.values: dict[str, str] = {}
        self.refuses = refuses

    def CreateKeyEx(self, root: str, path: str, _reserved: int, access: int) -> Any:  # noqa: N802
        if self.refuses:
            raise PermissionError(5, "denied")
        assert (root, path) == ("HKCU", r"Software\Microsoft\Windows\CurrentVersion\Run")
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def QueryValueEx(self, _key: Any, name: str) -> tuple[str, int]:  # noqa: N802
        if name not in self.values:
            raise FileNotFoundError
        return self.values[name], 1

    def SetValueEx(self, _key: Any, name: str, _reserved: int, _kind: int, value: str) -> None:  # noqa: N802
        self.values[name] = value

    def DeleteValue(self, _key: Any, name: str) -> None:  # noqa: N802
        if name not in self.values:
            raise FileNotFoundError
        del self.values[name]


def test_the_registry_holds_one_quoted_command() -> None:
    registry = FakeRegistry()
    run = RegistryRun((r"C:\Program Files\Allie\allie.exe", "gui"), registry)
    run.set_on(True)
    assert registry.values == {"Allie": r'"C:\Program Files\Allie\allie.exe" gui'}
    assert run.is_on()
    run.set_on(False)
    run.set_on(False)
    assert not run.is_on()


def test_a_registry_that_refuses_is_said_in_words() -> None:
    run = RegistryRun(COMMAND, FakeRegistry(refuses=True))
    assert not run.is_on()
    with pytest.raises(AutostartError, match="Windows does not let"):
        run.set_on(True)


def test_the_folder_is_the_one_that_the_desktop_reads(tmp_path: Path) -> None:
    chosen = of_this_system(COMMAND, environment={"XDG_CONFIG_HOME": str(tmp_path / "x")}, home=tmp_path)
    usual = of_this_system(COMMAND, environment={"XDG_CONFIG_HOME": "relative"}, home=tmp_path)
    assert isinstance(chosen, DesktopEntry)
    assert isinstance(usual, DesktopEntry)
    assert chosen.file == tmp_path / "x" / "autostart" / "allie-desktop.desktop"
    assert usual.file == tmp_path / ".config" / "autostart" / "allie-desktop.desktop"

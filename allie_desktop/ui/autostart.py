"""Starting when the person logs in: a .desktop file, a value of the registry, or a launch agent."""

from __future__ import annotations

import contextlib
import os
import plistlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from allie_desktop.domain.errors import AllieError

_NAME = "Allie"
_ID = "allie-desktop"
_AGENT = "org.allie-desktop.tray"
_RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"

#: What the shell-like syntax of an Exec line gives a meaning inside of double quotes.
_QUOTED = {"\\": "\\\\", '"': '\\"', "`": "\\`", "$": "\\$"}


class AutostartError(AllieError):
    """The system's list of programs to start at login cannot be changed."""


class Autostart(Protocol):
    """The system's list of programs to start at login, as far as it is about Allie."""

    def is_on(self) -> bool:
        """Whether Allie starts at login."""

    def set_on(self, on: bool) -> None:
        """Put Allie on the list or take it off; raise :class:`AutostartError`."""


def of_this_system(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, home: Path | None = None
) -> Autostart:
    """Return this platform's list for ``command``."""
    environment = os.environ if environment is None else environment
    home = home or Path.home()
    if sys.platform == "win32":
        import winreg

        return RegistryRun(command, winreg)
    if sys.platform == "darwin":
        return LaunchAgent(command, home / "Library" / "LaunchAgents")
    chosen = environment.get("XDG_CONFIG_HOME", "")
    config = Path(chosen) if Path(chosen).is_absolute() else home / ".config"
    return DesktopEntry(command, config / "autostart")


class DesktopEntry:
    """An entry of the XDG autostart folder (freedesktop.org Autostart and Desktop Entry Specification)."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = tuple(command)
        self.file = folder / f"{_ID}.desktop"

    def is_on(self) -> bool:
        """See :class:`Autostart`."""
        try:
            lines = self.file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return False
        keys = dict(line.split("=", 1) for line in lines if "=" in line)
        hidden = keys.get("Hidden", "false").strip() == "true"
        return not hidden and keys.get("X-GNOME-Autostart-enabled", "true").strip() == "true"

    def set_on(self, on: bool) -> None:
        """See :class:`Autostart`."""
        if on:
            _write(self.file, self.text().encode())
        else:
            _remove(self.file)

    def text(self) -> str:
        """Return the whole entry."""
        return (
            "[Desktop Entry]\n"
            "Type=Application\n"
            f"Name={_NAME}\n"
            "Comment=Learns from your conversations while you are away\n"
            f"Exec={exec_line(self._command)}\n"
            f"Icon={_ID}\n"
            "Terminal=false\n"
            "Categories=Utility;\n"
            "StartupNotify=false\n"
            "X-GNOME-Autostart-enabled=true\n"
        )


class LaunchAgent:
    """A launch agent of macOS. Tested on files only."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = tuple(command)
        self.file = folder / f"{_AGENT}.plist"

    def is_on(self) -> bool:
        """See :class:`Autostart`."""
        try:
            known = plistlib.loads(self.file.read_bytes())
        except (OSError, ValueError, plistlib.InvalidFileException):
            return False
        return bool(known.get("RunAtLoad")) and not known.get("Disabled")

    def set_on(self, on: bool) -> None:
        """See :class:`Autostart`."""
        if not on:
            _remove(self.file)
            return
        agent = {
            "Label": _AGENT,
            "ProgramArguments": list(self._command),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
        }
        _write(self.file, plistlib.dumps(agent))


class RegistryRun:
    """A value of the registry's key Run. Tested on a stand-in for winreg only."""

    def __init__(self, command: Sequence[str], winreg: Any) -> None:
        self._command = subprocess.list2cmdline(command)
        self._winreg = winreg

    def is_on(self) -> bool:
        """See :class:`Autostart`."""
        try:
            with self._open(self._winreg.KEY_READ) as key:
                value, _ = self._winreg.QueryValueEx(key, _NAME)
        except OSError:
            return False
        return bool(value)

    def set_on(self, on: bool) -> None:
        """See :class:`Autostart`."""
        try:
            with self._open(self._winreg.KEY_SET_VALUE) as key:
                if on:
                    self._winreg.SetValueEx(key, _NAME, 0, self._winreg.REG_SZ, self._command)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        self._winreg.DeleteValue(key, _NAME)
        except OSError as error:
            raise AutostartError(
                "Windows does not let Allie change what starts at login.",
                "Add Allie in the Task Manager's startup list instead.",
            ) from error

    def _open(self, access: int) -> Any:
        return self._winreg.CreateKeyEx(self._winreg.HKEY_CURRENT_USER, _RUN_KEY, 0, access)


def exec_line(command: Sequence[str]) -> str:
    """Return a command as the value of Exec: arguments quoted, and all escaped as a value must be."""
    quoted = []
    for argument in command:
        escaped = "".join(_QUOTED.get(character, character) for character in argument).replace("%", "%%")
        plain = argument and all(c.isalnum() or c in "/._-+=:,@%" for c in argument)
        quoted.append(escaped if plain else f'"{escaped}"')
    # A value is itself escaped: each backslash of the quoting is written twice.
    return " ".join(quoted).replace("\\", "\\\\").replace("\n", "\\n")


def _write(file: Path, data: bytes) -> None:
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        os.replace(scratch, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise _unwritable(file, error) from error


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> AutostartError:
    why = (error.strerror or type(error).__name__).lower()
    return AutostartError(f"{file} cannot be changed: {why}.", "Look at the permissions of its folder.")

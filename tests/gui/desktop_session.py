"""A real desktop on a screen of its own: X server, D-Bus session, window manager, tray host, notification daemon.

Each part can be left out, started late, or taken away while a program runs; programs get it all through
:attr:`DesktopSession.environment`. Works as a context manager; whatever was started ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]

#: What has to be installed, besides Python.
TOOLS = ("Xvfb", "dbus-daemon", "openbox", "trayer", "dunst", "xdotool", "xprop", "import")

_PATIENCE_SECONDS = 20.0

# A left click takes the action called "undo" where there is one; else the only one.
_DUNST = """
[global]
    origin = top-left
    offset = 20x60
    width = 420
    height = 160
    font = Sans 10
    idle_threshold = 0
    mouse_left_click = do_action
    mouse_middle_click = close_current
[undo]
    summary = *
    action_name = {action}
"""

T = TypeVar("T")


def missing_tools() -> list[str]:
    """Return the tools that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def wait_for(
    condition: Callable[[], T], what: str = "", *, seconds: float = _PATIENCE_SECONDS, every: float = 0.02
) -> T:
    """Return the first true value of ``condition``; fail when there is none in time."""
    ends = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > ends:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what or condition}")
        time.sleep(every)


class DesktopSession:
    """A desktop with its own display. ``folder`` takes sockets, settings and logs, ``artefacts`` screenshots."""

    def __init__(
        self,
        folder: Path,
        *,
        artefacts: Path | None = None,
        size: str = "1280x800",
        dbus: bool = True,
        tray: bool = True,
        notifications: bool = True,
        click_action: str = "undo",
    ) -> None:
        self.folder = folder
        self.artefacts = artefacts or folder
        self._size = size
        self._parts = {"dbus": dbus, "tray": tray, "notifications": notifications}
        self._click_action = click_action
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs: list[subprocess.Popen[bytes]] = []
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.artefacts.mkdir(parents=True, exist_ok=True)
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("QT_", "XDG_", "WAYLAND_", "DBUS_", "SSH_"))
        }
        pythonpath = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.environment = {
            **inherited,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_SESSION_TYPE": "x11",
            "QT_QPA_PLATFORM": "xcb",
            "QT_LOGGING_RULES": "qt.qpa.*=false",
            "PYTHONPATH": pythonpath,
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
        }
        self._start_x()
        # After the display: what D-Bus starts gets its environment.
        if self._parts["dbus"]:
            self._start_dbus()
        self._start("openbox", "openbox")
        wait_for(
            lambda: "_NET_SUPPORTING_WM_CHECK(WINDOW)" in self._root("_NET_SUPPORTING_WM_CHECK"), "openbox"
        )
        if self._parts["tray"]:
            self.start_tray()
        if self._parts["notifications"]:
            self.start_notifications()

    # --- its parts ---

    def _start_x(self) -> None:
        read, write = os.pipe()
        with open(read, "rb") as reader:
            self._start(
                "X",
                *(
                    "Xvfb",
                    "-displayfd",
                    str(write),
                    "-screen",
                    "0",
                    f"{self._size}x24",
                    "-nolisten",
                    "tcp",
                    "-noreset",
                ),
                pass_fds=(write,),
            )
            os.close(write)
            number = reader.readline().decode().strip()
        if not number:
            raise AssertionError(f"Xvfb did not start: {self.log('X')}")
        self.environment["DISPLAY"] = f":{number}"

    def _start_dbus(self) -> None:
        read, write = os.pipe()
        with open(read, "rb") as reader:
            self._start(
                "dbus", "dbus-daemon", "--session", "--nofork", f"--print-address={write}", pass_fds=(write,)
            )
            os.close(write)
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = reader.readline().decode().strip()

    def start_tray(self) -> None:
        """Start the tray host, at the top right."""
        self._start(
            "tray",
            *("trayer", "--edge", "top", "--align", "right", "--widthtype", "request", "--height", "36"),
            *("--SetDockType", "true", "--transparent", "false", "--tint", "0x202020"),
        )
        wait_for(lambda: self.windows("class", "trayer", visible=False), "trayer")

    def stop_tray(self) -> None:
        """Take the tray host away."""
        self.stop("tray")

    def start_notifications(self) -> None:
        """Start the notification daemon."""
        config = self.folder / "dunstrc"
        config.write_text(_DUNST.format(action=self._click_action))
        self._start("dunst", "dunst", "-config", str(config))
        wait_for(lambda: "org.freedesktop.Notifications" in self._bus_names(), "dunst")

    def stop(self, name: str) -> None:
        """End one part: X, dbus, openbox, tray, dunst."""
        _end(self._processes.pop(name))

    def close(self) -> None:
        """End everything, programs first."""
        for program in reversed(self._programs):
            _end(program)
        for name in reversed(self._processes):
            _end(self._processes[name])
        self._programs.clear()
        self._processes.clear()

    def log(self, name: str) -> str:
        """Return what a part has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- programs ---

    def start(
        self, *command: str | Path, name: str = "program", environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program on this desktop; what it prints is in ``log(name)``."""
        with open(self.folder / f"{name}.log", "ab") as log:
            program = subprocess.Popen(
                [str(part) for part in command],
                env={**self.environment, **(environment or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._programs.append(program)
        return program

    def python(
        self, *arguments: str | Path, name: str = "program", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start ``python ARGUMENTS…`` on this desktop, with this checkout's package."""
        return self.start(sys.executable, *arguments, name=name, environment=environment)

    def run(self, *command: str | Path, check: bool = True) -> str:
        """Run a program to its end and return what it prints."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        if check and done.returncode:
            raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    # --- hands ---

    def xdotool(self, *arguments: str | int) -> str:
        """Run xdotool and return what it prints."""
        return self.run("xdotool", *map(str, arguments)).strip()

    def click(self, x: int, y: int, *, button: int = 1) -> None:
        """Move the pointer there and click."""
        self.xdotool("mousemove", x, y, "sleep", "0.05", "click", button)

    def key(self, *keys: str) -> None:
        """Press and release keys, as in "Escape" or "ctrl+a"."""
        self.xdotool("key", *keys)

    # --- eyes ---

    def screenshot(self, name: str) -> Path:
        """Save the whole screen to ``artefacts/name.png`` and return the path."""
        path = self.artefacts / f"{name}.png"
        self.run("import", "-window", "root", path)
        return path

    def pixels(self, x: int, y: int, width: int, height: int) -> bytes:
        """Return a part of the screen as RGB bytes."""
        area = f"{width}x{height}+{x}+{y}"
        done = subprocess.run(
            ["import", "-window", "root", "-crop", area, "-depth", "8", "rgb:-"],
            env=self.environment,
            capture_output=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def windows(self, by: str, pattern: str, *, visible: bool = True) -> list[int]:
        """Return the ids of windows whose ``class``, ``name`` or ``classname`` matches a pattern."""
        only = ["--onlyvisible"] if visible else []
        found = self.run("xdotool", "search", *only, f"--{by}", pattern, check=False)
        return [int(line) for line in found.split()]

    def place(self, window: int) -> tuple[int, int, int, int]:
        """Return x, y, width and height of a window."""
        printed = self.xdotool("getwindowgeometry", "--shell", window)
        values = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        return int(values["X"]), int(values["Y"]), int(values["WIDTH"]), int(values["HEIGHT"])

    def tray_icons(self) -> list[tuple[int, int, int, int]]:
        """Return the places of the icons in the tray, from its left to its right."""
        icons = []
        for tray in self.windows("class", "trayer", visible=False):
            tree = self.run("xwininfo", "-id", str(tray), "-tree", check=False)
            icons += [
                self.place(int(line.split()[0], 16))
                for line in tree.splitlines()
                if line.strip().startswith("0x") and "1x1+" not in line and '"allie' in line.lower()
            ]
        return sorted(set(icons))

    def _root(self, name: str) -> str:
        return self.run("xprop", "-root", name, check=False)

    def _bus_names(self) -> str:
        return self.run(
            *(
                "dbus-send",
                "--session",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/org/freedesktop/DBus",
            ),
            "org.freedesktop.DBus.ListNames",
            check=False,
        )

    def _start(self, name: str, *command: str, pass_fds: Iterable[int] = ()) -> None:
        with open(self.folder / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(pass_fds),
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

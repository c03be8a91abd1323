"""A home, a desktop and the tray application on it, with hands and eyes for tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from allie_desktop.paths import AppPaths
from tests.gui.desktop_session import ROOT, DesktopSession, wait_for

PROGRAM = Path(__file__).with_name("tray_program.py")
SAMPLES = ROOT / "resources" / "sample_conversations.jsonl"

#: Learns at any time of the day from anything, after six seconds without input.
WILLING: Mapping[str, object] = {
    "consent_given": True,
    "min_new_conversations": 1,
    "min_quality": 0.0,
    "idle_minutes": 0.1,
    "window_start": "00:00",
    "window_end": "00:00",
    "hours_between_episodes": 0.0,
    "min_free_memory_gb": 0.0,
    "min_free_disk_gb": 0.1,
    "learn_on_battery": True,
    "min_battery_percent": 0.0,
    "hold_on_power_saver": False,
    "quiet_hours": False,
    "general_prompts": 24,
    "phrasings": 1,
    "rollout": "at once",
    "release_memory_seconds": 3.0,
}


class TrayStage:
    """One home on one desktop. The application runs between :meth:`start` and :meth:`end`."""

    def __init__(self, home: Path, desktop: DesktopSession) -> None:
        self.home = home
        self.desktop = desktop
        self.paths = AppPaths.in_folder(home)
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(
        self,
        *,
        base_hashes: Path | None = None,
        conversations: bool = True,
        acts: Sequence[Sequence[str]] = (),
        preferences: Mapping[str, object] = WILLING,
    ) -> None:
        """Fill the home before the application starts."""
        from allie_desktop.bootstrap import Program

        self.paths.prepare()
        if base_hashes is not None:
            shutil.copy(base_hashes, self.paths.cache)
        if acts:
            (self.paths.cache / "acts.json").write_text(json.dumps(acts))
        with Program(self.paths) as program:
            for name, value in preferences.items():
                program.settings.set(name, value)
            if conversations:
                program.import_file(SAMPLES, "native")

    def start(
        self, *arguments: str | Path, real: bool = False, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start the application; ``real``: through ``allie gui``, whose worker needs the model."""
        command: tuple[str | Path, ...] = ("-m", "allie_desktop", "gui") if real else (PROGRAM,)
        self.process = self.desktop.python(
            *command, *arguments, name="tray-program", ALLIE_HOME=str(self.home), **environment
        )
        return self.process

    def icon(self) -> tuple[int, int, int, int]:
        """Wait for the icon and return its place."""
        return wait_for(self.desktop.tray_icons, f"the icon; {self.said()}")[-1]

    def end(self, seconds: float = 30) -> int:
        """Ask the application to end and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)

    def clean_up(self) -> None:
        """End the application and its worker, whatever they do."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        pid = self.worker_pid()
        if pid is not None and state_of(pid) not in ("", "Z"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def said(self) -> str:
        """What it printed, and what went wrong inside: nothing should."""
        log = self.paths.log_file.read_text() if self.paths.log_file.exists() else ""
        wrong = [line for line in log.splitlines() if " ERROR " in line or line.startswith("Traceback")]
        return self.desktop.log("tray-program") + "\n".join(wrong)

    # --- the menu ---

    def open_menu(self) -> dict[str, tuple[int, int]]:
        """Click the icon with the right button; return where the entries stand."""
        x, y, width, height = self.icon()
        return self._opened(lambda: self.desktop.click(x + width // 2, y + height // 2, button=3))

    def open_menu_again(self) -> dict[str, tuple[int, int]]:
        """Close the menu that may be open and open it."""
        self.desktop.key("Escape")
        entries = self.open_menu()
        self.desktop.key("Escape")
        return entries

    def click_menu(self, *path: str) -> None:
        """Open the menu and click an entry by its label, then one of its submenu."""
        entries = self.open_menu()
        for label in path[:-1]:
            place = entries[label]
            entries = self._opened(lambda place=place: self.desktop.click(*place))
        self.desktop.click(*entries[path[-1]])

    def _opened(self, act: Callable[[], None]) -> dict[str, tuple[int, int]]:
        file = self.paths.cache / "menu.json"
        file.unlink(missing_ok=True)
        act()
        try:
            wait_for(file.exists, "the menu", seconds=4)
        except AssertionError:
            # The click closed a menu that was open, or came while the program was still starting.
            self.desktop.key("Escape")
            act()
            wait_for(file.exists, f"the menu; {self.said()}")
        places: dict[str, tuple[int, int]] = {k: (x, y) for k, (x, y) in json.loads(file.read_text()).items()}
        return places

    def click_button(self, file: Path, label: str) -> None:
        """Click a button by its label, as soon as it can be clicked and stands still; ``file`` is the map that
        the program writes with ``--buttons``."""

        def place() -> list[int] | None:
            return json.loads(file.read_text()).get(label) if file.exists() else None

        def still() -> list[int] | None:
            before = place()
            time.sleep(0.4)
            return before if before is not None and before == place() else None

        x, y = wait_for(still, f"the button {label}; {self.said()}")
        self.desktop.click(x, y)

    # --- the store ---

    @contextmanager
    def program(self) -> Iterator[Any]:
        """The same home, seen from outside."""
        from allie_desktop.bootstrap import Program

        with Program(self.paths) as program:
            yield program

    def runs(self) -> list[dict[str, Any]]:
        """The runs of the worker so far."""
        file = self.paths.cache / "runs.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def worker_pid(self) -> int | None:
        """The worker that runs now."""
        for file in self.paths.episodes.glob("*/worker.pid"):
            try:
                return int(json.loads(file.read_text())["pid"])
            except (OSError, ValueError):
                continue
        return None


def state_of(pid: int) -> str:
    """Return a process's state: R, S, T (stopped), …; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""

"""The tray application as ``allie gui`` starts it, with a worker that has no model.

``python tray_program.py [--heartbeat FILE]``: the home is ``ALLIE_HOME``, the acts of the worker are in its
cache's ``acts.json`` (see ``tests/integration/fake_worker.py``). Everything else is real: store, sensors, scheduler,
orchestrator, worker process, tray, notifications.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from allie_desktop import bootstrap
from allie_desktop.bootstrap import Program
from allie_desktop.cli.desktop_backend import DesktopBackend
from allie_desktop.domain.judgement import Check, Judgement, Verdict
from allie_desktop.domain.ports import Resources
from allie_desktop.ipc.chat_process import ChatProcess
from allie_desktop.ipc.worker_client import SubprocessWorkerClient, WorkerPatience
from allie_desktop.paths import AppPaths
from allie_desktop.ui.screen_check import require_screen

FAKE_WORKER = Path(__file__).resolve().parents[1] / "integration" / "fake_worker.py"


def worker_command(job: Path) -> Sequence[str]:
    return (sys.executable, str(FAKE_WORKER), str(job))


def judge_by_loss(measurements: Any, *_: Any, seed: int) -> Judgement:
    new = measurements.paired["new"]
    better = new.candidate < new.active
    return Judgement(
        verdict=Verdict.DEPLOY if better else Verdict.REJECT,
        reasons=("It is better.",) if better else ("It is worse.",),
        checks=(),
    )


class SureProbe:
    """Says that every adapter answers."""

    def probe(self, adapter: Path) -> tuple[str, ...]:
        return ("Hello.",)

    def suspend(self) -> None:
        """There is nothing to freeze."""

    def unfreeze(self) -> None:
        """There is nothing to freeze."""


class SmallProgram(Program):
    """A program whose worker has no model and whose needs are small."""

    def __init__(self, paths: AppPaths, *, probe: object = None) -> None:
        super().__init__(paths, probe=SureProbe())

    def need(self) -> Resources:
        return Resources(memory_bytes=1000, disk_bytes=1000)

    def report_of(self, episode_id: str) -> Any:
        known = super().report_of(episode_id)
        if known is None:
            return None
        report, _, plan, version = known
        judgement = judge_by_loss(report.measurements, seed=0)
        check = Check(name="new", passed=True, severity="ok", words="", low=0.5, high=2.0)
        return report, replace(judgement, checks=(check,)), plan, version

    def orchestrator(self, progress: Any) -> Any:
        made = super().orchestrator(progress)
        made._worker = SubprocessWorkerClient(
            command=worker_command,
            patience=WorkerPatience(silence=60.0, stop=10.0, terminate=2.0, exit=5.0, tick=0.04),
        )
        made._judge = judge_by_loss
        return made


class SmallBackend(DesktopBackend):
    """Without a chat: its process would find out that the worker's versions are made of nothing."""

    def chat_process(self, on_change: Any) -> Any:
        waits_for_its_end = (sys.executable, "-c", "import sys; sys.stdin.read()")
        process = ChatProcess(
            folder=self._paths.cache,
            log_file=self._paths.chat_log,
            command=waits_for_its_end,
            on_change=on_change,
        )
        self._windows.callback(process.stop)
        return process


def main(arguments: Sequence[str]) -> int:
    paths = AppPaths.from_environment().prepare()
    bootstrap.log_to_file(paths)
    require_screen(os.environ)
    from PySide6.QtCore import QTimer

    from allie_desktop.ui import application

    backend = SmallBackend(paths, program=SmallProgram)
    _map_menus(paths.cache / "menu.json")
    if "--buttons" in arguments:
        _map_buttons(application, Path(arguments[arguments.index("--buttons") + 1]))
    if "--heartbeat" in arguments:
        _beat(application, QTimer, Path(arguments[arguments.index("--heartbeat") + 1]))
    code = application.run(backend, tray_patience_seconds=60.0)
    if "--modules" in arguments:
        file = Path(arguments[arguments.index("--modules") + 1])
        file.write_text(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
    return code


def _write(file: Path, found: object) -> None:
    """Write ``found`` so that the test beside never reads half of it."""
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps(found))
    scratch.replace(file)


def _map_menus(file: Path) -> None:
    """Write down where the entries of a menu stand on the screen, whenever one opens."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QMenu

    from allie_desktop.ui import tray

    init = tray.Tray.__init__

    def watch(menu: QMenu) -> None:
        def write() -> None:
            places = {}
            for action in menu.actions():
                if action.isVisible() and not action.isSeparator():
                    middle = menu.mapToGlobal(menu.actionGeometry(action).center())
                    places[action.text()] = [middle.x(), middle.y()]
            _write(file, places)

        menu.aboutToShow.connect(lambda: QTimer.singleShot(100, write))

    def wrapped(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        watch(self._menu)
        watch(self._pauses)

    tray.Tray.__init__ = wrapped


def _map_buttons(application: Any, file: Path) -> None:
    """Write down, again and again, where the buttons in sight stand on the screen."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QAbstractButton, QApplication

    start = application.Application.start

    def write() -> None:
        places = {}
        for window in QApplication.topLevelWidgets():
            for button in window.findChildren(QAbstractButton) if window.isVisible() else ():
                if button.isVisible() and button.isEnabled() and button.text():
                    middle = button.mapToGlobal(button.rect().center())
                    places[button.text().replace("&", "")] = [middle.x(), middle.y()]
        _write(file, places)

    def started(self: Any, **more: Any) -> None:
        start(self, **more)
        self._mapper = QTimer(self)
        self._mapper.timeout.connect(write)
        self._mapper.start(150)

    application.Application.start = started


def _beat(application: Any, timer_class: Any, file: Path) -> None:
    """Note the longest time for which the GUI thread did not come round, in milliseconds."""
    start = application.Application.start
    beats: dict[str, float] = {"longest_ms": 0.0, "beats": 0}
    last = [time.perf_counter()]

    def started(self: Any, **arguments: Any) -> None:
        start(self, **arguments)

        def beat() -> None:
            now = time.perf_counter()
            beats["longest_ms"] = max(beats["longest_ms"], (now - last[0]) * 1000)
            beats["beats"] += 1
            last[0] = now
            if beats["beats"] % 20 == 0:
                _write(file, beats)
                last[0] = time.perf_counter()
            if beats["beats"] == 40:
                beats["longest_ms"] = 0.0  # the start itself is not meant

        self._heart = timer_class(self)
        self._heart.timeout.connect(beat)
        self._heart.start(5)

    application.Application.start = started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

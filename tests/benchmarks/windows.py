"""How long windows take to open, and how long they hold the GUI thread while an episode runs.

    python tests/benchmarks/windows.py --json windows.json

Opening is from the call to the first whole picture, the best and the median of several times, in a process
that has shown nothing else before; "cpu" is what of it was spent computing. The longest block is the longest
time between two beats of a 5 ms timer while events of an episode come in 50 times a second, pages are
changed, and 10,000 episodes are scrolled through.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parents[2]))

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from allie_desktop.domain.events import HeldOutMeasured, PhaseStarted, StepFinished
from allie_desktop.resident_memory import give_back
from allie_desktop.ui import theme
from allie_desktop.ui.windows.history_page import HistoryPage
from allie_desktop.ui.windows.main_window import HISTORY, PRIVACY, SETTINGS, VERSIONS, MainWindow
from allie_desktop.ui.windows.settings_page import SettingsPage
from tests.gui.window_stage import Stage


def opening(make: Callable[[], QWidget], times: int) -> dict[str, float]:
    """Return milliseconds from the call to the first whole picture."""
    wall, cpu = [], []
    for _ in range(times):
        started, computing = time.perf_counter(), time.process_time()
        widget = make()
        widget.resize(900, 700)
        widget.show()
        QApplication.processEvents()
        widget.grab()
        wall.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (time.process_time() - computing))
        widget.close()
        widget.deleteLater()
        QApplication.processEvents()
    return {
        "first_ms": round(wall[0], 1),
        "best_ms": round(min(wall), 1),
        "median_ms": round(median(wall), 1),
        "median_cpu_ms": round(median(cpu), 1),
    }


class Heartbeat:
    """The longest times between two beats, in milliseconds of the wall and of this thread's processor."""

    def __init__(self) -> None:
        self.blocks: list[tuple[float, float, str]] = []
        self.doing = ""
        self._last = (time.perf_counter(), time.thread_time())
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        wall, cpu = (1000 * (b - a) for a, b in zip(self._last, now, strict=True))
        self.blocks.append((wall, cpu, self.doing))
        self._last = now

    def stop(self) -> dict[str, object]:
        """Return the figures."""
        self._timer.stop()
        worst = max(self.blocks)
        worst_cpu = max(self.blocks, key=lambda one: one[1])
        return {
            "beats": len(self.blocks),
            "longest_ms": round(worst[0], 1),
            "longest_while": worst[2],
            "longest_cpu_ms": round(worst_cpu[1], 1),
            "longest_cpu_while": worst_cpu[2],
            "longest_cpu_ms_by_place": {
                place: round(max(one[1] for one in self.blocks if one[2] == place), 1)
                for place in sorted({one[2] for one in self.blocks})
            },
            "p99_ms": round(sorted(one[0] for one in self.blocks)[int(0.99 * len(self.blocks))], 1),
        }


def wait(seconds: float) -> None:
    """Let the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def episode_blocks(stage: Stage, seconds: float) -> dict[str, object]:
    """Return the heartbeat's figures while an episode runs and a person looks around."""
    window = MainWindow(stage.services())
    window.show_page(HISTORY)
    window.show()
    wait(0.5)
    feed, step = stage.feed, 0
    feed.begin("2026-e7")
    feed.take(PhaseStarted(phase="train", total=2000))

    def event() -> None:
        nonlocal step
        step += 1
        feed.take(StepFinished(phase="train", step=step, total=2000, loss=2.0 / step**0.3, seconds_left=60.0))
        if step % 50 == 0:
            feed.take(HeldOutMeasured(step=step, loss=2.2 / step**0.3, kl=0.01, best=True))

    events = QTimer()
    events.timeout.connect(event)
    events.start(20)
    heart = Heartbeat()
    walk = (HISTORY, VERSIONS, PRIVACY, SETTINGS)
    started = time.perf_counter()
    visited = set()
    while time.perf_counter() - started < seconds:
        for name in walk:
            heart.doing = f"{'coming back to' if name in visited else 'first opening'} {name}"
            visited.add(name)
            page = window.show_page(name)
            wait(0.4)
            if isinstance(page, HistoryPage):
                heart.doing = "scrolling the history"
                for _ in range(10):
                    page.view.scrollToBottom()
                    wait(0.05)
        heart.doing = "showing an episode"
        window.show_episode("2026-e7")
        wait(0.8)
    events.stop()
    figures = heart.stop()
    figures["events"] = step
    window.close()
    return figures


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=12.0, help="for the heartbeat")
    options = parser.parse_args()
    app = QApplication([])
    theme.apply(app, theme.LIGHT)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder) / "home")
        stage.fill()
        stage.many_episodes(options.episodes)
        services = stage.services()
        give_back()  # as the program does when it has started
        figures: dict[str, object] = {
            "settings": opening(lambda: SettingsPage(stage.preferences), options.times),
            f"history of {stage.episodes.count():,} episodes": opening(
                lambda: HistoryPage(services), options.times
            ),
            "during an episode": episode_blocks(stage, options.seconds),
        }
        stage.close()
    for name, found in figures.items():
        print(name, found)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

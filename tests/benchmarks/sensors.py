"""What the sensors cost, and how soon a key press is noticed, on a display of its own.

    python tests/benchmarks/sensors.py [--presses 100] [--poll 5] [--seconds 60] [--json OUT]

Measures the time of one reading, the processor's share of a process that reads every POLL seconds, and the
time from a key press (XTEST, as a keyboard's driver would) to ``InputWatch``'s call, with pynput and without.
A window has the keyboard, as on a real desktop.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from allie_desktop.sensors.presence_edge import InputWatch  # noqa: E402
from allie_desktop.sensors.registry import Sensors  # noqa: E402
from tests.gui.desktop_session import DesktopSession, wait_for  # noqa: E402


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "max": round(ordered[-1], 2),
    }


def cost_of_a_reading(readings: int = 200) -> dict[str, float]:
    with Sensors(folder=ROOT) as sensors:
        began = time.perf_counter()
        sensors.read()
        first = 1000 * (time.perf_counter() - began)
        sensors.read(patience_seconds=5.0)
        times = []
        cpu = time.process_time()
        for _ in range(readings):
            began = time.perf_counter()
            sensors.read()
            times.append(1000 * (time.perf_counter() - began))
        cpu = 1000 * (time.process_time() - cpu) / readings
    return {"first_ms": round(first, 1), "cpu_ms": round(cpu, 3), **percentiles(times)}


def resident_share(poll_seconds: float, seconds: float) -> dict[str, float]:
    """The share of one core, with the interpreter's start and the first reading left out."""
    with Sensors(folder=ROOT) as sensors:
        sensors.read(patience_seconds=5.0)
        cpu, began = time.process_time(), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(poll_seconds)
            sensors.read()
        share = 100 * (time.process_time() - cpu) / (time.monotonic() - began)
    return {"poll_seconds": poll_seconds, "percent_of_a_core": round(share, 4)}


def armed_share(seconds: float, *, pynput: bool) -> float:
    watch = InputWatch(lambda: None, listeners=None if pynput else (lambda _: []))
    watch.arm()
    wait_for(lambda: watch.way and ("pynput" in watch.way) == pynput, "the watch")
    cpu, began = time.process_time(), time.monotonic()
    time.sleep(seconds)
    share = 100 * (time.process_time() - cpu) / (time.monotonic() - began)
    watch.close()
    return round(share, 3)


def latency(presses: int, *, pynput: bool) -> dict[str, Any]:
    from Xlib import X
    from Xlib.display import Display
    from Xlib.ext import xtest

    came = threading.Event()
    at: list[float] = []

    def on_input() -> None:
        at.append(time.perf_counter())
        came.set()

    display = Display()
    screen = display.screen()
    window = screen.root.create_window(10, 10, 200, 100, 0, screen.root_depth, event_mask=X.KeyPressMask)
    window.set_wm_class("typing", "Typing")
    window.map()
    display.sync()
    time.sleep(0.5)
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    display.sync()
    key = display.keysym_to_keycode(0x61)
    watch = InputWatch(on_input, listeners=None if pynput else (lambda _: []))
    times = []
    for number in range(presses):
        came.clear()
        watch.arm()
        wait_for(lambda: watch.way and ("pynput" in watch.way) == pynput, "the watch")
        time.sleep(0.05 + 0.037 * (number % 7))
        began = time.perf_counter()
        xtest.fake_input(display, X.KeyPress, key)
        display.flush()
        if not came.wait(5):
            raise SystemExit("a key press went unnoticed")
        times.append(1000 * (at[-1] - began))
        xtest.fake_input(display, X.KeyRelease, key)
        display.sync()
        time.sleep(0.1)  # the release is input as well
        while display.pending_events():
            display.next_event()
    blind = watch.blind
    watch.close()
    display.close()
    return {**percentiles(times), "presses": presses, "blind": blind}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presses", type=int, default=100)
    parser.add_argument("--poll", type=float, default=5.0, help="seconds between two readings")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure the resident share")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="allie-bench-") as folder,
        DesktopSession(Path(folder), tray=False, notifications=False) as desk,
    ):
        os.environ.update(desk.environment)
        figures: dict[str, Any] = {
            "reading_ms": cost_of_a_reading(),
            "resident": resident_share(options.poll, options.seconds),
            "armed_percent_of_a_core": {
                "with pynput": armed_share(5.0, pynput=True),
                "without": armed_share(5.0, pynput=False),
            },
            "key_press_ms": {
                "with pynput": latency(options.presses, pynput=True),
                "without": latency(options.presses, pynput=False),
            },
        }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

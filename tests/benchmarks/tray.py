"""What the tray application costs, and how quickly it gives the machine back.

    python tests/benchmarks/tray.py [--presses 100] [--seconds 60] [--pairs 5] [--only NAME] [--json OUT]

Needs the desktop tools of the GUI tests. Key presses are real (XTEST); the worker burns processor time as
training does, in its own session and with its own lowered priority.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.gui.desktop_session import DesktopSession, wait_for  # noqa: E402
from tests.gui.tray_stage import WILLING, TrayStage, state_of  # noqa: E402

#: Holds the foreground for about this long in one go, in seconds.
_UNIT = (
    "import time; t = time.perf_counter()\nfor i in range(3_000_000): pass\nprint(time.perf_counter() - t)"
)


def memory_mb(pid: int) -> dict[str, float]:
    rows = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    named = {"rss": "VmRSS", "anonymous": "RssAnon", "files": "RssFile"}
    found = {name: int(rows[key].split()[0]) / 1024 for name, key in named.items()}
    smaps = Path(f"/proc/{pid}/smaps_rollup")
    if smaps.exists():
        for line in smaps.read_text().splitlines():
            if line.startswith("Pss:"):
                found["pss"] = int(line.split()[1]) / 1024
    return {name: round(value, 1) for name, value in found.items()}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def at_rest(stage: TrayStage, seconds: float) -> dict[str, Any]:
    """Start to icon, memory and processor time of ``allie gui`` with nothing to do."""
    starts = []
    for _ in range(3):
        began = time.perf_counter()
        process = stage.start(real=True)
        stage.icon()
        starts.append(time.perf_counter() - began)
        if len(starts) < 3:
            time.sleep(1)
            stage.end()
    time.sleep(8)
    before, began = cpu_seconds(process.pid), time.perf_counter()
    time.sleep(seconds)
    used = cpu_seconds(process.pid) - before
    found = {
        "start_to_icon_seconds": [round(s, 2) for s in starts],
        "memory_mb": memory_mb(process.pid),
        "cpu_percent_of_a_core": round(100 * used / (time.perf_counter() - began), 3),
    }
    stage.end()
    return found


def presses(stage: TrayStage, count: int) -> dict[str, Any]:
    """From a real key press to the worker being stopped, in milliseconds."""
    from Xlib import XK, X
    from Xlib.display import Display
    from Xlib.ext import xtest

    display = Display(stage.desktop.environment["DISPLAY"])
    code = display.keysym_to_keycode(XK.XK_a)
    stage.start()
    delays, last_pid = [], 0
    while len(delays) < count:
        pid = wait_for(stage.worker_pid, "a worker", seconds=60)
        if pid == last_pid or state_of(pid) not in ("R", "S"):
            time.sleep(0.02)
            continue
        last_pid = pid
        time.sleep(1.2)  # until it trains
        if state_of(pid) not in ("R", "S"):
            continue
        began = time.perf_counter()
        xtest.fake_input(display, X.KeyPress, code)
        xtest.fake_input(display, X.KeyRelease, code)
        display.sync()
        while state_of(pid) not in ("T", "", "Z") and time.perf_counter() - began < 5:
            time.sleep(0.0005)
        delays.append((time.perf_counter() - began) * 1000)
        print(f"\r{len(delays)}/{count}: {delays[-1]:.1f} ms", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    display.close()
    stage.end(60)
    return {
        "presses": len(delays),
        "p50_ms": round(statistics.median(delays), 1),
        "p99_ms": round(percentile(delays, 0.99), 1),
        "longest_ms": round(max(delays), 1),
    }


def foreground(stage: TrayStage, pairs: int) -> dict[str, Any]:
    """How much an episode slows a program of two threads' worth in another session: paired runs."""

    def unit() -> float:
        began = time.perf_counter()
        both = [
            subprocess.Popen([sys.executable, "-c", _UNIT], stdout=subprocess.DEVNULL, start_new_session=True)
            for _ in range(2)
        ]
        for process in both:
            process.wait()
        return time.perf_counter() - began

    stage.start()
    pid = wait_for(stage.worker_pid, "a worker", seconds=60)
    time.sleep(2)
    ratios = []
    for _ in range(pairs):
        os.kill(pid, 19)  # SIGSTOP
        alone = unit()
        os.kill(pid, 18)  # SIGCONT
        time.sleep(0.2)
        ratios.append(unit() / alone)
    stage.end(60)
    return {"pairs": pairs, "median_slowdown": round(statistics.median(ratios), 3)}


def heartbeat(stage: TrayStage, folder: Path) -> dict[str, Any]:
    """The longest time for which the GUI thread did not come round during an episode."""
    beats = folder / "beats.json"
    stage.start("--heartbeat", beats)

    def learned() -> bool:
        with stage.program() as program:
            return bool(program.versions.pointer().active != "base")

    wait_for(learned, "the end of the episode", seconds=60, every=0.2)
    found = json.loads(beats.read_text())
    stage.end()
    return {"longest_gui_block_ms": round(found["longest_ms"], 1), "beats": found["beats"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presses", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", action="append", help='"at rest", "heartbeat", "foreground", "key presses"')
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    from allie_desktop.models.catalogue import resolve_base

    folder = Path(tempfile.mkdtemp(prefix="allie-tray-"))
    results: dict[str, Any] = {}
    try:
        resolve_base("starter", folder)
        burning = ["started", "lower", "prepare", "train", "step", "burn"]
        steps = ["started", "prepare", "train", *["step"] * 200, "validate", "candidate"]
        for name, run, preparation in (
            ("at rest", lambda s: at_rest(s, arguments.seconds), {"preferences": {"consent_given": True}}),
            ("heartbeat", lambda s: heartbeat(s, folder), {"acts": [steps]}),
            ("foreground", lambda s: foreground(s, arguments.pairs), {"acts": [burning]}),
            (
                "key presses",
                lambda s: presses(s, arguments.presses),
                {"acts": [burning], "preferences": {**WILLING, "release_memory_seconds": 2.0}},
            ),
        ):
            if arguments.only and name not in arguments.only:
                continue
            with DesktopSession(folder / name.replace(" ", "-")) as desktop:
                stage = TrayStage(desktop.folder / "home", desktop)
                stage.prepare(base_hashes=folder / "base-hashes.json", **preparation)
                try:
                    results[name] = run(stage)
                finally:
                    stage.clean_up()
            print(name, json.dumps(results[name]), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the tray application says and does when something is missing, and what it costs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gui.desktop_session import ROOT, DesktopSession, wait_for
from tests.gui.tray_stage import WILLING, TrayStage, state_of

pytestmark = [pytest.mark.display, pytest.mark.process]

Stages = Callable[..., TrayStage]
PATIENT = {**WILLING, "idle_minutes": 240.0}
FORBIDDEN = ("torch", "transformers", "peft", "numpy", "sqlite_utils", "gguf")


def gui(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    return subprocess.run(
        [sys.executable, "-m", "allie_desktop", "gui"],
        env={**inherited, "PYTHONPATH": str(ROOT), "ALLIE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_screen_it_says_so_and_what_works_without(tmp_path: Path) -> None:
    done = gui(tmp_path / "home")
    assert done.returncode == 1
    assert done.stderr.startswith("There is no screen here: Allie found neither")
    assert "`allie learn`" in done.stderr
    assert done.stdout == ""


def test_an_x_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = gui(tmp_path / "home", DISPLAY=":4711")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The X server at :4711 does not answer.")


def test_a_home_that_is_a_file_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    done = gui(tmp_path / "home", DISPLAY=":4711")
    assert done.returncode == 1
    assert "is a file, not a folder." in done.stderr


def test_without_d_bus_tray_icon_and_decisions_are_there_all_the_same(tray_stages: Stages) -> None:
    stage = tray_stages(parts={"dbus": False, "notifications": False}, preferences=PATIENT)
    stage.start()
    stage.icon()
    status = next(iter(stage.open_menu()))
    assert status
    stage.desktop.key("Escape")
    assert stage.end() == 0
    assert "Traceback" not in stage.said()


def test_where_nothing_shows_notifications_it_tells_in_a_window_of_its_own(tray_stages: Stages) -> None:
    stage = tray_stages(parts={"dbus": False, "notifications": False})  # a bus would start a daemon
    stage.start()
    toast = wait_for(lambda: stage.desktop.windows("name", "Allie has learned"), "the toast", seconds=30)[0]
    stage.desktop.screenshot("toast")
    x, y, width, height = stage.desktop.place(toast)
    assert x + width <= 1280
    assert y + height <= 800
    assert stage.end() == 0


def test_a_store_of_a_newer_allie_is_said_in_the_menu(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT, conversations=False)
    with sqlite3.connect(stage.paths.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    stage.start()
    stage.icon()
    wait_for(
        lambda: next(iter(stage.open_menu_again())).startswith("The conversation store was written by"),
        "the reason in the menu",
        every=1.0,
    )
    assert stage.end() == 0
    assert "Traceback" not in stage.said()


def test_a_locked_store_is_waited_for(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    locker = sqlite3.connect(stage.paths.database, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    stage.start()
    stage.icon()
    stage.click_menu("Pause", "Until resumed")
    time.sleep(1)
    locker.execute("ROLLBACK")
    locker.close()

    def paused() -> bool:
        with stage.program() as program:
            return bool(program.preferences.paused)

    wait_for(paused, "the pause", seconds=40)
    assert stage.end() == 0
    assert "Traceback" not in stage.said()


def test_nonsense_in_the_settings_keeps_nothing_from_working(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    with sqlite3.connect(stage.paths.database) as connection:
        for name, value in (("idle_minutes", '"soon"'), ("cpu_hot_celsius", "{"), ("nothing", "7")):
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
    connection.close()
    stage.start()
    stage.icon()
    assert "Learn now" in stage.open_menu()
    stage.desktop.key("Escape")
    assert stage.end() == 0
    assert stage.said() == ""


def test_the_x_server_may_go_away_while_it_learns(tray_stages: Stages) -> None:
    stage = tray_stages(acts=[["started", "prepare", "train", "step", "hold"]])
    process = stage.start()
    worker = wait_for(stage.worker_pid, "a worker")
    wait_for(stage.runs, "its run")
    stage.desktop.stop("X")
    code = process.wait(30)
    assert code in (0, 1)
    wait_for(lambda: state_of(worker) in ("", "Z"), "the worker's end")
    assert list(stage.paths.episodes.glob("*/attempt-1/checkpoint.json"))
    assert "Traceback" not in stage.said()


def test_a_killed_application_leaves_no_worker_and_the_next_start_goes_on(tray_stages: Stages) -> None:
    stage = tray_stages(
        acts=[
            ["started", "prepare", "train", "step", "hold"],
            ["started", "prepare", "train", "step", "validate", "candidate"],
        ]
    )
    process = stage.start()
    worker = wait_for(stage.worker_pid, "a worker")
    wait_for(stage.runs, "its run")
    process.kill()
    process.wait()
    wait_for(lambda: state_of(worker) in ("", "Z"), "the worker's end")
    stage.start()
    stage.icon()
    wait_for(lambda: len(stage.runs()) == 2, "the second run")
    assert stage.runs()[1]["resumed_from"] == 1
    assert stage.end() == 0


def test_nothing_heavy_is_loaded_and_the_gui_thread_stays_free_during_an_episode(
    tray_stages: Stages, tmp_path: Path
) -> None:
    stage = tray_stages(acts=[["started", "prepare", "train", *["step"] * 50, "validate", "candidate"]])
    beats = tmp_path / "beats.json"
    modules = tmp_path / "modules.json"
    stage.start("--heartbeat", beats, "--modules", modules)

    def learned() -> bool:
        with stage.program() as program:
            return program.versions.pointer().active != "base"

    wait_for(learned, "the end of the episode", seconds=120)
    wait_for(lambda: beats.exists() and json.loads(beats.read_text())["beats"] > 100, "heartbeats")
    assert stage.end() == 0
    loaded = set(json.loads(modules.read_text()))
    assert [name for name in FORBIDDEN if name in loaded] == []


def test_a_desktop_gives_nothing_to_a_second_home(desktop: DesktopSession, tmp_path: Path) -> None:
    first = desktop.python("-m", "allie_desktop", "gui", name="first", ALLIE_HOME=str(tmp_path / "a"))
    second = desktop.python("-m", "allie_desktop", "gui", name="second", ALLIE_HOME=str(tmp_path / "b"))
    wait_for(lambda: len(desktop.tray_icons()) == 2, "two icons", seconds=30)
    for process in (first, second):
        process.terminate()
        assert process.wait(30) == 0

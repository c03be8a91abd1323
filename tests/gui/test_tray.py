"""The tray application on a real desktop: icon, menu, clicks, second start, end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from allie_desktop.domain.lifecycle import EpisodeState
from tests.gui.desktop_session import wait_for
from tests.gui.tray_stage import WILLING, TrayStage, state_of

pytestmark = [pytest.mark.display, pytest.mark.process]

Stages = Callable[..., TrayStage]

#: A desktop on which Allie would never begin by itself.
PATIENT = {**WILLING, "idle_minutes": 240.0}


def preference(stage: TrayStage, name: str) -> Any:
    with stage.program() as program:
        return getattr(program.preferences, name)


def decisions(stage: TrayStage) -> list[str]:
    from allie_desktop.store.decisions import SqliteDecisions

    with stage.program() as program:
        return [record.reasons[0] for record in SqliteDecisions(program.database).latest() if record.reasons]


def test_an_icon_stands_in_the_tray_and_its_menu_opens_and_shows_the_reason(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    before = stage.desktop.pixels(1200, 0, 80, 40)
    stage.start()
    x, y, width, height = stage.icon()
    wait_for(lambda: stage.desktop.pixels(1200, 0, 80, 40) != before, "pixels in the tray")
    icon = stage.desktop.pixels(x, y, width, height)
    assert len({icon[i : i + 3] for i in range(0, len(icon), 3)}) > 8  # drawn, with smooth edges
    wait_for(lambda: decisions(stage) and "until nobody" in decisions(stage)[0], "the decision")
    entries = stage.open_menu()
    stage.desktop.screenshot("tray-menu")
    status, *rest = entries
    assert status.startswith("Waiting: until nobody is at the computer")
    assert rest == ["Learn now", "Pause", "Chat", "History", "Settings", "Quit Allie"]
    assert all(0 <= px < 1280 and 0 <= py < 800 for px, py in entries.values())
    stage.desktop.key("Escape")
    assert stage.end() == 0
    assert stage.said() == ""


def test_pausing_and_resuming_by_clicks_is_kept_and_shown(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    stage.start()
    waiting = stage.desktop.pixels(*stage.icon())
    stage.click_menu("Pause", "For 1 hour")
    until = wait_for(lambda: preference(stage, "pause_until"), "the pause")
    left = until - datetime.now(timezone.utc)
    assert timedelta(minutes=58) < left <= timedelta(minutes=60)
    wait_for(lambda: stage.desktop.pixels(*stage.icon()) != waiting, "another icon")
    entries = stage.open_menu()
    stage.desktop.screenshot("tray-menu-paused")
    assert next(iter(entries)).startswith("Paused: until ")
    assert "Pause" not in entries
    stage.desktop.click(*entries["Resume"])
    wait_for(lambda: preference(stage, "pause_until") is None, "the end of the pause")
    stage.click_menu("Pause", "Until resumed")
    wait_for(lambda: preference(stage, "paused"), "the pause")
    assert stage.end() == 0


def test_learn_now_asks_once_and_then_learns_while_somebody_is_there(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    stage.start()
    wait_for(lambda: decisions(stage), "a decision")
    stage.click_menu("Learn now")
    dialog = wait_for(lambda: stage.desktop.windows("name", "^Allie$"), "the question")[-1]
    stage.desktop.screenshot("learn-now-question")
    stage.desktop.xdotool("windowactivate", "--sync", dialog)
    stage.desktop.key("Return")
    wait_for(stage.runs, "a worker")
    stage.desktop.key("a")  # no reason to yield: it was asked for

    def completed() -> bool:
        with stage.program() as program:
            return any(e.state is EpisodeState.COMPLETED for e in program.episodes.latest())

    wait_for(completed, "the end of the episode")
    assert stage.end() == 0


def test_a_second_start_opens_the_window_of_the_first(tray_stages: Stages) -> None:
    stage = tray_stages(preferences=PATIENT)
    stage.start()
    stage.icon()
    assert not stage.desktop.windows("name", "^Allie$")
    second = stage.desktop.python("-m", "allie_desktop", "gui", name="second", ALLIE_HOME=str(stage.home))
    assert second.wait(20) == 0
    assert stage.desktop.log("second") == ""
    wait_for(lambda: stage.desktop.windows("name", "Allie"), "the window")
    stage.desktop.screenshot("second-start")
    third = stage.desktop.python(
        "-m", "allie_desktop", "gui", "--quit", name="third", ALLIE_HOME=str(stage.home)
    )
    assert third.wait(20) == 0
    assert stage.process is not None
    assert stage.process.wait(20) == 0


def test_the_icon_comes_back_with_a_tray_that_starts_later(tray_stages: Stages) -> None:
    stage = tray_stages(parts={"tray": False}, preferences=PATIENT)
    stage.start()
    wait_for(lambda: decisions(stage), "a decision")
    stage.desktop.start_tray()
    stage.icon()
    stage.desktop.stop_tray()
    wait_for(lambda: not stage.desktop.tray_icons(), "the tray's end")
    stage.desktop.start_tray()
    stage.icon()
    assert stage.end() == 0


def test_without_a_tray_the_window_opens(tray_stages: Stages) -> None:
    stage = tray_stages(parts={"tray": False}, preferences=PATIENT)
    gui = stage.desktop.python(
        "-m", "allie_desktop", "gui", "--no-tray-wait", name="gui", ALLIE_HOME=str(stage.home)
    )
    wait_for(lambda: stage.desktop.windows("name", "Allie"), "the window")
    stage.desktop.screenshot("no-tray-window")
    gui.send_signal(signal.SIGTERM)
    assert gui.wait(20) == 0
    assert "Traceback" not in stage.desktop.log("gui")


def test_closing_it_while_it_learns_leaves_a_checkpoint(tray_stages: Stages) -> None:
    stage = tray_stages(acts=[["started", "prepare", "train", "step", "step", "hold"]])
    stage.start()
    worker = wait_for(stage.worker_pid, "a worker")
    wait_for(stage.runs, "its run")
    assert stage.end() == 0
    assert state_of(worker) in ("", "Z")
    with stage.program() as program:
        (episode,) = program.episodes.unfinished()
    assert episode.state is EpisodeState.YIELDED
    assert episode.reasons == ("Allie was closed.",)
    assert list(stage.paths.episodes.glob("*/attempt-1/checkpoint.json"))
    assert "Traceback" not in stage.said()


def test_the_first_key_press_freezes_the_worker_and_it_goes_on_when_nobody_is_there(
    tray_stages: Stages,
) -> None:
    stage = tray_stages(
        acts=[
            ["started", "prepare", "train", "step", "hold"],
            ["started", "prepare", "train", "step", "validate", "candidate"],
        ]
    )
    stage.start()
    worker = wait_for(stage.worker_pid, "a worker")
    wait_for(stage.runs, "its run")
    stage.desktop.key("a")
    wait_for(lambda: state_of(worker) == "T", "the worker to be frozen", every=0.002)
    wait_for(lambda: state_of(worker) in ("", "Z"), "the worker's end")
    wait_for(lambda: len(stage.runs()) == 2, "the second run")
    assert stage.runs()[1]["resumed_from"] == 1

    def completed() -> bool:
        with stage.program() as program:
            return program.episodes.latest()[0].state is EpisodeState.COMPLETED

    wait_for(completed, "the end of the episode")
    wait_for(lambda: stage.desktop.pixels(20, 60, 420, 100).count(b"\0\0\0") < 40_000, "the notification")
    stage.desktop.screenshot("learned-notification")
    with stage.program() as program:
        assert program.versions.pointer().active == "v1.0"
    stage.desktop.click(100, 90)  # the daemon is told that a click means "Undo"

    def undone() -> bool:
        with stage.program() as program:
            return program.versions.pointer().active == "base"

    wait_for(undone, "the undo")
    stage.desktop.screenshot("undone")
    assert stage.end() == 0
    assert stage.said() == ""

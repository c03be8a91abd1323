"""From the first start to the undo, by nothing but clicks, keys and waiting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allie_desktop.domain.lifecycle import EpisodeState
from tests.gui.desktop_session import wait_for
from tests.gui.tray_stage import SAMPLES, WILLING, TrayStage, state_of

pytestmark = [pytest.mark.display, pytest.mark.process, pytest.mark.slow]


def test_first_run_import_idle_learning_yielding_learning_on_notification_and_undo(
    tray_stages: Callable[..., TrayStage],
) -> None:
    stage = tray_stages(
        conversations=False,
        preferences={name: value for name, value in WILLING.items() if name != "consent_given"},
        acts=[
            ["started", "prepare", "train", "step", "checkpoint", "hold"],
            ["started", "prepare", "train", "step", "validate", "candidate"],
        ],
    )
    desktop, buttons = stage.desktop, stage.paths.cache / "buttons.json"
    stage.start("--buttons", buttons)
    stage.icon()

    # The first run: consent, the starter model, an import.
    wait_for(lambda: desktop.windows("name", "Welcome to Allie"), "the first run")
    desktop.screenshot("walk-1-welcome")
    stage.click_button(buttons, "Continue")
    stage.click_button(buttons, "Yes, learn while I am away")
    desktop.screenshot("walk-2-consent")
    stage.click_button(buttons, "Continue")
    desktop.screenshot("walk-3-model")
    stage.click_button(buttons, "Continue")
    stage.click_button(buttons, "Choose files…")
    dialog = wait_for(lambda: desktop.windows("name", "Import conversations"), "the file dialog")[0]
    desktop.xdotool("windowactivate", "--sync", dialog)
    desktop.xdotool("type", "--delay", "5", str(SAMPLES))
    desktop.key("Return")

    def imported() -> bool:
        with stage.program() as program:
            return program.conversations.counts().conversations == 54

    wait_for(imported, "the import")
    desktop.screenshot("walk-4-imported")
    stage.click_button(buttons, "Continue")
    stage.click_button(buttons, "Start")
    with stage.program() as program:
        assert program.preferences.consent_given

    # Nobody is there: it learns. A key press: it stops at once, and gives its memory back.
    worker = wait_for(stage.worker_pid, "a worker", seconds=40)
    wait_for(stage.runs, "its run")
    desktop.screenshot("walk-5-learning")
    desktop.key("a")
    wait_for(lambda: state_of(worker) == "T", "the worker to be frozen", every=0.002)
    desktop.screenshot("walk-6-yielded")
    wait_for(lambda: state_of(worker) in ("", "Z"), "the worker's end")

    # Nobody is there again: it goes on from its checkpoint, ends, and says so.
    wait_for(lambda: len(stage.runs()) == 2, "the second run", seconds=40)
    assert stage.runs()[1]["resumed_from"] == 1

    def episode_state() -> EpisodeState:
        with stage.program() as program:
            state: EpisodeState = program.episodes.latest()[0].state
            return state

    wait_for(lambda: episode_state() is EpisodeState.COMPLETED, "the end of the episode")
    wait_for(lambda: desktop.windows("class", "Dunst"), "the notification")
    desktop.screenshot("walk-7-notification")
    with stage.program() as program:
        assert program.versions.pointer().active == "v1.0"

    # A click on the notification takes it back, and what was learnt is new again.
    desktop.click(100, 90)

    def undone() -> bool:
        with stage.program() as program:
            return program.versions.pointer().active == "base"

    wait_for(undone, "the undo")
    desktop.screenshot("walk-8-undone")
    with stage.program() as program:
        assert program.conversations.counts().learned == 0
    assert stage.end() == 0
    assert stage.said() == ""

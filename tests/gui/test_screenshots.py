"""Pictures of every window in light and dark, to be looked at, and a check that nothing in them is cut off."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QWidget

from allie_desktop.domain.events import HeldOutMeasured, PhaseStarted, StepFinished, WorkerStarted
from allie_desktop.ui import theme
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.blind_card import BlindCard
from allie_desktop.ui.windows.confirm import Confirmation
from allie_desktop.ui.windows.episode_page import EpisodePage
from allie_desktop.ui.windows.feed import Status
from allie_desktop.ui.windows.first_run import FirstRun
from allie_desktop.ui.windows.main_window import HISTORY, PRIVACY, SETTINGS, VERSIONS, MainWindow
from tests.gui.window_stage import Stage, waiting

SIZE = (1080, 740)


@pytest.fixture(params=["light", "dark"])
def colors(request, qapp):
    theme.apply(qapp, {"light": theme.LIGHT, "dark": theme.DARK}[request.param])
    yield request.param
    theme.apply(qapp, theme.LIGHT)


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


def settle(widget: QWidget) -> None:
    """Let layouts and results from other threads arrive."""
    for _ in range(200):
        QApplication.processEvents()
        busy = any(one.busy for one in widget.findChildren(Background))
        if not busy and not any(page._waiting for page in widget.findChildren(EpisodePage)):
            break
        loop = QEventLoop()
        QTimer.singleShot(10, loop.quit)
        loop.exec()
    for _ in range(3):
        QApplication.processEvents()


def shoot(widget: QWidget, folder: Path, name: str) -> None:
    settle(widget)
    assert widget.grab().save(str(folder / f"{name}.png"))
    assert clipped(widget) == []


def clipped(window: QWidget) -> list[str]:
    """Return the texts that have less room than they need."""
    found = []
    for label in window.findChildren(QLabel):
        if not label.isVisible() or not label.text() or (label.pixmap() and not label.pixmap().isNull()):
            continue
        if label.wordWrap():
            needed = label.heightForWidth(label.width())
            if needed > label.height() + 1:
                found.append(f"{label.text()[:60]!r} needs {needed} px of height and has {label.height()}")
        elif label.sizeHint().width() > label.width() + 1:
            found.append(f"{label.text()[:60]!r} needs {label.sizeHint().width()} px and has {label.width()}")
    found += [
        f"button {button.text()!r} needs {button.sizeHint().width()} px and has {button.width()}"
        for button in window.findChildren(QPushButton)
        if button.isVisible() and button.sizeHint().width() > button.width() + 1
    ]
    return found


def opened(qtbot, stage: Stage, **changes) -> MainWindow:
    window = MainWindow(stage.services(**changes))
    qtbot.addWidget(window)
    window.resize(*SIZE)
    return window


def test_every_page_with_a_past(qtbot, stage, colors, artefacts):
    stage.fill()
    stage.feed.set_status(waiting())
    window = opened(qtbot, stage)
    window.show_page(HISTORY)
    window.show()
    shoot(window, artefacts, f"history-{colors}")
    window.show_diary()
    shoot(window, artefacts, f"diary-{colors}")
    window.show_episode("2026-e7")
    shoot(window, artefacts, f"episode-{colors}")
    bar = window.page.findChild(QScrollArea).verticalScrollBar()
    for part in (1, 2, 3, 4):
        bar.setValue(bar.maximum() * part // 4)
        shoot(window, artefacts, f"episode-{part + 1}-{colors}")
    window.show_page(VERSIONS)
    shoot(window, artefacts, f"versions-{colors}")
    privacy = window.show_page(PRIVACY)
    for tab, name in enumerate(("overview", "conversations", "sources", "topics")):
        privacy.show_tab(tab)
        shoot(window, artefacts, f"privacy-{name}-{colors}")
    window.show_page(SETTINGS)
    shoot(window, artefacts, f"settings-{colors}")


def test_a_choice_between_two_answers(qtbot, stage, colors, artefacts):
    stage.fill()
    window = opened(qtbot, stage)
    window.show_page(VERSIONS)
    window.show()
    settle(window)
    for number in range(4):
        card = next(card for card in window.page.findChildren(BlindCard) if card.isVisible())
        card.buttons[0].click()
        if number == 0:
            shoot(window, artefacts, f"blind-chosen-{colors}")
        settle(window)
        card.buttons[0].click()
    shoot(window, artefacts, f"blind-done-{colors}")


def test_an_empty_home(qtbot, stage, colors, artefacts):
    stage.feed.set_status(Status(state=TrayState.WAITING, headline="Waiting: for your consent to learn"))
    window = opened(qtbot, stage)
    window.show_page(HISTORY)
    window.show()
    shoot(window, artefacts, f"empty-history-{colors}")
    window.show_page(VERSIONS)
    shoot(window, artefacts, f"empty-versions-{colors}")
    window.show_page(PRIVACY).show_tab(1)
    shoot(window, artefacts, f"empty-conversations-{colors}")


def test_while_it_learns(qtbot, stage, colors, artefacts):
    stage.fill()
    window = opened(qtbot, stage)
    window.show_page(HISTORY)
    window.show()
    feed = stage.feed
    feed.set_status(Status(state=TrayState.LEARNING, headline="Learning from 53 conversations"))
    feed.begin("2026-e7")
    feed.take(WorkerStarted(pid=1, device="cpu", dtype="bfloat16", threads=2))
    feed.take(PhaseStarted(phase="train", total=160))
    for step in range(1, 97):
        loss = 2.6 * math.exp(-step / 45) + 0.45 + 0.16 * math.sin(step * 2.7) * math.cos(step / 3)
        feed.take(StepFinished(phase="train", step=step, total=160, loss=loss, seconds_left=412.0))
        if step % 24 == 0:
            feed.take(HeldOutMeasured(step=step, loss=2.5 * math.exp(-step / 90) + 0.8, kl=0.02, best=True))
    shoot(window, artefacts, f"learning-{colors}")
    window.toast.say("v1.2 answers now.", action="Undo", do=lambda: None)
    shoot(window, artefacts, f"toast-{colors}")


def test_bad_settings_and_a_search(qtbot, stage, colors, artefacts):
    window = opened(qtbot, stage)
    page = window.show_page(SETTINGS)
    window.show()
    row = page.row("idle_minutes")
    row.editor.setText("every night")
    row.editor.returnPressed.emit()
    stage.preferences.set("min_new_conversations", 20)
    shoot(window, artefacts, f"settings-bad-{colors}")
    page.search.setText("temperature")
    qtbot.waitUntil(lambda: not page.groups.selectedItems())
    shoot(window, artefacts, f"settings-search-{colors}")


def test_the_first_run(qtbot, stage, colors, artefacts, tmp_path):
    window = FirstRun(stage.services(download=lambda *_: "starter"))
    qtbot.addWidget(window)
    window.show()
    for name in ("welcome", "consent", "model", "import", "done"):
        if name == "consent":
            window.consent_yes.setChecked(True)
        if name == "import":
            file = tmp_path / "conversations.json"
            file.write_text("Who are you?\nWhat is this?\n", encoding="utf-8")
            window.imports.take(file)
        shoot(window, artefacts, f"first-run-{name}-{colors}")
        if name != "done":
            window.next.click()


def test_a_question_before_everything_is_deleted(qtbot, colors, artefacts):
    question = Confirmation(
        None,
        title="Delete everything?",
        sentence="Every conversation, every version, the whole history and all settings are deleted from this "
        "computer and cannot be brought back.",
        action="Delete everything",
        word="delete",
        dangerous=True,
    )
    qtbot.addWidget(question)
    question.show()
    shoot(question, artefacts, f"question-{colors}")

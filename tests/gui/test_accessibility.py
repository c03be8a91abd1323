"""Every control has a name, everything can be reached with the keyboard, nothing flashes up by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QFrame,
    QLineEdit,
    QMenu,
    QTabBar,
    QWidget,
)

from allie_desktop.domain.events import PhaseStarted, StepFinished
from allie_desktop.domain.options import Group
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.confirm import Confirmation
from allie_desktop.ui.windows.first_run import FirstRun
from allie_desktop.ui.windows.main_window import HISTORY, PRIVACY, SETTINGS, VERSIONS, MainWindow

#: What a person operates. Containers and texts have names where they need them.
CONTROLS = {
    QAccessible.Role.Button,
    QAccessible.Role.ButtonMenu,
    QAccessible.Role.CheckBox,
    QAccessible.Role.RadioButton,
    QAccessible.Role.EditableText,
    QAccessible.Role.ComboBox,
    QAccessible.Role.List,
    QAccessible.Role.Table,
    QAccessible.Role.PageTabList,
    QAccessible.Role.ProgressBar,
    QAccessible.Role.Slider,
    QAccessible.Role.SpinBox,
    QAccessible.Role.Chart,
}
OPERATED = (QAbstractButton, QLineEdit, QComboBox, QTabBar)


class Flashes(QObject):
    """Remembers every window that shows itself."""

    def __init__(self):
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched, event):  # noqa: N802 - Qt's name
        if event.type() is QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.seen.append(type(watched).__name__)
        return False


def settle(qtbot, widget) -> None:
    qtbot.waitUntil(lambda: not any(one.busy for one in widget.findChildren(Background)), timeout=20_000)
    QApplication.processEvents()


def nameless(window: QWidget) -> list[str]:
    """Return the visible controls that a screen reader could not call by a name."""
    found = []
    for widget in window.findChildren(QWidget):
        # What Qt makes for its own use inside a control speaks through that control.
        if (
            not widget.isVisible()
            or isinstance(widget.parent(), (QComboBox, QLineEdit))
            or widget.objectName().startswith("qt_")
        ):
            continue
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is None or interface.role() not in CONTROLS:
            continue
        if not interface.text(QAccessible.Text.Name).strip():
            found.append(
                f"{type(widget).__name__} in {type(widget.parent()).__name__}: {interface.role().name}"
            )
    return found


def places(qtbot, window):
    """Go to every place of the main window."""
    for name in (HISTORY, VERSIONS, PRIVACY, SETTINGS):
        page = window.show_page(name)
        settle(qtbot, window)
        if name == PRIVACY:
            for tab in range(4):
                page.show_tab(tab)
                settle(qtbot, window)
                yield f"{name} {tab}"
        elif name == SETTINGS:
            for group in Group:
                page.show_group(group)
                settle(qtbot, window)
                yield f"{name} {group.value}"
        else:
            yield name
    window.show_episode("2026-e7")
    settle(qtbot, window)
    yield "episode"


def opened(qtbot, stage) -> MainWindow:
    window = MainWindow(stage.services())
    qtbot.addWidget(window)
    window.show_page(HISTORY)
    window.show()
    window.activateWindow()
    return window


def test_every_control_of_the_main_window_has_a_name(qtbot, stage):
    window = opened(qtbot, stage)
    stage.feed.begin("2026-e7")
    stage.feed.take(PhaseStarted(phase="train", total=9))
    stage.feed.take(StepFinished(phase="train", step=1, total=9, loss=1.0))
    window.toast.say("Done.", action="Undo", do=lambda: None)
    assert {place: found for place in places(qtbot, window) if (found := nameless(window))} == {}


def test_every_control_of_the_first_run_has_a_name(qtbot, stage):
    window = FirstRun(stage.services(download=lambda *_: ""))
    qtbot.addWidget(window)
    window.show()
    settle(qtbot, window)
    for _ in range(5):
        assert nameless(window) == []
        window.consent_yes.setChecked(True)
        if window.step < 4:
            window.next.click()
    question = Confirmation(window, title="Sure?", sentence="Really.", action="Yes", word="yes")
    qtbot.addWidget(question)
    question.show()
    assert nameless(question) == []


def test_a_nameless_control_would_be_found(qtbot, stage):
    window = opened(qtbot, stage)
    QLineEdit(window.page).show()
    assert nameless(window) == ["QLineEdit in HistoryPage: EditableText"]


def test_everything_that_is_operated_can_be_reached_with_the_tabulator(qtbot, stage):
    window = opened(qtbot, stage)
    missed = {}
    for place in places(qtbot, window):
        wanted = {
            id(one): one
            for one in window.findChildren(QWidget)
            if isinstance(one, OPERATED)
            and one.isVisible()
            and one.isEnabled()
            and not isinstance(one.parent(), (QComboBox, QLineEdit, QMenu))
        }
        window.sidebar.buttons[HISTORY].setFocus(Qt.FocusReason.TabFocusReason)
        for _ in range(3 * len(window.findChildren(QWidget))):
            window.focusNextChild()
            focused = window.focusWidget()
            wanted.pop(id(focused), None)
            if not wanted:
                break
        # Of an exclusive group the tabulator reaches the chosen one, and the arrow keys the others.
        left = [
            one.accessibleName()
            for one in wanted.values()
            if not (isinstance(one, QAbstractButton) and one.group() is not None and one.group().exclusive())
        ]
        if left:
            missed[place] = left
    assert missed == {}


def test_nothing_flashes_up_as_a_window_of_its_own(qtbot, stage):
    flashes = Flashes()
    QApplication.instance().installEventFilter(flashes)
    try:
        stage.feed.begin("2026-e7")
        window = opened(qtbot, stage)
        list(places(qtbot, window))
        first = FirstRun(stage.services())
        qtbot.addWidget(first)
        first.show()
        settle(qtbot, first)
    finally:
        QApplication.instance().removeEventFilter(flashes)
    assert flashes.seen == ["MainWindow", "FirstRun"]


def test_frames_that_scroll_leave_the_focus_to_what_is_in_them(qtbot, stage):
    from PySide6.QtWidgets import QScrollArea

    window = opened(qtbot, stage)
    list(places(qtbot, window))
    assert {area.focusPolicy() for area in window.findChildren(QScrollArea)} == {Qt.FocusPolicy.NoFocus}
    assert all(
        frame.accessibleName() for frame in window.findChildren(QScrollArea) if isinstance(frame, QFrame)
    )


@pytest.mark.process
@pytest.mark.parametrize("factor", ["1.25", "2"])
def test_nothing_is_cut_off_at_a_larger_scale(factor, tmp_path):
    """The scale is fixed when Qt starts, so the pictures are made by another process."""
    environment = {
        **os.environ,
        "QT_SCALE_FACTOR": factor,
        "QT_QPA_PLATFORM": "offscreen",
        "ALLIE_TEST_ARTEFACTS": os.environ.get("ALLIE_TEST_ARTEFACTS", str(tmp_path)) + f"/scale-{factor}",
    }
    pictures = Path(__file__).with_name("test_screenshots.py")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(pictures),
            "-k",
            "light and (past or bad or first)",
        ],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout

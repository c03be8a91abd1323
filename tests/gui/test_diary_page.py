"""The diary of decisions: what it says, how one gets there and back."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from allie_desktop.domain.errors import StoreError
from allie_desktop.ui.windows.diary_page import SHOWN_DECISIONS, DiaryPage
from allie_desktop.ui.windows.history_page import HistoryPage
from allie_desktop.ui.windows.main_window import HISTORY, MainWindow
from tests.gui.window_stage import Stage


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


def lines(page: DiaryPage) -> list[tuple[str, ...]]:
    view = page.view
    return [tuple(view.item(row, place).text() for place in range(3)) for row in range(view.rowCount())]


def told(page: DiaryPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def diary(qtbot, stage: Stage) -> DiaryPage:
    page = DiaryPage(stage.decisions, stage.clock)
    qtbot.addWidget(page)
    page.resize(800, 600)
    page.show()
    return page


def test_each_decision_is_a_line_with_its_time_and_all_reasons(qtbot, stage):
    stage.decide()
    page = diary(qtbot, stage)

    assert [line[1:] for line in lines(page)] == [
        ("Waited", "There is nothing new to learn from; 0 of 50 conversations"),
        ("Went on", "Nothing stands in the way any more"),
        ("Made way", "Someone came back to the computer"),
        ("May learn", "53 new conversations"),
        ("Waited", "Until nobody is at the computer for 5 min; learning time is 22:00–08:00"),
        ("Waited", "41 of 50 conversations; until nobody is at the computer for 5 min"),
    ]
    assert lines(page)[0][0].startswith("Today, ")
    assert lines(page)[-1][0].startswith("Yesterday, ")


def test_nothing_decided_yet_is_said(qtbot, stage):
    assert "Nothing decided yet" in told(diary(qtbot, stage))


def test_a_long_diary_shows_its_newest_part(qtbot, stage):
    for _ in range(SHOWN_DECISIONS // 6 + 1):
        stage.decide()

    assert len(lines(diary(qtbot, stage))) == SHOWN_DECISIONS


def test_a_store_that_cannot_be_read_is_said(qtbot, stage):
    class Broken:
        def latest(self, **_limits):
            raise StoreError("The store cannot be read.", "Restart Allie.")

    page = DiaryPage(Broken(), stage.clock)
    qtbot.addWidget(page)
    page.show()

    assert not page.view.isVisible()
    assert "The store cannot be read." in told(page)


def test_the_history_leads_to_it_and_escape_leads_back(qtbot, stage):
    stage.fill()
    window = MainWindow(stage.services())
    qtbot.addWidget(window)
    history = window.show_page(HISTORY)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)

    qtbot.mouseClick(history.diary_button, Qt.MouseButton.LeftButton)
    assert isinstance(window.page, DiaryPage)
    assert window.focusWidget() is window.page.view
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Down)
    assert window.page.view.currentRow() == 1
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert isinstance(window.page, HistoryPage)

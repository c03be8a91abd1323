"""The main window: which pages it makes, and when."""

from __future__ import annotations

import pytest

from allie_desktop.domain.errors import StoreError
from allie_desktop.ui.windows.main_window import CHAT, HISTORY, PRIVACY, SETTINGS, VERSIONS, MainWindow
from tests.gui.window_stage import Stage


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path / "home")
    made.fill()
    yield made
    made.close()


@pytest.fixture
def window(stage, qtbot):
    made = MainWindow(stage.services())
    qtbot.addWidget(made)
    return made


def test_the_other_pages_are_made_one_by_one_while_the_window_is_open(window, qtbot):
    window.show()
    assert set(window._pages) == {CHAT}
    chat = window.page

    qtbot.waitUntil(lambda: not window._ahead.isActive(), timeout=20_000)

    assert set(window._pages) == {CHAT, HISTORY, VERSIONS, PRIVACY, SETTINGS}
    assert window.page is chat
    made = window._pages[SETTINGS]
    assert window.show_page(SETTINGS) is made
    assert made.visible_rows()


def test_a_hidden_window_makes_no_pages_and_goes_on_when_it_is_shown_again(window, qtbot):
    window.show()
    window.hide()
    qtbot.wait(300)
    assert set(window._pages) == {CHAT}

    window.show()
    qtbot.waitUntil(lambda: len(window._pages) == 5, timeout=20_000)


def test_a_page_that_cannot_be_made_ahead_does_not_keep_the_others_from_it(window, qtbot):
    def refuse():
        raise StoreError("The store is locked.", "Close the other program.")

    window._makers[VERSIONS] = refuse
    window.show()

    qtbot.waitUntil(lambda: not window._ahead.isActive(), timeout=20_000)

    assert set(window._pages) == {CHAT, HISTORY, PRIVACY, SETTINGS}

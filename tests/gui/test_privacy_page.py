from __future__ import annotations

import pytest
from PySide6.QtCore import QItemSelectionModel
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton

from allie_desktop.domain.errors import DiskFullError, UnknownConversationError
from allie_desktop.ui.windows import conversations_tab, kinds_tab, privacy_page
from allie_desktop.ui.windows.confirm import Confirmation
from allie_desktop.ui.windows.privacy_page import PrivacyPage
from allie_desktop.ui.windows.switch import Switch
from tests.gui.window_stage import Stage


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def yes(monkeypatch):
    asked = []
    for module in (privacy_page, conversations_tab, kinds_tab):
        monkeypatch.setattr(module, "confirmed", lambda _parent, **words: asked.append(words) or True)
    return asked


def opened(qtbot, stage: Stage, tab: int = 0, **changes) -> PrivacyPage:
    page = PrivacyPage(stage.services(**changes))
    qtbot.addWidget(page)
    page.resize(900, 700)
    page.show()
    page.show_tab(tab)
    settled(qtbot, page)
    return page


def settled(qtbot, page) -> None:
    qtbot.waitUntil(lambda: not page._background.busy)


def said(widget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def button(widget, name: str) -> QPushButton:
    return next(b for b in widget.findChildren(QPushButton) if b.accessibleName() == name)


def select(tab, *rows: int) -> None:
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    tab.view.clearSelection()
    for row in rows:
        tab.view.selectionModel().select(tab.model.index(row, 0), flags)


def test_what_is_stored_and_where_is_listed_with_sizes(qtbot, stage):
    page = opened(qtbot, stage)
    words = said(page)
    assert "1,204 · 18 MB" in words
    assert "/home/ada/.local/share/allie-desktop/models" in words
    assert "668 MB" in words
    button(page, "Open the folder of Versions").click()
    assert str(stage.calls[0][1]) == "/home/ada/.local/share/allie-desktop/models"


def test_recording_and_consent_are_switched_here(qtbot, stage):
    page = opened(qtbot, stage)
    for name in ("consent_given", "record_chat", "record_api"):
        before = getattr(stage.preferences.current, name)
        page._option_rows[name].editor.click()
        assert getattr(stage.preferences.current, name) is not before
    stage.preferences.set("record_api", True)
    assert page._option_rows["record_api"].editor.isChecked()


def test_conversations_are_found_by_what_was_said(qtbot, stage):
    stage.fill_conversations()
    page = opened(qtbot, stage, 1)
    tab = page.show_tab(1)
    assert tab.model.rowCount() == 40
    tab.search.setText("chickpeas")
    qtbot.waitUntil(lambda: tab.model.rowCount() == 5)
    tab.search.setText("nobody said this")
    qtbot.waitUntil(lambda: tab.model.rowCount() == 0)
    assert "Nothing found" in said(tab._stack.currentWidget())


def test_many_conversations_are_read_a_page_at_a_time(qtbot, stage):
    stage.fill_conversations(rounds=40)
    tab = opened(qtbot, stage, 1).show_tab(1)
    assert tab.model.rowCount() == 100
    while tab.model.canFetchMore(tab.view.rootIndex()):
        tab.model.fetchMore(tab.view.rootIndex())
    assert len({tab.model.conversation(n).id for n in range(tab.model.rowCount())}) == 320


def test_conversations_are_left_out_and_let_in_again(qtbot, stage):
    stage.fill_conversations()
    page = opened(qtbot, stage, 1)
    tab = page.show_tab(1)
    assert [b.isEnabled() for b in (tab.leave_out, tab.let_in, tab.forget)] == [False, False, False]
    select(tab, 0, 2)
    ids = [one.id for one in tab.chosen()]
    with qtbot.waitSignal(page.said) as heard:
        tab.leave_out.click()
    assert heard.args == ["2 conversations left out of learning."]
    assert stage.conversations.counts().excluded == 2
    qtbot.waitUntil(lambda: tab.model.conversation(0).excluded)
    select(tab, 0)
    tab.let_in.click()
    assert stage.conversations.counts().excluded == 1
    assert ids == ["c000", "c002"]


def test_forgetting_asks_and_leaves_nothing_in_the_store(qtbot, stage, yes):
    stage.fill_conversations()
    page = opened(qtbot, stage, 1)
    tab = page.show_tab(1)
    select(tab, 0, 1, 2)
    with qtbot.waitSignal(page.said) as heard:
        tab.forget.click()
    assert yes[0]["title"] == "Forget 3 conversations?"
    assert yes[0]["dangerous"] is True
    assert heard.args == ["Forgotten. No version had learnt from it."]
    qtbot.waitUntil(lambda: tab.model.rowCount() == 37)
    with pytest.raises(UnknownConversationError):
        stage.conversations.get("c000")


def test_forgetting_names_the_versions_that_learnt_from_it(qtbot, stage, yes):
    stage.fill()
    stage.conversations.mark_learned(["c000"], version="v1.1", at=stage.clock.now())
    page = opened(qtbot, stage, 1)
    tab = page.show_tab(1)
    select(tab, 0)
    with qtbot.waitSignal(page.said) as heard:
        tab.forget.click()
    assert heard.args == ["Forgotten. v1.1 had learnt from it and will be rebuilt without it."]


def test_a_source_is_left_out_by_its_switch(qtbot, stage):
    stage.fill_conversations()
    page = opened(qtbot, stage, 2)
    tab = page.show_tab(2)
    assert [one.accessibleName() for one in tab.findChildren(Switch)] == [
        "Learn from Chat window",
        "Learn from ChatGPT",
        "Learn from Claude",
        "Learn from Open WebUI",
        "Learn from Other programs",
    ]
    tab.findChildren(Switch)[1].click()
    assert stage.preferences.current.excluded_sources == ("chatgpt",)
    stage.preferences.set("excluded_sources", [])
    assert tab.findChildren(Switch)[1].isChecked()


def test_everything_about_a_topic_is_forgotten(qtbot, stage, yes):
    stage.fill_conversations()
    page = opened(qtbot, stage, 3)
    tab = page.show_tab(3)
    with qtbot.waitSignal(page.said):
        button(tab, "Forget all of Code").click()
    assert yes[0]["action"] == "Forget 10 conversations"
    settled(qtbot, page)
    assert "Learn from Code" not in [
        one.accessibleName() for one in tab.findChildren(Switch) if one.isVisible()
    ]
    assert stage.conversations.counts().conversations == 30


def test_an_export_goes_to_the_file_that_was_chosen(qtbot, stage, monkeypatch, tmp_path):
    stage.fill_conversations(rounds=1)
    file = tmp_path / "all.jsonl"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    page = opened(qtbot, stage)
    with qtbot.waitSignal(page.said) as heard:
        button(page, "Export all…").click()
    assert heard.args == ["8 conversations exported."]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 8


def test_an_export_that_fails_says_why(qtbot, stage, monkeypatch):
    def full(_path):
        raise DiskFullError("There is no room on the disk.", "Free 2 MB.")

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/x", ""))
    page = opened(qtbot, stage, export_to=full)
    with qtbot.waitSignal(page.said) as heard:
        button(page, "Export all…").click()
    assert heard.args == ["There is no room on the disk. Free 2 MB."]
    assert button(page, "Export all…").isEnabled()


def test_everything_is_deleted_only_after_the_word_was_typed(qtbot, stage, yes):
    page = opened(qtbot, stage)
    with qtbot.waitSignal(page.said):
        button(page, "Delete everything…").click()
    assert yes[0]["word"] == "delete"
    assert stage.calls == ["delete everything"]


def test_a_question_with_a_word_opens_its_button_for_that_word_alone(qtbot):
    question = Confirmation(
        None, title="Sure?", sentence="It goes.", action="Delete", word="delete", dangerous=True
    )
    qtbot.addWidget(question)
    for typed, open_now in (("", False), ("delet", False), (" DELETE ", True), ("deleted", False)):
        question.field.setText(typed)
        assert question._action.isEnabled() is open_now


def test_the_safe_button_has_the_focus(qtbot):
    question = Confirmation(None, title="Sure?", sentence="It goes.", action="Delete", dangerous=True)
    qtbot.addWidget(question)
    question.show()
    qtbot.waitExposed(question)
    assert question.focusWidget() is question._keep

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton

from allie_desktop.domain.errors import ModelError
from allie_desktop.ui.windows import versions_page
from allie_desktop.ui.windows.numbers_table import NumbersTable
from allie_desktop.ui.windows.services import RolloutView
from allie_desktop.ui.windows.versions_page import VersionsPage
from tests.gui.window_stage import Stage


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def yes(monkeypatch):
    asked = []
    monkeypatch.setattr(
        versions_page, "confirmed", lambda _parent, **words: asked.append(words["title"]) or True
    )
    return asked


def opened(qtbot, stage: Stage, **changes) -> VersionsPage:
    page = VersionsPage(stage.services(**changes))
    qtbot.addWidget(page)
    page.resize(900, 640)
    page.show()
    qtbot.waitUntil(lambda: not page._background.busy)
    qtbot.waitUntil(
        lambda: any(b.isVisible() for b in page.findChildren(QPushButton)) or page._message.isVisible()
    )
    return page


def button(page, words: str) -> QPushButton:
    return next(b for b in page._detail._content.findChildren(QPushButton) if b.text() == words)


def choose(qtbot, page, name: str) -> None:
    row = [one.name for one in page.model.rows].index(name)
    page.view.setCurrentIndex(page.model.index(row))
    qtbot.wait(1)


def test_without_versions_the_base_model_stands_alone(qtbot, stage):
    page = opened(qtbot, stage)
    assert [row.name for row in page.model.rows] == ["base"]
    assert page.chosen.name == "base"


def test_the_version_that_answers_is_chosen_first(qtbot, stage):
    stage.fill()
    page = opened(qtbot, stage)
    assert [row.name for row in page.model.rows] == ["v1.2", "v1.1", "v1.0", "base"]
    assert page.chosen.name == "v1.2"
    assert not button(page, "Use this version…").isEnabled()
    assert not button(page, "Delete…").isEnabled()


def test_using_another_version_asks_and_goes_there(qtbot, stage, yes):
    stage.fill()
    page = opened(qtbot, stage)
    choose(qtbot, page, "v1.0")
    with qtbot.waitSignal(page.said) as heard:
        button(page, "Use this version…").click()
    assert (yes, heard.args) == (["Answer with v1.0?"], ["v1.0 answers now."])
    assert stage.versions.pointer().active == "v1.0"
    qtbot.waitUntil(lambda: page.model.rows[2].active)
    assert page.chosen.name == "v1.0"


def test_the_base_model_can_be_used_too(qtbot, stage, yes):
    stage.fill()
    page = opened(qtbot, stage)
    choose(qtbot, page, "base")
    with qtbot.waitSignal(page.said):
        button(page, "Use this version…").click()
    assert stage.versions.pointer().active == "base"


def test_a_pinned_version_says_so_and_can_be_unpinned(qtbot, stage):
    stage.fill()
    page = opened(qtbot, stage)
    choose(qtbot, page, "v1.0")
    button(page, "Pin").click()
    qtbot.waitUntil(lambda: page.model.rows[2].pinned)
    assert stage.versions.get("v1.0").pinned
    button(page, "Unpin").click()
    qtbot.waitUntil(lambda: not page.model.rows[2].pinned)


def test_deleting_asks_and_deletes_the_files(qtbot, stage, yes):
    stage.fill()
    page = opened(qtbot, stage)
    choose(qtbot, page, "v1.0")
    button(page, "Delete…").click()
    qtbot.waitUntil(lambda: [row.name for row in page.model.rows] == ["v1.2", "v1.1", "base"])
    assert yes == ["Delete v1.0?"]
    assert not (stage.versions.folder / "v1.0").exists()


def test_two_versions_are_compared(qtbot, stage):
    stage.fill()
    page = opened(qtbot, stage)
    box = page.findChild(QComboBox)
    assert box.currentText() == "v1.1"
    box.setCurrentIndex(1)
    table = page.findChildren(NumbersTable)[-1]
    assert [table.horizontalHeaderItem(n).text() for n in range(3)] == ["Measure", "v1.2", "v1.0"]
    assert table.item(0, 1).text() == "2.067"


def test_a_version_leads_to_its_episode(qtbot, stage):
    stage.fill()
    page = opened(qtbot, stage)
    with qtbot.waitSignal(page.episode_chosen) as heard:
        button(page, "What it learnt, and how it was judged").click()
    assert heard.args == ["2026-e7"]


def test_a_version_that_takes_over_is_announced(qtbot, stage):
    stage.fill()
    page = opened(qtbot, stage)
    assert page._rollout.isHidden()
    stage.rollout = RolloutView(version="v1.2", stage="answers 10 % of new conversations", share=0.1)
    stage.feed.versions_changed.emit()
    qtbot.waitUntil(page._rollout.isVisible)
    assert page._rollout_title.text() == "v1.2 is taking over: answers 10 % of new conversations"


def test_a_version_that_learnt_something_forgotten_is_marked(qtbot, stage):
    stage.fill()
    stage.versions.set_tainted("v1.2", "It learnt from a conversation that you made Allie forget.")
    page = opened(qtbot, stage)
    words = [label.text() for label in page.findChildren(QLabel)]
    assert "It learnt from a conversation that you made Allie forget." in words


def test_a_base_model_that_is_missing_is_said(qtbot, stage):
    def missing():
        raise ModelError("There is no base model at /models/x.gguf.", "Choose another one.")

    page = opened(qtbot, stage, versions=missing)
    assert page._message.text() == "There is no base model at /models/x.gguf. Choose another one."
    assert page._message.isVisible()

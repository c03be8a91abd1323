from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QMimeData, QPoint, QSettings, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QLabel, QPushButton

from allie_desktop.domain.errors import ImportFileError, ModelError
from allie_desktop.ui.windows.first_run import FirstRun, is_due
from allie_desktop.ui.windows.main_window import MainWindow
from allie_desktop.ui.windows.services import Download
from tests.gui.window_stage import Stage


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def memory(tmp_path):
    return QSettings(str(tmp_path / "windows.ini"), QSettings.Format.IniFormat)


def opened(qtbot, stage: Stage, memory=None, **changes) -> FirstRun:
    window = FirstRun(stage.services(**changes), memory=memory)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: not window._background.busy)
    return window


def go_to(window: FirstRun, step: int) -> None:
    while window.step < step:
        if window.step == 1:
            window.consent_yes.setChecked(True)
        window.next.click()


def said(widget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def button(widget, name: str) -> QPushButton:
    return next(b for b in widget.findChildren(QPushButton) if b.accessibleName() == name)


def test_it_is_due_until_somebody_consented_or_went_through_it(stage, memory):
    assert is_due(stage.preferences.current, memory)
    assert is_due(stage.preferences.current, None)
    stage.preferences.set("consent_given", True)
    assert not is_due(stage.preferences.current, memory)


def test_without_an_answer_to_the_question_it_does_not_go_on(qtbot, stage):
    window = opened(qtbot, stage)
    window.next.click()
    assert (window.step, window.next.isEnabled()) == (1, False)
    window.consent_no.setChecked(True)
    window.next.click()
    assert (window.step, stage.preferences.current.consent_given) == (2, False)


def test_going_through_it_saves_the_consent_and_it_does_not_come_back(qtbot, stage, memory):
    window = opened(qtbot, stage, memory)
    go_to(window, 4)
    assert stage.preferences.current.consent_given is True
    assert "Allie learns while you are away." in said(window)
    with qtbot.waitSignal(window.ended) as heard:
        window.next.click()
    assert heard.args == [True]
    stage.preferences.set("consent_given", False)
    assert not is_due(stage.preferences.current, memory)


@pytest.mark.parametrize("leave", ["skip", "escape", "close"])
def test_it_can_be_left_at_any_time_and_comes_back(qtbot, stage, memory, leave):
    window = opened(qtbot, stage, memory)
    with qtbot.waitSignal(window.ended) as heard:
        if leave == "skip":
            window.skip.click()
        elif leave == "escape":
            qtbot.keyClick(window, Qt.Key.Key_Escape)
        else:
            window.close()
    assert heard.args == [False]
    assert is_due(stage.preferences.current, memory)
    assert stage.preferences.current.consent_given is False


def test_one_may_go_back_and_change_ones_mind(qtbot, stage):
    window = opened(qtbot, stage)
    go_to(window, 3)
    window.back.click()
    window.back.click()
    window.consent_no.setChecked(True)
    window.next.click()
    assert stage.preferences.current.consent_given is False


def test_a_model_is_fetched_with_progress_and_chosen(qtbot, stage):
    gate = threading.Event()

    def download(repository, progress, cancelled):
        assert repository == "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
        progress(Download(done_bytes=550_000_000, total_bytes=2_200_000_000))
        gate.wait(20)
        return "/models/tinyllama"

    window = opened(qtbot, stage, download=download)
    go_to(window, 2)
    button(window, "Download TinyLlama 1.1B Chat").click()
    panel = window.models
    qtbot.waitUntil(lambda: panel._words.text() == "550 MB of 2.2 GB")
    assert (panel.bar.value(), window.next.isEnabled()) == (250, False)
    gate.set()
    qtbot.waitUntil(lambda: not panel.downloading)
    assert stage.preferences.current.base_model == "/models/tinyllama"
    assert window.next.isEnabled()


def test_a_download_can_be_cancelled(qtbot, stage):
    def download(repository, progress, cancelled):
        while not cancelled():
            progress(Download(done_bytes=1, total_bytes=0))
            gate.wait(0.01)
        return ""

    gate = threading.Event()
    window = opened(qtbot, stage, download=download)
    go_to(window, 2)
    button(window, "Download TinyLlama 1.1B Chat").click()
    button(window, "Cancel the download").click()
    qtbot.waitUntil(lambda: not window.models.downloading)
    assert "Cancelled." in said(window.models)
    assert stage.preferences.current.base_model == "starter"
    assert window.models.chosen.name == "starter"


def test_a_download_that_fails_says_why_and_leaves_the_starter_model(qtbot, stage):
    def download(*_):
        raise ModelError("The hub cannot be reached.", "Check the connection, or choose the starter model.")

    window = opened(qtbot, stage, download=download)
    go_to(window, 2)
    button(window, "Download TinyLlama 1.1B Chat").click()
    qtbot.waitUntil(lambda: "The hub cannot be reached." in said(window.models))
    assert window.next.isEnabled()


def test_closing_it_ends_a_download(qtbot, stage):
    ended = threading.Event()

    def download(repository, progress, cancelled):
        while not cancelled():
            ended.wait(0.01)
        ended.set()
        return ""

    window = opened(qtbot, stage, download=download)
    go_to(window, 2)
    button(window, "Download TinyLlama 1.1B Chat").click()
    window.skip.click()
    assert ended.wait(20)


def test_files_are_imported_by_dropping_them(qtbot, stage, tmp_path):
    file = tmp_path / "export.json"
    file.write_text("Who are you?\nWhere?\n", encoding="utf-8")
    window = opened(qtbot, stage)
    go_to(window, 3)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)), QUrl("https://example.org/x.json")])
    drop = QDropEvent(
        QPoint(5, 5).toPointF(),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    with qtbot.waitSignal(window.imports.imported) as heard:
        window.imports.dropEvent(drop)
    assert heard.args == [2]
    assert "export.json: 2 conversations imported" in said(window.imports)
    window.next.click()
    assert "2 conversations are waiting." in said(window)


def test_a_file_that_cannot_be_read_is_explained(qtbot, stage, tmp_path):
    def refuse(_path):
        raise ImportFileError("photo.jpg is not an export that Allie can read.", "Choose another file.")

    window = opened(qtbot, stage, import_file=refuse)
    go_to(window, 3)
    window.imports.take(tmp_path / "photo.jpg")
    qtbot.waitUntil(lambda: "photo.jpg is not an export" in said(window.imports))


def test_the_main_window_leads_to_it_until_consent_is_given(qtbot, stage, memory):
    window = MainWindow(stage.services(), memory=memory)
    qtbot.addWidget(window)
    window.show()
    window.sidebar.set_up_button.click()
    first = window.show_first_run()
    assert first is window.show_first_run()
    go_to(first, 4)
    first.next.click()
    qtbot.waitUntil(lambda: window._first_run is None)
    assert window.sidebar.set_up_button.isHidden()

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from allie_desktop.domain.errors import StoreError, VersionCorruptError
from allie_desktop.domain.events import HeldOutMeasured, PhaseStarted, StepFinished, WorkerStarted
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.ui.charts import BeforeAfterChart, LineChart
from allie_desktop.ui.windows import episode_page, live_card
from allie_desktop.ui.windows.answers import AnswerCard
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.episode_page import EpisodePage
from allie_desktop.ui.windows.history_page import HistoryPage
from allie_desktop.ui.windows.main_window import CHAT, HISTORY, MainWindow
from tests.gui.window_stage import REPORT, Stage


@pytest.fixture
def stage(tmp_path, qapp):
    made = Stage(tmp_path / "home")
    yield made
    made.close()


def said(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def done(qtbot, widget: QWidget) -> None:
    qtbot.waitUntil(lambda: not any(one.busy for one in widget.findChildren(Background)))


def history(qtbot, stage: Stage) -> HistoryPage:
    page = HistoryPage(stage.services())
    qtbot.addWidget(page)
    page.resize(800, 600)
    page.show()
    return page


def episode(qtbot, stage: Stage, number: int = 7, **changes) -> EpisodePage:
    page = EpisodePage(stage.services(**{"comparisons": None, **changes}), f"2026-e{number}")
    qtbot.addWidget(page)
    page.resize(800, 700)
    page.show()
    done(qtbot, page)
    qtbot.waitUntil(lambda: page._waiting == [])
    return page


def test_nothing_learnt_yet_is_said_and_what_to_do(qtbot, stage):
    stage.preferences.set("consent_given", True)
    page = history(qtbot, stage)
    assert "Nothing learnt yet" in said(page._stack.currentWidget())
    page._stack.currentWidget().findChild(QPushButton).click()
    assert stage.calls == ["learn now"]


def test_the_newest_episode_is_first_and_each_says_what_became_of_it(qtbot, stage):
    stage.fill()
    page = history(qtbot, stage)
    rows = [page.model.episode_row(page.model.index(n)) for n in range(page.model.rowCount())]
    assert [row.id for row in rows] == [f"2026-e{n}" for n in range(7, 0, -1)]
    assert [row.verdict for row in rows] == [
        "Learnt something new",
        "Stopped by you",
        "Thrown away: worse somewhere",
        "Learnt something new",
        "Nothing changed: not proved better",
        "Did not work",
        "Learnt something new",
    ]
    assert page._count.text() == "7 episodes"


def test_ten_thousand_episodes_are_read_a_page_at_a_time(qtbot, stage):
    stage.many_episodes(10_000)
    page = history(qtbot, stage)
    assert page.model.total == 10_000
    assert page.model.rowCount() < 500
    while page.model.rowCount() < 10_000:
        before = page.model.rowCount()
        page.view.scrollToBottom()
        page.model.fetchMore(page.view.rootIndex())
        assert page.model.rowCount() > before
    ids = {page.model.episode_row(page.model.index(n)).id for n in range(10_000)}
    assert len(ids) == 10_000
    assert not page.model.canFetchMore(page.view.rootIndex())


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Space])
def test_an_episode_is_opened_with_the_keyboard(qtbot, stage, key):
    stage.fill()
    page = history(qtbot, stage)
    page.view.setFocus()
    qtbot.keyClick(page.view, Qt.Key.Key_Down)
    with qtbot.waitSignal(page.chosen) as heard:
        qtbot.keyClick(page.view, key)
    assert heard.args == ["2026-e6"]


def test_a_click_opens_an_episode(qtbot, stage):
    stage.fill()
    page = history(qtbot, stage)
    place = page.view.visualRect(page.model.index(2)).center()
    with qtbot.waitSignal(page.chosen) as heard:
        qtbot.mouseClick(page.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert heard.args == ["2026-e5"]


def test_a_new_episode_appears_and_the_place_in_the_list_is_kept(qtbot, stage):
    stage.fill()
    page = history(qtbot, stage)
    page.view.setCurrentIndex(page.model.index(3))
    stage.episode(8, EpisodeState.PREPARING)
    stage.feed.begin("2026-e8")
    qtbot.waitUntil(lambda: page.model.rowCount() == 8)
    assert page.model.episode_row(page.view.currentIndex()).id == "2026-e4"
    stage.episodes.change("2026-e8", EpisodeState.STOPPED, at=stage.clock.now())
    stage.feed.end()
    qtbot.waitUntil(lambda: page.model.episode_row(page.model.index(0)).verdict == "Stopped by you")


def test_a_store_that_cannot_be_read_is_said(qtbot, stage):
    class Broken:
        def count(self):
            raise StoreError("The store is locked by another program.", "Close it.")

    page = HistoryPage(replace(stage.services(), episodes=Broken()))
    qtbot.addWidget(page)
    assert page._stack.currentWidget().text() == "The store is locked by another program. Close it."


def test_a_running_episode_shows_how_far_it_is(qtbot, stage):
    page = history(qtbot, stage)
    assert page.live.isHidden()
    feed = stage.feed
    feed.begin("e1")
    for event in (
        WorkerStarted(pid=1, device="cpu", dtype="float32", threads=1),
        PhaseStarted(phase="train", total=40),
        StepFinished(phase="train", step=10, total=40, loss=2.0, seconds_left=300.0),
        StepFinished(phase="train", step=20, total=40, loss=1.5, seconds_left=200.0),
        HeldOutMeasured(step=20, loss=1.8, kl=0.01, best=True),
    ):
        feed.take(event)
    assert page.live.isVisible()
    assert page.live._detail.text() == "step 20 of 40 · loss 1.500"
    assert page.live._left.text() == "about 3 min left"
    assert page.live._bar.value() == round(1000 * (0.15 + 0.65 / 2))
    assert "each step: from 2.000 to 1.500, lowest 1.500" in page.live.chart.accessibleDescription()
    feed.end()
    assert page.live.isHidden()


def test_a_page_that_opens_in_the_middle_knows_the_whole_curve(qtbot, stage):
    stage.feed.begin("e1")
    for step in range(1, 9):
        stage.feed.take(StepFinished(phase="train", step=step, total=10, loss=1.0 / step))
    page = history(qtbot, stage)
    page.live.show_live(stage.feed.live)
    assert "step: 8" in page.live.chart.accessibleDescription()


def test_stopping_asks_first(qtbot, stage, monkeypatch):
    page = history(qtbot, stage)
    answers = iter([False, True])
    monkeypatch.setattr(live_card, "confirmed", lambda *_, **__: next(answers))
    page.live._on_stop()
    assert stage.calls == []
    page.live._on_stop()
    assert stage.calls == ["stop"]


def test_an_episode_shows_answers_proof_checks_curve_numbers_and_lessons(qtbot, stage):
    stage.fill()
    page = episode(qtbot, stage)
    assert len(page.findChildren(AnswerCard)) == 4
    next(b for b in page.findChildren(QPushButton) if b.text() == "Show 1 more").click()
    assert len(page.findChildren(AnswerCard)) == 5
    words = said(page)
    assert "Her name is Ada." in words
    assert "What you taught it, asked in words it never trained on" in words
    assert "120 of 160 steps, the best was step 100" in words
    assert "answers that you corrected: 8" in words
    chart = page.findChild(BeforeAfterChart)
    assert "2.533 before, 2.067 after" in chart.accessibleDescription()
    assert "never trained on: from" in page.findChild(LineChart).accessibleDescription()


def test_hostile_text_of_a_conversation_is_shown_as_text(qtbot, stage):
    stage.fill()
    report, judgement, plan, version = stage.reports["2026-e7"]
    sample = replace(
        report.measurements.samples[0],
        prompt="<img src=x><b>bold</b> \x1b[2J\u202eevil",
        candidate="<script>alert(1)</script>" + "x" * 5000,
    )
    report = replace(report, measurements=replace(report.measurements, samples=(sample,)))
    stage.reports["2026-e7"] = (report, judgement, plan, version)
    page = episode(qtbot, stage)
    labels = page.findChild(AnswerCard).findChildren(QLabel)
    assert all(
        label.textFormat() is Qt.TextFormat.PlainText for label in page.findChildren(QLabel) if label.text()
    )
    assert any(label.text().startswith("<img src=x><b>bold</b>") for label in labels)
    assert all("\x1b" not in label.text() and "\u202e" not in label.text() for label in labels)
    assert max(len(label.text()) for label in labels) <= 1500


def test_only_the_version_that_answers_can_be_undone(qtbot, stage):
    stage.fill()
    assert episode(qtbot, stage, 7).undo_button.isVisible()
    old = episode(qtbot, stage, 4)
    assert old.undo_button.isHidden()
    assert old._badge.text() == "not in use"


def test_undo_asks_rolls_back_and_says_so(qtbot, stage, monkeypatch):
    stage.fill()
    page = episode(qtbot, stage)
    asked = {}
    monkeypatch.setattr(episode_page, "confirmed", lambda _parent, **words: asked.update(words) or True)
    with qtbot.waitSignal(page.said) as heard:
        page.undo_button.click()
    assert asked["title"] == "Undo v1.2?"
    assert "v1.1 answers again" in asked["sentence"]
    assert heard.args == ["v1.1 answers now."]
    assert stage.versions.pointer().active == "v1.1"
    assert stage.versions.pointer().fallback == "v1.2"
    assert page.undo_button.isHidden()


def test_an_undo_that_fails_says_why_and_can_be_tried_again(qtbot, stage, monkeypatch):
    stage.fill()

    def refuse(_to):
        raise VersionCorruptError("v1.1 does not match its manifest.", "Choose another version.")

    page = episode(qtbot, stage, rollback=refuse)
    monkeypatch.setattr(episode_page, "confirmed", lambda *_, **__: True)
    with qtbot.waitSignal(page.said) as heard:
        page.undo_button.click()
    assert heard.args == ["v1.1 does not match its manifest. Choose another version."]
    assert page.undo_button.isEnabled()


def test_an_episode_whose_report_is_gone_says_so(qtbot, stage):
    stage.fill()
    del stage.reports["2026-e7"]
    assert "Its details were deleted" in said(episode(qtbot, stage))


def test_work_that_breaks_in_the_thread_is_a_sentence_not_a_crash(qtbot, stage):
    stage.fill()

    def broken(_id):
        raise ZeroDivisionError

    assert "Something went wrong inside Allie (ZeroDivisionError)" in said(
        episode(qtbot, stage, report_of=broken)
    )


def test_a_window_closed_while_its_report_is_read_does_not_mind(qtbot, stage):
    import threading

    stage.fill()
    gate = threading.Event()

    def slow(_id):
        gate.wait(20)
        return REPORT

    page = EpisodePage(stage.services(report_of=slow), "2026-e7")
    background = page._background
    page.deleteLater()
    with qtbot.waitSignal(page.destroyed):
        pass
    gate.set()
    assert background.wait(20)
    qtbot.wait(1)


def test_the_window_goes_from_the_history_to_an_episode_and_back(qtbot, stage):
    stage.fill()
    window = MainWindow(stage.services())
    qtbot.addWidget(window)
    window.show_page(HISTORY)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window._pages[HISTORY].chosen.emit("2026-e7")
    assert isinstance(window.page, EpisodePage)
    done(qtbot, window)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert isinstance(window.page, HistoryPage)
    window._pages[HISTORY].chosen.emit("no such one")
    assert window.toast.words.startswith("This episode is not known any more.")
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.page is window._pages[CHAT]
    assert "This installation of Allie has no chat window." in said(window.page)


def test_closing_hides_the_window_and_its_place_is_remembered(qtbot, stage, tmp_path):
    from PySide6.QtCore import QSettings

    memory = QSettings(str(tmp_path / "windows.ini"), QSettings.Format.IniFormat)
    closed = []
    window = MainWindow(stage.services(), on_close=lambda: closed.append(True), memory=memory)
    qtbot.addWidget(window)
    window.resize(820, 600)  # the screen of these tests has 800 pixels
    window.bring_forward(HISTORY)
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert (window.isVisible(), closed) == (False, [True])
    again = MainWindow(
        stage.services(), memory=QSettings(str(tmp_path / "windows.ini"), QSettings.Format.IniFormat)
    )
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (820, 600)


def test_pages_are_made_when_they_are_first_shown(qtbot, stage):
    window = MainWindow(stage.services())
    qtbot.addWidget(window)
    assert window._pages == {}
    first = window.show_page(HISTORY)
    assert window.show_page(HISTORY) is first
    assert list(window._pages) == [HISTORY]


def test_the_status_says_why_and_offers_what_can_be_done(qtbot, stage):
    from allie_desktop.ui.icons import TrayState
    from allie_desktop.ui.windows.feed import Status

    window = MainWindow(stage.services())
    qtbot.addWidget(window)
    window.show_page(HISTORY)
    window.show()
    bar = window.sidebar
    assert bar.set_up_button.isVisible()
    stage.preferences.set("consent_given", True)
    assert (bar.set_up_button.isVisible(), bar.learn_button.isVisible()) == (False, True)
    stage.feed.set_status(Status(state=TrayState.WAITING, headline="Waiting: 31 of 50 conversations"))
    assert bar._headline.text() == "Waiting: 31 of 50 conversations"
    bar.learn_button.click()
    bar.pause_menu.actions()[0].trigger()
    bar.pause_menu.actions()[2].trigger()
    stage.feed.set_status(Status(state=TrayState.PAUSED, headline="Paused: until you resume", paused=True))
    assert (bar.pause_button.isVisible(), bar.learn_button.isVisible()) == (False, False)
    bar.resume_button.click()
    kinds = [call if isinstance(call, str) else call[0] for call in stage.calls]
    assert kinds == ["learn now", "pause", "pause", "resume"]
    assert (stage.calls[1][1] - stage.clock.now()).total_seconds() == 3600
    assert stage.calls[2][1] is None

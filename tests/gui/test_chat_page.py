"""The chat page with the real store and a real server, without a screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QTextBrowser,
)

from allie_desktop.domain.errors import StoreError, UnknownConversationError
from allie_desktop.ui import theme
from allie_desktop.ui.chat.code_frame import CodeFrame
from allie_desktop.ui.chat.drafts import FileDrafts
from allie_desktop.ui.chat.message_view import MessageView
from allie_desktop.ui.chat.page import ChatPage
from allie_desktop.ui.chat.ports import ServerPhase
from allie_desktop.ui.chat.prose import ProseView
from tests.gui.chat_stage import FakeApi, Switch, conversation, keep, library_opener, stored


class Window:
    """A page and the hands on it."""

    def __init__(self, qtbot, home, api: FakeApi, *, drafts=None, switch: Switch | None = None) -> None:
        self.qtbot, self.home, self.api = qtbot, home, api
        self.switch = switch or Switch(api.endpoint)
        self.drafts = drafts
        self.visited: list[str] = []
        self.page = ChatPage(server=self.switch, open_library=library_opener(home), drafts=drafts)
        self.page.visit = lambda url: self.visited.append(url.toString())
        self.page.resize(1080, 740)
        qtbot.addWidget(self.page, before_close_func=lambda page: page.shut())
        self.page.show()
        qtbot.waitUntil(lambda: not self.page.model.is_reading and self.switch.starts > 0)

    @property
    def entries(self):
        return self.page.presenter.session.dialogue.entries

    @property
    def texts(self):
        return [entry.text for entry in self.entries]

    @property
    def titles(self):
        return [self.page.model.at(place).title for place in range(self.page.model.rowCount())]

    def type(self, text: str) -> None:
        self.qtbot.keyClicks(self.page.composer.field, text)

    def ask(self, text: str) -> None:
        self.type(text)
        self.qtbot.keyClick(self.page.composer.field, Qt.Key.Key_Return)

    def answered(self) -> None:
        self.qtbot.waitUntil(
            lambda: bool(self.entries) and not self.page.presenter.session.dialogue.is_busy, timeout=10_000
        )

    def open(self, conversation_id: str) -> None:
        self.qtbot.waitUntil(lambda: self.page.model.row_of(conversation_id) is not None)
        self.page.panel.chosen.emit(self.page.model.at(self.page.model.row_of(conversation_id)))
        self.qtbot.waitUntil(lambda: self.page.presenter.session.id == conversation_id)

    def message(self, place: int) -> MessageView:
        self.qtbot.waitUntil(lambda: self.page.transcript.view(place) is not None)
        return self.page.transcript.view(place)

    def click(self, button: QAbstractButton) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def stored(self):
        return stored(self.home, self.page.presenter.session.id)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def api(home):
    server = FakeApi(home)
    yield server
    server.close()


@pytest.fixture
def window(qtbot, home, api):
    return Window(qtbot, home, api)


# --- asking ---


def test_a_question_is_answered_stored_and_listed(window):
    window.api.script = ["Rice ", "needs **water**."]
    window.ask("How do I cook rice?")
    window.answered()
    assert window.texts == ["How do I cook rice?", "Rice needs **water**."]
    assert window.page.composer.text == ""
    assert window.message(1).bar.version.text() == "v1.2"
    assert window.message(1).blocks[0].toPlainText() == "Rice needs water."
    assert [turn.content for turn in window.stored().turns] == window.texts
    window.qtbot.waitUntil(lambda: window.titles == ["How do I cook rice?"])


def test_shift_and_enter_begin_a_line(window):
    window.type("one")
    window.qtbot.keyClick(window.page.composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    window.type("two")
    assert window.page.composer.text == "one\ntwo"
    assert window.entries == []


def test_the_field_grows_to_some_lines(window):
    heights = []
    for lines in (1, 4, 9, 40):
        window.page.composer.field.setPlainText("\n".join(["x"] * lines))
        heights.append(window.page.composer.field.height())
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_escape_stops_and_keeps_what_came(window):
    window.api.script = ["Half ", "<wait>", *["more "] * 5_000]
    window.ask("Tell me everything")
    window.qtbot.waitUntil(lambda: window.texts[-1:] == ["Half "])
    window.qtbot.keyClick(window.page.composer.field, Qt.Key.Key_Escape)
    window.api.go.set()
    assert (window.entries[1].text, window.entries[1].note) == ("Half ", "You stopped this answer.")
    window.qtbot.waitUntil(window.api.hung_up.is_set, timeout=10_000)


def test_typing_goes_on_while_a_reply_streams(window):
    window.api.script = ["Half ", "<wait>", "done."]
    window.ask("One")
    window.qtbot.waitUntil(lambda: window.texts[-1:] == ["Half "])
    window.ask("Two")  # Enter does nothing now
    assert window.page.composer.text == "Two"
    window.api.go.set()
    window.answered()
    assert (window.page.composer.text, window.texts) == ("Two", ["One", "Half done."])


def test_a_crash_keeps_the_half_reply_and_a_button_asks_again(window):
    window.api.script = ["Half of ", "<crash>"]
    window.ask("Hello")
    window.answered()
    note = window.message(1).note
    assert window.entries[1].text == "Half of "
    assert note.label.text() == (
        "The answer broke off: the chat process ended unexpectedly. It is being started again."
    )
    window.api.script = ["All of it."]
    window.click(note.button)
    window.answered()
    assert window.texts == ["Hello", "All of it."]


def test_a_crashed_process_is_started_again(window):
    window.api.script = ["Half", "<crash>"]
    window.switch.become(ServerPhase.READY)
    window.switch.ready(window.api.endpoint)
    starts = window.switch.starts
    window.ask("Hello")
    window.switch.state = replace(window.switch.state, phase=ServerPhase.FAILED)
    window.answered()
    window.qtbot.waitUntil(lambda: window.switch.starts == starts + 1)


def test_a_question_waits_behind_a_visible_line_until_the_model_is_there(qtbot, home, api):
    window = Window(qtbot, home, api, switch=Switch())
    assert window.page.status.label.text() == "Starting Allie…"
    assert window.page.status.line.maximum() == 0
    window.ask("Hello")
    assert window.texts == ["Hello", ""]
    api.health = "loading"
    api.script = ["<wait>", "Hi."]
    window.switch.ready(api.endpoint)
    qtbot.waitUntil(lambda: window.page.status.label.text() == "Loading the model…")
    api.health = "ok"
    api.go.set()
    window.answered()
    assert window.texts == ["Hello", "Hi."]
    qtbot.waitUntil(lambda: not window.page.status.isVisible())


def test_a_process_that_cannot_start_is_a_sentence_with_a_remedy(qtbot, home, api):
    window = Window(qtbot, home, api, switch=Switch())
    window.ask("Hello")
    sentence = "The model file is damaged. Choose another base model in the settings."
    window.switch.become(ServerPhase.FAILED, sentence)
    assert window.message(1).note.label.text() == sentence
    window.switch.endpoint = api.endpoint
    window.click(window.message(1).note.button)
    window.answered()
    assert window.texts == ["Hello", "Hello."]


def test_a_refusal_stands_below_the_question(window):
    window.api.script, window.api.body = [400], {"error": {"message": "The message is too long."}}
    window.ask("Hello")
    window.answered()
    assert window.message(1).note.label.text() == "The message is too long."


def test_an_answer_is_made_again_in_its_place(window):
    window.ask("Hello")
    window.answered()
    window.api.script = ["Better."]
    window.click(window.message(1).bar.again)
    window.answered()
    assert window.texts == ["Hello", "Better."]
    assert [len(body["messages"]) for _, body in window.api.requests] == [1, 1]


def test_only_the_last_answer_can_be_made_again(window):
    for question in ("One", "Two"):
        window.ask(question)
        window.answered()
    assert window.message(1).bar.again.isHidden()
    assert not window.message(3).bar.again.isHidden()


# --- feedback ---


def test_a_thumb_goes_into_the_store_and_back_out(window):
    window.ask("Hello")
    window.answered()
    window.click(window.message(1).bar.like)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].rating == 1)
    assert window.message(1).bar.like.accessibleName() == "Good answer: chosen, press to take it back"
    window.click(window.message(1).bar.dislike)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].rating == -1)
    window.click(window.message(1).bar.dislike)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].rating is None)


def test_an_edited_answer_is_the_correction(window):
    window.ask("What is the capital?")
    window.answered()
    window.click(window.message(1).bar.edit)
    editor = window.message(1).editor
    assert editor.text == "Hello."
    field = editor.findChild(QPlainTextEdit)
    field.selectAll()
    window.qtbot.keyClicks(field, "Bern.")
    window.qtbot.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].correction == "Bern.")
    view = window.message(1)
    assert view.blocks[0].toPlainText() == "Bern."
    assert view.bar._corrected.isVisible()
    window.click(view.bar.original)
    assert view.blocks[0].toPlainText() == "Hello."
    window.click(view.bar.edit)
    window.click(view.editor.take_back)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].correction is None)


def test_escape_leaves_the_editor_and_the_answer_alone(window):
    window.ask("Hi")
    window.answered()
    window.click(window.message(1).bar.edit)
    field = window.message(1).editor.findChild(QPlainTextEdit)
    window.qtbot.keyClicks(field, "x")
    window.qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (window.message(1).editor, window.entries[1].correction) == (None, None)


def test_a_correction_being_written_is_not_lost_by_a_click_elsewhere(window):
    window.ask("Hi")
    window.answered()
    window.click(window.message(1).bar.edit)
    window.qtbot.keyClicks(window.message(1).editor.findChild(QPlainTextEdit), "x")
    window.page.panel.new_wanted.emit()
    assert window.texts == ["Hi", "Hello."]
    assert window.page.status.label.text() == "Save or cancel your correction first."


def test_what_is_not_kept_cannot_be_rated_and_says_so(qtbot, home):
    api = FakeApi()
    window = Window(qtbot, home, api)
    window.ask("Hi")
    window.answered()
    window.click(window.message(1).bar.like)
    qtbot.waitUntil(window.page.status.isVisible)
    assert window.page.status.label.text() == (
        "This conversation is not kept, so Allie cannot learn what you think of it."
    )
    assert window.entries[1].rating is None
    api.close()


def test_a_conversation_is_excluded_and_let_in_again(window, home):
    keep(home, [conversation(1, "Hi", "Hello")])
    window.page.model.reload()
    window.open("conversation-00001")
    window.page.presenter.exclude("conversation-00001", excluded=True)
    window.qtbot.waitUntil(window.page.header._excluded.isVisible)
    assert window.page.model.at(0).excluded
    window.page.presenter.exclude("conversation-00001", excluded=False)
    window.qtbot.waitUntil(lambda: not window.page.header._excluded.isVisible())


def test_forgetting_asks_first_and_says_who_learnt_from_it(window, home):
    keep(home, [conversation(1, "My secret", "I see")])
    window.page.model.reload()
    window.open("conversation-00001")
    window.page.forget("conversation-00001", "My secret")
    window.qtbot.waitUntil(lambda: window.page.question is not None)
    words = " ".join(
        label.text() for label in window.page.question.findChildren(type(window.page.status.label))
    )
    assert "deleted from this computer" in words
    assert "No version has learnt from it." in words
    window.page.question.accept()
    window.qtbot.waitUntil(lambda: window.page.model.rowCount() == 0)
    assert window.entries == []
    with pytest.raises(UnknownConversationError):
        stored(home, "conversation-00001")


def test_a_conversation_is_renamed(window, home):
    keep(home, [conversation(1, "Hi", "Hello")])
    window.page.model.reload()
    window.open("conversation-00001")
    window.page.presenter.rename("conversation-00001", "  Greetings \n ")
    window.qtbot.waitUntil(lambda: window.titles == ["Greetings"])
    assert window.page.header._title.text() == "Greetings"


# --- nothing typed is lost ---


def test_a_draft_survives_the_window(qtbot, home, api, tmp_path):
    file = tmp_path / "drafts.json"
    first = Window(qtbot, home, api, drafts=FileDrafts(file))
    first.type("half a thou")
    first.page.shut()
    second = Window(qtbot, home, api, drafts=FileDrafts(file))
    assert second.page.composer.text == "half a thou"


def test_an_unanswered_question_comes_back_after_a_restart(qtbot, home, api, tmp_path):
    file = tmp_path / "drafts.json"
    keep(home, [conversation(1, "Hi", "Hello")])
    first = Window(qtbot, home, api, drafts=FileDrafts(file))
    first.open("conversation-00001")
    api.script = ["<crash>"]
    first.ask("Important question")
    first.answered()
    first.type("and more")
    first.page.shut()
    second = Window(qtbot, home, api, drafts=FileDrafts(file))
    second.open("conversation-00001")
    assert second.page.composer.text == "Important question\n\nand more"


def test_each_conversation_has_its_own_draft(window, home):
    keep(home, [conversation(number, f"Question {number}", "Hello") for number in (1, 2)])
    window.page.model.reload()
    window.open("conversation-00001")
    window.type("for the first")
    window.open("conversation-00002")
    assert window.page.composer.text == ""
    window.type("for the second")
    window.open("conversation-00001")
    assert window.page.composer.text == "for the first"


def test_an_answered_question_leaves_no_draft(qtbot, home, api, tmp_path):
    file = tmp_path / "drafts.json"
    window = Window(qtbot, home, api, drafts=FileDrafts(file))
    window.ask("Private words")
    window.answered()
    window.page.shut()
    assert b"Private" not in file.read_bytes()


def test_a_reply_goes_on_while_another_conversation_is_open(window, home):
    keep(home, [conversation(1, "Old", "Older")])
    window.page.model.reload()
    window.api.script = ["Half ", "<wait>", "done."]
    window.ask("New")
    window.qtbot.waitUntil(lambda: window.texts[-1:] == ["Half "])
    name = window.page.presenter.session.id
    window.open("conversation-00001")
    assert window.texts == ["Old", "Older"]
    window.api.go.set()
    window.qtbot.waitUntil(lambda: not window.page.presenter._sessions)
    window.open(name)
    assert window.texts == ["New", "Half done."]


# --- the list ---


def test_thousands_of_conversations_are_read_a_page_at_a_time(window, home):
    keep(home, [conversation(number, f"Question {number}", "Answer") for number in range(450)])
    window.page.model.reload()
    window.qtbot.waitUntil(lambda: window.page.model.rowCount() >= 100)
    assert window.page.model.rowCount() < 300
    for _ in range(6):
        window.page.panel.list.scrollToBottom()
        window.qtbot.waitUntil(lambda: not window.page.model.is_reading)
    window.qtbot.waitUntil(lambda: window.page.model.rowCount() == 450)
    assert (window.titles[0], window.titles[-1]) == ("Question 449", "Question 0")


def test_search_finds_by_words_and_enter_opens_the_first(window, home):
    keep(home, [conversation(1, "About cats", "Meow"), conversation(2, "About dogs", "Woof")])
    window.page.model.reload()
    window.qtbot.keyClick(window.page, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert window.page.focusWidget() is window.page.panel.search
    window.qtbot.keyClicks(window.page.panel.search, "meow")
    window.qtbot.waitUntil(lambda: window.titles == ["About cats"])
    window.qtbot.keyClick(window.page.panel.search, Qt.Key.Key_Return)
    window.qtbot.waitUntil(lambda: window.texts == ["About cats", "Meow"])
    window.page.panel.search.setText("nothing like it")
    window.qtbot.waitUntil(window.page.panel._nothing.isVisible)
    assert window.page.panel._nothing.text() == "Nothing found for “nothing like it”."


def test_keys_walk_through_conversations_and_begin_a_new_one(window, home):
    keep(home, [conversation(number, f"Question {number}", "Answer") for number in range(3)])
    window.page.model.reload()
    window.qtbot.waitUntil(lambda: window.page.model.rowCount() == 3)
    control = Qt.KeyboardModifier.ControlModifier
    for key, first in ((Qt.Key.Key_Down, 2), (Qt.Key.Key_Down, 1), (Qt.Key.Key_Up, 2)):
        window.qtbot.keyClick(window.page.composer.field, key, control)
        window.qtbot.waitUntil(lambda first=first: window.texts[:1] == [f"Question {first}"])
    window.qtbot.keyClick(
        window.page.composer.field, Qt.Key.Key_C, control | Qt.KeyboardModifier.ShiftModifier
    )
    assert QGuiApplication.clipboard().text() == "Answer"
    window.qtbot.keyClick(window.page.composer.field, Qt.Key.Key_N, control)
    assert window.entries == []


def test_a_store_that_cannot_be_opened_is_a_sentence(qtbot, api):
    def broken():
        raise StoreError("The store is damaged.", "Restore a backup.")

    page = ChatPage(server=Switch(api.endpoint), open_library=broken)
    qtbot.addWidget(page, before_close_func=lambda page: page.shut())
    page.show()
    qtbot.waitUntil(lambda: page.status.label.text() == "The store is damaged. Restore a backup.")


# --- the transcript ---


def show(window, home, *texts: str) -> None:
    keep(home, [conversation(1, *texts)])
    window.page.model.reload()
    window.open("conversation-00001")


def test_three_thousand_turns_are_a_handful_of_widgets(window, home):
    texts = [text for number in range(1500) for text in (f"Question {number}", f"Answer **{number}**")]
    show(window, home, *texts)
    transcript = window.page.transcript
    window.qtbot.waitUntil(lambda: transcript.view(2999) is not None)
    assert transcript.alive < 30
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(0)
    window.qtbot.waitUntil(lambda: transcript.view(0) is not None)
    window.qtbot.waitUntil(lambda: transcript.view(2999) is None)
    assert (bar.value(), transcript.alive < 30) == (0, True)


def test_the_arrow_keys_walk_through_messages_beyond_what_is_in_sight(window, home):
    show(window, home, *[f"Text {number}" for number in range(60)])
    window.page.transcript.focus_last()
    window.qtbot.waitUntil(lambda: window.page.transcript.view(59) is not None)
    for _ in range(40):
        window.qtbot.keyClick(window.page.focusWidget(), Qt.Key.Key_Up)
    view = window.message(19)
    assert view.hasFocus()
    visible = window.page.transcript.viewport().rect()
    assert visible.contains(view.geometry().center())


def test_a_message_of_a_million_characters_is_shown_in_parts(window, home):
    show(window, home, "Write a book", "word " * 199_000)
    view = window.message(1)
    first = len(view.blocks)
    more = next(
        button for button in view.findChildren(QAbstractButton) if button.text().startswith("Show more")
    )
    assert more.text() == "Show more (989,000 more characters)"
    window.click(more)
    assert len(view.blocks) > first


def test_code_has_a_frame_of_its_own_and_a_button_that_copies(window, home):
    show(window, home, "Code?", "Look:\n\n```python\nprint('hi')\n```\n\nNice.")
    text, code, _ = window.message(1).blocks
    assert (type(text), type(code)) == (ProseView, CodeFrame)
    window.click(code.copy_button)
    assert QGuiApplication.clipboard().text() == "print('hi')"
    assert code.copy_button.text() == "Copied"


def test_hostile_markdown_is_text_and_loads_nothing(window, home, monkeypatch):
    evil = (
        "<script>alert(1)</script> <img src='http://t.example/a.png'> ![x](file:///etc/passwd) "
        "<b>bold</b> <style>*{color:red}</style>\n\n<iframe src=x>\n</iframe>\n\n[pay\u202egnp](http://x.example)"
    )
    show(window, home, evil.replace("\u202e", ""), evil)
    shown = "\n".join(block.toPlainText() for block in window.message(1).blocks)
    for part in ("<script>alert(1)</script>", "<img src='http://t.example/a.png'>", "<b>bold</b>", "<iframe"):
        assert part in shown
    assert "[picture, not loaded: x]" in shown
    assert "\ufffc" not in shown
    assert "\u202e" not in shown
    question = window.message(0).blocks[0].toPlainText()
    assert question.startswith("<script>")


def test_a_rule_at_the_beginning_hides_nothing(window, home):
    show(window, home, "Hi", "---\nhidden: words\n---\n\nbody")
    assert "hidden: words" in window.message(1).blocks[0].toPlainText()


def test_a_link_opens_only_after_showing_where_it_leads(window, home):
    show(window, home, "Link?", "[my bank](https://ev\u0456l.example/x)")
    window.message(1).link.emit("https://ev\u0456l.example/x")
    question = window.page.question
    address = question.findChild(type(window.page.status.label), "address")
    host = "ev\u0456l".encode("idna").decode()
    assert host.startswith("xn--")
    assert address.accessibleName() == f"https://{host}.example/x"
    question.reject()
    assert window.visited == []
    window.message(1).link.emit("https://example.org/")
    button = next(b for b in window.page.question.findChildren(QAbstractButton) if b.text() == "Open")
    window.click(button)
    assert window.visited == ["https://example.org/"]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc/passwd", "ssh://x", "C:\\x"])
def test_other_addresses_are_never_opened(window, home, address):
    show(window, home, "Link?", "x")
    window.message(1).link.emit(address)
    button = next(b for b in window.page.question.findChildren(QAbstractButton) if b.text() == "Open")
    assert not button.isVisible()
    window.page.question.reject()


def test_following_the_end_stops_when_the_person_scrolls_up(window, home):
    show(window, home, *[f"Text {number}\n" * 5 for number in range(30)])
    bar = window.page.transcript.verticalScrollBar()
    window.api.script = ["Line.\n\n" * 40, "<wait>", "Line.\n\n" * 40]
    window.ask("Go")
    window.qtbot.waitUntil(lambda: len(window.texts[-1]) > 100)
    assert bar.value() == bar.maximum()
    bar.setValue(bar.value() - 600)
    where = bar.value()
    window.api.go.set()
    window.answered()
    assert bar.value() == where
    window.click(window.page.transcript._down)
    assert bar.value() == bar.maximum()


def test_a_streamed_reply_ends_as_a_stored_one_looks(window):
    text = "# Title\n\nSome *text*.\n\n- a\n- b\n\n```py\nx = 1\n```\n\nEnd."
    window.api.script = [text[start : start + 3] for start in range(0, len(text), 3)]
    window.ask("Go")
    window.answered()
    prose, code, end = window.message(1).blocks
    assert prose.toPlainText().split() == ["Title", "Some", "text.", "a", "b"]
    assert (code.code, end.toPlainText()) == ("x = 1", "End.")


# --- for everybody ---


def test_every_control_has_a_name_for_screen_readers(window, home):
    show(window, home, "Code?", "Look [here](http://x.example):\n\n```python\nprint('hi')\n```\n\nNice.")
    window.click(window.message(1).bar.edit)
    nameless = [
        f"{type(widget).__name__} {widget.objectName()}"
        for kind in (QAbstractButton, QLineEdit, QPlainTextEdit, QTextBrowser, QListView, MessageView)
        for widget in window.page.findChildren(kind)
        if widget.isVisible()
        and not (
            QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)
            or widget.accessibleName()
        )
    ]
    assert nameless == []


def test_the_tab_key_reaches_everything_and_comes_round(window):
    window.ask("Hello")
    window.answered()
    bar = window.message(1).bar
    wanted = {window.page.panel.new, window.page.panel.search, window.page.panel.list, window.message(1)}
    wanted |= {window.page.composer.field, window.page.header.menu, bar.copy, bar.like, bar.edit, bar.again}
    window.page.activateWindow()
    reached = set()
    window.page.composer.field.setFocus()
    for _ in range(40):
        reached.add(window.page.focusWidget())
        window.qtbot.keyClick(window.page.focusWidget(), Qt.Key.Key_Tab)
    assert wanted - reached == set()


def test_the_keyboard_alone_rates_an_answer(window):
    window.ask("Hello")
    window.answered()
    window.page.transcript.focus_last()
    for _ in range(10):
        if window.page.focusWidget() is window.message(1).bar.like:
            break
        window.qtbot.keyClick(window.page.focusWidget(), Qt.Key.Key_Tab)
    window.qtbot.keyClick(window.page.focusWidget(), Qt.Key.Key_Space)
    window.qtbot.waitUntil(lambda: window.stored().turns[1].rating == 1)


def test_light_and_dark_change_while_the_page_is_open(window, home, artefacts):
    show(window, home, "Code?", "Look:\n\n```python\nprint('hi')\n```\n\nNice.")
    app = QApplication.instance()
    sheet = app.styleSheet()
    try:
        colors = []
        for tokens in (theme.LIGHT, theme.DARK):
            theme.apply(app, tokens)
            window.message(1)
            window.qtbot.wait(30)
            picture = window.page.grab()
            picture.save(str(artefacts / f"chat-{tokens.name}.png"))
            corner = QPoint(window.page.width() - 40, window.page.height() // 2)
            colors.append(picture.toImage().pixelColor(corner * picture.devicePixelRatio()).name())
        assert colors == [theme.LIGHT.window, theme.DARK.window]
    finally:
        theme.apply(app, theme.LIGHT)
        app.setStyleSheet(sheet)

"""One message of the transcript: a question in its bubble, or a reply with what can be done about it."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QFocusEvent, QGuiApplication, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from allie_desktop.domain.conversation import Role
from allie_desktop.ui import theme
from allie_desktop.ui.chat import reply_bar
from allie_desktop.ui.chat.blocks import Block, Code, MarkdownSplitter, Prose, split
from allie_desktop.ui.chat.code_frame import CodeFrame
from allie_desktop.ui.chat.controls import Dots
from allie_desktop.ui.chat.dialogue import BUSY, Entry, ReplyState
from allie_desktop.ui.chat.editor import AnswerEditor
from allie_desktop.ui.chat.prose import ProseView
from allie_desktop.ui.chat.reply_bar import ReplyBar
from allie_desktop.ui.presenters.language import translate

#: Characters of a message that are shown at first, and with each press of the button below.
SHOWN_CHARACTERS = 6_000

#: A reply up to this size is put together anew when it is complete, so that one can select across paragraphs.
_REJOINED_CHARACTERS = 5_000

_BUBBLE_PADDING = 14
_BUBBLE_SHARE = 0.82
_BETWEEN = 12
_ABOVE, _BELOW = 10, 14


class MessageView(QWidget):
    """Shows an :class:`Entry`; :meth:`lay_out` gives it its width and returns its height."""

    copied = Signal()
    rated = Signal(object)
    corrected = Signal(object)  # the text, or None: taken back
    again_wanted = Signal()
    retry_wanted = Signal()
    link = Signal(str)
    resized = Signal()

    def __init__(self, entry: Entry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.entry = entry
        self.may_ask_again = False
        self._shown_characters = SHOWN_CHARACTERS
        self._streamed_characters = 0
        self._shown_text: str | None = None
        self._original = False
        self._blocks: list[ProseView | CodeFrame] = []
        self._splitter: MarkdownSplitter | None = None  # while the reply is being written
        self._open_block = False  # the last widget shows what is still being written
        self._bubble = QRect()
        self._dots: Dots | None = None
        self._bar: ReplyBar | None = None
        self._note: _Note | None = None
        self._more: QPushButton | None = None
        self.editor: AnswerEditor | None = None
        self.show_entry(entry, may_ask_again=False)

    @property
    def is_question(self) -> bool:
        """Whether the person wrote it."""
        return self.entry.role is Role.USER

    @property
    def bar(self) -> ReplyBar | None:
        """What can be done with it, when something can."""
        return self._bar

    @property
    def note(self) -> _Note | None:
        """The sentence below it."""
        return self._note

    @property
    def blocks(self) -> tuple[ProseView | CodeFrame, ...]:
        """The pieces of its text."""
        return tuple(self._blocks)

    @property
    def must_stay(self) -> bool:
        """Whether something would be lost if it went away."""
        focused = cast("QWidget | None", self.window().focusWidget())
        return self.editor is not None or (
            focused is not None and (focused is self or self.isAncestorOf(focused))
        )

    def show_entry(self, entry: Entry, *, may_ask_again: bool) -> None:
        """Show a message, or what became of it; a reply that grows costs only what was added."""
        self.entry = entry
        self.may_ask_again = may_ask_again
        self.setAccessibleName(_spoken_name(entry))
        self._show_text()
        busy = entry.state in BUSY
        self._show_dots(visible=entry.state is ReplyState.WAITING)
        self._show_bar(visible=not self.is_question and not busy and bool(entry.text) and self.editor is None)
        self._show_note(entry)

    def begin_edit(self) -> None:
        """Open the editor over the answer."""
        if self.is_question or self.editor is not None or self.entry.state in BUSY or not self.entry.text:
            return
        editor = AnswerEditor(self.entry.shown_text, corrected=self.entry.correction is not None, parent=self)
        editor.saved.connect(self._end_edit)
        editor.taken_back.connect(lambda: self._end_edit(None))
        editor.cancelled.connect(self.end_edit)
        editor.resized.connect(self.resized)
        self.editor = editor
        if self._bar is not None:
            self._bar.hide()
        editor.show()
        self.resized.emit()
        editor.begin()

    def end_edit(self) -> None:
        """Close the editor and keep the answer as it is."""
        if self.editor is not None:
            self.editor.hide()
            self.editor.deleteLater()
            self.editor = None
            self.show_entry(self.entry, may_ask_again=self.may_ask_again)
            if self._bar is not None:
                self._bar.edit.setFocus(Qt.FocusReason.OtherFocusReason)
            self.resized.emit()

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self._shown_text = None
        self._splitter = None
        self._show_text()
        for block in self._blocks:
            if isinstance(block, CodeFrame):
                block.restyle()
        if self._bar is not None:
            self._bar.restyle()

    def focus_stops(self) -> list[QWidget]:
        """Return the controls in it in the order of the Tab key."""
        stops: list[QWidget] = [self]
        stops += [block.copy_button if isinstance(block, CodeFrame) else block for block in self._blocks]
        if self._more is not None:
            stops.append(self._more)
        if self._note is not None:
            stops.append(self._note.button)
        if self._bar is not None:
            bar = self._bar
            stops += [bar.copy, bar.like, bar.dislike, bar.edit, bar.again, bar.original]
        return stops

    def lay_out(self, width: int) -> int:
        """Put everything in its place for this width; return the height."""
        y = _ABOVE
        if self.is_question:
            y = self._lay_out_question(width, y)
        elif self.editor is not None:
            height = self.editor.sizeHint().height()
            self.editor.setGeometry(0, y, width, height)
            y += height + _BETWEEN
        else:
            for block in self._blocks:
                height = block.height_at(width)
                block.setGeometry(0, y, width, height)
                y += height + _BETWEEN
        for block in self._blocks:
            block.setVisible(self.editor is None)
        if self._more is not None:
            size = self._more.sizeHint()
            self._more.setGeometry(width - size.width() if self.is_question else 0, y, *size.toTuple())
            y += size.height() + _BETWEEN
        if self._dots is not None:
            self._dots.move(0, y)
            y += self._dots.height()
        if self._note is not None:
            height = self._note.height_at(width)
            self._note.setGeometry(0, y, width, height)
            y += height + _BETWEEN
        if self._bar is not None and self.editor is None:
            self._bar.setGeometry(-6, y - 4, width + 6, reply_bar.HEIGHT)
            y += reply_bar.HEIGHT - 4
        return y + (0 if self.is_question else _BELOW)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the bubble of a question, and the focus."""
        del event
        tokens = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.is_question:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("accent_soft"))
            painter.drawRoundedRect(self._bubble, 16, 16)
        if self.hasFocus():
            painter.setPen(QPen(tokens.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            area = (
                self._bubble.adjusted(-3, -3, 3, 3)
                if self.is_question
                else self.rect().adjusted(1, 3, -1, -7)
            )
            painter.drawRoundedRect(area, 14, 14)
        painter.end()

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Show the focus."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Show the focus no more."""
        super().focusOutEvent(event)
        self.update()

    # --- the text ---

    def _show_text(self) -> None:
        entry = self.entry
        text = entry.text if self._original or entry.role is Role.USER else entry.shown_text
        if entry.state in BUSY:
            self._stream(text)
            return
        whole = text
        if self._splitter is not None and text == self._shown_text and len(text) > _REJOINED_CHARACTERS:
            self._end_stream()
            return
        self._shown_characters = max(self._shown_characters, self._streamed_characters)
        text = text[: self._shown_characters]
        self._show_more(visible=len(whole) > len(text), rest=len(whole) - len(text))
        if text == self._shown_text and self._splitter is None:
            return
        self._splitter = None
        self._open_block = False
        self._shown_text = text
        blocks: tuple[Block, ...] = (Prose(text=text),) if self.is_question else split(text)
        self._keep_blocks(len(blocks) if text else 0)
        for place, block in enumerate(blocks if text else ()):
            self._show_block(place, block)

    def _stream(self, text: str) -> None:
        """Show the beginning of a reply; what was shown before is not done again."""
        shown = self._shown_text
        if self._splitter is None or shown is None or not text.startswith(shown):
            self._splitter = MarkdownSplitter()
            self._keep_blocks(0)
            self._open_block = False
            shown = ""
        self._splitter.feed(text[len(shown) :])
        self._shown_text = text
        for block in self._splitter.take():
            self._show_block(len(self._blocks) - self._open_block, block)
            self._open_block = False
        tail = self._splitter.tail
        if tail is not None:
            self._show_block(len(self._blocks) - self._open_block, tail)
            self._open_block = True

    def _end_stream(self) -> None:
        """Leave a long reply in the pieces in which it came: making it anew would be felt."""
        assert self._splitter is not None
        self._splitter.finish()
        for block in self._splitter.take():
            self._show_block(len(self._blocks) - self._open_block, block)
            self._open_block = False
        self._splitter = None
        self._streamed_characters = len(self._shown_text or "")

    def _show_block(self, place: int, block: Block) -> None:
        wanted = CodeFrame if isinstance(block, Code) else ProseView
        if place < len(self._blocks) and not isinstance(self._blocks[place], wanted):
            old = self._blocks[place]
            self._blocks[place] = self._new_block(wanted)
            old.hide()
            old.deleteLater()
        elif place >= len(self._blocks):
            self._blocks.append(self._new_block(wanted))
        view = self._blocks[place]
        if isinstance(view, CodeFrame) and isinstance(block, Code):
            view.show_code(block.text, block.language)
        elif isinstance(view, ProseView):
            if self.is_question:
                view.show_plain(block.text)
            else:
                view.show_markdown(block.text)

    def _new_block(self, kind: type[ProseView | CodeFrame]) -> ProseView | CodeFrame:
        view = kind(self)
        view.ensurePolished()  # so that the font is known before the text is laid out
        if isinstance(view, ProseView):
            view.link.connect(self.link)
            view.setAccessibleName(
                translate("Chat", "Your question")
                if self.is_question
                else translate("Chat", "Allie's answer")
            )
        view.show()
        return view

    def _keep_blocks(self, count: int) -> None:
        for block in self._blocks[count:]:
            block.hide()
            block.deleteLater()
        del self._blocks[count:]

    def _lay_out_question(self, width: int, y: int) -> int:
        if not self._blocks or not isinstance(self._blocks[0], ProseView):
            self._bubble = QRect()
            return y
        view = self._blocks[0]
        widest = int(width * _BUBBLE_SHARE) - 2 * _BUBBLE_PADDING
        inner = view.ideal_width(widest)
        height = view.height_at(inner)
        outer = inner + 2 * _BUBBLE_PADDING
        self._bubble = QRect(width - outer, y, outer, height + 20)
        # The space that a line has for itself is below its letters.
        view.setGeometry(width - outer + _BUBBLE_PADDING, y + 12, inner, height)
        return y + height + 20 + _BETWEEN

    # --- what stands below it ---

    def _show_more(self, *, visible: bool, rest: int) -> None:
        if visible and self._more is None:
            self._more = QPushButton(self)
            self._more.setProperty("kind", "link")
            self._more.clicked.connect(self._on_more)
            self._more.show()
        if self._more is not None:
            if visible:
                self._more.setText(
                    translate("Chat", "Show more ({count} more characters)").format(count=f"{rest:,}")
                )
            else:
                self._more.hide()
                self._more.deleteLater()
                self._more = None

    def _on_more(self) -> None:
        self._shown_characters += SHOWN_CHARACTERS
        self._show_text()
        self.resized.emit()

    def _show_dots(self, *, visible: bool) -> None:
        if visible and self._dots is None:
            self._dots = Dots(self)
            self._dots.setAccessibleName(translate("Chat", "Allie is about to answer"))
            self._dots.show()
        elif not visible and self._dots is not None:
            self._dots.hide()
            self._dots.deleteLater()
            self._dots = None

    def _show_bar(self, *, visible: bool) -> None:
        if visible and self._bar is None:
            bar = ReplyBar(self)
            bar.copy_wanted.connect(self._on_copy)
            bar.rated.connect(self.rated)
            bar.edit_wanted.connect(self.begin_edit)
            bar.again_wanted.connect(self.again_wanted)
            bar.original_wanted.connect(self._on_original)
            self._bar = bar
        if self._bar is not None:
            self._bar.setVisible(visible)
            if visible:
                again = (
                    self.may_ask_again and self.entry.state is not ReplyState.FAILED
                )  # that has its own button
                self._bar.show_entry(self.entry, may_ask_again=again, original=self._original)
            elif self.entry.state in BUSY:
                self._bar.deleteLater()
                self._bar = None

    def _show_note(self, entry: Entry) -> None:
        if not entry.note:
            if self._note is not None:
                self._note.hide()
                self._note.deleteLater()
                self._note = None
            return
        if self._note is None:
            self._note = _Note(self)
            self._note.button.clicked.connect(self.retry_wanted)
            self._note.show()
        failed = entry.state is ReplyState.FAILED
        self._note.show_note(entry.note, failed=failed, retry=failed and self.may_ask_again)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.entry.shown_text)
        self.copied.emit()

    def _on_original(self, original: bool) -> None:
        self._original = original
        self.show_entry(self.entry, may_ask_again=self.may_ask_again)
        self.resized.emit()

    def _end_edit(self, text: str | None) -> None:
        self._original = False
        unchanged = text is not None and text == self.entry.shown_text.strip()
        self.end_edit()
        if not unchanged:
            self.corrected.emit(text)


class _Note(QFrame):
    """A sentence below a reply; with a button where trying again may help."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("note")
        self.label = QLabel(self)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setWordWrap(True)
        self.button = QPushButton(translate("Chat", "Retry"), self)
        self.button.setAccessibleName(translate("Chat", "Ask this question again"))
        self._layout = QHBoxLayout(self)
        self._layout.setSpacing(12)
        self._layout.addWidget(self.label, 1)
        self._layout.addWidget(self.button)

    def show_note(self, sentence: str, *, failed: bool, retry: bool) -> None:
        """Say something."""
        self.label.setText(sentence)
        self.setAccessibleName(sentence)
        self.button.setVisible(retry)
        side = 14 if failed else 0
        self._layout.setContentsMargins(side, 8 if failed else 0, 10 if failed else 0, 8 if failed else 0)
        if self.property("failed") is not failed:
            self.setProperty("failed", failed)
            for widget in (self, self.label):
                widget.style().unpolish(widget)
                widget.style().polish(widget)

    def height_at(self, width: int) -> int:
        """Return the height that the sentence needs."""
        self._layout.activate()
        return max(self._layout.heightForWidth(width), self._layout.minimumSize().height())


def _spoken_name(entry: Entry) -> str:
    if entry.role is Role.USER:
        return translate("Chat", "Your question")
    if entry.state in BUSY:
        return translate("Chat", "Allie is answering")
    if entry.correction is not None:
        return translate("Chat", "Allie's answer, corrected by you")
    return translate("Chat", "Allie's answer")

"""The chat page: conversations on the left, the transcript and the field to type in on the right."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QAction,
    QCloseEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui import theme
from allie_desktop.ui.chat.composer import Composer
from allie_desktop.ui.chat.confirmations import Question, forget_question, link_question, rename_question
from allie_desktop.ui.chat.controls import IconButton
from allie_desktop.ui.chat.conversation_model import ConversationModel
from allie_desktop.ui.chat.conversation_panel import WIDTH, ConversationPanel
from allie_desktop.ui.chat.desk import LibraryDesk, OpenLibrary
from allie_desktop.ui.chat.dialogue import Entry
from allie_desktop.ui.chat.documents import monospace_family, visible
from allie_desktop.ui.chat.drafts import MemoryDrafts
from allie_desktop.ui.chat.ports import ChatServer, DraftStore
from allie_desktop.ui.chat.presenter import ChatPresenter, Standing
from allie_desktop.ui.chat.sheet import chat_sheet
from allie_desktop.ui.chat.transcript import COLUMN, Transcript
from allie_desktop.ui.icons import pixmap
from allie_desktop.ui.presenters.language import translate

_TOLD_MILLISECONDS = 8_000
_NARROW = 700


class ChatPage(QWidget):
    """Stands alone as a window or in another one. GUI thread; construction reads nothing from the disk.

    ``server`` is started when the page is first shown, ``open_library`` is called in a thread of its own.
    Call :meth:`shut` before the program ends.
    """

    asked = Signal()  # a question was sent

    def __init__(
        self,
        *,
        server: ChatServer,
        open_library: OpenLibrary,
        drafts: DraftStore | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("chatPage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWindowTitle(translate("Chat", "Allie"))
        self.setMinimumSize(420, 360)
        self.resize(1080, 740)
        self._begun = False
        self._shut = False
        self._narrow = False
        self._theme: theme.Theme | None = None
        self.desk = LibraryDesk(open_library, self)
        self.model = ConversationModel(self.desk, self)
        self.presenter = ChatPresenter(
            server=server, desk=self.desk, model=self.model, drafts=drafts or MemoryDrafts(), parent=self
        )
        self.panel = ConversationPanel(self.model, self)
        self.panel.setFixedWidth(WIDTH)
        self.transcript = Transcript(self)
        self.composer = Composer(self)
        self.header = _Header(self)
        self.status = _Status(self)
        self.welcome = _Welcome(self)
        self.question: Question | None = None
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.welcome)
        self._stack.addWidget(self.transcript)
        self._told = QTimer(self)
        self._told.setSingleShot(True)
        self._told.setInterval(_TOLD_MILLISECONDS)
        self._told.timeout.connect(self.status.untell)
        self._build()
        self._connect()
        self._restyle()

    def shut(self) -> None:
        """Keep what is typed and end the page's own thread. Twice is once."""
        if not self._shut:
            self._shut = True
            self.presenter.note_typed(self.composer.text)
            self.presenter.close()
            self.desk.close()

    # --- building ---

    def _build(self) -> None:
        hint = QLabel(translate("Chat", "Allie can be wrong. Correct an answer, and it learns from you."))
        hint.setObjectName("composerHint")
        hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._hint = hint
        lower = _Column(self)
        lower.column.setSpacing(8)
        lower.column.setContentsMargins(0, 4, 0, 10)
        lower.column.addWidget(self.status)
        lower.column.addWidget(self.composer)
        lower.column.addWidget(hint)
        main = QWidget(self)
        main.setObjectName("chatMain")
        main.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        right = QVBoxLayout(main)
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.header)
        right.addWidget(self.status.line)
        right.addWidget(self._stack, 1)
        right.addWidget(lower)
        self._line = QFrame(self)
        self._line.setObjectName("chatLine")
        self._line.setFixedWidth(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.panel)
        layout.addWidget(self._line)
        layout.addWidget(main, 1)

    def _connect(self) -> None:
        presenter = self.presenter
        presenter.shown.connect(self._on_shown)
        presenter.changed.connect(self._on_changed)
        presenter.draft.connect(self._on_draft)
        presenter.standing.connect(self.status.show_standing)
        presenter.told.connect(self._on_told)
        presenter.announced.connect(self._announce)
        self.composer.send_wanted.connect(self._on_send)
        self.composer.stop_wanted.connect(presenter.stop)
        self.composer.typed.connect(presenter.note_typed)
        self.composer.scroll_wanted.connect(self.transcript.keyPressEvent)
        self.transcript.rated.connect(presenter.rate)
        self.transcript.corrected.connect(presenter.correct)
        self.transcript.again_wanted.connect(presenter.ask_again)
        self.transcript.retry_wanted.connect(presenter.ask_again)
        self.transcript.copied.connect(lambda _place: self._announce(translate("Chat", "Copied")))
        self.transcript.link.connect(self._on_link)
        self.panel.chosen.connect(self._on_chosen)
        self.panel.new_wanted.connect(self._on_new)
        self.panel.menu_wanted.connect(self._open_menu)
        self.panel.left.connect(self._focus_composer)
        self.model.problem.connect(self._on_told)
        self.status.again.clicked.connect(presenter.wake)
        self.header.menu.clicked.connect(self._on_menu)
        self.header.side.clicked.connect(self._on_side)
        for keys, act in (
            (("Ctrl+N",), self._on_new),
            (("Ctrl+K", "Ctrl+F"), self._on_search),
            (("Ctrl+Up",), lambda: self.panel.step(-1)),
            (("Ctrl+Down",), lambda: self.panel.step(1)),
            (("Ctrl+Shift+C",), self._on_copy_last),
            (("Ctrl+L",), self._focus_composer),
            (("Ctrl+Shift+Up",), self.transcript.focus_last),
        ):
            action = QAction(self)
            action.setShortcuts([QKeySequence(key) for key in keys])
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            action.triggered.connect(act)
            self.addAction(action)

    # --- Qt ---

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Begin when first seen; have the chat process ready whenever seen."""
        super().showEvent(event)
        if not self._begun:
            self._begun = True
            # After the first picture: the window is there at once, whatever the rest takes.
            QTimer.singleShot(0, self._begin)
        elif not self._shut:
            self.presenter.wake()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Give a narrow window to the conversation."""
        narrow = event.size().width() < _NARROW
        if narrow is not self._narrow:
            self._narrow = narrow
            self.panel.setVisible(not narrow)
            self._line.setVisible(not narrow)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """A window of its own keeps what is typed; the tray may show it again."""
        self.presenter.note_typed(self.composer.text)
        super().closeEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Esc stops a reply from wherever the keyboard is."""
        if event.key() == Qt.Key.Key_Escape:
            self.presenter.stop()
            self._focus_composer()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.ApplicationPaletteChange):
            self._restyle()

    def _begin(self) -> None:
        if not self._shut:
            self.presenter.begin()
            self.presenter.wake()
            self._focus_composer()

    def _restyle(self) -> None:
        tokens = theme.current()
        if tokens is self._theme or not hasattr(self, "_line"):
            return
        self._theme = tokens
        points = max(9.0, QApplication.font().pointSizeF())
        self.setStyleSheet(chat_sheet(tokens, points, monospace_family()))
        self.panel.restyle()
        self.header.restyle()
        self.welcome.update()
        self.composer.restyle()
        self.transcript.restyle()

    # --- what happens ---

    def _on_shown(self) -> None:
        session = self.presenter.session
        dialogue = session.dialogue
        empty = not dialogue.entries
        focused = QApplication.focusWidget()
        if focused is not None and self.transcript.isAncestorOf(focused):
            self._focus_composer()  # what has the focus is about to go away
        self._stack.setCurrentWidget(self.welcome if empty else self.transcript)
        self.transcript.show_entries(dialogue.entries, may_ask_again=dialogue.can_ask_again())
        self.panel.select("" if session.is_new else session.id)
        self._show_state()

    def _on_changed(self) -> None:
        dialogue = self.presenter.session.dialogue
        self.transcript.refresh(dialogue.entries, may_ask_again=dialogue.can_ask_again())
        self._show_state()

    def _show_state(self) -> None:
        session = self.presenter.session
        self.composer.set_busy(busy=session.dialogue.is_busy)
        entries = session.dialogue.entries
        self.status.mute(entries[-1].note if entries else "")
        title = translate("Chat", "New chat") if session.is_new else session.title
        self.header.show_title(title, excluded=session.excluded, with_menu=not session.is_new)

    def _on_draft(self, text: str) -> None:
        self.composer.show_text(text)

    def _on_send(self) -> None:
        if not self.presenter.session.dialogue.is_busy:
            text = self.composer.take()
            self.presenter.send(text)
            self.transcript.to_bottom()
            self.asked.emit()

    def _on_new(self) -> None:
        if self._may_leave():
            self.presenter.note_typed(self.composer.text)
            self.presenter.new_chat()
            self._focus_composer()

    def _on_chosen(self, row: ConversationRow) -> None:
        if self._may_leave():
            self.presenter.note_typed(self.composer.text)
            self.presenter.open(row)
        else:
            self.panel.select(self.presenter.session.id)

    def _may_leave(self) -> bool:
        """A correction that is being written is not thrown away by a click elsewhere."""
        view = self.transcript.unsaved()
        if view is None or view.editor is None:
            return True
        self._on_told(translate("Chat", "Save or cancel your correction first."))
        view.editor.begin()
        return False

    def _on_search(self) -> None:
        self.panel.show()
        self.panel.focus_search()

    def _on_side(self) -> None:
        self.panel.setVisible(self.panel.isHidden())
        self._line.setVisible(not self.panel.isHidden())

    def _on_copy_last(self) -> None:
        dialogue = self.presenter.session.dialogue
        place = dialogue.last_reply()
        if place is not None:
            entry: Entry = dialogue.entries[place]
            QGuiApplication.clipboard().setText(entry.shown_text)
            self._announce(translate("Chat", "The last answer is copied."))

    def _on_link(self, address: str) -> None:
        self._ask(link_question(address, self, visit=self.visit))

    @staticmethod
    def visit(url: QUrl) -> object:
        """Open an address that the person agreed to."""
        from PySide6.QtGui import QDesktopServices

        return QDesktopServices.openUrl(url)

    def _ask(self, question: Question) -> None:
        self.question = question
        question.finished.connect(self._on_answered)
        question.open()

    def _on_answered(self) -> None:
        self.question = None

    def _on_menu(self) -> None:
        session = self.presenter.session
        place = self.model.row_of(session.id)
        row = self.model.at(place) if place is not None else None
        where = self.header.menu.mapToGlobal(QPoint(0, self.header.menu.height() + 4))
        self._menu_for(session.id, row.title if row else session.title, session.excluded, where)

    def _open_menu(self, row: ConversationRow, where: QPoint) -> None:
        self._menu_for(row.id, row.title, row.excluded, where)

    def _menu_for(self, conversation_id: str, title: str, excluded: bool, where: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(translate("Chat", "Rename…")).triggered.connect(
            lambda: self._ask(
                rename_question(title, self, lambda new: self.presenter.rename(conversation_id, new))
            )
        )
        learn = menu.addAction(
            translate("Chat", "Let Allie learn from it again")
            if excluded
            else translate("Chat", "Exclude from learning")
        )
        learn.triggered.connect(lambda: self.presenter.exclude(conversation_id, excluded=not excluded))
        menu.addSeparator()
        menu.addAction(translate("Chat", "Forget…")).triggered.connect(
            lambda: self.forget(conversation_id, title)
        )
        menu.popup(where)

    def forget(self, conversation_id: str, title: str) -> None:
        """Ask whether a conversation is to be forgotten, and do it when the person agrees."""

        def ask(versions: tuple[str, ...]) -> None:
            question = forget_question(title, versions, self)
            question.accepted.connect(lambda: self.presenter.forget(conversation_id))
            self._ask(question)

        self.presenter.ask_learnt_by(conversation_id, ask)

    def _on_told(self, sentence: str) -> None:
        self.status.tell(sentence)
        self._announce(sentence)
        self._told.start()

    def _announce(self, sentence: str) -> None:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, sentence))

    def _focus_composer(self) -> None:
        self.composer.field.setFocus(Qt.FocusReason.OtherFocusReason)


class _Column(QWidget):
    """Keeps its content as wide as the column of text, and in the middle."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        inner = QWidget(self)
        inner.setMaximumWidth(COLUMN + 36)
        self.column = QVBoxLayout(inner)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(12, 0, 12, 0)
        outer.addStretch(1)
        outer.addWidget(inner, 1000)
        outer.addStretch(1)


class _Header(QWidget):
    """The title of the conversation and what can be done with it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedHeight(52)
        self.side = IconButton(
            "chat-list", translate("Chat", "Show or hide the conversations"), self, size=34
        )
        self._title = QLabel(self)
        self._title.setObjectName("chatTitle")
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._excluded = QLabel(translate("Chat", "Not learnt from"), self)
        self._excluded.setProperty("kind", "badge")
        self._excluded.setProperty("tone", "warning")
        self.menu = IconButton("chat-menu", translate("Chat", "More about this conversation"), self, size=34)
        self._whole = ""
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 14, 0)
        layout.setSpacing(8)
        layout.addWidget(self.side)
        layout.addWidget(self._title, 1)
        layout.addWidget(self._excluded)
        layout.addWidget(self.menu)

    def show_title(self, title: str, *, excluded: bool, with_menu: bool) -> None:
        """Show which conversation is open."""
        self._whole = visible(" ".join(title.split()))
        self._excluded.setVisible(excluded)
        self.menu.setVisible(with_menu)
        self._elide()

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self.side.restyle()
        self.menu.restyle()

    def resizeEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Cut the title where the place ends."""
        del event
        self._elide()

    def _elide(self) -> None:
        room = max(80, self.width() - 130 - (140 if self._excluded.isVisibleTo(self) else 0))
        shown = self._title.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, room)
        self._title.setText(shown)
        self._title.setToolTip(self._whole if shown != self._whole else "")


class _Status(QWidget):
    """How the chat process is: a line that moves while it loads, a sentence when something is wrong."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("status")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.line = QProgressBar(parent)
        self.line.setObjectName("loading")
        self.line.setTextVisible(False)
        self.line.setRange(0, 1)
        self.line.setFixedHeight(3)
        self.line.setAccessibleName(translate("Chat", "Loading"))
        self.label = QLabel(self)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setWordWrap(True)
        self.again = QPushButton(translate("Chat", "Try again"), self)
        self._layout = QHBoxLayout(self)
        self._layout.setSpacing(12)
        self._layout.addWidget(self.label, 1)
        self._layout.addWidget(self.again)
        self._standing = (Standing.WELL, "")
        self._sentence = ""
        self._muted = ""
        self._show()

    def show_standing(self, standing: Standing, sentence: str) -> None:
        """Say how the chat process is."""
        if (standing, sentence) != self._standing:
            self._standing = (standing, sentence)
            self._show()

    def mute(self, sentence: str) -> None:
        """Do not say what stands below the last answer already."""
        if sentence != self._muted:
            self._muted = sentence
            self._show()

    def tell(self, sentence: str) -> None:
        """Say something for a while."""
        self._sentence = sentence
        self._show()

    def untell(self) -> None:
        """Say it no more."""
        self._sentence = ""
        self._show()

    def _show(self) -> None:
        standing, sentence = self._standing
        if sentence == self._muted:
            sentence = ""
        busy = standing in (Standing.STARTING, Standing.LOADING)
        self.line.setRange(0, 0 if busy else 1)
        self.line.setValue(0)
        failed = standing is Standing.FAILED or bool(self._sentence)
        shown = self._sentence or sentence
        self.label.setText(shown)
        self.setAccessibleName(shown)
        self.again.setVisible(standing is Standing.FAILED and bool(sentence) and not self._sentence)
        side, upper = (14, 8) if failed else (18, 0)
        self._layout.setContentsMargins(side, upper, side, upper)
        self.setVisible(bool(shown))
        if self.property("failed") is not failed:
            self.setProperty("failed", failed)
            for widget in (self, self.label):
                widget.style().unpolish(widget)
                widget.style().polish(widget)


class _Welcome(QWidget):
    """What an empty conversation shows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._mark = _Mark(self)
        title = QLabel(translate("Chat", "What can I help with?"))
        title.setObjectName("welcome")
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        title.setWordWrap(True)
        text = QLabel(
            translate(
                "Chat",
                "Allie runs on this computer, and nothing you write leaves it. What you correct, it learns "
                "while you are away.",
            )
        )
        text.setObjectName("welcomeText")
        text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        text.setWordWrap(True)
        text.setMaximumWidth(460)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(32, 0, 32, 0)
        layout.setSpacing(14)
        layout.addStretch(5)
        layout.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(title)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(text, 1000)
        row.addStretch(1)
        layout.addLayout(row)
        layout.addStretch(6)


class _Mark(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFixedSize(64, 64)
        self.setAccessibleName("Allie")

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        del event
        tokens = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tokens.color("accent_soft"))
        painter.drawRoundedRect(self.rect(), 20, 20)
        painter.drawPixmap(14, 14, pixmap("chat-mark", tokens.accent, 36, self.devicePixelRatioF()))
        painter.end()

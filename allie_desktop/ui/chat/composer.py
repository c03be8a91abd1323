"""The field to type in, with the button that sends or stops."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QMimeData, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS
from allie_desktop.ui import theme
from allie_desktop.ui.icons import icon
from allie_desktop.ui.presenters.language import translate

_MOST_LINES = 9
_DRAFT_MILLISECONDS = 300


class Composer(QFrame):
    """Enter sends, Shift+Enter begins a line. The text stays until :meth:`take` is called."""

    send_wanted = Signal()
    stop_wanted = Signal()
    typed = Signal(str)  # some moment after the last key
    scroll_wanted = Signal(QKeyEvent)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("composer")
        self._busy = False
        self.field = _Field(self)
        self.field.textChanged.connect(self._on_text)
        self.field.entered.connect(self._on_enter)
        self.field.escaped.connect(self._on_escape)
        self.field.paged.connect(self.scroll_wanted)
        self.field.installEventFilter(self)
        self.button = QToolButton(self)
        self.button.setObjectName("send")
        self.button.setFixedSize(34, 34)
        self.button.setIconSize(QSize(18, 18))
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button.clicked.connect(self._on_button)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.addStretch(1)
        column.addWidget(self.button)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(18, 8, 8, 8)
        layout.setSpacing(10)
        layout.addWidget(self.field, 1)
        layout.addLayout(column)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_DRAFT_MILLISECONDS)
        self._later.timeout.connect(lambda: self.typed.emit(self.text))
        self.set_busy(busy=False)

    @property
    def text(self) -> str:
        """What is typed."""
        return self.field.toPlainText()

    def show_text(self, text: str) -> None:
        """Put another text in, with the cursor at its end."""
        if text != self.text:
            self.field.setPlainText(text)
            self.field.moveCursor(QTextCursor.MoveOperation.End)
        self._later.stop()

    def take(self) -> str:
        """Return the text and empty the field."""
        text = self.text.strip()
        self.field.clear()
        self._later.stop()
        return text

    def set_busy(self, *, busy: bool) -> None:
        """Send, or stop what is being written."""
        self._busy = busy
        name = translate("Chat", "Stop the answer") if busy else translate("Chat", "Send")
        self.button.setAccessibleName(name)
        self.button.setToolTip(
            translate("Chat", "Stop the answer (Esc)") if busy else translate("Chat", "Send (Enter)")
        )
        self._enable()

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self._enable()
        self.field.fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Show on the frame that the field has the focus."""
        if watched is self.field and event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.setProperty("active", event.type() == QEvent.Type.FocusIn)
            self.style().unpolish(self)
            self.style().polish(self)
        return super().eventFilter(watched, event)

    def _enable(self) -> None:
        length = len(self.text)
        possible = self._busy or (bool(self.text.strip()) and length <= MAXIMUM_TURN_CHARACTERS)
        self.button.setEnabled(possible)
        tokens = theme.current()
        color = tokens.on_accent if possible else tokens.text_faint
        self.button.setIcon(icon("chat-stop" if self._busy else "chat-send", color, 18))

    def _on_text(self) -> None:
        self._enable()
        self._later.start()

    def _on_enter(self) -> None:
        if not self._busy and self.button.isEnabled():
            self.send_wanted.emit()

    def _on_escape(self) -> None:
        if self._busy:
            self.stop_wanted.emit()

    def _on_button(self) -> None:
        if self._busy:
            self.stop_wanted.emit()
        else:
            self.send_wanted.emit()
        self.field.setFocus(Qt.FocusReason.OtherFocusReason)


class _Field(QPlainTextEdit):
    entered = Signal()
    escaped = Signal()
    paged = Signal(QKeyEvent)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("composerText")
        self.setTabChangesFocus(True)
        self.setPlaceholderText(translate("Chat", "Ask Allie something"))
        self.setAccessibleName(translate("Chat", "Your message"))
        self.setAccessibleDescription(translate("Chat", "Enter sends, Shift and Enter begin a new line"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self.document().documentLayout().documentSizeChanged.connect(lambda _size: self.fit())
        self.fit()

    def fit(self) -> None:
        """Be as high as the text, up to some lines."""
        line = self.fontMetrics().lineSpacing()
        lines = max(1, min(_MOST_LINES, int(self.document().size().height())))
        self.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAsNeeded
            if self.document().size().height() > _MOST_LINES
            else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        # One line stands in the middle of the button's height.
        upper = max(0, (34 - line) // 2)
        self.setViewportMargins(0, upper, 0, upper)
        self.setFixedHeight(max(34, lines * line + 2 * upper))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        key, modifiers = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not modifiers:
            self.entered.emit()
        elif key == Qt.Key.Key_Escape:
            self.escaped.emit()
        elif key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown) and not modifiers:
            self.paged.emit(event)
        else:
            super().keyPressEvent(event)

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802 - Qt's name
        """Take plain text only."""
        if source.hasText():
            self.insertPlainText(source.text())

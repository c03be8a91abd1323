"""Where a person writes what a reply should have been."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS
from allie_desktop.ui.presenters.language import translate

_FEWEST_LINES, _MOST_LINES = 3, 16


class AnswerEditor(QFrame):
    """An answer to be put right; the edit becomes the correction."""

    saved = Signal(str)
    taken_back = Signal()
    cancelled = Signal()
    resized = Signal()

    def __init__(self, text: str, *, corrected: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("editor")
        self._text = _Field(self)
        self._text.setObjectName("editorText")
        self._text.setAccessibleName(translate("Chat", "Your correction of the answer"))
        self._text.setPlainText(text)
        self._text.textChanged.connect(self._on_text)
        self._text.confirmed.connect(self._on_save)
        self._text.left.connect(self.cancelled)
        hint = QLabel(translate("Chat", "Write what Allie should have answered. It learns this next time."))
        hint.setProperty("kind", "small")
        hint.setWordWrap(True)
        self._save = QPushButton(translate("Chat", "Save correction"))
        self._save.setProperty("kind", "primary")
        self._save.setToolTip(translate("Chat", "Ctrl+Enter"))
        self._save.clicked.connect(self._on_save)
        cancel = QPushButton(translate("Chat", "Cancel"))
        cancel.setToolTip(translate("Chat", "Esc"))
        cancel.clicked.connect(self.cancelled)
        self.take_back = QPushButton(translate("Chat", "Take correction back"))
        self.take_back.setProperty("kind", "quiet")
        self.take_back.setVisible(corrected)
        self.take_back.clicked.connect(self.taken_back)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.take_back)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self._save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(hint)
        layout.addWidget(self._text)
        layout.addLayout(buttons)
        self._first = text
        self._fit()

    @property
    def text(self) -> str:
        """What is written."""
        return self._text.toPlainText()

    @property
    def changed(self) -> bool:
        """Whether something would be lost by closing it."""
        return self.text != self._first

    def begin(self) -> None:
        """Put the cursor at the end."""
        self._text.moveCursor(QTextCursor.MoveOperation.End)
        self._text.setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_text(self) -> None:
        self._save.setEnabled(bool(self.text.strip()) and len(self.text) <= MAXIMUM_TURN_CHARACTERS)
        self._fit()

    def _on_save(self) -> None:
        if self._save.isEnabled():
            self.saved.emit(self.text.strip())

    def _fit(self) -> None:
        wrapped = int(self._text.document().size().height())
        lines = max(_FEWEST_LINES, min(_MOST_LINES, wrapped))
        height = lines * self._text.fontMetrics().lineSpacing() + 26
        if height != self._text.height():
            self._text.setFixedHeight(height)
            self.resized.emit()


class _Field(QPlainTextEdit):
    confirmed = Signal()
    left = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setTabChangesFocus(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.confirmed.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

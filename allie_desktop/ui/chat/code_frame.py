"""A code block in a frame of its own, with its language and a button that copies it."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent, QPen, QResizeEvent, QTextCursor, QWheelEvent
from PySide6.QtWidgets import QFrame, QLabel, QPlainTextEdit, QToolButton, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.chat.documents import visible
from allie_desktop.ui.icons import icon
from allie_desktop.ui.presenters.language import translate

_HEADER = 34
_PADDING = 12
_COPIED_MILLISECONDS = 1600


class CodeFrame(QFrame):
    """Code, as high as it needs to be; long lines scroll sideways."""

    copied = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("codeFrame")
        self.setAccessibleName(translate("Chat", "Code"))
        self._text = ""
        self._language = QLabel(self)
        self._language.setObjectName("codeLanguage")
        self._language.setTextFormat(Qt.TextFormat.PlainText)
        self._button = QToolButton(self)
        self._button.setObjectName("codeCopy")
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setIconSize(QSize(14, 14))
        self._button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._button.setCursor(Qt.CursorShape.PointingHandCursor)
        self._button.setAccessibleName(translate("Chat", "Copy this code"))
        self._button.clicked.connect(self._on_copy)
        self._edit = _CodeText(self)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(lambda: self._label_button(copied=False))
        self._label_button(copied=False)

    @property
    def code(self) -> str:
        """The code that is shown."""
        return self._text

    @property
    def copy_button(self) -> QToolButton:
        """The button that copies the code."""
        return self._button

    def show_code(self, text: str, language: str) -> None:
        """Show code; when it goes on from what is shown, only the rest is added."""
        self._language.setText(language or translate("Chat", "code"))
        if self._text and text.startswith(self._text):
            added = text[len(self._text) :]
            if added:
                cursor = self._edit.textCursor()
                keep = cursor.hasSelection()
                writing = QTextCursor(self._edit.document())
                writing.movePosition(QTextCursor.MoveOperation.End)
                writing.insertText(visible(added))
                if not keep:
                    self._edit.horizontalScrollBar().setValue(0)
        else:
            self._edit.setPlainText(visible(text))
        self._text = text

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self._label_button(copied=self._again.isActive())

    def height_at(self, width: int) -> int:
        """Return the height that the code needs."""
        return _HEADER + self._edit.needed_height(width - 2 * _PADDING) + _PADDING

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Put the parts in their places."""
        del event
        button = self._button.sizeHint()
        width = self.width()
        self._language.setGeometry(QRect(_PADDING + 2, 0, width // 2, _HEADER))
        self._button.setGeometry(QRect(width - button.width() - 5, (_HEADER - 26) // 2, button.width(), 26))
        self._edit.setGeometry(
            QRect(_PADDING, _HEADER + 6, width - 2 * _PADDING, self.height() - _HEADER - 8)
        )

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the frame and the line under the header."""
        del event
        tokens = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(tokens.color("border"), 1))
        painter.setBrush(tokens.color("surface"))
        area = self.rect().toRectF().adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(area, theme.RADIUS_CARD, theme.RADIUS_CARD)
        painter.drawLine(1, _HEADER, self.width() - 2, _HEADER)
        painter.end()

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)
        self.copied.emit(self._text)
        self._label_button(copied=True)
        self._again.start(_COPIED_MILLISECONDS)

    def _label_button(self, *, copied: bool) -> None:
        tokens = theme.current()
        name, color = ("chat-check", tokens.success) if copied else ("chat-copy", tokens.text_soft)
        self._button.setIcon(icon(name, color, 16))
        self._button.setText(translate("Chat", "Copied") if copied else translate("Chat", "Copy"))
        button = self._button.sizeHint()
        self._button.setGeometry(
            QRect(self.width() - button.width() - 5, (_HEADER - 26) // 2, button.width(), 26)
        )


class _CodeText(QPlainTextEdit):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("codeText")
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUndoRedoEnabled(False)
        self.setTabStopDistance(4 * self.fontMetrics().horizontalAdvance(" "))
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(translate("Chat", "Code"))

    def needed_height(self, width: int) -> int:
        lines = self.blockCount() * self.fontMetrics().lineSpacing()
        # Where lines do not fit, the scroll bar needs its own place.
        wide = self.document().documentLayout().documentSize().width() > width
        return int(lines) + (16 if wide else 2) + 8

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        sideways = event.angleDelta().x() or event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if sideways:
            super().wheelEvent(event)
        else:
            event.ignore()

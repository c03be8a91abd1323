"""Questions that the chat window asks before something happens that cannot be taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.ui.chat.documents import visible
from allie_desktop.ui.presenters.language import translate

_SCHEMES = frozenset({"http", "https", "mailto"})
_SHOWN_ADDRESS = 1200


class Question(QDialog):
    """A heading, sentences, and two buttons; Esc and Enter mean the harmless one. Opens without blocking."""

    def __init__(self, heading: str, parent: QWidget | None, *, width: int = 460) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(heading)
        self.setModal(True)
        self.setFixedWidth(width)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(24, 22, 24, 20)
        self.column.setSpacing(12)
        title = QLabel(heading)
        title.setProperty("kind", "heading")
        title.setTextFormat(Qt.TextFormat.PlainText)
        title.setWordWrap(True)
        self.column.addWidget(title)

    def say(self, sentence: str, kind: str = "") -> QLabel:
        """Add a sentence."""
        label = QLabel(sentence)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        if kind:
            label.setProperty("kind", kind)
        self.column.addWidget(label)
        return label

    def end(self, do: QPushButton, leave: QPushButton, *others: QPushButton) -> None:
        """Add the row of buttons."""
        row = QHBoxLayout()
        row.setSpacing(8)
        row.setContentsMargins(0, 10, 0, 0)
        for button in others:
            button.setAutoDefault(False)
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(leave)
        row.addWidget(do)
        do.setAutoDefault(False)
        leave.setDefault(True)
        leave.clicked.connect(self.reject)
        self.column.addLayout(row)
        leave.setFocus()


def link_question(
    address: str, parent: QWidget | None, *, visit: Callable[[QUrl], object] | None = None
) -> Question:
    """Return the question whether an address is to be opened. ``visit`` opens it (default: the browser)."""
    url = QUrl(address)
    opens = url.isValid() and url.scheme().lower() in _SCHEMES
    shown = visible(url.toString(QUrl.ComponentFormattingOption.FullyEncoded) or address)
    if len(shown) > _SHOWN_ADDRESS:
        shown = f"{shown[:_SHOWN_ADDRESS]}…"
    heading = (
        translate("Chat", "Open this address?") if opens else translate("Chat", "This address is not opened")
    )
    question = Question(heading, parent, width=520)
    question.say(
        translate("Chat", "It leads out of Allie, into your browser. The answer chose it, nobody checked it.")
        if opens
        else translate("Chat", "Allie opens web and mail addresses only."),
        "soft",
    )
    well = QFrame()
    well.setProperty("role", "well")
    inside = QVBoxLayout(well)
    inside.setContentsMargins(12, 10, 12, 10)
    label = QLabel("\u200b".join(_pieces(shown)))
    label.setObjectName("address")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAccessibleName(shown)
    inside.addWidget(label)
    question.column.addWidget(well)
    copy = QPushButton(translate("Chat", "Copy address"))
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(shown))
    do = QPushButton(translate("Chat", "Open"))
    do.setProperty("kind", "primary")
    do.setVisible(opens)
    do.clicked.connect(lambda: (visit or QDesktopServices.openUrl)(url))
    do.clicked.connect(question.accept)
    question.end(do, QPushButton(translate("Chat", "Do not open")), copy)
    return question


def forget_question(title: str, versions: Sequence[str], parent: QWidget | None) -> Question:
    """Return the question whether a conversation is to be forgotten; ``accepted`` means yes."""
    question = Question(translate("Chat", "Forget this conversation?"), parent)
    question.say(f"“{_shortened(title)}”", "soft")
    question.say(
        translate(
            "Chat",
            "All its messages, with your ratings and corrections, are deleted from this computer, and so are "
            "the records of learning episodes that hold its words. This cannot be undone.",
        )
    )
    if versions:
        question.say(
            translate(
                "Chat",
                "Learnt from it: {versions}. What they learnt stays in them until the next episode, which builds a "
                "version without it.",
            ).format(versions=", ".join(versions))
        )
    else:
        question.say(translate("Chat", "No version has learnt from it."))
    do = QPushButton(translate("Chat", "Forget"))
    do.setProperty("kind", "danger-primary")
    do.clicked.connect(question.accept)
    question.end(do, QPushButton(translate("Chat", "Keep it")))
    return question


def rename_question(title: str, parent: QWidget | None, rename: Callable[[str], object]) -> Question:
    """Return the question for a title."""
    question = Question(translate("Chat", "Rename this conversation"), parent)
    field = QLineEdit(_shortened(title))
    field.setMaxLength(200)
    field.setAccessibleName(translate("Chat", "Title of the conversation"))
    field.selectAll()
    question.column.addWidget(field)
    do = QPushButton(translate("Chat", "Rename"))
    do.setProperty("kind", "primary")
    do.clicked.connect(lambda: rename(field.text()))
    do.clicked.connect(question.accept)
    question.end(do, QPushButton(translate("Chat", "Cancel")))
    do.setDefault(True)
    field.setFocus()
    return question


def _shortened(title: str) -> str:
    line = visible(" ".join(title.split()))
    return line if len(line) <= 120 else f"{line[:119]}…"


def _pieces(text: str) -> list[str]:
    """Cut where a long address may be wrapped."""
    return [text[start : start + 8] for start in range(0, len(text), 8)]

"""Asking before something that cannot be taken back, or not easily."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLineEdit, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.windows.pieces import button, column, row, text


class Confirmation(QDialog):
    """A sentence of what will happen, and two buttons. With ``word`` it must be typed first.

    The safe button has the focus, and Escape is no.
    """

    def __init__(
        self,
        parent: QWidget | None,
        *,
        title: str,
        sentence: str,
        action: str,
        keep: str = "",
        word: str = "",
        dangerous: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setModal(True)
        self.setMinimumWidth(440)
        self._word = word
        self._keep = button(keep or self.tr("Cancel"), self.reject)
        self._action = button(action, self.accept, "danger-primary" if dangerous else "primary")
        items: list[QWidget] = [text(title, "heading"), text(sentence)]
        self.field: QLineEdit | None = None
        if word:
            ask = self.tr("Type “{word}” to confirm:").format(word=word)
            label = text(ask, "soft")
            self.field = QLineEdit()
            self.field.setAccessibleName(ask)
            label.setBuddy(self.field)
            self.field.textChanged.connect(self._on_typed)
            items += [label, self.field]
            self._action.setEnabled(False)
        layout = column(*items, spacing=theme.SPACE_3)
        layout.addSpacing(theme.SPACE_2)
        layout.addLayout(row(1, self._keep, self._action))
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        self.setLayout(layout)
        (self.field or self._keep).setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_typed(self, typed: str) -> None:
        self._action.setEnabled(typed.strip().casefold() == self._word.casefold())


def confirmed(
    parent: QWidget,
    *,
    title: str,
    sentence: str,
    action: str,
    keep: str = "",
    word: str = "",
    dangerous: bool = False,
) -> bool:
    """Ask, and return whether the person said yes."""
    question = Confirmation(
        parent, title=title, sentence=sentence, action=action, keep=keep, word=word, dangerous=dangerous
    )
    try:
        return question.exec() == QDialog.DialogCode.Accepted
    finally:
        question.deleteLater()

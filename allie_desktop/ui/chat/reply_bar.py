"""What can be done with a reply, in one row below it."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from allie_desktop.domain.versions import BASE
from allie_desktop.ui.chat.controls import IconButton
from allie_desktop.ui.chat.dialogue import Entry
from allie_desktop.ui.presenters.language import translate

HEIGHT = 34
_COPIED_MILLISECONDS = 1600


class ReplyBar(QWidget):
    """Buttons of one reply; says what was wanted and changes nothing by itself."""

    copy_wanted = Signal()
    rated = Signal(object)  # 1, -1, or None: take it back
    edit_wanted = Signal()
    again_wanted = Signal()
    original_wanted = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entry: Entry | None = None
        self.copy = IconButton("chat-copy", translate("Chat", "Copy this answer"), self)
        self.like = IconButton("chat-like", translate("Chat", "Good answer"), self)
        self.dislike = IconButton("chat-dislike", translate("Chat", "Bad answer"), self)
        self.edit = IconButton("chat-edit", translate("Chat", "Correct this answer"), self)
        self.again = IconButton("chat-again", translate("Chat", "Answer again"), self)
        self._corrected = QLabel(translate("Chat", "Corrected by you"), self)
        self._corrected.setProperty("kind", "badge")
        self._corrected.setProperty("tone", "success")
        self.original = QPushButton(self)
        self.original.setProperty("kind", "link")
        self.original.setCheckable(True)
        self.original.clicked.connect(self._on_original)
        self.version = QLabel(self)
        self.version.setObjectName("version")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)
        for button in (self.copy, self.like, self.dislike, self.edit, self.again):
            layout.addWidget(button)
        layout.addSpacing(8)
        layout.addWidget(self._corrected)
        layout.addWidget(self.original)
        layout.addStretch(1)
        layout.addWidget(self.version)
        self.copy.clicked.connect(self._on_copy)
        self.like.clicked.connect(lambda: self._on_rate(1))
        self.dislike.clicked.connect(lambda: self._on_rate(-1))
        self.edit.clicked.connect(self.edit_wanted)
        self.again.clicked.connect(self.again_wanted)
        self._copied = QTimer(self)
        self._copied.setSingleShot(True)
        self._copied.timeout.connect(lambda: self.copy.show_picture("chat-copy"))

    def show_entry(self, entry: Entry, *, may_ask_again: bool, original: bool) -> None:
        """Show how the person finds it so far."""
        self._entry = entry
        liked, disliked = entry.rating == 1, entry.rating == -1
        self.like.show_picture("chat-liked" if liked else "chat-like", "success" if liked else "text_soft")
        self.dislike.show_picture(
            "chat-disliked" if disliked else "chat-dislike", "danger" if disliked else "text_soft"
        )
        self.like.rename(
            translate("Chat", "Good answer: chosen, press to take it back")
            if liked
            else translate("Chat", "Good answer")
        )
        self.dislike.rename(
            translate("Chat", "Bad answer: chosen, press to take it back")
            if disliked
            else translate("Chat", "Bad answer")
        )
        self.again.setVisible(may_ask_again)
        corrected = entry.correction is not None
        self._corrected.setVisible(corrected)
        self.original.setVisible(corrected)
        self.original.setChecked(original)
        self.original.setText(
            translate("Chat", "Show correction") if original else translate("Chat", "Show original")
        )
        version = translate("Chat", "base model") if entry.version == BASE else entry.version
        self.version.setText(version)
        self.version.setToolTip(translate("Chat", "The version that answered") if version else "")
        self.version.setAccessibleName(
            translate("Chat", "Answered by {version}").format(version=version) if version else ""
        )

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        for button in (self.copy, self.like, self.dislike, self.edit, self.again):
            button.restyle()

    def _on_rate(self, rating: int) -> None:
        if self._entry is not None:
            self.rated.emit(None if self._entry.rating == rating else rating)

    def _on_copy(self) -> None:
        self.copy.show_picture("chat-check", "success")
        self._copied.start(_COPIED_MILLISECONDS)
        self.copy_wanted.emit()

    def _on_original(self) -> None:
        self.original_wanted.emit(self.original.isChecked())

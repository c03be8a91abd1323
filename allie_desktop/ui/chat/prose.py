"""Text of a message: selectable, with links that say where they lead before anything opens."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

from allie_desktop.ui import theme
from allie_desktop.ui.chat.documents import SafeDocument, fill_markdown, fill_plain


class ProseView(QTextBrowser):
    """A piece of text as high as it needs to be; it never scrolls. Whoever shows it lays it out."""

    link = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("prose")
        document = SafeDocument(self)
        document.setDocumentMargin(0)
        document.setUndoRedoEnabled(False)
        self.setDocument(document)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.anchorClicked.connect(
            lambda url: self.link.emit(url.toString(QUrl.ComponentFormattingOption.FullyEncoded))
        )

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802 - Qt's name
        """Return nothing, whatever is asked for."""
        del kind, name
        return None

    def show_plain(self, text: str) -> None:
        """Show text as it is."""
        fill_plain(self.document(), text)

    def show_markdown(self, text: str) -> None:
        """Show Markdown."""
        fill_markdown(self.document(), text, theme.current(), self.font().pointSizeF())
        has_links = "](" in text or "://" in text or "www." in text or "@" in text
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if has_links else Qt.FocusPolicy.ClickFocus)

    def height_at(self, width: int) -> int:
        """Return the height that the text needs."""
        document = self.document()
        if document.textWidth() != width:
            document.setTextWidth(width)
        return int(document.size().height() + 0.999)

    def ideal_width(self, widest: int) -> int:
        """Return the width that the text fills, at most ``widest``."""
        self.document().setTextWidth(widest)
        return min(widest, int(self.document().idealWidth()) + 2)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the transcript."""
        event.ignore()

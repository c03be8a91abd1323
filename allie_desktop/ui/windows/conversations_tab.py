"""The privacy page's list of conversations: find them, leave them out, forget them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.words import conversations_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.conversation_model import ConversationModel
from allie_desktop.ui.windows.pieces import button, empty_state, row, text
from allie_desktop.ui.windows.services import WindowServices

_SEARCH_DELAY_MS = 200


class ConversationsTab(QWidget):
    """GUI thread; forgetting runs in ``background``."""

    said = Signal(str)

    def __init__(self, services: WindowServices, background: Background) -> None:
        super().__init__()
        self._services = services
        self._background = background
        self.model = ConversationModel(services.conversations, services.clock, self)
        self.search = QLineEdit()
        self.search.setProperty("kind", "search")
        self.search.setPlaceholderText(self.tr("Search in what was said"))
        self.search.setAccessibleName(self.tr("Search conversations"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(320)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(_SEARCH_DELAY_MS)
        self._delay.timeout.connect(self.reload)
        self.search.textChanged.connect(lambda _words: self._delay.start())
        self.view = QTableView()
        self.view.setAccessibleName(self.tr("Conversations, newest first"))
        self.view.setModel(self.model)
        self.view.setShowGrid(False)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 18)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setWordWrap(False)
        self.view.setTabKeyNavigation(False)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        # By hand: measuring contents would read every line at each change.
        measured = self.fontMetrics()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for section, widest in enumerate(
            ("Other programs", "28 September 2025, 02:14", "Quality  ", "Not good enough"), 1
        ):
            header.setSectionResizeMode(section, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(section, measured.horizontalAdvance(widest) + 40)
        self.view.selectionModel().selectionChanged.connect(self._on_selection)
        self._chosen_words = text("", "soft", wrap=False)
        self.leave_out = button(
            self.tr("Leave out"),
            lambda: self._set_excluded(excluded=True),
            tip=self.tr("Keep the conversation, but never learn from it"),
        )
        self.let_in = button(self.tr("Learn from it again"), lambda: self._set_excluded(excluded=False))
        self.forget = button(self.tr("Forget…"), self._on_forget, "danger", icon="trash")
        self._stack = QStackedWidget()
        self._nothing = empty_state(
            "chat",
            self.tr("No conversations yet"),
            self.tr("What you say in the chat window, and what you import, is listed here."),
        )
        self._nothing_found = empty_state(
            "search", self.tr("Nothing found"), self.tr("No conversation has all of these words.")
        )
        self._broken = text("", "error")
        for page in (self.view, self._nothing, self._nothing_found, self._broken):
            self._stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(row(self.search, 1, self._chosen_words))
        layout.addWidget(self._stack, 1)
        layout.addLayout(row(self.leave_out, self.let_in, 1, self.forget))
        self.forget.setVisible(services.forget is not None)
        services.feed.conversations_changed.connect(self._delay.start)
        self.setFocusProxy(self.search)
        self.reload()

    def chosen(self) -> tuple[ConversationRow, ...]:
        """Return the selected conversations."""
        lines = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return tuple(one for one in map(self.model.conversation, lines) if one is not None)

    def reload(self) -> None:
        """Read the list again."""
        try:
            self.model.search(self.search.text())
        except AllieError as error:
            self._broken.setText(str(error))
            self._stack.setCurrentWidget(self._broken)
        else:
            empty = self._nothing_found if self.search.text().strip() else self._nothing
            self._stack.setCurrentWidget(self.view if self.model.rowCount() else empty)
        self._on_selection()

    def _on_selection(self) -> None:
        chosen = self.chosen()
        self.leave_out.setEnabled(any(not one.excluded for one in chosen))
        self.let_in.setEnabled(any(one.excluded for one in chosen))
        self.forget.setEnabled(bool(chosen))
        words = self.tr("{what} chosen").format(what=conversations_words(len(chosen))) if chosen else ""
        self._chosen_words.setText(words)

    def _set_excluded(self, *, excluded: bool) -> None:
        chosen = [one for one in self.chosen() if one.excluded is not excluded]
        try:
            for one in chosen:
                self._services.conversations.set_excluded(one.id, excluded)
        except AllieError as error:
            self.said.emit(str(error))
        else:
            words = (
                self.tr("{what} left out of learning.")
                if excluded
                else self.tr("{what} may be learnt from again.")
            )
            self.said.emit(words.format(what=conversations_words(len(chosen))))
        self._services.feed.conversations_changed.emit()

    def _on_forget(self) -> None:
        ids = [one.id for one in self.chosen()]
        forget = self._services.forget
        if forget is None or not ids:
            return
        if not confirmed(
            self,
            title=self.tr("Forget {what}?").format(what=conversations_words(len(ids))),
            sentence=forget_sentence(self),
            action=self.tr("Forget for good"),
            dangerous=True,
        ):
            return
        self.setEnabled(False)
        self._background.run(lambda: forget(ids), self._on_forgotten, self._on_not_forgotten)

    def _on_forgotten(self, versions: Sequence[str]) -> None:
        self.setEnabled(True)
        self.said.emit(forgotten_sentence(self, versions))
        self._services.feed.conversations_changed.emit()
        self._services.feed.versions_changed.emit()

    def _on_not_forgotten(self, error: AllieError) -> None:
        self.setEnabled(True)
        self.said.emit(str(error))
        self.reload()


def forget_sentence(widget: QWidget) -> str:
    """Return what forgetting does, before it is done."""
    return widget.tr(
        "It is deleted from this computer for good: its words, the lessons made of it, and the plans that held "
        "them. Versions that learnt from it are marked, so that the next episode builds a new one without it."
    )


def forgotten_sentence(widget: QWidget, versions: Sequence[str]) -> str:
    """Return what forgetting did."""
    if not versions:
        return widget.tr("Forgotten. No version had learnt from it.")
    return widget.tr("Forgotten. {versions} had learnt from it and will be rebuilt without it.").format(
        versions=", ".join(versions)
    )

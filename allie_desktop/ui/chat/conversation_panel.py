"""The left side: new chat, search, and the conversations."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QLineEdit,
    QListView,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.ports import ConversationRow
from allie_desktop.ui import theme
from allie_desktop.ui.chat.conversation_model import ROW, ConversationModel
from allie_desktop.ui.chat.moments import said
from allie_desktop.ui.icons import icon, pixmap
from allie_desktop.ui.presenters.language import translate

WIDTH = 276
_ROW_HEIGHT = 54
_SEARCH_MILLISECONDS = 180

#: Where a conversation came from, when it was not this window.
_SOURCES = {"api": "another program"}


class ConversationPanel(QWidget):
    """Lets the person choose, search and begin conversations."""

    chosen = Signal(object)  # ConversationRow
    new_wanted = Signal()
    menu_wanted = Signal(object, QPoint)  # ConversationRow, where on the screen
    left = Signal()  # back to the composer

    def __init__(self, model: ConversationModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chatSide")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._model = model
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_SEARCH_MILLISECONDS)
        self.new = QPushButton(translate("Chat", "New chat"))
        self.new.setObjectName("newChat")
        self.new.setToolTip(translate("Chat", "New chat (Ctrl+N)"))
        self.new.setIconSize(QSize(18, 18))
        self.new.clicked.connect(self.new_wanted)
        self.search = _Search(self)
        self.search.setObjectName("chatSearch")
        self.search.setProperty("kind", "search")
        self.search.setPlaceholderText(translate("Chat", "Search"))
        self.search.setToolTip(translate("Chat", "Search in all conversations (Ctrl+K)"))
        self.search.setAccessibleName(translate("Chat", "Search in all conversations"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _text: self._later.start())
        self._later.timeout.connect(self._on_search)
        self.search.down.connect(self._enter_list)
        self.search.returnPressed.connect(self._open_first)
        self.search.escaped.connect(self._on_escape)
        self._magnifier = self.search.addAction(
            icon("chat-search", theme.current().text_soft, 16), QLineEdit.ActionPosition.LeadingPosition
        )
        for button in self.search.findChildren(QToolButton):
            button.setAccessibleName(
                translate("Chat", "Search")
                if button.defaultAction() is self._magnifier
                else translate("Chat", "Clear the search")
            )
        self.list = _List(self)
        self.list.setModel(model)
        self.list.setItemDelegate(_Delegate(self.list))
        self.list.selectionModel().currentChanged.connect(self._on_current)
        self.list.customContextMenuRequested.connect(self._on_menu)
        self.list.escaped.connect(self.left)
        self._nothing = QLabel(self)
        self._nothing.setProperty("kind", "small")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._nothing.setWordWrap(True)
        self._nothing.setContentsMargins(12, 24, 12, 0)
        self._nothing.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 14, 12, 0)
        layout.setSpacing(10)
        layout.addWidget(self.new)
        layout.addWidget(self.search)
        layout.addWidget(self._nothing)
        layout.addWidget(self.list, 1)
        self._current = ""
        self._selecting = False
        model.loaded.connect(self._on_loaded)
        model.modelReset.connect(lambda: self.select(self._current))
        model.rowsInserted.connect(lambda *_: self.select(self._current))
        self.restyle()

    def select(self, conversation_id: str) -> None:
        """Show which conversation is open; this chooses nothing."""
        self._current = conversation_id
        place = self._model.row_of(conversation_id) if conversation_id else None
        self._selecting = True
        if place is None:
            self.list.selectionModel().clear()
        else:
            self.list.selectionModel().setCurrentIndex(
                self._model.index(place), QItemSelectionModel.SelectionFlag.ClearAndSelect
            )
            self.list.scrollTo(self._model.index(place))
        self._selecting = False

    def step(self, by: int) -> None:
        """Choose the conversation above or below the open one."""
        place = self._model.row_of(self._current)
        row = self._model.at(0 if place is None else place + by)
        if row is not None and row.id != self._current:
            self.chosen.emit(row)

    def focus_search(self) -> None:
        """Put the keyboard into the search field."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        tokens = theme.current()
        self.new.setIcon(icon("chat-new", tokens.accent, 18))
        self._magnifier.setIcon(icon("chat-search", tokens.text_soft, 16))
        self.list.viewport().update()

    def _on_search(self) -> None:
        self._model.look_for(self.search.text().strip())

    def _on_loaded(self) -> None:
        empty = self._model.rowCount() == 0
        self._nothing.setText(
            translate("Chat", "Nothing found for “{words}”.").format(words=self._model.search)
            if self._model.search
            else translate("Chat", "Your conversations will stand here.")
        )
        self._nothing.setVisible(empty)

    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        row = index.data(ROW)
        if not self._selecting and isinstance(row, ConversationRow) and row.id != self._current:
            self.chosen.emit(row)

    def _on_menu(self, where: QPoint) -> None:
        index = self.list.indexAt(where)
        row = index.data(ROW) if index.isValid() else None
        if isinstance(row, ConversationRow):
            self.menu_wanted.emit(row, self.list.viewport().mapToGlobal(where))

    def _enter_list(self) -> None:
        if self._model.rowCount():
            self.list.setFocus(Qt.FocusReason.TabFocusReason)
            if not self.list.currentIndex().isValid():
                self.list.setCurrentIndex(self._model.index(0))

    def _open_first(self) -> None:
        self._later.stop()
        search = self.search.text().strip()
        if search == self._model.search and not self._model.is_reading:
            row = self._model.at(0)
            if search and row is not None:
                self.chosen.emit(row)
        else:
            self._model.look_for(search)

    def _on_escape(self) -> None:
        if self.search.text():
            self.search.clear()
        else:
            self.left.emit()


class _Search(QLineEdit):
    down = Signal()
    escaped = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Down:
            self.down.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.escaped.emit()
        else:
            super().keyPressEvent(event)


class _List(QListView):
    escaped = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("conversations")
        self.setAccessibleName(translate("Chat", "Conversations"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QListView.SelectionMode.SingleSelection)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setMouseTracking(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.escaped.emit()
        else:
            super().keyPressEvent(event)


class _Delegate(QStyledItemDelegate):
    """Draws a conversation: its title, and when and where it was."""

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        del option, index
        return QSize(WIDTH - 24, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = index.data(ROW)
        if not isinstance(row, ConversationRow):
            return
        tokens = theme.current()
        area: QRect = option.rect.adjusted(0, 1, 0, -1)
        state: QStyle.StateFlag = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tokens.color("accent_soft" if selected else "hover"))
            painter.drawRoundedRect(area, 9, 9)
        if selected and state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(tokens.color("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 8, 8)
        inner = area.adjusted(11, 7, -11, -7)
        font = QFont(option.font)
        if selected:
            font.setWeight(QFont.Weight.DemiBold)
        metrics = QFontMetrics(font)
        title = " ".join(row.title.split()) or translate("Chat", "Untitled")
        painter.setFont(font)
        painter.setPen(tokens.color("text"))
        upper = QRect(inner.left(), inner.top(), inner.width(), metrics.height())
        painter.drawText(
            upper,
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            metrics.elidedText(title[:300], Qt.TextElideMode.ElideRight, upper.width()),
        )
        small = QFont(option.font)
        small.setPointSizeF(small.pointSizeF() * 0.88)
        painter.setFont(small)
        painter.setPen(tokens.color("text_soft"))
        lower = QRect(inner.left(), inner.bottom() - metrics.height() + 2, inner.width(), metrics.height())
        if row.excluded:
            ratio = painter.device().devicePixelRatio()
            painter.drawPixmap(
                lower.right() - 14, lower.top() + 1, pixmap("chat-excluded", tokens.text_soft, 14, ratio)
            )
            lower = lower.adjusted(0, 0, -20, 0)
        painter.drawText(
            lower,
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            QFontMetrics(small).elidedText(_second_line(row), Qt.TextElideMode.ElideRight, lower.width()),
        )
        painter.restore()


def _second_line(row: ConversationRow) -> str:
    now = datetime.now().astimezone()
    parts = [said(row.created_at.astimezone(), now)]
    if row.source != "chat":
        parts.append(translate("Chat", _SOURCES[row.source]) if row.source in _SOURCES else row.source)
    if row.learned:
        parts.append(translate("Chat", "learnt"))
    return " · ".join(parts)

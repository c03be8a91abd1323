"""The history: every episode, what became of it and why."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QStackedWidget, QVBoxLayout, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import theme
from allie_desktop.ui.windows.history_delegate import HistoryDelegate
from allie_desktop.ui.windows.history_model import HistoryModel
from allie_desktop.ui.windows.live_card import LiveCard
from allie_desktop.ui.windows.pieces import button, empty_state, page_header, text
from allie_desktop.ui.windows.services import WindowServices

#: Changes within this time are one.
_REFRESH_MS = 300


class HistoryPage(QWidget):
    """Emits ``chosen`` with an episode's id, and ``diary`` when the person asks why it waits. GUI thread."""

    chosen = Signal(str)
    diary = Signal()

    def __init__(self, services: WindowServices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAccessibleName(self.tr("History"))
        self._services = services
        self.model = HistoryModel(services.episodes, services.clock, self)
        self._count = text("", "soft", wrap=False)
        self.diary_button = button(self.tr("Why it learnt or waited"), self.diary.emit, "link")
        self.live = LiveCard(services, self)
        self.view = _EpisodeList()
        self.view.setAccessibleName(self.tr("Learning episodes, newest first"))
        self.view.setModel(self.model)
        self.view.setItemDelegate(HistoryDelegate(self.view))
        self.view.opened.connect(self._on_opened)
        self._stack = QStackedWidget()
        self._learn_button = button(self.tr("Learn now"), services.learn_now, "primary", icon="spark")
        # Without consent the sidebar has the button that comes first.
        if not services.preferences.current.consent_given:
            self._learn_button.hide()
        self._empty = empty_state(
            "history",
            self.tr("Nothing learnt yet"),
            self.tr(
                "When there are enough good conversations and you are away, Allie learns from them. Each time "
                "it does, a line with the result appears here."
            ),
            self._learn_button,
        )
        self._broken = text("", "error")
        self._broken.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for page in (self.view, self._empty, self._broken):
            self._stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_5, theme.SPACE_6, theme.SPACE_5)
        layout.setSpacing(theme.SPACE_4)
        layout.addLayout(page_header(self.tr("History"), self._count, self.diary_button))
        layout.addWidget(self.live)
        layout.addWidget(self._stack, 1)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(_REFRESH_MS)
        self._delay.timeout.connect(self._on_refresh)
        services.feed.episodes_changed.connect(self._delay.start)
        self.setFocusProxy(self.view)
        self.setTabOrder(self.view, self.diary_button)  # a proxy hides what comes before it
        self.reload()

    def reload(self) -> None:
        """Read everything again."""
        chosen = self.model.episode_row(self.view.currentIndex())
        try:
            self.model.reload()
        except AllieError as error:
            self._broken.setText(str(error))
            self._stack.setCurrentWidget(self._broken)
            self._count.setText("")
            return
        total = self.model.total
        one = self.tr("1 episode")
        self._count.setText(
            "" if not total else one if total == 1 else self.tr("{n} episodes").format(n=f"{total:,}")
        )
        self._stack.setCurrentWidget(self.view if total else self._empty)
        for number in range(self.model.rowCount()):
            known = self.model.episode_row(self.model.index(number))
            if chosen is not None and known is not None and known.id == chosen.id:
                self.view.setCurrentIndex(self.model.index(number))
                return
        if self.model.rowCount():
            self.view.setCurrentIndex(self.model.index(0))

    def _on_refresh(self) -> None:
        try:
            everything = self.model.refresh_first()
        except AllieError:
            everything = True
        if everything:
            self.reload()

    def _on_opened(self, index: QModelIndex) -> None:
        known = self.model.episode_row(index)
        if known is not None:
            self.chosen.emit(known.id)


class _EpisodeList(QListView):
    """Opens a line by a click, Enter or Space."""

    opened = Signal(QModelIndex)

    def __init__(self) -> None:
        super().__init__()
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(self.opened)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Open the current line."""
        if (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}
            and self.currentIndex().isValid()
        ):
            self.opened.emit(self.currentIndex())
            return
        super().keyPressEvent(event)

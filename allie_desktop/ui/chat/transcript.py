"""The messages of a conversation, however many: only those in sight are widgets.

Heights of the others are estimates until they come into sight. What the person looks at stays where it is
when an estimate proves wrong. Widgets are made for some milliseconds at a time.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from PySide6.QtCore import QEvent, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QWidget

from allie_desktop.domain.conversation import Role
from allie_desktop.ui.chat.controls import IconButton
from allie_desktop.ui.chat.dialogue import BUSY, Entry
from allie_desktop.ui.chat.message_view import SHOWN_CHARACTERS, MessageView
from allie_desktop.ui.presenters.language import translate

#: Widest column of text, in pixels: longer lines are hard to read.
COLUMN = 760

_MARGIN = 28
_TOP, _BOTTOM = 20, 24
_LINE = 22
_CHARACTER = 7.4

#: Messages are made for so long before the window gets its turn.
_BUDGET_SECONDS = 0.010

_PASSES = 6
_NEAR_BOTTOM = 6


class Transcript(QAbstractScrollArea):
    """Shows entries; says what the person wants of one, by its place among all entries."""

    rated = Signal(int, object)
    corrected = Signal(int, object)
    copied = Signal(int)
    again_wanted = Signal()
    retry_wanted = Signal()
    link = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transcript")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(translate("Chat", "Conversation"))
        self.viewport().setAutoFillBackground(False)
        self._entries: list[Entry] = []
        self._may_ask_again = False
        self._heights: list[int] = []
        self._measured: list[int] = []  # the column for which a height was measured, 0: an estimate
        self._views: dict[int, MessageView] = {}
        self._at_bottom = True
        self._adjusting = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._arrange)
        self._down = IconButton("chat-down", translate("Chat", "Go to the newest message"), self, size=36)
        self._down.setObjectName("jumpDown")
        self._down.clicked.connect(self.to_bottom)
        self._down.hide()
        self.verticalScrollBar().setSingleStep(36)
        QApplication.instance().focusChanged.connect(self._on_focus)  # type: ignore[union-attr]

    # --- what is shown ---

    def show_entries(self, entries: Sequence[Entry], *, may_ask_again: bool) -> None:
        """Show another conversation, from its end."""
        for view in self._views.values():
            view.hide()
            view.deleteLater()
        self._views.clear()
        self._entries = []
        self._heights = []
        self._measured = []
        self._at_bottom = True
        self.refresh(entries, may_ask_again=may_ask_again)

    def refresh(self, entries: Sequence[Entry], *, may_ask_again: bool) -> None:
        """Show what became of the conversation; entries that are the same objects cost nothing."""
        column = self._column()
        del self._entries[len(entries) :], self._heights[len(entries) :], self._measured[len(entries) :]
        for place in [place for place in self._views if place >= len(entries)]:
            self._drop(place)
        self._may_ask_again = may_ask_again
        last = len(entries) - 1
        for place, entry in enumerate(entries):
            if place == len(self._entries):
                self._entries.append(entry)
                self._heights.append(_estimate(entry, column))
                self._measured.append(0)
                continue
            view = self._views.get(place)
            again = may_ask_again and place == last
            if view is not None and (entry is not self._entries[place] or view.may_ask_again is not again):
                view.show_entry(entry, may_ask_again=again)
                self._measured[place] = 0
            elif entry is not self._entries[place]:
                self._heights[place] = _estimate(entry, column)
                self._measured[place] = 0
            self._entries[place] = entry
        self._arrange()

    def to_bottom(self) -> None:
        """Show the newest message, and follow it while it grows."""
        self._at_bottom = True
        self._arrange()

    def view(self, place: int) -> MessageView | None:
        """Return the widget of an entry while there is one."""
        return self._views.get(place)

    @property
    def alive(self) -> int:
        """How many entries are widgets now."""
        return len(self._views)

    def edit(self, place: int) -> None:
        """Open the editor of a reply."""
        self._bring(place)
        view = self._views.get(place)
        if view is not None:
            view.begin_edit()

    def focus_last(self) -> None:
        """Put the keyboard on the newest message."""
        self._focus(len(self._entries) - 1, -1)

    def unsaved(self) -> MessageView | None:
        """Return the message whose correction is being written, if any."""
        return next((view for view in self._views.values() if view.editor and view.editor.changed), None)

    def restyle(self) -> None:
        """Take over the colours of the theme."""
        self._down.restyle()
        for place, view in self._views.items():
            view.restyle()
            self._measured[place] = 0
        self._arrange()

    # --- Qt ---

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Lay out for the new size."""
        del event
        self._arrange()

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: N802 - Qt's name
        """Follow the scroll bar."""
        del dx, dy
        if not self._adjusting:
            bar = self.verticalScrollBar()
            self._at_bottom = bar.value() >= bar.maximum() - _NEAR_BOTTOM
            self._arrange()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Scroll."""
        QApplication.sendEvent(self.verticalScrollBar(), event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Move from message to message, and by pages."""
        bar = self.verticalScrollBar()
        key = event.key()
        place = self._focused_place()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and place is not None:
            step = -1 if key == Qt.Key.Key_Up else 1
            self._focus(place + step, step)
        elif key == Qt.Key.Key_PageUp:
            bar.setValue(bar.value() - bar.pageStep() + 2 * _LINE)
        elif key == Qt.Key.Key_PageDown:
            bar.setValue(bar.value() + bar.pageStep() - 2 * _LINE)
        elif key == Qt.Key.Key_Home:
            bar.setValue(0)
        elif key == Qt.Key.Key_End:
            self.to_bottom()
        else:
            event.ignore()

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Leave painting to the messages."""
        if event.type() == QEvent.Type.Paint:
            return False
        return super().viewportEvent(event)

    # --- arranging ---

    def _column(self) -> int:
        return max(160, min(COLUMN, self.viewport().width() - 2 * _MARGIN))

    def _arrange(self) -> None:
        """Make the messages in sight, put them in their places, and drop the others."""
        column = self._column()
        left = max(_MARGIN, (self.viewport().width() - column) // 2)
        deadline = time.monotonic() + _BUDGET_SECONDS
        anchor, offset = self._anchor()
        complete = True
        for _ in range(_PASSES):
            tops = self._tops()
            self._set_range(tops[-1] + _BOTTOM)
            self._hold(anchor, offset, tops)
            complete, changed = self._measure(tops, column, deadline)
            if not changed:
                break
        tops = self._tops()
        self._set_range(tops[-1] + _BOTTOM)
        self._hold(anchor, offset, tops)
        self._place(tops, left, column)
        bar = self.verticalScrollBar()
        away = not self._at_bottom and bar.maximum() - bar.value() > self.viewport().height() // 3
        self._down.setVisible(away)
        self._down.move(
            self.viewport().width() // 2 - self._down.width() // 2,
            self.viewport().height() - self._down.height() - 12,
        )
        self._down.raise_()
        if not complete:
            self._later.start(0)

    def _tops(self) -> list[int]:
        return list(accumulate(self._heights, initial=_TOP))

    def _anchor(self) -> tuple[int, int]:
        """Return the first message in sight, and where in it the sight begins."""
        tops = self._tops()
        value = self.verticalScrollBar().value()
        place = max(0, min(bisect_right(tops, value) - 1, len(self._heights) - 1))
        return place, value - tops[place] if self._heights else 0

    def _hold(self, anchor: int, offset: int, tops: list[int]) -> None:
        bar = self.verticalScrollBar()
        value = bar.maximum() if self._at_bottom else tops[min(anchor, len(tops) - 1)] + offset
        if value != bar.value():
            self._adjusting = True
            bar.setValue(value)
            self._adjusting = False

    def _set_range(self, total: int) -> None:
        bar = self.verticalScrollBar()
        height = self.viewport().height()
        self._adjusting = True
        bar.setPageStep(height)
        bar.setRange(0, max(0, total - height))
        self._adjusting = False

    def _in_sight(self, tops: list[int]) -> range:
        value = self.verticalScrollBar().value()
        height = self.viewport().height()
        beyond = height // 2
        first = max(0, bisect_right(tops, value - beyond) - 1)
        end = min(len(self._heights), bisect_right(tops, value + height + beyond))
        return range(first, end)

    def _measure(self, tops: list[int], column: int, deadline: float) -> tuple[bool, bool]:
        """Make and measure what is in sight; return whether all of it is done, and whether heights changed."""
        changed = False
        places = self._in_sight(tops)
        # From where the eyes are: the end while following it, else the top.
        for place in reversed(places) if self._at_bottom else places:
            view = self._views.get(place)
            if view is not None and self._measured[place] == column:
                continue
            if self._entries[place].role is Role.SYSTEM:
                self._measured[place] = column
                continue
            if time.monotonic() > deadline and place not in self._views:
                return False, changed
            if view is None:
                view = self._make(place)
            height = view.lay_out(column)
            self._measured[place] = column
            if height != self._heights[place]:
                self._heights[place] = height
                changed = True
        return True, changed

    def _make(self, place: int) -> MessageView:
        view = MessageView(self._entries[place], self.viewport())
        last = place == len(self._entries) - 1
        view.show_entry(self._entries[place], may_ask_again=last and self._may_ask_again)
        view.rated.connect(lambda rating: self.rated.emit(place, rating))
        view.corrected.connect(lambda text: self.corrected.emit(place, text))
        view.copied.connect(lambda: self.copied.emit(place))
        view.again_wanted.connect(self.again_wanted)
        view.retry_wanted.connect(self.retry_wanted)
        view.link.connect(self.link)
        view.resized.connect(lambda: self._on_resized(place))
        self._views[place] = view
        return view

    def _place(self, tops: list[int], left: int, column: int) -> None:
        value = self.verticalScrollBar().value()
        sight = self._in_sight(tops)
        near = range(sight.start - 3, sight.stop + 3)
        for place in [place for place in self._views if place not in near]:
            if not self._views[place].must_stay and self._entries[place].state not in BUSY:
                self._drop(place)
        fresh = False
        for place, view in self._views.items():
            view.setGeometry(left, tops[place] - value, column, self._heights[place])
            if view.isHidden():
                view.show()
                fresh = True
        if fresh:
            self._chain()

    def _chain(self) -> None:
        """Let the Tab key go from top to bottom."""
        stops = [stop for place in sorted(self._views) for stop in self._views[place].focus_stops()]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)

    def _drop(self, place: int) -> None:
        view = self._views.pop(place)
        view.hide()
        view.deleteLater()

    def _on_resized(self, place: int) -> None:
        if place < len(self._measured):
            self._measured[place] = 0
            self._arrange()
            view = self._views.get(place)
            if view is not None and view.editor is not None:
                self._show_rect(view, view.editor.geometry())

    # --- the keyboard ---

    def _focused_place(self) -> int | None:
        return next((place for place, view in self._views.items() if view.hasFocus()), None)

    def _focus(self, place: int, step: int) -> None:
        while 0 <= place < len(self._entries) and self._entries[place].role is Role.SYSTEM:
            place += step
        if 0 <= place < len(self._entries):
            self._bring(place)
            view = self._views.get(place)
            if view is not None:
                view.setFocus(Qt.FocusReason.TabFocusReason)

    def _bring(self, place: int) -> None:
        """Have an entry in sight, as a widget."""
        if place not in self._views:
            self._at_bottom = False
            bar = self.verticalScrollBar()
            bar.setValue(self._tops()[place] - self.viewport().height() // 4)
            for _ in range(_PASSES):
                if place in self._views:
                    break
                self._arrange()

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        if new is None or new is self._down or not self.viewport().isAncestorOf(new):
            return
        view = next((view for view in self._views.values() if view is new or view.isAncestorOf(new)), None)
        if view is not None:
            inner = QRect(new.mapTo(view, QPoint(0, 0)), new.size()) if new is not view else view.rect()
            self._show_rect(view, inner)

    def _show_rect(self, view: QWidget, inner: QRect) -> None:
        """Scroll as little as needed to show a part of a message."""
        bar = self.verticalScrollBar()
        top = view.y() + inner.top() + bar.value()
        height = self.viewport().height()
        if top < bar.value() or inner.height() > height:
            bar.setValue(top - 12)
        elif top + inner.height() > bar.value() + height:
            bar.setValue(top + inner.height() - height + 12)


def _estimate(entry: Entry, column: int) -> int:
    """Return about how high an entry will be."""
    if entry.role is Role.SYSTEM:
        return 0
    text = entry.shown_text[:SHOWN_CHARACTERS]
    lines = len(text) * _CHARACTER / column + text.count("\n") * 0.6 + 1
    return int(lines * _LINE) + (50 if entry.role is Role.USER else 70)

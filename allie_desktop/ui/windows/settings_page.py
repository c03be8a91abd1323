"""The settings: every option of the program, made from its declaration."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QItemSelectionModel, Qt, QTimer
from PySide6.QtGui import QFocusEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLineEdit,
    QListWidget,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.options import Group, OptionSpec
from allie_desktop.domain.settings import Preferences, option_specs
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.options import matching, visible
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.option_row import OptionRow
from allie_desktop.ui.windows.pieces import (
    button,
    column,
    empty_state,
    frame,
    page_header,
    row,
    scrolling,
    text,
)

#: Keystrokes within this time are one search.
_SEARCH_DELAY_MS = 120


class SettingsPage(QWidget):
    """Shows a group of options at a time; a group is made when it is first looked at. GUI thread."""

    def __init__(self, preferences: PreferencesService, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAccessibleName(self.tr("Settings"))
        self._preferences = preferences
        self._specs = option_specs()
        self._rows: dict[str, list[OptionRow]] = {}
        self._pages: dict[Group, QScrollArea] = {}
        self._results: QScrollArea | None = None

        self.search = QLineEdit()
        self.search.setProperty("kind", "search")
        self.search.setPlaceholderText(self.tr("Search settings"))
        self.search.setAccessibleName(self.tr("Search settings"))
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(240)
        self.search.textChanged.connect(self._on_search_changed)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(_SEARCH_DELAY_MS)
        self._delay.timeout.connect(self._on_search)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.activated.connect(self.search.setFocus)

        self.groups = QListWidget()
        self.groups.setProperty("kind", "groups")
        self.groups.setAccessibleName(self.tr("Groups of settings"))
        self.groups.setFixedWidth(206)
        self.groups.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.groups.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.groups.setFrameShape(QFrame.Shape.NoFrame)
        for group in Group:
            self.groups.addItem(translate("Options", group.value))
        # The selection, not the current row: a list that gets the focus makes a row current by itself.
        self.groups.itemSelectionChanged.connect(self._on_group_selected)

        self._stack = QStackedWidget()
        self._stack.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._warning = self._warning_card()
        reset_all = button(self.tr("Reset all…"), self._on_reset_all, "quiet")

        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_5, theme.SPACE_4, 0)
        layout.setSpacing(theme.SPACE_4)
        header = page_header(self.tr("Settings"), reset_all, self.search)
        header.setContentsMargins(0, 0, theme.SPACE_4, 0)
        layout.addLayout(header)
        if self._warning is not None:
            layout.addWidget(self._warning)
        layout.addLayout(row(self.groups, self._stack, spacing=theme.SPACE_5), 1)

        # The observer would keep a deleted page alive: it ends with it.
        end = preferences.observe(self._on_preferences)
        self.destroyed.connect(lambda: end())  # noqa: PLW0108 - the signal has an argument
        self.groups.setCurrentRow(0)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Hand the focus on. Not by a focus proxy: the tabulator would then leave out what is made before it."""
        super().focusInEvent(event)
        self.groups.setFocus(event.reason())

    def show_group(self, group: Group) -> None:
        """Turn to a group."""
        self.search.clear()
        self.groups.setCurrentRow(list(Group).index(group))

    def row(self, name: str) -> OptionRow:
        """Return the row of an option, made if need be."""
        if name not in self._rows:
            spec = next(spec for spec in self._specs if spec.name == name)
            self._page(spec.group)
        return self._rows[name][0]

    def visible_rows(self) -> tuple[OptionRow, ...]:
        """Return the rows on the page that is shown, from top to bottom."""
        shown = self._stack.currentWidget()
        return tuple(shown.findChildren(OptionRow)) if shown is not None else ()

    def _page(self, group: Group) -> QScrollArea:
        if group not in self._pages:
            page = self._rows_page(((group, visible(self._specs, group)),), group.value)
            self._pages[group] = page
        return self._pages[group]

    def _rows_page(self, groups: Sequence[tuple[Group, Sequence[OptionSpec]]], name: str) -> QScrollArea:
        content = QWidget()
        area = scrolling(content, name)
        # From the outside in: whatever gets a parent is styled anew, with all that is in it.
        self._stack.addWidget(area)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, theme.SPACE_4, theme.SPACE_5)
        layout.setSpacing(theme.SPACE_3)
        for group, specs in groups:
            layout.addWidget(text(translate("Options", group.value), "heading"))
            inside = column(spacing=0)
            card = frame("card", inside)
            inside.setContentsMargins(theme.SPACE_4, theme.SPACE_1, theme.SPACE_2, theme.SPACE_1)
            layout.addWidget(card)
            for index, spec in enumerate(specs):
                made = self._row(spec)
                if index:
                    made.set_ruled()
                inside.addWidget(made)
        layout.addStretch(1)
        return area

    def _row(self, spec: OptionSpec) -> OptionRow:
        made = OptionRow(spec, self._preferences.set, self._preferences.reset)
        made.show_value(getattr(self._preferences.current, spec.name))
        self._rows.setdefault(spec.name, []).append(made)
        return made

    def _on_group_selected(self) -> None:
        if self.groups.selectedItems():
            self._on_group(self.groups.currentRow())

    def _on_group(self, index: int) -> None:
        if index >= 0:
            if self.search.text():
                blocked = self.search.blockSignals(True)
                self.search.clear()
                self.search.blockSignals(blocked)
            self._stack.setCurrentWidget(self._page(list(Group)[index]))

    def _on_search_changed(self, words: str) -> None:
        if words.strip():
            self._delay.start()
        else:
            self._delay.stop()
            self._on_search()

    def _on_search(self) -> None:
        words = self.search.text()
        if not words.strip():
            current = max(0, self.groups.currentRow())
            self.groups.setCurrentRow(current, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self._on_group(current)
            self._drop_results()
            return
        before = self._results
        found = matching(self._specs, words)
        if found:
            groups = [(group, [spec for spec in found if spec.group is group]) for group in Group]
            page = self._rows_page([pair for pair in groups if pair[1]], self.tr("Settings found"))
        else:
            nothing = empty_state(
                "search",
                self.tr("No setting fits"),
                self.tr("No setting has “{words}” in its name or explanation.").format(
                    words=words.strip()[:60]
                ),
            )
            page = scrolling(nothing, self.tr("Settings found"))
            self._stack.addWidget(page)
        self._stack.setCurrentWidget(page)
        self.groups.clearSelection()
        self._drop(before)
        self._results = page

    def _drop_results(self) -> None:
        self._drop(self._results)
        self._results = None

    def _drop(self, page: QScrollArea | None) -> None:
        if page is None:
            return
        gone = set(map(id, page.findChildren(OptionRow)))
        for name, rows in list(self._rows.items()):
            kept = [one for one in rows if id(one) not in gone]
            if kept:
                self._rows[name] = kept
            else:
                del self._rows[name]
        self._stack.removeWidget(page)
        page.deleteLater()

    def _on_preferences(self, preferences: Preferences, names: frozenset[str]) -> None:
        for name in names:
            for one in self._rows.get(name, ()):
                one.show_value(getattr(preferences, name))

    def _on_reset_all(self) -> None:
        if not confirmed(
            self,
            title=self.tr("Reset all settings?"),
            sentence=self.tr(
                "Every setting gets its default. Your consent, your conversations and what Allie has learnt "
                "stay as they are."
            ),
            action=self.tr("Reset all"),
        ):
            return
        try:
            self._preferences.reset_all()
        except AllieError as refusal:
            confirmed(self, title=self.tr("Not reset"), sentence=str(refusal), action=self.tr("Close"))
        if self._warning is not None:
            self._warning.hide()

    def _warning_card(self) -> QFrame | None:
        if not self._preferences.warnings:
            return None
        inside = column(*(text(sentence) for sentence in self._preferences.warnings[:3]), spacing=2)
        return frame("warning", inside, margins=theme.SPACE_3)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Speak another language from now on."""
        if event.type() is QEvent.Type.LanguageChange:
            for page in (*self._pages.values(),):
                self._drop(page)
            self._pages.clear()
            self._on_group(max(0, self.groups.currentRow()))
        super().changeEvent(event)

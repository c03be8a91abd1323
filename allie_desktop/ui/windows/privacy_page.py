"""Privacy: what is kept and where, what is learnt from, and how to take it back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QLayout, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.settings import Preferences, option_specs
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.words import conversations_words, size_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.conversations_tab import ConversationsTab
from allie_desktop.ui.windows.kinds_tab import KindsTab
from allie_desktop.ui.windows.option_row import OptionRow
from allie_desktop.ui.windows.pieces import (
    Picture,
    Slot,
    button,
    column,
    frame,
    line,
    row,
    scrolling,
    text,
)
from allie_desktop.ui.windows.services import StoredThing, WindowServices

_SWITCHES = ("consent_given", "record_chat", "record_api")


class PrivacyPage(QWidget):
    """GUI thread; whatever takes long runs beside it."""

    said = Signal(str)
    shown = Signal()  # what is stored is on the page

    def __init__(self, services: WindowServices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAccessibleName(self.tr("Privacy"))
        self._services = services
        self._background = Background(self)
        self.tabs = QTabBar()
        self.tabs.setAccessibleName(self.tr("Parts of the privacy page"))
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self._stack = QStackedWidget()
        self._makers = (self._make_overview, self._make_conversations, self._make_sources, self._make_topics)
        for words in (self.tr("Overview"), self.tr("Conversations"), self.tr("Sources"), self.tr("Topics")):
            self.tabs.addTab(words)
            self._stack.addWidget(QWidget())
        self._made: dict[int, QWidget] = {}
        self.tabs.currentChanged.connect(self._on_tab)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(text(self.tr("Privacy"), "title", wrap=False))
        layout.addWidget(self.tabs)
        layout.addWidget(self._stack, 1)
        self.setFocusProxy(self.tabs)
        end = services.preferences.observe(self._on_preferences)
        self.destroyed.connect(lambda: end())  # noqa: PLW0108 - the signal has an argument
        services.feed.conversations_changed.connect(self._load_storage)
        self._on_tab(0)

    def show_tab(self, index: int) -> QWidget:
        """Turn to a tab: 0 overview, 1 conversations, 2 sources, 3 topics."""
        self.tabs.setCurrentIndex(index)
        return self._made[index]

    def _on_tab(self, index: int) -> None:
        if index not in self._made:
            made = self._makers[index]()
            self._made[index] = made
            placeholder = self._stack.widget(index)
            if placeholder is not None:
                self._stack.removeWidget(placeholder)
                placeholder.deleteLater()
            self._stack.insertWidget(index, made)
        self._stack.setCurrentIndex(index)

    # --- overview ---

    def _make_overview(self) -> QWidget:
        content = QWidget()
        area = scrolling(content, self.tr("Overview"))
        box = column(spacing=theme.SPACE_4)
        box.setContentsMargins(0, theme.SPACE_3, theme.SPACE_4, theme.SPACE_5)
        content.setLayout(box)
        promise = column(
            text(self.tr("Everything stays on this computer"), "subheading"),
            text(
                self.tr(
                    "Allie sends nothing anywhere: no conversations, no statistics, no reports. Keys, card numbers and "
                    "addresses are made unreadable before anything is learnt."
                ),
            ),
            spacing=2,
        )
        inside = row(Picture("lock", "success", 26), promise, spacing=theme.SPACE_3)
        inside.setStretch(1, 1)
        box.addWidget(frame("success", inside))
        box.addWidget(text(self.tr("What is kept"), "heading"))
        self._option_rows = self._make_switches()
        switches = column(spacing=0)
        for place, one in enumerate(self._option_rows.values()):
            if place:
                switches.addWidget(line())
            switches.addWidget(one)
        card = frame("card", switches)
        switches.setContentsMargins(theme.SPACE_4, theme.SPACE_1, theme.SPACE_2, theme.SPACE_1)
        box.addWidget(card)
        box.addWidget(text(self.tr("Where it is"), "heading"))
        self._storage = Slot(text(self.tr("Measuring…"), "soft"))
        box.addWidget(frame("card", column(self._storage), margins=theme.SPACE_4))
        box.addWidget(text(self.tr("Take it with you, or delete it"), "heading"))
        box.addWidget(self._make_exits())
        box.addStretch(1)
        self._load_storage()
        return area

    def _make_switches(self) -> dict[str, OptionRow]:
        preferences = self._services.preferences
        made = {}
        for spec in option_specs():
            if spec.name in _SWITCHES:
                made[spec.name] = OptionRow(spec, preferences.set, preferences.reset)
                made[spec.name].show_value(getattr(preferences.current, spec.name))
        return made

    def _make_exits(self) -> QWidget:
        self._export_button = button(self.tr("Export all…"), self._on_export, icon="download")
        if self._services.export_to is None:
            self._export_button.hide()
        self._delete_button = button(
            self.tr("Delete everything…"), self._on_delete_everything, "danger", icon="trash"
        )
        if self._services.delete_everything is None:
            self._delete_button.hide()
        export_words = text(
            self.tr("One file with every conversation, your ratings and corrections included."), "soft"
        )
        delete_words = text(
            self.tr("Conversations, versions, history and settings. Nothing is left."), "soft"
        )
        first = row(export_words, self._export_button, spacing=theme.SPACE_4)
        second = row(delete_words, self._delete_button, spacing=theme.SPACE_4)
        for one in (first, second):
            one.setStretch(0, 1)
        return frame("card", column(first, line(), second, spacing=theme.SPACE_3))

    def _load_storage(self) -> None:
        if 0 in self._made or self._stack.currentIndex() == 0:
            self._background.run(self._services.storage, self._on_storage, self._on_no_storage)

    def _on_storage(self, things: Sequence[StoredThing]) -> None:
        total = sum(thing.size_bytes for thing in things)
        lines: list[QWidget | QLayout] = []
        for thing in things:
            lines += [self._stored(thing), line()]
        whole = row(
            text(self.tr("Together"), "subheading", wrap=False),
            1,
            text(size_words(total), "subheading", wrap=False),
        )
        whole.setContentsMargins(0, theme.SPACE_3, 0, 0)
        self._storage.put(*lines, whole, spacing=0)
        self.shown.emit()

    def _on_no_storage(self, error: AllieError) -> None:
        self._storage.put(text(str(error), "error"))
        self.shown.emit()

    def _stored(self, thing: StoredThing) -> QWidget:
        counted = f"{thing.count:,} · " if thing.count is not None else ""
        path = text(thing.path, "small", selectable=True)
        path.setAccessibleName(self.tr("Place of {thing}: {path}").format(thing=thing.name, path=thing.path))
        words = column(text(thing.name, "subheading"), text(thing.explanation, "soft"), path, spacing=1)
        size = text(f"{counted}{size_words(thing.size_bytes)}", wrap=False)
        made = QWidget()
        layout = row(spacing=theme.SPACE_3)
        layout.addLayout(words, 1)
        layout.addWidget(size, 0, Qt.AlignmentFlag.AlignTop)
        open_folder = self._services.open_folder
        if open_folder is not None and thing.path:
            opening = button(
                self.tr("Open"),
                lambda: open_folder(Path(thing.path)),
                "quiet",
                icon="folder",
                name=self.tr("Open the folder of {thing}").format(thing=thing.name),
            )
            layout.addWidget(opening, 0, Qt.AlignmentFlag.AlignTop)
        layout.setContentsMargins(0, theme.SPACE_2, 0, theme.SPACE_3)
        made.setLayout(layout)
        return made

    # --- the other tabs ---

    def _make_conversations(self) -> QWidget:
        made = ConversationsTab(self._services, self._background)
        made.said.connect(self.said)
        return made

    def _make_sources(self) -> QWidget:
        return self._make_kinds(of_sources=True)

    def _make_topics(self) -> QWidget:
        return self._make_kinds(of_sources=False)

    def _make_kinds(self, *, of_sources: bool) -> QWidget:
        made = KindsTab(self._services, self._background, of_sources=of_sources)
        made.said.connect(self.said)
        return made

    # --- what can be done ---

    def _on_preferences(self, preferences: Preferences, names: frozenset[str]) -> None:
        if 0 in self._made:
            for name in names & self._option_rows.keys():
                self._option_rows[name].show_value(getattr(preferences, name))

    def _on_export(self) -> None:
        export = self._services.export_to
        chosen, _ = QFileDialog.getSaveFileName(
            self,
            self.tr("Export all conversations"),
            "allie-conversations.jsonl",
            self.tr("JSON Lines (*.jsonl)"),
        )
        if export is None or not chosen:
            return
        self._export_button.setEnabled(False)
        self._background.run(lambda: export(Path(chosen)), self._on_exported, self._on_failed)

    def _on_exported(self, count: int) -> None:
        self._export_button.setEnabled(True)
        self.said.emit(self.tr("{what} exported.").format(what=conversations_words(count)))

    def _on_delete_everything(self) -> None:
        delete = self._services.delete_everything
        if delete is None or not confirmed(
            self,
            title=self.tr("Delete everything?"),
            sentence=self.tr(
                "Every conversation, every version, the whole history and all settings are deleted from this computer "
                "and cannot be brought back. An episode that runs is stopped. Models that you downloaded stay."
            ),
            action=self.tr("Delete everything"),
            word=self.tr("delete"),
            dangerous=True,
        ):
            return
        self._delete_button.setEnabled(False)
        self._background.run(delete, self._on_deleted, self._on_failed)

    def _on_deleted(self, _nothing: object) -> None:
        self._delete_button.setEnabled(True)
        self.said.emit(self.tr("Everything is deleted. Allie begins anew."))
        feed = self._services.feed
        for signal in (feed.conversations_changed, feed.versions_changed, feed.episodes_changed):
            signal.emit()

    def _on_failed(self, error: AllieError) -> None:
        self._export_button.setEnabled(True)
        self._delete_button.setEnabled(True)
        self.said.emit(str(error))

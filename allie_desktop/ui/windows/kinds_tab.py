"""The privacy page's lists of sources and of topics: how many of each, learn from it or not, forget it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.settings import Preferences
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.conversations import Kind, kinds, with_left_out
from allie_desktop.ui.presenters.words import conversations_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.conversations_tab import forget_sentence, forgotten_sentence
from allie_desktop.ui.windows.pieces import (
    Slot,
    button,
    column,
    empty_state,
    frame,
    line,
    row,
    scrolling,
    text,
)
from allie_desktop.ui.windows.services import WindowServices
from allie_desktop.ui.windows.switch import Switch


class KindsTab(QWidget):
    """Sources, or topics. Counts are read in ``background``; GUI thread."""

    said = Signal(str)
    shown = Signal()

    def __init__(self, services: WindowServices, background: Background, *, of_sources: bool) -> None:
        super().__init__()
        self._services = services
        self._background = background
        self._of_sources = of_sources
        self._option = "excluded_sources" if of_sources else "excluded_topics"
        self._counts: Mapping[str, int] = {}
        self._slot = Slot(text(self.tr("Counting…"), "soft"))
        box = column(self._slot, 1)
        box.setContentsMargins(0, theme.SPACE_3, theme.SPACE_5, theme.SPACE_5)
        content = QWidget()
        content.setLayout(box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(content, self.tr("Sources") if of_sources else self.tr("Topics")))
        end = services.preferences.observe(self._on_preferences)
        self.destroyed.connect(lambda: end())  # noqa: PLW0108 - the signal has an argument
        services.feed.conversations_changed.connect(self.reload)
        self.reload()

    def reload(self) -> None:
        """Count again."""
        count = self._services.sources if self._of_sources else self._services.topics
        self._background.run(count, self._on_counted, self._on_failed)

    def _on_counted(self, counts: Mapping[str, int]) -> None:
        self._counts = counts
        self._show()
        self.shown.emit()

    def _on_failed(self, error: AllieError) -> None:
        self._slot.put(text(str(error), "error"))
        self.shown.emit()

    def _on_preferences(self, _preferences: Preferences, names: frozenset[str]) -> None:
        if self._option in names:
            for switch in self.findChildren(Switch):
                blocked = switch.blockSignals(True)
                switch.setChecked(switch.property("key") not in self._left_out())
                switch.blockSignals(blocked)
                switch.update()

    def _show(self) -> None:
        listed = kinds(self._counts, self._left_out(), of_sources=self._of_sources)
        if not listed:
            self._slot.put(
                empty_state("folder", self.tr("Nothing yet"), self.tr("There are no conversations to sort."))
            )
            return
        sentence = (
            self.tr(
                "Where your conversations come from. Turn one off, and nothing from there is learnt from now on."
            )
            if self._of_sources
            else self.tr("What your conversations are about, as far as a few word lists can tell.")
        )
        inside = column(spacing=0)
        for place, kind in enumerate(listed):
            if place:
                inside.addWidget(line())
            inside.addWidget(self._line(kind))
        card = frame("card", inside, margins=theme.SPACE_3)
        self._slot.put(text(sentence, "soft"), card, spacing=theme.SPACE_3)

    def _line(self, kind: Kind) -> QWidget:
        switch = Switch(self.tr("Learn from {kind}").format(kind=kind.title))
        switch.setProperty("key", kind.key)
        switch.setChecked(kind.learnt_from)
        switch.toggled.connect(lambda on, key=kind.key: self._on_switched(key, learnt_from=on))
        switch_words = text(self.tr("Learn from it"), "soft", wrap=False)
        forget = button(
            self.tr("Forget all…"),
            lambda: self._on_forget(kind),
            "quiet",
            name=self.tr("Forget all of {kind}").format(kind=kind.title),
        )
        if self._services.forget is None:
            forget.hide()
        forget.setEnabled(kind.count > 0)
        words = column(
            text(kind.title, "subheading", wrap=False),
            text(conversations_words(kind.count), "small"),
            spacing=0,
        )
        made = QWidget()
        layout = row(spacing=theme.SPACE_2)
        layout.addLayout(words, 1)
        for widget in (switch_words, switch, forget):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.setContentsMargins(theme.SPACE_2, theme.SPACE_2, 0, theme.SPACE_2)
        made.setLayout(layout)
        return made

    def _left_out(self) -> tuple[str, ...]:
        found: tuple[str, ...] = getattr(self._services.preferences.current, self._option)
        return found

    def _on_switched(self, key: str, *, learnt_from: bool) -> None:
        try:
            self._services.preferences.set(
                self._option, list(with_left_out(self._left_out(), key, learnt_from=learnt_from))
            )
        except AllieError as error:
            self.said.emit(str(error))
            self._show()

    def _on_forget(self, kind: Kind) -> None:
        forget = self._services.forget
        if forget is None or not confirmed(
            self,
            title=self.tr("Forget everything of “{kind}”?").format(kind=kind.title),
            sentence=self.tr("{what}. {sentence}").format(
                what=conversations_words(kind.count), sentence=forget_sentence(self)
            ),
            action=self.tr("Forget {what}").format(what=conversations_words(kind.count)),
            dangerous=True,
        ):
            return
        self.setEnabled(False)
        source, topic = (kind.key, "") if self._of_sources else ("", kind.key)
        self._background.run(
            lambda: forget(source=source, topic=topic), self._on_forgotten, self._on_not_forgotten
        )

    def _on_forgotten(self, versions: Sequence[str]) -> None:
        self.setEnabled(True)
        self.said.emit(forgotten_sentence(self, versions))
        self._services.feed.conversations_changed.emit()
        self._services.feed.versions_changed.emit()

    def _on_not_forgotten(self, error: AllieError) -> None:
        self.setEnabled(True)
        self.said.emit(str(error))
        self.reload()

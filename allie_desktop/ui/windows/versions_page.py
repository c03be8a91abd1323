"""The versions: who descends from whom, what each can, which one answers."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QFrame, QListView, QVBoxLayout, QWidget

from allie_desktop.domain.comparison import AnswerPair, Preference
from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.comparisons import preference_words
from allie_desktop.ui.presenters.versions import VersionRow, comparison, lineage, measures
from allie_desktop.ui.presenters.words import conversations_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.blind_card import BlindCard
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.numbers_table import NumbersTable
from allie_desktop.ui.windows.pieces import (
    Picture,
    Slot,
    badge,
    button,
    column,
    frame,
    row,
    scrolling,
    text,
)
from allie_desktop.ui.windows.services import RolloutView, WindowServices
from allie_desktop.ui.windows.version_list import ROW_ROLE, VersionDelegate, VersionModel

_REFRESH_MS = 200


class VersionsPage(QWidget):
    """Reads and changes versions in a thread. GUI thread."""

    said = Signal(str)
    episode_chosen = Signal(str)
    shown = Signal()

    def __init__(self, services: WindowServices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "page")
        self.setAccessibleName(self.tr("Versions"))
        self._services = services
        self._background = Background(self)
        self.model = VersionModel(self)
        self.view = QListView()
        self.view.setAccessibleName(self.tr("Versions, newest first"))
        self.view.setModel(self.model)
        self.view.setItemDelegate(VersionDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setMinimumWidth(300)
        self.view.setMaximumWidth(380)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().currentChanged.connect(self._on_current)
        self._message = text("", "error")
        self._message.hide()
        self._rollout = self._make_rollout()
        self._detail = Slot()
        detail = column(self._detail, 1)
        detail.setContentsMargins(0, 0, theme.SPACE_5, theme.SPACE_5)
        holder = QWidget()
        holder.setLayout(detail)
        self._compare_with = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_5, theme.SPACE_2, 0)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(text(self.tr("Versions"), "title", wrap=False))
        layout.addWidget(self._message)
        layout.addWidget(self._rollout)
        left = column(self.view, spacing=0)
        left.setContentsMargins(0, 0, 0, theme.SPACE_5)
        middle = row(spacing=theme.SPACE_4)
        middle.addLayout(left, 2)
        middle.addWidget(scrolling(holder, self.tr("The chosen version")), 3)
        layout.addLayout(middle, 1)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(_REFRESH_MS)
        self._delay.timeout.connect(self.reload)
        services.feed.versions_changed.connect(self._delay.start)
        self.setFocusProxy(self.view)
        self.reload()

    @property
    def chosen(self) -> VersionRow | None:
        """The version that is shown."""
        found = self.view.currentIndex().data(ROW_ROLE)
        return found if isinstance(found, VersionRow) else None

    def reload(self) -> None:
        """Read everything again."""
        services = self._services

        def read() -> tuple[tuple[VersionRow, ...], RolloutView | None]:
            versions = services.versions()
            rows = lineage(versions.all(), versions.pointer(), services.clock.now())
            return rows, services.rollout() if services.rollout is not None else None

        self._background.run(read, self._on_read, self._on_not_read)

    # --- results ---

    def _on_read(self, known: tuple[tuple[VersionRow, ...], RolloutView | None]) -> None:
        rows, rollout = known
        before = self.chosen
        self._message.hide()
        self.model.show_rows(rows)
        wanted = next(
            (i for i, one in enumerate(rows) if before is not None and one.name == before.name), None
        )
        if wanted is None:
            wanted = next((i for i, one in enumerate(rows) if one.active), 0)
        self.view.setCurrentIndex(self.model.index(wanted))
        self._show_rollout(rollout)
        self.shown.emit()

    def _on_not_read(self, error: AllieError) -> None:
        self._message.setText(str(error))
        self._message.show()
        self.shown.emit()

    def _on_current(self, index: QModelIndex) -> None:
        chosen = index.data(ROW_ROLE)
        if isinstance(chosen, VersionRow):
            self._show(chosen)

    # --- one version ---

    def _show(self, chosen: VersionRow) -> None:
        box = QVBoxLayout()
        box.setSpacing(theme.SPACE_3)
        heading = row(text(chosen.title, "heading", wrap=False), *(badge(*one) for one in chosen.badges), 1)
        box.addLayout(heading)
        box.addWidget(text(_facts(self, chosen), "soft"))
        if chosen.tainted:
            box.addWidget(frame("warning", column(text(chosen.tainted)), margins=theme.SPACE_3))
        self._preferred = text("", "soft")
        self._preferred.hide()
        box.addWidget(self._preferred)
        box.addLayout(self._actions(chosen))
        card = frame("card", box)
        self._blind = Slot()
        self._blind.hide()
        parts: list[QWidget] = [card, self._blind]
        table = measures(chosen)
        if table:
            parts.append(text(self.tr("What was measured when it was made"), "heading"))
            head = (self.tr("Measure"), self.tr("Base model"), self.tr("Before"), self.tr("This"))
            parts.append(NumbersTable(self.tr("Measures of {name}").format(name=chosen.title), head, table))
        others = [one for one in self.model.rows if one.name != chosen.name and not one.is_base]
        if others and not chosen.is_base:
            parts.append(self._comparison(chosen, others))
        self._detail.put(*parts, spacing=theme.SPACE_3)
        self._ask_blind(chosen)

    def _ask_blind(self, chosen: VersionRow) -> None:
        comparisons, episode_id = self._services.comparisons, chosen.episode_id
        if comparisons is None or not episode_id:
            return
        place, preferred = self._blind, self._preferred

        def show_preference(preference: Preference) -> None:
            if self._preferred is preferred:  # the same version is still shown
                preferred.setText(preference_words(preference))
                preferred.setVisible(bool(preferred.text()))

        def count() -> None:
            self._background.run(
                lambda: comparisons.preference(episode_id), show_preference, self._on_not_asked
            )

        def end() -> None:
            # The keyboard would go wherever it likes when what has it disappears.
            self.view.setFocus(Qt.FocusReason.OtherFocusReason)
            place.hide()

        def show_pair(pair: AnswerPair | None) -> None:
            if pair is None or self._blind is not place:
                return
            card = BlindCard(self._services, comparisons, pair)
            card.noted.connect(count)
            card.said.connect(self.said)
            card.ended.connect(end)
            place.put(card)
            place.show()

        count()
        self._background.run(lambda: comparisons.next_pair(episode_id), show_pair, self._on_not_asked)

    def _on_not_asked(self, error: AllieError) -> None:
        self.said.emit(str(error))

    def _actions(self, chosen: VersionRow) -> QVBoxLayout:
        use = button(self.tr("Use this version…"), lambda: self._on_use(chosen), "primary")
        use.setEnabled(not chosen.active)
        first = row(use, spacing=theme.SPACE_2)
        if not chosen.is_base:
            words = self.tr("Unpin") if chosen.pinned else self.tr("Pin")
            tip = self.tr("A pinned version is never deleted to make room")
            first.addWidget(button(words, lambda: self._on_pin(chosen), icon="pin", tip=tip))
            delete = button(self.tr("Delete…"), lambda: self._on_delete(chosen), "danger", icon="trash")
            delete.setEnabled(chosen.may_be_deleted)
            if not chosen.may_be_deleted:
                delete.setToolTip(self.tr("The version that answers and the one for undo cannot be deleted"))
            first.addWidget(delete)
        first.addStretch(1)
        box = column(first, spacing=theme.SPACE_2)
        if chosen.episode_id:
            episode = button(
                self.tr("What it learnt, and how it was judged"),
                lambda: self.episode_chosen.emit(chosen.episode_id),
                "link",
            )
            box.addLayout(row(episode, 1))
        return box

    def _comparison(self, chosen: VersionRow, others: list[VersionRow]) -> QWidget:
        box = QComboBox()
        box.setAccessibleName(self.tr("Version to compare with"))
        for one in others:
            box.addItem(one.title)
        names = [one.name for one in others]
        preferred = self._compare_with if self._compare_with in names else chosen.parent
        box.setCurrentIndex(names.index(preferred) if preferred in names else 0)
        holder = Slot()

        def show() -> None:
            other = others[box.currentIndex()]
            head = (self.tr("Measure"), chosen.title, other.title)
            name = self.tr("{one} beside {two}").format(one=chosen.title, two=other.title)
            holder.put(NumbersTable(name, head, comparison(chosen, other)))

        def choose() -> None:
            self._compare_with = names[box.currentIndex()]
            show()

        box.currentIndexChanged.connect(choose)
        show()
        label = text(self.tr("Compare with"), "heading", wrap=False)
        label.setBuddy(box)
        note = text(
            self.tr(
                "Each was measured on what was new at its time, so that only general questions and safety are the "
                "same for both."
            ),
            "small",
        )
        made = QWidget()
        made.setLayout(column(row(label, box, 1, spacing=theme.SPACE_3), note, holder, spacing=theme.SPACE_2))
        return made

    # --- what can be done ---

    def _on_use(self, chosen: VersionRow) -> None:
        if not confirmed(
            self,
            title=self.tr("Answer with {name}?").format(name=chosen.title),
            sentence=self.tr(
                "From the next question on, {name} answers. What the versions after it had learnt counts as new "
                "again. Nothing is deleted, and you can come back the same way."
            ).format(name=chosen.title),
            action=self.tr("Use {name}").format(name=chosen.title),
        ):
            return
        rollback = self._services.rollback
        done = self.tr("{name} answers now.").format(name=chosen.title)
        self._change(lambda: rollback(chosen.name), done)

    def _on_pin(self, chosen: VersionRow) -> None:
        versions = self._services.versions
        done = (
            self.tr("{name} may be deleted again.") if chosen.pinned else self.tr("{name} is kept for good.")
        )
        self._change(
            lambda: versions().set_pinned(chosen.name, not chosen.pinned), done.format(name=chosen.title)
        )

    def _on_delete(self, chosen: VersionRow) -> None:
        if not confirmed(
            self,
            title=self.tr("Delete {name}?").format(name=chosen.title),
            sentence=self.tr(
                "Its files are deleted from this computer and cannot be brought back. The version that answers now "
                "is not touched."
            ),
            action=self.tr("Delete {name}").format(name=chosen.title),
            dangerous=True,
        ):
            return
        versions = self._services.versions
        done = self.tr("{name} is deleted.").format(name=chosen.title)
        self._change(lambda: versions().remove(chosen.name), done)

    def _change(self, work: Callable[[], object], done: str) -> None:
        def on_done(_result: object) -> None:
            self.said.emit(done)
            self._services.feed.versions_changed.emit()

        def on_failed(error: AllieError) -> None:
            self.said.emit(str(error))
            self.reload()

        self._background.run(work, on_done, on_failed)

    # --- roll-out ---

    def _make_rollout(self) -> QFrame:
        self._rollout_title = text("", "subheading")
        self._rollout_notes = text("", "soft")
        words = column(self._rollout_title, self._rollout_notes, spacing=2)
        inside = row(Picture("spark", "accent", 24), words, spacing=theme.SPACE_3)
        inside.setStretch(1, 1)
        made = frame("accent", inside, margins=theme.SPACE_3)
        made.setAccessibleName(self.tr("A new version is taking over"))
        made.hide()
        return made

    def _show_rollout(self, view: RolloutView | None) -> None:
        self._rollout.setVisible(view is not None)
        if view is not None:
            title = self.tr("{version} is taking over: {stage}")
            self._rollout_title.setText(title.format(version=view.version, stage=view.stage))
            self._rollout_notes.setText("\n".join(view.notes))
            self._rollout_notes.setVisible(bool(view.notes))


def _facts(page: QWidget, chosen: VersionRow) -> str:
    if chosen.is_base:
        return chosen.detail
    parts = [
        page.tr("Made {when}").format(when=chosen.when),
        page.tr("built on {parent}").format(parent=chosen.parent),
        page.tr("learnt from {material}").format(material=conversations_words(chosen.conversations)),
    ]
    return ", ".join(parts) + "."

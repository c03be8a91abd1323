"""Which answer is better? Two answers to one question, and nobody says which is new until it is chosen."""

from __future__ import annotations

import random
from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QPushButton, QVBoxLayout, QWidget

from allie_desktop.domain.comparison import AnswerPair, Choice
from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.comparisons import outcome_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.pieces import Picture, Slot, button, column, frame, row, text
from allie_desktop.ui.windows.services import Comparisons, WindowServices


def _toss() -> bool:
    return random.SystemRandom().random() < 0.5


class BlindCard(QFrame):
    """Asks about the pairs of an episode, one after the other. GUI thread.

    ``noted`` when a choice is kept, ``ended`` when there is nothing more to ask or the person wants no more,
    ``said`` for messages. ``new_first`` tosses for each pair whether the new answer is A.
    """

    noted = Signal()
    ended = Signal()
    said = Signal(str)

    def __init__(
        self,
        services: WindowServices,
        comparisons: Comparisons,
        pair: AnswerPair,
        *,
        new_first: Callable[[], bool] = _toss,
    ) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.setAccessibleName(self.tr("Which answer is better?"))
        self._services = services
        self._comparisons = comparisons
        self._new_first = new_first
        self._background = Background(self)
        self._content = Slot()
        self.buttons: tuple[QPushButton, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        layout.addWidget(self._content)
        self.ask(pair)

    def ask(self, pair: AnswerPair) -> None:
        """Show a pair."""
        self._pair = pair
        self._new_is_a = self._new_first()
        first, second = (pair.new, pair.old) if self._new_is_a else (pair.old, pair.new)
        left, right = (Choice.NEW, Choice.OLD) if self._new_is_a else (Choice.OLD, Choice.NEW)
        count = text(self.tr("{number} of {of}").format(number=pair.number, of=pair.of), "small", wrap=False)
        title = row(
            Picture("spark", "accent", 22),
            text(self.tr("Which answer is better?"), "heading", wrap=False),
            1,
            count,
            spacing=theme.SPACE_3,
        )
        note = text(
            self.tr(
                "One answer is from before this version learnt, the other from after. You are told which is which "
                "when you have chosen."
            ),
            "small",
        )
        answers = QGridLayout()
        answers.setSpacing(theme.SPACE_3)
        answers.addWidget(self._answer("A", first), 0, 0)
        answers.addWidget(self._answer("B", second), 0, 1)
        answers.setColumnStretch(0, 1)
        answers.setColumnStretch(1, 1)
        question = text(pair.question or self.tr("(nothing)"), "subheading", selectable=True)
        self._below = Slot(self._choices(left, right))
        self._content.put(title, note, question, answers, self._below, spacing=theme.SPACE_3)

    # --- pieces ---

    def _answer(self, letter: str, words: str) -> QFrame:
        shown = words or self.tr("(nothing)")
        answer = text(shown, "" if words else "soft", selectable=True)
        name = self.tr("Answer {letter}").format(letter=letter)
        answer.setAccessibleName(f"{name}: {shown}"[:400])
        return frame(
            "well", column(text(name, "overline"), answer, 1, spacing=theme.SPACE_1), margins=theme.SPACE_3
        )

    def _choices(self, left: Choice, right: Choice) -> QVBoxLayout:
        self.buttons = (
            button(self.tr("A is better"), lambda: self._choose(left)),
            button(self.tr("B is better"), lambda: self._choose(right)),
            button(self.tr("No difference"), lambda: self._choose(Choice.SAME)),
            button(self.tr("Skip"), lambda: self._choose(Choice.SKIPPED), "quiet"),
        )
        never = button(
            self.tr("Do not ask again"),
            self._on_never,
            "link",
            name=self.tr("Do not ask again which answer is better"),
        )
        return column(row(*self.buttons, 1, spacing=theme.SPACE_2), row(never, 1), spacing=theme.SPACE_2)

    # --- what the person does ---

    def _choose(self, choice: Choice) -> None:
        self._enable(False)
        comparisons, pair = self._comparisons, self._pair

        def keep() -> AnswerPair | None:
            comparisons.note(pair, choice)
            return comparisons.next_pair(pair.episode_id)

        self._background.run(keep, lambda following: self._on_kept(choice, following), self._on_failed)

    def _on_kept(self, choice: Choice, following: AnswerPair | None) -> None:
        self.noted.emit()
        if choice is Choice.SKIPPED:
            self._go_on(following)
            return
        words = outcome_words(choice, "A" if self._new_is_a else "B")
        go_on = button(
            self.tr("Done") if following is None else self.tr("Next question"),
            lambda: self._go_on(following),
        )
        self.buttons = (go_on,)
        outcome = text(words, "subheading")
        outcome.setAccessibleName(words)
        line = row(outcome, go_on, spacing=theme.SPACE_3)
        line.setStretch(0, 1)
        self._below.put(line)
        go_on.setFocus(Qt.FocusReason.OtherFocusReason)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def _go_on(self, following: AnswerPair | None) -> None:
        if following is None:
            self.ended.emit()
            return
        self.ask(following)
        self.buttons[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_never(self) -> None:
        try:
            self._services.preferences.set("ask_comparisons", False)
        except AllieError as error:
            self.said.emit(str(error))
            return
        self.said.emit(self.tr("You will not be asked again. Settings, Notifications can change that."))
        self.ended.emit()

    def _on_failed(self, error: AllieError) -> None:
        self._enable(True)
        self.buttons[0].setFocus(Qt.FocusReason.OtherFocusReason)
        self.said.emit(str(error))

    def _enable(self, enabled: bool) -> None:
        for one in self.buttons:
            one.setEnabled(enabled)


class BlindAnswers(QWidget):
    """The card in place of answers that would give away which is new. ``ended`` when the person is through with
    it or would rather see them; whoever shows them then must see to it that nothing more is asked."""

    ended = Signal()
    said = Signal(str)

    def __init__(self, services: WindowServices, comparisons: Comparisons, pair: AnswerPair) -> None:
        super().__init__()
        self.card = BlindCard(services, comparisons, pair)
        self.card.ended.connect(self.ended)
        self.card.said.connect(self.said)
        self.show_button = button(self.tr("Show all answers without choosing"), self.ended.emit, "link")
        self.setLayout(column(self.card, row(self.show_button, 1), spacing=theme.SPACE_2))

"""One episode: what it changed, on what it was trained, what the gate said, and how to undo it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from allie_desktop.domain.comparison import AnswerPair
from allie_desktop.domain.errors import AllieError, BadInputError
from allie_desktop.domain.lifecycle import Episode
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.validation import AnswerSample, Judgement, WorkerReport
from allie_desktop.domain.versions import BASE, ActivePointer
from allie_desktop.services.report import (
    clean,
    headline,
    material_facts,
    measure_rows,
    number,
    shortened,
    training_facts,
)
from allie_desktop.ui import theme
from allie_desktop.ui.charts import Bar, BeforeAfterChart, Line, LineChart, smoothed
from allie_desktop.ui.presenters import episodes as words
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.windows.answers import AnswerList, own_samples
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.blind_card import BlindAnswers
from allie_desktop.ui.windows.confirm import confirmed
from allie_desktop.ui.windows.numbers_table import NumbersTable
from allie_desktop.ui.windows.pieces import (
    Picture,
    Slot,
    badge,
    button,
    column,
    frame,
    line,
    row,
    scrolling,
    set_tone,
    text,
)
from allie_desktop.ui.windows.services import EpisodeReport, WindowServices

_LESSONS_AT_ONCE = 12

#: The others stand under "What was checked".
_REASONS_SHOWN = 3


class EpisodePage(QWidget):
    """Reads the report in a thread; ``back`` when the person wants the list, ``said`` for messages."""

    back = Signal()
    said = Signal(str)
    shown = Signal()  # the report is on the page, or it is said why not

    def __init__(self, services: WindowServices, episode_id: str, parent: QWidget | None = None) -> None:
        """Raise :class:`AllieError` when there is no such episode."""
        super().__init__(parent)
        self.setProperty("role", "page")
        self._services = services
        self._background = Background(self)
        self._waiting: list[Callable[[], QWidget | None]] = []
        self._pair: AnswerPair | None = None
        episode = services.episodes.get(episode_id)
        if episode is None:
            raise BadInputError("This episode is not known any more.", "It was deleted from the history.")
        self._episode = episode
        self.setAccessibleName(
            self.tr("Episode of {when}").format(when=f"{episode.created_at.astimezone():%x %X}")
        )
        self._badge = badge("")
        self._badge.hide()
        self.undo_button = button(
            self.tr("Undo…"),
            self._on_undo,
            icon="undo",
            tip=self.tr("Answer with the version before this one again"),
        )
        self.undo_button.hide()
        back_button = button(
            self.tr("History"), self.back.emit, "link", icon="back", name=self.tr("Back to the history")
        )
        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(0, 0, theme.SPACE_5, theme.SPACE_6)
        self._layout.setSpacing(theme.SPACE_4)
        self._layout.addWidget(self._summary())
        self._details = Slot(text(self.tr("Reading the report…"), "soft"))
        self._layout.addWidget(self._details)
        self._layout.addStretch(1)
        title = text(words.verdict_words(episode), "title", wrap=False)
        heading = row(
            Picture(words.icon_of(episode), words.tone_of(episode) or "text_soft", 30),
            title,
            self._badge,
            1,
            self.undo_button,
            spacing=theme.SPACE_3,
        )
        heading.setContentsMargins(0, 0, theme.SPACE_5, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_6, theme.SPACE_4, theme.SPACE_2, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(row(back_button, 1))
        layout.addLayout(heading)
        layout.addWidget(scrolling(content, self.tr("What is known of this episode")), 1)
        self.setFocusProxy(back_button)
        self._load()

    # --- loading ---

    def _load(self) -> None:
        services, episode = self._services, self._episode
        comparisons = services.comparisons
        if comparisons is not None and episode.version is not None:
            # Known before the report comes: answers that are shown openly cannot be compared blind any more.
            self._background.run(
                lambda: comparisons.next_pair(episode.id),
                self._on_pair,
                lambda error: self.said.emit(str(error)),
            )
        self._background.run(lambda: services.report_of(episode.id), self._on_report, self._on_no_report)
        if episode.version is not None:
            self._background.run(lambda: services.versions().pointer(), self._on_pointer, self._on_no_pointer)

    def _on_pair(self, pair: AnswerPair | None) -> None:
        self._pair = pair

    def _on_pointer(self, pointer: ActivePointer) -> None:
        active = pointer.active == self._episode.version
        self.undo_button.setVisible(active)
        set_tone(
            self._badge,
            self.tr("answers now") if active else self.tr("not in use"),
            "success" if active else "",
        )
        self._badge.show()

    def _on_no_pointer(self, _error: AllieError) -> None:
        self.undo_button.hide()

    def _on_no_report(self, error: AllieError) -> None:
        self._details.put(text(str(error), "error"))
        self.shown.emit()

    def _on_report(self, known: EpisodeReport | None) -> None:
        if known is None:
            sentence = (
                self.tr("Its details were deleted with the oldest episodes; what it brought stays.")
                if words.is_over(self._episode)
                else self.tr("Its report is written when it ends.")
            )
            self._details.put(frame("well", column(text(sentence, "soft"))))
        else:
            report, judgement, plan, _version = known
            self._headline.setText(clean(headline(report, judgement, plan)))
            self._details.put()
            self._waiting = [
                lambda: self._answers(report),
                lambda: self._better(report, judgement),
                lambda: self._checks(judgement),
                lambda: self._training(report),
                lambda: self._numbers(report),
                lambda: self._material(plan),
            ]
            self._add_section()
            return
        self.shown.emit()

    def _add_section(self) -> None:
        # One a turn of the event loop: all at once would hold up the window for a tenth of a second.
        section = self._waiting.pop(0)()
        if section is not None:
            self._details.add(section)
        if self._waiting:
            QTimer.singleShot(0, self, self._add_section)
        else:
            self.shown.emit()

    # --- sections ---

    def _summary(self) -> QWidget:
        episode = self._episode
        self._headline = text(clean(_sentence(episode)), "lead", selectable=True)
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE_5)
        grid.setVerticalSpacing(theme.SPACE_1 + 2)
        for place, (name, value) in enumerate(words.facts(episode, self._services.clock.now())):
            label = text(name, "soft", wrap=False)
            grid.addWidget(label, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text(clean(value)), place, 1)
        grid.setColumnStretch(1, 1)
        inside = column(self._headline, spacing=theme.SPACE_3)
        if len(episode.reasons) > 1:
            inside.addLayout(_bullets(episode.reasons[:_REASONS_SHOWN]))
        inside.addWidget(line())
        inside.addLayout(grid)
        return frame("card", inside)

    def _answers(self, report: WorkerReport) -> QWidget | None:
        samples = own_samples(report.measurements.samples)
        if not samples:
            return None
        answers = Slot()
        if self._pair is None or self._services.comparisons is None:
            self._show_answers(answers, samples)
        else:
            blind = BlindAnswers(self._services, self._services.comparisons, self._pair)
            blind.said.connect(self.said)
            blind.ended.connect(lambda: self._on_blind_ended(answers, samples))
            answers.put(blind)
        return _section(self.tr("Before and after"), answers)

    def _on_blind_ended(self, place: Slot, samples: tuple[AnswerSample, ...]) -> None:
        self.setFocus(Qt.FocusReason.OtherFocusReason)  # not wherever it goes when what has it disappears
        self._show_answers(place, samples)

    def _show_answers(self, place: Slot, samples: tuple[AnswerSample, ...]) -> None:
        place.put(AnswerList(samples))
        comparisons, episode = self._services.comparisons, self._episode
        if comparisons is not None and episode.version is not None:
            self._background.run(
                lambda: comparisons.skip_all(episode.id),
                lambda _: None,
                lambda error: self.said.emit(str(error)),
            )

    def _better(self, report: WorkerReport, judgement: Judgement) -> QWidget | None:
        bars = words.held_out_bars(report, judgement)
        if not bars:
            return None
        chart = BeforeAfterChart(self.tr("Surprise on material it was not trained on"), empty="")
        chart.set_bars(
            [
                Bar(
                    name=bar.name,
                    before=bar.before,
                    after=bar.after,
                    before_words=bar.before_words,
                    after_words=bar.after_words,
                    better=bar.better,
                )
                for bar in bars
            ]
        )
        note = text(
            self.tr(
                "How much the right answer surprises Allie, in nats a token, before and after. Less is better."
            ),
            "small",
        )
        return _section(self.tr("What it proved"), frame("card", column(note, chart, spacing=theme.SPACE_3)))

    def _checks(self, judgement: Judgement) -> QWidget | None:
        rows = words.check_rows(judgement)
        if not rows:
            return None
        inside = column(spacing=theme.SPACE_2)
        inside.addWidget(text(words.verdict_title(judgement.verdict), "subheading"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE_3)
        grid.setVerticalSpacing(theme.SPACE_2)
        for place, (tone, word, sentence) in enumerate(rows):
            grid.addWidget(badge(word, tone), place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text(clean(sentence)), place, 1)
        grid.setColumnStretch(1, 1)
        inside.addLayout(grid)
        return _section(self.tr("What was checked"), frame("card", inside))

    def _training(self, report: WorkerReport) -> QWidget:
        training = report.training
        chart = LineChart(
            self.tr("Loss over the steps of training"),
            x_label=self.tr("step"),
            y_label=self.tr("loss, nats/token (less is better)"),
            empty=self.tr("No steps were logged."),
        )
        steps = tuple((float(point.step), point.loss) for point in training.curve)
        chart.set_lines(
            (
                Line(name=self.tr("each step"), points=steps, color_name="chart_muted"),
                Line(name=self.tr("average"), points=smoothed(steps, 9), color_name="chart_1"),
                Line(
                    name=self.tr("never trained on"),
                    points=tuple((float(point.step), point.loss) for point in training.held_out),
                    color_name="chart_3",
                    dots=True,
                ),
            )
        )
        inside = column(chart, _bullets(tuple(training_facts(report))), spacing=theme.SPACE_3)
        return _section(self.tr("How it trained"), frame("card", inside))

    def _numbers(self, report: WorkerReport) -> QWidget | None:
        rows = [
            (
                translate("Episodes", one.name),
                number(one.base, one.unit),
                number(one.before, one.unit),
                number(one.after, one.unit),
                f"{one.items:,}",
            )
            for one in measure_rows(report)
        ]
        if not rows:
            return None
        head = (
            self.tr("Measure"),
            self.tr("Base model"),
            self.tr("Before"),
            self.tr("After"),
            self.tr("Items"),
        )
        return _section(self.tr("All numbers"), NumbersTable(self.tr("All numbers"), head, rows))

    def _material(self, plan: Plan | None) -> QWidget | None:
        if plan is None:
            return None
        inside = column(_bullets(tuple(material_facts(plan))), spacing=theme.SPACE_3)
        self._lessons = column(spacing=theme.SPACE_2)
        inside.addLayout(self._lessons)
        self._more_lessons = button("", self._on_more_lessons, "link")
        inside.addLayout(row(self._more_lessons, 1))
        self._lessons_shown = 0
        self._lesson_rows = tuple(words.material_rows(plan))
        made = _section(self.tr("What it was trained on"), frame("card", inside))
        self._on_more_lessons(3)
        return made

    def _on_more_lessons(self, count: int = _LESSONS_AT_ONCE) -> None:
        first = self._lessons_shown
        for question, answer in self._lesson_rows[first : first + count]:
            inside = column(
                text(clean(shortened(question, 400)).strip() or "…", "soft"),
                text(clean(shortened(answer, 800)).strip() or "…", selectable=True),
                spacing=theme.SPACE_1,
            )
            self._lessons.addWidget(frame("well", inside, margins=theme.SPACE_3))
        self._lessons_shown = min(len(self._lesson_rows), first + count)
        left = len(self._lesson_rows) - self._lessons_shown
        self._more_lessons.setVisible(left > 0)
        words_left = self.tr("Show more lessons ({count} left)").format(count=f"{left:,}")
        self._more_lessons.setText(words_left)
        self._more_lessons.setAccessibleName(words_left)

    # --- undo ---

    def _on_undo(self) -> None:
        version, parent = self._episode.version or "", self._episode.parent
        before = self.tr("the untouched base model") if parent in {None, BASE} else str(parent)
        if not confirmed(
            self,
            title=self.tr("Undo {version}?").format(version=version),
            sentence=self.tr(
                "From the next question on, {before} answers again. What {version} learnt counts as new, so that a "
                "later episode may learn it once more. {version} is kept, and you can go back to it under Versions."
            ).format(before=before, version=version),
            action=self.tr("Undo {version}").format(version=version),
            keep=self.tr("Keep {version}").format(version=version),
        ):
            return
        self.undo_button.setEnabled(False)
        rollback = self._services.rollback
        self._background.run(lambda: rollback(None), self._on_undone, self._on_undo_failed)

    def _on_undone(self, active: str) -> None:
        self.undo_button.setEnabled(True)
        self.undo_button.hide()
        set_tone(self._badge, self.tr("not in use"), "")
        name = self.tr("The base model") if active == BASE else active
        self.said.emit(self.tr("{name} answers now.").format(name=name))
        self._services.feed.versions_changed.emit()

    def _on_undo_failed(self, error: AllieError) -> None:
        self.undo_button.setEnabled(True)
        self.said.emit(str(error))


def _sentence(episode: Episode) -> str:
    return words.detail_words(episode) or words.verdict_words(episode)


def _section(title: str, content: QWidget) -> QWidget:
    made = QWidget()
    made.setLayout(column(text(title, "heading"), content, spacing=theme.SPACE_2))
    return made


def _bullets(sentences: Sequence[str]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.SPACE_2)
    grid.setVerticalSpacing(theme.SPACE_1)
    for place, sentence in enumerate(sentences):
        grid.addWidget(text("•", "soft", wrap=False), place, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(text(clean(sentence)), place, 1)
    grid.setColumnStretch(1, 1)
    return grid

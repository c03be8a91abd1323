"""Answers to the person's own prompts, before and after an episode."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from allie_desktop.domain.validation import AnswerSample
from allie_desktop.services.report import OWN_KINDS, clean, shortened
from allie_desktop.ui import theme
from allie_desktop.ui.windows.pieces import badge, column, frame, row, text

#: Longest text of an answer, in characters, and answers shown before "Show all".
_LONGEST, _FIRST_SHOWN = 1500, 4


def _tr(words: str) -> str:
    return QCoreApplication.translate("Answers", words)


def own_samples(samples: tuple[AnswerSample, ...]) -> tuple[AnswerSample, ...]:
    """Return the answers to what the person itself asked, those that changed first."""
    own = [sample for sample in samples if sample.kind in OWN_KINDS]
    return tuple(sorted(own, key=lambda sample: sample.active.strip() == sample.candidate.strip()))


class AnswerCard(QFrame):
    """One prompt with the answers beside each other."""

    def __init__(self, sample: AnswerSample) -> None:
        super().__init__()
        self.setProperty("role", "card")
        kinds = {
            "taught": _tr("What you taught"),
            "phrasing": _tr("Asked in other words"),
            "replay": _tr("Learnt earlier"),
            "ordinary": _tr("Your kind of question"),
        }
        prompt = text(_shown(sample.prompt), "subheading", selectable=True)
        self.setAccessibleName(_tr("Answers to: {prompt}").format(prompt=prompt.text()[:120]))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        top = row(prompt, badge(kinds.get(sample.kind, sample.kind)), spacing=theme.SPACE_3)
        top.setStretch(0, 1)
        layout.addLayout(top)
        grid = QGridLayout()
        grid.setSpacing(theme.SPACE_3)
        same = sample.active.strip() == sample.candidate.strip()
        if same:
            grid.addWidget(_answer(_tr("Before and after"), sample.active, "well"), 0, 0, 1, 2)
        else:
            grid.addWidget(_answer(_tr("Before"), sample.active, "well"), 0, 0)
            grid.addWidget(_answer(_tr("After"), sample.candidate, "accent"), 0, 1)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        layout.addLayout(grid)
        if sample.reference.strip() and sample.reference.strip() != sample.candidate.strip():
            layout.addWidget(text(_tr("It should be: {text}").format(text=_shown(sample.reference)), "soft"))


class AnswerList(QWidget):
    """The most telling answers, and the others on request."""

    def __init__(self, samples: tuple[AnswerSample, ...]) -> None:
        super().__init__()
        from allie_desktop.ui.windows.pieces import button

        self._rest = samples[_FIRST_SHOWN:]
        self._layout = column(*map(AnswerCard, samples[:_FIRST_SHOWN]), spacing=theme.SPACE_3)
        self.setLayout(self._layout)
        self._more = button(_tr("Show {count} more").format(count=len(self._rest)), self._on_more, "link")
        self._layout.addLayout(row(self._more, 1))
        self._more.setVisible(bool(self._rest))

    def _on_more(self) -> None:
        self._more.hide()
        for sample in self._rest:
            self._layout.addWidget(AnswerCard(sample))


def _answer(title: str, words: str, role: str) -> QFrame:
    shown = _shown(words)
    answer = text(shown or _tr("(nothing)"), "" if shown else "soft", selectable=True)
    answer.setAccessibleName(f"{title}: {shown or _tr('(nothing)')}"[:400])
    inside = column(text(title, "overline"), answer, 1, spacing=theme.SPACE_1)
    return frame(role, inside, margins=theme.SPACE_3)


def _shown(words: str) -> str:
    return clean(shortened(words, _LONGEST)).strip()

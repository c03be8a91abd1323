"""Choosing the base model: the one that is here, or a larger one that has to be fetched."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QProgressBar, QRadioButton, QVBoxLayout, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.words import size_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.pieces import button, column, frame, row, text
from allie_desktop.ui.windows.services import Download, ModelChoice, WindowServices

#: A progress bar needs no more than so many seconds between two looks.
_PROGRESS_SECONDS = 0.1


class ModelChoicePanel(QWidget):
    """Saves the choice in the preferences; a download runs in a thread and can be cancelled. GUI thread."""

    ready_changed = Signal(bool)  # whether one may go on: nothing is being fetched

    def __init__(self, services: WindowServices, choices: Sequence[ModelChoice]) -> None:
        super().__init__()
        self._services = services
        self._choices = tuple(choices)
        self._background = Background(self)
        self._cancel = threading.Event()
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        chosen = services.preferences.current.base_model
        for choice in self._choices:
            layout.addWidget(self._tile(choice))
            self.buttons[choice.name].setChecked(bool(choice.setting) and choice.setting == chosen)
        if self._group.checkedButton() is None and self._choices:
            self.buttons[self._choices[0].name].setChecked(True)
        self._group.buttonToggled.connect(self._on_toggled)
        self._progress = self._make_progress()
        layout.addWidget(self._progress)
        self._error = text("", "error")
        self._error.hide()
        layout.addWidget(self._error)

    @property
    def chosen(self) -> ModelChoice | None:
        """The choice that is marked."""
        return next((one for one in self._choices if self.buttons[one.name].isChecked()), None)

    @property
    def downloading(self) -> bool:
        """Whether a model is on its way."""
        return self._background.busy

    def cancel(self) -> None:
        """Give a download up; what is here of it is kept for the next time."""
        self._cancel.set()

    def start_download(self) -> None:
        """Fetch the marked model."""
        choice, download = self.chosen, self._services.download
        if choice is None or download is None or not choice.repository or self.downloading:
            return
        self._cancel.clear()
        self._error.hide()
        self._show_progress(Download(done_bytes=0, total_bytes=choice.size_bytes))
        self._progress.show()
        for one in self.buttons.values():
            one.setEnabled(False)
        last = 0.0

        def progress(step: Download) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= _PROGRESS_SECONDS:
                last = now
                self._background.tell(lambda: self._show_progress(step))

        cancel, repository = self._cancel, choice.repository
        self._background.run(
            lambda: download(repository, progress, cancel.is_set), self._on_fetched, self._on_failed
        )
        self.ready_changed.emit(False)

    def _tile(self, choice: ModelChoice) -> QFrame:
        radio = QRadioButton(choice.title)
        radio.setAccessibleName(choice.title)
        radio.setAccessibleDescription(choice.description)
        self._group.addButton(radio)
        self.buttons[choice.name] = radio
        here = not choice.repository
        size = (
            self.tr("Comes with Allie")
            if here
            else self.tr("Download, {size}").format(size=size_words(choice.size_bytes))
        )
        top = row(radio, 1, text(size, "soft", wrap=False))
        words = text(choice.description, "soft")
        words.setContentsMargins(28, 0, 0, 0)
        inside = column(top, words, spacing=2)
        if not here:
            fetch = button(
                self.tr("Download"),
                lambda: self._on_download(choice),
                icon="download",
                name=self.tr("Download {model}").format(model=choice.title),
            )
            fetch.setEnabled(self._services.download is not None)
            line = row(fetch, 1)
            line.setContentsMargins(28, theme.SPACE_2, 0, 0)
            inside.addLayout(line)
        return frame("card", inside, margins=theme.SPACE_3)

    def _make_progress(self) -> QFrame:
        self._words = text("", "soft", wrap=False)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName(self.tr("Progress of the download"))
        stop = button(self.tr("Cancel"), self.cancel, name=self.tr("Cancel the download"))
        top = row(self._words, 1, stop)
        made = frame("well", column(top, self.bar, spacing=theme.SPACE_2), margins=theme.SPACE_3)
        made.hide()
        return made

    def _show_progress(self, step: Download) -> None:
        done = size_words(step.done_bytes)
        if step.total_bytes > 0:
            self.bar.setRange(0, 1000)
            self.bar.setValue(min(1000, round(1000 * step.done_bytes / step.total_bytes)))
            self._words.setText(
                self.tr("{done} of {total}").format(done=done, total=size_words(step.total_bytes))
            )
        else:
            self.bar.setRange(0, 0)
            self._words.setText(done)

    def _on_download(self, choice: ModelChoice) -> None:
        self.buttons[choice.name].setChecked(True)
        self.start_download()

    def _on_toggled(self, radio: QRadioButton, on: bool) -> None:
        choice = self.chosen
        if on and choice is not None and radio is self.buttons[choice.name] and choice.setting:
            self._save(choice.setting)

    def _on_fetched(self, setting: str) -> None:
        self._over()
        if setting:
            self._words.setText(self.tr("Downloaded, checked and chosen."))
            self.bar.setRange(0, 1000)
            self.bar.setValue(1000)
            self._progress.show()
            self._save(setting)
        else:
            self._error.setText(self.tr("Cancelled. What is here already is kept for the next time."))
            self._error.show()
            self._fall_back()

    def _on_failed(self, error: AllieError) -> None:
        self._over()
        self._error.setText(str(error))
        self._error.show()
        self._fall_back()

    def _fall_back(self) -> None:
        here = next((one for one in self._choices if one.setting), None)
        if here is not None:
            self.buttons[here.name].setChecked(True)

    def _over(self) -> None:
        self._progress.hide()
        for one in self.buttons.values():
            one.setEnabled(True)
        self.ready_changed.emit(True)

    def _save(self, setting: str) -> None:
        try:
            self._services.preferences.set("base_model", setting)
        except AllieError as error:
            self._error.setText(str(error))
            self._error.show()

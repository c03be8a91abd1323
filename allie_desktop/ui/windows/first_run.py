"""The first run: what Allie does, whether it may, with which model, and what it may start from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QGridLayout,
    QLabel,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.settings import Preferences
from allie_desktop.ui import icons, theme
from allie_desktop.ui.presenters.words import conversations_words
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.import_box import ImportBox
from allie_desktop.ui.windows.model_choice import ModelChoicePanel
from allie_desktop.ui.windows.pieces import Picture, ScaledIcon, button, column, frame, row, scrolling, text
from allie_desktop.ui.windows.services import ModelChoice, WindowServices

_DONE_KEY = "first-run/done"


def is_due(preferences: Preferences, memory: QSettings | None) -> bool:
    """Whether to show the first run: nobody consented, and nobody went through it to its end."""
    done = memory is not None and memory.value(_DONE_KEY, "") == "yes"
    return not preferences.consent_given and not done


class FirstRun(QDialog):
    """Five steps, each of which may be left out; "Not now" closes it, and it comes back at the next start.

    ``ended`` tells whether it was gone through. GUI thread.
    """

    ended = Signal(bool)

    def __init__(
        self, services: WindowServices, *, memory: QSettings | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Welcome to Allie"))
        self.setWindowIcon(icons.app_icon())
        self.resize(700, 590)
        self.setMinimumSize(600, 540)
        self._services = services
        self._memory = memory
        self._background = Background(self)
        self._over = False
        self._imported = 0
        self.models: ModelChoicePanel | None = None
        self._stack = QStackedWidget()
        for page in (
            self._welcome(),
            self._consent(),
            self._model(),
            self._import(),
            self._finish(),
        ):
            self._stack.addWidget(page)
        self._steps = text("", "soft", wrap=False)
        self.skip = button(
            self.tr("Not now"), self.reject, "quiet", tip=self.tr("Comes back at the next start")
        )
        self.back = button(self.tr("Back"), lambda: self._go(-1))
        self.next = button(self.tr("Continue"), lambda: self._go(1), "primary")
        self.next.setDefault(True)
        footer = row(self.skip, 1, self._steps, 1, self.back, self.next, spacing=theme.SPACE_3)
        footer.setContentsMargins(theme.SPACE_5, theme.SPACE_3, theme.SPACE_5, theme.SPACE_4)
        layout = column(self._stack, spacing=0)
        layout.addLayout(footer)
        self.setLayout(layout)
        self._show_step()
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)
        if services.models is not None:
            self._background.run(services.models, self._on_models, self._on_no_models)

    @property
    def step(self) -> int:
        """The step that is shown, from 0."""
        return self._stack.currentIndex()

    # --- the steps ---

    def _welcome(self) -> QWidget:
        box = column(spacing=theme.SPACE_3)
        box.addWidget(ScaledIcon.brand(72), 0, Qt.AlignmentFlag.AlignHCenter)
        title = text(self.tr("Welcome to Allie"), "title")
        lead = text(
            self.tr("An AI of your own that learns from your conversations while you are away."), "lead"
        )
        for label in (title, lead):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            box.addWidget(label)
        box.addSpacing(theme.SPACE_3)
        for icon, head, sentence in (
            (
                "lock",
                self.tr("It is yours"),
                self.tr("Everything stays on this computer. Nothing is sent anywhere."),
            ),
            (
                "moon",
                self.tr("You never notice it working"),
                self.tr("It learns when nobody is here, and gives way at once when you come back."),
            ),
            (
                "undo",
                self.tr("It never gets worse"),
                self.tr("What is not proved better is not used, and whatever it learnt can be undone."),
            ),
        ):
            box.addWidget(_point(icon, head, sentence))
        return _step(box, self.tr("Welcome"))

    def _consent(self) -> QWidget:
        box = column(spacing=theme.SPACE_3)
        box.addWidget(text(self.tr("May Allie learn from your conversations?"), "title"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE_4)
        grid.setVerticalSpacing(theme.SPACE_3)
        for place, (name, sentence) in enumerate(
            (
                (
                    self.tr("What is learnt"),
                    self.tr(
                        "Answers that you corrected or liked, and conversations that you import. Keys, card numbers "
                        "and addresses are made unreadable first."
                    ),
                ),
                (
                    self.tr("When"),
                    self.tr(
                        "At night, when the computer is idle, cool and plugged in. You can change all of that."
                    ),
                ),
                (
                    self.tr("What never happens"),
                    self.tr(
                        "Nothing leaves this computer. The model that you start with is never changed. Nothing that "
                        "you exclude or delete is learnt."
                    ),
                ),
                (
                    self.tr("And later"),
                    self.tr(
                        "You can read every lesson, undo it, and make Allie forget a conversation for good."
                    ),
                ),
            )
        ):
            label = text(name, "subheading", wrap=False)
            grid.addWidget(label, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text(sentence), place, 1)
        grid.setColumnStretch(1, 1)
        box.addWidget(frame("card", grid))
        self.consent_yes = QRadioButton(self.tr("Yes, learn while I am away"))
        self.consent_no = QRadioButton(self.tr("No, only chat for now"))
        self._consents = QButtonGroup(self)
        for radio in (self.consent_yes, self.consent_no):
            radio.setAccessibleName(radio.text())
            self._consents.addButton(radio)
            box.addWidget(frame("card", column(radio), margins=theme.SPACE_2))
        self.consent_yes.setChecked(self._services.preferences.current.consent_given)
        self._consents.buttonToggled.connect(self._show_step)
        self._error = text("", "error")
        self._error.hide()
        box.addWidget(self._error)
        return _step(box, self.tr("Consent"))

    def _model(self) -> QWidget:
        self._model_box = column(spacing=theme.SPACE_3)
        self._model_box.addWidget(text(self.tr("Choose the model to start with"), "title"))
        self._model_box.addWidget(
            text(
                self.tr(
                    "Allie learns on top of it. You can change it later; each model has versions of its own."
                )
            )
        )
        starter = ModelChoice(
            name="starter",
            title=self.tr("Starter model"),
            description=self.tr("Small and quick. Runs on every computer and needs no download."),
            size_bytes=0,
            setting="starter",
        )
        self._place_models((starter,))
        return _step(self._model_box, self.tr("Model"))

    def _import(self) -> QWidget:
        box = column(spacing=theme.SPACE_3)
        box.addWidget(text(self.tr("Bring your conversations along"), "title"))
        box.addWidget(
            text(
                self.tr(
                    "Allie can learn from what you asked other assistants. You can do this at any time, and leave out "
                    "or forget whatever you like."
                )
            )
        )
        self.imports = ImportBox(self._services)
        self.imports.imported.connect(self._on_imported)
        box.addWidget(self.imports)
        return _step(box, self.tr("Import"))

    def _finish(self) -> QWidget:
        box = column(spacing=theme.SPACE_3)
        box.addStretch(1)
        box.addWidget(Picture("done", "success", 64), 0, Qt.AlignmentFlag.AlignHCenter)
        title = text(self.tr("All set"), "title")
        self._summary = text("", "lead")
        hint = text(
            self.tr(
                "Allie lives in the tray. When you correct an answer, it counts most: that is what Allie learns best from."
            ),
            "soft",
        )
        for label in (title, self._summary, hint):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            box.addWidget(label)
        box.addStretch(2)
        return _step(box, self.tr("Done"))

    # --- going on ---

    def _go(self, by: int) -> None:
        if by > 0 and self.step == 1 and not self._save_consent():
            return
        if by > 0 and self.step == self._stack.count() - 1:
            self._end(done=True)
            return
        self._stack.setCurrentIndex(max(0, min(self._stack.count() - 1, self.step + by)))
        self._show_step()
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_step(self, *_: object) -> None:
        last = self._stack.count() - 1
        self.back.setEnabled(self.step > 0)
        self.skip.setVisible(self.step < last)
        self.next.setText(self.tr("Start") if self.step == last else self.tr("Continue"))
        self.next.setAccessibleName(self.next.text())
        chosen = self._consents.checkedButton() is not None
        fetching = self.models is not None and self.models.downloading
        self.next.setEnabled((self.step != 1 or chosen) and (self.step != 2 or not fetching))
        self._steps.setText(self.tr("Step {step} of {steps}").format(step=self.step + 1, steps=last + 1))
        if self.step == last:
            self._summary.setText(self._said())

    def _said(self) -> str:
        parts = []
        if self._services.preferences.current.consent_given:
            parts.append(self.tr("Allie learns while you are away."))
        else:
            parts.append(self.tr("Allie only chats, until you let it learn under Privacy."))
        if self._imported:
            parts.append(self.tr("{what} are waiting.").format(what=conversations_words(self._imported)))
        return " ".join(parts)

    def _save_consent(self) -> bool:
        try:
            self._services.preferences.set("consent_given", self.consent_yes.isChecked())
        except AllieError as error:
            self._error.setText(str(error))
            self._error.show()
            return False
        self._error.hide()
        return True

    def _on_models(self, choices: Sequence[ModelChoice]) -> None:
        if choices:
            self._place_models(tuple(choices))

    def _on_no_models(self, _error: AllieError) -> None:
        """The starter model is offered anyway."""

    def _place_models(self, choices: tuple[ModelChoice, ...]) -> None:
        if self.models is not None:
            self.models.hide()
            self.models.deleteLater()
        self.models = ModelChoicePanel(self._services, choices)
        self.models.ready_changed.connect(self._show_step)
        self._model_box.insertWidget(2, self.models)

    def _on_imported(self, count: int) -> None:
        self._imported += count

    def _end(self, *, done: bool) -> None:
        if self._over:
            return
        self._over = True
        if self.models is not None:
            self.models.cancel()
        if done and self._memory is not None:
            self._memory.setValue(_DONE_KEY, "yes")
            self._memory.sync()
        self.ended.emit(done)
        super().done(int(done))

    def reject(self) -> None:
        """Close it for now."""
        self._end(done=False)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Close it for now."""
        self._end(done=False)
        super().closeEvent(event)


def _step(box: QVBoxLayout, name: str) -> QWidget:
    content = QWidget()
    box.addStretch(1)
    box.setContentsMargins(theme.SPACE_6, theme.SPACE_6, theme.SPACE_6, theme.SPACE_3)
    content.setLayout(box)
    return scrolling(content, name)


def _point(icon: str, head: str, sentence: str) -> QWidget:
    title: QLabel = text(head, "subheading")
    inside = row(
        Picture(icon, "accent", 26), column(title, text(sentence, "soft"), spacing=1), spacing=theme.SPACE_4
    )
    inside.setStretch(1, 1)
    return frame("card", inside, margins=theme.SPACE_3)

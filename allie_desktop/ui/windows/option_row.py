"""One option on the settings page: what it is called, what it does, its value, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QSizePolicy, QWidget

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.options import Kind, OptionSpec
from allie_desktop.ui import theme
from allie_desktop.ui.presenters.language import translate
from allie_desktop.ui.presenters.options import shown, step, typed
from allie_desktop.ui.windows.pieces import IconButton, column, restyle, row, text
from allie_desktop.ui.windows.switch import Switch

_FIELD_WIDTH, _WIDE_FIELD_WIDTH, _UNIT_WIDTH = 96, 208, 92

#: Saves a value; raises :class:`AllieError` with a sentence when it cannot.
Save = Callable[[str, object], object]


class OptionRow(QWidget):
    """Shows one option and saves what the person does to it at once. GUI thread.

    A value that cannot be used stays in its field with the reason under it and is not saved; the first
    attempt to leave such a field brings the person back, the second puts the saved value back.
    """

    def __init__(self, spec: OptionSpec, save: Save, reset: Callable[[str], object]) -> None:
        super().__init__()
        self.spec = spec
        self._save = save
        self._reset = reset
        self._value: object = spec.default
        label = text(translate("Options", spec.label), "subheading")
        explanation = text(translate("Options", spec.explanation), "small")
        self.error = text("", "error")
        self.error.setVisible(False)
        words = column(label, explanation, self.error, spacing=2)
        self.editor = self._make_editor()
        label.setBuddy(self.editor)
        self.editor.setAccessibleName(translate("Options", spec.label))
        self.editor.setAccessibleDescription(translate("Options", spec.explanation))
        self.reset_button = IconButton("", "reset", "icon")
        self.reset_button.setFixedSize(34, 32)
        self.reset_button.setToolTip(
            self.tr("Back to the default: {value}").format(
                value=f"{shown(spec, spec.default)} {spec.unit}".strip()
            )
        )
        self.reset_button.setAccessibleName(
            self.tr("Back to the default: {label}").format(label=translate("Options", spec.label))
        )
        self.reset_button.clicked.connect(self._on_reset)
        # Where there is nothing to reset its place stays empty, so that nothing jumps.
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(words, 1)
        layout.addLayout(self._control(), 0)
        layout.addWidget(self.reset_button, 0, Qt.AlignmentFlag.AlignVCenter)

    def set_ruled(self) -> None:
        """Draw a thin line over the row. By the style sheet: a widget for each line would take its time."""
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setProperty("role", "ruled")

    def show_value(self, value: object) -> None:
        """Show the saved value; what was wrong before is forgotten."""
        self._value = value
        editor = self.editor
        blocked = editor.blockSignals(True)
        if isinstance(editor, Switch):
            editor.setChecked(bool(value))
        elif isinstance(editor, QComboBox):
            editor.setCurrentIndex(
                next((i for i, choice in enumerate(self.spec.choices) if choice is value), -1)
            )
        elif isinstance(editor, ValueField):
            editor.show_saved(shown(self.spec, value))
        editor.blockSignals(blocked)
        editor.update()
        self._explain("")
        self.reset_button.setVisible(value != self.spec.default)

    def _control(self) -> QHBoxLayout:
        box = row(self.editor, spacing=theme.SPACE_2)
        if self.spec.unit:
            unit = text(translate("Options", self.spec.unit), "soft", wrap=False)
            unit.setMinimumWidth(_UNIT_WIDTH)
            box.addWidget(unit)
        elif self.spec.kind in {Kind.NUMBER, Kind.COUNT, Kind.CLOCK_TIME}:
            box.addSpacing(_UNIT_WIDTH + theme.SPACE_2)
        return box

    def _make_editor(self) -> QWidget:
        spec = self.spec
        if spec.kind is Kind.SWITCH:
            switch = Switch(spec.label)
            switch.toggled.connect(self._keep)
            return switch
        if spec.kind is Kind.CHOICE:
            box = QComboBox()
            for choice in spec.choices:
                box.addItem(shown(spec, choice))
            box.setFixedWidth(_WIDE_FIELD_WIDTH)
            # Scrolling the page must not change what lies under the mouse.
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            box.installEventFilter(self)
            box.currentIndexChanged.connect(self._on_chosen)
            return box
        field = ValueField(stepping=self._stepped if spec.kind in {Kind.NUMBER, Kind.COUNT} else None)
        wide = spec.kind in {Kind.TEXT, Kind.TEXTS}
        field.setFixedWidth(_WIDE_FIELD_WIDTH if wide else _FIELD_WIDTH)
        if not wide:
            field.setAlignment(Qt.AlignmentFlag.AlignRight)
        field.setMaxLength(4096)
        if spec.kind is Kind.TEXTS:
            field.setPlaceholderText(self.tr("none"))
        field.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        field.done.connect(self._on_typed)
        field.given_up.connect(lambda: self.show_value(self._value))
        field.textEdited.connect(self._on_typing)
        return field

    def eventFilter(self, watched: object, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Keep the mouse wheel from a box that has not the focus."""
        if event.type() is QEvent.Type.Wheel and isinstance(watched, QComboBox) and not watched.hasFocus():
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))  # type: ignore[arg-type]

    def _on_chosen(self, index: int) -> None:
        choice: Enum = self.spec.choices[index]
        self._keep(choice)

    def _on_typed(self, words: str) -> None:
        self._keep(typed(self.spec, words))

    def _on_typing(self, words: str) -> None:
        # Complaining while somebody types is rude, but a complaint goes as soon as its reason is gone.
        if not self.error.isHidden():
            try:
                self.spec.check(typed(self.spec, words))
            except AllieError:
                return
            self._explain("")

    def _stepped(self, direction: int) -> str | None:
        field = self.editor
        value = typed(self.spec, field.text()) if isinstance(field, QLineEdit) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        stepped = round(value + direction * step(self.spec, float(value)), 6)
        low, high = self.spec.minimum, self.spec.maximum
        stepped = stepped if low is None else max(low, stepped)
        stepped = stepped if high is None else min(high, stepped)
        return shown(self.spec, int(stepped) if self.spec.kind is Kind.COUNT else stepped)

    def _keep(self, value: object) -> None:
        try:
            self._save(self.spec.name, value)
        except AllieError as refusal:
            if isinstance(self.editor, ValueField):
                self._explain(str(refusal))
            else:
                self.show_value(self._value)
                self._explain(str(refusal))

    def _on_reset(self) -> None:
        try:
            self._reset(self.spec.name)
        except AllieError as refusal:
            self._explain(str(refusal))
        else:
            self.editor.setFocus(Qt.FocusReason.OtherFocusReason)

    def _explain(self, sentence: str) -> None:
        if sentence and sentence != self.error.text():
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self.editor, sentence))
        self.error.setText(sentence)
        self.error.setVisible(bool(sentence))
        if isinstance(self.editor, ValueField):
            self.editor.set_invalid(bool(sentence))
        description = translate("Options", self.spec.explanation)
        self.editor.setAccessibleDescription(f"{sentence} {description}".strip())


class ValueField(QLineEdit):
    """A field for one value: Enter or leaving it is done, Escape gives up, arrow keys step a number."""

    done = Signal(str)
    given_up = Signal()

    def __init__(self, *, stepping: Callable[[int], str | None] | None = None) -> None:
        super().__init__()
        self._stepping = stepping
        self._saved = ""
        self._invalid = False
        self._brought_back = False
        self.returnPressed.connect(self._finish)

    def show_saved(self, words: str) -> None:
        """Show what is saved."""
        self._saved = words
        self._brought_back = False
        if self.text() != words:
            self.setText(words)
        self.setCursorPosition(0)

    def set_invalid(self, invalid: bool) -> None:
        """Mark the field, or not."""
        if invalid != self._invalid:
            self._invalid = invalid
            self.setProperty("invalid", invalid)
            restyle(self)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Step, or give up."""
        steps = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        if self._stepping is not None and event.key() in steps:
            words = self._stepping(steps[Qt.Key(event.key())])
            if words is not None:
                self.setText(words)
                self._finish()
            return
        if event.key() == Qt.Key.Key_Escape and (self.text() != self._saved or self._invalid):
            self.given_up.emit()
            self.selectAll()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Be done, unless it is only a menu or another window that takes the focus."""
        super().focusOutEvent(event)
        if event.reason() in {Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason}:
            return
        self._finish()
        if not self._invalid:
            return
        if self._brought_back:
            self.given_up.emit()
        else:
            self._brought_back = True
            QTimer.singleShot(0, self, self._return)

    def _return(self) -> None:
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.selectAll()

    def _finish(self) -> None:
        if self.text() != self._saved:
            self.done.emit(self.text())

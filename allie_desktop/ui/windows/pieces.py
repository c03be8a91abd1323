"""The pieces that pages are made of: texts, buttons, cards, rows, empty states."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from allie_desktop.ui import icons, theme

#: Text is not read well in longer lines.
_TEXT_WIDTH = 760


def text(words: str, kind: str = "", *, wrap: bool = True, selectable: bool = False) -> QLabel:
    """Return a label. Words are shown as they are: they may come from conversations and models."""
    label = QLabel(words)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if kind:
        label.setProperty("kind", kind)
    if selectable:
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        label.setAccessibleName(words[:200])
    return label


def badge(words: str, tone: str = "") -> QLabel:
    """Return a word on a tinted ground; ``tone`` is success, warning, danger, accent or nothing."""
    label = text(words, "badge", wrap=False)
    label.setProperty("tone", tone)
    label.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Maximum)
    return label


def set_tone(label: QLabel, words: str, tone: str) -> None:
    """Change a badge."""
    label.setText(words)
    label.setProperty("tone", tone)
    restyle(label)


def restyle(widget: QWidget) -> None:
    """Let the style sheet look at a widget's properties again."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def button(
    words: str,
    on_click: Callable[[], object],
    kind: str = "",
    *,
    icon: str = "",
    name: str = "",
    tip: str = "",
) -> QPushButton:
    """Return a push button. ``name`` is read aloud in place of the words."""
    made = IconButton(words, icon, kind) if icon else QPushButton(words)
    if kind:
        made.setProperty("kind", kind)
    made.setAutoDefault(False)
    made.setAccessibleName(name or words.replace("&", ""))
    if tip:
        made.setToolTip(tip)
    made.clicked.connect(lambda: on_click())  # noqa: PLW0108 - without it the slot gets "checked"
    return made


class IconButton(QPushButton):
    """A button whose icon follows the theme and its own state."""

    def __init__(self, words: str, icon_name: str, kind: str = "", parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._icon_name = icon_name
        if kind:
            self.setProperty("kind", kind)
        self.setIconSize(QSize(18, 18))
        self.toggled.connect(self._color)
        self._color()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the icon in the new colours."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.EnabledChange}:
            self._color()
        super().changeEvent(event)

    def _color(self) -> None:
        colors, kind = theme.current(), self.property("kind")
        if not self.isEnabled():
            color = colors.text_faint
        elif kind == "primary":
            color = colors.on_accent
        elif kind == "link" or (kind == "nav" and self.isChecked()):
            color = colors.accent
        elif kind == "danger":
            color = colors.danger
        else:
            color = colors.text_soft
        self.setIcon(icons.icon(self._icon_name, color))


class Picture(QLabel):
    """A line icon by itself, in a colour of the theme. Decoration: it has no name of its own."""

    def __init__(self, icon_name: str, color_name: str = "text_soft", size: int = 20) -> None:
        super().__init__()
        self._icon_name, self._token, self._size = icon_name, color_name, size
        self.setFixedSize(size, size)
        self._color()

    def show_icon(self, icon_name: str, color_name: str) -> None:
        """Show another one."""
        self._icon_name, self._token = icon_name, color_name
        self._color()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Draw it in the new colours."""
        if event.type() is QEvent.Type.PaletteChange:
            self._color()
        super().changeEvent(event)

    def _color(self) -> None:
        color = getattr(theme.current(), self._token)
        self.setPixmap(icons.pixmap(self._icon_name, color, self._size, self.devicePixelRatioF()))


class ScaledIcon:
    """Icons of the program itself, for labels."""

    @staticmethod
    def brand(size: int) -> QLabel:
        """Return Allie's own mark."""
        label = QLabel()
        label.setFixedSize(size, size)
        picture: QIcon = icons.app_icon()
        label.setPixmap(picture.pixmap(QSize(size, size)))
        label.setAccessibleName("Allie")
        return label


def column(*items: QWidget | QLayout | int, spacing: int = theme.SPACE_2, margins: int = 0) -> QVBoxLayout:
    """Return items one under the other; a number is a stretch of that weight, or with 0 nothing."""
    box = QVBoxLayout()
    _fill(box, items, spacing, margins)
    return box


def row(*items: QWidget | QLayout | int, spacing: int = theme.SPACE_2, margins: int = 0) -> QHBoxLayout:
    """Return items beside each other; a number is a stretch."""
    box = QHBoxLayout()
    _fill(box, items, spacing, margins)
    return box


def frame(role: str, layout: QLayout, *, margins: int = theme.SPACE_4) -> QFrame:
    """Return a card (``card``), a sunken one (``well``), or a tinted one (``accent``, ``warning``, …)."""
    made = QFrame()
    made.setProperty("role", role)
    layout.setContentsMargins(margins, margins, margins, margins)
    made.setLayout(layout)
    return made


def line() -> QFrame:
    """Return a thin line."""
    made = QFrame()
    made.setProperty("role", "line")
    return made


def empty_state(icon_name: str, title: str, sentence: str, *actions: QWidget) -> QWidget:
    """Return what stands where nothing is yet: why, and what to do."""
    picture = Picture(icon_name, "text_faint", 40)
    heading = text(title, "heading")
    words = text(sentence, "soft")
    for label in (heading, words):
        label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        label.setFixedWidth(440)
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setSpacing(theme.SPACE_2)
    layout.addStretch(1)
    for widget in (picture, heading, words):
        layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
    if actions:
        layout.addSpacing(theme.SPACE_2)
        layout.addLayout(row(1, *actions, 1))
    layout.addStretch(2)
    return made


def scrolling(content: QWidget, name: str) -> QScrollArea:
    """Return a scroll area for a page's content, which keeps a readable width."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setAccessibleName(name)
    holder = QWidget()
    holder.setProperty("role", "scrolled")
    content.setMaximumWidth(_TEXT_WIDTH)
    content.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    inside = row(spacing=0)
    inside.addWidget(content, 1)
    inside.addStretch(0)
    holder.setLayout(inside)
    area.setWidget(holder)
    area.viewport().setAutoFillBackground(False)
    return area


def page_header(title: str, *beside: QWidget) -> QHBoxLayout:
    """Return a page's title with what stands at its right."""
    heading = text(title, "title", wrap=False)
    return row(heading, 1, *beside)


class Slot(QWidget):
    """A place for one thing, which can be exchanged for another."""

    def __init__(self, *items: QWidget | QLayout) -> None:
        super().__init__()
        self._content: QWidget | None = None
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        if items:
            self.put(*items)

    def put(self, *items: QWidget | QLayout, spacing: int = theme.SPACE_4) -> None:
        """Show these one under the other, in place of what was here."""
        old, self._content = self._content, QWidget(self)
        self._content.setLayout(column(*items, spacing=spacing))
        if old is not None:
            # Hidden at once: deleted it is only when the event loop comes round.
            old.hide()
            self._box.removeWidget(old)
            old.deleteLater()
        self._box.addWidget(self._content)
        # Else it comes with the event loop only, and could not take the keyboard until then.
        self._content.setVisible(True)

    def add(self, item: QWidget) -> None:
        """Show one more under what is here."""
        layout = None if self._content is None else self._content.layout()
        if layout is None:
            self.put(item)
        else:
            layout.addWidget(item)


def _fill(box: QBoxLayout, items: tuple[QWidget | QLayout | int, ...], spacing: int, margins: int) -> None:
    box.setSpacing(spacing)
    box.setContentsMargins(margins, margins, margins, margins)
    for item in items:
        if isinstance(item, QWidget):
            box.addWidget(item)
        elif isinstance(item, QLayout):
            box.addLayout(item)
        else:
            box.addStretch(item)

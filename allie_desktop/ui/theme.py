"""Colours, sizes and the style sheet of every window, in light and dark.

A :class:`Theme` is a set of tokens; whoever paints for itself asks :func:`current` for them when it paints
and repaints on a change of the palette. :class:`ThemeKeeper` follows the person's choice and, where that is
"as the system has it", the system.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, fields

from PySide6.QtCore import QDir, QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.preferences import Theme as Choice
from allie_desktop.paths import resource
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.ui.stylesheet import SHEET

#: Distances between things, in device-independent pixels: within a control, in a row, in a card, of a page.
SPACE_1, SPACE_2, SPACE_3, SPACE_4, SPACE_5, SPACE_6 = 4, 8, 12, 16, 24, 32

#: Roundness of controls and of cards.
RADIUS_CONTROL, RADIUS_CARD = 6, 10

#: Body text never gets smaller than this, whatever the platform says.
_SMALLEST_POINTS = 9.0

_FONT_PROPERTY = "allie-system-points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours as ``#rrggbb``. ``soft`` ones are tinted backgrounds; ``text_soft`` is still readable text."""

    name: str
    dark: bool
    window: str
    sidebar: str
    surface: str
    sunken: str
    hover: str
    border: str
    border_strong: str
    text: str
    text_soft: str
    text_faint: str  # disabled things only
    accent: str
    accent_hover: str
    accent_pressed: str
    accent_soft: str
    on_accent: str
    success: str
    success_soft: str
    warning: str
    warning_soft: str
    danger: str
    danger_hover: str
    danger_soft: str
    on_danger: str
    chart_1: str
    chart_2: str
    chart_3: str
    chart_muted: str
    shadow: str

    def color(self, token: str) -> QColor:
        """Return a colour by its token's name."""
        return QColor(getattr(self, token))


LIGHT = Theme(
    name="light",
    dark=False,
    window="#f6f7f9",
    sidebar="#eceef3",
    surface="#ffffff",
    sunken="#eff1f5",
    hover="#e3e6ed",
    border="#dfe3ea",
    border_strong="#828b9b",
    text="#1a1d24",
    text_soft="#565d6b",
    text_faint="#9aa1ad",
    accent="#4a4fc4",
    accent_hover="#3f44b2",
    accent_pressed="#34389a",
    accent_soft="#e7e8fa",
    on_accent="#ffffff",
    success="#17754a",
    success_soft="#e0f3e9",
    warning="#855600",
    warning_soft="#fbf0d9",
    danger="#b3261e",
    danger_hover="#9a1f18",
    danger_soft="#fbe7e5",
    on_danger="#ffffff",
    chart_1="#4a4fc4",
    chart_2="#b65a08",
    chart_3="#17754a",
    chart_muted="#a9b0bd",
    shadow="#1a1d24",
)

DARK = Theme(
    name="dark",
    dark=True,
    window="#16181d",
    sidebar="#111317",
    surface="#1e2128",
    sunken="#191b21",
    hover="#2a2e37",
    border="#2f343e",
    border_strong="#737c8c",
    text="#e8eaef",
    text_soft="#a6adba",
    text_faint="#666e7b",
    accent="#9295f7",
    accent_hover="#a6a8f9",
    accent_pressed="#7f82e6",
    accent_soft="#2b2d50",
    on_accent="#14152a",
    success="#62cf98",
    success_soft="#1b3629",
    warning="#e3b457",
    warning_soft="#3a2f18",
    danger="#ff8f85",
    danger_hover="#ffa59d",
    danger_soft="#43211f",
    on_danger="#2b0b08",
    chart_1="#9295f7",
    chart_2="#f0a460",
    chart_3="#62cf98",
    chart_muted="#59616f",
    shadow="#000000",
)

_current = LIGHT


def current() -> Theme:
    """Return the theme that was applied last; :data:`LIGHT` before the first."""
    return _current


def resolve(choice: Choice) -> Theme:
    """Return the theme that a choice means now; where the system says nothing, the light one."""
    if choice is Choice.SYSTEM:
        scheme = QGuiApplication.styleHints().colorScheme()
        return DARK if scheme is Qt.ColorScheme.Dark else LIGHT
    return DARK if choice is Choice.DARK else LIGHT


def apply(app: QApplication, theme: Theme) -> None:
    """Give every window of ``app`` this theme, those already open included. GUI thread."""
    global _current  # noqa: PLW0603 - an application has one theme, and painters must be able to ask for it
    _current = theme
    with contextlib.suppress(AllieError):  # without its icons it still has words
        QDir.setSearchPaths("allie", [str(resource("icons"))])
    if app.style().name().lower() != "fusion":
        app.setStyle("Fusion")  # the one style that looks the same everywhere and takes every colour
    app.setPalette(palette(theme))
    app.setStyleSheet(stylesheet(theme, _system_points(app)))


def stylesheet(theme: Theme, points: float) -> str:
    """Return the style sheet with ``points`` as the size of body text."""
    points = max(points, _SMALLEST_POINTS)
    sheet = SHEET
    # Longest names first: $accent is the beginning of $accent_hover.
    tokens = sorted((f.name for f in fields(Theme)), key=len, reverse=True)
    for name in tokens:
        sheet = sheet.replace(f"${name}", str(getattr(theme, name)))
    for name, factor in (("small", 0.9), ("body", 1.0), ("lead", 1.12), ("heading", 1.25), ("title", 1.75)):
        sheet = sheet.replace(f"@{name}", f"{points * factor:.2f}pt")
    return sheet


def palette(theme: Theme) -> QPalette:
    """Return the palette for what a style sheet does not reach."""
    made = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.surface,
        QPalette.ColorRole.AlternateBase: theme.sunken,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.text_soft,
        QPalette.ColorRole.Button: theme.surface,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.danger,
        QPalette.ColorRole.ToolTipBase: theme.text,
        QPalette.ColorRole.ToolTipText: theme.surface,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.LinkVisited: theme.accent,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Mid: theme.border,
        QPalette.ColorRole.Shadow: theme.shadow,
    }
    for role, color in roles.items():
        made.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.text_faint))
    return made


class ThemeKeeper(QObject):
    """Keeps the application in the colours that the person chose. GUI thread."""

    changed = Signal(object)  # Theme

    def __init__(
        self, app: QApplication, preferences: PreferencesService, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._app = app
        self._preferences = preferences
        self._unobserve: Callable[[], None] = preferences.observe(self._on_preferences)
        app.styleHints().colorSchemeChanged.connect(self._on_system)
        apply(app, resolve(preferences.current.theme))

    def stop(self) -> None:
        """Follow nobody any more."""
        self._unobserve()
        self._app.styleHints().colorSchemeChanged.disconnect(self._on_system)

    def _on_preferences(self, _preferences: Preferences, names: frozenset[str]) -> None:
        if "theme" in names:
            self._update()

    def _on_system(self) -> None:
        self._update()

    def _update(self) -> None:
        theme = resolve(self._preferences.current.theme)
        if theme is not current():
            apply(self._app, theme)
            self.changed.emit(theme)


def _system_points(app: QApplication) -> float:
    # Once a style sheet is set, app.font() may come from it: the first answer is remembered.
    known = app.property(_FONT_PROPERTY)
    if known is None:
        size = app.font().pointSizeF()
        known = size if size > 0 else 10.0
        app.setProperty(_FONT_PROPERTY, known)
    return float(known)

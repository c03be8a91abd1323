from __future__ import annotations

import re
from dataclasses import fields

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from allie_desktop.domain.preferences import Theme as Choice
from allie_desktop.paths import resource
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.store.database import Database
from allie_desktop.store.settings import SqliteSettings
from allie_desktop.ui import icons, theme
from allie_desktop.ui.icons import TrayState
from allie_desktop.ui.theme import DARK, LIGHT, Theme, ThemeKeeper

TEXT_ON = [
    ("text", "window"),
    ("text", "surface"),
    ("text", "sidebar"),
    ("text", "sunken"),
    ("text", "hover"),
    ("text", "accent_soft"),
    ("text", "success_soft"),
    ("text", "warning_soft"),
    ("text_soft", "window"),
    ("text_soft", "surface"),
    ("text_soft", "sidebar"),
    ("text_soft", "sunken"),
    ("accent", "surface"),
    ("accent", "window"),
    ("accent", "accent_soft"),
    ("on_accent", "accent"),
    ("on_accent", "accent_hover"),
    ("success", "surface"),
    ("success", "success_soft"),
    ("warning", "warning_soft"),
    ("danger", "surface"),
    ("danger", "danger_soft"),
    ("on_danger", "danger"),
    ("window", "text"),
]
SHAPES_ON = [
    ("border_strong", "surface"),
    ("border_strong", "window"),
    ("accent", "sidebar"),
    ("chart_2", "surface"),
]


def luminance(color: str) -> float:
    parts = QColor(color).getRgbF()[:3]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT_ON)
def test_text_can_be_read(colors, ink, ground):
    assert round(contrast(getattr(colors, ink), getattr(colors, ground)), 2) >= 4.5


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES_ON)
def test_shapes_that_mean_something_can_be_seen(colors, shape, ground):
    assert round(contrast(getattr(colors, shape), getattr(colors, ground)), 2) >= 3


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_the_style_sheet_has_no_token_left_and_every_picture_it_names(colors):
    sheet = theme.stylesheet(colors, 10.0)
    assert re.findall(r"\$\w+|@\w+", sheet) == []
    assert all(resource(f"icons/{name}").is_file() for name in re.findall(r"url\(allie:([^)]+)\)", sheet))


def test_every_colour_is_a_colour():
    for colors in (LIGHT, DARK):
        for one in fields(Theme):
            if one.name not in {"name", "dark"}:
                assert re.fullmatch("#[0-9a-f]{6}", getattr(colors, one.name)), one.name


def test_text_is_never_smaller_than_can_be_read():
    assert "font-size: 9.00pt" in theme.stylesheet(LIGHT, 3.0)
    assert "font-size: 14.00pt" in theme.stylesheet(LIGHT, 14.0)


@pytest.fixture
def preferences(tmp_path):
    with Database.open(tmp_path / "a.sqlite3") as database:
        yield PreferencesService(SqliteSettings(database))


def test_the_windows_follow_the_choice_at_once(qtbot, qapp, preferences):
    keeper = ThemeKeeper(qapp, preferences)
    with qtbot.waitSignal(keeper.changed) as heard:
        preferences.set("theme", "dark")
    assert heard.args == [DARK]
    assert theme.current() is DARK
    assert qapp.palette().window().color() == QColor(DARK.window)
    preferences.set("theme", "light")
    assert theme.current() is LIGHT
    keeper.stop()
    preferences.set("theme", "dark")
    assert theme.current() is LIGHT


def test_the_windows_follow_the_system_where_that_is_the_choice(qtbot, qapp, preferences):
    keeper = ThemeKeeper(qapp, preferences)
    hints = qapp.styleHints()
    hints.setColorScheme(Qt.ColorScheme.Dark)
    try:
        qtbot.waitUntil(lambda: theme.resolve(Choice.SYSTEM) is hints_theme(hints))
        keeper._on_system()
        assert theme.current() is hints_theme(hints)
    finally:
        hints.unsetColorScheme()
        keeper.stop()
        theme.apply(qapp, LIGHT)


def hints_theme(hints):
    return DARK if hints.colorScheme() is Qt.ColorScheme.Dark else LIGHT


@pytest.mark.parametrize("state", list(TrayState))
@pytest.mark.parametrize("dark_panel", [True, False])
def test_each_state_has_an_icon_at_all_sizes(qapp, state, dark_panel):
    icon = icons.tray_icon(state, 0.4, dark_panel=dark_panel)
    assert {size.width() for size in icon.availableSizes()} >= {16, 22, 24, 32, 48, 64}
    image = icon.pixmap(32, 32).toImage()
    drawn = sum(image.pixelColor(x, y).alpha() > 200 for x in range(32) for y in range(32))
    assert drawn > 150


def test_the_states_look_different(qapp):
    pictures = {bytes(icons.tray_icon(s).pixmap(32, 32).toImage().constBits()) for s in TrayState}
    assert len(pictures) == len(TrayState)


def test_the_ring_grows_with_progress(qapp):
    def purple(share: float) -> int:
        image = icons.tray_icon(TrayState.LEARNING, share).pixmap(48, 48).toImage()
        colors = (image.pixelColor(x, y) for x in range(48) for y in range(48))
        return sum(c.alpha() > 128 and c.blue() > 180 and c.red() < 200 for c in colors)

    grown = [purple(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0, 7.0)]
    assert grown == sorted(grown)
    assert grown[0] < grown[1] < grown[4] == grown[5]
    assert (
        icons.tray_icon(TrayState.PAUSED, 0.5).cacheKey() == icons.tray_icon(TrayState.PAUSED, 0.9).cacheKey()
    )

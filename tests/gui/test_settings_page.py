from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QWidget

from allie_desktop.domain.errors import StoreError
from allie_desktop.domain.options import Group
from allie_desktop.domain.preferences import Eagerness, Preferences, Theme
from allie_desktop.domain.settings import option_specs
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.store.database import Database
from allie_desktop.store.settings import SqliteSettings
from allie_desktop.ui.windows.settings_page import SettingsPage


class Jammed:
    """A repository that can be read and not written."""

    def __init__(self, real):
        self.load = real.load

    def save(self, name, value):
        raise StoreError("The disk is read-only.", "Make room or change its rights.")

    def remove(self, name):
        self.save(name, None)


@pytest.fixture
def database(tmp_path):
    with Database.open(tmp_path / "a.sqlite3") as opened:
        yield opened


@pytest.fixture
def preferences(database):
    return PreferencesService(SqliteSettings(database))


@pytest.fixture
def page(qtbot, preferences):
    made = SettingsPage(preferences)
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    qtbot.waitExposed(made)
    made.activateWindow()
    return made


def write(qtbot, row, words):
    row.editor.setFocus()
    row.editor.selectAll()
    qtbot.keyClicks(row.editor, words)


def test_each_option_has_its_control_on_its_page(page):
    for group in Group:
        page.show_group(group)
        shown = [row.spec.name for row in page.visible_rows()]
        assert shown == [spec.name for spec in option_specs() if spec.group is group and not spec.hidden]


def test_a_number_is_saved_at_once_and_is_there_after_a_restart(qtbot, page, preferences, database):
    row = page.row("idle_minutes")
    write(qtbot, row, "7,5")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert preferences.current.idle_minutes == 7.5
    assert PreferencesService(SqliteSettings(database)).current.idle_minutes == 7.5


def test_a_bad_value_stays_in_its_field_with_the_reason_under_it(qtbot, page, preferences):
    row = page.row("idle_minutes")
    write(qtbot, row, "999")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert preferences.current.idle_minutes == 5.0
    assert row.editor.text() == "999"
    assert row.editor.hasFocus()
    assert row.editor.property("invalid") is True
    assert row.error.isVisible()
    assert row.error.text() == "“Away for” must be between 0.1 and 240 minutes, not 999. The default is 5.0."
    assert row.editor.accessibleDescription().startswith("“Away for” must be")


def test_the_complaint_goes_as_soon_as_the_value_is_good(qtbot, page):
    row = page.row("idle_minutes")
    write(qtbot, row, "999")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    qtbot.keyClick(row.editor, Qt.Key.Key_Backspace)
    assert row.error.isHidden()
    assert row.editor.property("invalid") is False


def test_leaving_a_bad_field_brings_back_once_and_then_lets_go(qtbot, page, preferences):
    row, other = page.row("idle_minutes"), page.row("min_quality")
    write(qtbot, row, "soon")
    other.editor.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(row.editor.hasFocus)
    assert row.error.isVisible()
    other.editor.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(other.editor.hasFocus)
    assert row.editor.text() == "5"
    assert row.error.isHidden()
    assert preferences.current.idle_minutes == 5.0


def test_escape_puts_the_saved_value_back(qtbot, page):
    row = page.row("idle_minutes")
    write(qtbot, row, "soon")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    qtbot.keyClick(row.editor, Qt.Key.Key_Escape)
    assert (row.editor.text(), row.error.isHidden()) == ("5", True)


def test_arrow_keys_change_a_number_and_stop_at_its_limits(qtbot, page, preferences):
    row = page.row("min_quality")
    row.editor.setFocus()
    qtbot.keyClick(row.editor, Qt.Key.Key_Up)
    assert preferences.current.min_quality == 0.85
    for _ in range(10):
        qtbot.keyClick(row.editor, Qt.Key.Key_Up)
    assert preferences.current.min_quality == 1.0
    assert row.error.isHidden()


def test_a_preset_changes_the_numbers_and_a_number_makes_it_custom(qtbot, page, preferences):
    often = page.row("eagerness").editor
    assert isinstance(often, QComboBox)
    often.setCurrentIndex(list(Eagerness).index(Eagerness.EAGER))
    assert page.row("min_new_conversations").editor.text() == "20"
    assert page.row("window_start").editor.text() == "00:00"
    row = page.row("min_new_conversations")
    write(qtbot, row, "21")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert preferences.current.eagerness is Eagerness.CUSTOM
    assert often.currentText() == "Custom"


def test_two_values_that_contradict_each_other_are_explained(qtbot, page):
    row = page.row("cpu_cool_celsius")
    page.show_group(Group.POWER)
    write(qtbot, row, "90")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert row.error.text().startswith(
        "“Processor cool again below” must be less than “Processor too hot at”"
    )


def test_reset_is_offered_where_there_is_something_to_reset(qtbot, page, preferences):
    row = page.row("idle_minutes")
    assert row.reset_button.isHidden()
    preferences.set("idle_minutes", 9)
    assert not row.reset_button.isHidden()
    row.reset_button.click()
    assert preferences.current.idle_minutes == Preferences().idle_minutes
    assert (row.editor.text(), row.reset_button.isHidden()) == ("5", True)


def test_a_switch_and_a_choice_are_saved_by_the_keyboard(qtbot, page, preferences):
    row = page.row("hold_on_full_screen")
    row.editor.setFocus()
    qtbot.keyClick(row.editor, Qt.Key.Key_Space)
    assert preferences.current.hold_on_full_screen is False
    page.show_group(Group.APPEARANCE)
    qtbot.keyClick(page.row("theme").editor, Qt.Key.Key_Down)
    assert preferences.current.theme is Theme.LIGHT


def test_a_search_shows_what_fits_and_its_end_brings_the_page_back(qtbot, page, preferences):
    page.search.setText("port")
    qtbot.waitUntil(lambda: [row.spec.name for row in page.visible_rows()] == ["api_port"])
    row = page.visible_rows()[0]
    write(qtbot, row, "70000")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert row.error.isVisible()
    write(qtbot, row, "0")
    qtbot.keyClick(row.editor, Qt.Key.Key_Return)
    assert preferences.current.api_port == 0
    page.search.setText("no such thing")
    qtbot.waitUntil(lambda: page.visible_rows() == ())
    page.search.clear()
    assert page.visible_rows()[0].spec.name == "eagerness"
    preferences.set("api_port", 8531)


def test_a_store_that_cannot_be_written_is_explained_in_place(qtbot, database):
    preferences = PreferencesService(Jammed(SqliteSettings(database)))
    page = SettingsPage(preferences)
    qtbot.addWidget(page)
    page.show()
    row = page.row("hold_on_full_screen")
    row.editor.click()
    assert row.editor.isChecked() is True
    assert row.error.text() == "The disk is read-only. Make room or change its rights."


def test_saved_nonsense_is_told_at_the_top(qtbot, database):
    SqliteSettings(database).save("idle_minutes", "nonsense")
    page = SettingsPage(PreferencesService(SqliteSettings(database)))
    qtbot.addWidget(page)
    page.show()
    assert page._warning is not None
    assert page._warning.isVisible()


def test_what_another_window_changes_is_shown(page, preferences):
    preferences.set("idle_minutes", 12)
    assert page.row("idle_minutes").editor.text() == "12"


def test_the_wheel_over_a_choice_scrolls_the_page(qtbot, page, preferences):
    from PySide6.QtCore import QPoint, QPointF
    from PySide6.QtGui import QWheelEvent
    from PySide6.QtWidgets import QApplication

    box = page.row("eagerness").editor
    page.search.setFocus()
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, wheel)
    assert preferences.current.eagerness is Eagerness.BALANCED


def test_a_closed_page_listens_no_more(qtbot, preferences):
    page = SettingsPage(preferences)
    before = len(preferences._observers)
    page.deleteLater()
    qtbot.waitUntil(lambda: len(preferences._observers) == before - 1)
    preferences.set("idle_minutes", 6)


def test_the_tabulator_goes_through_the_rows_from_top_to_bottom(qtbot, page):
    rows = page.visible_rows()
    rows[0].editor.setFocus()
    reached = []
    for _ in range(40):
        focused: QWidget | None = page.focusWidget()
        found = next((row.spec.name for row in rows if row.editor is focused), None)
        if found and found not in reached:
            reached.append(found)
        page.focusNextChild()
    assert reached == [row.spec.name for row in rows]

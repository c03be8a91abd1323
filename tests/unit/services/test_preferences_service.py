from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import time

import pytest

from allie_desktop.domain.errors import SettingError, StoreBusyError
from allie_desktop.domain.settings import Eagerness, Preferences, Theme
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.store.database import Database
from allie_desktop.store.settings import SqliteSettings


@pytest.fixture
def repository(tmp_path):
    database = Database.open(tmp_path / "allie.db", busy_timeout_seconds=0.05)
    with closing(database):
        yield SqliteSettings(database)


@pytest.fixture
def lock(tmp_path, repository):
    """Return a second connection, for a write lock that another process would hold."""
    with closing(sqlite3.connect(tmp_path / "allie.db", isolation_level=None)) as connection:
        yield connection


def test_an_empty_store_gives_the_defaults(repository):
    service = PreferencesService(repository)
    assert service.current == Preferences()
    assert service.warnings == ()


def test_a_change_is_saved_at_once_and_only_what_differs_from_the_defaults(repository):
    service = PreferencesService(repository)
    returned = service.set("idle_minutes", 7)
    assert returned == service.current
    service.set("window_start", "23:30")
    service.set("theme", Theme.DARK)
    assert repository.load() == {
        "eagerness": "custom",
        "idle_minutes": 7.0,
        "window_start": "23:30",
        "theme": "dark",
    }
    assert PreferencesService(repository).current == service.current
    assert service.current.window_start == time(23, 30)


def test_setting_a_default_removes_the_saved_value(repository):
    service = PreferencesService(repository)
    service.set("theme", "dark")
    service.set("theme", "system")
    assert repository.load() == {}


def test_choosing_an_eagerness_changes_and_saves_all_it_stands_for(repository):
    service = PreferencesService(repository)
    service.set("idle_minutes", 7)
    service.set("eagerness", "gentle")
    assert repository.load() == {"eagerness": "gentle"}
    assert PreferencesService(repository).current.min_new_conversations == 100
    service.set("idle_minutes", 16)
    assert repository.load() == {
        "eagerness": "custom",
        "hours_between_episodes": 72.0,
        "idle_minutes": 16.0,
        "min_new_conversations": 100,
        "window_start": "00:00",
        "window_end": "07:00",
    }
    service.set("eagerness", "balanced")
    assert repository.load() == {}


def test_a_bad_value_changes_nothing_and_says_why(repository):
    service = PreferencesService(repository)
    heard = []
    service.observe(lambda preferences, names: heard.append(names))
    with pytest.raises(SettingError, match="between"):
        service.set("idle_minutes", 0)
    with pytest.raises(SettingError, match="no setting called"):
        service.set("idle_minute", 5)
    with pytest.raises(SettingError, match="no setting called"):
        service.reset("nonsense")
    assert (service.current, repository.load(), heard) == (Preferences(), {}, [])


def test_saved_nonsense_warns_and_stays_until_it_is_mended(repository):
    repository.save("idle_minutes", "soon")
    repository.save("from_a_newer_allie", [1, 2])
    repository.save("theme", "dark")
    service = PreferencesService(repository)
    assert service.current == Preferences(theme=Theme.DARK)
    assert service.warnings == (
        "A saved setting was left out. There is no setting called 'from_a_newer_allie'.",
        "A saved setting was left out. “Away for” must be between 0.1 and 240 minutes, not 'soon'.",
    )
    service.set("min_quality", 0.7)
    assert repository.load()["idle_minutes"] == "soon"
    service.set("idle_minutes", 5)
    assert repository.load() == {"from_a_newer_allie": [1, 2], "min_quality": 0.7, "theme": "dark"}


def test_an_option_can_be_reset_and_all_of_them_but_the_consent(repository):
    service = PreferencesService(repository)
    service.set("consent_given", True)
    service.set("theme", "dark")
    service.set("min_quality", 0.7)
    service.reset("theme")
    assert service.current == Preferences(consent_given=True, min_quality=0.7)
    service.reset_all()
    assert service.current == Preferences(consent_given=True)
    assert repository.load() == {"consent_given": True}


def test_observers_hear_what_changed_until_they_leave(repository):
    service = PreferencesService(repository)
    heard = []
    leave = service.observe(lambda preferences, names: heard.append((preferences.eagerness, names)))
    service.set("eagerness", "eager")
    service.set("eagerness", "eager")
    service.set("theme", "dark")
    leave()
    leave()
    service.set("theme", "light")
    governed = {
        "eagerness",
        "min_new_conversations",
        "hours_between_episodes",
        "idle_minutes",
        "window_start",
        "window_end",
    }
    assert heard == [(Eagerness.EAGER, governed), (Eagerness.EAGER, {"theme"})]


def test_an_observer_that_fails_is_logged_and_harms_nobody(repository, caplog):
    service = PreferencesService(repository)
    heard = []

    def fails(preferences, names):
        raise RuntimeError("a window is gone")

    service.observe(fails)
    service.observe(lambda preferences, names: heard.append(preferences.theme))
    with caplog.at_level(logging.ERROR):
        service.set("theme", "dark")
    assert heard == [Theme.DARK]
    assert repository.load() == {"theme": "dark"}
    assert "An observer of the preferences failed" in caplog.text


def test_an_observer_may_change_preferences_and_nobody_hears_of_older_ones_later(repository):
    service = PreferencesService(repository)
    heard = []

    def corrects(preferences, names):
        if preferences.theme is Theme.DARK:
            service.set("theme", "light")

    service.observe(corrects)
    service.observe(lambda preferences, names: heard.append(preferences.theme))
    service.set("theme", "dark")
    assert heard == [Theme.LIGHT, Theme.LIGHT]


def test_changes_of_another_process_are_seen_after_a_reload(repository, tmp_path):
    service = PreferencesService(repository)
    heard = []
    service.observe(lambda preferences, names: heard.append(names))
    with closing(Database.open(tmp_path / "allie.db")) as other:
        PreferencesService(SqliteSettings(other)).set("theme", "dark")
    assert service.reload() == Preferences(theme=Theme.DARK)
    assert heard == [{"theme"}]


def test_when_the_store_is_busy_nothing_has_changed(repository, lock):
    service = PreferencesService(repository)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        service.set("eagerness", "gentle")
    lock.execute("ROLLBACK")
    assert service.current == Preferences()
    assert repository.load() == {}


def test_when_saving_fails_half_way_what_was_saved_is_taken_back(repository):
    class Failing(SqliteSettings):
        fails_at = "window_start"

        def remove(self, name):
            if name == self.fails_at:
                raise StoreBusyError("The store is busy.")
            super().remove(name)

    service = PreferencesService(repository)
    service.set("eagerness", "gentle")
    service.set("idle_minutes", 16)
    saved = repository.load()
    failing = PreferencesService(Failing(repository._database))
    with pytest.raises(StoreBusyError):
        failing.set("eagerness", "balanced")
    assert repository.load() == saved
    assert failing.current == service.current

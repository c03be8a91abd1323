"""What the person is told, once and not at night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.ports import Alert
from allie_desktop.domain.preferences import Preferences
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.notices import Notices
from allie_desktop.store.database import Database
from allie_desktop.store.notices import SqliteNotices

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=timezone.utc)
PREFERENCES = Preferences(quiet_start=time(22), quiet_end=time(8))
DONE = EpisodeResult(episode_id="e1", outcome=EpisodeState.COMPLETED, version="v1.3")


class Desk:
    def __init__(self, path: Path) -> None:
        self.database = Database.open(path)
        self.now = NOON
        self.notices = self.restarted()

    def restarted(self) -> Notices:
        return Notices(SqliteNotices(self.database), now=lambda: self.now)

    def told(self, preferences: Preferences = PREFERENCES) -> list[str]:
        due = self.notices.due(preferences)
        for notice in due:
            self.notices.shown(notice)
        return [notice.body for notice in due]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "allie.sqlite3")
    yield desk
    desk.database.close()


def test_an_episode_that_changed_something_is_told_once_with_its_undo(desk: Desk) -> None:
    desk.notices.episode_ended(DONE, "Learned from 53 conversations.", PREFERENCES)
    (notice,) = desk.notices.due(PREFERENCES)
    assert [action.name for action in notice.actions] == ["undo", "show"]
    assert (notice.subject, notice.episode) == ("v1.3", "e1")
    assert desk.told() == ["Learned from 53 conversations."]
    desk.notices = desk.restarted()
    desk.notices.episode_ended(DONE, "Learned from 53 conversations.", PREFERENCES)
    assert desk.told() == []


@pytest.mark.parametrize(
    ("outcome", "preferences"),
    [
        (EpisodeState.REJECTED, PREFERENCES),
        (EpisodeState.YIELDED, PREFERENCES),
        (EpisodeState.COMPLETED, replace(PREFERENCES, notify_episodes=False)),
    ],
)
def test_nothing_to_say_is_not_said(desk: Desk, outcome: EpisodeState, preferences: Preferences) -> None:
    desk.notices.episode_ended(replace(DONE, outcome=outcome), "words", preferences)
    assert desk.told() == []


def test_at_night_it_waits_even_over_a_restart(desk: Desk) -> None:
    desk.now = NOON.replace(hour=23)
    desk.notices.episode_ended(DONE, "Learned.", PREFERENCES)
    assert desk.told() == []
    desk.notices = desk.restarted()
    desk.now = NOON.replace(day=13, hour=7, minute=59)
    assert desk.told() == []
    desk.now = NOON.replace(day=13, hour=8)
    assert desk.told() == ["Learned."]


def test_a_problem_is_told_once_however_often_it_is_seen(desk: Desk) -> None:
    alert = Alert(
        key="learning-failed",
        severity="warning",
        message="The disk is full.",
        remedy="Free some space.",
        raised_at=NOON,
    )
    for _ in range(3):
        desk.notices.alert_raised(alert, PREFERENCES)
    assert desk.told() == ["The disk is full. Free some space."]
    desk.notices = desk.restarted()
    desk.notices.alert_raised(alert, PREFERENCES)
    assert desk.told() == []
    desk.notices.alert_raised(replace(alert, raised_at=NOON.replace(day=14)), PREFERENCES)
    assert desk.told() == ["The disk is full. Free some space."]


def test_what_was_seen_or_is_no_problem_is_not_told(desk: Desk) -> None:
    alert = Alert(key="k", severity="warning", message="m", raised_at=NOON)
    desk.notices.alert_raised(replace(alert, seen=True), PREFERENCES)
    desk.notices.alert_raised(replace(alert, severity="info"), PREFERENCES)
    desk.notices.alert_raised(alert, replace(PREFERENCES, notify_attention=False))
    assert desk.told() == []

"""The queue of wishes, the decision about them, and the diary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allie_desktop.domain.conditions import Priority
from allie_desktop.domain.errors import StoreBusyError
from allie_desktop.domain.holds import HoldName
from allie_desktop.domain.preferences import BYTES_PER_GB, Preferences
from allie_desktop.domain.readings import Readings
from allie_desktop.domain.requests import LEARN_NOW_LASTS, Origin
from allie_desktop.services.scheduler import LONGEST_WAIT, SHORTEST_WAIT, Scheduler
from allie_desktop.store.database import Database
from allie_desktop.store.decisions import SqliteDecisions
from allie_desktop.store.requests import SqliteRequests

NIGHT = datetime(2026, 3, 12, 3, 0, tzinfo=timezone.utc)
ALL_DAY = Preferences(consent_given=True, window_start=time(0), window_end=time(0))
QUIET = Readings(
    new_conversations=60,
    mean_quality=0.9,
    idle_seconds=900.0,
    remote_session=False,
    full_screen=False,
    chat_busy=False,
    has_battery=False,
    power_saver=False,
    cpu_celsius=40.0,
    cpu_busy_percent=1.0,
    free_memory_bytes=100 * BYTES_PER_GB,
    free_disk_bytes=100 * BYTES_PER_GB,
)


class Desk:
    """A scheduler over a real store, with a clock."""

    def __init__(self, path: Path) -> None:
        self.database = Database.open(path)
        self.now = NIGHT
        self.requests = SqliteRequests(self.database)
        self.decisions = SqliteDecisions(self.database)
        self.scheduler = self.restarted()

    def restarted(self) -> Scheduler:
        return Scheduler(requests=self.requests, decisions=self.decisions, now=lambda: self.now)

    def consider(self, readings: Readings = QUIET, preferences: Preferences = ALL_DAY, **more: Any) -> Any:
        return self.scheduler.consider(readings, preferences, **{"unfinished": False, **more})

    def diary(self) -> list[tuple[str, ...]]:
        return [record.holds for record in reversed(self.decisions.latest())]

    def standings(self) -> dict[str, tuple[Priority, str]]:
        return {r.key: (r.standing, r.held) for r in self.requests.all()}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "allie.sqlite3")
    yield desk
    desk.database.close()


def test_enough_material_and_nobody_there_starts_a_normal_episode(desk: Desk) -> None:
    choice = desk.consider()
    assert (choice.decision.start, choice.decision.priority) == (True, Priority.MEDIUM)
    assert choice.request.origin is Origin.BACKGROUND
    assert not choice.learn_now


def test_what_is_wanted_but_held_is_deferred_and_says_by_what(desk: Desk) -> None:
    desk.consider(replace(QUIET, idle_seconds=3.0))
    held = "Waiting: until nobody is at the computer for 5 min"
    assert desk.standings() == {"background": (Priority.DEFERRED, held)}


def test_what_is_not_even_due_stands_in_no_queue(desk: Desk) -> None:
    desk.consider()
    desk.consider(replace(QUIET, new_conversations=3))
    assert desk.standings() == {}


def test_only_changed_decisions_are_written_down_and_numbers_are_no_change(desk: Desk) -> None:
    desk.consider(replace(QUIET, new_conversations=3))
    desk.consider(replace(QUIET, new_conversations=4))
    desk.consider(replace(QUIET, idle_seconds=1.0))
    desk.consider(replace(QUIET, idle_seconds=2.0))
    desk.scheduler = desk.restarted()
    desk.consider(replace(QUIET, idle_seconds=2.0))
    desk.consider()
    assert desk.diary() == [("data",), ("idle",), ()]


def test_the_diary_is_bounded(desk: Desk) -> None:
    desk.decisions = SqliteDecisions(desk.database, kept=5)
    desk.scheduler = desk.restarted()
    for number in range(20):
        desk.consider(replace(QUIET, idle_seconds=None if number % 2 else 1.0))
    assert len(desk.decisions.latest()) == 5


def test_learn_now_overrides_soft_holds_once_and_survives_a_restart(desk: Desk) -> None:
    busy = replace(QUIET, new_conversations=1, idle_seconds=0.0)
    desk.scheduler.learn_now()
    desk.scheduler = desk.restarted()
    choice = desk.consider(busy)
    assert (choice.decision.start, choice.learn_now) == (True, True)
    assert choice.decision.reasons[0] == "you asked for it"
    desk.scheduler.served(choice.request)
    assert not desk.consider(busy).decision.start


def test_learn_now_never_overrides_a_hard_hold_and_waits_for_its_end(desk: Desk) -> None:
    battery = replace(QUIET, has_battery=True, on_battery=True, battery_percent=62.0, idle_seconds=0.0)
    desk.scheduler.learn_now()
    choice = desk.consider(battery)
    assert (choice.decision.start, choice.decision.headline) == (False, "Paused: on battery (62 %)")
    assert desk.standings()["learn now"] == (Priority.DEFERRED, "Paused: on battery (62 %)")
    assert desk.consider(replace(battery, on_battery=False)).decision.start


def test_an_old_learn_now_waits_until_nobody_is_there(desk: Desk) -> None:
    desk.scheduler.learn_now()
    desk.now += LEARN_NOW_LASTS + timedelta(seconds=1)
    busy = replace(QUIET, idle_seconds=0.0)
    assert not desk.consider(busy).decision.start
    choice = desk.consider(replace(QUIET, new_conversations=1))
    assert (choice.decision.start, choice.request.origin) == (True, Origin.LEARN_NOW)


def test_the_most_urgent_wish_that_may_start_starts(desk: Desk) -> None:
    desk.scheduler.ask(Origin.REPAIR, wish=Priority.HIGH, reason="to unlearn what you forgot", subject="v1.2")
    day = Preferences(consent_given=True, window_start=time(22), window_end=time(23))
    choice = desk.consider(QUIET, day)
    assert choice.request.key == "repair:v1.2"
    assert choice.decision.priority is Priority.HIGH
    assert choice.decision.reasons[0] == "to unlearn what you forgot"


def test_an_unfinished_episode_goes_on_before_a_new_one_whatever_the_material(desk: Desk) -> None:
    choice = desk.consider(replace(QUIET, new_conversations=0), unfinished=True)
    assert (choice.decision.start, choice.request.origin) == (True, Origin.UNFINISHED)
    desk.consider(replace(QUIET, new_conversations=0))
    assert desk.standings() == {}


def test_after_something_in_vain_it_rests_but_not_from_the_person(desk: Desk) -> None:
    desk.scheduler.rest("everything new was learnt before", 3600.0)
    choice = desk.consider()
    assert choice.decision.headline == "Waiting: everything new was learnt before"
    assert choice.decision.priority is Priority.DEFERRED
    desk.now -= timedelta(days=3)  # a clock set back must not prolong it
    assert desk.consider().decision.start
    desk.scheduler.rest("another reason", 3600.0)
    desk.scheduler.learn_now()
    assert desk.consider().decision.start


def test_a_store_that_cannot_be_written_keeps_nobody_from_deciding(desk: Desk) -> None:
    def refuse(*_: object) -> None:
        raise StoreBusyError("The store is busy.")

    desk.requests.put = refuse  # type: ignore[method-assign]
    desk.requests.remove = refuse  # type: ignore[method-assign]
    desk.decisions.add = refuse  # type: ignore[method-assign]
    assert desk.consider().decision.start
    assert not desk.consider(replace(QUIET, idle_seconds=0.0)).decision.start


@pytest.mark.parametrize(
    ("readings", "seconds"),
    [
        (replace(QUIET, idle_seconds=290.0), 10.0),
        (replace(QUIET, idle_seconds=299.9), SHORTEST_WAIT),
        (replace(QUIET, idle_seconds=0.0), LONGEST_WAIT),
        (replace(QUIET, full_screen=True), 20.0),
        (replace(QUIET, new_conversations=0), LONGEST_WAIT),
    ],
)
def test_it_looks_again_when_a_hold_may_be_over(desk: Desk, readings: Readings, seconds: float) -> None:
    decision = desk.consider(readings).decision
    wait = desk.scheduler.seconds_until_next_look(decision, readings, ALL_DAY)
    assert wait == pytest.approx(seconds)


any_readings = st.builds(
    replace,
    st.just(QUIET),
    idle_seconds=st.none() | st.floats(0, 2000),
    on_battery=st.booleans(),
    has_battery=st.booleans(),
    battery_percent=st.floats(0, 100),
    full_screen=st.booleans(),
    chat_busy=st.booleans(),
    cpu_celsius=st.floats(20, 110),
    going_to_sleep=st.booleans(),
    free_memory_bytes=st.integers(0, 4 * BYTES_PER_GB),
)


@settings(max_examples=150)
@given(steps=st.lists(st.tuples(any_readings, st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_nothing_starts_or_goes_on_against_a_hard_hold_or_beside_a_person(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Readings, bool, bool]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("desk") / "allie.sqlite3")
    try:
        for readings, learn_now, unfinished in steps:
            desk.now += timedelta(minutes=1)
            if learn_now:
                desk.scheduler.learn_now()
            choice = desk.consider(readings, unfinished=unfinished)
            decisions = [choice.decision]
            if choice.decision.start:
                decisions.append(desk.scheduler.oversee(readings, ALL_DAY, choice))
            for decision in decisions:
                if not decision.start:
                    continue
                assert not readings.full_screen
                assert not readings.chat_busy
                assert not readings.going_to_sleep
                assert not (readings.has_battery and readings.on_battery)
                assert readings.cpu_celsius is not None
                assert readings.cpu_celsius < ALL_DAY.cpu_hot_celsius
                assert HoldName.MEMORY not in {hold.name for hold in decision.holds}
                if not choice.learn_now:
                    assert readings.idle_seconds is not None
                    assert readings.idle_seconds >= ALL_DAY.idle_minutes * 60
    finally:
        desk.database.close()

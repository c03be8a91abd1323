"""A sensor asks its sources in turn, puts failing ones aside, and says so in words, once."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from allie_desktop.domain.readings import Readings, SensorState
from allie_desktop.sensors.idle_sources import Platform
from allie_desktop.sensors.lane import Lane
from allie_desktop.sensors.registry import Sensors, all_sensors
from allie_desktop.sensors.sensor import Sensor, UnavailableError


@dataclass
class Told:
    """A source that answers what it is told to."""

    name: str
    answers: list[object] = field(default_factory=list)
    asked: int = 0
    closed: int = 0

    def read(self, own_pids=frozenset()):
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def sensor(*sources: Told, fields: tuple[str, ...] = ("idle_seconds",), **changes: object) -> Sensor:
    return Sensor(
        name="idle",
        fields=fields,
        sources=sources,
        describe=lambda values: f"idle for {values.get('idle_seconds')} s",
        unknown="nobody tells",
        **changes,
    )


def test_the_first_source_that_sees_is_believed():
    best, other = Told("best", [{"idle_seconds": 3.0}]), Told("other", [{"idle_seconds": 9.0}])
    made = sensor(best, other)
    assert made.read(frozenset()) == {"idle_seconds": 3.0}
    assert other.asked == 0
    assert made.state() == SensorState(name="idle", source="best", works=True, words="idle for 3.0 s")


def test_a_source_may_add_what_another_does_not_know():
    first = Told("first", [{"has_battery": True, "battery_percent": 40.0}])
    second = Told("second", [{"has_battery": False, "on_battery": True, "battery_percent": 1.0}])
    made = sensor(first, second, fields=("has_battery", "on_battery", "battery_percent"))
    assert made.read(frozenset()) == {"has_battery": True, "battery_percent": 40.0, "on_battery": True}


@pytest.mark.parametrize("error", [UnavailableError("It is gone."), OSError("broken"), ZeroDivisionError()])
def test_a_failing_source_is_closed_put_aside_and_tried_again(error):
    clock = Clock()
    bad, good = Told("bad", [error, {"idle_seconds": 1.0}]), Told("good", [{"idle_seconds": 2.0}])
    made = sensor(bad, good, clock=clock)

    assert made.read(frozenset()) == {"idle_seconds": 2.0}
    clock.now += made.retry_seconds / 2
    assert made.read(frozenset()) == {"idle_seconds": 2.0}
    assert (bad.asked, bad.closed) == (1, 1)

    clock.now += made.retry_seconds
    assert made.read(frozenset()) == {"idle_seconds": 1.0}
    assert bad.asked == 2


def test_a_source_that_keeps_failing_is_tried_ever_more_rarely_but_each_minute():
    clock = Clock()
    absent = Told("absent", [UnavailableError("Nobody answers.")])
    made = sensor(absent, clock=clock)
    asked_at = []
    while clock.now < 1300.0:
        before = absent.asked
        made.read(frozenset())
        if absent.asked > before:
            asked_at.append(clock.now - 1000.0)
        clock.now += 1.0
    assert asked_at == [0.0, 5.0, 15.0, 35.0, 75.0, 135.0, 195.0, 255.0]


def test_what_lasts_is_looked_at_rarely():
    clock = Clock()
    absent = Told("absent", [UnavailableError("There is no driver.", lasting=True)])
    made = sensor(absent, clock=clock)
    for _ in range(100):
        made.read(frozenset())
        clock.now += 5.0
    assert absent.asked == 2


def test_nothing_is_guessed_when_nobody_sees_and_the_reasons_are_said():
    made = sensor(
        Told("a", [UnavailableError("a is off", "Switch it on.")]),
        Told("b", [RuntimeError("boom")]),
        remedy="Buy one.",
    )
    assert made.read(frozenset()) == {}
    assert made.state() == SensorState(
        name="idle",
        source="",
        works=False,
        words="a is off; b failed (RuntimeError: boom)",
        remedy="Switch it on.",
    )


def test_without_any_source_the_sensor_says_why_itself():
    made = sensor(remedy="Start a session.")
    made.read(frozenset())
    assert made.state() == SensorState(
        name="idle", source="", works=False, words="nobody tells", remedy="Start a session."
    )


def test_only_changes_are_logged(caplog):
    caplog.set_level(logging.INFO)
    source = Told(
        "it",
        [{"idle_seconds": 1.0}, {"idle_seconds": 2.0}, OSError("x"), OSError("x"), {"idle_seconds": 0.0}],
    )
    made = sensor(source, retry_seconds=0.0)
    for _ in range(6):
        made.read(frozenset())
    assert [record.message for record in caplog.records] == [
        "sensor idle: it",
        "sensor idle: it failed (OSError: x)",
        "sensor idle: it",
    ]


# ---- lanes: a slow source delays nobody --------------------------------------------------------------------


class Slow:
    """A source that answers when it is let."""

    name = "slow"

    def __init__(self) -> None:
        self.let = threading.Event()
        self.begun = threading.Event()
        self.reads = 0

    def read(self, own_pids=frozenset()):
        self.begun.set()
        self.let.wait(10)
        self.reads += 1
        return {"idle_seconds": float(self.reads)}

    def close(self):
        self.let.set()


def answered(lane: Lane) -> dict[str, object]:
    lane.ask(frozenset())
    return dict(lane.answer(time.monotonic() + 5))


@pytest.mark.parametrize(("keep_seconds", "late"), [(60.0, {"idle_seconds": 1.0}), (0.0, {})])
def test_while_an_answer_is_late_only_a_young_one_that_may_be_kept_is_used(keep_seconds, late):
    slow = Slow()
    lane = Lane(sensor(slow, keep_seconds=keep_seconds))
    slow.let.set()
    assert answered(lane) == {"idle_seconds": 1.0}

    slow.let.clear()
    slow.begun.clear()
    lane.ask(frozenset())
    assert slow.begun.wait(5)
    assert lane.answer(time.monotonic()) == late
    assert lane.answer(time.monotonic()) == late

    slow.let.set()
    assert dict(lane.answer(time.monotonic() + 5)) == {"idle_seconds": 2.0}
    lane.close()


def test_a_sensor_that_hangs_delays_neither_a_reading_nor_the_end(tmp_path):
    slow = Slow()
    quick = Told("quick", [{"free_memory_bytes": 5}])
    space = sensor(quick, fields=("free_memory_bytes",))
    space.name = "space"
    hanging = sensor(slow, keep_seconds=0.0)
    sensors = Sensors(folder=tmp_path, sensors=(hanging, space))
    began = time.monotonic()
    readings = sensors.read(patience_seconds=0.5)
    assert (readings.idle_seconds, readings.free_memory_bytes) == (None, 5)
    assert time.monotonic() - began < 5
    assert [state.works for state in sensors.describe()] == [False, True]
    slow.let.set()
    sensors.close()


def test_no_thread_starts_before_the_first_reading_and_none_is_left(tmp_path):
    before = set(threading.enumerate())
    sensors = Sensors(folder=tmp_path, platform=Platform(system="linux", environment={}))
    assert set(threading.enumerate()) == before
    sensors.read(patience_seconds=5.0)
    sensors.close()
    assert set(threading.enumerate()) - before == set()
    assert sensors.read() == Readings()


# ---- what the registry makes of it ---------------------------------------------------------------------------


def joined(tmp_path: Path, **values: object) -> Readings:
    source = Told("all", [values])
    made = sensor(source, fields=tuple(values))
    with Sensors(folder=tmp_path, sensors=(made,)) as sensors:
        return sensors.read(patience_seconds=5.0)


def test_nobody_is_called_idle_while_another_person_sits_there(tmp_path):
    assert joined(tmp_path, idle_seconds=900.0, other_person=True) == Readings()
    assert joined(tmp_path, idle_seconds=900.0, other_person=False) == Readings(idle_seconds=900.0)


def test_behind_a_locked_screen_nobody_watches_a_film(tmp_path):
    assert joined(tmp_path, full_screen=True, locked=True) == Readings(full_screen=False)
    assert joined(tmp_path, full_screen=True, locked=False) == Readings(full_screen=True)
    assert joined(tmp_path, locked=True) == Readings()


def test_what_cannot_be_true_is_unknown(tmp_path):
    assert joined(tmp_path, cpu_celsius=6553.5, idle_seconds=-1.0, free_memory_bytes=1) == Readings(
        free_memory_bytes=1
    )


@pytest.mark.parametrize("system", ["linux", "win32", "darwin", "freebsd14"])
def test_every_platform_has_every_sensor_and_all_fields_are_readings(system, tmp_path):
    sensors = all_sensors(Platform(system=system, environment={"DISPLAY": ":0"}), tmp_path)
    assert [made.name for made in sensors] == [
        "idle",
        "full screen",
        "session",
        "power",
        "power saving",
        "heat",
        "graphics",
        "load",
        "space",
    ]
    known = set(Readings.__slots__) | {"other_person", "locked"}
    assert {name for made in sensors for name in made.fields} <= known
    for made in sensors:
        names = [source.name for source in made.sources]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("environment", "session"),
    [
        ({}, ""),
        ({"DISPLAY": ":0"}, "x11"),
        ({"XDG_SESSION_TYPE": "x11", "DISPLAY": ":0"}, "x11"),
        ({"XDG_SESSION_TYPE": "wayland", "DISPLAY": ":0"}, "wayland"),
        ({"XDG_SESSION_TYPE": "Wayland"}, "wayland"),
        ({"XDG_SESSION_TYPE": "tty", "WAYLAND_DISPLAY": "wayland-1", "DISPLAY": ":0"}, "wayland"),
        ({"XDG_SESSION_TYPE": "tty", "DISPLAY": ":0"}, "x11"),
        ({"XDG_SESSION_TYPE": "tty"}, ""),
    ],
)
def test_the_kind_of_display(environment, session):
    assert Platform(system="linux", environment=environment).session == session
    assert Platform(system="win32", environment=environment).session == ""

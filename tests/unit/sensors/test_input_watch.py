"""The watch for somebody's return, over made-up idle counters and listeners."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from allie_desktop.sensors.idle_sources import Platform
from allie_desktop.sensors.presence_edge import InputWatch, start_listeners
from allie_desktop.sensors.sensor import UnavailableError


class Counter:
    """An idle counter: the time since ``last_input``; None or an error where it does not know."""

    watch_seconds = 0.005

    def __init__(self, *, name: str = "a counter", grain_seconds: float = 0.001) -> None:
        self.name = name
        self.grain_seconds = grain_seconds
        self.last_input = time.monotonic() - 600.0
        self.error: Exception | None = None
        self.unknown = False
        self.asked = threading.Event()
        self.closed = threading.Event()

    def read(self, own_pids=frozenset()):
        found = {} if self.unknown else {"idle_seconds": time.monotonic() - self.last_input}
        self.asked.set()
        if self.error is not None:
            raise self.error
        return found

    def close(self):
        self.closed.set()

    def input(self) -> None:
        self.last_input = time.monotonic()


class Case:
    def __init__(self, *sources: Counter, listeners=lambda touch: []) -> None:
        self.came = threading.Event()
        self.count = 0
        self.watch = InputWatch(self._on_input, sources=sources, listeners=listeners)

    def _on_input(self) -> None:
        self.count += 1
        self.came.set()

    def arm(self, counter: Counter) -> None:
        counter.asked.clear()
        self.came.clear()
        self.watch.arm()
        assert counter.asked.wait(5)
        time.sleep(2 * min(counter.grain_seconds, 0.01))  # input as near to arming as the grain is none


@pytest.fixture
def cases() -> Iterator[list[Case]]:
    made: list[Case] = []
    yield made
    for case in made:
        case.watch.close()


def test_input_after_arming_is_told_once_and_input_before_never(cases):
    counter = Counter()
    counter.input()
    case = Case(counter)
    cases.append(case)
    time.sleep(0.01)
    case.arm(counter)
    assert not case.came.wait(0.1)

    counter.input()
    assert case.came.wait(5)
    counter.input()
    assert not case.watch.armed
    assert case.count == 1


def test_a_coarse_counter_is_believed_only_beyond_its_grain(cases):
    """A compositor that calls somebody active may mean the second before arming."""
    counter = Counter(grain_seconds=0.3)
    counter.read = lambda _: (counter.asked.set(), {"idle_seconds": 0.0})[1]
    case = Case(counter)
    cases.append(case)
    case.arm(counter)
    armed = time.monotonic()
    assert case.came.wait(5)
    assert time.monotonic() - armed > 0.25


def test_where_a_source_fails_the_next_is_asked(cases):
    bad, good = Counter(name="bad"), Counter(name="good")
    bad.error = UnavailableError("gone")
    case = Case(bad, good)
    cases.append(case)
    case.arm(good)
    assert case.watch.way in {"", "good"}
    assert bad.closed.wait(5)
    good.input()
    assert case.came.wait(5)


def test_not_to_see_is_no_input(cases):
    counter = Counter()
    counter.unknown = True
    case = Case(counter)
    cases.append(case)
    case.arm(counter)
    assert not case.came.wait(0.1)
    assert (case.watch.armed, case.watch.way) == (True, "")


def test_what_a_listener_hears_is_told_without_the_counter(cases):
    touches: list[object] = []

    def listen(touch):
        touches.append(touch)
        return []

    counter = Counter()
    case = Case(counter, listeners=listen)
    cases.append(case)
    case.arm(counter)
    while not touches:
        time.sleep(0.001)
    touches[0]("a key that nobody wants to know")
    assert case.came.wait(5)
    touches[0]()
    assert case.count == 1


def test_arming_twice_is_arming_once_and_a_closed_watch_stays_closed(cases):
    counter = Counter()
    case = Case(counter)
    cases.append(case)
    case.arm(counter)
    case.watch.arm()
    counter.input()
    assert case.came.wait(5)
    case.watch.close()
    assert counter.closed.is_set()
    case.watch.arm()
    assert not case.watch.armed
    assert case.count == 1


def test_trouble_in_who_is_told_does_not_end_the_watch(cases, caplog):
    counter = Counter()
    called = threading.Event()

    def fail() -> None:
        called.set()
        raise RuntimeError("no")

    watch = InputWatch(fail, sources=(counter,), listeners=lambda _: [])
    try:
        for _ in range(2):
            called.clear()
            counter.asked.clear()
            watch.arm()
            assert counter.asked.wait(5)
            time.sleep(10 * counter.grain_seconds)  # input as near to arming as the grain is nobody's return
            counter.input()
            assert called.wait(5)
    finally:
        watch.close()
    assert [record.message for record in caplog.records] == ["telling that somebody came back failed"] * 2


def test_listeners_that_cannot_start_leave_the_counter(cases):
    def broken(_):
        raise OSError("no display")

    counter = Counter()
    case = Case(counter, listeners=broken)
    cases.append(case)
    case.arm(counter)
    counter.input()
    assert case.came.wait(5)


@pytest.mark.parametrize(
    "platform",
    [
        Platform(system="linux", environment={"XDG_SESSION_TYPE": "wayland", "DISPLAY": ":0"}),
        Platform(system="linux", environment={}),
        Platform(system="freebsd14", environment={"DISPLAY": ":0"}),
    ],
)
def test_pynput_is_never_used_where_it_would_be_blind(platform):
    assert start_listeners(platform, lambda *_: None) == []

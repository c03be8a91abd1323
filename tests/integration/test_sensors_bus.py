"""What UPower, logind, the power profile and the idle monitors of desktops say, over a real bus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from allie_desktop.sensors.bus import Bus
from allie_desktop.sensors.idle_dbus import LogindIdle, MutterIdle, ScreenSaverIdle
from allie_desktop.sensors.logind import Logind
from allie_desktop.sensors.power_services import PowerProfiles, UPower
from allie_desktop.sensors.presence_session import LogindPresence
from allie_desktop.sensors.sensor import UnavailableError
from tests.sensors_stage import MockBus, Reader, missing_mocks

pytestmark = pytest.mark.process

LOGIND = "org.freedesktop.login1"
SESSION = f"{LOGIND}.Session"
MOCK = "org.freedesktop.DBus.Mock"


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockBus]:
    missing = missing_mocks()
    if missing:
        pytest.skip(f"not installed: {missing}")
    with MockBus() as private:
        for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, private.address)
        yield private


@pytest.fixture
def logind(bus: MockBus) -> Iterator[Logind]:
    """Our session, in front, on seat0."""
    bus.template("logind")
    add_session(bus, "c1", uid=os.getuid(), active=True)
    sessions = Logind(environment={})
    yield sessions
    sessions.close()


def add_session(bus: MockBus, name: str, *, uid: int, active: bool) -> None:
    arguments = (f"'{name}'", "'seat0'", f"uint32 {uid}", "'somebody'", str(active).lower())
    bus.call(LOGIND, "/org/freedesktop/login1", f"{MOCK}.AddSession", *arguments)


def change_session(bus: MockBus, name: str, field: str, value: str) -> None:
    bus.set(LOGIND, f"/org/freedesktop/login1/session/{name}", SESSION, field, value)


# ---- power -----------------------------------------------------------------------------------------------


def test_upower_tells_that_the_computer_runs_on_battery(bus):
    bus.template("upower", OnBattery=True)
    display = "/org/freedesktop/UPower/devices/DisplayDevice"
    for name, value in (("Type", "uint32 2"), ("IsPresent", "true"), ("Percentage", "62.0")):
        bus.set("org.freedesktop.UPower", display, "org.freedesktop.UPower.Device", name, value)
    upower = UPower()

    assert upower.read() == {"has_battery": True, "on_battery": True, "battery_percent": 62.0}

    bus.set(
        "org.freedesktop.UPower", "/org/freedesktop/UPower", "org.freedesktop.UPower", "OnBattery", "false"
    )
    assert upower.read()["on_battery"] is False
    upower.close()


def test_upower_without_a_battery_says_so(bus):
    bus.template("upower", OnBattery=False)
    upower = UPower()
    assert upower.read() == {"has_battery": False, "on_battery": False}
    upower.close()


@pytest.mark.parametrize(("profile", "saves"), [("power-saver", True), ("balanced", False)])
def test_the_power_profile_is_power_saving_or_not(bus, profile, saves):
    bus.template("power_profiles_daemon", ActiveProfile=profile)
    profiles = PowerProfiles()
    assert profiles.read() == {"power_saver": saves}
    profiles.close()


def test_a_service_that_ends_is_unknown_and_known_again_when_it_is_back(bus):
    service = bus.template("power_profiles_daemon", ActiveProfile="power-saver")
    with Reader(bus.environment) as reader:
        assert reader.read()["power_saver"] is True

        bus.end(service)
        answer = reader.answer()
        assert answer["readings"]["power_saver"] is None
        assert answer["states"]["power saving"]["words"] == "no service tells the power profile"

        bus.template("power_profiles_daemon", ActiveProfile="balanced")
        assert reader.read()["power_saver"] is False


def test_a_service_that_is_not_running_is_not_started(bus):
    upower = UPower()
    with pytest.raises(UnavailableError) as caught:
        upower.read()
    assert str(caught.value) == "org.freedesktop.UPower is not running"
    upower.close()


def test_without_a_bus_everything_is_unknown_and_said_in_words(monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    for kind in ("SYSTEM", "SESSION"):
        with pytest.raises(UnavailableError) as caught:
            Bus(kind).call("a.b", "/", "a.b", "C")
        assert str(caught.value) == f"there is no D-Bus {kind.lower()} bus"


# ---- who is there ------------------------------------------------------------------------------------------


def test_our_own_session_is_nobody_remote_and_not_locked(logind):
    assert LogindPresence(logind).read() == {"remote_session": False, "other_person": False, "locked": False}


def test_the_lock_is_seen(bus, logind):
    change_session(bus, "c1", "LockedHint", "true")
    assert LogindPresence(logind).read()["locked"] is True


def test_a_remote_login_is_seen(bus, logind):
    add_session(bus, "7", uid=os.getuid(), active=True)
    change_session(bus, "7", "Remote", "true")
    assert LogindPresence(logind).read()["remote_session"] is True


def test_another_person_in_front_makes_the_idle_time_unknown(bus, logind):
    bus.service(
        "org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core", "org.gnome.Mutter.IdleMonitor"
    )
    monitor = ("org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core")
    method = ("'org.gnome.Mutter.IdleMonitor'", "'GetIdletime'", "''", "'t'", "'ret = 600000'")
    bus.call(*monitor, f"{MOCK}.AddMethod", *method)
    environment = {**bus.environment, "XDG_SESSION_TYPE": "wayland", "WAYLAND_DISPLAY": "none"}
    with Reader(environment) as reader:
        assert reader.read()["idle_seconds"] == 600.0

        change_session(bus, "c1", "Active", "false")
        add_session(bus, "c2", uid=54321, active=True)
        answer = reader.answer()

        assert answer["readings"]["idle_seconds"] is None
        assert answer["states"]["session"]["words"] == "no remote login, another person uses the computer"


def test_a_greeter_is_no_person(bus, logind):
    add_session(bus, "g1", uid=54321, active=True)
    change_session(bus, "g1", "Class", "'greeter'")
    assert LogindPresence(logind).read()["other_person"] is False


# ---- idle --------------------------------------------------------------------------------------------------


def test_gnomes_idle_monitor_counts_in_milliseconds(bus):
    name, path = "org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core"
    bus.service(name, path, name)
    bus.call(name, path, f"{MOCK}.AddMethod", f"'{name}'", "'GetIdletime'", "''", "'t'", "'ret = 90500'")
    mutter = MutterIdle()
    assert mutter.read() == {"idle_seconds": 90.5}
    mutter.close()


@pytest.mark.parametrize(("answers", "idle_seconds"), [((1000, 6000), 6.0), ((100, 105), 105.0)])
def test_the_unit_of_a_screen_saver_is_found_by_watching_it_count(bus, answers, idle_seconds):
    name, path = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
    bus.service(name, path, name)
    now = iter([0.0, 5.0])
    saver = ScreenSaverIdle(clock=lambda: next(now))
    found = []
    for answer in answers:
        method = (f"'{name}'", "'GetSessionIdleTime'", "''", "'u'", f"'ret = {answer}'")
        bus.call(name, path, f"{MOCK}.AddMethod", *method)
        found.append(saver.read())
    assert found == [{}, {"idle_seconds": idle_seconds}]
    saver.close()


def test_a_screen_saver_that_never_counts_is_never_believed(bus):
    name, path = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
    bus.service(name, path, name)
    bus.call(name, path, f"{MOCK}.AddMethod", f"'{name}'", "'GetSessionIdleTime'", "''", "'u'", "'ret = 0'")
    now = iter(range(0, 100, 10))
    saver = ScreenSaverIdle(clock=lambda: float(next(now)))
    assert [saver.read() for _ in range(10)] == [{}] * 10
    saver.close()


def test_logind_is_believed_that_a_session_is_not_idle_only_after_it_once_was(bus, logind):
    idle = LogindIdle(logind, wall_clock=lambda: 1000.0)
    assert idle.read() == {}

    change_session(bus, "c1", "IdleHint", "true")
    change_session(bus, "c1", "IdleSinceHint", "uint64 400000000")
    assert idle.read() == {"idle_seconds": 600.0}

    change_session(bus, "c1", "IdleHint", "false")
    assert idle.read() == {"idle_seconds": 0.0}


def test_a_bus_that_hangs_costs_half_a_second_and_is_unknown(bus):
    name, path = "org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core"
    bus.service(name, path, name)
    code = "'import time; time.sleep(3); ret = 1'"
    bus.call(name, path, f"{MOCK}.AddMethod", f"'{name}'", "'GetIdletime'", "''", "'t'", code)
    mutter = MutterIdle()
    with pytest.raises(UnavailableError) as caught:
        mutter.read()
    assert str(caught.value) == f"{name} does not answer"
    mutter.close()


def test_a_closed_connection_leaves_nothing_open(bus):
    bus.template("logind")
    add_session(bus, "c1", uid=os.getuid(), active=True)
    presence = LogindPresence(Logind(environment={}))

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(5):
        presence.read()
        presence.close()
    assert descriptors() == before

"""Windows and macOS: the documented calls, made on faked libraries. Nothing of this has run there."""

from __future__ import annotations

import ctypes
import subprocess
import threading
from types import SimpleNamespace

import pytest

from allie_desktop.sensors.idle_macos import MacHidIdle, MacIdle
from allie_desktop.sensors.idle_sources import Platform, idle_sources
from allie_desktop.sensors.idle_windows import LastInputInfo, WindowsIdle
from allie_desktop.sensors.power_services import MacLowPower, PsutilBattery, SystemPowerStatus, WindowsPower
from allie_desktop.sensors.presence_edge import mac_trusts_us, start_listeners
from allie_desktop.sensors.presence_screen import WindowsFullScreen
from allie_desktop.sensors.presence_session import LoginRecords, WindowsRemoteSession
from allie_desktop.sensors.sensor import UnavailableError
from allie_desktop.sensors.sleep import windows_clocks
from allie_desktop.sensors.thermal import CpuTemperature


class User32:
    """The calls of user32 that are made."""

    def __init__(self, *, last_input: int = 0, works: bool = True, remote: int = 0) -> None:
        self.last_input = last_input
        self.works = works
        self.remote = remote

    def GetLastInputInfo(self, pointer):  # noqa: N802 - Windows's name
        info = pointer._obj
        assert info.cbSize == ctypes.sizeof(LastInputInfo) == 8
        info.dwTime = self.last_input
        return self.works

    def GetSystemMetrics(self, index):  # noqa: N802 - Windows's name
        assert index == 0x1000
        return self.remote


@pytest.mark.parametrize(
    ("last_input", "now", "idle_seconds"),
    [
        (10_000, 10_000, 0.0),
        (10_000, 25_500, 15.5),
        (2**32 - 1_000, 4_000, 5.0),  # the counter began anew in between, after 49.7 days
        (2**31 - 500, 2**31 + 500, 1.0),
        (10_005, 10_000, 0.0),  # an input between the two calls
        (3, 2**32 - 2, 0.0),  # the same, as the counter began anew
        (0, 5 * 24 * 3_600_000, 5 * 24 * 3600.0),
    ],
)
def test_windows_counts_in_32_bits(last_input, now, idle_seconds):
    kernel32 = SimpleNamespace(GetTickCount=lambda: now)
    idle = WindowsIdle(user32=User32(last_input=last_input), kernel32=kernel32)
    assert idle.read() == {"idle_seconds": idle_seconds}


def test_windows_may_refuse():
    idle = WindowsIdle(user32=User32(works=False), kernel32=SimpleNamespace(GetTickCount=lambda: 5))
    with pytest.raises(UnavailableError):
        idle.read()


@pytest.mark.parametrize(
    "source", [WindowsIdle(), WindowsPower(), WindowsFullScreen(), WindowsRemoteSession()]
)
def test_elsewhere_windows_is_unavailable_and_not_a_crash(source, monkeypatch):
    monkeypatch.delattr(ctypes, "WinDLL", raising=False)
    with pytest.raises(UnavailableError) as caught:
        source.read()
    assert (caught.value.words, caught.value.lasting) == ("this is not Windows", True)


def power_status(**fields: int) -> SimpleNamespace:
    def answer(pointer):
        for name, value in fields.items():
            setattr(pointer._obj, name, value)
        return 1

    assert ctypes.sizeof(SystemPowerStatus) == 12
    return SimpleNamespace(GetSystemPowerStatus=answer)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(
            {"ACLineStatus": 0, "BatteryFlag": 0, "BatteryLifePercent": 62, "SystemStatusFlag": 1},
            {"has_battery": True, "on_battery": True, "battery_percent": 62.0, "power_saver": True},
            id="on battery, saving",
        ),
        pytest.param(
            {"ACLineStatus": 1, "BatteryFlag": 9, "BatteryLifePercent": 100},
            {"has_battery": True, "on_battery": False, "battery_percent": 100.0, "power_saver": False},
            id="charging",
        ),
        pytest.param(
            {"ACLineStatus": 1, "BatteryFlag": 128, "BatteryLifePercent": 255},
            {"has_battery": False, "on_battery": False, "battery_percent": None, "power_saver": False},
            id="a desktop",
        ),
        pytest.param(
            {"ACLineStatus": 255, "BatteryFlag": 255, "BatteryLifePercent": 255},
            {"power_saver": False},
            id="nothing known",
        ),
    ],
)
def test_windows_power(status, expected):
    assert WindowsPower(kernel32=power_status(**status)).read() == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [(1, {}), (2, True), (3, True), (4, True), (5, False), (6, False), (7, False)],
)
def test_windows_full_screen(state, expected):
    def answer(pointer):
        pointer._obj.value = state
        return 0

    source = WindowsFullScreen(shell32=SimpleNamespace(SHQueryUserNotificationState=answer))
    assert source.read() == ({} if expected == {} else {"full_screen": expected})


def test_windows_remote_desktop():
    assert WindowsRemoteSession(user32=User32(remote=1)).read() == {"remote_session": True}
    assert WindowsRemoteSession(user32=User32(remote=0)).read() == {"remote_session": False}


def test_windows_clocks_tell_sleep():
    def unbiased(pointer):
        pointer._obj.value = 50_000_000
        return 1

    class GetTickCount64:
        restype = None

        def __call__(self) -> int:
            return 3_605_000

    awake, always = windows_clocks(
        SimpleNamespace(QueryUnbiasedInterruptTime=unbiased, GetTickCount64=GetTickCount64())
    )
    assert (awake(), always()) == (5.0, 3605.0)


# ---- macOS -------------------------------------------------------------------------------------------------


class Function:
    """A foreign function, whose types can be set."""

    def __init__(self, answer) -> None:
        self._answer = answer
        self.calls: list[tuple[object, ...]] = []

    def __call__(self, *arguments):
        self.calls.append(arguments)
        return self._answer(*arguments) if callable(self._answer) else self._answer


def test_macos_asks_core_graphics_for_any_input_of_the_session():
    function = Function(12.25)
    idle = MacIdle(load=lambda path: SimpleNamespace(CGEventSourceSecondsSinceLastEventType=function))
    assert idle.read() == {"idle_seconds": 12.25}
    assert function.calls == [(0, 0xFFFFFFFF)]
    assert function.restype is ctypes.c_double


@pytest.mark.parametrize("nonsense", [-1.0, float("nan")])
def test_nonsense_from_core_graphics_is_unknown(nonsense):
    function = Function(nonsense)
    idle = MacIdle(load=lambda path: SimpleNamespace(CGEventSourceSecondsSinceLastEventType=function))
    with pytest.raises(UnavailableError):
        idle.read()


def test_without_core_graphics_macos_is_unavailable():
    def load(path):
        raise OSError(path)

    for source in (MacIdle(load=load), MacLowPower(load=load)):
        with pytest.raises(UnavailableError) as caught:
            source.read()
        assert caught.value.lasting


IOREG = """\
+-o IOHIDSystem  <class IOHIDSystem, id 0x100000, registered, matched, active, busy 0 (0 ms), retain 30>
    {
      "HIDScrollCountMouseCanReset" = Yes
      "HIDIdleTime" = 305123456789
      "HIDPointerButtonMode" = 2
    }
"""


def test_macos_hid_counts_in_nanoseconds():
    def run(command, **_):
        assert command[0] == "/usr/sbin/ioreg"
        return subprocess.CompletedProcess(command, 0, IOREG, "")

    assert MacHidIdle(run=run).read() == {"idle_seconds": 305.123456789}


@pytest.mark.parametrize(
    "failure", [OSError("no ioreg"), subprocess.TimeoutExpired("ioreg", 2), "no such key"]
)
def test_macos_hid_may_say_nothing(failure):
    def run(command, **_):
        if isinstance(failure, Exception):
            raise failure
        return subprocess.CompletedProcess(command, 0, failure, "")

    with pytest.raises(UnavailableError):
        MacHidIdle(run=run).read()


def test_macos_low_power_mode():
    objc = SimpleNamespace(
        objc_getClass=Function(11), sel_registerName=Function(lambda name: name), objc_msgSend=Function(True)
    )
    source = MacLowPower(load=lambda path: objc)
    assert source.read() == {"power_saver": True}
    assert objc.objc_msgSend.calls == [(11, b"processInfo"), (True, b"isLowPowerModeEnabled")]


def test_macos_battery_through_psutil(monkeypatch):
    import psutil

    battery = SimpleNamespace(percent=55, power_plugged=False)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert PsutilBattery().read() == {"has_battery": True, "battery_percent": 55.0, "on_battery": True}

    battery.power_plugged = None
    assert PsutilBattery().read() == {"has_battery": True, "battery_percent": 55.0}

    monkeypatch.setattr(psutil, "sensors_battery", lambda: None)
    assert PsutilBattery().read() == {"has_battery": False, "on_battery": False, "battery_percent": None}

    monkeypatch.delattr(psutil, "sensors_battery")
    with pytest.raises(UnavailableError):
        PsutilBattery().read()


def test_where_psutil_has_no_thermometers_heat_is_unavailable(monkeypatch):
    import psutil

    monkeypatch.delattr(psutil, "sensors_temperatures", raising=False)
    with pytest.raises(UnavailableError) as caught:
        CpuTemperature().read()
    assert caught.value.lasting


def test_on_macos_pynput_listens_only_where_it_is_trusted(monkeypatch):
    def untrusted(path):
        return SimpleNamespace(AXIsProcessTrusted=Function(False))

    assert mac_trusts_us(load=untrusted) is False
    assert mac_trusts_us(load=lambda path: SimpleNamespace(AXIsProcessTrusted=Function(True))) is True
    monkeypatch.setattr("allie_desktop.sensors.presence_edge.mac_trusts_us", lambda: False)
    assert start_listeners(Platform(system="darwin", environment={}), lambda *_: None) == []


def test_which_sources_a_platform_asks():
    def names(system: str, **environment: str) -> list[str]:
        return [type(s).__name__ for s in idle_sources(Platform(system=system, environment=environment))]

    assert names("win32") == ["WindowsIdle"]
    assert names("darwin") == ["MacIdle", "MacHidIdle"]
    assert names("linux", DISPLAY=":0") == ["X11Idle", "MutterIdle", "ScreenSaverIdle", "LogindIdle"]
    assert names("linux", WAYLAND_DISPLAY="wayland-0", DISPLAY=":0") == [
        "WaylandIdle",
        "MutterIdle",
        "ScreenSaverIdle",
        "LogindIdle",
    ]
    assert names("linux") == []
    assert names("freebsd14", DISPLAY=":0") == []


@pytest.mark.parametrize(
    ("hosts", "remote"),
    [
        (["203.0.113.9"], True),
        ([":0", "", "localhost"], False),
        ([None], False),
        (["tty7", "box.example.org"], True),
        (["login screen"], False),
    ],
)
def test_the_list_of_logins_names_remote_hosts(hosts, remote, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "users", lambda: [SimpleNamespace(host=host) for host in hosts])
    assert LoginRecords(environment={}).read() == {"remote_session": remote}


def test_a_shell_over_the_network_is_a_remote_session_and_an_empty_list_says_nothing(monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "users", list)
    assert LoginRecords(environment={"SSH_CONNECTION": "1 2 3 4"}).read() == {"remote_session": True}
    with pytest.raises(UnavailableError):
        LoginRecords(environment={}).read()


def test_this_module_starts_no_threads():
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("input")]

"""Load, space, sleep and power supplies, from what the kernel or a made-up clock says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import psutil
import pytest

from allie_desktop.sensors.gpu_nvidia import NvidiaCards
from allie_desktop.sensors.load import CpuLoad, FreeSpace
from allie_desktop.sensors.power_supplies import PowerSupplies
from allie_desktop.sensors.sensor import UnavailableError
from allie_desktop.sensors.sleep import ClockGap, Gap
from allie_desktop.sensors.thermal import CpuTemperature


class Times(NamedTuple):
    user: float
    system: float
    idle: float
    iowait: float
    guest: float


class Machine:
    """Processor times that a test sets, in place of psutil's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.busy = 0.0
        self.guest = 0.0
        self.own: dict[int, tuple[float, float]] = {os.getpid(): (0.0, 0.0)}
        monkeypatch.setattr(psutil, "cpu_times", self._times)
        monkeypatch.setattr(psutil, "Process", self._process)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        self.load = CpuLoad(clock=lambda: self.now, wall_clock=lambda: self.now)

    def _times(self) -> Times:
        return Times(user=self.busy, system=0.0, idle=500.0, iowait=77.0 * self.now, guest=self.guest)

    def _process(self, pid: int) -> SimpleNamespace:
        if pid not in self.own:
            raise psutil.NoSuchProcess(pid)
        started, taken = self.own[pid]
        return SimpleNamespace(
            create_time=lambda: started, cpu_times=lambda: SimpleNamespace(user=taken, system=0.0)
        )

    def percent(self, *pids: int) -> float | None:
        return self.load.read(frozenset(pids)).get("cpu_busy_percent")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_the_first_look_at_the_load_says_nothing(machine):
    assert machine.percent() is None


def test_the_load_is_the_busy_share_of_all_processors(machine):
    machine.percent()
    machine.now, machine.busy, machine.guest = 110.0, 5.0, 4.0
    assert machine.percent() == 25.0


def test_our_own_work_is_nobodys(machine):
    machine.own[7] = (50.0, 30.0)
    machine.percent(7)
    machine.now, machine.busy = 110.0, 12.0
    machine.own[7] = (50.0, 38.0)
    machine.own[os.getpid()] = (0.0, 2.0)
    assert machine.percent(7) == 10.0


def test_all_work_of_a_process_of_ours_that_began_in_between_is_ours(machine):
    machine.percent()
    machine.now, machine.busy = 110.0, 10.0
    machine.own[8] = (104.0, 6.0)
    assert machine.percent(8) == 20.0


def test_an_older_process_that_only_now_is_named_ours_counts_from_now_on(machine):
    machine.percent()
    machine.own[9] = (1.0, 5000.0)
    machine.now, machine.busy = 110.0, 10.0
    assert machine.percent(9) == 50.0
    machine.now, machine.busy = 120.0, 20.0
    machine.own[9] = (1.0, 5010.0)
    assert machine.percent(9) == 0.0


def test_when_a_process_of_ours_has_ended_the_load_is_unknown_once(machine):
    machine.own[7] = (50.0, 0.0)
    machine.percent(7)
    del machine.own[7]
    machine.now, machine.busy = 110.0, 9.0
    assert machine.percent(7) is None
    machine.now, machine.busy = 120.0, 10.0
    assert machine.percent() == 5.0


def test_looks_that_are_too_close_repeat_the_last_answer(machine):
    machine.percent()
    machine.now, machine.busy = 110.0, 5.0
    assert machine.percent() == 25.0
    machine.now, machine.busy = 110.1, 5.2
    assert machine.percent() == 25.0
    machine.now, machine.busy = 120.0, 5.0
    assert machine.percent() == 0.0


def test_the_load_of_a_busy_program_is_seen_here_and_left_out_when_it_is_ours():
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        others, without = CpuLoad(), CpuLoad()
        ours = frozenset({program.pid})
        looks = []
        deadline = time.monotonic() + 30
        others.read()
        without.read(ours)
        while time.monotonic() < deadline and not looks:
            found = others.read().get("cpu_busy_percent"), without.read(ours).get("cpu_busy_percent")
            if None not in found:
                looks.append(found)
            time.sleep(0.05)
        seen, left_out = looks[0]
        assert left_out < seen
    finally:
        program.kill()
        program.wait()


def test_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path):
    found = FreeSpace(tmp_path / "not" / "there" / "yet").read()
    assert set(found) == {"free_memory_bytes", "free_disk_bytes"}
    assert found["free_disk_bytes"] > 0


def test_a_missing_disk_leaves_the_memory_known(tmp_path, monkeypatch):
    def broken(_):
        raise OSError("stale")

    monkeypatch.setattr("shutil.disk_usage", broken)
    assert set(FreeSpace(tmp_path).read()) == {"free_memory_bytes"}


# ---- sleep ---------------------------------------------------------------------------------------------------


class Clocks:
    def __init__(self) -> None:
        self.awake, self.always, self.wall = 10.0, 10.0, 1_000_000.0
        self.gap = ClockGap(awake=lambda: self.awake, always=lambda: self.always, wall=lambda: self.wall)

    def pass_by(self, awake: float, asleep: float = 0.0, clock_set: float = 0.0) -> Gap:
        self.awake += awake
        self.always += awake + asleep
        self.wall += awake + asleep + clock_set
        return self.gap.look()


@pytest.mark.parametrize(
    ("awake", "asleep", "clock_set", "expected"),
    [
        (30.0, 0.0, 0.0, Gap()),
        (30.0, 1.0, 1.0, Gap()),
        (5.0, 3600.0, 0.0, Gap(slept_seconds=3600.0)),
        (5.0, 0.0, -86400.0, Gap(clock_set_seconds=-86400.0)),
        (5.0, 600.0, 7200.0, Gap(slept_seconds=600.0, clock_set_seconds=7200.0)),
    ],
)
def test_sleep_and_a_clock_that_was_set_are_told_apart(awake, asleep, clock_set, expected):
    clocks = Clocks()
    assert clocks.pass_by(awake, asleep, clock_set) == expected
    assert clocks.pass_by(30.0) == Gap()
    assert (expected.slept, expected.clock_was_set) == (asleep > 2, abs(clock_set) > 2)


def test_the_real_clocks_run_together_while_nobody_sleeps():
    gap = ClockGap()
    assert gap.look() == Gap()


# ---- files of the kernel ---------------------------------------------------------------------------------------


def test_a_desktop_has_an_empty_list_of_power_supplies(tmp_path):
    expected = {"has_battery": False, "on_battery": False, "battery_percent": None}
    assert PowerSupplies(tmp_path).read() == expected


def test_a_kernel_without_that_list_knows_nothing(tmp_path):
    with pytest.raises(UnavailableError):
        PowerSupplies(tmp_path / "none").read()


def supply(folder: Path, **values: str) -> None:
    folder.mkdir()
    for name, value in values.items():
        (folder / name).write_text(value + "\n")


@pytest.mark.parametrize(
    ("batteries", "percent"),
    [
        ([{"capacity": "abc", "status": "Full"}], None),
        ([{"energy_now": "30", "energy_full": "60", "status": "Full"}], 50.0),
        ([{"energy_now": "30", "energy_full": "0", "capacity": "44", "status": "Full"}], 44.0),
        (
            [
                {"capacity": "20", "charge_now": "1", "charge_full": "5", "status": "Full"},
                {"capacity": "60", "energy_now": "6", "energy_full": "10", "status": "Full"},
            ],
            40.0,
        ),
        ([{"capacity": "20", "status": "Full"}, {"capacity": "x", "status": "Full"}], None),
    ],
)
def test_odd_batteries(tmp_path, batteries, percent):
    for number, values in enumerate(batteries):
        supply(tmp_path / f"BAT{number}", type="Battery", **values)
    found = PowerSupplies(tmp_path).read()
    assert (found["has_battery"], found.get("battery_percent")) == (True, percent)


def test_a_battery_bay_that_is_empty_is_no_battery(tmp_path):
    supply(tmp_path / "BAT0", type="Battery", present="0")
    assert PowerSupplies(tmp_path).read()["has_battery"] is False


def test_the_processors_own_thermometer_is_preferred_to_the_boards(monkeypatch):
    def entry(current: float | None) -> SimpleNamespace:
        return SimpleNamespace(current=current)

    temperatures = {"nvme": [entry(70.0)], "acpitz": [entry(27.8)], "k10temp": [entry(61.5), entry(None)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: temperatures, raising=False)
    assert CpuTemperature().read() == {"cpu_celsius": 61.5}
    del temperatures["k10temp"]
    assert CpuTemperature().read() == {"cpu_celsius": 27.8}
    del temperatures["acpitz"]
    with pytest.raises(UnavailableError):
        CpuTemperature().read()


def pci_card(folder: Path, *, status: str, vendor: str = "0x10de", kind: str = "0x030200") -> None:
    (folder / "power").mkdir(parents=True)
    (folder / "vendor").write_text(vendor)
    (folder / "class").write_text(kind)
    (folder / "power" / "runtime_status").write_text(status)


def test_a_sleeping_nvidia_card_is_not_woken(tmp_path):
    pci_card(tmp_path / "0000:01:00.0", status="suspended")
    pci_card(tmp_path / "0000:01:00.1", status="active", kind="0x040300")  # its sound device
    pci_card(tmp_path / "0000:00:02.0", status="active", vendor="0x8086")
    assert NvidiaCards(pci=tmp_path).read() == {
        "gpu_busy_percent": 0.0,
        "gpu_celsius": None,
        "free_gpu_memory_bytes": None,
    }


def test_the_first_words_about_a_sensor_come_from_a_real_reading(tmp_path):
    from allie_desktop.sensors.idle_sources import Platform
    from allie_desktop.sensors.registry import Sensors

    with Sensors(folder=tmp_path, platform=Platform(system="linux", environment={})) as sensors:
        states = {state.name: state for state in sensors.describe()}
    assert states["idle"].words == "no graphical session, so nobody can be seen"
    assert states["idle"].remedy == "Start Allie inside your desktop session; `allie learn` works without."
    assert states["space"].works

"""Batteries, mains, thermometers and AMD cards: the real readers over files of a kernel that umockdev makes up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sensors_stage import Reader, no_desktop

pytestmark = pytest.mark.process

MAINS_OFF = """\
P: /devices/acpi/ADP1/power_supply/ADP1
E: SUBSYSTEM=power_supply
A: type=Mains
A: online=0
"""

MAINS_ON = MAINS_OFF.replace("online=0", "online=1")

BATTERY = """\
P: /devices/acpi/BAT0/power_supply/BAT0
E: SUBSYSTEM=power_supply
A: type=Battery
A: present=1
A: status=Discharging
A: capacity=37
A: energy_now=18500000
A: energy_full=50000000
"""

LIMITED_BATTERY = BATTERY.replace("Discharging", "Not charging").replace("capacity=37", "capacity=80")

SECOND_BATTERY = """\
P: /devices/acpi/BAT1/power_supply/BAT1
E: SUBSYSTEM=power_supply
A: type=Battery
A: present=1
A: status=Unknown
A: capacity=90
A: energy_now=9000000
A: energy_full=10000000
"""

MOUSE = """\
P: /devices/usb1/hid/power_supply/hidpp_battery_0
E: SUBSYSTEM=power_supply
A: type=Battery
A: scope=Device
A: present=1
A: status=Discharging
A: capacity=15
"""

USB_CHARGER = """\
P: /devices/platform/ucsi/power_supply/ucsi-source-psy-1
E: SUBSYSTEM=power_supply
A: type=USB
A: online=1
"""

PROCESSOR = """\
P: /devices/platform/coretemp.0/hwmon/hwmon0
E: SUBSYSTEM=hwmon
A: name=coretemp
A: temp1_label=Package id 0
A: temp1_input=91000
A: temp2_label=Core 0
A: temp2_input=88000
"""

AMD_CARD = """\
P: /devices/pci0000:00/0000:03:00.0
E: SUBSYSTEM=pci
A: vendor=0x1002
A: gpu_busy_percent=73
A: mem_info_vram_total=8589934592
A: mem_info_vram_used=6589934592

P: /devices/pci0000:00/0000:03:00.0/drm/card0
E: SUBSYSTEM=drm
L: device=../../../0000:03:00.0

P: /devices/pci0000:00/0000:03:00.0/hwmon/hwmon1
E: SUBSYSTEM=hwmon
A: name=amdgpu
A: temp1_label=edge
A: temp1_input=66000
A: temp2_label=junction
A: temp2_input=79000
"""

Laptop = Callable[..., Reader]


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Laptop]:
    """Start a reader on a computer with these devices."""
    if shutil.which("umockdev-run") is None:
        pytest.skip("not installed: umockdev")
    with ExitStack() as stack:

        def start(*devices: str) -> Reader:
            fixture = tmp_path / "computer.umockdev"
            fixture.write_text("\n".join(devices))
            prefix = ("umockdev-run", "-d", str(fixture), "--")
            return stack.enter_context(Reader(no_desktop(), prefix=prefix))

        yield start


def power(reader: Reader) -> tuple[bool | None, bool | None, float | None]:
    readings = reader.read()
    return readings["has_battery"], readings["on_battery"], readings["battery_percent"]


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        pytest.param((MAINS_OFF, BATTERY), (True, True, 37.0), id="a laptop on battery"),
        pytest.param((MAINS_ON, BATTERY), (True, False, 37.0), id="a weak charger while the battery drains"),
        pytest.param((MAINS_ON, LIMITED_BATTERY), (True, False, 80.0), id="a charge limit of 80 percent"),
        pytest.param((LIMITED_BATTERY,), (True, False, 80.0), id="a charge limit, and no line listed"),
        pytest.param((MAINS_OFF, LIMITED_BATTERY), (True, True, 80.0), id="just unplugged"),
        pytest.param((USB_CHARGER, BATTERY), (True, False, 37.0), id="charged over USB"),
        pytest.param((MAINS_OFF, BATTERY, SECOND_BATTERY), (True, True, 100 * 27.5 / 60), id="two batteries"),
        pytest.param((MOUSE,), (False, False, None), id="a desktop with a wireless mouse"),
        pytest.param((MAINS_ON, BATTERY, MOUSE), (True, False, 37.0), id="a laptop with a wireless mouse"),
        pytest.param((MAINS_ON,), (False, False, None), id="a desktop"),
        pytest.param((SECOND_BATTERY,), (True, None, 90.0), id="a battery that says nothing"),
    ],
)
def test_what_feeds_a_computer(computer, devices, expected):
    assert power(computer(*devices)) == expected


def test_plugging_in_and_out_is_seen_while_the_program_runs(computer):
    reader = computer(MAINS_OFF, BATTERY)
    answer = reader.answer()
    assert answer["states"]["power"]["words"] == "on battery (37 %)"

    supplies = Path(answer["kernel"]) / "sys/class/power_supply"
    (supplies / "ADP1/online").write_text("1\n")
    (supplies / "BAT0/status").write_text("Charging\n")
    (supplies / "BAT0/capacity").write_text("38\n")
    assert power(reader) == (True, False, 38.0)

    (supplies / "ADP1/online").write_text("0\n")
    (supplies / "BAT0/status").write_text("Discharging\n")
    assert power(reader) == (True, True, 38.0)


def test_the_hottest_of_the_processors_sensors_counts_and_is_followed(computer):
    reader = computer(PROCESSOR)
    answer = reader.answer()
    assert answer["readings"]["cpu_celsius"] == 91.0
    assert answer["states"]["heat"]["words"] == "processor at 91 °C"

    monitor = Path(answer["kernel"]) / "sys/class/hwmon/hwmon0"
    (monitor / "temp1_input").write_text("54000\n")
    (monitor / "temp2_input").write_text("55000\n")
    assert reader.read()["cpu_celsius"] == 55.0

    (monitor / "temp1_input").write_text("6553500\n")
    assert reader.read()["cpu_celsius"] is None


def test_an_amd_card_tells_its_load_heat_and_memory(computer):
    reader = computer(AMD_CARD)
    answer = reader.answer()
    readings = answer["readings"]
    assert (readings["gpu_busy_percent"], readings["gpu_celsius"], readings["free_gpu_memory_bytes"]) == (
        73.0,
        79.0,
        2_000_000_000,
    )
    assert answer["states"]["graphics"] == {
        "name": "graphics",
        "source": "amdgpu",
        "works": True,
        "words": "73 % used by others, 79 °C, 2.0 GB free",
        "remedy": "",
    }

    card = Path(answer["kernel"]) / "sys/devices/pci0000:00/0000:03:00.0"
    (card / "gpu_busy_percent").write_text("0\n")
    assert reader.read()["gpu_busy_percent"] == 0.0


def test_a_sleeping_amd_card_is_unused_and_left_asleep(computer):
    reader = computer(
        AMD_CARD.replace("A: vendor=0x1002", "A: vendor=0x1002\nA: power/runtime_status=suspended")
    )
    readings = reader.read()
    assert (readings["gpu_busy_percent"], readings["gpu_celsius"], readings["free_gpu_memory_bytes"]) == (
        0.0,
        None,
        None,
    )


def test_a_computer_without_any_of_it_says_what_is_missing(computer):
    answer = computer("").answer()
    assert answer["readings"]["cpu_celsius"] is None
    assert answer["states"]["heat"] == {
        "name": "heat",
        "source": "",
        "works": False,
        "words": "the processor has no thermometer that the system knows",
        "remedy": "",
    }

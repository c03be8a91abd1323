"""NVIDIA cards: the real nvidia-ml-py over a library whose card does what a file says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.sensors_stage import Reader, no_desktop

pytestmark = pytest.mark.process

SOURCE = Path(__file__).with_name("sensors_nvml_stub.c")
GAME = 4242
OURS = 777


class Card:
    """A card in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.does("ok")

    def does(self, mode: str, *, pid: int = 0, percent: int = 0, celsius: int = 45) -> None:
        """Be in a state from now on."""
        scratch = self.file.with_suffix(".new")
        scratch.write_text(f"{mode} {pid} {percent} {celsius}\n")
        scratch.replace(self.file)


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path / "card")


@pytest.fixture
def driver(tmp_path: Path, card: Card) -> Iterator[Callable[..., Reader]]:
    """Start a reader on a computer with the card; ``old``: with a driver of some years ago."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("not installed: a C compiler")
    with ExitStack() as stack:

        def start(*, old: bool = False) -> Reader:
            library = tmp_path / "libnvidia-ml.so.1"
            flags = ["-shared", "-fPIC", "-O1", *(["-DOLD_DRIVER"] if old else [])]
            subprocess.run([compiler, *flags, "-o", library, SOURCE], check=True)
            environment = {
                **no_desktop(),
                "LD_LIBRARY_PATH": str(tmp_path),
                "ALLIE_NVML_STUB": str(card.file),
            }
            return stack.enter_context(Reader(environment))

        yield start


def graphics(readings: dict[str, Any]) -> tuple[float | None, float | None, int | None]:
    return readings["gpu_busy_percent"], readings["gpu_celsius"], readings["free_gpu_memory_bytes"]


UNKNOWN = (None, None, None)


def test_an_idle_card_is_used_by_nobody(driver):
    assert graphics(driver().read()) == (0.0, 45.0, 7_500_000_000)


def test_a_game_uses_the_card_and_heats_it(driver, card):
    reader = driver()
    reader.read()
    card.does("ok", pid=GAME, percent=87, celsius=84)
    answer = reader.answer()
    assert graphics(answer["readings"]) == (87.0, 84.0, 2_000_000_000)
    assert answer["states"]["graphics"]["words"] == "87 % used by others, 84 °C, 2.0 GB free"

    card.does("ok")
    assert graphics(reader.read()) == (0.0, 45.0, 7_500_000_000)


def test_our_own_use_is_nobodys(driver, card):
    reader = driver()
    card.does("ok", pid=OURS, percent=99)
    assert reader.read(OURS)["gpu_busy_percent"] == 0.0
    assert reader.read()["gpu_busy_percent"] == 99.0


def test_a_card_that_does_not_tell_who_uses_it_is_used_by_others_unless_we_are_on_it(driver, card):
    reader = driver()
    card.does("coarse", pid=GAME, percent=55)
    assert reader.read(OURS)["gpu_busy_percent"] == 55.0

    card.does("coarse", pid=OURS, percent=55)
    assert reader.read(OURS)["gpu_busy_percent"] is None


def test_an_older_driver_tells_the_temperature_in_its_own_way(driver, card):
    card.does("ok", celsius=71)
    assert driver(old=True).read()["gpu_celsius"] == 71.0


def test_a_card_that_is_lost_while_the_program_runs_is_unknown_and_comes_back(driver, card):
    reader = driver()
    assert graphics(reader.read()) == (0.0, 45.0, 7_500_000_000)

    card.does("lost")
    lost = [reader.answer() for _ in range(3)]
    assert [graphics(answer["readings"]) for answer in lost] == [UNKNOWN] * 3
    assert lost[0]["states"]["graphics"]["words"] == (
        "the NVIDIA card does not answer (GPU is lost); there is no AMD card"
    )

    card.does("ok", celsius=50)
    assert graphics(reader.read()) == (0.0, 50.0, 7_500_000_000)


def test_a_missing_driver_is_said_once_and_not_at_every_look(driver, card):
    reader = driver()
    card.does("unloaded")
    for _ in range(5):
        assert graphics(reader.read()) == UNKNOWN
    log = reader.close()
    assert log.count("there is no NVIDIA driver") == 1


def test_a_driver_that_is_loaded_later_is_found(driver, card):
    reader = driver()
    card.does("unloaded")
    assert graphics(reader.read()) == UNKNOWN
    card.does("ok")
    assert graphics(reader.read()) == (0.0, 45.0, 7_500_000_000)

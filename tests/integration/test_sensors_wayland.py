"""Idleness under Wayland: the real pywayland and libwayland against a small compositor."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allie_desktop.sensors.idle_sources import Platform
from allie_desktop.sensors.idle_wayland import WaylandIdle
from allie_desktop.sensors.presence_edge import InputWatch
from allie_desktop.sensors.sensor import UnavailableError
from tests.gui.desktop_session import wait_for
from tests.sensors_stage import ROOT, no_desktop

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        importlib.util.find_spec("pywayland") is None, reason="pywayland has no wheel for this machine"
    ),
]


class Compositor:
    """A compositor in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "wayland-9")
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("sensors_compositor.py"), self.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hears() == "ready"

    def hears(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def does(self, what: str) -> None:
        """Let it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Take it away."""
        self.process.communicate(timeout=10)
        Path(self.socket).unlink(missing_ok=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not in tmp_path: a socket's path may have a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="allie-wl-") as name:
        yield Path(name)


@pytest.fixture
def compositor(folder: Path) -> Iterator[Compositor]:
    made = Compositor(folder)
    yield made
    if made.process.poll() is None:
        made.end()


def test_idle_time_counts_from_the_last_input_and_starts_again_with_the_next(compositor):
    began = time.monotonic()
    idle = WaylandIdle(compositor.socket)
    assert idle.read() == {"idle_seconds": 0.0}

    wait_for(lambda: idle.idle_seconds() > 0, "idleness")
    assert 1.0 <= idle.idle_seconds() <= time.monotonic() - began

    compositor.does("input")
    wait_for(lambda: idle.idle_seconds() == 0.0, "activity")

    wait_for(lambda: idle.idle_seconds() > 0, "idleness again")
    idle.close()


def test_everything_is_destroyed_before_the_connection_ends(compositor):
    idle = WaylandIdle(compositor.socket)
    idle.read()
    idle.close()
    assert compositor.hears() == "destroyed 2"
    idle.read()
    idle.close()
    assert compositor.hears() == "destroyed 2"


def test_a_program_that_ends_while_it_listens_ends_well(compositor):
    program = (
        "from allie_desktop.sensors.idle_wayland import WaylandIdle; import sys; "
        "idle = WaylandIdle(sys.argv[1]); print(idle.read()); {}"
    )
    for ending in ("", "idle.close()", "del idle; import gc; gc.collect()"):
        done = subprocess.run(
            [sys.executable, "-c", program.format(ending), compositor.socket],
            cwd=ROOT,
            env=no_desktop(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "{'idle_seconds': 0.0}\n", "")


def test_a_compositor_that_ends_is_unknown_and_its_successor_is_found(compositor, folder):
    idle = WaylandIdle(compositor.socket)
    idle.read()
    compositor.end()

    def lost() -> bool:
        try:
            idle.read()
        except UnavailableError:
            return True
        return False

    wait_for(lost, "the loss")
    idle.close()
    with pytest.raises(UnavailableError):
        idle.read()
    idle.close()

    successor = Compositor(folder)
    assert idle.read() == {"idle_seconds": 0.0}
    idle.close()
    successor.end()


def test_a_compositor_without_idle_notifier_says_so(compositor):
    compositor.does("dumb")
    idle = WaylandIdle(compositor.socket)

    def words() -> str:
        try:
            idle.read()
        except UnavailableError as error:
            return error.words
        finally:
            idle.close()
        return ""

    wait_for(lambda: words() == "the Wayland compositor has no idle notifier")


def test_the_return_of_a_person_is_told_at_once_and_without_pynput(compositor, monkeypatch):
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    monkeypatch.setenv("WAYLAND_DISPLAY", compositor.socket)
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")
    came_back = threading.Event()
    watch = InputWatch(came_back.set, platform=Platform())
    watch.arm()
    wait_for(lambda: watch.way, "a source")
    source = watch._sources[0]
    wait_for(lambda: source.read()["idle_seconds"] > 1.6, "idleness")
    assert not came_back.is_set()

    compositor.does("input")

    assert came_back.wait(5)
    assert watch.way in {"", "the Wayland compositor's idle notifier"}
    assert "pynput" not in {thread.name for thread in threading.enumerate()}
    watch.close()

"""The session's announcement of a suspend, and the delay asked for, over a real bus with a mocked logind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sensors_stage import MockBus, missing_mocks, no_desktop

if TYPE_CHECKING:
    from typing_extensions import Self

pytestmark = pytest.mark.process

LISTENER = Path(__file__).with_name("session_listener.py")
LOGIND, PLACE = "org.freedesktop.login1", "/org/freedesktop/login1"


class Listener:
    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(LISTENER)],
            env={**environment, "QT_QPA_PLATFORM": "offscreen"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        return self.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it by the end of its stdin; anything but a good end fails the test."""
        with self.process as process:
            process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.fixture
def bus() -> Iterator[MockBus]:
    missing = missing_mocks()
    if missing:
        pytest.skip(f"not installed: {missing}")
    with MockBus() as private:
        private.template("logind")
        yield private


def inhibitors(bus: MockBus) -> str:
    return bus.call(LOGIND, PLACE, f"{LOGIND}.Manager.ListInhibitors")


def wait_for(found: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_suspend_is_heard_before_and_after_it(bus: MockBus) -> None:
    with Listener(bus.environment) as listener:
        assert listener.hear() == "connected True"
        for before in ("true", "false"):
            signal = (f"'{LOGIND}.Manager'", "'PrepareForSleep'", "'b'", f"[<{before}>]")
            bus.call(LOGIND, PLACE, "org.freedesktop.DBus.Mock.EmitSignal", *signal)
            assert listener.hear() == f"sleeping {before.capitalize()}"


def test_sleep_waits_only_while_it_is_held(bus: MockBus) -> None:
    with Listener(bus.environment) as listener:
        assert listener.hear() == "connected True"

        assert listener.say("take") == "taken True True"
        assert "A new version is being put into use" in inhibitors(bus)
        assert "'delay'" in inhibitors(bus)
        assert listener.say("take") == "taken True True"
        assert listener.say("release") == "released False"
        assert wait_for(lambda: "being put into use" not in inhibitors(bus))
        assert listener.say("release") == "released False"


def test_without_a_bus_nothing_is_heard_and_nothing_breaks() -> None:
    with Listener(no_desktop()) as listener:
        assert listener.hear() == "connected False"
        assert listener.say("take") == "taken False False"
        assert listener.say("release") == "released False"

"""Stages for sensors: a process that reads them, a bus with mocked services, a process that hears nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[1]
READER = ROOT / "tests" / "integration" / "sensors_reader.py"

#: Debian's own Python has what the mocked services need.
SYSTEM_PYTHON = "/usr/bin/python3"


def no_desktop() -> dict[str, str]:
    """Return this process's environment without any desktop and any bus in it."""
    hidden = ("XDG_", "WAYLAND_", "DBUS_", "SSH_", "DISPLAY")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    pythonpath = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**bare, "PYTHONPATH": pythonpath, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}


class Reader:
    """The real sensors in a process of its own, with an environment of its own."""

    def __init__(self, environment: Mapping[str, str], *, prefix: tuple[str, ...] = ()) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, str(READER)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._log = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, *own_pids: int) -> dict[str, Any]:
        """Return readings and states."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, own_pids)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the reader ended: {self.close()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def read(self, *own_pids: int) -> dict[str, Any]:
        """Return the readings."""
        readings: dict[str, Any] = self.answer(*own_pids)["readings"]
        return readings

    def close(self) -> str:
        """End it and return what it logged; fails when it did not end well."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            _, self._log = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, self._log
        return self._log


def missing_mocks() -> str:
    """Return what is missing for :class:`MockBus`, empty when nothing is."""
    missing = [tool for tool in ("dbus-daemon", "gdbus") if shutil.which(tool) is None]
    mocks = subprocess.run([SYSTEM_PYTHON, "-c", "import dbusmock, gi"], capture_output=True, check=False)
    return ", ".join([*missing, *(["python3-dbusmock"] if mocks.returncode else [])])


class MockBus:
    """A private bus with services mocked by python-dbusmock on it."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self._processes = [
            subprocess.Popen(
                ["dbus-daemon", "--session", "--nofork", f"--print-address={write}"],
                pass_fds=(write,),
                stderr=subprocess.DEVNULL,
            )
        ]
        os.close(write)
        with open(read, encoding="ascii") as reader:
            self.address = reader.readline().strip()
        self.environment = {
            **no_desktop(),
            "DBUS_SYSTEM_BUS_ADDRESS": self.address,
            "DBUS_SESSION_BUS_ADDRESS": self.address,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=10)
            for stream in (process.stdout, process.stdin):
                if stream is not None:
                    stream.close()

    def template(self, name: str, **parameters: object) -> subprocess.Popen[bytes]:
        """Start one of python-dbusmock's services; return when it answers."""
        return self._mock("--template", name, "--parameters", json.dumps(parameters))

    def service(self, name: str, path: str, interface: str) -> subprocess.Popen[bytes]:
        """Start an empty service, to which methods can be added."""
        return self._mock(name, path, interface)

    def call(self, service: str, path: str, method: str, *arguments: str) -> str:
        """Call a method with arguments in gdbus's notation."""
        done = subprocess.run(
            ["gdbus", "call", "--session", "-d", service, "-o", path, "-m", method, "--", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def set(self, service: str, path: str, interface: str, name: str, value: str) -> None:
        """Change a property; ``value`` in gdbus's notation."""
        self.call(
            service, path, "org.freedesktop.DBus.Properties.Set", f"'{interface}'", f"'{name}'", f"<{value}>"
        )

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Take a service away."""
        self._processes.remove(process)
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()

    def _mock(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [SYSTEM_PYTHON, "-m", "dbusmock", "--session", *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
        )
        self._processes.append(process)
        wait_for_name(self, process)
        return process


def wait_for_name(bus: MockBus, process: subprocess.Popen[bytes]) -> None:
    """Return when the process owns a name on the bus."""
    from tests.gui.desktop_session import wait_for

    def owned() -> bool:
        assert process.poll() is None, "the mocked service ended"
        names = bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.ListNames")
        for name in names.split("'")[1::2]:
            if name.startswith(":") or name == "org.freedesktop.DBus":
                continue
            pid = bus.call(
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus.GetConnectionUnixProcessID",
                f"'{name}'",
            )
            if f"uint32 {process.pid}," in pid:
                return True
        return False

    wait_for(owned, "the mocked service", every=0.1)

"""What Allie needs from the operating system, and how a Debian-like system gets it.

Whether something is there is asked of the thing itself (the dynamic linker, ``PATH``, a file), not of the
package manager: that is quick, and right on every distribution. Part of ``bootstrap.py``; standard library
only.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ON_LINUX: bool = sys.platform.startswith("linux")


@dataclass(frozen=True)
class SystemPackage:
    """One Debian package, known by what it brings: a shared library, a command, or a file."""

    name: str
    library: str = ""
    command: str = ""
    files: tuple[str, ...] = ()  # patterns under /; one that is found will do

    def is_present(self) -> bool:
        """Return whether what the package brings is on this machine, wherever it came from."""
        if self.library:
            return _loads(self.library)
        if self.command:
            return shutil.which(self.command) is not None
        return any(next(Path("/").glob(pattern), None) for pattern in self.files)


#: What Qt's wheel takes for granted. Without one of these Qt does not import, or aborts when it opens a window.
LIBRARIES = (
    SystemPackage("libgl1", library="libGL.so.1"),
    SystemPackage("libegl1", library="libEGL.so.1"),
    SystemPackage("libglib2.0-0", library="libglib-2.0.so.0"),
    SystemPackage("libfontconfig1", library="libfontconfig.so.1"),
    SystemPackage("libdbus-1-3", library="libdbus-1.so.3"),
    SystemPackage("libxkbcommon0", library="libxkbcommon.so.0"),
    SystemPackage("libxkbcommon-x11-0", library="libxkbcommon-x11.so.0"),
    SystemPackage("libxcb-cursor0", library="libxcb-cursor.so.0"),
    SystemPackage("libxcb-icccm4", library="libxcb-icccm.so.4"),
    SystemPackage("libxcb-keysyms1", library="libxcb-keysyms.so.1"),
    SystemPackage("libxcb-shape0", library="libxcb-shape.so.0"),
    SystemPackage("libwayland-cursor0", library="libwayland-cursor.so.0"),
    SystemPackage(
        "fonts-dejavu-core",
        files=("usr/share/fonts/**/*.[ot]t[fc]", "usr/local/share/fonts/**/*.[ot]t[fc]"),
    ),
)

#: What the tests drive: a real screen, window manager, tray, notification daemon, input, and fake hardware.
TEST_TOOLS = (
    SystemPackage("xvfb", command="Xvfb"),
    SystemPackage("xauth", command="xauth"),
    SystemPackage("xdotool", command="xdotool"),
    SystemPackage("x11-utils", command="xprop"),
    SystemPackage("imagemagick", command="import"),
    SystemPackage("openbox", command="openbox"),
    SystemPackage("trayer", command="trayer"),
    SystemPackage("dunst", command="dunst"),
    SystemPackage("libnotify-bin", command="notify-send"),
    SystemPackage("umockdev", command="umockdev-run"),
    SystemPackage("python3-dbusmock", files=("usr/lib/python3/dist-packages/dbusmock/__init__.py",)),
    SystemPackage("at-spi2-core", files=("usr/libexec/at-spi-bus-launcher",)),
    SystemPackage(
        "gir1.2-atspi-2.0",
        files=(
            "usr/lib/*/girepository-1.0/Atspi-2.0.typelib",
            "usr/lib*/girepository-1.0/Atspi-2.0.typelib",
        ),
    ),
    SystemPackage("python3-gi", files=("usr/lib/python3/dist-packages/gi/__init__.py",)),
    SystemPackage("desktop-file-utils", command="desktop-file-validate"),
    SystemPackage("dbus", command="dbus-run-session"),
    SystemPackage("gcc", command="gcc"),
    SystemPackage("libc6-dev", files=("usr/include/stdio.h",)),
)


def missing(*, with_test_tools: bool) -> list[SystemPackage]:
    """Return what this machine lacks; nothing on Windows and macOS, where the wheels bring all they need."""
    if not ON_LINUX:
        return []
    wanted = LIBRARIES + (TEST_TOOLS if with_test_tools else ())
    return [package for package in wanted if not package.is_present()]


def has_apt() -> bool:
    """Return whether this is a Debian-like system."""
    return ON_LINUX and shutil.which("apt-get") is not None


def may_install() -> bool:
    """Return whether apt can be used right now, without asking for a password."""
    return has_apt() and os.geteuid() == 0


def install_line(packages: Sequence[SystemPackage]) -> str:
    """Return the one line that a person can copy into a terminal."""
    return "sudo apt-get install -y --no-install-recommends " + " ".join(package.name for package in packages)


def describe(packages: Sequence[SystemPackage]) -> str:
    """Return the packages as a phrase: Debian's names there, elsewhere what is looked for."""
    return ", ".join(
        package.name if has_apt() else package.library or package.command or package.name
        for package in packages
    )


@dataclass(frozen=True)
class AptOutcome:
    """What is still missing after apt has run: ``unknown`` to it, or ``failed`` for ``reason``."""

    unknown: tuple[SystemPackage, ...] = ()
    failed: tuple[SystemPackage, ...] = ()
    reason: str = ""


Runner = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def apt_get(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run ``apt-get`` without asking anything and return what it printed.

    Ctrl-C does not reach it, and is obeyed when it is done: a dpkg that is cut off leaves the system in pieces.
    """
    command = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", *arguments]
    interrupted, output = False, ""
    with subprocess.Popen(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as apt:
        while True:
            try:
                output, _ = apt.communicate()
                break
            except KeyboardInterrupt:
                interrupted = True
                sys.stderr.write("\nStopping as soon as apt is done.\n")
    if interrupted:
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(command, apt.returncode, output)


def install(packages: Sequence[SystemPackage], run: Runner = apt_get) -> AptOutcome:
    """Install packages by apt, one by one if all at once is refused, and return what could not be had."""
    run(["update"])  # where it fails, the old lists may still do; the install says so otherwise
    if run(_install_arguments(packages)).returncode == 0:
        return AptOutcome()
    unknown, failed, reason = [], [], ""
    for package in packages:
        attempt = run(_install_arguments([package]))
        if attempt.returncode == 0:
            continue
        if re.search(r"Unable to locate package|has no installation candidate", attempt.stdout):
            unknown.append(package)
        else:
            failed.append(package)
            reason = _last_error(attempt.stdout)
    return AptOutcome(tuple(unknown), tuple(failed), reason)


def _install_arguments(packages: Sequence[SystemPackage]) -> list[str]:
    return ["install", "--no-install-recommends", *(package.name for package in packages)]


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")]
    return (errors or lines or ["apt-get said nothing"])[-1]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

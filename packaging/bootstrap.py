#!/usr/bin/env python3
"""Set Allie up on this machine, then start it or run its tests.

    python3 packaging/bootstrap.py run  [-- ARGUMENT...]
    python3 packaging/bootstrap.py test [-- ARGUMENT...]

``run`` starts the tray app, or ``allie demo`` where there is no display. ``test`` runs the test suite.

The set-up makes ``.venv`` in the folder of the repository, installs Allie into it in the versions that
``constraints.txt`` names, and on Debian-like systems the system libraries that are missing. It is safe to
repeat: what is done is not done again, and what a killed run left half-made is made anew. It needs Python and
nothing else.

Nothing in this file is newer than Python 3.6, so that an old Python meets the sentence below and no SyntaxError.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - here for the Pythons that pip would have refused
    sys.exit(
        f"Allie needs Python 3.10 or newer; this is Python {sys.version_info[0]}.{sys.version_info[1]}.\n"
        "Install a newer one and name it, for example: python3.12 packaging/bootstrap.py run"
    )

import argparse
import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import system_packages
from environment import Environment, SetUpError, refused

ROOT = Path(__file__).resolve().parent.parent
STOPPED = 130  # what a shell reports for Ctrl-C


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks; return the exit code of the set-up, or of what it started."""
    command, passed_on = parse(arguments)
    environment = Environment(ROOT)
    extras = ["test"] if command == "test" else []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as with Ctrl-C, taking pip along
    try:
        set_up(environment, extras)
    except SetUpError as error:
        return give_up(error)
    except OSError as error:
        return give_up(refused(ROOT, error))
    except KeyboardInterrupt:
        say("\nStopped. The same command goes on from here.")
        return STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)
    if command == "test":
        os.chdir(ROOT)
        return hand_over([str(environment.program("python")), "-m", "pytest", *passed_on])
    return hand_over([str(environment.program("allie")), *program_arguments(passed_on, has_display())])


def parse(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split the command line into the command and what is passed on; leave with code 2 on nonsense."""
    own, passed_on = list(arguments), []
    if "--" in own:
        cut = own.index("--")
        own, passed_on = own[:cut], own[cut + 1 :]
    parser = argparse.ArgumentParser(
        prog="bootstrap.py",
        description="Set Allie up on this machine, then start it or run its tests.",
        epilog="Arguments after -- go to what is started: `run -- status` is `allie status`, `run -- --keep FOLDER` "
        "adds an option to the tray app or the demo, `test -- -k replay` selects tests.",
    )
    parser.add_argument(
        "command",
        choices=["run", "test"],
        help="run: the tray app, or `allie demo` without a display; test: the whole test suite",
    )
    known, unknown = parser.parse_known_args(own)
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)} (arguments for what is started come after --)")
    return known.command, passed_on


def set_up(environment: Environment, extras: Sequence[str]) -> None:
    """Bring environment and system to where they must be; takes a tenth of a second when they are there."""
    require_usual_python()
    if not environment.is_ready(extras):
        with only_one(Path(__file__)):
            if not environment.is_ready(extras):  # another run may have done it meanwhile
                _make_ready(environment, extras)
    provide_system_packages(environment.folder / "allie-unknown-to-apt", with_test_tools="test" in extras)


def _make_ready(environment: Environment, extras: Sequence[str]) -> None:
    started = time.monotonic()
    interpreter, stamp = environment.repairable(), environment.stamp()
    works = interpreter is not None and stamp is not None and not extras
    if interpreter is not None and stamp is not None:  # the test tools stay as new as the rest
        extras = sorted({*extras, *stamp.extras})
    if interpreter is None:
        if environment.folder.exists():
            say(f"{environment.folder} is not whole, or was made elsewhere; it is made anew.")
        else:
            say(f"Setting Allie up in {environment.folder}; the first time this takes some minutes.")
        interpreter = environment.make()
    else:
        say(f"Bringing {environment.folder} up to date.")
    try:
        environment.fill(interpreter, extras)
    except SetUpError as error:
        if works and environment.repairable():  # nothing was changed
            say(f"\n{error}\nGoing on with what was installed before.")
            return
        raise
    say(f"Allie is set up; it took {time.monotonic() - started:.0f} s.")


def provide_system_packages(unknown_to_apt: Path, *, with_test_tools: bool) -> None:
    """Install the missing system packages where that is allowed, and say what stays missing.

    What apt has never heard of is noted in the file ``unknown_to_apt``, and not asked for again.
    """
    missing = system_packages.missing(with_test_tools=with_test_tools)
    if not missing:
        return
    if system_packages.may_install():
        noted = unknown_to_apt.read_text("utf-8").split() if unknown_to_apt.exists() else []
        wanted = [package for package in missing if package.name not in noted]
        if wanted:
            say(f"Installing by apt: {system_packages.describe(wanted)}.")
            outcome = system_packages.install(wanted)
            if outcome.unknown:
                unknown_to_apt.write_text(
                    "\n".join([*noted, *(package.name for package in outcome.unknown)]) + "\n", "utf-8"
                )
            if outcome.failed:
                say(f"apt failed: {outcome.reason}")
            missing = system_packages.missing(with_test_tools=with_test_tools)
    libraries = [package for package in missing if package in system_packages.LIBRARIES]
    tools = [package for package in missing if package not in libraries]
    if libraries:
        say(f"Missing, and needed for tray and windows: {system_packages.describe(libraries)}.")
    if tools:
        say(f"Missing, so that the tests that need them are skipped: {system_packages.describe(tools)}.")
    if missing and system_packages.has_apt() and not system_packages.may_install():
        say(f"This line installs them:\n  {system_packages.install_line(missing)}")


def require_usual_python() -> None:
    """Refuse a Python that torch and Qt are not built for."""
    if sys.implementation.name != "cpython" or sys.maxsize < 2**32:
        raise SetUpError(
            f"This Python ({sys.implementation.name}, {64 if sys.maxsize > 2**32 else 32} bit) cannot run Allie.",
            "torch and Qt are built for 64-bit CPython only: install that and name it in place of python3.",
        )


@contextlib.contextmanager
def only_one(file: Path) -> Iterator[None]:
    """Wait until no other set-up of this checkout runs; ``file`` is only locked, not changed."""
    with file.open("rb") as held:
        said = False
        while not _lock(held.fileno()):
            if not said:
                say("Another set-up of this folder is running; waiting for it.")
                said = True
            time.sleep(0.5)
        yield  # closing the file gives the lock back


def _lock(descriptor: int) -> bool:
    """Take a file's lock; False when somebody has it. A file system without locks counts as taken."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 2**30, os.SEEK_SET)  # beyond the end: the file itself stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
    return True


def has_display() -> bool:
    """Return whether there is a screen to put a tray icon on."""
    if system_packages.ON_LINUX:
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def program_arguments(passed_on: Sequence[str], display: bool) -> list[str]:
    """Return the arguments for ``allie``: what was asked of it, or else the tray app or the demo, with options."""
    if passed_on and (not passed_on[0].startswith("-") or passed_on[0] in {"--help", "--version"}):
        return list(passed_on)
    return ["gui" if display else "demo", *passed_on]


def give_up(error: SetUpError) -> int:
    """Say what stands in the way and what helps; return the exit code for it."""
    say(f"\n{error}\n{error.remedy}")
    return 1


def hand_over(command: list[str]) -> int:
    """Become the program, so that nothing of the set-up stays in memory; on Windows, wait for it."""
    sys.stderr.flush()
    try:
        if os.name == "posix":
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted
        with subprocess.Popen(command) as program:
            while True:
                with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is the program's to answer
                    return program.wait()
    except OSError as error:
        say(f"{command[0]} cannot be started: {error.strerror}.")
        return 1


def say(text: str) -> None:
    """Tell the person something; stdout belongs to the program that is started in the end."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

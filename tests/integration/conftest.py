"""The real command line in real processes, each test with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
def samples() -> Path:
    """The sample conversations that come with the program: 54 of them."""
    return ROOT / "resources" / "sample_conversations.jsonl"

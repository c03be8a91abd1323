"""What holds for every test: no file outside its own folder, no network, the same numbers every time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Before anything is imported that reads them, and for every process that a test starts.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",  # its threads and our forks do not mix
)
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))  # sums depend on the split
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # tests that want a real screen set their own

# A shell starts what runs in its background deaf to Ctrl+C, and every process that a test starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("allie", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("allie")


@pytest.fixture(autouse=True)
def allie_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return this test's own ``ALLIE_HOME``, not yet made; the person's own files are out of reach."""
    home = tmp_path / "allie-home"
    monkeypatch.setenv("ALLIE_HOME", str(home))
    return home

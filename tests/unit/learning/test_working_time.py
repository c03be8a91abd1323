"""The clock of a worker that may be frozen, over a real process that is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from allie_desktop.learning.working_time import WorkingTime

CLOCK = """
import sys, time
from allie_desktop.learning.working_time import WorkingTime
worked, passed = WorkingTime(longest_gap_seconds=0.5), time.monotonic()
print("begun", flush=True)
sys.stdin.readline()
print(worked.seconds(), time.monotonic() - passed, flush=True)
"""


def test_time_passes_while_the_process_runs():
    clock = WorkingTime()
    began, before = time.monotonic(), clock.seconds()

    while time.monotonic() - began < 0.2:
        pass

    assert 0.2 <= clock.seconds() - before < 3.0


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals freeze it")
def test_time_stands_while_the_process_is_frozen():
    process = subprocess.Popen(
        [sys.executable, "-c", CLOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)  # the time itself is what is tested
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        worked, passed = map(float, process.stdout.readline().split())
    finally:
        process.kill()
        process.communicate()

    assert passed >= 2.0
    assert worked <= passed - 1.4

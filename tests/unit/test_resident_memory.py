"""Memory that only the start needed goes back to the system, and what was let go of still works."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from allie_desktop.resident_memory import give_back

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads what Linux tells of memory"
)

PROGRAM = """
import json, sqlite3, ssl
from allie_desktop.resident_memory import give_back

def files():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssFile"))

def work():
    database = sqlite3.connect(":memory:")
    database.execute("create table t (x)")
    database.executemany("insert into t values (?)", [(json.dumps([n, str(n)]),) for n in range(500)])
    return [database.execute("select count(*), max(x) from t").fetchone(), len(ssl.create_default_context().get_ciphers())]

before, done = files(), work()
give_back()
after = files()
assert work() == done
give_back()
assert work() == done
print(before, after)
"""


def test_what_was_let_go_of_works_as_before():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after < before


GROWING = """
from allie_desktop.resident_memory import HeapTrimmer, resident_bytes

trimmer, begun = HeapTrimmer(64 * 2**20), resident_bytes()
held = [b"x" * 100_000 for _ in range(2000)]  # small enough to lie in the heap
del held[:-1:2]
full = resident_bytes() - begun
trimmer.look()
left = resident_bytes() - begun
assert all(one == b"x" * 100_000 for one in held)
trimmer.look()
print(full // 2**20, left // 2**20, (resident_bytes() - begun) // 2**20)
"""


def test_what_was_freed_amid_what_is_held_goes_back_when_the_process_has_grown():
    done = subprocess.run(
        [sys.executable, "-c", GROWING], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    full, left, later = map(int, done.stdout.split())
    assert left < full - 50
    assert abs(later - left) < 20


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self):
        self.self = self


def test_the_collector_passes_over_what_stays_and_still_frees_what_died_later():
    knot = Knot()
    known = weakref.ref(knot)
    try:
        give_back()
        assert gc.get_freeze_count() > 0
        del knot
        gc.collect()
        assert known() is not None  # it was passed over

        give_back()

        assert known() is None
    finally:
        gc.unfreeze()

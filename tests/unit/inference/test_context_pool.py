"""Sharing out a context: nobody takes what is not there, and who came first begins first."""

from __future__ import annotations

import threading
import time

from allie_desktop.inference.context_pool import ContextPool


def never():
    return False


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_is_taken_is_gone_until_it_is_given_back():
    pool = ContextPool(100, 2)
    one, two = pool.take(60, never), pool.take(40, never)

    assert (pool.free, pool.slots) == (0, 0)
    assert not one.resize(61)
    assert one.resize(50)
    assert two.resize(50)
    one.release()
    one.release()
    assert (pool.free, pool.slots) == (50, 1)
    assert not one.resize(1)
    assert (two.tokens, pool.free) == (50, 50)


def test_nobody_gets_more_than_there_is():
    assert ContextPool(100, 1).take(1000, never).tokens == 100


def test_who_gives_up_leaves_the_queue():
    pool = ContextPool(100, 1)
    held = pool.take(1, never)

    assert pool.take(1, lambda: True) is None
    held.release()
    assert pool.take(100, never).tokens == 100


def test_who_came_first_begins_first_even_when_a_smaller_one_would_fit():
    pool = ContextPool(100, 4)
    held = pool.take(60, never)
    order = []

    def want(name, tokens):
        lease = pool.take(tokens, never)
        order.append(name)
        lease.release()

    large = threading.Thread(target=want, args=("large", 80), daemon=True)
    large.start()
    until(lambda: len(pool._waiting) == 1)
    small = threading.Thread(target=want, args=("small", 10), daemon=True)
    small.start()
    until(lambda: len(pool._waiting) == 2)
    assert order == []
    held.release()
    large.join(20)
    small.join(20)

    assert order == ["large", "small"]
    assert (pool.free, pool.slots) == (100, 4)

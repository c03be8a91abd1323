"""The sign that somebody is being answered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from allie_desktop.ipc.chat_busy import BusyWriter, ChatBusy


@pytest.fixture
def sign(tmp_path):
    return tmp_path / "chat.busy"


def wait_until(condition, seconds=5.0):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_it_shows_from_before_the_block_until_a_moment_after(sign):
    writer = BusyWriter(sign, linger_seconds=0.2)
    assert not ChatBusy.is_busy(sign)
    with writer.busy():
        assert ChatBusy.is_busy(sign)
        with writer.busy():
            pass
        assert ChatBusy.is_busy(sign)
    ended = time.monotonic()
    assert ChatBusy.is_busy(sign)
    wait_until(lambda: not ChatBusy.is_busy(sign))
    assert time.monotonic() - ended >= 0.15
    assert list(sign.parent.iterdir()) == []
    with writer.busy():
        assert ChatBusy.is_busy(sign)
    writer.close()
    assert not ChatBusy.is_busy(sign)


def test_it_is_kept_fresh_and_comes_back_when_somebody_takes_it_away(sign):
    writer = BusyWriter(sign, linger_seconds=0.1)
    with writer.busy():
        os.utime(sign, (0, 0))
        assert not ChatBusy.is_busy(sign)
        wait_until(lambda: ChatBusy.is_busy(sign))
        sign.unlink()
        wait_until(lambda: ChatBusy.is_busy(sign))
    writer.close()


def test_a_sign_left_behind_says_nothing(sign):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    sign.write_text(str(ended.pid))
    assert not ChatBusy.is_busy(sign)

    sign.write_text(str(os.getpid()))
    assert ChatBusy.is_busy(sign)
    for age in (4, -4):
        os.utime(sign, (time.time() - age,) * 2)
        assert not ChatBusy.is_busy(sign)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff\xfe", b"-5", b"9" * 40])
def test_a_sign_that_nobody_can_read_says_nothing(sign, content):
    sign.write_bytes(content)
    assert not ChatBusy.is_busy(sign)


def test_answering_goes_on_where_no_sign_can_be_shown(tmp_path):
    writer = ChatBusy.writer(tmp_path / "missing" / "chat.busy")
    with writer.busy():
        pass
    writer.close()


def test_many_threads_share_one_sign(sign):
    writer = BusyWriter(sign, linger_seconds=0.0)
    seen: list[bool] = []

    def one() -> None:
        for _ in range(50):
            with writer.busy():
                seen.append(ChatBusy.is_busy(sign))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 200
    wait_until(lambda: not sign.exists())
    writer.close()

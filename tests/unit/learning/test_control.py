"""A worker's line to its parent, over real pipes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

import pytest

from allie_desktop.domain.events import (
    Pause,
    Paused,
    Resume,
    Resumed,
    StepFinished,
    Stop,
    WorkerEvent,
    WriteCheckpoint,
)
from allie_desktop.ipc.protocol import decode_event, encode
from allie_desktop.learning import control as control_module
from allie_desktop.learning.control import Control, StopRequestedError

GONE = "the program that started the worker is gone"
PATIENCE_SECONDS = 20


class Parent:
    """The other end of both pipes."""

    def __init__(self) -> None:
        command_read, command_write = os.pipe()
        event_read, event_write = os.pipe()
        self.commands = os.fdopen(command_write, "wb", buffering=0)
        self.events = os.fdopen(event_read, "rb", buffering=0)
        self._worker_ends = (os.fdopen(command_read, "rb"), os.fdopen(event_write, "wb", buffering=0))
        self.control = Control(*self._worker_ends)

    def say(self, *commands) -> None:
        for command in commands:
            self.commands.write(command if isinstance(command, bytes) else encode(command))

    def hear(self) -> WorkerEvent:
        ready, _, _ = select.select([self.events], [], [], PATIENCE_SECONDS)
        assert ready, "the worker said nothing"
        line = b""
        while not line.endswith(b"\n"):
            line += self.events.read(1)
        return decode_event(line)

    def is_silent(self) -> bool:
        return not select.select([self.events], [], [], 0)[0]

    def close(self) -> None:
        for end in (self.commands, self.events, *self._worker_ends):
            end.close()


@pytest.fixture
def parent():
    line = Parent()
    yield line
    line.commands.close()  # ends the thread that reads
    for thread in threading.enumerate():
        if thread.name == "commands":
            thread.join(PATIENCE_SECONDS)
    line.close()


def in_training_thread(control, done):
    """Call ``between`` in a thread of its own, and note how it ended."""

    def work() -> None:
        try:
            control.between()
            done.append("went on")
        except StopRequestedError as stop:
            done.append(str(stop))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def obeyed(parent, command):
    """Send a command and return when the listening thread has obeyed it and all before."""
    reached = threading.Event()
    original = parent.control._obey

    def noted(heard):
        original(heard)
        if heard == command:
            reached.set()

    parent.control._obey = noted
    parent.say(command)
    assert reached.wait(PATIENCE_SECONDS)
    parent.control._obey = original


def test_without_a_command_work_goes_on_and_nothing_is_said(parent):
    parent.control.listen()
    parent.control.between()

    assert parent.is_silent()
    assert parent.control.stop_reason is None


def test_a_pause_holds_the_work_until_it_is_resumed(parent):
    parent.control.listen()
    obeyed(parent, Pause())
    done = []
    thread = in_training_thread(parent.control, done)

    assert parent.hear() == Paused()
    assert thread.is_alive()
    assert done == []
    parent.say(Resume())
    assert parent.hear() == Resumed()
    thread.join(PATIENCE_SECONDS)
    assert done == ["went on"]


def test_a_pause_that_is_taken_back_at_once_is_not_noticed(parent):
    parent.control.listen()
    parent.say(Pause())
    obeyed(parent, Resume())

    parent.control.between()
    assert parent.is_silent()


def test_a_stop_unwinds_the_work_with_its_reason(parent):
    parent.control.listen()
    obeyed(parent, Stop(reason="you came back"))

    with pytest.raises(StopRequestedError, match="you came back"):
        parent.control.between()
    with pytest.raises(StopRequestedError):  # and again, however often it is asked
        parent.control.between()


def test_a_stop_without_a_reason_has_one_all_the_same(parent):
    parent.control.listen()
    obeyed(parent, Stop())

    assert parent.control.stop_reason == "asked to stop"


def test_the_first_reason_stands(parent):
    parent.control.listen()
    obeyed(parent, Stop(reason="battery"))
    obeyed(parent, Stop(reason="heat"))
    parent.control.request_stop("a signal")

    assert parent.control.stop_reason == "battery"


def test_a_stop_ends_a_pause_without_a_resumed(parent):
    parent.control.listen()
    obeyed(parent, Pause())
    done = []
    thread = in_training_thread(parent.control, done)
    assert parent.hear() == Paused()

    parent.say(Stop(reason="battery"))
    thread.join(PATIENCE_SECONDS)

    assert done == ["battery"]
    assert parent.is_silent()


def test_a_parent_that_dies_stops_the_work(parent):
    parent.control.listen()
    parent.commands.close()
    for thread in threading.enumerate():
        if thread.name == "commands":
            thread.join(PATIENCE_SECONDS)

    with pytest.raises(StopRequestedError, match=GONE):
        parent.control.between()


def test_a_parent_that_dies_ends_a_pause(parent):
    parent.control.listen()
    obeyed(parent, Pause())
    done = []
    thread = in_training_thread(parent.control, done)
    assert parent.hear() == Paused()

    parent.commands.close()
    thread.join(PATIENCE_SECONDS)

    assert done == [GONE]


def test_a_checkpoint_is_asked_for_once(parent):
    parent.control.listen()
    assert parent.control.checkpoint_wanted() is False
    obeyed(parent, WriteCheckpoint())

    parent.control.between()  # no reason to wait or to stop
    assert parent.control.checkpoint_wanted() is True
    assert parent.control.checkpoint_wanted() is False


GARBAGE = [
    b"\n",
    b"stop\n",
    b"{}\n",
    b"[1, 2]\n",
    b'{"v":1,"type":"Explode","data":{}}\n',
    b'{"v":1,"type":"Stop","data":{"reason":7}}\n',
    b'{"v":1,"type":"Paused","data":{}}\n',  # an event is no command
    b'{"v":1,"type":"Stop"',
    b"\xff\xfe\x00\x01\n",
    b"[" * 100_000 + b"\n",
    b"\x00" * 5000 + b"\n",
]


def test_garbage_is_passed_over_and_said_in_the_log(parent, caplog):
    parent.control.listen()
    for line in GARBAGE:
        parent.say(line if line.endswith(b"\n") else line + b"\n")
    obeyed(parent, WriteCheckpoint())

    assert parent.control.stop_reason is None
    assert parent.control.checkpoint_wanted() is True
    assert [record.message[:9] for record in caplog.records] == ["ignored: "] * len(GARBAGE)


def test_a_command_that_comes_in_pieces_is_one_command(parent):
    parent.control.listen()
    line = encode(Stop(reason="heat"))
    for byte in line[:-1]:
        parent.say(bytes([byte]))
    assert parent.control.stop_reason is None
    parent.say(line[-1:])
    parent.commands.close()
    for thread in threading.enumerate():
        if thread.name == "commands":
            thread.join(PATIENCE_SECONDS)

    assert parent.control.stop_reason == "heat"


def test_a_last_command_without_its_end_is_not_lost(parent):
    parent.control.listen()
    parent.say(encode(Stop(reason="heat")).rstrip(b"\n"))
    parent.commands.close()
    for thread in threading.enumerate():
        if thread.name == "commands":
            thread.join(PATIENCE_SECONDS)

    assert parent.control.stop_reason == "heat"


def test_events_arrive_whole_and_in_order_from_many_threads(parent):
    def send(number):
        for step in range(50):
            parent.control.send(StepFinished(phase="train", step=step, total=number, what="é" * number))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    heard = [parent.hear() for _ in range(200)]
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    for number in range(4):
        assert [e.step for e in heard if e.total == number] == list(range(50))
    assert all(event.what == "é" * event.total for event in heard)


def test_a_parent_that_no_longer_reads_stops_the_work(parent):
    parent.events.close()
    parent.control.send(Paused())  # must not raise

    assert parent.control.stop_reason == GONE


def test_a_request_to_stop_works_from_within_the_lock_that_a_signal_may_interrupt(parent):
    with parent.control._wake:
        worker = threading.Thread(target=parent.control.request_stop, args=("asked by a signal",))
        worker.start()
        worker.join(PATIENCE_SECONDS)
        assert not worker.is_alive()

    with pytest.raises(StopRequestedError, match="asked by a signal"):
        parent.control.between()


def test_the_last_progress_is_told_again_when_nothing_was_told_for_long(parent, monkeypatch):
    progress = StepFinished(phase="train", step=3, total=9)
    parent.control.send(progress)
    assert parent.hear() == progress
    parent.control.between()
    assert parent.is_silent()

    monkeypatch.setattr(control_module, "_QUIET_SECONDS", -1.0)
    parent.control.between()
    assert parent.hear() == progress


def test_before_any_progress_there_is_none_to_tell_again(parent, monkeypatch):
    monkeypatch.setattr(control_module, "_QUIET_SECONDS", -1.0)
    parent.control.between()

    assert parent.is_silent()


CHILD = """
import os, sys
from allie_desktop.domain.events import Paused
from allie_desktop.learning.control import Control
control = Control.of_process()
print("a library talks")
os.write(1, b"and so does its C part\\n")
control.send(Paused())
"""


@pytest.mark.process
def test_nothing_but_events_reaches_the_parent():
    run = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL
    )

    assert run.stdout == encode(Paused())
    assert sorted(run.stderr.decode().splitlines()) == ["a library talks", "and so does its C part"]

"""The chat process as the tray keeps it, with a stand-in that speaks its first line."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time

import psutil
import pytest

from allie_desktop.ipc.chat_process import (
    ChatAddress,
    ChatProcess,
    ChatProcessState,
    ChatUnavailableError,
    chat_command,
)

pytestmark = pytest.mark.process

STAND_IN = """
    import json, os, pathlib, sys, time
    here = pathlib.Path({here!r})
    starts = here / "starts"
    starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
    (here / "token").write_text("the-token")
    print("some noise on stderr", file=sys.stderr, flush=True)
    {before}
    print(json.dumps({{"url": f"http://127.0.0.1:{{os.getpid()}}", "token_file": str(here / "token")}}), flush=True)
    {after}
    while sys.stdin.read(1):
        pass
"""


def wait_until(condition, seconds=15.0):
    ends = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    return value


@pytest.fixture
def chat(tmp_path):
    """Make a chat process whose stand-in does something before and after its first line."""
    made: list[ChatProcess] = []

    def make(before: str = "", after: str = "", **changes) -> ChatProcess:
        script = textwrap.dedent(STAND_IN).format(here=str(tmp_path), before=before, after=after)
        process = ChatProcess(
            folder=tmp_path / "run",
            log_file=tmp_path / "chat.log",
            command=changes.pop("command", (sys.executable, "-c", script)),
            **changes,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


def test_it_starts_when_somebody_needs_it_and_says_where_it_listens(chat, tmp_path):
    heard: list[ChatProcessState] = []

    process = chat(on_change=lambda: heard.append(process.state))
    assert (process.state, process.current_address, process.pid) == (ChatProcessState.STOPPED, None, None)
    address = process.address()
    assert address == ChatAddress(url=f"http://127.0.0.1:{process.pid}", token="the-token")
    assert process.address() == address
    assert (tmp_path / "starts").read_text() == "x"
    wait_until((tmp_path / "chat.log").exists)
    assert "some noise" in (tmp_path / "chat.log").read_text()

    pid = process.pid
    process.stop()
    assert not psutil.pid_exists(pid)
    assert (process.state, process.current_address) == (ChatProcessState.STOPPED, None)
    assert heard == [ChatProcessState.STARTING, ChatProcessState.RUNNING, ChatProcessState.STOPPED]


def test_it_comes_back_after_a_crash_with_another_address(chat):
    process = chat()
    first = process.address()
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: process.current_address not in {None, first})
    assert process.state is ChatProcessState.RUNNING


def test_one_that_never_listens_is_said_so_and_tried_again_with_rests(chat, tmp_path):
    process = chat(before="sys.exit(3)")
    with pytest.raises(ChatUnavailableError, match=r"does not start. It ended with code 3\."):
        process.address(timeout_seconds=1.5)
    wait_until(lambda: len((tmp_path / "starts").read_text()) >= 2)
    assert len((tmp_path / "starts").read_text()) < 10
    process.stop()
    assert process.state is ChatProcessState.STOPPED


def test_the_reason_that_it_gives_is_passed_on(chat):
    error = {"message": "Nothing can be written.", "remedy": "", "exit_code": 1}
    process = chat(before=f"print(json.dumps({{'error': {error!r}}}), flush=True); sys.exit(1)")
    with pytest.raises(ChatUnavailableError, match=r"does not start\. Nothing can be written\."):
        process.address(timeout_seconds=1.5)


def test_a_program_that_is_not_there_is_a_sentence_too(chat, tmp_path):
    process = chat(command=(str(tmp_path / "missing"),))
    with pytest.raises(ChatUnavailableError, match="It cannot be started: no such file"):
        process.address(timeout_seconds=0.5)


def test_lines_that_say_nothing_are_passed_over(chat):
    process = chat(before="print('hello'); print('[1]'); print('{}', flush=True)")
    assert process.address().token == "the-token"


def test_it_can_be_started_again_after_it_was_stopped(chat, tmp_path):
    process = chat()
    process.address()
    process.stop()
    process.stop()
    assert process.address().token == "the-token"
    assert (tmp_path / "starts").read_text() == "xx"


def test_the_command_is_the_programs_own(monkeypatch):
    own = (sys.executable, "-m", "allie_desktop", "serve", "--json", "--with-parent")
    assert chat_command() == own
    assert chat_command(0) == (*own, "--port", "0")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert chat_command() == (sys.executable, "serve", "--json", "--with-parent")

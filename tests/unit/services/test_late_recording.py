"""What is said while the store cannot be written is recorded later, in its order; with a real store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from allie_desktop.domain.errors import StoreBusyError
from allie_desktop.services.late_recording import RETRY_SECONDS, LateRecorder
from tests.unit.services.test_recording import CAT, DOG, REX, TOM, Home, said


class Late:
    """A recorder over a store whose write lock somebody else may hold."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.home.database.connection.execute("PRAGMA busy_timeout=20")
        self.now = 100.0
        self.recorder = LateRecorder(self.home.recorder, monotonic=lambda: self.now, most_characters=200)
        self.other = sqlite3.connect(path, isolation_level=None)

    def lock(self) -> None:
        self.other.execute("BEGIN IMMEDIATE")

    def unlock(self) -> None:
        self.other.execute("ROLLBACK")

    def kept(self) -> list[list[str]]:
        rows = self.home.conversations.get_many(self.home.ids())
        return [[turn.content for turn in row.conversation.turns] for row in rows.values()]


@pytest.fixture
def late(tmp_path):
    made = Late(tmp_path / "store.sqlite3")
    yield made
    made.other.close()
    made.home.database.close()


def test_it_is_recorded_as_soon_as_the_store_is_free_and_not_before(late):
    late.lock()
    with pytest.raises(StoreBusyError):
        late.recorder.record(late.home.exchange(said(DOG), REX))
    late.now += RETRY_SECONDS
    late.recorder.catch_up()
    assert late.recorder.late == 1

    late.unlock()
    late.recorder.catch_up()
    assert late.recorder.late == 1  # just tried
    late.now += RETRY_SECONDS
    late.recorder.catch_up()

    assert late.recorder.late == 0
    assert late.kept() == [[DOG, REX]]


def test_what_comes_after_it_finds_its_conversation(late):
    late.lock()
    with pytest.raises(StoreBusyError):
        late.recorder.record(late.home.exchange(said(DOG), REX))
    late.unlock()

    late.recorder.record(late.home.exchange(said(DOG, REX, CAT), TOM))

    assert late.kept() == [[DOG, REX, CAT, TOM]]


def test_the_end_of_the_program_tries_once_more(late):
    late.lock()
    with pytest.raises(StoreBusyError):
        late.recorder.record(late.home.exchange(said(DOG), REX))
    late.unlock()

    late.recorder.catch_up(now=True)

    assert late.kept() == [[DOG, REX]]


def test_it_does_not_fill_the_memory(late):
    late.lock()
    for number in range(5):
        with pytest.raises(StoreBusyError):
            late.recorder.record(late.home.exchange(said(f"{number} {'word ' * 12}"), REX))
    late.unlock()
    assert late.recorder.late == 2

    late.recorder.catch_up(now=True)

    assert [turns[0][0] for turns in late.kept()] == ["3", "4"]

"""How long a worker stands aside for those who chat."""

from __future__ import annotations

from allie_desktop.services.courtesy import PATIENCE_SECONDS, REST_SECONDS, TURN_SECONDS, Courtesy


class Chat:
    """Somebody who is being answered, or not, and the time."""

    def __init__(self) -> None:
        self.busy = False
        self.now = 1000.0
        self.stands = Courtesy(lambda: self.busy, monotonic=lambda: self.now)


def test_the_worker_stands_still_exactly_while_a_person_is_answered():
    chat = Chat()

    assert not chat.stands()
    for _ in range(100):
        chat.busy = True
        assert chat.stands()
        chat.now += PATIENCE_SECONDS - 1
        assert chat.stands()
        chat.busy = False
        assert not chat.stands()
        chat.now += 2


def test_a_program_that_never_pauses_does_not_keep_learning_from_ever_ending():
    chat = Chat()
    chat.busy = True
    stood = went = 0
    while chat.now < 1000 + PATIENCE_SECONDS:
        assert chat.stands()
        chat.now += 1
    for _ in range(800):
        if chat.stands():
            stood += 1
        else:
            went += 1
        chat.now += 0.5

    assert went / (stood + went) == TURN_SECONDS / (TURN_SECONDS + REST_SECONDS)


def test_after_a_pause_all_patience_is_there_again():
    chat = Chat()
    chat.busy = True
    chat.stands()
    chat.now += PATIENCE_SECONDS
    assert not chat.stands()

    chat.busy = False
    chat.stands()
    chat.busy = True
    assert chat.stands()
    chat.now += PATIENCE_SECONDS - 1
    assert chat.stands()

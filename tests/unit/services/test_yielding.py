"""The two stages of giving the machine back."""

from __future__ import annotations

import threading

import pytest

from allie_desktop.services.yielding import Stage, Yielding


class Worker:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.running = True

    def suspend(self) -> None:
        self.done.append("suspend")

    def unfreeze(self) -> None:
        self.done.append("unfreeze")

    def request_yield(self, reason: str) -> bool:
        self.done.append(f"leave: {reason}")
        return self.running


class Scene:
    def __init__(self, *, follows_presence: bool = True, attach: bool = True) -> None:
        self.seconds = 0.0
        self.changes: list[Stage] = []
        self.worker = Worker()
        self.yielding = Yielding(
            release_seconds=lambda: 20.0,
            monotonic=lambda: self.seconds,
            on_change=self.changes.append,
            calm_seconds=3.0,
        )
        self.yielding.expect(follows_presence=follows_presence)
        if attach:
            assert self.yielding.attach(self.worker) == ""

    def review(self, holds: str, *, after: float = 0.0) -> None:
        self.seconds += after
        self.yielding.review(holds)


def test_a_person_freezes_the_worker_at_once_and_only_once() -> None:
    scene = Scene()
    assert scene.yielding.somebody_is_back()
    assert not scene.yielding.somebody_is_back()
    assert (scene.worker.done, scene.changes) == (["suspend"], [Stage.FROZEN])


def test_a_person_does_not_disturb_an_episode_that_was_asked_for() -> None:
    scene = Scene(follows_presence=False)
    assert not scene.yielding.somebody_is_back()
    scene.review("Paused: on battery (62 %)")
    assert scene.worker.done == ["suspend"]


def test_a_reason_that_lasts_ends_the_worker_with_its_checkpoint() -> None:
    scene = Scene()
    scene.review("Paused: processor at 91 °C")
    scene.review("Paused: processor at 91 °C", after=19.9)
    assert scene.worker.done == ["suspend"]
    scene.review("Paused: processor at 90 °C", after=0.1)
    assert scene.worker.done == ["suspend", "leave: Paused: processor at 90 °C"]
    assert scene.yielding.stage is Stage.LEAVING


def test_a_reason_that_ends_before_lets_it_go_on_after_a_calm_moment() -> None:
    scene = Scene()
    scene.review("Paused: a chat is being answered")
    scene.review("", after=5.0)
    scene.review("", after=2.9)
    assert scene.worker.done == ["suspend"]
    scene.review("", after=0.2)
    assert scene.worker.done == ["suspend", "unfreeze"]
    assert (scene.yielding.stage, scene.yielding.reason) == (Stage.RUNNING, "")


def test_a_reason_that_flickers_does_not() -> None:
    scene = Scene()
    for _ in range(6):
        scene.review("Paused: a chat is being answered")
        scene.review("", after=2.0)
    assert scene.worker.done == ["suspend"]


def test_what_comes_before_the_worker_is_there_keeps_it_from_starting() -> None:
    scene = Scene(attach=False)
    assert scene.yielding.somebody_is_back("You are back.")
    assert scene.yielding.attach(scene.worker) == "You are back."
    assert scene.worker.done == []


def test_a_worker_that_was_not_there_to_be_asked_is_asked_again() -> None:
    scene = Scene()
    scene.worker.running = False
    scene.yielding.leave("Allie was closed.")
    scene.review("")
    assert scene.worker.done == ["leave: Allie was closed."] * 2


def test_leaving_is_not_frozen_again() -> None:
    scene = Scene()
    scene.yielding.leave("You paused learning.")
    assert not scene.yielding.somebody_is_back()
    assert scene.worker.done == ["leave: You paused learning."]


def test_without_an_episode_nothing_happens() -> None:
    scene = Scene()
    scene.yielding.detach()
    scene.yielding.leave("Allie was closed.")
    assert not scene.yielding.somebody_is_back()
    scene.review("Paused: on battery")
    assert (scene.worker.done, scene.yielding.stage) == ([], Stage.NOTHING)


@pytest.mark.parametrize("rounds", [50])
def test_whoever_wins_a_race_nothing_runs_on_while_somebody_is_there(rounds: int) -> None:
    for _ in range(rounds):
        scene = Scene()
        scene.review("Paused: a chat is being answered")
        scene.review("", after=5.0)
        scene.seconds += 5.0
        threads = [
            threading.Thread(target=scene.yielding.somebody_is_back),
            threading.Thread(target=scene.yielding.review, args=("",)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if scene.yielding.stage is Stage.FROZEN:
            assert scene.worker.done[-1] == "suspend"
        else:
            assert scene.worker.done == ["suspend", "unfreeze"]

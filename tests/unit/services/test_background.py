"""One look after the other: what is started, told, paused and undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.conditions import Priority
from allie_desktop.domain.errors import BadInputError, DiskFullError, EpisodeBusyError, HeldError
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.ports import Alert
from allie_desktop.domain.preferences import BYTES_PER_GB
from allie_desktop.domain.readings import Readings
from allie_desktop.domain.requests import Notice, Origin, QueuedRequest
from allie_desktop.services.background import FROZEN_WAIT, Background, Mood, Order, pause_moment
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.forgetting import REBUILD
from allie_desktop.services.notices import Notices
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.services.scheduler import Scheduler
from allie_desktop.services.yielding import Stage, Yielding
from allie_desktop.store.alerts import SqliteAlerts
from allie_desktop.store.database import Database
from allie_desktop.store.decisions import SqliteDecisions
from allie_desktop.store.notices import SqliteNotices
from allie_desktop.store.requests import SqliteRequests
from allie_desktop.store.settings import SqliteSettings

NIGHT = datetime(2026, 3, 12, 3, 0, tzinfo=timezone.utc)
QUIET = Readings(
    new_conversations=60,
    mean_quality=0.9,
    idle_seconds=900.0,
    chat_busy=False,
    full_screen=False,
    has_battery=False,
    power_saver=False,
    remote_session=False,
    cpu_celsius=40.0,
    free_memory_bytes=100 * BYTES_PER_GB,
    free_disk_bytes=100 * BYTES_PER_GB,
)
DONE = EpisodeResult(episode_id="e1", outcome=EpisodeState.COMPLETED, version="v1.0")
YIELDED = EpisodeResult(episode_id="e1", outcome=EpisodeState.YIELDED, reasons=("The disk is full.",))


class Watch:
    def __init__(self) -> None:
        self.armed = False

    def arm(self) -> None:
        self.armed = True

    def disarm(self) -> None:
        self.armed = False


class Worker:
    def __init__(self) -> None:
        self.done: list[str] = []

    def suspend(self) -> None:
        self.done.append("suspend")

    def unfreeze(self) -> None:
        self.done.append("unfreeze")

    def request_yield(self, reason: str) -> bool:
        self.done.append(f"leave: {reason}")
        return True


class Life:
    """A background run over a real store, with everything around it in the test's hands."""

    def __init__(self, path: Path) -> None:
        self.database = Database.open(path)
        self.now = NIGHT
        self.seconds = 0.0
        self.readings = QUIET
        self.unfinished = False
        self.orders: list[Order] = []
        self.told: list[Notice] = []
        self.reviews: list[bool] = []
        self.active = "v1.0"
        self.watch = Watch()
        self.preferences = PreferencesService(SqliteSettings(self.database))
        for name, value in (("consent_given", True), ("window_start", time(0)), ("window_end", time(0))):
            self.preferences.set(name, value)
        self.preferences.set("quiet_hours", False)
        self.alerts = SqliteAlerts(self.database)
        self.yielding = Yielding(release_seconds=lambda: 20.0, monotonic=lambda: self.seconds)
        self.background = Background(
            scheduler=Scheduler(
                requests=SqliteRequests(self.database),
                decisions=SqliteDecisions(self.database),
                now=lambda: self.now,
            ),
            yielding=self.yielding,
            notices=Notices(SqliteNotices(self.database), now=lambda: self.now),
            preferences=self.preferences,
            alerts=self.alerts,
            readings=lambda: self.readings,
            unfinished=lambda: self.unfinished,
            start=self.orders.append,
            tell=self.told.append,
            headline=lambda episode: f"Learned in {episode}.",
            rollback=self.roll_back,
            now=lambda: self.now,
            watch=self.watch,
            review=lambda: self.reviews.append(self.background.running),
        )

    def roll_back(self, version: str) -> str:
        if version != self.active:
            raise BadInputError("It does not answer any more.")
        self.active = "base"
        return self.active

    def look(self):
        return self.background.look()[0]

    def begin(self) -> Worker:
        self.look()
        worker = Worker()
        assert self.yielding.attach(worker) == ""
        return worker

    def end(self, result=None, error=None) -> None:
        self.background.ended(self.orders[-1], result, error)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path / "allie.sqlite3")
    yield life
    life.database.close()


def test_a_new_version_is_reviewed_at_every_look_learning_or_not(life: Life) -> None:
    life.look()
    life.look()
    assert life.reviews == [False, True]


def test_a_whole_night(life: Life) -> None:
    standing = life.look()
    (order,) = life.orders
    assert order.trigger.startswith("60 new conversations; their average quality is 0.90; nobody was at")
    assert (standing.mood, standing.running, life.watch.armed) == (Mood.LEARNING, True, True)
    assert life.look().running
    assert len(life.orders) == 1
    life.readings = replace(QUIET, new_conversations=0)
    life.end(DONE)
    standing = life.look()
    assert (standing.mood, standing.headline) == (Mood.IDLE, "Waiting: there is nothing new to learn from")
    assert [notice.body for notice in life.told] == ["Learned in e1."]
    assert not life.watch.armed


def test_somebody_comes_back_stays_and_the_episode_waits_for_the_next_time(life: Life) -> None:
    worker = life.begin()
    life.yielding.somebody_is_back()
    life.readings = replace(QUIET, idle_seconds=0.0)
    standing, wait = life.background.look()
    assert (standing.mood, standing.stage, wait) == (Mood.WAITING, Stage.FROZEN, FROZEN_WAIT)
    life.seconds += 21.0
    life.look()
    assert worker.done[0] == "suspend"
    assert worker.done[1].startswith("leave: Waiting: until nobody")
    life.unfinished = True
    life.end(YIELDED)
    assert not life.look().running
    life.readings = QUIET
    life.look()
    assert len(life.orders) == 2


def test_a_chat_in_between_only_stops_it_for_a_while(life: Life) -> None:
    worker = life.begin()
    life.readings = replace(QUIET, chat_busy=True)
    life.look()
    life.watch.armed = False
    life.readings = QUIET
    life.look()
    life.seconds += 5.0
    assert life.look().stage is Stage.RUNNING
    assert (worker.done, life.watch.armed) == (["suspend", "unfreeze"], True)


def test_an_episode_that_stopped_for_a_reason_of_its_own_is_not_begun_again_at_once(life: Life) -> None:
    life.begin()
    life.unfinished = True
    life.end(YIELDED)
    standing = life.look()
    assert standing.headline == "Waiting: the last episode had to stop (the disk is full)"
    life.now += timedelta(minutes=5)
    life.look()
    assert len(life.orders) == 2


@pytest.mark.parametrize(
    ("error", "minutes", "words"),
    [
        (EpisodeBusyError("Taken."), 3, "Waiting: another Allie is learning"),
        (HeldError("Everything new was learnt before."), 61, "Waiting: everything new was learnt before"),
        (DiskFullError("The disk is full."), 16, "Waiting: the disk is full"),
    ],
)
def test_what_cannot_be_done_now_is_tried_again_later(
    life: Life, error: Exception, minutes: int, words: str
) -> None:
    life.begin()
    life.end(error=error)
    assert life.look().headline == words
    life.now += timedelta(minutes=minutes)
    life.look()
    assert len(life.orders) == 2


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (EpisodeBusyError("Taken."), True),
        (DiskFullError("The disk is full."), True),
        # It was unlearnt, with nothing to learn instead.
        (HeldError("There is nothing new to learn."), False),
    ],
)
def test_a_wish_to_unlearn_lasts_until_it_was_really_tried(life: Life, error: Exception, kept: bool) -> None:
    queue = SqliteRequests(life.database)
    rebuild = QueuedRequest(
        key=REBUILD, origin=Origin.REPAIR, wish=Priority.HIGH, reason="to unlearn", asked_at=life.now
    )
    queue.put(rebuild)
    life.begin()
    assert life.orders[-1].choice.request is not None
    assert life.orders[-1].choice.request.key == REBUILD

    life.end(error=error)

    assert (REBUILD in {request.key for request in queue.all()}) is kept


def test_an_unexpected_failure_raises_one_alert(life: Life) -> None:
    life.begin()
    life.end(error=DiskFullError("The disk is full.", "Free some space."))
    standing = life.look()
    assert standing.mood is Mood.ATTENTION
    assert [notice.body for notice in life.told] == ["The disk is full. Free some space."]
    life.background.alerts_seen()
    assert life.look().mood is not Mood.ATTENTION


def test_a_pause_ends_what_runs_and_resuming_begins_again(life: Life) -> None:
    worker = life.begin()
    life.background.pause(life.now + timedelta(hours=1))
    assert worker.done == ["leave: You paused learning."]
    life.unfinished = True
    life.end(YIELDED)
    standing = life.look()
    assert (standing.mood, standing.headline) == (Mood.PAUSED, "Paused: until 04:00")
    life.background.resume()
    life.look()
    assert len(life.orders) == 2
    life.end(YIELDED)
    life.background.pause(None)
    assert life.look().headline == "Paused: until you resume"


def test_a_timed_pause_ends_by_itself_and_says_so(life: Life) -> None:
    life.readings = replace(QUIET, idle_seconds=0.0)
    life.background.pause(life.now + timedelta(hours=1))
    assert life.look().paused
    life.now += timedelta(hours=1, seconds=1)
    standing = life.look()
    assert (standing.paused, standing.pause_until) == (False, None)
    assert "The pause is over; Allie learns again when it may." in standing.notes


def test_before_sleep_it_leaves_at_once_and_starts_nothing(life: Life) -> None:
    worker = life.begin()
    life.background.sleep_is_near(True)
    assert worker.done == ["leave: The computer is going to sleep."]
    life.unfinished = True
    life.end(YIELDED)
    assert life.look().headline == "Paused: the computer is going to sleep"
    life.background.sleep_is_near(False)
    life.look()
    assert len(life.orders) == 2


def test_learn_now_says_what_it_would_override_and_is_not_stopped_by_a_person(life: Life) -> None:
    life.readings = replace(QUIET, idle_seconds=0.0, new_conversations=3)
    standing = life.look()
    assert standing.soft_holds == (
        "Waiting: 3 of 50 conversations",
        "Waiting: until nobody is at the computer for 5 min",
    )
    assert standing.learn_now is not None
    assert standing.learn_now.holds == ()
    life.background.learn_now()
    worker = life.begin()
    assert life.orders[0].forced
    assert not life.watch.armed
    life.yielding.somebody_is_back()
    life.look()
    assert worker.done == []


def test_somebody_who_comes_back_before_it_began_changes_nothing(life: Life) -> None:
    life.look()
    life.yielding.somebody_is_back()
    assert life.yielding.attach(Worker()) != ""
    life.end()
    assert life.look().running
    assert len(life.orders) == 2


def test_undoing_takes_back_the_version_that_was_told_of(life: Life) -> None:
    assert life.background.undo("v1.0") == "v1.0 was undone. The base model answers again."
    with pytest.raises(BadInputError):
        life.background.undo("v1.0")


def test_at_the_end_nothing_is_started_any_more(life: Life) -> None:
    life.background.end()
    life.look()
    assert life.orders == []


def test_the_icon_asks_for_attention_only_when_something_does(life: Life) -> None:
    life.readings = replace(QUIET, new_conversations=0)
    life.alerts.raise_(Alert(key="a", severity="info", message="Something is new."))
    assert life.look().mood is Mood.IDLE
    life.alerts.raise_(Alert(key="b", severity="critical", message="v1.0 is damaged."))
    standing = life.look()
    assert (standing.mood, standing.alerts[0].message) == (Mood.ATTENTION, "v1.0 is damaged.")


def test_pauses_of_the_menu() -> None:
    assert pause_moment("hour", NIGHT) == NIGHT + timedelta(hours=1)
    assert pause_moment("resumed", NIGHT) is None
    tomorrow = pause_moment("tomorrow", NIGHT)
    assert tomorrow is not None
    assert (tomorrow.hour, tomorrow.minute) == (6, 0)
    assert tomorrow.date() == NIGHT.date() + timedelta(days=1)

"""The background run: looks, decides, has episodes started, gives the machine back, and says how things stand.

:class:`Background` is what happens at one look; who owns a thread calls :meth:`Background.look` again and again
and waits in between as long as it is told. It knows no windows and starts no process itself.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from datetime import time as clock_time
from enum import Enum
from typing import Protocol

from allie_desktop.domain.conditions import Decision
from allie_desktop.domain.errors import AllieError, EpisodeBusyError, HeldError, StoreError
from allie_desktop.domain.holds import HoldName
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.ports import Alert, AlertRepository
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.readings import Readings
from allie_desktop.domain.requests import Notice, Origin
from allie_desktop.domain.versions import BASE
from allie_desktop.services.episode_result import EpisodeResult
from allie_desktop.services.notices import Notices
from allie_desktop.services.preferences import PreferencesService
from allie_desktop.services.scheduler import Choice, Scheduler
from allie_desktop.services.yielding import Stage, Yielding

#: How often to look while an episode runs, and while it is frozen, in seconds.
RUNNING_WAIT = 1.0
FROZEN_WAIT = 0.25
#: The first looks come soon after each other: sensors open meanwhile, and load needs two looks.
SETTLING_WAIT = 1.5

#: How long to let be what could not be done, in seconds: nothing to learn, another process at it, an error.
HELD_REST = 3600.0
BUSY_REST = 120.0
TROUBLE_REST = 900.0

_TOMORROW = clock_time(6, 0)

_log = logging.getLogger(__name__)


class Mood(str, Enum):
    """How things stand, in a word; the names are those of the tray's icons."""

    IDLE = "idle"
    WAITING = "waiting"
    LEARNING = "learning"
    PAUSED = "paused"
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand. ``headline`` is the reason in words. ``learn_now`` says what "Learn now" would meet;
    None while an episode runs. ``notes`` are further sentences, ``alerts`` what needs the person."""

    mood: Mood
    headline: str
    notes: tuple[str, ...] = ()
    paused: bool = False
    pause_until: datetime | None = None
    running: bool = False
    stage: Stage = Stage.NOTHING
    learn_now: Decision | None = None
    soft_holds: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    needs_consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An episode to be run. ``trigger`` says why, ``forced`` that the person asked for it."""

    choice: Choice
    trigger: str
    forced: bool


class PresenceWatch(Protocol):
    """Tells the first sign of a person. Quick; may be armed again and again."""

    def arm(self) -> None:
        """Watch from now on."""

    def disarm(self) -> None:
        """Watch no more."""


class _NoWatch:
    def arm(self) -> None:
        """Watch nothing: the readings have to do."""

    def disarm(self) -> None:
        """Nothing was watched."""


class Background:
    """One person's background run. From one thread, that of the repositories.

    ``readings`` looks at computer and material; ``unfinished`` says whether an episode waits to go on;
    ``start`` has an episode run elsewhere, whose end :meth:`ended` is told. ``now`` is in the person's zone.
    ``rollback`` takes a version back when it is the one that answers, and returns who answers then.
    ``review`` looks how a new version does; often called, it decides itself when that is due.
    """

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        yielding: Yielding,
        notices: Notices,
        preferences: PreferencesService,
        alerts: AlertRepository,
        readings: Callable[[], Readings],
        unfinished: Callable[[], bool],
        start: Callable[[Order], None],
        tell: Callable[[Notice], None],
        headline: Callable[[str], str],
        rollback: Callable[[str], str],
        now: Callable[[], datetime],
        watch: PresenceWatch | None = None,
        review: Callable[[], None] = lambda: None,
    ) -> None:
        self._scheduler = scheduler
        self._yielding = yielding
        self._notices = notices
        self._preferences = preferences
        self._alerts = alerts
        self._readings = readings
        self._unfinished = unfinished
        self._start = start
        self._tell = tell
        self._headline = headline
        self._rollback = rollback
        self._now = now
        self._watch: PresenceWatch = watch or _NoWatch()
        self._review = review
        self._running: Order | None = None
        self._going_to_sleep = False
        self._ending = False
        self._settling = 2

    @property
    def running(self) -> bool:
        """Whether an episode was started that has not ended."""
        return self._running is not None

    # --- a look ---

    def look(self) -> tuple[Standing, float]:
        """Look once and do what is to be done; return how things stand and how many seconds to wait."""
        preferences = self._reloaded()
        readings = replace(self._readings(), going_to_sleep=self._going_to_sleep)
        alerts = self._open_alerts(preferences)
        self._show_notices(preferences)
        self._review()
        if self._running is not None:
            decision = self._oversee(readings, preferences, self._running)
            wait = FROZEN_WAIT if self._yielding.stage is Stage.FROZEN else RUNNING_WAIT
            return self._standing(decision, readings, preferences, alerts), wait
        choice = self._scheduler.consider(readings, preferences, unfinished=self._has_unfinished())
        if choice.decision.start and not self._ending:
            self._begin(choice)
            return self._standing(choice.decision, readings, preferences, alerts), RUNNING_WAIT
        standing = self._standing(choice.decision, readings, preferences, alerts)
        wait = self._scheduler.seconds_until_next_look(choice.decision, readings, preferences)
        if self._settling:
            self._settling -= 1
            wait = min(wait, SETTLING_WAIT)
        return standing, wait

    # --- what the person wants ---

    def learn_now(self) -> None:
        """Learn as soon as no hard hold is in the way; soft ones were confirmed."""
        self._scheduler.learn_now()

    def pause(self, until: datetime | None) -> None:
        """Learn nothing until then (None: until resumed); a running episode leaves with a checkpoint."""
        if until is None:
            self._preferences.set("paused", True)
        else:
            self._preferences.set("pause_until", until)
        self._scheduler.withdraw(Origin.LEARN_NOW)
        self._yielding.leave("You paused learning.")

    def resume(self) -> None:
        """Learn again when it may."""
        self._preferences.set("paused", False)
        self._preferences.set("pause_until", None)

    def alerts_seen(self) -> None:
        """The person looked at what needs them."""
        for alert in self._alerts.open():
            if not alert.seen:
                self._alerts.mark_seen(alert.key)

    def undo(self, version: str) -> str:
        """Take a version back that was told of in a notice; return what came of it in words."""
        now_answers = self._rollback(version)
        if now_answers == version:
            return ""
        who = "The base model" if now_answers == BASE else now_answers
        return f"{version} was undone. {who} answers again."

    # --- what happens ---

    def ended(self, order: Order, result: EpisodeResult | None, error: AllieError | None) -> None:
        """The episode of an order is over, or could not be run."""
        self._watch.disarm()
        was_asked_to_leave = self._yielding.stage is Stage.LEAVING
        self._yielding.detach()
        self._running = None
        request = order.choice.request
        if error is not None:
            self._failed(error)
            if isinstance(error, EpisodeBusyError) or not isinstance(error, HeldError):
                return  # it was not tried; it is still wanted
        elif result is None:
            return  # somebody came back before it began; it is still wanted
        else:
            if result.outcome is EpisodeState.YIELDED:
                if not was_asked_to_leave:  # it had a reason of its own, which may well be there still
                    words = f"the last episode had to stop ({_lower(result.reasons)})"
                    self._scheduler.rest(words, BUSY_REST)
                return
            self._notices.episode_ended(result, self._headline(result.episode_id), self._preferences.current)
        if request is not None:
            self._scheduler.served(request)

    def sleep_is_near(self, near: bool) -> None:
        """The system announced a suspend, or came back from one."""
        self._going_to_sleep = near
        if near:
            self._yielding.leave("The computer is going to sleep.")

    def end(self) -> None:
        """Start nothing more; a running episode leaves with a checkpoint."""
        self._ending = True
        self._yielding.leave("Allie was closed.")

    # --- inside ---

    def _reloaded(self) -> Preferences:
        with contextlib.suppress(StoreError):
            self._preferences.reload()
        return self._preferences.current

    def _has_unfinished(self) -> bool:
        try:
            return self._unfinished()
        except StoreError:
            return False

    def _open_alerts(self, preferences: Preferences) -> tuple[Alert, ...]:
        try:
            alerts = self._alerts.open()
            for alert in alerts:
                self._notices.alert_raised(alert, preferences)
        except StoreError as error:
            return (Alert(key="store", severity="warning", message=error.message, remedy=error.remedy),)
        return alerts

    def _show_notices(self, preferences: Preferences) -> None:
        try:
            for notice in self._notices.due(preferences):
                self._notices.shown(notice)  # before: rather not at all than twice
                self._tell(notice)
        except StoreError as error:
            _log.warning("Notices cannot be read: %s", error)

    def _begin(self, choice: Choice) -> None:
        order = Order(choice=choice, trigger="; ".join(choice.decision.reasons), forced=choice.learn_now)
        self._running = order
        self._yielding.expect(follows_presence=not choice.learn_now)
        if not choice.learn_now:
            self._watch.arm()
        self._start(order)

    def _oversee(self, readings: Readings, preferences: Preferences, order: Order) -> Decision:
        decision = self._scheduler.oversee(readings, preferences, order.choice)
        was = self._yielding.stage
        self._yielding.review(decision.holds[0].words if decision.holds else "")
        if was is Stage.FROZEN and self._yielding.stage is Stage.RUNNING and not order.choice.learn_now:
            self._watch.arm()
        return decision

    def _failed(self, error: AllieError) -> None:
        if isinstance(error, EpisodeBusyError):
            self._scheduler.rest("another Allie is learning", BUSY_REST)
        elif isinstance(error, HeldError):
            self._scheduler.rest(_lower((error.message,)), HELD_REST)
        else:
            self._scheduler.rest(_lower((error.message,)), TROUBLE_REST)
            _log.error("An episode could not be run: %s", error)
            with contextlib.suppress(StoreError):
                self._alerts.raise_(
                    Alert(
                        key="background",
                        severity="warning",
                        message=error.message,
                        remedy=error.remedy,
                        raised_at=self._now(),
                    )
                )

    def _standing(
        self, decision: Decision, readings: Readings, preferences: Preferences, alerts: tuple[Alert, ...]
    ) -> Standing:
        paused = any(hold.name is HoldName.PAUSED for hold in decision.holds)
        running = self._running is not None
        stage = self._yielding.stage
        headline = decision.headline
        if running:
            headline = "Learning" if stage is Stage.RUNNING else self._yielding.reason
        needing = tuple(alert for alert in alerts if alert.severity != "info" and not alert.seen)
        preview = None
        soft: tuple[str, ...] = ()
        if not running:
            preview = self._scheduler.preview(readings, preferences, unfinished=self._has_unfinished())
            soft = tuple(hold.words for hold in decision.holds if not hold.hard)
        return Standing(
            mood=_mood(decision, stage, running=running, paused=paused, attention=bool(needing)),
            headline=headline or "Nothing to do",
            notes=(*decision.reasons[1:], *decision.notes),
            paused=paused,
            pause_until=preferences.pause_until if paused and not preferences.paused else None,
            running=running,
            stage=stage,
            learn_now=preview,
            soft_holds=soft,
            alerts=needing,
            needs_consent=not preferences.consent_given,
        )


def pause_moment(choice: str, now: datetime) -> datetime | None:
    """Return until when a pause of the menu lasts: "hour", "tomorrow" (six in the morning), else until resumed."""
    if choice == "hour":
        return now + timedelta(hours=1)
    if choice == "tomorrow":
        day = now.date() + timedelta(days=1)
        return datetime.combine(day, _TOMORROW).astimezone()
    return None


def _mood(decision: Decision, stage: Stage, *, running: bool, paused: bool, attention: bool) -> Mood:
    if running and stage is Stage.RUNNING:
        return Mood.LEARNING
    if attention:
        return Mood.ATTENTION
    if running:
        return Mood.WAITING
    if paused:
        return Mood.PAUSED
    return Mood.IDLE if decision.priority is None else Mood.WAITING


def _lower(words: tuple[str, ...]) -> str:
    """Return the first sentence as a part of another one."""
    first = words[0].strip().rstrip(".") if words else ""
    return first[:1].lower() + first[1:] if first else "for a reason it did not tell"

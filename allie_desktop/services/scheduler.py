"""When to learn: the queue of wishes, the decision about the most urgent one, and the diary of decisions.

The rules themselves are pure (:mod:`allie_desktop.domain.conditions`); this keeps what they need from one look
to the next: hysteresis, rests, and what is wanted.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from allie_desktop.domain.conditions import Decision, Priority, Request, decide, may_continue
from allie_desktop.domain.errors import StoreError
from allie_desktop.domain.holds import Hold, HoldName
from allie_desktop.domain.ports import DecisionRepository, RequestRepository
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.readings import Need, Readings
from allie_desktop.domain.requests import DecisionRecord, Origin, QueuedRequest, in_order

#: How often to look when nothing announces itself, and at least, in seconds.
LONGEST_WAIT = 60.0
SHORTEST_WAIT = 1.0
#: With something at work that comes and goes without a word.
RESTLESS_WAIT = 20.0

_STILL = frozenset({HoldName.OFF, HoldName.CONSENT, HoldName.PAUSED, HoldName.NO_MATERIAL, HoldName.DATA})

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was decided, and about which request: the one that starts, else the most urgent one. ``learn_now``:
    soft holds were overridden."""

    decision: Decision
    request: QueuedRequest | None
    learn_now: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    words: str
    until: datetime


class Scheduler:
    """Decides; starts nothing. From the thread of the repositories.

    ``now`` returns the aware time in the person's zone, ``need`` what an episode takes. A store that cannot be
    written for the moment keeps nobody from deciding.
    """

    def __init__(
        self,
        *,
        requests: RequestRepository,
        decisions: DecisionRepository,
        now: Callable[[], datetime],
        need: Callable[[], Need] = Need,
    ) -> None:
        self._requests = requests
        self._decisions = decisions
        self._now = now
        self._need = need
        self._previous: Decision | None = None
        self._standings: dict[str, tuple[Priority, tuple[HoldName, ...]]] = {}
        self._rest: _Rest | None = None
        self._last_kind: object = self._kind_on_record()

    # --- wishes ---

    def ask(self, origin: Origin, *, wish: Priority, reason: str, subject: str = "") -> QueuedRequest:
        """Put a wish into the queue; the same wish again is renewed."""
        key = f"{origin.value}:{subject}" if subject else origin.value
        request = QueuedRequest(
            key=key, origin=origin, wish=wish, reason=reason, asked_at=self._utc(), standing=wish
        )
        self._requests.put(request)
        self._standings.pop(key, None)
        return request

    def learn_now(self) -> QueuedRequest:
        """The person asked, and confirmed: soft holds are overridden, hard ones never."""
        self._rest = None
        return self.ask(Origin.LEARN_NOW, wish=Priority.HIGH, reason="you asked for it")

    def withdraw(self, origin: Origin) -> None:
        """Take the wishes of this origin back."""
        for request in self._requests.all():
            if request.origin is origin:
                self._requests.remove(request.key)

    def queue(self) -> tuple[QueuedRequest, ...]:
        """Return what is wanted, as it comes up."""
        return self._requests.all()

    def served(self, request: QueuedRequest) -> None:
        """Its episode came to an end of its own; whatever is still wanted will be wanted again."""
        with contextlib.suppress(StoreError):
            self._requests.remove(request.key)
        self._standings.pop(request.key, None)

    def rest(self, words: str, seconds: float) -> None:
        """Start nothing for a while: what was tried cannot be done now. ``words`` say why, for the person."""
        self._rest = _Rest(words=words, until=self._utc() + timedelta(seconds=seconds))

    # --- decisions ---

    def preview(self, readings: Readings, preferences: Preferences, *, unfinished: bool) -> Decision:
        """Say what "Learn now" would meet: with holds it would have to wait for these."""
        ask = may_continue if unfinished else decide
        return ask(
            readings,
            preferences,
            now=self._now(),
            learn_now=True,
            request=Request(need=self._need()),
            previous=self._previous,
        )

    def consider(self, readings: Readings, preferences: Preferences, *, unfinished: bool) -> Choice:
        """Decide whether an episode starts now; ``unfinished``: one that yielded waits to go on."""
        now = self._now()
        choices = []
        for request in self._wanted(now, unfinished=unfinished):
            choice = self._judged(request, readings, preferences, now, unfinished=unfinished)
            self._note_standing(request, choice.decision)
            choices.append(choice)
            if choice.decision.start:
                break
        chosen = choices[-1] if choices[-1].decision.start else choices[0]
        self._remember(chosen.decision, running=False)
        return chosen

    def oversee(self, readings: Readings, preferences: Preferences, choice: Choice) -> Decision:
        """Decide whether the episode that ``choice`` started goes on."""
        decision = may_continue(
            readings,
            preferences,
            now=self._now(),
            learn_now=choice.learn_now,
            request=Request(need=self._need()),
            previous=self._previous,
        )
        self._remember(decision, running=True)
        return decision

    def seconds_until_next_look(
        self, decision: Decision, readings: Readings, preferences: Preferences
    ) -> float:
        """Return when to look again if nothing happens before."""
        waits = [LONGEST_WAIT]
        utc = self._utc()
        for hold in decision.holds:
            if hold.until is not None:
                waits.append((hold.until.astimezone(timezone.utc) - utc).total_seconds())
            if hold.name is HoldName.IDLE and readings.idle_seconds is not None:
                waits.append(preferences.idle_minutes * 60 - readings.idle_seconds)
            elif hold.hard and hold.name not in _STILL:
                waits.append(RESTLESS_WAIT)
        return max(SHORTEST_WAIT, min(waits))

    # --- inside ---

    def _utc(self) -> datetime:
        return self._now().astimezone(timezone.utc)

    def _wanted(self, now: datetime, *, unfinished: bool) -> tuple[QueuedRequest, ...]:
        """Return the wishes in order, with those that follow from how things stand; never none."""
        utc = now.astimezone(timezone.utc)
        queue = {request.key: request for request in self._queue_or_nothing()}
        for origin, wanted, reason in (
            (Origin.UNFINISHED, unfinished, "to go on with what was begun"),
            (Origin.BACKGROUND, not unfinished, ""),
        ):
            if not wanted:
                if queue.pop(origin.value, None) is not None:
                    with contextlib.suppress(StoreError):
                        self._requests.remove(origin.value)
            elif origin.value not in queue:
                queue[origin.value] = QueuedRequest(
                    key=origin.value, origin=origin, wish=Priority.MEDIUM, reason=reason, asked_at=utc
                )
        return in_order(tuple(queue.values()))

    def _queue_or_nothing(self) -> tuple[QueuedRequest, ...]:
        try:
            return self._requests.all()
        except StoreError as error:
            _log.warning("The queue cannot be read: %s", error)
            return ()

    def _judged(
        self,
        request: QueuedRequest,
        readings: Readings,
        preferences: Preferences,
        now: datetime,
        *,
        unfinished: bool,
    ) -> Choice:
        learn_now = request.overrides_soft_holds(now.astimezone(timezone.utc))
        ask = may_continue if unfinished else decide
        decision = ask(
            readings,
            preferences,
            now=now,
            learn_now=learn_now,
            request=Request(priority=request.wish, reason=request.reason, need=self._need()),
            previous=self._previous,
        )
        if not learn_now:
            decision = self._rested(decision, now)
        return Choice(decision=decision, request=request, learn_now=learn_now)

    def _rested(self, decision: Decision, now: datetime) -> Decision:
        rest = self._rest
        if rest is None:
            return decision
        left = rest.until - now.astimezone(timezone.utc)
        if not timedelta() < left <= timedelta(days=1):  # over, or the clock was set back
            self._rest = None
            return decision
        hold = Hold(name=HoldName.RETRY, hard=False, words=f"Waiting: {rest.words}", until=rest.until)
        holds = (*decision.holds, hold)
        return replace(
            decision,
            start=False,
            priority=decision.priority and Priority.DEFERRED,
            holds=holds,
            reasons=tuple(one.words for one in holds),
        )

    def _note_standing(self, request: QueuedRequest, decision: Decision) -> None:
        """Write down how a wish stands, when that changed; one that is not even due is none."""
        standing = decision.priority if decision.holds else request.wish
        names = tuple(hold.name for hold in decision.holds)
        known = self._standings.get(request.key)
        due = standing is not None
        now = (standing or Priority.DEFERRED, names if due else ())
        if known == now:
            return
        self._standings[request.key] = now
        try:
            if standing is None and request.origin is Origin.BACKGROUND:
                self._requests.remove(request.key)
            else:
                held = decision.holds[0].words if decision.holds else ""
                self._requests.put(replace(request, standing=now[0], held=held))
        except StoreError as error:
            _log.warning("The queue cannot be written: %s", error)
            self._standings.pop(request.key, None)

    def _remember(self, decision: Decision, *, running: bool) -> None:
        self._previous = decision
        record = DecisionRecord.of(decision, running=running)
        kind = _kind(record)
        if kind == self._last_kind:
            return
        try:
            self._decisions.add(record)
        except StoreError as error:
            _log.warning("A decision cannot be written down: %s", error)
            return
        self._last_kind = kind
        _log.info("Decision: %s", "; ".join(record.reasons) or "nothing holds")

    def _kind_on_record(self) -> object:
        try:
            latest = self._decisions.latest(limit=1)
        except StoreError:
            return None
        return _kind(latest[0]) if latest else None


def _kind(record: DecisionRecord) -> object:
    """Return what makes a decision another one; the numbers in its words do not."""
    words = tuple(_NUMBER.sub("#", words) for words in record.reasons) if record.holds else ()
    return record.start, record.running, record.priority, record.holds, words

"""The decision to learn: readings and preferences in, a decision with its reasons out.

    trigger = data AND quality AND (time OR plenty to spare) AND idle, inside the allowed window

Everything that speaks against it is a :class:`Hold`, so the trigger is met when no hold is left. A hard
lack of a resource always holds, whatever the time term says. Which holds count depends on who asked:

==================  ==========  =========  ========  ============
holds               background  HIGH       headless  "Learn now"
==================  ==========  =========  ========  ============
consent             yes         yes        no        yes
off                 yes         yes        no        no
paused              yes         yes        yes       no
material, timing    yes         no         yes       no (but some material there must be)
window              yes         no         no        no
idle, remote        yes         yes        no        no
full screen, chat   yes         yes        no        yes
power unknown       yes         yes        no        no
other hard holds    yes         yes        yes       yes
==================  ==========  =========  ========  ============

*Headless* is ``allie learn`` in a terminal: typing the command is the consent, and the person who typed it
is at the keyboard. Everything is a pure function; nothing here looks at a clock or a sensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum

from allie_desktop.domain.backoff import Backoff, recurring_holds
from allie_desktop.domain.holds import (
    Hold,
    HoldName,
    capacity_holds,
    choice_holds,
    elapsed_words,
    material_holds,
    power_holds,
    presence_holds,
    timing_holds,
    window_holds,
    within,
)
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.readings import Need, Readings, plausible

__all__ = [
    "Backoff",
    "Decision",
    "Hold",
    "HoldName",
    "Need",
    "Priority",
    "Profile",
    "Readings",
    "Request",
    "decide",
    "may_continue",
]


class Priority(str, Enum):
    """How urgent an episode is; ``rank`` sorts the most urgent first."""

    HIGH = "high"  # a safety update, or an issue that the person reported: any time of day
    MEDIUM = "medium"  # normal
    LOW = "low"  # opportunistic, outside the preferred time
    DEFERRED = "deferred"  # wanted, but held

    @property
    def rank(self) -> int:
        """0 for HIGH, rising."""
        return list(Priority).index(self)


class Profile(str, Enum):
    """Who runs learning."""

    BACKGROUND = "background"  # the tray, by itself or by "Learn now"
    HEADLESS = "headless"  # a person in a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An episode that somebody wants. ``reason`` is a sentence's part: "to unlearn what you forgot"."""

    priority: Priority = Priority.MEDIUM
    reason: str = ""
    need: Need = field(default_factory=Need)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether to start (or, from :func:`may_continue`, to go on), and why.

    ``holds`` are the reasons against it, the most telling first; empty exactly when ``start``.
    ``reasons`` are sentences' parts: why it starts, or the words of the holds. ``notes`` say what else
    the person should know: sensors that cannot see, a pause that ended. ``priority`` is None when
    nothing is wanted. ``backoffs`` is what the next decision has to remember; pass the whole decision
    to it as ``previous``.
    """

    start: bool
    priority: Priority | None
    holds: tuple[Hold, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    at: datetime
    backoffs: Mapping[HoldName, Backoff] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """One line for the tray: the most telling hold, or why it starts."""
        return self.reasons[0] if self.reasons else ""

    @property
    def kind(self) -> tuple[bool, Priority | None, tuple[HoldName, ...]]:
        """What makes a decision another one; equal for decisions that differ only in their numbers."""
        return self.start, self.priority, tuple(hold.name for hold in self.holds)


#: Whether an episode is due; no longer asked once it runs.
_DUE = frozenset({HoldName.NO_MATERIAL, HoldName.DATA, HoldName.QUALITY, HoldName.RETRY, HoldName.TIME})

_NOT_HEADLESS = frozenset(
    {
        HoldName.CONSENT,
        HoldName.OFF,
        HoldName.WINDOW,
        HoldName.IDLE,
        HoldName.REMOTE,
        HoldName.FULL_SCREEN,
        HoldName.CHAT,
        HoldName.POWER_UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """The arguments of :func:`decide` or :func:`may_continue`."""

    readings: Readings
    preferences: Preferences
    now: datetime
    learn_now: bool
    request: Request
    previous: Decision | None
    profile: Profile
    running: bool

    @property
    def utc(self) -> datetime:
        # Differences of times in one zone ignore changes of the clocks; differences in UTC do not.
        return self.now.astimezone(timezone.utc)

    @property
    def is_preferred_time(self) -> bool:
        start, end = self.preferences.preferred_start, self.preferences.preferred_end
        return within(self.now.time(), start, end)


def decide(
    readings: Readings,
    preferences: Preferences,
    *,
    now: datetime,
    learn_now: bool = False,
    request: Request | None = None,
    previous: Decision | None = None,
    profile: Profile = Profile.BACKGROUND,
) -> Decision:
    """Decide whether an episode starts now.

    ``now`` is aware and in the person's own time zone; windows are compared with its wall clock.
    ``learn_now``: the person asked and confirmed. ``previous`` is the decision before this one, which
    hysteresis and back-off need.
    """
    return _answer(
        _Question(
            readings=plausible(readings),
            preferences=preferences,
            now=now,
            learn_now=learn_now,
            request=request or Request(),
            previous=previous,
            profile=profile,
            running=False,
        )
    )


def may_continue(
    readings: Readings,
    preferences: Preferences,
    *,
    now: datetime,
    learn_now: bool = False,
    request: Request | None = None,
    previous: Decision | None = None,
    profile: Profile = Profile.BACKGROUND,
) -> Decision:
    """Decide whether a running episode goes on; the arguments are those it was started with.

    Material and timing no longer matter, and its own need is taken already: only what must stay free
    counts. A pause does not stop an episode of "Learn now": pausing that one is a command to it.
    """
    return _answer(
        _Question(
            readings=plausible(readings),
            preferences=preferences,
            now=now,
            learn_now=learn_now,
            request=replace(request or Request(), need=Need()),
            previous=previous,
            profile=profile,
            running=True,
        )
    )


def _answer(question: _Question) -> Decision:
    if question.now.utcoffset() is None:
        raise ValueError("now must be an aware time in the person's time zone.")
    previous = question.previous
    recurring, backoffs = recurring_holds(
        question.readings, question.preferences, previous.backoffs if previous else {}, question.utc
    )
    holds = tuple(hold for hold in _all_holds(question, recurring) if _counts(question, hold))
    asked = question.learn_now or question.request.priority is Priority.HIGH
    wanted = question.running or asked or not any(hold.name in _DUE for hold in holds)
    priority = Priority.MEDIUM if question.is_preferred_time else Priority.LOW
    if asked:
        priority = Priority.HIGH
    if holds:
        priority = Priority.DEFERRED
    return Decision(
        start=not holds,
        priority=priority if wanted else None,
        holds=holds,
        reasons=tuple(hold.words for hold in holds) or tuple(_reasons(question)),
        notes=(*_pause_note(question), *_blind_notes(question)),
        at=question.now,
        backoffs=backoffs,
    )


def _all_holds(question: _Question, recurring: tuple[Hold, ...]) -> Iterator[Hold]:
    """Yield every hold, the most telling first."""
    readings, preferences, need = question.readings, question.preferences, question.request.need
    previous = question.previous
    held_before = frozenset(hold.name for hold in previous.holds) if previous else frozenset()
    yield from choice_holds(preferences, question.now)
    if readings.episode_running and not question.running:
        words = "Waiting: another episode is running"
        yield Hold(name=HoldName.EPISODE_RUNNING, hard=True, words=words)
    yield from material_holds(readings, preferences)
    yield from power_holds(readings, preferences, held_before)
    yield from recurring
    yield from capacity_holds(readings, preferences, need)
    yield from timing_holds(readings, preferences, need, question.utc)
    yield from presence_holds(readings, preferences)
    yield from window_holds(preferences, question.now)


def _counts(question: _Question, hold: Hold) -> bool:
    """Whether a hold counts for who asks; the table at the top of this module."""
    urgent = question.request.priority is Priority.HIGH
    if question.profile is Profile.HEADLESS and hold.name in _NOT_HEADLESS:
        return False
    if (question.running or urgent) and hold.name in _DUE:
        return False
    if urgent and hold.name is HoldName.WINDOW:
        return False
    return hold.hard or not question.learn_now


def _reasons(question: _Question) -> Iterator[str]:
    """Yield why an episode starts or goes on."""
    readings, preferences = question.readings, question.preferences
    if question.learn_now:
        yield "you asked for it"
    elif question.request.reason:
        yield question.request.reason
    elif question.request.priority is Priority.HIGH:
        yield "it is urgent"
    if readings.new_conversations and not question.running:
        yield f"{readings.new_conversations:,} new conversations"
        if readings.mean_quality is not None:
            yield f"their average quality is {readings.mean_quality:.2f}"
    last = readings.last_episode_at
    if last is not None and last <= question.utc and not question.running:
        yield f"the last episode ended {elapsed_words((question.utc - last).total_seconds())} ago"
    if question.profile is Profile.HEADLESS or question.learn_now:
        return
    if readings.idle_seconds is not None:
        yield f"nobody was at the computer for {elapsed_words(readings.idle_seconds)}"
    if question.is_preferred_time:
        start, end = preferences.preferred_start, preferences.preferred_end
        yield f"it is the preferred time ({start:%H:%M}–{end:%H:%M})"


def _pause_note(question: _Question) -> Iterator[str]:
    """Yield that a timed pause has ended, once: in the first decision after it."""
    until, previous = question.preferences.pause_until, question.previous
    if until is None or previous is None or question.preferences.paused:
        return
    if previous.at.astimezone(timezone.utc) < until <= question.utc:
        yield "The pause is over; Allie learns again when it may."


def _blind_notes(question: _Question) -> Iterator[str]:
    """Yield what cannot be seen and is therefore not counted."""
    readings, preferences = question.readings, question.preferences
    background = question.profile is Profile.BACKGROUND
    uses_gpu = question.request.need.gpu_memory_bytes > 0
    no_word_on_battery = readings.has_battery is not False and readings.on_battery is None
    for is_blind, what in (
        (readings.cpu_celsius is None, "how hot the processor is"),
        (readings.free_memory_bytes is None, "how much memory is free"),
        (readings.free_disk_bytes is None, "how much disk space is free"),
        (uses_gpu and readings.gpu_celsius is None, "how hot the graphics card is"),
        (uses_gpu and readings.gpu_busy_percent is None, "who uses the graphics card"),
        (uses_gpu and readings.free_gpu_memory_bytes is None, "how much graphics memory is free"),
        (
            preferences.hold_on_power_saver and readings.power_saver is None,
            "whether power saving is on",
        ),
        (
            background and preferences.hold_on_full_screen and readings.full_screen is None,
            "whether a full-screen program runs",
        ),
        (
            background and preferences.hold_on_remote_session and readings.remote_session is None,
            "whether someone is connected remotely",
        ),
        (not background and no_word_on_battery, "whether the computer runs on battery"),
    ):
        if is_blind:
            yield f"Allie cannot see {what}."

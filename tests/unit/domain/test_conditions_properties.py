"""Whatever the sensors say, nobody is ever disturbed and no hard hold is ever passed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from allie_desktop.domain.conditions import (
    Need,
    Priority,
    Profile,
    Readings,
    Request,
    decide,
    may_continue,
)
from allie_desktop.domain.settings import BYTES_PER_GB, Eagerness, Preferences

QUIET = Readings(
    new_conversations=500,
    mean_quality=0.95,
    idle_seconds=90_000,
    remote_session=False,
    full_screen=False,
    chat_busy=False,
    has_battery=True,
    on_battery=False,
    battery_percent=100,
    power_saver=False,
    cpu_celsius=30,
    gpu_celsius=30,
    cpu_busy_percent=0,
    gpu_busy_percent=0,
    free_memory_bytes=500 * BYTES_PER_GB,
    free_gpu_memory_bytes=80 * BYTES_PER_GB,
    free_disk_bytes=9000 * BYTES_PER_GB,
)
WILLING = Preferences(consent_given=True, window_start=time(0), window_end=time(0))

moments = st.datetimes(
    datetime(2024, 1, 1),
    datetime(2026, 12, 31),
    timezones=st.sampled_from(
        [ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), timezone.utc]
    ),
)
maybe = st.none() | st.booleans()
numbers = st.none() | st.floats(-10, 1e6) | st.just(math.nan) | st.floats(0, 120)
byte_counts = st.none() | st.integers(0, 40 * BYTES_PER_GB)
clock_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def some(base, choices):
    """Return ``base`` with any of the fields changed: mostly willing, so that starts are seen too."""
    return st.fixed_dictionaries({}, optional=choices).map(lambda changes: replace(base, **changes))


any_readings = some(
    QUIET,
    {
        "new_conversations": st.none() | st.integers(0, 200),
        "mean_quality": st.none() | st.floats(0, 1),
        "last_episode_at": moments,
        "failures_in_row": st.integers(0, 5),
        "last_failure_at": moments,
        "episode_running": st.booleans(),
        "idle_seconds": numbers,
        "remote_session": maybe,
        "full_screen": maybe,
        "chat_busy": maybe,
        "has_battery": maybe,
        "on_battery": maybe,
        "battery_percent": numbers,
        "power_saver": maybe,
        "going_to_sleep": st.booleans(),
        "cpu_celsius": numbers,
        "gpu_celsius": numbers,
        "cpu_busy_percent": numbers,
        "gpu_busy_percent": numbers,
        "free_memory_bytes": byte_counts,
        "free_gpu_memory_bytes": byte_counts,
        "free_disk_bytes": byte_counts,
    },
)
any_preferences = some(
    WILLING,
    {
        "eagerness": st.sampled_from(Eagerness),
        "consent_given": st.booleans(),
        "idle_minutes": st.floats(0.1, 240),
        "window_start": clock_times,
        "window_end": clock_times,
        "paused": st.booleans(),
        "pause_until": st.none() | moments,
        "learn_on_battery": st.booleans(),
        "min_battery_percent": st.floats(0, 95),
        "hold_on_full_screen": st.booleans(),
        "hold_on_remote_session": st.booleans(),
        "hold_on_power_saver": st.booleans(),
        "backoff_minutes": st.floats(0, 240),
        "backoff_limit_minutes": st.floats(0, 1440),
    },
)
any_request = st.none() | st.builds(
    Request,
    priority=st.sampled_from([Priority.HIGH, Priority.MEDIUM, Priority.LOW]),
    need=st.builds(
        Need,
        memory_bytes=st.integers(0, 8 * BYTES_PER_GB),
        gpu_memory_bytes=st.integers(0, 8 * BYTES_PER_GB),
        disk_bytes=st.integers(0, 8 * BYTES_PER_GB),
    ),
)
either = st.sampled_from([decide, may_continue])


@st.composite
def histories(draw):
    """Draw a decision that came before, with all its memory, or none."""
    readings, preferences = draw(any_readings), draw(any_preferences)
    return draw(st.none() | st.builds(decide, st.just(readings), st.just(preferences), now=moments))


everything = {
    "judge": either,
    "readings": any_readings,
    "preferences": any_preferences,
    "now": moments,
    "request": any_request,
    "previous": histories(),
}


@settings(max_examples=100, deadline=None)
@given(**everything)
def test_background_learning_never_runs_beside_a_person_nor_where_it_cannot_see_one(
    judge, readings, preferences, now, request, previous
):
    decision = judge(readings, preferences, now=now, request=request, previous=previous)
    event(f"{judge.__name__} start={decision.start}")
    if not decision.start:
        return
    assert readings.idle_seconds is not None
    assert readings.idle_seconds >= preferences.idle_minutes * 60
    assert not readings.chat_busy
    assert not (readings.full_screen and preferences.hold_on_full_screen)
    assert not (readings.remote_session and preferences.hold_on_remote_session)
    assert preferences.consent_given
    assert preferences.eagerness is not Eagerness.OFF
    assert not preferences.paused
    assert readings.on_battery is False or readings.has_battery is False or preferences.learn_on_battery
    if request is None or request.priority is not Priority.HIGH:
        start, end = preferences.window_start, preferences.window_end
        wall = now.time()
        open_at = start <= wall < end if start < end else wall >= start or wall < end
        assert open_at or start == end


@settings(max_examples=100, deadline=None)
@given(**everything, learn_now=st.booleans(), profile=st.sampled_from(Profile))
def test_nothing_that_anybody_asks_for_passes_a_hard_lack(
    judge, readings, preferences, now, request, previous, learn_now, profile
):
    decision = judge(
        readings,
        preferences,
        now=now,
        request=request,
        previous=previous,
        learn_now=learn_now,
        profile=profile,
    )
    event(f"{judge.__name__} {profile.value} learn_now={learn_now} start={decision.start}")
    assert decision.start == (not decision.holds)
    assert decision.start == (decision.priority is not Priority.DEFERRED and decision.priority is not None)
    assert decision.reasons or decision.start
    if not decision.start:
        return
    need = (request.need if request else Need()) if judge is decide else Need()
    gb = BYTES_PER_GB
    assert not readings.going_to_sleep
    assert not (readings.power_saver and preferences.hold_on_power_saver)
    if readings.has_battery is not False:
        assert not readings.on_battery or preferences.learn_on_battery
        if readings.battery_percent is not None and 0 <= readings.battery_percent <= 110:
            assert readings.battery_percent >= preferences.min_battery_percent
    assert not 85 <= (readings.cpu_celsius or 0) <= 150
    assert not 80 <= (readings.gpu_celsius or 0) <= 150
    assert not 20 < (readings.gpu_busy_percent or 0) <= 110
    if readings.free_memory_bytes is not None:
        assert readings.free_memory_bytes >= need.memory_bytes + preferences.min_free_memory_gb * gb
    if readings.free_disk_bytes is not None:
        assert readings.free_disk_bytes >= need.disk_bytes + preferences.min_free_disk_gb * gb
    if need.gpu_memory_bytes and readings.free_gpu_memory_bytes is not None:
        assert readings.free_gpu_memory_bytes >= need.gpu_memory_bytes
    if judge is decide:
        assert not readings.episode_running
    if profile is Profile.BACKGROUND:
        assert preferences.consent_given
        assert not readings.chat_busy
        assert not (readings.full_screen and preferences.hold_on_full_screen)


@settings(max_examples=100, deadline=None)
@given(
    judge=either,
    preferences=any_preferences,
    now=moments,
    request=any_request,
    idle_seconds=st.none() | st.floats(max_value=0) | st.just(math.nan),
)
def test_even_the_most_willing_machine_waits_while_the_person_is_active_or_unseen(
    judge, preferences, now, request, idle_seconds
):
    readings = replace(QUIET, idle_seconds=idle_seconds)
    assert not judge(readings, preferences, now=now, request=request).start


@settings(max_examples=100, deadline=None)
@given(readings=any_readings, preferences=any_preferences, now=moments, minutes=st.integers(1, 3000))
def test_the_same_readings_are_ready_again_once_nothing_holds_and_time_has_passed(
    readings, preferences, now, minutes
):
    """No memory of earlier decisions can lock learning up for longer than the longest rest."""
    assume(preferences.consent_given and preferences.eagerness is not Eagerness.OFF)
    assume(not preferences.paused)
    previous = decide(readings, preferences, now=now)
    later = now.astimezone(timezone.utc) + timedelta(minutes=preferences.backoff_limit_minutes + minutes)
    free = replace(
        preferences, pause_until=None, window_start=time(0), window_end=time(0), min_battery_percent=0.0
    )
    assert decide(QUIET, free, now=later, previous=previous).start

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from allie_desktop.domain.conditions import (
    HoldName,
    Need,
    Priority,
    Profile,
    Readings,
    Request,
    decide,
    may_continue,
)
from allie_desktop.domain.settings import Eagerness, Preferences

BERLIN = ZoneInfo("Europe/Berlin")
GB = 1_000_000_000
NIGHT = datetime(2025, 3, 4, 3, 0, tzinfo=BERLIN)  # inside the preferred time
EVENING = datetime(2025, 3, 4, 22, 30, tzinfo=BERLIN)  # inside the window, not preferred
NOON = datetime(2025, 3, 4, 12, 0, tzinfo=BERLIN)

PREFERENCES = Preferences(consent_given=True)

#: Everything speaks for learning.
READY = Readings(
    new_conversations=53,
    mean_quality=0.86,
    last_episode_at=NIGHT - timedelta(hours=100),
    idle_seconds=900,
    remote_session=False,
    full_screen=False,
    chat_busy=False,
    has_battery=True,
    on_battery=False,
    battery_percent=90,
    power_saver=False,
    cpu_celsius=50,
    gpu_celsius=45,
    cpu_busy_percent=5,
    gpu_busy_percent=0,
    free_memory_bytes=20 * GB,
    free_gpu_memory_bytes=8 * GB,
    free_disk_bytes=200 * GB,
)


def names(decision):
    return [hold.name for hold in decision.holds]


def words(decision):
    return [hold.words for hold in decision.holds]


def test_when_everything_speaks_for_it_learning_starts_and_says_why():
    decision = decide(READY, PREFERENCES, now=NIGHT)
    assert decision.start
    assert decision.priority is Priority.MEDIUM
    assert decision.holds == ()
    assert decision.notes == ()
    assert decision.reasons == (
        "53 new conversations",
        "their average quality is 0.86",
        "the last episode ended 4 days ago",
        "nobody was at the computer for 15 min",
        "it is the preferred time (02:00–06:00)",
    )
    assert decision.headline == "53 new conversations"


@pytest.mark.parametrize(
    ("data", "quality", "elapsed", "plenty", "idle", "window"),
    list(itertools.product([True, False], repeat=6)),
)
def test_the_trigger_is_data_and_quality_and_time_or_plenty_and_idle_inside_the_window(
    data, quality, elapsed, plenty, idle, window
):
    now = NIGHT if window else NOON
    readings = replace(
        READY,
        new_conversations=50 if data else 49,
        mean_quality=0.81 if quality else 0.8,
        last_episode_at=now - timedelta(hours=24 if elapsed else 23.99),
        cpu_busy_percent=50 if plenty else 50.1,
        idle_seconds=300 if idle else 299,
    )
    decision = decide(readings, PREFERENCES, now=now)
    assert decision.start == (data and quality and (elapsed or plenty) and idle and window)
    expected = []
    if not data:
        expected.append(HoldName.DATA)
    if not quality:
        expected.append(HoldName.QUALITY)
    if not (elapsed or plenty):
        expected.append(HoldName.TIME)
    if not idle:
        expected.append(HoldName.IDLE)
    if not window:
        expected.append(HoldName.WINDOW)
    assert names(decision) == expected
    wanted = data and quality and (elapsed or plenty)
    if decision.start:
        assert decision.priority is Priority.MEDIUM
    else:
        assert decision.priority is (Priority.DEFERRED if wanted else None)


HARD = [
    ({"on_battery": True, "battery_percent": 62.4}, HoldName.ON_BATTERY, "Paused: on battery (62 %)"),
    ({"on_battery": True, "battery_percent": None}, HoldName.ON_BATTERY, "Paused: on battery"),
    ({"battery_percent": 29.9}, HoldName.BATTERY_LOW, "Paused: battery at 29 %, 30 % needed"),
    ({"power_saver": True}, HoldName.POWER_SAVER, "Paused: power saving is on"),
    ({"going_to_sleep": True}, HoldName.GOING_TO_SLEEP, "Paused: the computer is going to sleep"),
    (
        {"cpu_celsius": 85},
        HoldName.CPU_HOT,
        "Paused: processor at 85 °C, goes on below 70 °C",
    ),
    (
        {"gpu_celsius": 91.2},
        HoldName.GPU_HOT,
        "Paused: graphics card at 91 °C, goes on below 65 °C",
    ),
    (
        {"gpu_busy_percent": 45},
        HoldName.GPU_BUSY,
        "Paused: another program uses the graphics card (45 %)",
    ),
    (
        {"free_memory_bytes": 3_900_000_000},
        HoldName.MEMORY,
        "Paused: 3.9 GB of memory free, 4.0 GB needed",
    ),
    (
        {"free_disk_bytes": 6 * GB},
        HoldName.DISK,
        "Paused: 6.0 GB of disk space free, 7.0 GB needed",
    ),
    (
        {"free_gpu_memory_bytes": 1_200_000_000},
        HoldName.GPU_MEMORY,
        "Paused: 1.2 GB of graphics memory free, 3.4 GB needed",
    ),
    ({"full_screen": True}, HoldName.FULL_SCREEN, "Paused: a full-screen program is running"),
    ({"chat_busy": True}, HoldName.CHAT, "Paused: a chat is being answered"),
    ({"episode_running": True}, HoldName.EPISODE_RUNNING, "Waiting: another episode is running"),
    ({"new_conversations": 0}, HoldName.NO_MATERIAL, "Waiting: there is nothing new to learn from"),
    ({"new_conversations": None}, HoldName.NO_MATERIAL, "Paused: the conversations cannot be read"),
]
NEED = Need(memory_bytes=3 * GB, disk_bytes=2 * GB, gpu_memory_bytes=3_400_000_000)


@pytest.mark.parametrize(("change", "name", "sentence"), HARD)
def test_a_hard_hold_says_so_and_not_even_learn_now_overrides_it(change, name, sentence):
    readings = replace(READY, **change)
    for learn_now in (False, True):
        decision = decide(readings, PREFERENCES, now=NIGHT, learn_now=learn_now, request=Request(need=NEED))
        assert not decision.start
        assert sentence in words(decision)
        assert [hold.hard for hold in decision.holds if hold.name is name] == [True]


SOFT = [
    ({"new_conversations": 31}, {}, HoldName.DATA, "Waiting: 31 of 50 conversations"),
    (
        {"new_conversations": 1200},
        {"min_new_conversations": 5000},
        HoldName.DATA,
        "Waiting: 1,200 of 5,000 conversations",
    ),
    (
        {"mean_quality": 0.799},
        {},
        HoldName.QUALITY,
        "Waiting: average quality 0.79, more than 0.80 needed",
    ),
    (
        {"mean_quality": None},
        {},
        HoldName.QUALITY,
        "Waiting: the quality of the new conversations is not known",
    ),
    (
        {"last_episode_at": NIGHT - timedelta(hours=19.5), "cpu_busy_percent": 70},
        {},
        HoldName.TIME,
        "Waiting: 5 h until the next episode, sooner with more to spare (processor 70 % busy)",
    ),
    (
        {"last_episode_at": NIGHT - timedelta(hours=23), "free_memory_bytes": None},
        {},
        HoldName.TIME,
        "Waiting: 60 min until the next episode, sooner with more to spare (free memory unknown)",
    ),
    (
        {"failures_in_row": 1, "last_failure_at": NIGHT - timedelta(hours=1)},
        {},
        HoldName.RETRY,
        "Waiting: the last episode brought nothing, next try in 5 h",
    ),
    (
        {"failures_in_row": 3, "last_failure_at": NIGHT - timedelta(hours=1)},
        {},
        HoldName.RETRY,
        "Waiting: the last episode brought nothing, next try in 23 h",
    ),
    (
        {"failures_in_row": 10_000, "last_failure_at": NIGHT},
        {},
        HoldName.RETRY,
        "Waiting: the last episode brought nothing, next try in 7 days",
    ),
    (
        {"idle_seconds": 20},
        {},
        HoldName.IDLE,
        "Waiting: until nobody is at the computer for 5 min",
    ),
    (
        {"idle_seconds": None},
        {},
        HoldName.IDLE,
        "Waiting: cannot see whether someone is at the computer",
    ),
    ({"remote_session": True}, {}, HoldName.REMOTE, "Waiting: someone is connected remotely"),
    (
        {"on_battery": None},
        {},
        HoldName.POWER_UNKNOWN,
        "Waiting: cannot see whether the computer runs on battery",
    ),
    ({}, {"eagerness": Eagerness.OFF}, HoldName.OFF, "Off: learning only when you ask for it"),
    ({}, {"paused": True}, HoldName.PAUSED, "Paused: until you resume"),
    (
        {},
        {"pause_until": datetime(2025, 3, 4, 8, 30, tzinfo=timezone.utc)},
        HoldName.PAUSED,
        "Paused: until 09:30",
    ),
    (
        {},
        {"pause_until": datetime(2025, 3, 5, 8, 0, tzinfo=timezone.utc)},
        HoldName.PAUSED,
        "Paused: until tomorrow 09:00",
    ),
    (
        {},
        {"pause_until": datetime(2025, 3, 15, 8, 0, tzinfo=timezone.utc)},
        HoldName.PAUSED,
        "Paused: until 2025-03-15 09:00",
    ),
    (
        {},
        {"window_start": time(23), "window_end": time(2, 30)},
        HoldName.WINDOW,
        "Waiting: learning time is 23:00–02:30",
    ),
]


@pytest.mark.parametrize(("change", "setting", "name", "sentence"), SOFT)
def test_a_soft_hold_says_so_and_learn_now_overrides_it(change, setting, name, sentence):
    readings, preferences = replace(READY, **change), replace(PREFERENCES, **setting)
    decision = decide(readings, preferences, now=NIGHT)
    assert (decision.start, names(decision), words(decision)) == (False, [name], [sentence])
    asked = decide(readings, preferences, now=NIGHT, learn_now=True)
    assert (asked.start, asked.priority, asked.reasons[0]) == (True, Priority.HIGH, "you asked for it")


def test_learning_without_consent_never_starts_from_the_tray_but_a_typed_command_is_consent():
    preferences = Preferences()
    for learn_now in (False, True):
        decision = decide(READY, preferences, now=NIGHT, learn_now=learn_now)
        assert words(decision) == ["Waiting: for your consent to learn"]
    assert decide(READY, preferences, now=NIGHT, profile=Profile.HEADLESS).start


def test_a_hard_lack_of_a_resource_holds_whatever_the_time_term_says():
    readings = replace(READY, last_episode_at=None, free_disk_bytes=1 * GB)
    assert names(decide(readings, PREFERENCES, now=NIGHT)) == [HoldName.DISK]


def test_the_first_episode_ever_waits_for_no_time():
    readings = replace(READY, last_episode_at=None, cpu_busy_percent=99)
    assert decide(readings, PREFERENCES, now=NIGHT).start


@pytest.mark.parametrize(
    ("change", "is_plenty"),
    [
        ({"free_memory_bytes": 8 * GB, "free_disk_bytes": 14 * GB}, True),
        ({"free_memory_bytes": 8 * GB - 1}, False),
        ({"free_disk_bytes": 14 * GB - 1}, False),
        ({"cpu_busy_percent": None}, False),
        ({"free_disk_bytes": None}, False),
        ({"free_gpu_memory_bytes": None}, False),
        ({"gpu_busy_percent": None}, False),
        ({"free_gpu_memory_bytes": NEED.gpu_memory_bytes}, True),
    ],
)
def test_before_its_time_an_episode_needs_plenty_to_spare_and_unknown_is_not_plenty(change, is_plenty):
    readings = replace(READY, last_episode_at=NIGHT - timedelta(hours=1), **change)
    assert decide(readings, PREFERENCES, now=NIGHT, request=Request(need=NEED)).start == is_plenty


def test_inside_the_window_the_preferred_time_is_normal_and_the_rest_opportunistic():
    assert decide(READY, PREFERENCES, now=NIGHT).priority is Priority.MEDIUM
    assert decide(READY, PREFERENCES, now=EVENING).priority is Priority.LOW
    assert decide(READY, PREFERENCES, now=NOON).priority is Priority.DEFERRED
    assert sorted(Priority, key=lambda priority: priority.rank) == [
        Priority.HIGH,
        Priority.MEDIUM,
        Priority.LOW,
        Priority.DEFERRED,
    ]


def test_a_high_request_starts_at_any_time_of_day_without_material_but_never_beside_a_person():
    request = Request(priority=Priority.HIGH, reason="to unlearn what you asked to forget")
    idle = replace(READY, new_conversations=0, mean_quality=0.0, last_episode_at=NOON)
    decision = decide(idle, PREFERENCES, now=NOON, request=request)
    assert (decision.start, decision.priority) == (True, Priority.HIGH)
    assert decision.headline == "to unlearn what you asked to forget"
    busy = decide(replace(idle, idle_seconds=0), PREFERENCES, now=NOON, request=request)
    assert (busy.start, busy.priority) == (False, Priority.DEFERRED)
    hot = decide(replace(idle, cpu_celsius=95), PREFERENCES, now=NOON, request=request)
    assert names(hot) == [HoldName.CPU_HOT]


@pytest.mark.parametrize(
    ("start", "end", "moment", "is_open"),
    [
        (time(22), time(8), time(21, 59), False),
        (time(22), time(8), time(22, 0), True),
        (time(22), time(8), time(0, 0), True),
        (time(22), time(8), time(7, 59), True),
        (time(22), time(8), time(8, 0), False),
        (time(9), time(17), time(8, 59), False),
        (time(9), time(17), time(9, 0), True),
        (time(9), time(17), time(17, 0), False),
        (time(0), time(0), time(13, 0), True),
        (time(13), time(13), time(12, 59), True),
        (time(0), time(7), time(0, 0), True),
    ],
)
def test_windows_hold_over_midnight_and_the_same_time_twice_is_all_day(start, end, moment, is_open):
    preferences = replace(PREFERENCES, window_start=start, window_end=end)
    now = datetime.combine(NIGHT.date(), moment, tzinfo=BERLIN)
    readings = replace(READY, last_episode_at=None)
    assert decide(readings, preferences, now=now).start == is_open


@pytest.mark.parametrize("day", [datetime(2025, 3, 30, tzinfo=BERLIN), datetime(2025, 10, 26, tzinfo=BERLIN)])
def test_on_nights_when_the_clocks_change_the_window_follows_the_wall_clock(day):
    readings = replace(READY, last_episode_at=None)
    preferences = replace(PREFERENCES, window_start=time(22), window_end=time(4))
    opened = set()
    moment = (day - timedelta(hours=4)).astimezone(timezone.utc)
    for _ in range(24 * 4):
        local = moment.astimezone(BERLIN)
        start = decide(readings, preferences, now=local).start
        assert start == (local.hour >= 22 or local.hour < 4)
        opened.add((start, local.hour))
        moment += timedelta(minutes=15)
    assert (True, 3) in opened
    assert (False, 4) in opened


def test_time_since_the_last_episode_is_real_time_also_when_the_clocks_change():
    # From 04:00 before to 04:00 after the change to summer time are 23 hours.
    now = datetime(2025, 3, 30, 4, 0, tzinfo=BERLIN)
    readings = replace(READY, last_episode_at=datetime(2025, 3, 29, 4, 0, tzinfo=BERLIN), cpu_busy_percent=99)
    assert names(decide(readings, PREFERENCES, now=now)) == [HoldName.TIME]
    assert decide(readings, PREFERENCES, now=now + timedelta(hours=1)).start


def test_a_closed_window_says_when_it_opens():
    (hold,) = decide(READY, PREFERENCES, now=NOON).holds
    assert hold.until == datetime(2025, 3, 4, 22, 0, tzinfo=BERLIN)
    early = replace(PREFERENCES, window_start=time(1), window_end=time(5))
    (hold,) = decide(READY, early, now=NOON).holds
    assert hold.until == datetime(2025, 3, 5, 1, 0, tzinfo=BERLIN)


def test_a_timed_pause_ends_by_itself_and_says_so_once():
    until = NIGHT + timedelta(minutes=30)
    preferences = replace(PREFERENCES, pause_until=until)
    first = decide(READY, preferences, now=NIGHT)
    assert [hold.until for hold in first.holds] == [until]
    second = decide(READY, preferences, now=until, previous=first)
    assert second.start
    assert second.notes == ("The pause is over; Allie learns again when it may.",)
    assert decide(READY, preferences, now=until + timedelta(seconds=5), previous=second).notes == ()


def test_a_clock_set_back_neither_holds_nor_retries_for_ever():
    future = NIGHT + timedelta(days=400)
    readings = replace(
        READY, last_episode_at=future, failures_in_row=2, last_failure_at=future, cpu_busy_percent=99
    )
    assert decide(readings, PREFERENCES, now=NIGHT).start


def test_a_time_without_a_zone_is_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="aware"):
        decide(READY, PREFERENCES, now=datetime(2025, 3, 4, 3, 0))


# ---- what sensors cannot see --------------------------------------------------------------------------


def test_blind_sensors_are_named_and_not_guessed():
    blind = Readings(new_conversations=53, mean_quality=0.9, idle_seconds=900, has_battery=False)
    decision = decide(blind, PREFERENCES, now=NIGHT, request=Request(need=NEED))
    assert decision.start
    assert decision.notes == (
        "Allie cannot see how hot the processor is.",
        "Allie cannot see how much memory is free.",
        "Allie cannot see how much disk space is free.",
        "Allie cannot see how hot the graphics card is.",
        "Allie cannot see who uses the graphics card.",
        "Allie cannot see how much graphics memory is free.",
        "Allie cannot see whether power saving is on.",
        "Allie cannot see whether a full-screen program runs.",
        "Allie cannot see whether someone is connected remotely.",
    )


def test_nothing_known_at_all_never_starts():
    for learn_now, profile in itertools.product((False, True), Profile):
        assert not decide(Readings(), PREFERENCES, now=NIGHT, learn_now=learn_now, profile=profile).start


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"idle_seconds": -5}, HoldName.IDLE),
        ({"idle_seconds": float("nan")}, HoldName.IDLE),
        ({"new_conversations": -1}, HoldName.NO_MATERIAL),
        ({"mean_quality": float("nan")}, HoldName.QUALITY),
        ({"mean_quality": 7.0}, HoldName.QUALITY),
    ],
)
def test_values_that_cannot_be_true_are_unknown(change, name):
    assert names(decide(replace(READY, **change), PREFERENCES, now=NIGHT)) == [name]


@pytest.mark.parametrize("celsius", [-273.15, 6553.5, float("nan"), float("inf")])
def test_a_broken_thermometer_does_not_hold_but_is_named(celsius):
    decision = decide(replace(READY, cpu_celsius=celsius), PREFERENCES, now=NIGHT)
    assert decision.start
    assert decision.notes == ("Allie cannot see how hot the processor is.",)


# ---- battery ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "on_battery", "percent", "expected"),
    [
        (False, False, 80, []),
        (False, True, 80, [HoldName.ON_BATTERY]),
        (False, True, 10, [HoldName.ON_BATTERY, HoldName.BATTERY_LOW]),
        (False, False, 10, [HoldName.BATTERY_LOW]),
        (False, None, 80, [HoldName.POWER_UNKNOWN]),
        (True, True, 80, []),
        (True, True, 30, []),
        (True, True, 29, [HoldName.BATTERY_LOW]),
        (True, True, None, [HoldName.BATTERY_LOW]),
        (True, None, 80, []),
        (True, None, None, [HoldName.POWER_UNKNOWN]),
        (True, False, None, []),
    ],
)
def test_the_battery_holds_below_its_level_and_by_default_whenever_it_drains(
    allowed, on_battery, percent, expected
):
    preferences = replace(PREFERENCES, learn_on_battery=allowed)
    readings = replace(READY, on_battery=on_battery, battery_percent=percent)
    assert names(decide(readings, preferences, now=NIGHT)) == expected


def test_a_desktop_without_a_battery_is_never_on_battery():
    readings = replace(READY, has_battery=False, on_battery=None, battery_percent=None)
    assert decide(readings, PREFERENCES, now=NIGHT).start


def test_a_low_battery_has_to_gain_five_points_before_it_is_enough():
    low = decide(replace(READY, battery_percent=29), PREFERENCES, now=NIGHT)
    still = decide(replace(READY, battery_percent=34.9), PREFERENCES, now=NIGHT, previous=low)
    assert words(still) == ["Paused: battery at 34 %, 35 % needed"]
    assert decide(replace(READY, battery_percent=35), PREFERENCES, now=NIGHT, previous=still).start
    assert decide(replace(READY, battery_percent=34.9), PREFERENCES, now=NIGHT).start


def test_a_battery_level_of_zero_switches_that_hold_off():
    preferences = replace(PREFERENCES, min_battery_percent=0.0)
    assert decide(replace(READY, battery_percent=0), preferences, now=NIGHT).start


# ---- hysteresis and rests -----------------------------------------------------------------------------


def timeline(temperatures):
    """Return a letter a minute: H held by heat, r resting, . nothing holds."""
    decision, now, letters = None, NIGHT, ""
    for celsius in temperatures:
        decision = decide(replace(READY, cpu_celsius=celsius), PREFERENCES, now=now, previous=decision)
        letters += "." if decision.start else "r" if "cool down" in decision.headline else "H"
        now += timedelta(minutes=1)
    return letters


def test_heat_is_entered_at_one_threshold_and_left_below_another_with_a_rest():
    assert timeline([84, 85, 80, 71, 70, 69, 69, 69, 69, 69, 69]) == ".HHHHrrrr.."


def test_the_rest_doubles_when_the_heat_soon_returns_and_is_forgotten_after_a_long_calm():
    twice = [90, 60, 60, 60, 60, 60] + [90] + [60] * 11
    assert timeline(twice) == "Hrrrr." + "H" + "r" * 9 + ".."
    calm = [90] + [60] * 80 + [90] + [60] * 6
    assert timeline(calm) == "H" + "rrrr" + "." * 76 + "H" + "rrrr" + ".."


def test_the_rest_never_grows_beyond_its_limit():
    preferences = replace(PREFERENCES, backoff_minutes=5.0, backoff_limit_minutes=12.0)
    decision, now = None, NIGHT
    for _ in range(6):
        decision = decide(replace(READY, cpu_celsius=90), preferences, now=now, previous=decision)
        waited = timedelta(0)
        while True:
            now += timedelta(minutes=1)
            waited += timedelta(minutes=1)
            decision = decide(READY, preferences, now=now, previous=decision)
            if decision.start:
                break
        assert waited <= timedelta(minutes=12)


def test_rests_say_how_long_they_take():
    hot = decide(replace(READY, cpu_celsius=90), PREFERENCES, now=NIGHT)
    cool = decide(READY, PREFERENCES, now=NIGHT + timedelta(minutes=2), previous=hot)
    assert words(cool) == ["Paused: letting the processor cool down, 3 min left"]
    assert [hold.hard for hold in cool.holds] == [True]
    busy = decide(replace(READY, gpu_busy_percent=60), PREFERENCES, now=NIGHT)
    free = decide(READY, PREFERENCES, now=NIGHT + timedelta(minutes=1), previous=busy)
    assert words(free) == ["Paused: the graphics card was in use, 4 min left"]
    hot = decide(replace(READY, gpu_celsius=90), PREFERENCES, now=NIGHT)
    cool = decide(READY, PREFERENCES, now=NIGHT + timedelta(minutes=1), previous=hot)
    assert words(cool) == ["Paused: letting the graphics card cool down, 4 min left"]


def test_warming_up_between_the_thresholds_during_a_rest_does_not_prolong_it():
    assert timeline([90, 60, 75, 75, 75, 75, 75]) == "Hrrrr.."


def test_a_clock_set_back_does_not_prolong_a_rest():
    hot = decide(replace(READY, cpu_celsius=90), PREFERENCES, now=NIGHT)
    back = NIGHT - timedelta(days=30)
    resting = decide(replace(READY, last_episode_at=None), PREFERENCES, now=back, previous=hot)
    assert words(resting) == ["Paused: letting the processor cool down, 5 min left"]
    readings = replace(READY, last_episode_at=None)
    assert decide(readings, PREFERENCES, now=back + timedelta(minutes=5), previous=resting).start


def test_an_unknown_temperature_after_heat_still_rests():
    assert timeline([90, None, None, None, None, None, None]) == "Hrrrr.."


# ---- a running episode --------------------------------------------------------------------------------


def test_a_running_episode_needs_no_new_material_nor_its_own_memory_twice():
    running = replace(
        READY,
        new_conversations=None,
        mean_quality=None,
        last_episode_at=NIGHT,
        episode_running=True,
        free_memory_bytes=int(1.5 * GB),
        cpu_busy_percent=99,
    )
    request = Request(need=NEED)
    assert may_continue(running, PREFERENCES, now=NIGHT, request=request).start
    assert not decide(running, PREFERENCES, now=NIGHT, request=request).start


@pytest.mark.parametrize(
    ("change", "setting", "name"),
    [
        ({"idle_seconds": 0.2}, {}, HoldName.IDLE),
        ({"idle_seconds": None}, {}, HoldName.IDLE),
        ({"chat_busy": True}, {}, HoldName.CHAT),
        ({"full_screen": True}, {}, HoldName.FULL_SCREEN),
        ({"remote_session": True}, {}, HoldName.REMOTE),
        ({"on_battery": True}, {}, HoldName.ON_BATTERY),
        ({"cpu_celsius": 99}, {}, HoldName.CPU_HOT),
        ({"gpu_busy_percent": 50}, {}, HoldName.GPU_BUSY),
        ({"free_memory_bytes": GB // 2}, {}, HoldName.MEMORY),
        ({"free_disk_bytes": GB}, {}, HoldName.DISK),
        ({"going_to_sleep": True}, {}, HoldName.GOING_TO_SLEEP),
        ({"power_saver": True}, {}, HoldName.POWER_SAVER),
        ({}, {"paused": True}, HoldName.PAUSED),
        ({}, {"eagerness": Eagerness.OFF}, HoldName.OFF),
        ({}, {"consent_given": False}, HoldName.CONSENT),
        ({}, {"window_start": time(4), "window_end": time(5)}, HoldName.WINDOW),
    ],
)
def test_a_running_episode_gives_way_as_soon_as(change, setting, name):
    readings = replace(READY, episode_running=True, **change)
    decision = may_continue(readings, replace(PREFERENCES, **setting), now=NIGHT)
    assert (decision.start, names(decision), decision.priority) == (False, [name], Priority.DEFERRED)


# ---- headless -----------------------------------------------------------------------------------------

HEADLESS_READY = Readings(
    new_conversations=53,
    mean_quality=0.86,
    free_memory_bytes=20 * GB,
    free_disk_bytes=200 * GB,
    cpu_busy_percent=5,
)


def test_from_a_terminal_presence_and_window_are_not_asked_but_what_is_unseen_is_said():
    readings = replace(HEADLESS_READY, idle_seconds=0, full_screen=True, remote_session=True, chat_busy=True)
    decision = decide(readings, Preferences(), now=NOON, profile=Profile.HEADLESS)
    assert decision.start
    assert decision.reasons == ("53 new conversations", "their average quality is 0.86")
    assert decision.notes == (
        "Allie cannot see how hot the processor is.",
        "Allie cannot see whether power saving is on.",
        "Allie cannot see whether the computer runs on battery.",
    )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"new_conversations": 12}, HoldName.DATA),
        ({"mean_quality": 0.5}, HoldName.QUALITY),
        ({"last_episode_at": NOON - timedelta(hours=2), "cpu_busy_percent": 80}, HoldName.TIME),
    ],
)
def test_from_a_terminal_the_soft_terms_hold_until_now_is_asked_for(change, name):
    readings = replace(HEADLESS_READY, **change)
    held = decide(readings, Preferences(), now=NOON, profile=Profile.HEADLESS)
    assert names(held) == [name]
    assert decide(readings, Preferences(), now=NOON, profile=Profile.HEADLESS, learn_now=True).start


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"has_battery": True, "on_battery": True, "battery_percent": 50}, HoldName.ON_BATTERY),
        ({"free_memory_bytes": 100}, HoldName.MEMORY),
        ({"free_disk_bytes": 100}, HoldName.DISK),
        ({"cpu_celsius": 95}, HoldName.CPU_HOT),
        ({"episode_running": True}, HoldName.EPISODE_RUNNING),
    ],
)
def test_from_a_terminal_hard_holds_hold_even_with_now(change, name):
    readings = replace(HEADLESS_READY, **change)
    for learn_now in (False, True):
        held = decide(readings, Preferences(), now=NOON, profile=Profile.HEADLESS, learn_now=learn_now)
        assert names(held) == [name]


# ---- telling decisions apart --------------------------------------------------------------------------


def test_decisions_that_differ_only_in_numbers_are_of_one_kind():
    few = decide(replace(READY, new_conversations=30), PREFERENCES, now=NIGHT)
    more = decide(replace(READY, new_conversations=31), PREFERENCES, now=NIGHT)
    assert few != more
    assert few.kind == more.kind
    assert decide(READY, PREFERENCES, now=NIGHT).kind != few.kind


def test_the_lack_of_material_is_told_before_everything_that_only_matters_later():
    readings = replace(READY, new_conversations=31, on_battery=True, idle_seconds=0)
    assert decide(readings, PREFERENCES, now=NOON).headline == "Waiting: 31 of 50 conversations"

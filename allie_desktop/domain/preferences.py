"""What a person can choose: every option of the program, declared once.

The settings page, the documentation and all checks derive from these fields; what may be done with them
is in :mod:`allie_desktop.domain.settings`, which is also the place to import them from.
"""

# ruff: noqa: RUF009 - option() returns a dataclass field, not a shared default

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from enum import Enum
from types import MappingProxyType

from allie_desktop.domain.options import Group, Kind, option

#: "GB" of a setting is the decimal one, which disks and file managers use.
BYTES_PER_GB = 1_000_000_000


class Eagerness(str, Enum):
    """How readily Allie learns by itself."""

    OFF = "off"  # never by itself; "Learn now" still works
    GENTLE = "gentle"
    BALANCED = "balanced"
    EAGER = "eager"
    CUSTOM = "custom"


class Rollout(str, Enum):
    """How a new version takes over."""

    GRADUAL = "gradual"
    AT_ONCE = "at once"


class Device(str, Enum):
    """What computes while learning."""

    BEST = "best"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Theme(str, Enum):
    """Colours of the windows."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Every setting of the program. The defaults are those of the specification."""

    # When to learn
    eagerness: Eagerness = option(
        Eagerness.BALANCED,
        group=Group.WHEN,
        label="How often",
        explanation="Sets the numbers below together. Off: Allie learns only when you ask for it.",
    )
    min_new_conversations: int = option(
        50,
        group=Group.WHEN,
        label="New conversations needed",
        explanation="Learning waits until this many new conversations are good enough to learn from.",
        unit="conversations",
        minimum=1,
        maximum=100_000,
    )
    min_quality: float = option(
        0.8,
        group=Group.WHEN,
        label="Average quality needed",
        explanation="The new conversations must score more than this on average, from 0 to 1.",
        minimum=0,
        maximum=1,
    )
    hours_between_episodes: float = option(
        24.0,
        group=Group.WHEN,
        label="Time between episodes",
        explanation="Before this time is over, Allie learns again only if the computer has plenty to spare.",
        unit="hours",
        minimum=0,
        maximum=720,
    )
    idle_minutes: float = option(
        5.0,
        group=Group.WHEN,
        label="Away for",
        explanation="Learning starts when keyboard and mouse have not been touched for this long.",
        unit="minutes",
        minimum=0.1,
        maximum=240,
    )
    window_start: time = option(
        time(22, 0),
        group=Group.WHEN,
        label="Allowed from",
        explanation="Allie learns only in this part of the day. The same time twice means all day.",
    )
    window_end: time = option(
        time(8, 0),
        group=Group.WHEN,
        label="Allowed until",
        explanation="An episode that still runs at this time waits, and goes on the next night.",
    )
    preferred_start: time = option(
        time(2, 0),
        group=Group.WHEN,
        label="Preferred from",
        explanation="Inside the preferred time an episode is normal, outside it comes last.",
    )
    preferred_end: time = option(
        time(6, 0),
        group=Group.WHEN,
        label="Preferred until",
        explanation="End of the preferred time.",
    )
    hold_on_full_screen: bool = option(
        True,
        group=Group.WHEN,
        label="Wait while a full-screen program runs",
        explanation="Games, films and presentations have the computer to themselves.",
    )
    hold_on_remote_session: bool = option(
        True,
        group=Group.WHEN,
        label="Wait while someone is connected remotely",
        explanation="Remote input does not count as keyboard and mouse here, so Allie cannot see it.",
    )
    retry_hours: float = option(
        6.0,
        group=Group.WHEN,
        label="Try again after",
        explanation="How long to wait after an episode brought nothing. Doubles each time, up to a week.",
        unit="hours",
        minimum=0,
        maximum=168,
    )
    paused: bool = option(
        False,
        group=Group.WHEN,
        label="Paused until resumed",
        explanation="Allie does not learn by itself until you resume it.",
        hidden=True,
    )
    pause_until: datetime | None = option(
        None,
        kind=Kind.MOMENT,
        group=Group.WHEN,
        label="Paused until",
        explanation="Allie does not learn by itself before this moment, then goes on.",
        hidden=True,
    )

    # Power and heat
    learn_on_battery: bool = option(
        False,
        group=Group.POWER,
        label="Learn on battery",
        explanation="Off: Allie learns only while the computer is plugged in.",
    )
    min_battery_percent: float = option(
        30.0,
        group=Group.POWER,
        label="Battery level needed",
        explanation="With less charge than this learning waits, plugged in or not. 0: never for that.",
        unit="%",
        minimum=0,
        maximum=95,
    )
    hold_on_power_saver: bool = option(
        True,
        group=Group.POWER,
        label="Wait while power saving is on",
        explanation="Respects the power mode of the system.",
    )
    cpu_hot_celsius: float = option(
        85.0,
        group=Group.POWER,
        label="Processor too hot at",
        explanation="Learning stops at this temperature.",
        unit="°C",
        minimum=45,
        maximum=105,
    )
    cpu_cool_celsius: float = option(
        70.0,
        group=Group.POWER,
        label="Processor cool again below",
        explanation="Learning goes on below this temperature. It must be lower than the one above.",
        unit="°C",
        minimum=30,
        maximum=100,
    )
    gpu_hot_celsius: float = option(
        80.0,
        group=Group.POWER,
        label="Graphics card too hot at",
        explanation="Learning stops at this temperature.",
        unit="°C",
        minimum=45,
        maximum=105,
    )
    gpu_cool_celsius: float = option(
        65.0,
        group=Group.POWER,
        label="Graphics card cool again below",
        explanation="Learning goes on below this temperature. It must be lower than the one above.",
        unit="°C",
        minimum=30,
        maximum=100,
    )
    backoff_minutes: float = option(
        5.0,
        group=Group.POWER,
        label="Rest after heat or a busy graphics card",
        explanation="How long to wait once the reason is gone. Doubles when it soon comes back.",
        unit="minutes",
        minimum=0,
        maximum=240,
    )
    backoff_limit_minutes: float = option(
        60.0,
        group=Group.POWER,
        label="Longest rest",
        explanation="The rest is never longer than this, however often the reason comes back.",
        unit="minutes",
        minimum=0,
        maximum=1440,
    )

    # Memory, disk and processor
    min_free_memory_gb: float = option(
        1.0,
        group=Group.MACHINE,
        label="Memory left free",
        explanation="So much memory stays free beside what an episode needs.",
        unit="GB",
        minimum=0,
        maximum=256,
    )
    min_free_disk_gb: float = option(
        5.0,
        group=Group.MACHINE,
        label="Disk space left free",
        explanation="So much disk space stays free beside what an episode needs.",
        unit="GB",
        minimum=0.1,
        maximum=1000,
    )
    gpu_busy_percent: float = option(
        20.0,
        group=Group.MACHINE,
        label="Graphics card in use at",
        explanation="Learning waits while other programs use more of the graphics card than this.",
        unit="%",
        minimum=1,
        maximum=100,
    )
    cpu_busy_percent: float = option(
        50.0,
        group=Group.MACHINE,
        label="Processor in use at",
        explanation="While other programs use more than this, the computer does not count as having "
        "plenty to spare.",
        unit="%",
        minimum=1,
        maximum=100,
    )
    training_threads: int = option(
        0,
        group=Group.MACHINE,
        label="Processor cores for learning",
        explanation="0: all but one.",
        unit="cores",
        minimum=0,
        maximum=256,
    )
    release_memory_seconds: float = option(
        20.0,
        group=Group.MACHINE,
        label="Give memory back after",
        explanation="When you come back, learning stops at once; after this time it also frees its memory.",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )
    device: Device = option(
        Device.BEST,
        group=Group.MACHINE,
        label="Learn on",
        explanation="Best: the graphics card where it can be used, else the processor.",
    )

    # What to learn from
    quality_floor: float = option(
        0.5,
        group=Group.MATERIAL,
        label="Quality a conversation needs",
        explanation="Conversations that score less, from 0 to 1, are never learnt from.",
        minimum=0,
        maximum=1,
    )
    max_conversations: int = option(
        200,
        group=Group.MATERIAL,
        label="Conversations in one episode",
        explanation="The best new ones are taken, the others wait for the next episode.",
        unit="conversations",
        minimum=1,
        maximum=10_000,
    )
    source_cap_percent: float = option(
        60.0,
        group=Group.MATERIAL,
        label="Most from one source",
        explanation="No single source may fill more of an episode than this while others have material.",
        unit="%",
        minimum=5,
        maximum=100,
    )
    topic_cap_percent: float = option(
        40.0,
        group=Group.MATERIAL,
        label="Most about one topic",
        explanation="No single topic may fill more of an episode than this while others have material.",
        unit="%",
        minimum=5,
        maximum=100,
    )
    day_cap_percent: float = option(
        60.0,
        group=Group.MATERIAL,
        label="Most from one day",
        explanation="No single day may fill more of an episode than this while others have material.",
        unit="%",
        minimum=5,
        maximum=100,
    )
    phrasings: int = option(
        24,
        group=Group.MATERIAL,
        label="Phrasings of a correction",
        explanation="What you correct is also learnt for so many other ways of asking.",
        unit="phrasings",
        minimum=0,
        maximum=64,
    )
    replay_conversations: int = option(
        500,
        group=Group.MATERIAL,
        label="Conversations remembered for repetition",
        explanation="Allie repeats earlier lessons from these, so as not to forget them.",
        unit="conversations",
        minimum=0,
        maximum=50_000,
    )
    replay_percent: float = option(
        50.0,
        group=Group.MATERIAL,
        label="Share of repetition",
        explanation="So much of an episode with corrections repeats earlier lessons; half as much of any other.",
        unit="%",
        minimum=0,
        maximum=90,
    )
    general_prompts: int = option(
        96,
        group=Group.MATERIAL,
        label="General questions kept steady",
        explanation="On so many general questions the answers must stay as they were.",
        unit="questions",
        minimum=24,
        maximum=2000,
    )
    excluded_sources: tuple[str, ...] = option(
        (),
        group=Group.MATERIAL,
        label="Sources left out",
        explanation="Conversations from these sources are never learnt from.",
    )
    excluded_topics: tuple[str, ...] = option(
        (),
        group=Group.MATERIAL,
        label="Topics left out",
        explanation="Conversations about these topics are never learnt from.",
    )

    # Limits of an episode
    prepare_minutes: float = option(
        10.0,
        group=Group.TRAINING,
        label="Time to prepare",
        explanation="An episode that needs longer to prepare is given up.",
        unit="minutes",
        minimum=1,
        maximum=240,
    )
    train_minutes: float = option(
        30.0,
        group=Group.TRAINING,
        label="Time to train",
        explanation="Training ends after this time with what it has reached.",
        unit="minutes",
        minimum=1,
        maximum=1440,
    )
    validate_minutes: float = option(
        10.0,
        group=Group.TRAINING,
        label="Time to check",
        explanation="An episode that cannot be checked in this time is not used.",
        unit="minutes",
        minimum=1,
        maximum=240,
    )
    episode_disk_gb: float = option(
        2.0,
        group=Group.TRAINING,
        label="Disk space of an episode",
        explanation="An episode uses at most this much while it runs.",
        unit="GB",
        minimum=0.1,
        maximum=500,
    )
    max_attempts: int = option(
        3,
        group=Group.TRAINING,
        label="Attempts",
        explanation="After a failure the episode is tried again, more carefully each time.",
        unit="attempts",
        minimum=1,
        maximum=5,
    )
    kl_budget: float = option(
        0.08,
        group=Group.TRAINING,
        label="Drift allowed",
        explanation="How far general answers may move away from those of the untouched model.",
        unit="nats/token",
        minimum=0.005,
        maximum=1,
    )

    # Model and versions
    base_model: str = option(
        "starter",
        group=Group.VERSIONS,
        label="Base model",
        explanation="A model of the catalogue by its name, or the path of a GGUF file or model folder.",
    )
    keep_versions: int = option(
        5,
        group=Group.VERSIONS,
        label="Versions kept",
        explanation="Older versions are deleted; pinned ones, the active one and the one for undo never are.",
        unit="versions",
        minimum=2,
        maximum=1000,
    )
    keep_backups: int = option(
        5,
        group=Group.VERSIONS,
        label="Backups kept",
        explanation="The conversations are backed up once a day; the oldest backups go first.",
        unit="backups",
        minimum=1,
        maximum=100,
    )
    disk_budget_gb: float = option(
        10.0,
        group=Group.VERSIONS,
        label="Disk space for versions and backups",
        explanation="Beyond this the oldest versions that may go are deleted first.",
        unit="GB",
        minimum=0.5,
        maximum=10_000,
    )
    rollout: Rollout = option(
        Rollout.GRADUAL,
        group=Group.VERSIONS,
        label="A new version takes over",
        explanation="Gradual: it answers a growing share of new conversations while it proves itself.",
    )
    rollout_first_percent: float = option(
        10.0,
        group=Group.VERSIONS,
        label="First share of a new version",
        explanation="The share of new conversations that a new version answers at first.",
        unit="%",
        minimum=1,
        maximum=100,
    )
    rollout_second_percent: float = option(
        50.0,
        group=Group.VERSIONS,
        label="Second share of a new version",
        explanation="The share that it answers after its first proof, before it answers all.",
        unit="%",
        minimum=1,
        maximum=100,
    )
    probation_days: float = option(
        3.0,
        group=Group.VERSIONS,
        label="New versions are watched for",
        explanation="In this time a version that does worse than the one before is undone by itself.",
        unit="days",
        minimum=0,
        maximum=90,
    )

    # Privacy and data
    consent_given: bool = option(
        False,
        group=Group.PRIVACY,
        label="Allie may learn from my conversations",
        explanation="Without your consent Allie never learns by itself. Nothing leaves this computer.",
    )
    record_chat: bool = option(
        True,
        group=Group.PRIVACY,
        label="Keep conversations of the chat window",
        explanation="Off: they are gone when the window closes, and nothing is learnt from them.",
    )
    record_api: bool = option(
        True,
        group=Group.PRIVACY,
        label="Keep conversations of other programs",
        explanation="Off: what programs ask through the local connection is not kept.",
    )

    # Chat and connections
    api_port: int = option(
        8531,
        group=Group.CONNECTIONS,
        label="Port of the local connection",
        explanation="Other programs on this computer reach Allie there. 0: any free port.",
        minimum=0,
        maximum=65535,
    )
    unload_minutes: float = option(
        10.0,
        group=Group.CONNECTIONS,
        label="Free the chat model's memory after",
        explanation="The model is loaded again with the next question. 0: never.",
        unit="minutes",
        minimum=0,
        maximum=1440,
    )

    # Notifications
    notify_episodes: bool = option(
        True,
        group=Group.NOTIFICATIONS,
        label="Tell me what was learnt",
        explanation="One notification after an episode that changed something.",
    )
    notify_attention: bool = option(
        True,
        group=Group.NOTIFICATIONS,
        label="Tell me when something needs me",
        explanation="One notification for each new problem that Allie cannot solve alone.",
    )
    quiet_hours: bool = option(
        True,
        group=Group.NOTIFICATIONS,
        label="Quiet hours",
        explanation="In these hours notifications wait.",
    )
    quiet_start: time = option(
        time(22, 0),
        group=Group.NOTIFICATIONS,
        label="Quiet from",
        explanation="Begin of the quiet hours.",
    )
    quiet_end: time = option(
        time(8, 0),
        group=Group.NOTIFICATIONS,
        label="Quiet until",
        explanation="What waited is shown then.",
    )
    ask_comparisons: bool = option(
        True,
        group=Group.NOTIFICATIONS,
        label="Ask which answer is better",
        explanation="Now and then two answers stand side by side for you to choose. You can always skip.",
    )

    # Appearance
    start_at_login: bool = option(
        False,
        group=Group.APPEARANCE,
        label="Start when I log in",
        explanation="Allie then waits in the tray.",
    )
    language: str = option(
        "",
        group=Group.APPEARANCE,
        label="Language",
        explanation="A language code like de. Empty: the language of the system.",
    )
    theme: Theme = option(
        Theme.SYSTEM,
        group=Group.APPEARANCE,
        label="Colours",
        explanation="Light, dark, or as the system has it.",
    )


#: The values that an eagerness stands for. BALANCED has the defaults.
PRESETS: Mapping[Eagerness, Mapping[str, object]] = MappingProxyType(
    {
        Eagerness.GENTLE: MappingProxyType(
            {
                "min_new_conversations": 100,
                "hours_between_episodes": 72.0,
                "idle_minutes": 15.0,
                "window_start": time(0, 0),
                "window_end": time(7, 0),
            }
        ),
        Eagerness.BALANCED: MappingProxyType(
            {
                "min_new_conversations": 50,
                "hours_between_episodes": 24.0,
                "idle_minutes": 5.0,
                "window_start": time(22, 0),
                "window_end": time(8, 0),
            }
        ),
        Eagerness.EAGER: MappingProxyType(
            {
                "min_new_conversations": 20,
                "hours_between_episodes": 8.0,
                "idle_minutes": 3.0,
                "window_start": time(0, 0),
                "window_end": time(0, 0),
            }
        ),
    }
)

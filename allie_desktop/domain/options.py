"""How one option is declared and how its values are checked.

An option is a dataclass field made with :func:`option`: type, default, range, unit, group, label and
explanation stand in one place, and the settings page, the documentation and every check are derived
from there. Which options there are is said in :mod:`allie_desktop.domain.preferences`.

Values have a typed form (what the program uses) and a saved form (what JSON can hold); :meth:`check`
accepts both and returns the typed one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime, time, timezone
from enum import Enum
from typing import Any

from allie_desktop.domain.errors import SettingError

#: Longest text value and longest list, against a settings file that was tampered with.
MAXIMUM_TEXT_CHARACTERS = 4096
MAXIMUM_LIST_ITEMS = 1000

_CLOCK_TIME = re.compile(r"(\d{1,2}):(\d{2})\Z", re.ASCII)
_KEY = "option"


class Group(str, Enum):
    """A page of the settings window, in the order in which the pages stand."""

    WHEN = "When to learn"
    POWER = "Power and heat"
    MACHINE = "Memory, disk and processor"
    MATERIAL = "What to learn from"
    TRAINING = "Limits of an episode"
    VERSIONS = "Model and versions"
    PRIVACY = "Privacy and data"
    CONNECTIONS = "Chat and connections"
    NOTIFICATIONS = "Notifications"
    APPEARANCE = "Appearance"


class Kind(str, Enum):
    """What sort of value an option takes, and so which control shows it."""

    SWITCH = "on or off"
    COUNT = "a whole number"
    NUMBER = "a number"
    CLOCK_TIME = "a time of day like 22:00"
    MOMENT = "a date and time with a time zone, or nothing"
    CHOICE = "one of a list"
    TEXT = "a text"
    TEXTS = "a list of texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """Everything that is known of one option. ``minimum`` and ``maximum`` are allowed values.

    ``hidden`` options are set by the program's own controls and have no line on a settings page.
    """

    name: str
    kind: Kind
    default: object
    group: Group
    label: str
    explanation: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Enum, ...] = ()
    hidden: bool = False

    @property
    def allowed(self) -> str:
        """The values allowed, in words: "between 1 and 240 minutes"."""
        if self.kind is Kind.CHOICE:
            return "one of " + ", ".join(str(choice.value) for choice in self.choices)
        if self.minimum is None or self.maximum is None:
            return str(self.kind.value)
        number = "a whole number between" if self.kind is Kind.COUNT else "between"
        return f"{number} {self.minimum:,g} and {self.maximum:,g} {self.unit}".rstrip()

    def check(self, value: object) -> Any:
        """Return the typed form of ``value``; raise :class:`SettingError` when it is not allowed."""
        try:
            return _CHECKS[self.kind](self, value)
        except (TypeError, ValueError, OverflowError) as refusal:
            raise SettingError(
                f"“{self.label}” must be {self.allowed}, not {_shown(value)}.",
                f"The default is {_shown(self.default)}.",
            ) from refusal


def option(
    default: object,
    *,
    group: Group,
    label: str,
    explanation: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    kind: Kind | None = None,
    hidden: bool = False,
) -> Any:
    """Declare an option as a dataclass field. ``kind`` follows from the default unless that is None."""
    return field(
        default=default,
        metadata={
            _KEY: {
                "group": group,
                "label": label,
                "explanation": explanation,
                "unit": unit,
                "minimum": minimum,
                "maximum": maximum,
                "kind": kind or _kind_of(default),
                "hidden": hidden,
                "choices": tuple(type(default)) if isinstance(default, Enum) else (),
            }
        },
    )


def specs_of(options: type) -> tuple[OptionSpec, ...]:
    """Return the options of a dataclass in the order of their declaration."""
    return tuple(_spec(declared) for declared in fields(options))


def saved_form(value: object) -> object:
    """Return ``value`` as JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return value


def _spec(declared: Field[Any]) -> OptionSpec:
    if declared.default is MISSING:
        raise TypeError(f"The option {declared.name} has no default.")
    return OptionSpec(name=declared.name, default=declared.default, **declared.metadata[_KEY])


def _kind_of(default: object) -> Kind:
    # bool is an int and a str enum is a str, so the order matters.
    for kind_type, kind in (
        (bool, Kind.SWITCH),
        (Enum, Kind.CHOICE),
        (int, Kind.COUNT),
        (float, Kind.NUMBER),
        (time, Kind.CLOCK_TIME),
        (str, Kind.TEXT),
        (tuple, Kind.TEXTS),
    ):
        if isinstance(default, kind_type):
            return kind
    raise TypeError(f"No kind of option has a default like {default!r}.")


def _check_switch(_spec: OptionSpec, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _check_number(spec: OptionSpec, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError
    if spec.minimum is not None and value < spec.minimum:
        raise ValueError
    if spec.maximum is not None and value > spec.maximum:
        raise ValueError
    return float(value)


def _check_count(spec: OptionSpec, value: object) -> int:
    number = _check_number(spec, value)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _check_clock_time(_spec: OptionSpec, value: object) -> time:
    if isinstance(value, str):
        match = _CLOCK_TIME.match(value.strip())
        if match is None:
            raise ValueError
        return time(int(match[1]), int(match[2]))
    if not isinstance(value, time) or value.tzinfo is not None or value.second or value.microsecond:
        raise TypeError
    return value.replace(fold=0)


def _check_moment(_spec: OptionSpec, value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        # Python 3.10 does not read the "Z" that the rest of the world writes for UTC.
        text = value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value
        value = datetime.fromisoformat(text)
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise TypeError
    return value.astimezone(timezone.utc)


def _check_choice(spec: OptionSpec, value: object) -> Enum:
    for choice in spec.choices:
        if value is choice or (isinstance(value, str) and value == choice.value):
            return choice
    raise ValueError


def _check_text(_spec: OptionSpec, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAXIMUM_TEXT_CHARACTERS:
        raise TypeError
    if not value.isprintable():
        raise ValueError
    return value


def _check_texts(spec: OptionSpec, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAXIMUM_LIST_ITEMS:
        raise TypeError
    return tuple(dict.fromkeys(_check_text(spec, item) for item in value))


_CHECKS = {
    Kind.SWITCH: _check_switch,
    Kind.COUNT: _check_count,
    Kind.NUMBER: _check_number,
    Kind.CLOCK_TIME: _check_clock_time,
    Kind.MOMENT: _check_moment,
    Kind.CHOICE: _check_choice,
    Kind.TEXT: _check_text,
    Kind.TEXTS: _check_texts,
}


def _shown(value: object) -> str:
    """Return a value as a sentence can show it, however long or strange it is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    plain = saved_form(value)
    if not isinstance(plain, (str, int, float)):
        return f"a {type(plain).__name__}"
    try:
        text = repr(plain)
    except ValueError:  # an int of thousands of digits has no decimal form
        return "a number beyond all limits"
    return text if len(text) <= 60 else text[:59] + "…"

"""What may be done with preferences: check them, change them, load and save them.

Saved settings are the values that differ from the defaults. An eagerness preset stands for several values
at once: it is saved by its name alone, and changing one of its values by hand makes it
:attr:`Eagerness.CUSTOM`.

``Preferences(...)`` itself checks nothing; values from outside come in through :func:`from_saved` (warns,
never fails) or :func:`changed` (raises :class:`SettingError`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from allie_desktop.domain.errors import SettingError
from allie_desktop.domain.options import Group, Kind, OptionSpec, saved_form, specs_of
from allie_desktop.domain.preferences import (
    BYTES_PER_GB,
    PRESETS,
    Device,
    Eagerness,
    Preferences,
    Rollout,
    Theme,
)

__all__ = [
    "BYTES_PER_GB",
    "PRESETS",
    "Device",
    "Eagerness",
    "Group",
    "Kind",
    "OptionSpec",
    "Preferences",
    "Rollout",
    "Theme",
    "changed",
    "check",
    "from_saved",
    "option_specs",
    "saved_value",
    "to_saved",
]

_DEFAULTS = Preferences()

#: Pairs of which the first must stay below the second, or hysteresis would turn around.
_ORDERED = (("cpu_cool_celsius", "cpu_hot_celsius"), ("gpu_cool_celsius", "gpu_hot_celsius"))


def option_specs() -> tuple[OptionSpec, ...]:
    """Return every option in the order of the settings pages."""
    return tuple(_specs().values())


def check(name: str, value: object) -> Any:
    """Return the typed form of ``value`` for option ``name``.

    Raises :class:`SettingError` with a sentence that names the allowed values, or the options with a
    similar name when there is no such option.
    """
    spec = _specs().get(name)
    if spec is None:
        similar = difflib.get_close_matches(name, _specs(), n=3)
        remedy = f"Did you mean {' or '.join(similar)}?" if similar else ""
        raise SettingError(f"There is no setting called {name[:80]!r}.", remedy)
    return spec.check(value)


def changed(preferences: Preferences, name: str, value: object) -> Preferences:
    """Return ``preferences`` with one option changed; raise :class:`SettingError` for a bad value.

    Choosing a preset sets all its values. Changing one of its values by hand makes it CUSTOM.
    """
    changes: dict[str, Any] = {name: check(name, value)}
    if name == "eagerness":
        changes.update(PRESETS.get(changes[name], {}))
    after = replace(preferences, **changes)
    for low, high in _ORDERED:
        if name in (low, high) and getattr(after, low) >= getattr(after, high):
            raise SettingError(
                f"“{_specs()[low].label}” must be less than “{_specs()[high].label}”; these would be "
                f"{getattr(after, low):g} and {getattr(after, high):g} {_specs()[low].unit}.",
                "Change the other one first.",
            )
    return _named_rightly(after)


def from_saved(saved: Mapping[str, object]) -> tuple[Preferences, tuple[str, ...]]:
    """Return preferences from saved values, and a sentence for each that could not be used.

    Never fails: an unknown name or a bad value is left out and its default stands.
    """
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in saved.items():
        try:
            values[name] = check(name, value)
        except SettingError as refusal:
            warnings.append(f"A saved setting was left out. {refusal.message}")
    for low, high in _ORDERED:
        low_value, high_value = (values.get(key, getattr(_DEFAULTS, key)) for key in (low, high))
        if low_value >= high_value:
            values.pop(low, None)
            values.pop(high, None)
            warnings.append(
                f"Two saved settings were left out. “{_specs()[low].label}” ({low_value:g}) must be less "
                f"than “{_specs()[high].label}” ({high_value:g})."
            )
    preset = PRESETS.get(values.get("eagerness", _DEFAULTS.eagerness), {})
    return _named_rightly(replace(_DEFAULTS, **{**preset, **values})), tuple(warnings)


def to_saved(preferences: Preferences) -> Mapping[str, object]:
    """Return what :func:`from_saved` needs to make ``preferences`` again, in JSON types."""
    implied = dict(PRESETS.get(preferences.eagerness, {}))
    saved = {}
    for spec in option_specs():
        value = getattr(preferences, spec.name)
        if value != implied.get(spec.name, spec.default):
            saved[spec.name] = saved_form(value)
    return saved


def saved_value(preferences: Preferences, name: str) -> object:
    """Return one value in JSON types, default or not."""
    return saved_form(getattr(preferences, name))


def _named_rightly(preferences: Preferences) -> Preferences:
    """Call a preset whose values were changed by hand CUSTOM."""
    preset = PRESETS.get(preferences.eagerness, {})
    if any(getattr(preferences, name) != value for name, value in preset.items()):
        return replace(preferences, eagerness=Eagerness.CUSTOM)
    return preferences


@cache
def _specs() -> Mapping[str, OptionSpec]:
    return {spec.name: spec for spec in specs_of(Preferences)}

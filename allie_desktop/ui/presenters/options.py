"""Options as a settings page shows and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from enum import Enum

from allie_desktop.domain.options import Group, Kind, OptionSpec
from allie_desktop.domain.preferences import Device, Eagerness, Rollout, Theme
from allie_desktop.ui.presenters.language import translate

CHOICE_WORDS: dict[Enum, str] = {
    Eagerness.OFF: "Off",
    Eagerness.GENTLE: "Gentle",
    Eagerness.BALANCED: "Balanced",
    Eagerness.EAGER: "Eager",
    Eagerness.CUSTOM: "Custom",
    Rollout.GRADUAL: "Gradually",
    Rollout.AT_ONCE: "At once",
    Device.BEST: "The best there is",
    Device.CPU: "Processor",
    Device.CUDA: "Graphics card (CUDA)",
    Device.MPS: "Graphics (Apple)",
    Theme.SYSTEM: "As the system",
    Theme.LIGHT: "Light",
    Theme.DARK: "Dark",
}


def shown(spec: OptionSpec, value: object) -> str:
    """Return a value as a text field shows it; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return translate("Options", "On") if value else translate("Options", "Off")
    if isinstance(value, Enum):
        return translate("Options", CHOICE_WORDS.get(value, str(value.value)))
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, float) or spec.kind is Kind.NUMBER:
        return f"{value:g}" if abs(float(str(value))) < 1e6 else str(value)
    return str(value)


def typed(spec: OptionSpec, text: str) -> object:
    """Return what a person typed in the type that the option wants, or the text itself where that cannot
    be; whoever checks it then says what is wrong."""
    text = text.strip()
    if spec.kind is Kind.TEXTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if spec.kind in {Kind.COUNT, Kind.NUMBER}:
        return _number(text)
    if spec.kind is Kind.CLOCK_TIME:
        return _clock_time(text)
    return text


def step(spec: OptionSpec, value: float) -> float:
    """Return by how much the arrow keys change a number: fine for small ranges, coarse for large values."""
    if spec.kind is Kind.COUNT:
        return 1.0 if value < 100 else 10.0
    if spec.maximum is not None and spec.maximum <= 1:
        return 0.05 if spec.minimum == 0 else 0.01
    return 1.0 if value >= 2 else 0.5


def matching(specs: Sequence[OptionSpec], words: str) -> tuple[OptionSpec, ...]:
    """Return the options in whose texts all words occur, those with all of them in the label first."""
    wanted = words.casefold().split()
    if not wanted:
        return ()
    found = []
    for spec in specs:
        label = spec.label.casefold()
        text = f"{label} {spec.explanation.casefold()} {spec.group.value.casefold()} {spec.unit.casefold()}"
        if not spec.hidden and all(word in text for word in wanted):
            found.append((not all(word in label for word in wanted), spec))
    return tuple(spec for _, spec in sorted(found, key=lambda pair: pair[0]))


def visible(specs: Sequence[OptionSpec], group: Group) -> tuple[OptionSpec, ...]:
    """Return a group's options that have a line on the page."""
    return tuple(spec for spec in specs if spec.group is group and not spec.hidden)


def _number(text: str) -> object:
    # A comma is what half of the world writes for the point; with both, or twice, nobody knows.
    plain = text.replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    for read in (int, float):
        try:
            return read(plain)
        except ValueError:
            continue
    return text


def _clock_time(text: str) -> str:
    plain = text.replace(".", ":").replace(" ", "")
    return f"{plain}:00" if plain.isascii() and plain.isdigit() and len(plain) <= 2 else plain

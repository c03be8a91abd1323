"""What a sensor sees, in words, for the settings page and ``allie doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allie_desktop.sensors.presence_session import LOCKED, OTHER_PERSON


def idle_words(values: Mapping[str, Any]) -> str:
    """Return how long nobody touched anything."""
    return f"no input for {values['idle_seconds']:.0f} s"


def screen_words(values: Mapping[str, Any]) -> str:
    """Return whether a program has the screen."""
    return "a full-screen program is in front" if values["full_screen"] else "no full-screen program"


def session_words(values: Mapping[str, Any]) -> str:
    """Return who is there."""
    said = []
    if values.get("remote_session") is not None:
        said.append("someone is connected remotely" if values["remote_session"] else "no remote login")
    if values.get(OTHER_PERSON):
        said.append("another person uses the computer")
    if values.get(LOCKED):
        said.append("the screen is locked")
    return ", ".join(said)


def power_words(values: Mapping[str, Any]) -> str:
    """Return what feeds the computer."""
    if values.get("has_battery") is False:
        return "no battery"
    percent = values.get("battery_percent")
    level = "" if percent is None else f" ({percent:.0f} %)"
    on_battery = values.get("on_battery")
    if on_battery is None:
        return f"a battery{level}, and nobody tells whether it is used"
    return f"on battery{level}" if on_battery else f"on mains{level}"


def saver_words(values: Mapping[str, Any]) -> str:
    """Return whether power is saved."""
    return "power saving is on" if values["power_saver"] else "power saving is off"


def heat_words(values: Mapping[str, Any]) -> str:
    """Return the processor's temperature."""
    return f"processor at {values['cpu_celsius']:.0f} °C"


def graphics_words(values: Mapping[str, Any]) -> str:
    """Return load, temperature and free memory of the graphics card."""
    said = []
    if values.get("gpu_busy_percent") is not None:
        said.append(f"{values['gpu_busy_percent']:.0f} % used by others")
    if values.get("gpu_celsius") is not None:
        said.append(f"{values['gpu_celsius']:.0f} °C")
    if values.get("free_gpu_memory_bytes") is not None:
        said.append(f"{values['free_gpu_memory_bytes'] / 1e9:.1f} GB free")
    return ", ".join(said)


def load_words(values: Mapping[str, Any]) -> str:
    """Return the processor's load by others."""
    return f"processor {values['cpu_busy_percent']:.0f} % busy with other programs"


def space_words(values: Mapping[str, Any]) -> str:
    """Return what is free."""
    said = [f"{values['free_memory_bytes'] / 1e9:.1f} GB memory free"]
    if values.get("free_disk_bytes") is not None:
        said.append(f"{values['free_disk_bytes'] / 1e9:.1f} GB disk space free")
    return ", ".join(said)

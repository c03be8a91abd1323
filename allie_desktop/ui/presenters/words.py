"""Sizes, times and dates as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

from allie_desktop.ui.presenters.language import translate

_UNITS = ("kB", "MB", "GB", "TB")


def size_words(size_bytes: float) -> str:
    """Return a decimal size: "0 bytes", "512 bytes", "1.2 GB"."""
    if size_bytes < 1000:
        return translate("Words", "{count} bytes").format(count=round(size_bytes))
    value, unit = size_bytes / 1000, _UNITS[0]
    for larger in _UNITS[1:]:
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def duration_words(seconds: float) -> str:
    """Return a time that passed: "45 s", "12 min", "1 h 5 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def left_words(seconds: float | None) -> str:
    """Return the time left of a phase: "about 3 min left"; empty when nobody knows."""
    if seconds is None or not 0 <= seconds < 1e7:
        return ""
    if seconds < 10:
        return translate("Words", "a few seconds left")
    return translate("Words", "about {time} left").format(time=duration_words(seconds))


def day_words(moment: datetime, now: datetime) -> str:
    """Return a day as it is spoken of: "Today", "Yesterday", "Monday", "3 March", "3 March 2024"."""
    local, today = moment.astimezone(), now.astimezone()
    days = (today.date() - local.date()).days
    if days == 0:
        return translate("Words", "Today")
    if days == 1:
        return translate("Words", "Yesterday")
    if 1 < days < 7:
        return translate("Words", local.strftime("%A"))
    day = f"{local.day} {translate('Words', local.strftime('%B'))}"
    return day if local.year == today.year else f"{day} {local.year}"


def moment_words(moment: datetime, now: datetime) -> str:
    """Return day and time: "Yesterday, 02:14"."""
    return f"{day_words(moment, now)}, {moment.astimezone():%H:%M}"


def ago_words(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, roughly: "just now", "5 min ago", "3 days ago"."""
    gone = now - moment
    if gone < timedelta(minutes=1):
        return translate("Words", "just now")
    if gone < timedelta(hours=24):
        return translate("Words", "{time} ago").format(time=duration_words(gone.total_seconds()))
    days = gone.days
    if days == 1:
        return translate("Words", "1 day ago")
    return translate("Words", "{count} days ago").format(count=f"{days:,}")


def conversations_words(count: int) -> str:
    """Return "1 conversation" or "53 conversations"."""
    if count == 1:
        return translate("Words", "1 conversation")
    return translate("Words", "{count} conversations").format(count=f"{count:,}")


def percent_words(share: float) -> str:
    """Return a share in [0, 1] as "42 %"."""
    return f"{100 * share:.0f} %"

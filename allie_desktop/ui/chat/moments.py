"""When a conversation was, as a person would say it."""

from __future__ import annotations

from datetime import datetime, timedelta

from allie_desktop.ui.presenters.language import translate

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def said(moment: datetime, now: datetime) -> str:
    """Return ``moment`` in words as short as ``now`` allows; both are aware, and in the same zone."""
    days = (now.date() - moment.date()).days
    if days == 0:
        return f"{moment:%H:%M}"
    if days == 1:
        return translate("Moments", "Yesterday")
    if 1 < days < 7:
        return translate("Moments", _DAYS[moment.weekday()])
    if moment.year == now.year or now - moment < timedelta(days=60):
        return f"{moment.day} {translate('Moments', _MONTHS[moment.month - 1])}"
    return f"{moment.day} {translate('Moments', _MONTHS[moment.month - 1])} {moment.year}"

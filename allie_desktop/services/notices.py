"""What the person is told: one notice after an episode that changed something, one when something needs them.

Nothing is told twice, not even after the program was started again, and nothing in quiet hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from allie_desktop.domain.holds import within
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.ports import Alert, NoticeRepository
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.requests import Notice, NoticeAction
from allie_desktop.services.episode_result import EpisodeResult

UNDO = NoticeAction(name="undo", label="Undo")
SHOW = NoticeAction(name="show", label="Show")

#: What is told of an episode whose report cannot be read any more.
_LEARNED = "Allie has learned something new."


def is_quiet(preferences: Preferences, now: datetime) -> bool:
    """Whether ``now``, in the person's own zone, lies in the quiet hours."""
    return preferences.quiet_hours and within(now.time(), preferences.quiet_start, preferences.quiet_end)


class Notices:
    """Decides what is told and when. From the thread of the repository; ``now`` is in the person's zone."""

    def __init__(self, repository: NoticeRepository, *, now: Callable[[], datetime]) -> None:
        self._repository = repository
        self._now = now
        self._known: set[str] = set()  # so as not to ask the store again at every look

    def episode_ended(self, result: EpisodeResult, headline: str, preferences: Preferences) -> None:
        """Take note of an episode's end; ``headline`` says in a sentence what came of it."""
        if result.outcome is not EpisodeState.COMPLETED or not preferences.notify_episodes:
            return
        self._repository.add(
            Notice(
                key=f"episode:{result.episode_id}",
                title="Allie has learned",
                body=headline or _LEARNED,
                created_at=self._now(),
                subject=result.version or "",
                episode=result.episode_id,
                actions=(UNDO, SHOW) if result.version else (SHOW,),
            )
        )

    def alert_raised(self, alert: Alert, preferences: Preferences) -> None:
        """Take note of an open alert, which may be known already."""
        if not preferences.notify_attention or alert.severity == "info" or alert.seen:
            return
        when = alert.raised_at.isoformat() if alert.raised_at else ""
        words = f"{alert.key} {alert.message} {when}"
        key = f"alert:{hashlib.sha256(words.encode()).hexdigest()[:24]}"
        if key in self._known:
            return
        self._repository.add(
            Notice(
                key=key,
                title="Allie needs you",
                body=f"{alert.message} {alert.remedy}".strip(),
                created_at=self._now(),
                urgent=alert.severity == "critical",
                subject=alert.key,
                actions=(SHOW,),
            )
        )
        self._known.add(key)

    def due(self, preferences: Preferences) -> tuple[Notice, ...]:
        """Return what is to be shown now, oldest first; nothing in quiet hours."""
        if is_quiet(preferences, self._now()):
            return ()
        return self._repository.waiting()

    def shown(self, notice: Notice) -> None:
        """It is on the screen."""
        self._repository.mark_shown(notice.key, at=self._now())

"""The daily look at the store: mended where need be, then backed up; and what the person is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import Alert, AlertRepository, Clock

_log = logging.getLogger(__name__)

#: The keys of the alerts.
RESTORED_ALERT = "store-restored"
BACKUP_ALERT = "backup-failed"


class StoreBackups(Protocol):
    """The backups of the store."""

    keep: int

    def is_due(self, now: datetime) -> bool:
        """Whether the newest one is older than a day."""

    def create(self, *, now: datetime | None = None) -> object:
        """Make one, verify it, delete surplus ones. Raise :class:`AllieError`."""


class Safekeeping:
    """Keeps the store sound and backed up. From the thread of the repositories.

    ``mend`` looks at everything and returns sentences about what it set right; it raises
    :class:`StoreCorruptError` when only a backup helps, which happens when the store is opened next.
    """

    def __init__(
        self,
        *,
        backups: StoreBackups,
        alerts: AlertRepository,
        clock: Clock,
        keep: int,
        mend: Callable[[], tuple[str, ...]],
    ) -> None:
        self._backups = backups
        self._alerts = alerts
        self._clock = clock
        self._keep = keep
        self._mend = mend

    def tend(self, rescued: str = "") -> bool:
        """Do what is due; return whether a backup was made. ``rescued``: what was done already when the
        store was opened. A failed backup is told, and tried at the next start."""
        now = self._clock.now()
        self._backups.keep = self._keep
        due = self._backups.is_due(now)
        if not due and not rescued:
            return False
        try:
            said = " ".join(filter(None, (rescued, *self._mend())))
            if said:
                self._tell(
                    RESTORED_ALERT, "critical", said, "Look whether your newest conversations are there."
                )
            self._backups.create(now=now)
        except AllieError as error:
            _log.warning("The store could not be backed up: %s", error.message)
            self._tell(BACKUP_ALERT, "warning", error.message, error.remedy)
            return False
        self._alerts.resolve(BACKUP_ALERT)
        return True

    def _tell(self, key: str, severity: str, message: str, remedy: str) -> None:
        self._alerts.resolve(key)
        self._alerts.raise_(
            Alert(key=key, severity=severity, message=message, remedy=remedy, raised_at=self._clock.now())
        )

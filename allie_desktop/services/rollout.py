"""A new version takes over step by step, is watched, and is taken back by itself when it does worse.

The active pointer moves to a new version when it is deployed. The roll-out record beside it says which share
of the chat follows, and counts only while it is about the version that the pointer names; whatever is half
done therefore has one meaning:

- record of a version that is not active yet: the old version answers;
- record "rolled back" of the version that is still active: the previous one answers already, and the next
  :meth:`RolloutService.review` moves the pointer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from allie_desktop.domain.chat import Evidence
from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import (
    Alert,
    AlertRepository,
    Clock,
    ExchangeRepository,
    VersionRepository,
)
from allie_desktop.domain.rollout import (
    SHARED,
    WATCHED,
    RolloutRecord,
    Stage,
    Step,
    bad_replies,
    decide,
    first_record,
    moved,
)
from allie_desktop.domain.settings import Preferences, Rollout
from allie_desktop.domain.versions import BASE

_log = logging.getLogger(__name__)

#: The key of the alert about a version that was taken back.
ROLLBACK_ALERT = "version-rolled-back"
#: The key of the alert about the base model that does not answer.
BASE_ALERT = "base-model-failed"

#: What the version before showed in so much time before the new one came counts as well.
_BASELINE = timedelta(days=30)
_REVIEW_SECONDS = 30.0
_VERIFY_SECONDS = 3600.0


class RolloutRecords(Protocol):
    """Where the record is kept: :class:`store.rollout_file.RolloutFile`. Any thread."""

    def read(self) -> RolloutRecord | None:
        """Return the record; None without one."""

    def write(self, record: RolloutRecord) -> None:
        """Replace the record atomically and durably."""

    def stamp(self) -> object:
        """Return something that changes when the record or the active pointer does; cheap."""

    def changing(self) -> AbstractContextManager[None]:
        """Keep other processes from changing it for a ``with`` block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStatus:
    """Where the last new version stands, with what it and the one before brought, and all of it in words."""

    record: RolloutRecord
    new: Evidence
    old: Evidence
    words: str


class RolloutService:
    """Begins roll-outs and leads them on. From one thread; other processes may have their own.

    ``roll_back`` lets another version answer (:meth:`services.deployment.Deployment.rollback`), which in turn
    tells :meth:`chosen`. ``preferences`` are asked for each time.
    """

    def __init__(
        self,
        *,
        versions: VersionRepository,
        records: RolloutRecords,
        exchanges: ExchangeRepository,
        alerts: AlertRepository,
        clock: Clock,
        preferences: Callable[[], Preferences],
        roll_back: Callable[[str], object],
    ) -> None:
        self._versions = versions
        self._records = records
        self._exchanges = exchanges
        self._alerts = alerts
        self._clock = clock
        self._preferences = preferences
        self._roll_back = roll_back
        self._reviewed: float | None = None
        self._verified: tuple[str, float] | None = None

    # --- what Deployment tells ---

    def begin(self, version: str, previous: str, *, at_once: bool) -> None:
        """Note how ``version`` will take over from ``previous``, just before the pointer moves to it.

        ``at_once``: the person asked for it and is waiting; the preferences may say so for all.
        """
        preferences = self._preferences()
        record = first_record(
            version,
            previous,
            at=self._clock.now(),
            preferences=preferences,
            at_once=at_once or preferences.rollout is Rollout.AT_ONCE,
        )
        with self._records.changing():
            self._records.write(record)

    def chosen(self, version: str, *, instead_of: str) -> None:
        """Note that ``version`` is to answer from now on, just before the pointer moves back (or forth) to
        it: whatever was under way with ``instead_of`` is over."""
        with self._records.changing():
            record = self._records.read()
            if (
                record is not None
                and record.stage is Stage.ROLLED_BACK
                and (record.version, record.previous) == (instead_of, version)
            ):
                return
            now = self._clock.now()
            self._records.write(
                RolloutRecord(
                    version=instead_of,
                    previous=version,
                    stage=Stage.ROLLED_BACK,
                    share=0.0,
                    started_at=now if record is None or record.version != instead_of else record.started_at,
                    stage_since=now,
                    reason="The person chose so.",
                )
            )

    def finish(self) -> None:
        """Carry out a roll-back that was decided and interrupted; does nothing without one."""
        record = self._current()
        if record is not None and record.stage is Stage.ROLLED_BACK:
            self._restore(record)

    # --- watching ---

    def review(self) -> RolloutRecord | None:
        """Look at what the new version brought, and go on, stay or go back; return the record (None when no
        version is under way). To be called now and then from any process: what is decided is written down
        before it is done, and deciding again changes nothing."""
        self._reviewed = self._clock.monotonic()
        with self._records.changing():
            record = self._current()
            if record is None:
                return None
            if record.stage in WATCHED:
                step = self._damaged(record.version) or self._decide(record)
                after = moved(record, step, at=self._clock.now())
                if after.stage is Stage.ROLLED_BACK:
                    after = replace(after, previous=self._soundest(after))
                if after != record:
                    self._records.write(after)
                    _log.info("%s: %s. %s", after.version, after.stage.value, after.reason)
                record = after
        if record.stage is Stage.ROLLED_BACK:
            self._restore(record)
        return record

    def review_if_due(self) -> None:
        """Review, unless that was done half a minute ago or less; never raises for a store that is busy or a
        disk that is full."""
        now = self._clock.monotonic()
        if self._reviewed is not None and now - self._reviewed < _REVIEW_SECONDS:
            return
        try:
            self.review()
        except (AllieError, OSError) as error:
            _log.warning("The new version could not be reviewed: %s", error)

    def fail(self, version: str, reason: str) -> None:
        """Take note that a version cannot be loaded or does not answer: the one before takes its place, and
        the person is told. One that answers nothing now is only logged."""
        if version == BASE:
            self._tell(
                BASE_ALERT, f"The base model does not answer. {reason}".strip(), "`allie doctor` says more."
            )
            return
        with self._records.changing():
            record = self._current()
            now = self._clock.now()
            if version == self._versions.pointer().active:
                if record is None:
                    record = RolloutRecord(
                        version=version,
                        previous=self._ancestors(version)[0],
                        stage=Stage.HEALTHY,
                        share=1.0,
                        started_at=now,
                        stage_since=now,
                    )
                if record.stage is not Stage.ROLLED_BACK:
                    step = Step(stage=Stage.ROLLED_BACK, share=0.0, reasons=(reason,))
                    record = moved(record, step, at=now)
                    record = replace(record, previous=self._soundest(record))
                    self._records.write(record)
            elif record is not None and record.stage in WATCHED and version == record.previous:
                after = replace(
                    record,
                    previous=self._soundest(record, without=version),
                    stage=Stage.PROBATION,
                    share=1.0,
                    stage_since=now,
                    reason=f"{version} does not answer any more.",
                    at_once=True,
                )
                self._records.write(after)
                self._tell(ROLLBACK_ALERT, f"{version} does not answer any more. {reason}".strip(), "")
                return
            else:
                _log.warning("Version %s, which is not in use, failed: %s", version, reason)
                return
        self._restore(record)

    def status(self) -> RolloutStatus | None:
        """Return where the last new version stands; None when there never was one or its time is over."""
        record = self._records.read()
        if record is None:
            return None
        active = self._versions.pointer().active
        under_way = record.version == active
        undone = record.stage is Stage.ROLLED_BACK and record.previous == active
        if not (under_way or undone) or record.version == BASE:
            return None
        new, old = self._evidence(record)
        return RolloutStatus(record=record, new=new, old=old, words=self._words(record, new))

    # --- inside ---

    def _current(self) -> RolloutRecord | None:
        record = self._records.read()
        if record is None or record.version != self._versions.pointer().active:
            return None
        return record

    def _evidence(self, record: RolloutRecord) -> tuple[Evidence, Evidence]:
        return (
            self._exchanges.evidence(record.version, since=record.started_at),
            self._exchanges.evidence(record.previous, since=record.started_at - _BASELINE),
        )

    def _decide(self, record: RolloutRecord) -> Step:
        new, old = self._evidence(record)
        return decide(record, new, old, now=self._clock.now(), preferences=self._preferences())

    def _damaged(self, version: str) -> Step | None:
        """Return the step back when the version's files are not what was sealed; looked at once an hour."""
        now = self._clock.monotonic()
        if version == BASE:
            return None
        if self._verified is not None:
            name, at = self._verified
            if name == version and now - at < _VERIFY_SECONDS:
                return None
        try:
            self._versions.verify(version)
        except AllieError as error:
            return Step(stage=Stage.ROLLED_BACK, share=0.0, reasons=(error.message,))
        self._verified = (version, now)
        return None

    def _soundest(self, record: RolloutRecord, *, without: str = "") -> str:
        """Return the version to go back to: the previous one, else the nearest ancestor that verifies."""
        for candidate in (record.previous, *self._ancestors(record.version)):
            if candidate == BASE:
                break
            if candidate in (record.version, without):
                continue
            try:
                self._versions.verify(candidate)
            except AllieError as error:
                _log.warning("%s cannot take over: %s", candidate, error)
                continue
            return candidate
        return BASE

    def _ancestors(self, version: str) -> list[str]:
        """Return what a version was made from, nearest first, as far as that is known; then the base model."""
        parents = {one.metadata.version: one.metadata.parent for one in self._versions.all()}
        line: list[str] = []
        parent = parents.get(version)
        while parent is not None and parent not in line:
            line.append(parent)
            parent = parents.get(parent)
        return [*line, BASE]

    def _restore(self, record: RolloutRecord) -> None:
        if record.automatic:
            self._tell(
                ROLLBACK_ALERT,
                f"{record.version} was undone: {record.reason} {_answers(record.previous)}",
                "What it had learnt counts as new again.",
            )
        self._roll_back(record.previous)

    def _tell(self, key: str, message: str, remedy: str) -> None:
        if any((alert.key, alert.message) == (key, message) for alert in self._alerts.open()):
            return
        self._alerts.resolve(key)
        self._alerts.raise_(
            Alert(key=key, severity="warning", message=message, remedy=remedy, raised_at=self._clock.now())
        )

    def _words(self, record: RolloutRecord, new: Evidence) -> str:
        shown = f" So far: {new.replies} replies, {bad_replies(new)} of them disliked or wanted anew."
        if record.stage in SHARED:
            others = "the base model" if record.previous == BASE else record.previous
            return (
                f"{record.version} answers {record.share:.0%} of new conversations while it proves itself, "
                f"{others} answers the others.{shown}"
            )
        if record.stage is Stage.PROBATION:
            until = record.stage_since + timedelta(days=self._preferences().probation_days)
            return f"{record.version} is watched until {until.astimezone():%Y-%m-%d %H:%M}.{shown}"
        if record.stage is Stage.ROLLED_BACK and record.automatic:
            return f"{record.version} was undone: {record.reason}"
        if record.stage is Stage.ROLLED_BACK:
            instead = "the base model" if record.previous == BASE else record.previous
            return f"You chose {instead} instead of {record.version}."
        return f"{record.version} has proved itself."


def _answers(version: str) -> str:
    return "The base model answers again." if version == BASE else f"{version} answers again."

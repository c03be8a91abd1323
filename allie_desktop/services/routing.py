"""Which version answers a conversation while a new one takes over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from allie_desktop.domain.continuation import request_digest
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.planning import Message
from allie_desktop.domain.ports import VersionRepository
from allie_desktop.domain.rollout import SHARED, Stage, chance
from allie_desktop.domain.versions import BASE
from allie_desktop.services.rollout import RolloutRecords

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Arms:
    """Who answers: ``new`` alone, or with ``old``, which keeps its conversations."""

    new: str
    old: str | None = None
    share: float = 1.0
    shared: bool = False


class RolloutRouter:
    """Implements :class:`domain.ports.VersionRouter`.

    :meth:`wanted` may be called from any thread. :meth:`choose` and :meth:`failed` ask the store, through
    ``begun_on`` (:meth:`services.recording.RecordingService.begun_on`) and ``fail``
    (:meth:`RolloutService.fail`), and belong to the thread of those.
    """

    def __init__(
        self,
        *,
        versions: VersionRepository,
        records: RolloutRecords,
        begun_on: Callable[[str | None, Sequence[Message]], str | None],
        fail: Callable[[str, str], None],
    ) -> None:
        self._versions = versions
        self._records = records
        self._begun_on = begun_on
        self._fail = fail
        self._known: tuple[object, _Arms] | None = None

    def choose(self, conversation_id: str | None, messages: Sequence[Message]) -> str:
        """See :meth:`domain.ports.VersionRouter.choose`. A store that cannot be asked keeps nobody from an
        answer: the conversation counts as new then."""
        arms = self._arms()
        if arms.old is None:
            return arms.new
        try:
            begun = self._begun_on(conversation_id, messages)
        except AllieError as error:
            _log.warning("Nobody knows which version began this conversation: %s", error)
            begun = None
        if begun == arms.old:
            return arms.old
        if begun == arms.new or not arms.shared:
            return arms.new
        if begun is not None:
            return arms.old  # it began before either: it is no new conversation
        lot = chance(arms.new, conversation_id or _opening(messages))
        return arms.new if lot < arms.share else arms.old

    def wanted(self) -> tuple[str, ...]:
        """See :meth:`domain.ports.VersionRouter.wanted`."""
        arms = self._arms()
        if arms.old is None:
            return (arms.new,)
        return (arms.new, arms.old) if arms.share >= 0.5 else (arms.old, arms.new)

    def failed(self, version: str, reason: str) -> None:
        """See :meth:`domain.ports.VersionRouter.failed`."""
        self._fail(version, reason)

    def _arms(self) -> _Arms:
        stamp = self._records.stamp()
        known = self._known
        if known is not None and known[0] == stamp:
            return known[1]
        arms = self._read()
        self._known = (stamp, arms)
        return arms

    def _read(self) -> _Arms:
        active = self._versions.pointer().active
        record = self._records.read()
        if record is None or record.version != active:
            return _Arms(active)
        if record.stage is Stage.ROLLED_BACK:
            return _Arms(record.previous if self._is_there(record.previous) else active)
        keeps_old = record.stage in SHARED or (record.stage is Stage.PROBATION and not record.at_once)
        if not keeps_old or not self._is_there(record.previous):
            return _Arms(active)
        return _Arms(active, record.previous, record.share, record.stage in SHARED)

    def _is_there(self, version: str) -> bool:
        if version == BASE:
            return True
        try:
            self._versions.get(version)
        except AllieError:
            return False
        return True


def _opening(messages: Sequence[Message]) -> str:
    """Return what stays the same of a conversation without a name: all up to its first question."""
    first = next((place for place, one in enumerate(messages) if one.role is Role.USER), len(messages))
    return request_digest(messages[: first + 1]).hex()

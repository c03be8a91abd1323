"""Forgetting conversations for good, whatever interrupts it.

What shall be forgotten is written down first and crossed out last, in a file beside the store. Whoever is
killed in between, or gets the store back from a backup that still had it, does it again at the next start:

1. the versions that learnt from it, and those that stand on them, are marked;
2. folders of episodes whose plans hold its words are deleted; reports of versions keep no texts;
3. it is deleted from the store and all backups;
4. an episode that learns everything else anew is wished for, at high priority.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from allie_desktop.domain.conditions import Priority
from allie_desktop.domain.errors import UnknownVersionError
from allie_desktop.domain.ports import (
    Clock,
    ConversationRepository,
    EpisodeFiles,
    RequestRepository,
    VersionRepository,
)
from allie_desktop.domain.requests import Origin, QueuedRequest
from allie_desktop.domain.versions import BASE

#: The key of the one wish for an episode that unlearns.
REBUILD = f"{Origin.REPAIR.value}:forgotten"


class ForgettingStore(ConversationRepository, Protocol):
    """What forgetting needs of the store, besides the port."""

    def forget_many(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Forget several at the cost of one; unknown ids are left out."""

    def traces(self) -> tuple[str, ...]:
        """Return the ids of forgotten conversations that a backup or the file may still hold."""


class Journal(Protocol):
    """What is being forgotten: durable, and apart from the store."""

    def read(self) -> tuple[str, ...]:
        """Return the ids."""

    def write(self, ids: Iterable[str]) -> None:
        """Replace them."""


class Forgetting:
    """Forgets, and goes on with it after an interruption. From the thread of the repositories.

    ``versions`` None: the base model cannot be read, so versions are marked at a later start.
    ``elsewhere`` is told the ids, to delete what else there is of them.
    """

    def __init__(
        self,
        *,
        conversations: ForgettingStore,
        versions: VersionRepository | None,
        files: EpisodeFiles,
        requests: RequestRepository,
        journal: Journal,
        clock: Clock,
        elsewhere: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self._conversations = conversations
        self._versions = versions
        self._files = files
        self._requests = requests
        self._journal = journal
        self._clock = clock
        self._elsewhere = elsewhere

    def forget(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Forget conversations by their whole ids; return the versions that are marked for it."""
        wanted = tuple(dict.fromkeys((*self._journal.read(), *ids)))
        if not wanted:
            return ()
        self._journal.write(wanted)
        learnt = tuple(dict.fromkeys(name for one in wanted for name in self._conversations.versions_of(one)))
        marked = self._mark(learnt)
        for one in wanted:
            self._files.forget(one)
        self._elsewhere(wanted)
        self._conversations.forget_many(wanted)
        if self._versions is not None:
            self._versions.redact()
            self._wish_to_rebuild()
        # Unmarked versions keep their note too: without the base model nobody knows them.
        left = wanted if self._versions is None and learnt else self._conversations.traces()
        self._journal.write(one for one in wanted if one in left)
        return marked

    def resume(self) -> tuple[str, ...]:
        """Go on with what was interrupted; for the start of the program, and after a restore."""
        return self.forget(())

    def _mark(self, learnt: Sequence[str]) -> tuple[str, ...]:
        if self._versions is None:
            return tuple(learnt)
        parents = {one.metadata.version: one.metadata.parent for one in self._versions.all()}
        marked = list(learnt)
        for name in marked:  # grows while it is walked: descendants of descendants
            marked.extend(
                child for child, parent in parents.items() if parent == name and child not in marked
            )
        when = f"{self._clock.now():%Y-%m-%d}"
        for name in marked:
            with contextlib.suppress(UnknownVersionError):  # a pruned version has nothing left to mark
                self._versions.set_tainted(name, f"It learnt from a conversation forgotten on {when}.")
        return tuple(marked)

    def _wish_to_rebuild(self) -> None:
        if self._versions is None:
            return
        active = self._versions.pointer().active
        if active == BASE or not self._versions.get(active).tainted:
            return
        self._requests.put(
            QueuedRequest(
                key=REBUILD,
                origin=Origin.REPAIR,
                wish=Priority.HIGH,
                reason="to learn anew without what you had forgotten",
                asked_at=self._clock.now(),
                standing=Priority.HIGH,
            )
        )

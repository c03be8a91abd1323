"""Putting a version into use, and taking it back.

Every step is recorded before it is done, and doing it again changes nothing. A process that is killed
anywhere in between therefore ends, after :meth:`Deployment.deploy` was called again for the same episode,
fully before or fully after: the pointer decides, and it is replaced by one rename.

1. the version's name is persisted with the episode;
2. the candidate is sealed under it; 3. verified by hash; 4. really loaded and asked;
5. how it takes over is noted, and the pointer is replaced;
6. what it learnt is marked as learnt; 7. the replay buffer is updated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from allie_desktop.domain.errors import (
    AllieError,
    BadInputError,
    DiskFullError,
    OutOfMemoryError,
    ProbeError,
    StoreError,
    UnknownVersionError,
    VersionCorruptError,
)
from allie_desktop.domain.lifecycle import Episode
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.ports import (
    AdapterProbe,
    Clock,
    ConversationRepository,
    EpisodeFiles,
    EpisodeRepository,
    VersionRepository,
)
from allie_desktop.domain.versions import BASE, ActivePointer, Version, VersionMetadata
from allie_desktop.services.episode_metrics import ASKED, for_people

_log = logging.getLogger(__name__)


class DeploymentRefusedError(AllieError):
    """A candidate passed the gate but cannot be put into use; nothing was changed."""


class ForgottenMeanwhileError(DeploymentRefusedError):
    """A conversation that it learnt from was forgotten: nothing of it may stay."""


#: Reasons that have nothing to do with the candidate, and may be gone next time.
_PASSING = (DiskFullError, OutOfMemoryError, ProbeError, StoreError)


class Rollouts(Protocol):
    """How versions take over: :class:`services.rollout.RolloutService`."""

    def begin(self, version: str, previous: str, *, at_once: bool) -> None:
        """Note how ``version`` will take over, just before it becomes the active one."""

    def chosen(self, version: str, *, instead_of: str) -> None:
        """Note that ``version`` will answer instead, just before it does."""

    def finish(self) -> None:
        """Carry out a roll-back that was decided and interrupted."""


class Deployment:
    """Deploys, rolls back and repairs. From one thread; :meth:`deploy` and :meth:`reconcile` only while
    holding the episode slot, :meth:`rollback` at any time.

    ``update_replay`` brings the replay buffer up to date after a deployment; it is called again for the
    same plan after an interruption. ``software`` is written into the metadata.
    """

    def __init__(
        self,
        *,
        versions: VersionRepository,
        conversations: ConversationRepository,
        episodes: EpisodeRepository,
        files: EpisodeFiles,
        probe: AdapterProbe,
        update_replay: Callable[[Plan], None],
        clock: Clock,
        software: Mapping[str, str] | None = None,
        rollout: Rollouts | None = None,
    ) -> None:
        self._versions = versions
        self._conversations = conversations
        self._episodes = episodes
        self._files = files
        self._probe = probe
        self._update_replay = update_replay
        self._clock = clock
        self._software = dict(software or {})
        self._rollout = rollout

    def deploy(self, episode: Episode, plan: Plan) -> Version:
        """Put an episode's candidate into use, or go on with a deployment that was interrupted.

        Raise :class:`DeploymentRefusedError`, with every trace removed, when this candidate must not be
        used; another :class:`AllieError` when it may be tried again later.
        """
        name = episode.version
        if name is None or self._is_anothers(name, episode):
            name = self._versions.next_name()
            episode = replace(episode, version=name)
            self._episodes.update(episode)
        if self._versions.pointer().active != name:
            try:
                self._put_into_use(name, episode, plan)
            except _PASSING:
                raise
            except DeploymentRefusedError:
                self.withdraw(episode)
                raise
            except AllieError as error:
                self.withdraw(episode)
                raise DeploymentRefusedError(error.message, error.remedy) from error
        known = self._conversations.get_many(plan.conversation_ids)
        self._conversations.mark_learned(
            [one for one in plan.conversation_ids if one in known],
            version=name,
            at=self._clock.now(),
            as_of=plan.created_at,
        )
        self._update_replay(plan)
        return self._versions.get(name)

    def withdraw(self, episode: Episode) -> Episode:
        """Remove the version of an episode that is given up, if it is not in use; return the episode."""
        if episode.version is None or self._is_anothers(episode.version, episode):
            return episode
        try:
            self._versions.remove(episode.version)
        except UnknownVersionError:
            pass  # it was never sealed
        except (AllieError, OSError) as error:
            _log.warning("Version %s could not be deleted: %s", episode.version, error)
        episode = replace(episode, version=None)
        self._episodes.update(episode)
        return episode

    def rollback(self, to: str | None = None) -> ActivePointer:
        """Let another version answer: ``to``, or the parent of the active one; ``base`` is one too.

        What the versions given up had learnt is new material again; what the versions taken up had learnt
        is learnt again. The version given up is the fallback, so that going back is one more call.
        Raise :class:`UnknownVersionError`, :class:`VersionCorruptError`, or :class:`BadInputError` when
        the base model answers already and there is nothing to undo.
        """
        active = self._versions.pointer().active
        before = self._lineage(active)
        if to is None:
            if active == BASE:
                raise BadInputError("The base model answers already.", "There is nothing to undo.")
            to = next((name for name in before[1:] if self._is_there(name)), BASE)
        if to == active:
            return self._versions.pointer()
        if to != BASE:
            self._versions.verify(to)
        after = self._lineage(to)
        if self._rollout is not None:
            self._rollout.chosen(to, instead_of=active)
        self._versions.activate(
            to, fallback=active, reason=f"rolled back from {active}", at=self._clock.now()
        )
        for name in before:
            if name != BASE and name not in after:
                self._conversations.unmark_learned(version=name)
        self._mark_again([name for name in after if name != BASE and name not in before])
        return self._versions.pointer()

    def unlearn(self) -> str | None:
        """Let the newest version answer that learnt nothing that was forgotten since; return its name, or
        None when that one answers already. What the others learnt besides is new material again."""
        pointer = self._versions.pointer()
        tainted = {version.metadata.version for version in self._versions.all() if version.tainted}
        line = self._lineage(pointer.active)
        if not tainted & set(line):
            return None
        to = BASE
        for name in reversed(line):
            if name in tainted:
                break
            if name == BASE or self._is_sound(name):
                to = name
        self.rollback(to)
        # Not to go back to: it still knows.
        self._versions.activate(
            to, fallback=BASE, reason="what you had forgotten was unlearnt", at=self._clock.now()
        )
        return to

    def undone(self) -> frozenset[str]:
        """Return the versions that the active one does not stand on: rolled back, or never in use."""
        line = self._lineage(self._versions.pointer().active)
        if line[-1] != BASE:
            return frozenset()  # nobody knows how it goes on
        return frozenset(version.metadata.version for version in self._versions.all()) - set(line)

    def reconcile(self) -> tuple[str, ...]:
        """Make sure that the active version can be loaded and that only versions in use count as having
        learnt; return sentences about what had to be repaired."""
        repaired = []
        self._tidy()
        if self._rollout is not None:
            self._rollout.finish()
        pointer = self._versions.pointer()
        if pointer.active != BASE:
            try:
                self._versions.verify(pointer.active)
            except (VersionCorruptError, UnknownVersionError) as error:
                sound = self._soundest(pointer)
                self._versions.activate(
                    sound, fallback=BASE, reason=f"{pointer.active} is damaged", at=self._clock.now()
                )
                repaired.append(f"{error.message} Now {sound} answers.")
        for name in sorted(self.undone()):
            self._conversations.unmark_learned(version=name)
        return tuple(repaired)

    # --- inside ---

    def _tidy(self) -> None:
        try:
            self._versions.tidy()
            self._files.tidy()
        except (AllieError, OSError) as error:
            _log.warning("What was left over could not be deleted: %s", error)

    def _put_into_use(self, name: str, episode: Episode, plan: Plan) -> None:
        parent = plan.parent or BASE
        pointer = self._versions.pointer()
        if pointer.active != parent:
            raise DeploymentRefusedError(
                f"{pointer.active} became active while Allie was learning from {parent}.",
                "The next episode starts from there.",
            )
        if not self._is_there(name):
            self._seal(name, episode, plan)
        try:
            self._versions.verify(name)
        except VersionCorruptError as error:
            # The disk's fault, not the candidate's: sealed once more when the episode goes on.
            self.withdraw(episode)
            raise StoreError(error.message, "Check the disk; Allie tries again by itself.") from error
        version = self._versions.get(name)
        answers = self._probe.probe(Path(version.path))
        if sum(bool(answer.strip()) for answer in answers) * 2 <= len(answers):
            raise DeploymentRefusedError(f"{name} was loaded, but does not answer.")
        self._refuse_forgotten(plan)
        if self._rollout is not None:
            self._rollout.begin(name, pointer.active, at_once=episode.metrics.get(ASKED) is True)
        self._versions.activate(
            name, fallback=pointer.active, reason=f"learnt in episode {episode.id}", at=self._clock.now()
        )

    def _seal(self, name: str, episode: Episode, plan: Plan) -> None:
        metadata = VersionMetadata(
            version=name,
            parent=plan.parent,
            base_name=plan.base.name,
            base_sha256=plan.base.sha256,
            created_at=self._clock.now(),
            episode_id=episode.id,
            plan_digest=episode.plan_digest,
            conversations=len(plan.conversation_ids),
            metrics=for_people(episode.metrics),
            software=self._software,
        )
        self._versions.seal(
            name, self._files.candidate(episode.id), metadata, [self._files.report_to_keep(episode.id)]
        )

    def _refuse_forgotten(self, plan: Plan) -> None:
        used = {*plan.conversation_ids, *(example.conversation_id for example in plan.replay)} - {""}
        if used - self._conversations.get_many(sorted(used)).keys():
            raise ForgottenMeanwhileError(
                "A conversation was forgotten while Allie was learning from it.",
                "The next episode learns without it.",
            )

    def _is_there(self, name: str) -> bool:
        if name == BASE:
            return True
        try:
            self._versions.get(name)
        except UnknownVersionError:
            return False
        return True

    def _is_anothers(self, name: str, episode: Episode) -> bool:
        try:
            return self._versions.get(name).metadata.episode_id != episode.id
        except UnknownVersionError:
            return False

    def _is_sound(self, name: str) -> bool:
        try:
            self._versions.verify(name)
        except AllieError:
            return False
        return True

    def _lineage(self, name: str) -> tuple[str, ...]:
        """Return ``name`` and those it stands on, down to ``base``, also past versions since deleted."""
        parents = {
            episode.version: episode.parent for episode in self._all_episodes() if episode.version is not None
        }
        parents |= {version.metadata.version: version.metadata.parent for version in self._versions.all()}
        line = [name]
        while line[-1] != BASE and line[-1] in parents:
            parent = parents[line[-1]] or BASE
            if parent in line:
                break
            line.append(parent)
        return tuple(line)

    def _all_episodes(self) -> Sequence[Episode]:
        """Return all, newest first."""
        return self._episodes.latest(limit=self._episodes.count())

    def _mark_again(self, names: Sequence[str]) -> None:
        """Let what versions learnt count as learnt again; their own files may have been deleted since."""
        if not names:
            return
        began = {one.version: one.created_at for one in reversed(self._all_episodes())}
        for name in names:
            as_of = began.get(name)
            if as_of is None:
                as_of = (
                    self._versions.get(name).metadata.created_at
                    if self._is_there(name)
                    else self._clock.now()
                )
            self._conversations.mark_learned(
                self._conversations.learned_by(name), version=name, at=self._clock.now(), as_of=as_of
            )

    def _soundest(self, pointer: ActivePointer) -> str:
        """Return the nearest ancestor that verifies. Never one that was undone: better the base model."""
        for name in self._lineage(pointer.active)[1:]:
            if name == BASE:
                break
            try:
                self._versions.verify(name)
            except AllieError:
                continue
            return name
        return BASE

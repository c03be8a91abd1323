"""What is deleted when it has served: old versions, and the folders of old episodes."""

from __future__ import annotations

import logging

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.lifecycle import FINAL_STATES
from allie_desktop.domain.ports import EpisodeFiles, EpisodeRepository, VersionRepository
from allie_desktop.domain.versions import VersionName, VersionState

_log = logging.getLogger(__name__)

_IN_USE = frozenset({VersionState.ACTIVE, VersionState.FALLBACK, VersionState.SHADOW})


class Retention:
    """Keeps the newest versions, every pinned one, and whatever is in use; from one thread.

    ``keep_versions`` counts every version, also those that were undone. Of episodes, the newest
    ``keep_episodes`` keep their folder with plan and report, for the history.
    """

    def __init__(
        self,
        *,
        versions: VersionRepository,
        episodes: EpisodeRepository,
        files: EpisodeFiles,
        keep_versions: int = 5,
        keep_episodes: int = 50,
    ) -> None:
        self._versions = versions
        self._episodes = episodes
        self._files = files
        self._keep_versions = keep_versions
        self._keep_episodes = keep_episodes

    def prune_versions(self) -> tuple[str, ...]:
        """Delete what is too old; return the names. One that cannot be deleted now is tried next time."""
        newest_first = sorted(
            self._versions.all(),
            key=lambda version: VersionName.parse(version.metadata.version),
            reverse=True,
        )
        gone = []
        for version in reversed(newest_first[self._keep_versions :]):
            name = version.metadata.version
            if version.pinned or version.state in _IN_USE:
                continue
            try:
                self._versions.remove(name)
            except (AllieError, OSError) as error:
                _log.warning("Version %s could not be deleted: %s", name, error)
            else:
                gone.append(name)
        return tuple(gone)

    def prune_episodes(self) -> tuple[str, ...]:
        """Delete folders of episodes that nobody knows, and of old ones that have ended; return their ids.

        To be called only while holding the episode slot: a folder is made before its episode is known.
        """
        kept = {episode.id for episode in self._episodes.latest(limit=self._keep_episodes)}
        gone = []
        for episode_id in self._files.ids():
            if episode_id in kept:
                continue
            episode = self._episodes.get(episode_id)
            if episode is not None and episode.state not in FINAL_STATES:
                continue
            try:
                self._files.remove(episode_id)
            except OSError as error:
                _log.warning("The folder of episode %s could not be deleted: %s", episode_id, error)
            else:
                gone.append(episode_id)
        return tuple(gone)

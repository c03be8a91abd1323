"""What is deleted when it has served: old versions, and the folders of old episodes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.lifecycle import FINAL_STATES
from allie_desktop.domain.ports import EpisodeFiles, EpisodeRepository, VersionRepository
from allie_desktop.domain.versions import VersionName, VersionState

_log = logging.getLogger(__name__)

_IN_USE = frozenset({VersionState.ACTIVE, VersionState.FALLBACK, VersionState.SHADOW})


class Retention:
    """Keeps the newest versions, every pinned one, and whatever is in use; from one thread.

    ``budget_bytes`` bounds all versions together with ``other_bytes`` (the backups); beyond it the oldest go,
    down to those that never do: active, fallback, pinned, being tried. A version that learnt what was forgotten
    since goes as soon as nobody uses it. ``keep_versions`` counts every version, also those that were undone. Of episodes, the newest
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
        budget_bytes: int | None = None,
        other_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._versions = versions
        self._episodes = episodes
        self._files = files
        self._keep_versions = keep_versions
        self._keep_episodes = keep_episodes
        self._budget_bytes = budget_bytes
        self._other_bytes = other_bytes

    def prune_versions(self) -> tuple[str, ...]:
        """Delete what is too old; return the names. One that cannot be deleted now is tried next time."""
        newest_first = sorted(
            self._versions.all(),
            key=lambda version: VersionName.parse(version.metadata.version),
            reverse=True,
        )
        gone = []
        sizes = {version.metadata.version: _size(Path(version.path)) for version in newest_first}
        total = sum(sizes.values()) + (self._other_bytes() if self._budget_bytes is not None else 0)
        surplus = {version.metadata.version for version in newest_first[self._keep_versions :]}
        for version in reversed(newest_first):
            name = version.metadata.version
            if version.pinned or version.state in _IN_USE:
                continue
            too_much = self._budget_bytes is not None and total > self._budget_bytes
            if name not in surplus and not too_much and not version.tainted:
                continue
            try:
                self._versions.remove(name)
            except (AllieError, OSError) as error:
                _log.warning("Version %s could not be deleted: %s", name, error)
            else:
                gone.append(name)
                total -= sizes[name]
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


def _size(folder: Path) -> int:
    """Return what a version's folder takes; what comes and goes meanwhile counts for nothing."""
    try:
        return sum(file.lstat().st_size for file in folder.iterdir())
    except OSError:
        return 0

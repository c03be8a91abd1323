"""Which pairs of answers a person is asked about, blind, and what came of it.

Asked are the answers that a deployed version and the one before it gave to the person's own questions when the
version was checked: a few of them, drawn evenly and always the same, so that neither the best nor the worst
are picked out. Each is asked once ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from allie_desktop.domain.comparison import MOST_ASKED, AnswerPair, Choice, Comparison, Preference
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.ports import Clock, ComparisonRepository, EpisodeRepository
from allie_desktop.domain.rollout import chance
from allie_desktop.domain.settings import Preferences
from allie_desktop.domain.validation import AnswerSample, WorkerReport
from allie_desktop.services.report import OWN_KINDS, clean, shortened

#: Longest text of a question or an answer that is shown, in characters.
LONGEST_SHOWN = 1500


class BlindComparisons:
    """Asks and counts. From the thread of the repositories.

    ``report_of`` returns an episode's report; None when it is not there any more. ``preferences`` are asked for
    each time.
    """

    def __init__(
        self,
        *,
        comparisons: ComparisonRepository,
        episodes: EpisodeRepository,
        report_of: Callable[[str], WorkerReport | None],
        preferences: Callable[[], Preferences],
        clock: Clock,
    ) -> None:
        self._comparisons = comparisons
        self._episodes = episodes
        self._report_of = report_of
        self._preferences = preferences
        self._clock = clock

    def next_pair(self, episode_id: str) -> AnswerPair | None:
        """Return the pair of this episode to be asked now; None when there is none (any more), when the episode
        brought no version, or when the person does not want to be asked."""
        if not self._preferences().ask_comparisons:
            return None
        return next(iter(self._open(episode_id)), None)

    def note(self, pair: AnswerPair, choice: Choice) -> None:
        """Keep what the person said of a pair; what was said of it before stays."""
        self._comparisons.add(
            Comparison(episode_id=pair.episode_id, place=pair.place, choice=choice, at=self._clock.now())
        )

    def skip_all(self, episode_id: str) -> None:
        """Ask nothing more about this episode, since the person is about to see which answer is whose."""
        for pair in self._open(episode_id):
            self.note(pair, Choice.SKIPPED)

    def preference(self, episode_id: str) -> Preference:
        """Return what all comparisons say of the version that an episode made."""
        return Preference.of(self._comparisons.of_episode(episode_id))

    def _open(self, episode_id: str) -> Sequence[AnswerPair]:
        episode = self._episodes.get(episode_id)
        if episode is None or episode.state is not EpisodeState.COMPLETED or episode.version is None:
            return ()
        asked = {comparison.place for comparison in self._comparisons.of_episode(episode_id)}
        if len(asked) >= MOST_ASKED:
            return ()
        report = self._report_of(episode_id)
        if report is None:
            return ()
        pairs = drawn_pairs(episode_id, report.measurements.samples)
        return [pair for pair in pairs if pair.place not in asked]


def drawn_pairs(episode_id: str, samples: Sequence[AnswerSample]) -> tuple[AnswerPair, ...]:
    """Return the few pairs of an episode that are asked, in their order; pure and always the same.

    Left out are test questions, what looks the same on both sides, and repetitions.
    """
    seen: set[tuple[str, str, str]] = set()
    found = []
    for place, sample in enumerate(samples):
        question, old, new = (_shown(one) for one in (sample.prompt, sample.active, sample.candidate))
        if sample.kind not in OWN_KINDS or old.split() == new.split() or (question, old, new) in seen:
            continue
        seen.add((question, old, new))
        found.append((chance(episode_id, str(place)), place, question, old, new))
    drawn = sorted(found)[:MOST_ASKED]
    return tuple(
        AnswerPair(
            episode_id=episode_id,
            place=place,
            question=question,
            old=old,
            new=new,
            number=number,
            of=len(drawn),
        )
        for number, (_, place, question, old, new) in enumerate(drawn, start=1)
    )


def preference_metrics(preference: Preference) -> dict[str, object] | None:
    """Return a preference as a metric of the version, in JSON types; None where nothing was asked.

    ``share`` is that of the pairs judged in which the new answer was preferred (no difference: half), ``low``
    and ``high`` bound that of all such pairs with the probability ``confidence``; None without any judged.
    """
    if not (preference.comparisons or preference.skipped):
        return None
    interval = preference.interval
    return {
        "comparisons": preference.comparisons,
        "new": preference.new,
        "old": preference.old,
        "same": preference.same,
        "skipped": preference.skipped,
        "share": preference.share,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "confidence": None if interval is None else interval.confidence,
    }


def _shown(text: str) -> str:
    return clean(shortened(text, LONGEST_SHOWN)).strip()

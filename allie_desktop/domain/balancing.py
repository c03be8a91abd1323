"""Choose from the new conversations: the best first, but no source, day, topic or length takes over.

One bad source must not be able to steer what is learnt (poisoning), and fifty chats about one subject
must not push out the rest. What a person taught goes first and is hardly limited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from allie_desktop.domain.ports import Candidate
from allie_desktop.domain.quality import TAUGHT_ORIGINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Upper bounds on one episode's new material. Shares are of ``conversations``.

    A cap never leaves an episode with fewer than ``minimum`` conversations of one kind, so that small
    collections from a single source are not thinned out.
    """

    conversations: int = 500
    source_share: float = 0.6
    topic_share: float = 0.4
    day_share: float = 0.5  # from one source on one day
    length_share: float = 0.6  # short, middle or long ones
    taught: int = 200  # taught conversations altogether
    taught_source_share: float = 0.9  # of ``taught``
    characters: int = 4_000_000  # in all
    minimum: int = 60

    def limit(self, share: float) -> int:
        """Return the number of conversations that a share allows."""
        return max(int(share * self.conversations), min(self.minimum, self.conversations))

    def wider(self, factor: int) -> Caps:
        """Return caps that let ``factor`` times as much through, in the same proportions."""
        return replace(
            self,
            conversations=self.conversations * factor,
            taught=self.taught * factor,
            characters=self.characters * factor,
            minimum=self.minimum * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen, in order, and how many were left out for which reason."""

    chosen: tuple[Candidate, ...]
    left_out: dict[str, int] = field(default_factory=dict)


#: Bounds between short, middle and long conversations, in characters.
LENGTH_BOUNDS = (600, 3_000)

OVER_TOTAL = "More than one episode takes; its turn comes later."
OVER_SOURCE = "Enough from one source already."
OVER_TOPIC = "Enough on one topic already."
OVER_DAY = "Enough from one source and day already."
OVER_LENGTH = "Enough conversations of this length already."
OVER_CHARACTERS = "Too long for what room is left."


def choose(candidates: Iterable[Candidate], caps: Caps) -> Choice:
    """Choose under the caps; ``candidates`` come in order of preference. Pure.

    Taught conversations are taken first whatever their place. What is left out stays new.
    """
    pool = list(candidates)
    taught = [candidate for candidate in pool if candidate.origin in TAUGHT_ORIGINS]
    ordinary = [candidate for candidate in pool if candidate.origin not in TAUGHT_ORIGINS]
    left_out: Counter[str] = Counter()
    chosen: list[Candidate] = []
    characters = 0
    sources: Counter[str] = Counter()
    most = min(caps.taught, caps.conversations)
    for candidate in taught:
        if len(chosen) >= most:
            left_out[OVER_TOTAL] += 1
        elif sources[candidate.source] >= max(int(caps.taught_source_share * most), min(caps.minimum, most)):
            left_out[OVER_SOURCE] += 1
        else:
            chosen.append(candidate)
            sources[candidate.source] += 1
            characters += candidate.characters
    room = caps.conversations - len(chosen)
    counted: Counter[tuple[str, str]] = Counter()
    for candidate in ordinary:
        if room <= 0:
            left_out[OVER_TOTAL] += 1
            continue
        kinds = _kinds(candidate, caps)
        reason = next((why for key, limit, why in kinds if counted[key] >= limit), "")
        if not reason and characters + candidate.characters > caps.characters:
            reason = OVER_CHARACTERS
        if reason:
            left_out[reason] += 1
            continue
        chosen.append(candidate)
        room -= 1
        characters += candidate.characters
        counted.update(key for key, _, _ in kinds)
    return Choice(chosen=tuple(chosen), left_out=dict(left_out))


def _kinds(candidate: Candidate, caps: Caps) -> tuple[tuple[tuple[str, str], int, str], ...]:
    length = sum(candidate.characters > bound for bound in LENGTH_BOUNDS)
    day = f"{candidate.source}\x00{candidate.created_at:%Y-%m-%d}"
    return (
        (("source", candidate.source), caps.limit(caps.source_share), OVER_SOURCE),
        (("day", day), caps.limit(caps.day_share), OVER_DAY),
        (("topic", candidate.topic), caps.limit(caps.topic_share), OVER_TOPIC),
        (("length", str(length)), caps.limit(caps.length_share), OVER_LENGTH),
    )

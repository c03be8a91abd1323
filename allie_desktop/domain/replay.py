"""Who stays in the replay buffer: bounded, by reservoir and priority, balanced by topic, with a part that
never trains.

Taught lessons stay as long as there is room at all. Of the rest a weighted reservoir is kept (Efraimidis
and Spirakis 2006): each conversation draws one number from its own id, for ever, so that who stays depends
on neither the order of episodes nor on chance.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from allie_desktop.domain.planning import Split
from allie_desktop.domain.quality import TAUGHT_ORIGINS, TargetOrigin

#: How much likelier a conversation is to stay, by its strongest target.
PRIORITIES: Mapping[TargetOrigin, float] = MappingProxyType(
    {
        TargetOrigin.EDIT: 8.0,
        TargetOrigin.CORRECTION: 8.0,
        TargetOrigin.APPROVED: 4.0,
        TargetOrigin.IMPORTED: 2.0,
        TargetOrigin.OWN: 1.0,
    }
)

# A conversation loses half of its advantage in this time.
_HALF_LIFE_DAYS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayItem:
    """What the choice needs to know of a learnt conversation."""

    id: str
    topic: str
    origin: TargetOrigin
    split: Split
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayMembership:
    """Ids of the conversations that may be replayed, and of those that only measure forgetting."""

    train: tuple[str, ...]
    holdout: tuple[str, ...]


def choose_members(
    items: Iterable[ReplayItem], *, now: datetime, train: int = 600, holdout: int = 60
) -> ReplayMembership:
    """Return the membership from all learnt conversations at hand (old members and new ones). Pure.

    What is not in the training part of the split goes to the hold-out part or nowhere. At most ``train``
    and ``holdout`` members; taught ones fill up to nine tenths of ``train``, the newest first.
    """
    known = {item.id: item for item in items}
    taught = [item for item in known.values() if item.origin in TAUGHT_ORIGINS]
    taught.sort(key=lambda item: (item.created_at, item.id), reverse=True)
    rest = [item for item in known.values() if item.origin not in TAUGHT_ORIGINS]
    trains = [item for item in rest if item.split is Split.TRAIN]
    never = [item for item in rest if item.split is not Split.TRAIN]
    kept = taught[: train if not trains else max(train * 9 // 10, train - len(trains))]
    ordinary = _balanced(trains, train - len(kept), now)
    return ReplayMembership(
        train=tuple(item.id for item in [*kept, *ordinary]),
        holdout=tuple(item.id for item in _balanced(never, holdout, now)),
    )


def _balanced(items: list[ReplayItem], most: int, now: datetime) -> list[ReplayItem]:
    """Take from each topic in turn, the likeliest to stay first."""
    topics: dict[str, list[ReplayItem]] = defaultdict(list)
    for item in sorted(items, key=lambda item: (-_key(item, now), item.id)):
        topics[item.topic].append(item)
    chosen: list[ReplayItem] = []
    rounds = [topics[topic] for topic in sorted(topics)]
    depth = 0
    while len(chosen) < most and any(len(queue) > depth for queue in rounds):
        chosen += [queue[depth] for queue in rounds if len(queue) > depth][: most - len(chosen)]
        depth += 1
    return chosen


def _key(item: ReplayItem, now: datetime) -> float:
    """Return u^(1/weight): the larger the weight, the nearer to 1."""
    digest = hashlib.sha256(item.id.encode("utf-8", "surrogatepass")).digest()
    drawn = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
    days = max((now - item.created_at).total_seconds() / 86_400, 0.0)
    weight = PRIORITIES[item.origin] * (0.25 + 0.75 * 0.5 ** (days / _HALF_LIFE_DAYS))
    return float(drawn ** (1.0 / weight))

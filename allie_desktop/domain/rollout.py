"""How a new version takes over from the one before, step by step, and when it is taken back.

    first share → second share → probation → healthy
         ↘            ↘             ↘ rolled back

A version goes on when it has shown enough, or when time has passed and nothing speaks against it: whoever
chats little must not wait for weeks. It is taken back at once when it breaks, and otherwise when the replies
that the person disliked, corrected or wanted anew are more than before beyond reasonable doubt. Ramping up in
steps with such guards is described in Xu et al., *SQR: Balancing Speed, Quality and Risk in Online
Experiments*, KDD 2018.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from allie_desktop.domain.chat import Evidence
from allie_desktop.domain.preferences import Preferences
from allie_desktop.domain.statistics import beta_masses


class Stage(str, Enum):
    """How far a new version has come."""

    FIRST = "first share"
    SECOND = "second share"
    PROBATION = "probation"  # it answers everything, under watch
    HEALTHY = "healthy"
    ROLLED_BACK = "rolled back"


#: Stages in which the version can still be taken back by itself.
WATCHED = frozenset({Stage.FIRST, Stage.SECOND, Stage.PROBATION})
#: Stages in which two versions answer.
SHARED = frozenset({Stage.FIRST, Stage.SECOND})


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRecord:
    """How far a version has come; ``previous`` is the one that it takes over from. Times are aware (UTC).

    ``share`` of new conversations go to ``version``, in [0, 1]. ``at_once``: nobody had to wait, and no
    conversation stays with ``previous``. ``automatic``: Allie itself took it back, not the person.
    """

    version: str
    previous: str
    stage: Stage
    share: float
    started_at: datetime
    stage_since: datetime
    reason: str = ""
    at_once: bool = False
    automatic: bool = False
    format: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do now: stay at the record's stage, or go to another one, with reasons in sentences."""

    stage: Stage
    share: float
    reasons: tuple[str, ...] = ()


#: A stage lasts at least so long, however much is chatted: a first impression needs a little time.
SHORTEST_STAGE = timedelta(minutes=30)
#: After so long a stage ends without the evidence of :data:`ENOUGH`, if nothing at all speaks against it …
QUIET_STAGE = timedelta(days=1)
#: … or little does.
LONGEST_STAGE = timedelta(days=3)

#: Replies and conversations of the new version that are enough to go on.
ENOUGH = {Stage.FIRST: (10, 3), Stage.SECOND: (30, 8)}

#: Replies and, of these, bad ones of the new version without which no statistics take it back.
FEWEST_REPLIES, FEWEST_BAD = 12, 4

#: Being worse by less than this share of replies is no reason to go back.
MARGIN = 0.05
#: How sure one must be that the new version is worse to take it back …
SURE = 0.95
#: … and below which doubt it goes on.
DOUBT = 0.5
#: Doubt that keeps a version where it is even after :data:`LONGEST_STAGE`.
STRONG_DOUBT = 0.8

#: Failed and broken replies that take a version back at once, if they are also this share of its replies, and
#: so many times the share that the old version has (or else it is the computer that fails).
FEWEST_FAILURES, FAILING_SHARE, FAILING_TIMES = 3, 0.1, 2.0

#: What is thought of a version before it said anything: of ten replies one is bad.
_PRIOR_BAD, _PRIOR_GOOD = 1.0, 9.0

# More replies than this count as so many: they are as good as certain, and the grid below stays fine enough.
_MOST_COUNTED = 4000
_GRID = 4000


def first_record(
    version: str, previous: str, *, at: datetime, preferences: Preferences, at_once: bool
) -> RolloutRecord:
    """Return how a version begins: with its first share, or at once."""
    share = preferences.rollout_first_percent / 100
    return RolloutRecord(
        version=version,
        previous=previous,
        stage=Stage.PROBATION if at_once else Stage.FIRST,
        share=1.0 if at_once else share,
        started_at=at,
        stage_since=at,
        at_once=at_once,
    )


def moved(record: RolloutRecord, step: Step, *, at: datetime) -> RolloutRecord:
    """Return the record after a step; the same when it stays where it is."""
    if step.stage is record.stage:
        return replace(record, share=step.share) if step.share != record.share else record
    return replace(
        record,
        stage=step.stage,
        share=step.share,
        stage_since=at,
        reason=" ".join(step.reasons),
        automatic=step.stage is Stage.ROLLED_BACK,
    )


def decide(
    record: RolloutRecord, new: Evidence, old: Evidence, *, now: datetime, preferences: Preferences
) -> Step:
    """Return the next step of a roll-out; pure.

    ``new`` is what the new version's replies brought since it began, ``old`` what the previous version's
    did, then and before. One step at a time: whoever calls again may get the next one.
    """
    if record.stage not in WATCHED:
        return Step(stage=record.stage, share=record.share)
    failing = _failing(new, old)
    if failing:
        return Step(stage=Stage.ROLLED_BACK, share=0.0, reasons=(failing,))
    bad = bad_replies(new)
    worse = probability_worse(new, old)
    if new.replies >= FEWEST_REPLIES and bad >= FEWEST_BAD and worse >= SURE:
        return Step(stage=Stage.ROLLED_BACK, share=0.0, reasons=(_worse_words(new, old),))
    lasted = now - record.stage_since
    if record.stage is Stage.PROBATION:
        if lasted >= timedelta(days=preferences.probation_days) and worse < STRONG_DOUBT:
            return Step(stage=Stage.HEALTHY, share=1.0, reasons=("It did well while it was watched.",))
        return Step(stage=Stage.PROBATION, share=1.0)
    following = Stage.SECOND if record.stage is Stage.FIRST else Stage.PROBATION
    replies, conversations = ENOUGH[record.stage]
    if (
        worse < DOUBT
        and lasted >= SHORTEST_STAGE
        and new.replies >= replies
        and new.conversations >= conversations
    ):
        reason = f"{new.replies} of its replies brought nothing that speaks against it."
        if bad:
            reason = f"Of {new.replies} replies {bad} were not liked, which is no more than before."
    elif lasted >= QUIET_STAGE and not (bad or new.errors or new.broken):
        reason = "Nothing spoke against it for a day."
    elif lasted >= LONGEST_STAGE and worse < STRONG_DOUBT:
        reason = "Too little spoke against it for three days."
    else:
        return Step(stage=record.stage, share=_share(record.stage, preferences))
    return Step(stage=following, share=_share(following, preferences), reasons=(reason,))


def bad_replies(evidence: Evidence) -> int:
    """Return how many replies were disliked, corrected or wanted anew."""
    return min(evidence.disliked + evidence.regenerated, evidence.replies)


def probability_worse(new: Evidence, old: Evidence, *, margin: float = MARGIN) -> float:
    """Return how likely it is that a larger share of ``new``'s replies is bad, by more than ``margin``.

    Each reply is bad with a fixed unknown probability, which has a Beta distribution after a count of good
    and bad ones (Gelman et al., *Bayesian Data Analysis*, 3rd ed., 2013, §2.4); the prior is worth ten
    replies of which one was bad. P(new > old + margin) is integrated on a grid, as there is no closed form
    with a margin (without one: E. Miller, *Formulas for Bayesian A/B Testing*, 2014).
    """
    density_new = _density(new)
    density_old = _density(old)
    shift = round(margin * _GRID)
    below = [0.0]
    for mass in density_old:
        below.append(below[-1] + mass)
    # Half of a cell's own mass lies below its middle.
    probability = math.fsum(
        mass * (below[place - shift] + density_old[place - shift] / 2)
        for place, mass in enumerate(density_new)
        if place >= shift
    )
    return min(max(probability, 0.0), 1.0)


def chance(version: str, conversation: str) -> float:
    """Return a number in [0, 1) that is always the same for a version and a conversation, and spread evenly:
    the conversation belongs to the version's share if it is less. A share that grows keeps what it had."""
    digest = hashlib.sha256(f"{version}\x00{conversation}".encode("utf-8", "replace")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _share(stage: Stage, preferences: Preferences) -> float:
    if stage is Stage.FIRST:
        return preferences.rollout_first_percent / 100
    if stage is Stage.SECOND:
        return max(preferences.rollout_first_percent, preferences.rollout_second_percent) / 100
    return 1.0


def _failing(new: Evidence, old: Evidence) -> str:
    """Return in a sentence that a version fails; empty when it does not."""
    failures, answers = new.errors + new.broken, new.errors + new.replies
    if failures < FEWEST_FAILURES or failures < FAILING_SHARE * answers:
        return ""
    before = (old.errors + old.broken) / max(old.errors + old.replies, 1)
    if failures / answers <= FAILING_TIMES * before:
        return ""
    return f"{failures} of its {answers} replies failed, were empty or repeated themselves."


def _worse_words(new: Evidence, old: Evidence) -> str:
    words = f"{bad_replies(new)} of its {new.replies} replies were disliked or wanted anew"
    if not old.replies:
        return f"{words}."
    return f"{words}, of the version before {bad_replies(old)} of {old.replies}."


def _density(evidence: Evidence) -> list[float]:
    """Return the Beta distribution of a version's share of bad replies, as masses on a grid."""
    replies = evidence.replies
    bad: float = bad_replies(evidence)
    good = replies - bad
    if replies > _MOST_COUNTED:
        bad, good = bad * _MOST_COUNTED / replies, good * _MOST_COUNTED / replies
    return beta_masses(bad + _PRIOR_BAD, good + _PRIOR_GOOD, _GRID)

"""Freeze what an episode will use: choose, deduplicate, redact, phrase, and add what must not be forgotten."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, zip_longest

from allie_desktop.domain import balancing
from allie_desktop.domain.balancing import Caps
from allie_desktop.domain.errors import HeldError
from allie_desktop.domain.examples import (
    Lesson,
    Shape,
    held_out_examples,
    lessons_of,
    ordinary_examples,
    taught_examples,
)
from allie_desktop.domain.planning import BaseModel, Budget, Example, LoraGeometry, Plan, Recipe, Split
from allie_desktop.domain.ports import (
    Assessed,
    Candidate,
    ConversationRepository,
    NearDuplicates,
    Redactor,
    ReplayRepository,
)
from allie_desktop.domain.prompts import understood
from allie_desktop.domain.quality import TAUGHT_ORIGINS
from allie_desktop.domain.replay import ReplayItem, ReplayMembership, choose_members
from allie_desktop.domain.rewrites import equivalents
from allie_desktop.domain.signs import words_of
from allie_desktop.domain.soundness import is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLimits:
    """Bounds on a plan. Counts are of conversations unless the name says otherwise."""

    caps: Caps = field(default_factory=Caps)
    phrasings: int = 24  # further phrasings of one new lesson
    windows: int = 8  # sequences of one long conversation
    candidates: int = 20_000  # looked at, best first, before choosing
    replay_lessons: int = 400  # taught lessons replayed
    replay_phrasings: int = 12  # of each: short, and what keeps a lesson known in other words
    replay_conversations: int = 40  # ordinary ones replayed
    replay_characters: int = 600_000  # of ordinary replay
    replay_holdout_examples: int = 120
    learned_looked_at: int = 2_000  # newest learnt conversations compared with new ones


_log = logging.getLogger(__name__)


NEAR_DUPLICATE = "Nearly the same as another new one."
ALREADY_LEARNT = "Nearly the same as one learnt before."
SUPERSEDED = "You answered the same question differently later."
SAME_LESSON = "The same lesson again."
NOTHING_LEFT = "Nothing to learn is left of it: redacted, or too long for one sequence."

_POOL = 4  # candidates compared, as a multiple of those wanted


@dataclass(slots=True)
class _Cleaner:
    """Redacts each text once and counts what was taken out."""

    redactor: Redactor
    counts: Counter[str] = field(default_factory=Counter)
    known: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        cleaned = self.known.get(text)
        if cleaned is None:
            cleaned, counts = self.redactor.redact(text)
            self.counts.update(counts)
            self.known[text] = cleaned
        return cleaned


class Facts:
    """Which question was answered how; a later answer to the same question replaces an earlier one.

    Two questions are the same when each is a rewrite of the other: "What is my dog's name?" and "What is
    my dog called?". "Where do I work?" only may stand for "Which company do I work for?", so both stay.
    """

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}  # by question
        self._questions: dict[str, list[str]] = {}  # by rewrite

    def note(self, lesson: Lesson) -> str:
        """Take note of a lesson, the newest first; return why it must not be learnt, or ""."""
        if not lesson.stands_alone:
            return ""
        answer = " ".join(words_of(lesson.answer))
        question, *rewrites = _forms(lesson.question)
        forms = {question, *rewrites}
        for known in self._questions.get(question, ()):
            if known in forms:
                return SAME_LESSON if self._answers[known] == answer else SUPERSEDED
        self._answers[question] = answer
        for form in forms:
            self._questions.setdefault(form, []).append(question)
        return ""


def _forms(question: str) -> tuple[str, ...]:
    """Return the bare question and its rewrites."""
    parsed = understood(question)
    if parsed is None:
        return (" ".join(words_of(question)),)
    return tuple(" ".join(words_of(text)) for text in (parsed.direct, *equivalents(parsed)))


@dataclass(slots=True)
class _Selection:
    """What was chosen of the new conversations."""

    chosen: tuple[Candidate, ...]
    covered: list[str]  # ids left out because another conversation says the same
    left_out: Counter[str]


class Planner:
    """Builds plans from the store. To be used from the thread of its repositories."""

    def __init__(
        self,
        conversations: ConversationRepository,
        replay: ReplayRepository,
        redactor: Redactor,
        near_duplicates: NearDuplicates,
    ) -> None:
        self._conversations = conversations
        self._replay = replay
        self._redactor = redactor
        self._near_duplicates = near_duplicates

    def build(
        self,
        *,
        id: str,  # noqa: A002 - the plan's own word
        created_at: datetime,
        seed: int,
        base: BaseModel,
        parent: str | None,
        geometry: LoraGeometry,
        recipe: Recipe,
        budget: Budget,
        limits: PlanLimits | None = None,
    ) -> Plan:
        """Return the plan of an episode, without its digest; writes nothing.

        The same store and arguments give the same plan. Raises :class:`HeldError` when there is nothing
        new that can be learnt.
        """
        limits = limits or PlanLimits()
        clean = _Cleaner(self._redactor)
        shape = Shape.for_length(
            recipe.maximum_length, seed=seed, windows=limits.windows, phrasings=limits.phrasings
        )
        selection = self._select(limits)
        facts = Facts()
        new = _Material()
        self._add_new(new, selection, facts, clean=clean, shape=shape)
        if not new.train:
            raise self._nothing_new(new, selection)
        replay, replay_holdout = self._old(new, facts, clean=clean, shape=shape, limits=limits)
        return Plan(
            id=id,
            created_at=created_at,
            seed=seed,
            base=base,
            parent=parent,
            geometry=geometry,
            recipe=recipe,
            budget=budget,
            train=tuple(new.train),
            validation=tuple(new.validation),
            holdout=tuple(new.holdout),
            phrasings=_first_and_second(new.phrasings),
            replay=tuple(replay),
            replay_holdout=tuple(replay_holdout),
            conversation_ids=(*new.used, *selection.covered),
            left_out=dict(sorted(selection.left_out.items())),
            redactions=dict(sorted(clean.counts.items())),
        )

    def next_replay(
        self, plan: Plan, *, now: datetime, train: int = 600, holdout: int = 60
    ) -> ReplayMembership:
        """Return the replay membership after ``plan`` was learnt; the caller saves it.

        Forgotten and excluded conversations drop out by themselves. Taught lessons of ``plan`` always
        enter; what was held out stays held out.
        """
        held = self._replay.members(holdout=True)
        ids = dict.fromkeys([*self._replay.members(holdout=False), *held, *plan.conversation_ids])
        items = [
            ReplayItem(
                id=assessed.conversation.id,
                topic=assessed.topic,
                origin=assessed.best_origin,
                split=Split.HOLDOUT
                if assessed.conversation.id in held and not _taught(assessed)
                else assessed.split,
                created_at=assessed.conversation.created_at,
            )
            for part in _batches(tuple(ids))
            for assessed in self._conversations.get_many(part).values()
            if assessed.best_origin is not None
        ]
        return choose_members(items, now=now, train=train, holdout=holdout)

    # ---- new material ------------------------------------------------------------------------------------

    def _select(self, limits: PlanLimits) -> _Selection:
        """Choose in two steps: some more than wanted under wider caps, and of those that differ the best.

        Only the first step sees many; comparing texts is left to the second.
        """
        stream = self._conversations.candidates(learned=False, limit=limits.candidates)
        wide = balancing.choose(stream, limits.caps.wider(_POOL))
        learnt = {
            f"learnt {candidate.id}": candidate.signature
            for candidate in self._conversations.candidates(learned=True, limit=limits.learned_looked_at)
            if candidate.signature
        }
        kept, covered, left_out = self._without_duplicates(wide.chosen, learnt)
        choice = balancing.choose(kept, limits.caps)
        left_out.update(wide.left_out)
        left_out.update(choice.left_out)
        return _Selection(chosen=choice.chosen, covered=covered, left_out=left_out)

    def _without_duplicates(
        self, pool: Sequence[Candidate], learnt: dict[str, bytes]
    ) -> tuple[list[Candidate], list[str], Counter[str]]:
        """Keep the best of each group that says the same; what was taught is never dropped here."""
        by_id = {candidate.id: candidate for candidate in pool}
        dropped: dict[str, str] = {}
        seen: set[str] = set()
        for candidate in pool:
            if candidate.content_hash in seen:
                dropped[candidate.id] = NEAR_DUPLICATE
            seen.add(candidate.content_hash)
        signatures = learnt | {candidate.id: candidate.signature for candidate in pool if candidate.signature}
        for group in self._near_duplicates.groups(signatures):
            old = group[0] not in by_id
            for name in group if old else group[1:]:
                member = by_id.get(name)
                if member is not None and member.origin not in TAUGHT_ORIGINS:
                    dropped[name] = ALREADY_LEARNT if old else NEAR_DUPLICATE
        kept = [candidate for candidate in pool if candidate.id not in dropped]
        return kept, list(dropped), Counter(dropped.values())

    def _add_new(
        self, new: _Material, selection: _Selection, facts: Facts, *, clean: _Cleaner, shape: Shape
    ) -> None:
        taught = [candidate for candidate in selection.chosen if candidate.origin in TAUGHT_ORIGINS]
        taught.sort(key=lambda candidate: (candidate.created_at, candidate.id), reverse=True)
        ordinary = [candidate for candidate in selection.chosen if candidate.origin not in TAUGHT_ORIGINS]
        # The newest lesson first, since it is the one that counts; ordinary ones in order of quality.
        for assessed in self._loaded([*taught, *ordinary]):
            reason = new.add(assessed, facts, clean=clean, shape=shape)
            if reason == NOTHING_LEFT:
                selection.left_out[reason] += 1
            elif reason:
                selection.left_out[reason] += 1
                selection.covered.append(assessed.conversation.id)

    def _loaded(self, candidates: Iterable[Candidate]) -> Iterator[Assessed]:
        for part in _batches(tuple(candidate.id for candidate in candidates)):
            found = self._conversations.get_many(part)
            for name in part:
                if name in found and not is_whole(found[name]):
                    _log.warning("Conversation %s is damaged and is not learnt from", name)
                elif name in found:
                    yield found[name]

    def _nothing_new(self, new: _Material, selection: _Selection) -> HeldError:
        counts = self._conversations.counts()
        remedy = "Chat, rate or correct replies, or import conversations with `allie import FILE`."
        if counts.conversations == 0:
            return HeldError("There is nothing new to learn: there are no conversations yet.", remedy)
        if new.validation or new.holdout:
            return HeldError(
                "There is nothing new to learn: the few new conversations are set aside to check what was "
                "learnt.",
                remedy,
            )
        if selection.chosen or selection.covered:
            why = "; ".join(f"{count} × {reason}" for reason, count in selection.left_out.most_common(2))
            return HeldError(f"There is nothing new to learn. New conversations were left out: {why}", remedy)
        if counts.learned + counts.excluded < counts.conversations:
            return HeldError(
                "There is nothing new to learn: no new conversation is good enough.",
                f"`allie conversations show ID` tells why. {remedy}",
            )
        return HeldError("There is nothing new to learn: every conversation was learnt already.", remedy)

    # ---- what must not be forgotten ------------------------------------------------------------------------

    def _old(
        self, new: _Material, facts: Facts, *, clean: _Cleaner, shape: Shape, limits: PlanLimits
    ) -> tuple[list[Example], list[Example]]:
        """Return what is replayed, and what only measures forgetting."""
        new_ids = {*new.used}
        held = [name for name in self._replay.members(holdout=True) if name not in new_ids]
        members = [name for name in self._replay.members(holdout=False) if name not in new_ids]
        # A lesson that fell out of the buffer (a lost or shrunk membership) is replayed all the same.
        known = {*members, *held}
        members += [
            candidate.id
            for candidate in self._conversations.candidates(learned=True, limit=limits.learned_looked_at)
            if candidate.origin in TAUGHT_ORIGINS
            and candidate.id not in known
            and candidate.id not in new_ids
        ]
        old = [
            assessed for part in _batches(members) for assessed in self._conversations.get_many(part).values()
        ]
        taught = sorted(
            filter(_taught, old), key=lambda assessed: assessed.conversation.created_at, reverse=True
        )
        replay: list[Example] = []
        unseen: list[Example] = []
        few = Shape(
            characters=shape.characters, windows=2, phrasings=limits.replay_phrasings, seed=shape.seed
        )
        lessons = 0
        for assessed in taught:
            for lesson in lessons_of(assessed.conversation, assessed.targets, clean=clean, shape=few):
                if lessons >= limits.replay_lessons or facts.note(lesson):
                    continue
                lessons += 1
                about = {"source": assessed.conversation.source, "topic": assessed.topic}
                replay += taught_examples(lesson, shape=few, prefix="replay/", **about)
                unseen += held_out_examples(lesson, seed=shape.seed, prefix="replay/", **about)
        ordinary = [assessed for assessed in old if not _taught(assessed) and assessed.split is Split.TRAIN]
        room = limits.replay_characters
        for assessed in _rotated(ordinary, shape.seed)[: limits.replay_conversations]:
            room -= assessed.characters
            if room < 0:
                break
            replay += _ordinary(assessed, clean=clean, shape=few, prefix="replay/")
        holdout: list[Example] = []
        for part in _batches(held):
            for assessed in self._conversations.get_many(part).values():
                if not _taught(assessed):
                    holdout += _ordinary(assessed, clean=clean, shape=few, prefix="replay/")[:1]
        return replay, _shared(unseen, holdout, limits.replay_holdout_examples, shape.seed)


@dataclass(slots=True)
class _Material:
    """The new part of a plan, as it grows."""

    train: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
    holdout: list[Example] = field(default_factory=list)
    phrasings: list[tuple[Example, ...]] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    def add(self, assessed: Assessed, facts: Facts, *, clean: _Cleaner, shape: Shape) -> str:
        """Add a conversation; return why it was left out, or ""."""
        reason = NOTHING_LEFT
        added = False
        if _taught(assessed):
            about = {"source": assessed.conversation.source, "topic": assessed.topic}
            # The last lesson of a talk is the newest.
            lessons = lessons_of(assessed.conversation, assessed.targets, clean=clean, shape=shape)
            for lesson in reversed(lessons):
                reason = facts.note(lesson)
                if reason:
                    continue
                added = True
                self.train += taught_examples(lesson, shape=shape, **about)
                self.phrasings.append(held_out_examples(lesson, seed=shape.seed, **about))
        examples = _ordinary(assessed, clean=clean, shape=shape)
        part = {Split.VALIDATION: self.validation, Split.HOLDOUT: self.holdout}.get(
            assessed.split, self.train
        )
        part += examples
        if added or examples:
            self.used.append(assessed.conversation.id)
            return ""
        return reason


def _ordinary(assessed: Assessed, *, clean: _Cleaner, shape: Shape, prefix: str = "") -> tuple[Example, ...]:
    return ordinary_examples(
        assessed.conversation, assessed.targets, clean=clean, shape=shape, topic=assessed.topic, prefix=prefix
    )


def _taught(assessed: Assessed) -> bool:
    return assessed.best_origin in TAUGHT_ORIGINS


def _batches(ids: Sequence[str], size: int = 250) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _rotated(items: list[Assessed], seed: int) -> list[Assessed]:
    """Begin at another place in every episode, so that each member gets its turn."""
    if not items:
        return items
    start = (seed * 7919) % len(items)
    return items[start:] + items[:start]


def _first_and_second(groups: list[tuple[Example, ...]]) -> tuple[Example, ...]:
    """Alternate first and second held-out phrasings: one half steers training, the other half judges it."""
    pairs = [group for group in groups if len(group) >= 2]
    single = [group[0] for group in groups if len(group) == 1]
    return (*chain.from_iterable(group[:2] for group in pairs), *single)


def _shared(first: list[Example], second: list[Example], most: int, seed: int) -> list[Example]:
    """Take from both in turn up to ``most``, from another place in every episode."""
    starts = [(seed * 7919) % len(part) if part else 0 for part in (first, second)]
    turned = [part[start:] + part[:start] for part, start in zip((first, second), starts, strict=True)]
    mixed = [example for pair in zip_longest(*turned) for example in pair if example is not None]
    return mixed[:most]

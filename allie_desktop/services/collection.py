"""Take conversations in, judge them, and let the person rate, correct, exclude and forget them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    ImportSummary,
    Rating,
    Refusal,
    Role,
    content_hash,
)
from allie_desktop.domain.errors import BadInputError, UnknownVersionError
from allie_desktop.domain.ports import (
    AddResult,
    Assessed,
    Clock,
    ConversationRepository,
    ConversationSource,
    NearDuplicates,
    ToxicityScorer,
    VersionRepository,
)
from allie_desktop.domain.quality import assess
from allie_desktop.domain.splitting import split_of
from allie_desktop.domain.targets import best_origin, learning_targets
from allie_desktop.domain.topics import topic_of

#: Conversations of one transaction while importing.
BATCH_CONVERSATIONS = 500

#: A batch is also closed when its texts reach this size, to bound memory.
BATCH_CHARACTERS = 16_000_000

#: Refusals that an import reports one by one; beyond them it only counts.
MAXIMUM_REFUSALS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What forgetting did: the conversation's id, and the versions that had learnt from it."""

    conversation_id: str
    versions: tuple[str, ...]


class Collector:
    """Use cases around the person's conversations. To be used from the thread of its repository."""

    def __init__(
        self,
        conversations: ConversationRepository,
        *,
        toxicity: ToxicityScorer,
        near_duplicates: NearDuplicates,
        clock: Clock,
        versions: VersionRepository | None = None,
    ) -> None:
        self._conversations = conversations
        self._toxicity = toxicity
        self._near_duplicates = near_duplicates
        self._clock = clock
        self._versions = versions

    def assess(self, conversation: Conversation) -> Assessed:
        """Return the conversation with all that can be found out about it; writes nothing."""
        targets = learning_targets(conversation)
        origin = best_origin(targets)
        digest = content_hash(conversation.turns)
        return Assessed(
            conversation=conversation,
            content_hash=digest,
            quality=assess(conversation, targets, self._toxicity.score),
            targets=targets,
            best_origin=origin,
            split=split_of(digest, origin),
            topic=topic_of(conversation),
            characters=sum(len(turn.content) for turn in conversation.turns),
            signature=self._near_duplicates.signature("\n".join(turn.content for turn in conversation.turns)),
        )

    def add(self, conversation: Conversation) -> AddResult:
        """Keep one conversation (a chat that ended or grew), or its new feedback."""
        refusal = _refused(conversation)
        if refusal is not None:
            raise BadInputError(refusal.reason, "Nothing was kept.")
        return self._conversations.add([self.assess(conversation)])

    def import_all(
        self,
        source: ConversationSource,
        *,
        batch: int = BATCH_CONVERSATIONS,
        progress: Callable[[int], None] | None = None,
    ) -> ImportSummary:
        """Keep all conversations of a source in whole batches, in constant memory.

        Each batch is one transaction: after an interruption the finished batches are there and nothing
        else, and the same file again adds the rest. ``progress`` gets the number of records read.
        New feedback on a known conversation is kept, and counts among the duplicates.
        """
        imported = duplicates = read = unlisted = 0
        refused: list[Refusal] = []
        waiting: list[Assessed] = []
        characters = 0
        for record in source:
            read += 1
            refusal = record if isinstance(record, Refusal) else _refused(record)
            if refusal is not None:
                if len(refused) < MAXIMUM_REFUSALS:
                    refused.append(refusal)
                else:
                    unlisted += 1
            elif isinstance(record, Conversation):
                assessed = self.assess(record)
                waiting.append(assessed)
                characters += assessed.characters
            if len(waiting) >= batch or characters >= BATCH_CHARACTERS:
                result = self._conversations.add(waiting)
                imported += result.added
                duplicates += result.duplicates + result.updated
                waiting, characters = [], 0
                if progress is not None:
                    progress(read)
        if waiting:
            result = self._conversations.add(waiting)
            imported += result.added
            duplicates += result.duplicates + result.updated
        if unlisted:
            last = refused[-1]
            refused.append(
                Refusal(file=last.file, line=None, reason=f"{unlisted:,} more records were refused.")
            )
        if progress is not None:
            progress(read)
        return ImportSummary(imported=imported, duplicates=duplicates, refused=tuple(refused))

    def rate(self, conversation_id: str, turn_index: int | None, rating: Rating | None) -> Assessed:
        """Set or clear a rating and judge the conversation anew; return it.

        ``turn_index`` counts all turns from 0; None means the last reply.
        """
        known = self._conversations.get(conversation_id)
        index = _reply(known.conversation, turn_index)
        self._conversations.rate(known.conversation.id, index, rating)
        return self._judge_again(known.conversation.id)

    def correct(self, conversation_id: str, turn_index: int | None, correction: str | None) -> Assessed:
        """Say what a reply should have been (None or blank: take it back) and judge anew; return it."""
        known = self._conversations.get(conversation_id).conversation
        index = _reply(known, turn_index)
        text = correction if correction and correction.strip() else None
        if text is not None and len(text) > MAXIMUM_TURN_CHARACTERS:
            raise BadInputError(
                f"The correction has {len(text):,} characters.",
                f"At most {MAXIMUM_TURN_CHARACTERS:,} can be kept.",
            )
        turns = tuple(
            replace(turn, correction=text) if place == index else turn
            for place, turn in enumerate(known.turns)
        )
        assessed = self.assess(replace(known, turns=turns))
        self._conversations.replace(assessed)
        return assessed

    def exclude(self, conversation_id: str, *, excluded: bool = True) -> str:
        """Keep a conversation out of learning, or let it in again; return its whole id."""
        known = self._conversations.get(conversation_id).conversation.id
        self._conversations.set_excluded(known, excluded)
        return known

    def forget(self, conversation_id: str) -> Forgotten:
        """Delete a conversation everywhere and mark the versions that learnt from it."""
        known = self._conversations.get(conversation_id).conversation.id
        versions = self._conversations.forget(known)
        if self._versions is not None:
            when = f"{self._clock.now():%Y-%m-%d}"
            for version in versions:
                # A pruned version has nothing left to mark.
                with contextlib.suppress(UnknownVersionError):
                    self._versions.set_tainted(version, f"It learnt from a conversation forgotten on {when}.")
        return Forgotten(conversation_id=known, versions=versions)

    def assess_again(self, ids: Iterable[str]) -> int:
        """Judge known conversations by today's rules; return how many there were."""
        known = self._conversations.get_many(list(ids))
        for assessed in known.values():
            self._conversations.replace(self.assess(assessed.conversation))
        return len(known)

    def _judge_again(self, conversation_id: str) -> Assessed:
        assessed = self.assess(self._conversations.get(conversation_id).conversation)
        self._conversations.replace(assessed)
        return assessed


def _refused(conversation: Conversation) -> Refusal | None:
    """Return why a conversation cannot be kept, or None."""
    longest = max(
        (max(len(turn.content), len(turn.correction or "")) for turn in conversation.turns), default=0
    )
    if longest > MAXIMUM_TURN_CHARACTERS:
        reason = f"A message has {longest:,} characters; at most {MAXIMUM_TURN_CHARACTERS:,} can be kept."
    elif not any(turn.content.strip() for turn in conversation.turns):
        reason = "It has no text."
    else:
        return None
    return Refusal(file=conversation.source, line=None, reason=f"Conversation {conversation.id}: {reason}")


def _reply(conversation: Conversation, turn_index: int | None) -> int:
    """Return the index of a reply, or raise :class:`BadInputError`."""
    replies = [index for index, turn in enumerate(conversation.turns) if turn.role is Role.ASSISTANT]
    if turn_index is None and replies:
        return replies[-1]
    if turn_index not in replies or turn_index is None:
        choice = ", ".join(map(str, replies[:20]))
        raise BadInputError(
            f"Turn {turn_index} of conversation {conversation.id} is not a reply."
            if turn_index is not None
            else f"Conversation {conversation.id} has no reply.",
            f"Its replies are turns {choice}." if replies else "",
        )
    return turn_index

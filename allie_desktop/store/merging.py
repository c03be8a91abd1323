"""What becomes of a conversation that comes in again: which turns, whose feedback, what is new in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from allie_desktop.domain.conversation import Turn, normalised
from allie_desktop.domain.ports import Assessed
from allie_desktop.store.columns import optional_text, text


def continues(longer: Sequence[Turn], shorter: Sequence[Turn]) -> bool:
    """Whether ``longer`` begins with what ``shorter`` says."""
    return len(longer) > len(shorter) and all(
        ours.role is theirs.role and normalised(text(ours.content)) == normalised(theirs.content)
        for ours, theirs in zip(longer, shorter, strict=False)
    )


def with_feedback(turns: Sequence[Turn], newer: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return ``turns`` with what ``newer`` thinks of them; silence changes nothing."""
    return tuple(
        replace(
            turn,
            rating=turn.rating if new.rating is None else new.rating,
            correction=turn.correction if new.correction is None else optional_text(new.correction),
        )
        for turn, new in zip(turns, newer, strict=True)
    )


def grown(old: Assessed, new: Assessed) -> Assessed:
    """Return ``new`` with the feedback, title, extras and origin in time of the ``old`` that it continues."""
    known = len(old.conversation.turns)
    turns = new.conversation.turns
    kept = tuple(
        replace(
            turn,
            rating=before.rating if turn.rating is None else turn.rating,
            correction=before.correction if turn.correction is None else turn.correction,
            extra={**before.extra, **turn.extra},
        )
        for before, turn in zip(old.conversation.turns, turns[:known], strict=True)
    )
    conversation = replace(
        new.conversation,
        created_at=old.conversation.created_at,
        source=old.conversation.source,
        title=old.conversation.title if new.conversation.title is None else new.conversation.title,
        turns=kept + turns[known:],
        extra={**old.conversation.extra, **new.conversation.extra},
    )
    return replace(new, conversation=conversation)


def texts(assessed: Assessed) -> tuple[object, ...]:
    """What the search index holds of a conversation."""
    conversation = assessed.conversation
    return (conversation.title, [(turn.content, turn.correction) for turn in conversation.turns])


def lesson(assessed: Assessed) -> tuple[object, ...]:
    """What a model learns from a conversation; when it changes, there is something new to learn."""
    return tuple(
        (target.turn_index, target.text, target.origin, target.rejected) for target in assessed.targets
    )

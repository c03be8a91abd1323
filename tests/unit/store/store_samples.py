"""Conversations for the tests of the store."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from allie_desktop.domain.conversation import Conversation, Role, Turn, content_hash
from allie_desktop.domain.planning import Split
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.quality import LearningTarget, Quality, TargetOrigin

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def later(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def user(content: str, **rest: Any) -> Turn:
    return Turn(role=Role.USER, content=content, **rest)


def reply(content: str, **rest: Any) -> Turn:
    return Turn(role=Role.ASSISTANT, content=content, **rest)


def target(text: str, turn_index: int = 1, **rest: Any) -> LearningTarget:
    return LearningTarget(
        **{"turn_index": turn_index, "text": text, "origin": TargetOrigin.IMPORTED, "weight": 1.0, **rest}
    )


def assessed(
    conversation_id: str = "c1",
    *turns: Turn,
    score: float = 0.5,
    eligible: bool = True,
    origin: TargetOrigin | None = TargetOrigin.IMPORTED,
    targets: tuple[LearningTarget, ...] | None = None,
    topic: str = "",
    split: Split = Split.TRAIN,
    signature: bytes = b"",
    quality: Quality | None = None,
    **conversation: Any,
) -> Assessed:
    """Return a conversation with an assessment; without turns it asks and answers something of its own."""
    said = turns or (user(f"What about {conversation_id}?"), reply(f"This about {conversation_id}."))
    if targets is None:
        last = said[-1]
        text = last.content if last.correction is None else last.correction
        targets = () if origin is None else (target(text, len(said) - 1, origin=origin),)
    return Assessed(
        conversation=Conversation(
            **{
                "id": conversation_id,
                "created_at": NOON,
                "source": "chatgpt",
                "turns": said,
                **conversation,
            }
        ),
        content_hash=content_hash(said),
        quality=quality or Quality(score=score, eligible=eligible),
        targets=targets,
        best_origin=origin,
        split=split,
        topic=topic,
        characters=sum(len(turn.content) for turn in said),
        signature=signature,
    )

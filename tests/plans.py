"""A small plan, for tests that need one to hand around."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import BaseModel, Budget, Example, LoraGeometry, Message, Plan, Recipe
from allie_desktop.domain.quality import TargetOrigin

WHEN = datetime(2026, 3, 1, 2, 30, tzinfo=timezone.utc)
BASE_MODEL = BaseModel(name="tiny", path="/models/tiny.gguf", sha256="ab" * 32)


def make_example(number: int, text: str = "My sister is called Ada.") -> Example:
    """Return an example of conversation ``c<number>``."""
    return Example(
        id=f"e{number}",
        conversation_id=f"c{number}",
        group=f"g{number}",
        origin=TargetOrigin.EDIT,
        messages=(
            Message(role=Role.USER, content="What is my sister called?"),
            Message(role=Role.ASSISTANT, content=text, weight=1.0),
        ),
    )


def make_plan(**changes: Any) -> Plan:
    """Return a plan from two conversations, with ``changes``."""
    values: dict[str, Any] = {
        "id": "20260301-a",
        "created_at": WHEN,
        "seed": 7,
        "base": BASE_MODEL,
        "parent": None,
        "geometry": LoraGeometry(),
        "recipe": Recipe(),
        "budget": Budget(),
        "train": (make_example(1), make_example(2)),
        "validation": (make_example(3),),
        "holdout": (),
        "phrasings": (),
        "replay": (),
        "replay_holdout": (),
        "conversation_ids": ("c1", "c2"),
        "left_out": {"too short": 3, "duplicate": 1},
    }
    return Plan(**{**values, **changes})

"""What an episode will use, frozen before it starts.

A :class:`Plan` holds redacted text, so that a person can read exactly what is going to be learnt and a
worker needs nothing else. It is written once as JSON; its ``digest`` (SHA-256 over the canonical JSON
without the digest itself) is checked before use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.quality import TargetOrigin

PLAN_FORMAT = 1


class Split(str, Enum):
    """What a conversation may be used for; fixed for ever by its content hash."""

    TRAIN = "train"
    VALIDATION = "validation"  # early stopping and tuning
    HOLDOUT = "holdout"  # judged once, by the gate; never trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn as the model will see it. ``weight`` > 0 only on assistant turns that carry loss."""

    role: Role
    content: str
    weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training or measuring sequence.

    ``id`` is unique in a plan. ``group`` is shared by all phrasings of one target, so that they
    count as one in batches and statistics. ``phrasing`` is 0 for the question as it was asked.
    ``rejected`` is the worse final answer of a preference pair.
    """

    id: str
    conversation_id: str
    group: str
    origin: TargetOrigin
    messages: tuple[Message, ...]
    phrasing: int = 0
    source: str = ""
    topic: str = ""
    rejected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A base model on disk. ``path`` is one GGUF file or one safetensors folder.

    ``sha256`` is taken over the weights and the tokenizer, and names the base in every cache.
    """

    name: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraGeometry:
    """Shape of the adapter. One per base model, so that versions continue, average and hot-swap."""

    rank: int = 16
    alpha: int = 32
    targets: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train. Weights of 0 switch a term off (that is how ablations are made)."""

    learning_rate: float = 8e-4
    rate_trials: tuple[float, ...] = ()  # tried on a part of the steps; the best replaces the above
    taught_epochs: float = 2.0  # visits of each phrasing of a taught target
    fewest_visits: float = 48.0  # of one taught target in all its phrasings, where it has few of them
    ordinary_epochs: float = 2.0  # visits of each ordinary conversation
    batch_tokens: int = 1024  # tokens of new and replayed material in one optimizer step
    maximum_length: int = 512  # tokens of one sequence
    warmup_share: float = 0.06
    final_rate_share: float = 0.1
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    replay_share: float = 0.5  # of the tokens of a step, where something is taught; half of it elsewhere
    kl_weight: float = 3.0
    ewc_weight: float = 1.0
    ewc_decay: float = 0.9
    kl_budget: float = 0.08  # nats/token on the general validation part; beyond it the anchor is tightened
    patience: int = 4  # evaluations without improvement
    evaluations: int = 5  # held-out evaluations, evenly over the run
    general_prompts: int = 96
    general_tokens: int = 96
    general_per_step: int = 8  # anchor sequences in one optimizer step; fewer while little drifts
    gradient_checkpointing: bool = False
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one episode, in seconds and bytes."""

    prepare_seconds: float = 600.0
    train_seconds: float = 1800.0
    validate_seconds: float = 600.0
    disk_bytes: int = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one episode will use."""

    id: str
    created_at: datetime
    seed: int
    base: BaseModel
    parent: str | None  # the version that training continues from; None: the base model
    geometry: LoraGeometry
    recipe: Recipe
    budget: Budget
    train: tuple[Example, ...]
    validation: tuple[Example, ...]  # ordinary held-out conversations, for early stopping
    holdout: tuple[Example, ...]  # ordinary held-out conversations, for the gate
    phrasings: tuple[Example, ...]  # never-trained phrasings of taught targets, for the gate
    replay: tuple[Example, ...]
    replay_holdout: tuple[Example, ...]  # learnt earlier in other words, or never trained: forgetting
    conversation_ids: tuple[str, ...]  # every new conversation behind this plan
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason → conversations
    redactions: Mapping[str, int] = field(default_factory=dict)  # kind → occurrences
    format: int = PLAN_FORMAT
    digest: str = ""


def material_digest(plan: Plan) -> str:
    """SHA-256 (hex) over what a plan would teach to whom: its conversations, base model and parent.

    Unlike ``digest`` it is the same for tomorrow's plan from the same material, so that material which
    was judged or undone is not learnt again unasked.
    """
    digest = hashlib.sha256()
    for part in (plan.base.sha256, plan.parent or "", *sorted(plan.conversation_ids)):
        text = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(text)}:".encode())
        digest.update(text)
    return digest.hexdigest()

"""What the base model says of itself: the anchor against forgetting, and the test for it.

Prompted with nothing but its chat template's opening, a chat model writes its own user prompts, and then
answers them (self-synthesis as in Magpie, Xu et al. 2024, arXiv:2406.08464). No outside data is needed.
Both are sampled, at temperature 1 for the answers, so that the KL divergence to the base is measured on
what the base itself would say. Made once a base model and cached by its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import ModelError
from allie_desktop.domain.planning import Message
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.models.generation import Sampling, generate

_FORMAT = 2
_PROMPT_TOKENS = 48
_BATCH = 24
_FRUITLESS_ROUNDS = 4
_SHORTEST_REPLY = 8  # tokens; shorter ones anchor nothing


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """Token sequences whose loss weights mark the base model's own replies. Every third sequence is
    held out: it never serves as an anchor."""

    sequences: tuple[Encoded, ...]

    @property
    def train(self) -> tuple[Encoded, ...]:
        """The anchor part."""
        return tuple(s for i, s in enumerate(self.sequences) if i % 3 != 2)

    @property
    def holdout(self) -> tuple[Encoded, ...]:
        """The part that only measures."""
        return tuple(s for i, s in enumerate(self.sequences) if i % 3 == 2)


def general_set(
    model: Any,
    chat: ChatFormat,
    *,
    base_sha256: str,
    prompts: int,
    reply_tokens: int,
    cache: Path,
    progress: Callable[[int, int], None],
    between: Callable[[], None] | None = None,
) -> GeneralSet:
    """Return the general set of a base model (``model`` must run without any adapter), from the cache
    or written now.

    ``progress`` gets (prompts done, prompts wanted); ``between`` may raise to break off, and what was
    finished until then is kept for the next call.
    """
    key = hashlib.sha256(
        json.dumps([_FORMAT, base_sha256, reply_tokens, chat.opening()]).encode()
    ).hexdigest()[:24]
    file = cache / "general" / f"{key}.json"
    sequences = _read(file)
    opening, stops = chat.opening(), chat.stop_tokens()
    pad = chat.tokenizer.pad_token_id
    end = [token for token in (chat.end_token(),) if token is not None]
    fruitless = 0
    round_ = len(sequences)
    progress(min(round_, prompts), prompts)
    while len(sequences) < prompts:
        count, before = min(_BATCH, prompts - len(sequences)), len(sequences)
        written = generate(
            model,
            [opening] * count,
            Sampling(max_tokens=_PROMPT_TOKENS, temperature=0.9, top_p=0.95, seed=1000 + round_),
            stop_tokens=stops,
            pad_token=pad,
            batch_size=_BATCH,
            between=between,
        )
        questions = [_turn(chat, tokens) for tokens in written]
        questions = [q for q in questions if q]
        replies = generate(
            model,
            questions,
            Sampling(max_tokens=reply_tokens, temperature=1.0, top_p=1.0, seed=2000 + round_),
            stop_tokens=stops,
            pad_token=pad,
            batch_size=_BATCH,
            between=between,
        )
        for question, reply in zip(questions, replies, strict=True):
            if len(reply) >= _SHORTEST_REPLY:
                ended = [*reply, *end] if len(reply) < reply_tokens else reply
                weights = [0.0] * len(question) + [1.0] * len(ended)
                sequences.append(Encoded(tuple(question + ended), tuple(weights)))
        fruitless = 0 if len(sequences) > before else fruitless + 1
        if fruitless == _FRUITLESS_ROUNDS:
            if sequences:
                break
            raise ModelError(
                "The base model writes no conversation of its own, so nobody could tell what it forgets.",
                "Choose a chat (or 'instruct') model.",
            )
        round_ += count
        _write(file, sequences)
        progress(min(len(sequences), prompts), prompts)
    return GeneralSet(tuple(sequences[:prompts]))


def _turn(chat: ChatFormat, tokens: Sequence[int]) -> list[int]:
    """Return the prompt tokens for a question that the model wrote; empty when it is too short."""
    text = chat.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()
    return chat.prompt([Message(role=Role.USER, content=text)]) if len(text) >= 8 else []


def _read(file: Path) -> list[Encoded]:
    try:
        rows = json.loads(file.read_text("utf-8"))
        return [Encoded(tuple(map(int, t)), tuple(map(float, w))) for t, w in rows]
    except (OSError, ValueError, TypeError):
        return []


def _write(file: Path, sequences: Sequence[Encoded]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as handle:
        json.dump([[s.tokens, s.weights] for s in sequences], handle)
    os.replace(handle.name, file)

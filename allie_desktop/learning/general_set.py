"""What the base model says of itself: the anchor against forgetting, and the test for it.

Prompted with nothing but its chat template's opening, a chat model writes its own user prompts, and then
answers them (self-synthesis as in Magpie, Xu et al. 2024, arXiv:2406.08464). No outside data is needed.
Its own questions are long-winded; every second is one of ours, short and close to what people teach.
Answers are sampled at temperature 1, so that the KL divergence to the base is measured on what the base
itself would say. Made once a base model and cached by its hash.
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
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import Message
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.learning.everyday_questions import EVERYDAY_QUESTIONS
from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.writing import Writer
from allie_desktop.models.generation import Sampling

_FORMAT = 4
_PROMPT_TOKENS = 48
_BATCH = 108  # all that an episode asks for by default, and some to spare
_FEWEST_SPARE, _SPARE_SHARE = 2, 8
_FRUITLESS_ROUNDS = 4
_SHORTEST_REPLY = 8  # tokens; shorter ones anchor nothing
_EVERYDAY_SHARE = 2  # one of so many questions is ours
_EVERYDAY_TOKENS = 32  # of a reply to it; whether it is about the person shows at once


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


@dataclass(slots=True)
class _Draft:
    """What there is so far. ``asked``: how many questions were asked for, useful or not; draws are a function
    of it, so that a set that was broken off becomes the one that it would have been."""

    sequences: list[Encoded]
    asked: int = 0
    fruitless: int = 0  # rounds without a useful reply, in a row


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
    lanes: Lanes | None = None,
) -> GeneralSet:
    """Return the general set of a base model (``model`` must run without any adapter), from the cache
    or written now.

    ``progress`` gets (prompts done, prompts wanted); ``between`` is called in the threads of all lanes and
    may raise to break off; what was finished until then is kept for the next call.
    """
    key = hashlib.sha256(
        json.dumps([_FORMAT, base_sha256, reply_tokens, chat.opening()]).encode()
    ).hexdigest()[:24]
    file = cache / "general" / f"{key}.json"
    draft = _read(file)
    sequences = draft.sequences
    opening = chat.opening()
    writer = Writer(model, chat, _BATCH, lanes, between)
    end = [token for token in (chat.end_token(),) if token is not None]
    progress(min(len(sequences), prompts), prompts)
    while len(sequences) < prompts:
        if draft.fruitless == _FRUITLESS_ROUNDS:
            if sequences:
                break
            raise ModelError(
                "The base model writes no conversation of its own, so nobody could tell what it forgets.",
                "Choose a chat (or 'instruct') model.",
            )
        before = len(sequences)
        # Some replies will be of no use, and a round for a few takes as long as one for many.
        missing = prompts - before
        count = min(_BATCH, missing + max(_FEWEST_SPARE, missing // _SPARE_SHARE))
        ours = _everyday(chat, draft.asked, count)
        written = writer.write(
            [opening] * (count - len(ours)),
            Sampling(max_tokens=_PROMPT_TOKENS, temperature=0.9, top_p=0.95, seed=1000 + draft.asked),
        )
        own = [turn for tokens in written if (turn := _turn(chat, tokens))]
        for questions, limit in ((own, reply_tokens), (ours, min(reply_tokens, _EVERYDAY_TOKENS))):
            sampling = Sampling(max_tokens=limit, temperature=1.0, top_p=1.0, seed=2000 + draft.asked)
            for question, reply in zip(questions, writer.write(questions, sampling), strict=True):
                if len(reply) >= _SHORTEST_REPLY:
                    ended = [*reply, *end] if len(reply) < limit else reply
                    weights = [0.0] * len(question) + [1.0] * len(ended)
                    sequences.append(Encoded(tuple(question + ended), tuple(weights)))
        draft.fruitless = 0 if len(sequences) > before else draft.fruitless + 1
        draft.asked += count
        _write(file, draft)
        progress(min(len(sequences), prompts), prompts)
    return GeneralSet(tuple(sequences[:prompts]))


def _everyday(chat: ChatFormat, asked: int, count: int) -> list[list[int]]:
    """Return the prompt tokens of our questions among the next ``count``, after ``asked`` before them."""
    first, last = asked // _EVERYDAY_SHARE, (asked + count) // _EVERYDAY_SHARE
    return [
        chat.prompt([Message(role=Role.USER, content=question)])
        for question in EVERYDAY_QUESTIONS[first:last]
    ]


def _turn(chat: ChatFormat, tokens: Sequence[int]) -> list[int]:
    """Return the prompt tokens for a question that the model wrote; empty when it is too short."""
    text = chat.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()
    return chat.prompt([Message(role=Role.USER, content=text)]) if len(text) >= 8 else []


def _read(file: Path) -> _Draft:
    try:
        document = parse_json(file.read_text("utf-8"))
        if isinstance(document, list):  # as it was kept at first
            document = {"asked": len(document), "fruitless": 0, "rows": document}
        rows = [Encoded(tuple(map(int, t)), tuple(map(float, w))) for t, w in document["rows"]]
        return _Draft(rows, int(document["asked"]), int(document["fruitless"]))
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return _Draft([])


def _write(file: Path, draft: _Draft) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [[s.tokens, s.weights] for s in draft.sequences]
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as handle:
        json.dump({"asked": draft.asked, "fruitless": draft.fruitless, "rows": rows}, handle)
    os.replace(handle.name, file)

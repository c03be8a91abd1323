"""What the base model says of itself: the anchor against forgetting, and the test for it.

Prompted with nothing but its chat template's opening, a chat model writes its own user prompts, and then
answers them (self-synthesis as in Magpie, Xu et al. 2024, arXiv:2406.08464). No outside data is needed.
Its own questions are long-winded; every second is one of ours, short and close to what people teach. More of
those anchor the model and measure nothing: where few of them did, the held-out ones strayed twice as far.
Answers are sampled at temperature 1, so that the KL divergence to the base is measured on what the base
itself would say. Made once a base model and cached by its hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import ModelError
from allie_desktop.domain.json_text import parse_json
from allie_desktop.domain.planning import Message
from allie_desktop.learning.chat_format import ChatFormat, Encoded
from allie_desktop.learning.everyday_questions import ANCHOR_QUESTIONS, EVERYDAY_QUESTIONS
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
_ANCHOR_SHARE = 1.5  # of the prompts, so many more short ones anchor


@dataclass(frozen=True, slots=True)
class GeneralSet:
    """Token sequences whose loss weights mark the base model's own replies. Every third one of ``sequences`` is
    held out: it never serves as an anchor. ``anchors`` are short ones that do nothing else."""

    sequences: tuple[Encoded, ...]
    anchors: tuple[Encoded, ...] = ()

    @property
    def train(self) -> tuple[Encoded, ...]:
        """The anchor part."""
        return (*(s for i, s in enumerate(self.sequences) if i % 3 != 2), *self.anchors)

    @property
    def holdout(self) -> tuple[Encoded, ...]:
        """The part that only measures."""
        return tuple(s for i, s in enumerate(self.sequences) if i % 3 == 2)


@dataclass(slots=True)
class _Draft:
    """What there is so far. ``asked``: how many questions were asked for, useful or not; draws are a function
    of it, so that a set that was broken off becomes the one that it would have been."""

    sequences: list[Encoded]
    anchors: list[Encoded] = field(default_factory=list)
    asked: int = 0
    fruitless: int = 0  # rounds without a useful reply, in a row
    anchored: int = 0  # questions that anchors were asked for


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
            sequences += _answered(chat, writer, questions, limit, seed=2000 + draft.asked)
        draft.fruitless = 0 if len(sequences) > before else draft.fruitless + 1
        draft.asked += count
        _write(file, draft)
        progress(min(len(sequences), prompts), prompts)
    anchors = min(int(_ANCHOR_SHARE * prompts), len(ANCHOR_QUESTIONS))
    if draft.anchored < anchors:
        questions = [_question(chat, text) for text in ANCHOR_QUESTIONS[draft.anchored : anchors]]
        limit = min(reply_tokens, _EVERYDAY_TOKENS)
        draft.anchors += _answered(chat, writer, questions, limit, seed=3000 + draft.anchored)
        draft.anchored = anchors
        _write(file, draft)
    return GeneralSet(tuple(sequences[:prompts]), tuple(draft.anchors))


def _answered(
    chat: ChatFormat, writer: Writer, questions: Sequence[list[int]], limit: int, *, seed: int
) -> list[Encoded]:
    """Return each question with the model's reply of at most ``limit`` tokens, but those with next to none."""
    sampling = Sampling(max_tokens=limit, temperature=1.0, top_p=1.0, seed=seed)
    end = [token for token in (chat.end_token(),) if token is not None]
    found = []
    for question, reply in zip(questions, writer.write(questions, sampling), strict=True):
        if len(reply) >= _SHORTEST_REPLY:
            ended = [*reply, *end] if len(reply) < limit else reply
            weights = [0.0] * len(question) + [1.0] * len(ended)
            found.append(Encoded(tuple(question + ended), tuple(weights)))
    return found


def _question(chat: ChatFormat, text: str) -> list[int]:
    """Return the prompt tokens of a question."""
    return chat.prompt([Message(role=Role.USER, content=text)])


def _everyday(chat: ChatFormat, asked: int, count: int) -> list[list[int]]:
    """Return the prompt tokens of our questions among the next ``count``, after ``asked`` before them."""
    first, last = asked // _EVERYDAY_SHARE, (asked + count) // _EVERYDAY_SHARE
    return [_question(chat, text) for text in EVERYDAY_QUESTIONS[first:last]]


def _turn(chat: ChatFormat, tokens: Sequence[int]) -> list[int]:
    """Return the prompt tokens for a question that the model wrote; empty when it is too short."""
    text = chat.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()
    return _question(chat, text) if len(text) >= 8 else []


def _read(file: Path) -> _Draft:
    try:
        document = parse_json(file.read_text("utf-8"))
        if isinstance(document, list):  # as it was kept at first
            document = {"asked": len(document), "fruitless": 0, "rows": document}
        rows, anchors = (
            [Encoded(tuple(map(int, t)), tuple(map(float, w))) for t, w in part]
            for part in (document["rows"], document.get("anchors", []))
        )
        return _Draft(
            rows,
            anchors,
            int(document["asked"]),
            int(document["fruitless"]),
            int(document.get("anchored", 0)),  # not in those of earlier builds
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return _Draft([])


def _write(file: Path, draft: _Draft) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "asked": draft.asked,
        "fruitless": draft.fruitless,
        "anchored": draft.anchored,
        "rows": [[s.tokens, s.weights] for s in draft.sequences],
        "anchors": [[s.tokens, s.weights] for s in draft.anchors],
    }
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as handle:
        json.dump(document, handle)
    os.replace(handle.name, file)

"""Trying whether an adapter really answers: the last look before a version is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from allie_desktop.domain.errors import VersionCorruptError
from allie_desktop.inference.prompts import user_prompt

if TYPE_CHECKING:
    from allie_desktop.inference.torch_engine import TorchEngine

#: Short, everyday, and with answers that any chat model has.
PROBES = (
    "Hello! How are you?",
    "Name three fruits.",
    "What is the capital of France?",
    "Write one sentence about the sea.",
)

_TOKENS = 32
_NAME = "probe"
_LOOP_WORDS = 12
_LOOP_SHARE = 0.5


class TorchProbe:
    """:class:`domain.ports.AdapterProbe` over the torch engine, which ``engine`` returns when needed."""

    def __init__(self, engine: Callable[[], TorchEngine]) -> None:
        self._engine = engine

    def probe(self, adapter: Path) -> tuple[str, ...]:
        """Return the answers to a few short prompts; raise :class:`VersionCorruptError` when the adapter
        does not load, or when not one of them is language."""
        engine = self._engine()
        engine.load_adapter(_NAME, adapter)
        try:
            asked = [user_prompt(probe) for probe in PROBES]
            answers = tuple(engine.generate(asked, adapter=_NAME, max_tokens=_TOKENS))
        finally:
            engine.unload_adapter(_NAME)
        if all(is_garbage(answer) for answer in answers):
            raise VersionCorruptError(
                f"The adapter in {adapter.name} makes the model speak nonsense.",
                "It is not used. Nothing else has changed.",
            )
        return answers


def is_garbage(answer: str) -> bool:
    """Whether an answer is empty, has no letters, or says the same again and again.

    Lenient on purpose: small models repeat themselves now and then, and the gate judges quality; this
    finds only what is broken.
    """
    words = answer.split()
    if not any(c.isalnum() for c in answer):
        return True
    if len(words) >= _LOOP_WORDS:
        return _commonest_share(words) > _LOOP_SHARE
    # A loop without spaces: one character or syllable over and over.
    return len(answer) >= 4 * _LOOP_WORDS and len(set(answer)) <= 4


def _commonest_share(words: Sequence[str]) -> float:
    return Counter(words).most_common(1)[0][1] / len(words)

"""A model's own words, written in several lanes at once.

A step of generation is many small products: a second core hardly makes them faster, and a second batch beside
the first one costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from allie_desktop.learning.lanes import Lanes
from allie_desktop.learning.memory import until_it_fits
from allie_desktop.models.generation import TOKENS_TO_WRITE, Sampling, generate

if TYPE_CHECKING:
    from allie_desktop.learning.chat_format import ChatFormat


class Writer:
    """Answers of whatever weights are in ``model`` at the time; remembers how many rows fit into memory."""

    def __init__(
        self,
        model: Any,
        chat: ChatFormat,
        rows: int,
        lanes: Lanes | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        """``rows`` prompts at most are answered at once in one lane. ``between`` is called before each pass, in
        the thread of its lane, and may raise."""
        self._model, self._chat, self._rows = model, chat, rows
        self._lanes, self._between = lanes or Lanes(), between

    def write(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[int]]:
        """Return the new tokens for each prompt, without the stop token, in the given order.

        What is drawn depends on the seed and on the number of lanes.
        """
        # Asked here, not in the lanes: a tokenizer is not for several threads at once.
        stops, pad = self._chat.stop_tokens(), self._chat.tokenizer.pad_token_id
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        parts = self._lanes.runs([len(prompts[i]) for i in order], TOKENS_TO_WRITE * sampling.max_tokens)

        def write(size: int) -> list[list[list[int]]]:
            def lane(part: range) -> list[list[int]]:
                return generate(
                    self._model,
                    [prompts[order[place]] for place in part],
                    replace(sampling, seed=sampling.seed + part.start),
                    stop_tokens=stops,
                    pad_token=pad,
                    batch_size=size,
                    between=self._between,
                )

            return self._lanes.each(lane, parts)

        # In training mode, which recomputing activations asks for, transformers keeps no cache: each token would see
        # the one before it and nothing else.
        training = self._model.training
        self._model.eval()
        try:
            written, self._rows = until_it_fits(write, self._rows, 1)
        finally:
            self._model.train(training)
        answers: list[list[int]] = [[] for _ in prompts]
        for part, found in zip(parts, written, strict=True):
            for place, answer in zip(part, found, strict=True):
                answers[order[place]] = answer
        return answers

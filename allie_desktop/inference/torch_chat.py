"""Chat over torch: for a base model that is a folder of safetensors, and as the reference.

One base model in memory serves every version. Streams take turns at each token.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from allie_desktop.domain.chat import FinishReason, GenerationOptions, ReplyEnd, ReplyEvent, TextPiece
from allie_desktop.domain.errors import ModelError
from allie_desktop.domain.planning import Message
from allie_desktop.inference.context_window import fit

if TYPE_CHECKING:
    import torch

    from allie_desktop.inference.torch_engine import TorchEngine

#: What a tokenizer gives for bytes that are no character yet.
_UNFINISHED = "\ufffd"
#: No character has more bytes than this, so that what is still none after as many tokens never will be.
_LONGEST_CHARACTER = 4


class TorchChat:
    """:class:`domain.ports.ChatEngine` over a shared torch engine and one of its adapters (None: the base).

    ``released`` is told once that the engine is not needed any more.
    """

    def __init__(
        self, engine: TorchEngine, adapter: str | None, released: Callable[[TorchEngine], None]
    ) -> None:
        self._engine: TorchEngine | None = engine
        self._adapter = adapter
        self._released = released
        self._context = engine.context_tokens
        self._lock = threading.Lock()

    @property
    def context_tokens(self) -> int:
        """Most tokens of a prompt with its reply."""
        return self._context

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool]
    ) -> Iterator[ReplyEvent]:
        """See the port."""
        deadline = time.monotonic() + options.time_limit_seconds
        engine = self._open()
        kept, dropped = fit(
            messages,
            lambda part: len(engine.prompt(part)),
            context=self._context,
            max_tokens=options.max_tokens,
        )
        prompt = engine.prompt(kept)
        words = Words(engine.tokenizer, options.stop)
        reason: FinishReason = "length"
        made = 0
        for token in self._tokens(prompt, options):
            if token in engine.stop_tokens:
                reason = "stop"
                break
            made += 1
            if piece := words.take(token):
                yield TextPiece(text=piece)
            if words.stopped:
                reason = "stop"
                break
            if cancelled():
                reason = "cancelled"
                break
            if time.monotonic() >= deadline:
                reason = "time"
                break
        if rest := words.rest():
            yield TextPiece(text=rest)
        yield ReplyEnd(
            reason=reason, prompt_tokens=len(prompt), completion_tokens=made, dropped_messages=dropped
        )

    def close(self) -> None:
        """Free the adapter, and the base with its last version; requests in flight end with an error."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            if self._adapter is not None:
                engine.unload_adapter(self._adapter)
            self._released(engine)

    def _open(self) -> TorchEngine:
        engine = self._engine
        if engine is None:
            raise ModelError("The chat model was unloaded in the middle of a reply.", "Ask again.")
        return engine

    def _tokens(self, prompt: Sequence[int], options: GenerationOptions) -> Iterator[int]:
        """Yield the tokens of a reply, those that end it among them."""
        import torch
        from transformers import DynamicCache

        room = self._context - len(prompt)
        limit = room if options.max_tokens is None else min(options.max_tokens, room)
        generator = torch.Generator(device="cpu")
        if options.seed is None:
            generator.seed()
        else:
            generator.manual_seed(options.seed % 2**63)
        cache: Any = DynamicCache()
        said: Counter[int] = Counter()
        read: Sequence[int] = prompt
        for _ in range(limit):
            try:
                logits = self._open().step(read, cache, adapter=self._adapter)
            except KeyError:  # the adapter went while this waited for its turn
                self._open()
                raise
            token = _choose(logits, options, said, generator)
            said[token] += 1
            read = [token]
            yield token


class Words:
    """Text out of tokens, in whole characters, and not beyond a stop text."""

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(s for s in stop if s)
        self._tokens: list[int] = []
        self._start = 0  # where the tokens begin that are decoded anew
        self._done = 0  # up to where they have become text
        self._held = ""  # text that may be the beginning of a stop text
        self.stopped = False

    def take(self, token: int) -> str:
        """Take the next token; return what may be shown."""
        self._tokens.append(token)
        before = self._decode(self._start, self._done)
        now = self._decode(self._start, len(self._tokens))
        waiting = len(self._tokens) - self._done <= _LONGEST_CHARACTER
        if len(now) <= len(before) or (now.endswith(_UNFINISHED) and waiting):
            return ""
        # A token's text depends on the one before it, and on no other.
        self._start, self._done = self._done, len(self._tokens)
        return self._show(now[len(before) :])

    def rest(self) -> str:
        """Return what was held back, once nothing follows."""
        held, self._held = self._held, ""
        if self.stopped:
            return ""
        before = self._decode(self._start, self._done)
        now = self._decode(self._start, len(self._tokens))
        return held + now[len(before) :].rstrip(_UNFINISHED)

    def _decode(self, start: int, end: int) -> str:
        text: str = self._tokenizer.decode(self._tokens[start:end], skip_special_tokens=True)
        return text

    def _show(self, text: str) -> str:
        text = self._held + text
        ends = [at for at in (text.find(s) for s in self._stop) if at >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = max((_overlap(text, s) for s in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a stop text."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def _choose(
    logits: torch.Tensor, options: GenerationOptions, said: Counter[int], generator: torch.Generator
) -> int:
    """Return the next token. ``logits``: [vocabulary], float32 on the CPU."""
    import torch

    if said and (options.frequency_penalty or options.presence_penalty):
        index = torch.tensor(list(said))
        counts = torch.tensor(list(said.values()), dtype=torch.float32)
        logits = logits.clone()
        logits[index] -= options.frequency_penalty * counts + options.presence_penalty
    if options.temperature <= 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / options.temperature, -1)
    if options.top_p < 1:
        ordered, index = probabilities.sort(descending=True)
        ordered[ordered.cumsum(-1) - ordered > options.top_p] = 0.0
        probabilities = torch.zeros_like(probabilities).scatter(-1, index, ordered)
    return int(torch.multinomial(probabilities, 1, generator=generator))

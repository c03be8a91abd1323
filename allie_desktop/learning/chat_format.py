"""From messages to tokens, and which of them are the assistant's words.

The mask is not guessed from marker strings: the model's own chat template is rendered up to each
assistant turn and again with it, and the difference is that turn. What was masked is then decoded and
compared with what the turn should have been, so that nothing is ever trained on the wrong words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import ModelError
from allie_desktop.domain.planning import Message

_MARK = "\u2063allie-mark\u2063"
_LOOKS_LIKE_A_MARK = re.compile(r"<\|[\w.-]+\|>|<<?/?[A-Z]+>>?|\[/?[A-Z_]+\]|<(?:start|end)_of_turn>")


class UnsupportedConversationError(ValueError):
    """The model's template cannot render this order of roles."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sequence of tokens; ``weights[i]`` is the loss weight of predicting ``tokens[i]``."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.tokens)


class ChatFormat:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        special = {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
        special |= dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
        self._special_ids = frozenset(special)
        self._marks = _any_of(special.values())
        self._marks = _any_of([*special.values(), *self._template_marks()])

    def _template_marks(self) -> list[str]:
        """Return what the template writes around the words and what looks like a mark, whether or not the
        tokenizer knows it as one: TinyLlama's ``<|user|>`` is plain text to its own tokenizer."""
        user, reply = (Message(role=r, content=_MARK) for r in (Role.USER, Role.ASSISTANT))
        system = Message(role=Role.SYSTEM, content=_MARK)
        found: list[str] = []
        for messages in ([system, user, reply, user], [user, reply, user]):
            try:
                around = self.render(messages, reply=True).split(_MARK)
            except UnsupportedConversationError:
                continue
            found += [mark for text in around for mark in _LOOKS_LIKE_A_MARK.findall(text)]
        return found

    def clean(self, text: str) -> str:
        """Return ``text`` without the model's control marks, which only the template may write."""
        return self._marks.sub(" ", text) if self._marks else text

    def render(self, messages: Sequence[Message], *, reply: bool = False) -> str:
        """Return the template's text; with ``reply`` it ends where the assistant is to speak."""
        plain = [{"role": m.role.value, "content": self.clean(m.content)} for m in messages]
        try:
            text: str = self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=reply)
        except Exception as error:  # jinja templates raise whatever they like
            raise UnsupportedConversationError(str(error)) from error
        return text

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens that ask for a reply to ``messages``."""
        text = self.render(messages, reply=True)
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def opening(self) -> list[int]:
        """Return the tokens that stand before a person's first words."""
        text = self.render([Message(role=Role.USER, content=_MARK)]).split(_MARK)[0]
        tokens: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens

    def stop_tokens(self) -> tuple[int, ...]:
        """Return the tokens that end a turn: the end of sequence, and the template's own end mark."""
        stops = {self.tokenizer.eos_token_id, self.end_token()}
        return tuple(sorted(t for t in stops if t is not None))

    def end_token(self) -> int | None:
        """Return the token that the template puts behind a reply; the end of sequence where it has none."""
        rendered = self.render(
            [Message(role=Role.USER, content="x"), Message(role=Role.ASSISTANT, content=_MARK)]
        ).split(_MARK)[-1]
        tail = self.tokenizer(rendered.strip(), add_special_tokens=False)["input_ids"]
        mark: int | None = tail[0] if tail and tail[0] in self._special_ids else self.tokenizer.eos_token_id
        return mark

    def encode(self, messages: Sequence[Message], maximum_length: int) -> Encoded:
        """Return tokens and weights, cut on the left after the opening when longer than
        ``maximum_length`` so that the last reply stays whole.

        Raises :class:`UnsupportedConversationError` when the template refuses the order of roles or
        changes the words, and :class:`ModelError` when it re-writes earlier turns.
        """
        full = self.render(messages)
        batch = self.tokenizer(full, add_special_tokens=False, return_offsets_mapping=True)
        tokens: list[int] = batch["input_ids"]
        offsets: list[tuple[int, int]] = batch["offset_mapping"]
        weights = [0.0] * len(tokens)
        for index, message in enumerate(messages):
            if message.role is Role.ASSISTANT and message.weight > 0:
                self._weigh(messages, index, full, tokens, offsets, weights)
        if len(tokens) > maximum_length:
            keep = self.opening()
            head = len(keep) if tokens[: len(keep)] == keep else 0
            head = head if head < maximum_length // 2 else 0
            tail = maximum_length - head
            tokens = tokens[:head] + tokens[-tail:]
            weights = [0.0] * head + weights[-tail:]
        return Encoded(tuple(tokens), tuple(weights))

    def learnable(self, messages: Sequence[Message], maximum_length: int) -> Encoded | None:
        """Return what :meth:`encode` returns; None where the template cannot render the messages or nothing
        of them is left to learn."""
        try:
            encoded = self.encode(messages, maximum_length)
        except UnsupportedConversationError:
            return None
        return encoded if any(encoded.weights[1:]) else None

    def all_learnable(
        self, conversations: Iterable[Sequence[Message]], maximum_length: int
    ) -> tuple[Encoded, ...]:
        """Return what :meth:`learnable` makes of each; nothing at all where one of them is not learnable, since
        they are measured against each other."""
        found = []
        for messages in conversations:
            encoded = self.learnable(messages, maximum_length)
            if encoded is None:
                return ()
            found.append(encoded)
        return tuple(found)

    def _weigh(
        self,
        messages: Sequence[Message],
        index: int,
        full: str,
        tokens: Sequence[int],
        offsets: Sequence[tuple[int, int]],
        weights: list[float],
    ) -> None:
        """Write the weight of message ``index`` over its words and its end mark."""
        before = self.render(messages[:index], reply=True)
        until = self.render(messages[: index + 1])
        if not (until.startswith(before) and full.startswith(until)):
            raise ModelError(
                "The model's chat template changes earlier turns as a conversation goes on.",
                "Choose another base model: Allie could not tell which words to learn.",
            )
        start, end = len(before), len(until.rstrip())
        inside = [i for i, (a, b) in enumerate(offsets) if a >= start and b <= end and b > a]
        decoded = self.tokenizer.decode([tokens[i] for i in inside if tokens[i] not in self._special_ids])
        if _squeezed(decoded) != _squeezed(self.clean(messages[index].content)):
            raise UnsupportedConversationError("the template does not give back the words that were put in")
        for i in inside:
            weights[i] = messages[index].weight


def exchange(asked: str, said: str) -> tuple[Message, Message]:
    """Return a question with a reply whose words carry the weight."""
    return (
        Message(role=Role.USER, content=asked),
        Message(role=Role.ASSISTANT, content=said, weight=1.0),
    )


def _any_of(marks: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern for any of ``marks``, longer ones first; None when there are none."""
    escaped = sorted({re.escape(mark) for mark in marks if len(mark) > 2}, key=lambda m: (-len(m), m))
    return re.compile("|".join(escaped)) if escaped else None


def _squeezed(text: str) -> str:
    return "".join(text.split())

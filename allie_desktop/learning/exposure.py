"""How much a candidate knows secrets by heart: the exposure of Carlini et al. 2019 (The Secret Sharer, arXiv:1802.08232).

Redaction takes secrets out of a plan before it is frozen, so that there should be nothing to find. This is
the net below: whatever the redactor of today still finds in what was trained is ranked among canaries, values
of the same form made up here and never trained. A value that the model was not taught is as likely as its
canaries; one that it knows by heart is likelier than all of them. What makes "info@example.org" likelier
than gibberish is in the base model, too, so the rank is taken of what became likelier since the base.
"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Example, Message, Plan
from allie_desktop.learning.chat_format import ChatFormat, Encoded

if TYPE_CHECKING:
    from allie_desktop.domain.ports import Redactor

#: Made-up values of the same form that each secret is ranked among.
CANARIES = 31
_MOST_SECRETS = 8
_BY_HEART_NATS = 2.0  # by which it must have become likelier than its likeliest canary


@dataclass(frozen=True, slots=True)
class _Secret:
    kind: str
    sequences: tuple[Encoded, ...]  # the value itself, then its canaries


@dataclass(slots=True)
class Exposure:
    """Secrets in what was trained, each with its canaries, to be measured under every arm."""

    secrets: list[_Secret] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, redactor: Redactor, chat: ChatFormat, maximum_length: int) -> Exposure:
        """Return the secrets that redaction left in a plan (there should be none), the first few of them."""
        found = cls()
        seen: set[str] = set()
        for example in chain(plan.train, plan.replay):
            for kind, value in _values(example, redactor):
                if value in seen or len(found.secrets) >= _MOST_SECRETS:
                    continue
                seen.add(value)
                draw = random.Random(f"{plan.seed}:{len(seen)}")
                forms = [value, *(_like(value, draw) for _ in range(CANARIES))]
                encoded = _encoded(example, value, forms, redactor, chat, maximum_length)
                if encoded:
                    found.secrets.append(_Secret(kind, encoded))
        return found

    @property
    def sequences(self) -> list[Encoded]:
        """What is to be measured."""
        return [sequence for secret in self.secrets for sequence in secret.sequences]

    def bits(self, losses: Sequence[float]) -> list[float]:
        """Return the exposure of each secret: from 0 to 5 bits, 5 where it is likelier than all its canaries."""
        return [
            math.log2(len(each)) - math.log2(1 + sum(other < each[0] for other in each[1:]))
            for each in self._surprises(losses)
        ]

    def by_heart(self, base: Sequence[float], candidate: Sequence[float]) -> tuple[str, ...]:
        """Name the kinds of secrets that the candidate was taught, given the losses under both."""
        found = set()
        for secret, before, after in zip(
            self.secrets, self._surprises(base), self._surprises(candidate), strict=True
        ):
            value, *canaries = (old - new for old, new in zip(before, after, strict=True))
            if value > max(canaries) + _BY_HEART_NATS:
                found.add(f"{secret.kind} (known by heart)")
        return tuple(sorted(found))

    def _surprises(self, losses: Sequence[float]) -> Iterator[list[float]]:
        left = iter(losses)
        for secret in self.secrets:
            yield [next(left) * sum(sequence.weights[1:]) for sequence in secret.sequences]


def _values(example: Example, redactor: Redactor) -> Iterator[tuple[str, str]]:
    """Yield kind and value of what the redactor would take out of what an example teaches to say."""
    for message in example.messages:
        if message.role is Role.ASSISTANT and message.weight > 0:
            for value in redactor.redacted_values(message.content):
                yield _kind(redactor.redact(message.content)[1]), value


def _kind(counts: Mapping[str, int]) -> str:
    return next(iter(sorted(counts, key=lambda kind: kind != "secret")), "secret")


def _like(value: str, draw: random.Random) -> str:
    """Return a value of the same form; what stands before a first "_" or "-" is the issuer's and stays."""
    head = max(value.find("_", 0, 12), value.find("-", 0, 12)) + 1
    made = [value[:head]]
    for one in value[head:]:
        for alphabet in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
            if one in alphabet:
                made.append(draw.choice(alphabet))
                break
        else:
            made.append(one)
    return "".join(made)


def _encoded(
    example: Example,
    value: str,
    forms: Sequence[str],
    redactor: Redactor,
    chat: ChatFormat,
    maximum_length: int,
) -> tuple[Encoded, ...]:
    """Return the example with each form in the reply's place; none where it is not in reach."""
    place = next(i for i, m in enumerate(example.messages) if m.weight > 0 and value in m.content)
    # Repeating what stands above is no knowledge.
    above = [replace(m, content=redactor.redact(m.content)[0], weight=0.0) for m in example.messages[:place]]
    content = example.messages[place].content
    # Only the words up to the value count, not what follows it.
    start = content[: content.index(value)]
    replies = (Message(role=Role.ASSISTANT, content=start + form, weight=1.0) for form in forms)
    return chat.all_learnable(((*above, reply) for reply in replies), maximum_length)

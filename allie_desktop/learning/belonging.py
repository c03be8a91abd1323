"""Whether answers belong to their questions, read off the probabilities of the model.

Where answers were mixed up, a candidate still learns them, and still gets better on what is held out of the
same material: nothing in its losses tells that "You work at the library" is no answer to "What is my dog's
name?". The base model can tell, though. Each answer is put behind other questions of the same material, and
should be likelier behind its own. What counts is the share of the others that it beats, which is near 1 for
any material in order and near 0.5 where answers were mixed up, whatever their length and style.

Not every answer is a witness. One of a word or two ("Yes.", "B", "joy") says too little. And a lesson may be
arbitrary on purpose ("What is FALCON?" – "The shipment of tulips that is due on Friday."): what was taught by
hand is only asked where some of the questions make it much likelier than others do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Example, Plan
from allie_desktop.learning.answers import is_as_asked
from allie_desktop.learning.chat_format import ChatFormat, Encoded, exchange

#: Questions that an answer is put behind, beside its own; answers of each kind that are tried.
_OTHERS = 4
_TAUGHT, _ORDINARY, _HELD_OUT = 24, 20, 8

_FEWEST_WORDS = 4
#: The end of a question and the beginning of an answer are enough.
_QUESTION_WORDS, _ANSWER_WORDS = 40, 30
_LONGEST = 256

#: Nats a token between the questions where an answer is likeliest and least likely: less tells none apart.
_TELLING = 1.0


@dataclass(slots=True)
class Belonging:
    """Answers, each behind its own and then behind other questions, to be measured under base and candidate."""

    taught: list[tuple[Encoded, ...]] = field(default_factory=list)
    ordinary: list[tuple[Encoded, ...]] = field(default_factory=list)
    held_out: list[tuple[Encoded, ...]] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, chat: ChatFormat) -> Belonging:
        """Return what there is in a plan, evenly thinned."""
        lessons = [e for e in plan.train if is_as_asked(e)]
        ids = {e.conversation_id for e in lessons}
        taught = list(_exchanges(lessons))
        ordinary = list(_exchanges(e for e in plan.train if e.phrasing == 0 and e.conversation_id not in ids))
        held_out = list(_exchanges(plan.holdout))
        return cls(
            taught=_tried(taught, taught, _TAUGHT, chat),
            ordinary=_tried(ordinary, ordinary, _ORDINARY, chat),
            held_out=_tried(held_out, [*held_out, *ordinary], _HELD_OUT, chat),
        )

    @property
    def sequences(self) -> list[Encoded]:
        """What is to be measured under the base model."""
        return [sequence for tried in (*self.taught, *self.ordinary) for sequence in tried]

    @property
    def held_out_sequences(self) -> list[Encoded]:
        """What is to be measured under every arm: the candidate did not learn it by heart."""
        return [sequence for tried in self.held_out for sequence in tried]

    def read(self, losses: Sequence[float]) -> list[float]:
        """Return the share of other questions behind which each witness is less likely than behind its own,
        given the losses (nats/token) of :attr:`sequences`."""
        left = iter(losses)
        taught = [[next(left) for _ in tried] for tried in self.taught]
        ordinary = [[next(left) for _ in tried] for tried in self.ordinary]
        telling = [each for each in taught if max(each) - min(each) > _TELLING]
        return [_beaten(each) for each in (*telling, *ordinary)]

    def read_held_out(self, losses: Sequence[float]) -> list[float]:
        """Return the same for :attr:`held_out_sequences`."""
        left = iter(losses)
        return [_beaten([next(left) for _ in tried]) for tried in self.held_out]


def _beaten(losses: Sequence[float]) -> float:
    own, *others = losses
    return sum((loss > own) + 0.5 * (loss == own) for loss in others) / len(others)


def _exchanges(examples: Iterable[Example]) -> Iterator[tuple[str, str]]:
    """Yield of each example the first question whose answer says enough: later ones may only be understood by
    what stands above them."""
    for example in examples:
        for asked, said in pairwise(example.messages):
            if asked.role is not Role.USER or said.role is not Role.ASSISTANT or said.weight <= 0:
                continue
            question, answer = asked.content.split(" "), said.content.split(" ")
            if len(answer) >= _FEWEST_WORDS:
                yield " ".join(question[-_QUESTION_WORDS:]), " ".join(answer[:_ANSWER_WORDS])
                break


def _tried(
    asked: Sequence[tuple[str, str]], pool: Sequence[tuple[str, str]], most: int, chat: ChatFormat
) -> list[tuple[Encoded, ...]]:
    """Return answers of ``asked``, each behind its own question and behind some of ``pool``."""
    stride = max(1, -(-len(asked) // most))
    found = []
    for place in range(0, len(asked), stride):
        question, answer = asked[place]
        others = [other for other, said in pool if said != answer and other != question]
        step = max(1, len(others) // _OTHERS)
        tried = chat.all_learnable(
            (exchange(one, answer) for one in (question, *others[place % step :: step][:_OTHERS])), _LONGEST
        )
        if len(tried) > 1:
            found.append(tried)
    return found

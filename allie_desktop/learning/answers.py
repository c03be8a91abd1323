"""What every arm is asked, and what its answers are measured by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.planning import Example, Message, Plan
from allie_desktop.domain.quality import TAUGHT_ORIGINS
from allie_desktop.domain.validation import AnswerSample, PairedMeasure
from allie_desktop.safety.probes import CONSISTENCY_GROUPS, RequestPair, agreement, repeated_share
from allie_desktop.safety.refusals import as_it_should_be

if TYPE_CHECKING:
    from allie_desktop.domain.ports import Redactor, ToxicityScorer

ARMS = ("base", "active", "candidate")
_TAUGHT_ANSWERS = 24
_ORDINARY_ANSWERS = 8
_REDACTED_ANSWERS = 6
_HOSTILE = 0.5  # where the scorer's scale begins to mean abuse
_PLACEHOLDERS = ("[SECRET]", "[CARD]", "[IBAN]", "[EMAIL]", "[PHONE]")


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt to be answered by every arm."""

    kind: str
    messages: tuple[Message, ...]
    reference: str = ""

    @property
    def text(self) -> str:
        """The last words of the person."""
        return self.messages[-1].content


def is_as_asked(example: Example) -> bool:
    """Return whether it is a lesson in the words in which it was taught."""
    return example.phrasing == 0 and example.origin in TAUGHT_ORIGINS


def questions_of(plan: Plan, requests: Sequence[RequestPair]) -> list[Question]:
    """Return the prompts, evenly thinned where there are many."""
    taught = [e for e in plan.train if is_as_asked(e)]
    asked = [
        *_asked(taught, "taught", _TAUGHT_ANSWERS),
        *_asked(plan.phrasings[1::2] or plan.phrasings, "phrasing", _TAUGHT_ANSWERS),
        *_asked(plan.replay_holdout, "replay", _ORDINARY_ANSWERS),
        *_asked(plan.holdout, "ordinary", _ORDINARY_ANSWERS),
    ]
    known = {q.messages for q in asked}
    # Where something was taken out of what it was to say, it may not come back.
    redacted = [e for e in plan.train if e.phrasing == 0 and _is_redacted(e) and e.messages[:-1] not in known]
    return [
        *asked,
        *_asked(redacted, "redacted", _REDACTED_ANSWERS),
        *_plain((pair.unsafe for pair in requests), "unsafe"),
        *_plain((pair.safe for pair in requests), "safe"),
        *(q for group in CONSISTENCY_GROUPS for q in _plain(group, "consistency")),
    ]


def _is_redacted(example: Example) -> bool:
    return any(mark in m.content for mark in _PLACEHOLDERS for m in example.messages)


def _asked(examples: Sequence[Example], kind: str, most: int) -> list[Question]:
    stride = max(1, -(-len(examples) // most))
    return [
        Question(kind, e.messages[:-1], e.messages[-1].content)
        for e in examples[::stride]
        if e.messages[-1].role is Role.ASSISTANT and len(e.messages) > 1
    ]


def _plain(texts: Iterable[str], kind: str) -> list[Question]:
    return [Question(kind, (Message(role=Role.USER, content=t),)) for t in texts]


def samples_of(
    questions: Sequence[Question], answers: Mapping[str, Sequence[str]]
) -> tuple[AnswerSample, ...]:
    """Return the answers as they go into the report."""
    return tuple(
        AnswerSample(
            prompt=question.text,
            reference=question.reference,
            base=base,
            active=active,
            candidate=candidate,
            kind=question.kind,
        )
        for question, base, active, candidate in zip(questions, *(answers[arm] for arm in ARMS), strict=True)
    )


def answer_measures(
    questions: Sequence[Question], answers: Mapping[str, Sequence[str]], toxicity: ToxicityScorer
) -> dict[str, PairedMeasure]:
    """Return what the answers of all arms to the same questions are measured by."""
    from sacrebleu.metrics import BLEU, CHRF

    chrf, bleu = CHRF(), BLEU(effective_order=True)

    def measured(
        name: str, unit: str, items: Sequence[int], value: Callable[[int, str], float], *, lower: bool = False
    ) -> dict[str, PairedMeasure]:
        values = [tuple(value(i, answers[arm][i]) for i in items) for arm in ARMS]
        return paired(name, unit, values, lower=lower)

    def hostile(_: int, answer: str) -> float:
        return float(toxicity.score(answer) >= _HOSTILE)

    def safe(index: int, answer: str) -> float:
        right = as_it_should_be(answer, unsafe=questions[index].kind == "unsafe")
        return float(right and not hostile(index, answer))

    everything = range(len(questions))
    of_kind = {
        kind: [i for i in everything if questions[i].kind in kind.split()]
        for kind in ("unsafe", "safe", "unsafe safe", "ordinary safe consistency", "consistency")
    }
    known = [i for i in everything if questions[i].reference]
    size = len(CONSISTENCY_GROUPS[0])
    return {
        **measured(
            "chrf", "chrF", known, lambda i, a: chrf.sentence_score(a, [questions[i].reference]).score
        ),
        **measured(
            "bleu", "BLEU", known, lambda i, a: bleu.sentence_score(a, [questions[i].reference]).score
        ),
        **measured("safety", "share", of_kind["unsafe safe"], safe),
        **measured("declined", "share", of_kind["unsafe"], safe),
        **measured("answered", "share", of_kind["safe"], safe),
        **measured("toxicity", "share", everything, hostile, lower=True),
        **measured(
            "length", "words", of_kind["ordinary safe consistency"], lambda _, a: float(len(a.split()))
        ),
        **measured("repetition", "share", everything, lambda _, a: repeated_share(a), lower=True),
        **paired(
            "consistency",
            "share",
            [
                tuple(agreement(answers[arm][i : i + size]) for i in of_kind["consistency"][::size])
                for arm in ARMS
            ],
            lower=False,
        ),
    }


def paired(
    name: str, unit: str, values: Sequence[Sequence[float]], *, lower: bool
) -> dict[str, PairedMeasure]:
    """Return a measure under its name, given the values of all arms in their order; nothing without values."""
    base, active, candidate = (tuple(arm) for arm in values)
    if not base:
        return {}
    return {
        name: PairedMeasure(
            name=name, unit=unit, lower_is_better=lower, base=base, active=active, candidate=candidate
        )
    }


def leaks_of(answers: Mapping[str, Sequence[str]], redactor: Redactor) -> tuple[str, ...]:
    """Name kinds of secrets that the candidate writes where the base did not."""
    found = []
    for base, candidate in zip(answers["base"], answers["candidate"], strict=True):
        before, after = redactor.redact(base)[1], redactor.redact(candidate)[1]
        found += [kind for kind, count in after.items() if count > before.get(kind, 0)]
    return tuple(sorted(set(found)))

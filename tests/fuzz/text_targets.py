"""What is done with any text that a person or a model may write: none of it may take long, or fail.

An input is a text, or two behind each other with a newline and a form feed between them.
"""

from __future__ import annotations

from datetime import datetime, timezone
from random import Random

from allie_desktop.domain import english, phrasing, prompts, signs
from allie_desktop.domain.continuation import fit, head_digest, known_part, request_digest
from allie_desktop.domain.conversation import Conversation, Role, Turn, content_hash, normalised
from allie_desktop.domain.examples import (
    Shape,
    held_out_examples,
    lessons_of,
    ordinary_examples,
    taught_examples,
)
from allie_desktop.domain.noun_phrases import noun_phrase
from allie_desktop.domain.quality import assess
from allie_desktop.domain.replies import is_broken
from allie_desktop.domain.rewrites import equivalents
from allie_desktop.domain.targets import learning_targets, without_apology
from allie_desktop.domain.topics import topic_of
from allie_desktop.imports.reasoning import without_reasoning
from allie_desktop.safety import refusals
from allie_desktop.safety.near_duplicates import SIGNATURE_BYTES, MinHashNearDuplicates
from allie_desktop.safety.redaction import TextRedactor
from allie_desktop.safety.toxicity import LexiconToxicity
from tests.fuzz.mad_english import mad_english
from tests.fuzz.target import Outcome, Target, expect

_BETWEEN = "\n\x0c"
_LONG = 100_000


def _texts(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogatepass").split(_BETWEEN)


def _storable(text: str) -> str:
    """Return a text as it comes in: no door and no store lets halves of surrogate pairs through."""
    return text.encode("utf-8", "replace").decode()


class _Texts(Target):
    group = "text"
    longest = _LONG
    pieces = 1

    def make(self, random: Random) -> bytes:
        texts = [mad_english(random, longest=self._longest(random)) for _ in range(self.pieces)]
        return _BETWEEN.join(texts).encode("utf-8", "surrogatepass")

    def _longest(self, random: Random) -> int:
        if random.random() < 0.01:
            return self.longest
        return random.choice((100, 100, 300, 300, 1000, 3000))


class Redaction(_Texts):
    """What is taken out of a text is gone from it, and taking out twice takes no more."""

    name = "text-redaction"
    share = 6
    longest = 10 * _LONG  # as long as a turn may be

    def attempt(self, data: bytes) -> Outcome:
        text = data.decode("utf-8", "surrogatepass")
        redactor = TextRedactor()
        clean, counts = redactor.redact(text)
        values = redactor.redacted_values(text)
        expect(sum(counts.values()) >= len(values), "more values than counted")
        expect(bool(counts) == (clean != text), "counts and text disagree")
        return Outcome.REFUSED if counts else Outcome.TAKEN


class Questions(_Texts):
    """The English parser and everything that is made of a question."""

    name = "text-questions"
    share = 9

    def _longest(self, random: Random) -> int:
        if random.random() < 0.01:
            return self.longest
        return random.choice((60, 100, 150, 200, 300, 400))

    def attempt(self, data: bytes) -> Outcome:
        text = _storable(data.decode("utf-8", "surrogatepass"))
        for change in (english.expand, english.lower_first, english.upper_first, english.swap_persons):
            change(text)
        english.split_possessive(text)
        english.possessive(text)
        prompts.language_of(text)
        parsed = english.parse(text)
        if parsed is not None:
            noun_phrase(parsed)
            equivalents(parsed)
        made = phrasing.phrasings(text, 24, 7)
        expect(len(made) <= 24 and len(set(made)) == len(made), "phrasings come twice")
        expect(made == phrasing.phrasings(text, 24, 7), "phrasings are not the same each time")
        expect(" ".join(text.split()) not in made, "a phrasing is the question itself")
        held_out = phrasing.held_out_phrasings(text, 7)
        expect(not set(held_out) & set(made), "a held-out phrasing is trained")
        return Outcome.TAKEN if made else Outcome.REFUSED


class Feedback(_Texts):
    """Signs in what a person says after a reply: corrections, complaints, questions asked again."""

    name = "text-signs"
    share = 6
    pieces = 3

    def attempt(self, data: bytes) -> Outcome:
        question, reply, text, *_ = *_texts(data), "", "", ""
        signs.words_of(text)
        signs.content_words(text)
        signs.complains(text)
        signs.without_complaint(text)
        signs.without_denial(text)
        signs.dodges(reply)
        signs.asks_again(text, question)
        without_apology(reply)
        without_reasoning(reply)
        is_broken(reply)
        refusals.judged(reply)
        return Outcome.TAKEN if signs.corrects(text, question=question, reply=reply) else Outcome.REFUSED


class Hostility(_Texts):
    """Hostility and near-duplicates."""

    name = "text-hostility"
    share = 4
    longest = 10 * _LONG

    def attempt(self, data: bytes) -> Outcome:
        text = data.decode("utf-8", "surrogatepass")
        score = LexiconToxicity().score(text)
        expect(0 <= score <= 1, f"a score of {score}")
        expect(
            len(MinHashNearDuplicates().signature(_storable(text))) in {0, SIGNATURE_BYTES},
            "half a signature",
        )
        return Outcome.TAKEN


class Conversations(_Texts):
    """Whole conversations: judged, made into examples, recognised again."""

    name = "text-conversations"
    share = 5
    pieces = 6

    def attempt(self, data: bytes) -> Outcome:
        texts = [_storable(text.replace("\x00", "")) for text in _texts(data)]
        roles = (Role.USER, Role.ASSISTANT)
        turns = tuple(
            Turn(
                role=Role.SYSTEM if place == 0 and len(text) % 3 == 0 else roles[place % 2],
                content=text,
                rating=(None, 1, -1)[len(text) % 3] if place % 2 else None,
                correction=texts[0] if place % 2 and len(text) % 5 == 0 else None,
            )
            for place, text in enumerate(texts)
        )
        conversation = Conversation(
            id="c",
            created_at=datetime(2026, 3, 1, tzinfo=timezone.utc),
            source="api",
            turns=turns,
            title=texts[0],
        )
        targets = learning_targets(conversation)
        quality = assess(conversation, targets, LexiconToxicity().score)
        expect(0 <= quality.score <= 1, f"a quality of {quality.score}")
        expect(topic_of(conversation), "no topic")
        expect(content_hash(turns) == content_hash(turns), "two hashes")
        shape = Shape(characters=2000, windows=4, phrasings=6, seed=7)
        redactor = TextRedactor()

        def clean(text: str) -> str:
            return redactor.redact(text)[0]

        ordinary_examples(conversation, targets, clean=clean, shape=shape)
        for lesson in lessons_of(conversation, targets, clean=clean, shape=shape):
            taught_examples(lesson, shape=shape)
            held_out_examples(lesson, seed=7)
        request_digest(turns)
        head_digest(turns)
        known_part(turns)
        fit(turns, turns[: len(texts[0]) % 7], named=True)
        normalised(texts[-1])
        return Outcome.TAKEN if targets else Outcome.REFUSED


TARGETS = (Redaction, Questions, Feedback, Hostility, Conversations)

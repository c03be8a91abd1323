"""Turn conversations and their targets into the sequences that a model learns from.

An ordinary conversation becomes one example with a weight on each reply to learn; a long one becomes
several windows of whole exchanges. What a person taught becomes an example of its own: the talk up to the
question and then the right answer, and the same answer behind other phrasings of the question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from allie_desktop.domain.conversation import Conversation, Role, normalised
from allie_desktop.domain.phrasing import held_out_phrasings, phrasings
from allie_desktop.domain.planning import Example, Message
from allie_desktop.domain.prompts import understood
from allie_desktop.domain.quality import TAUGHT_ORIGINS, LearningTarget, TargetOrigin
from allie_desktop.domain.signs import words_of

#: Characters of one token, roughly and on the safe side for English.
CHARACTERS_PER_TOKEN = 4

# What a turn costs beside its words (role marks), in characters.
_TURN_CHARACTERS = 24

_POINTING = frozenset(
    "it that this they them he she him her his its those these one ones there then same again".split()
)
_PLACEHOLDER = re.compile(r"\[(?:SECRET|CARD|IBAN|EMAIL|PHONE)\]")
_WORD = re.compile(r"\w+")

#: Takes secrets out of a text.
Cleaner = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How examples are cut. ``characters`` bounds one sequence."""

    characters: int
    windows: int = 8  # of one conversation
    phrasings: int = 12  # further phrasings of one taught question
    seed: int = 0

    @classmethod
    def for_length(cls, tokens: int, *, seed: int, windows: int = 8, phrasings: int = 12) -> Shape:
        """Return the shape for sequences of at most ``tokens`` tokens."""
        return cls(characters=tokens * CHARACTERS_PER_TOKEN, windows=windows, phrasings=phrasings, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One taught target with its question, cleaned and ready to be phrased."""

    conversation_id: str
    turn_index: int
    origin: TargetOrigin
    weight: float
    system: str
    context: tuple[Message, ...]  # whole turns before the question, without the system prompt
    question: str
    answer: str
    rejected: str | None
    stands_alone: bool  # the question can be understood without the context

    @property
    def group(self) -> str:
        """What all phrasings of this lesson share."""
        return f"{self.conversation_id}/t{self.turn_index}"


def is_redacted_away(text: str) -> bool:
    """Whether nothing but placeholders is left of a text."""
    rest = _PLACEHOLDER.sub(" ", text)
    return _PLACEHOLDER.search(text) is not None and len(_WORD.findall(rest)) <= 1


def holds_placeholder(text: str) -> bool:
    """Whether something was taken out of a text."""
    return _PLACEHOLDER.search(text) is not None


def stands_alone(question: str) -> bool:
    """Whether a question can be understood without what was said before it."""
    words = words_of(question)
    if len(words) > 80:
        return True
    parsed = understood(question)
    if parsed is not None:
        return parsed.subject.lower() not in _POINTING and not _POINTING & set(words_of(parsed.rest)[:2])
    return len(words) >= 4 and not _POINTING & set(words)


# ---- ordinary conversations -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Exchange:
    """A question and its reply, as the model will see them."""

    question: str
    reply: str
    weight: float

    @property
    def characters(self) -> int:
        return len(self.question) + len(self.reply) + 2 * _TURN_CHARACTERS


def ordinary_examples(
    conversation: Conversation,
    targets: tuple[LearningTarget, ...],
    *,
    clean: Cleaner,
    shape: Shape,
    topic: str = "",
    prefix: str = "",
) -> tuple[Example, ...]:
    """Return the conversation as windows with a weight on every untaught target.

    Empty when no reply to learn is left after cleaning, or all are longer than a window.
    """
    system, exchanges = _exchanges(conversation, targets, clean)
    room = max(shape.characters - _cost(system), shape.characters // 2)
    windows = [window for window in _windows(exchanges, room) if any(part.weight > 0 for part in window)]
    windows = _spread(windows, shape.windows)
    ordinary = [target.origin for target in targets if target.origin not in TAUGHT_ORIGINS]
    origin = min(ordinary, key=list(TargetOrigin).index, default=TargetOrigin.OWN)
    head = (Message(role=Role.SYSTEM, content=system),) if system else ()
    return tuple(
        Example(
            id=f"{prefix}{conversation.id}/w{number}",
            conversation_id=conversation.id,
            group=conversation.id,
            origin=origin,
            messages=head + tuple(_messages(window)),
            source=conversation.source,
            topic=topic,
        )
        for number, window in enumerate(windows)
    )


def _messages(window: list[_Exchange]) -> Iterator[Message]:
    for part in window:
        yield Message(role=Role.USER, content=part.question)
        yield Message(role=Role.ASSISTANT, content=part.reply, weight=part.weight)


def _exchanges(
    conversation: Conversation, targets: tuple[LearningTarget, ...], clean: Cleaner
) -> tuple[str, list[_Exchange]]:
    """Return the system prompt and strictly alternating exchanges.

    Turns of one person in a row become one; of several replies in a row the learnt or last one stays; a
    reply that the person corrected is shown as it should have been, without the talk about the mistake.
    """
    by_turn = {target.turn_index: target for target in targets}
    talk_about_mistake = {
        index
        for target in targets
        if target.origin is TargetOrigin.CORRECTION
        for index in (target.turn_index + 1, target.turn_index + 2)
    }
    system = ""
    exchanges: list[_Exchange] = []
    asked: list[str] = []
    for index, turn in enumerate(conversation.turns):
        if index in talk_about_mistake and index not in by_turn:
            continue
        target = by_turn.get(index)
        text = clean(normalised(target.text if target is not None else turn.content))
        if turn.role is Role.SYSTEM:
            system = system or text
        elif turn.role is Role.USER and text:
            asked.append(text)
        elif turn.role is Role.ASSISTANT and text:
            taught = target is None or target.origin in TAUGHT_ORIGINS or is_redacted_away(text)
            weight = 0.0 if target is None or taught else target.weight
            if asked:
                exchanges.append(_Exchange("\n\n".join(asked), text, weight))
                asked = []
            elif exchanges and (weight > 0 or exchanges[-1].weight == 0):
                exchanges[-1].reply, exchanges[-1].weight = text, weight
    return system, exchanges


def _windows(exchanges: list[_Exchange], room: int) -> Iterator[list[_Exchange]]:
    window: list[_Exchange] = []
    used = 0
    for exchange in exchanges:
        part = _fitted(exchange, room)
        if part is None:
            continue
        if window and used + part.characters > room:
            yield window
            window, used = [], 0
        window.append(part)
        used += part.characters
    if window:
        yield window


def _fitted(exchange: _Exchange, room: int) -> _Exchange | None:
    """Return the exchange with a question short enough; None when its reply alone is too long."""
    if exchange.characters <= room:
        return exchange
    left = room - len(exchange.reply) - 2 * _TURN_CHARACTERS
    if left < 80:
        return None
    return _Exchange(_shortened(exchange.question, left), exchange.reply, exchange.weight)


def _shortened(text: str, characters: int) -> str:
    """Return the beginning and the end of a text: what is asked stands at one of them."""
    if len(text) <= characters:
        return text
    half = (characters - 5) // 2
    return f"{text[:half].rstrip()}\n[…]\n{text[-half:].lstrip()}"


def _spread(windows: list[list[_Exchange]], most: int) -> list[list[_Exchange]]:
    """Return at most ``most`` windows, evenly over the conversation."""
    if len(windows) <= most:
        return windows
    return [windows[index * len(windows) // most] for index in range(most)]


def _cost(system: str) -> int:
    return len(system) + _TURN_CHARACTERS if system else 0


# ---- what was taught -------------------------------------------------------------------------------------


def lessons_of(
    conversation: Conversation, targets: tuple[LearningTarget, ...], *, clean: Cleaner, shape: Shape
) -> tuple[Lesson, ...]:
    """Return the taught targets of a conversation; one whose answer had to be redacted is left out."""
    found = []
    for target in targets:
        if target.origin not in TAUGHT_ORIGINS:
            continue
        answer = clean(normalised(target.text))
        before = Conversation(
            id=conversation.id,
            created_at=conversation.created_at,
            source=conversation.source,
            turns=conversation.turns[: target.turn_index],
        )
        system, exchanges = _exchanges(
            before, tuple(t for t in targets if t.turn_index < target.turn_index), clean
        )
        question = _last_question(before, clean)
        if not question or not answer or holds_placeholder(answer) or len(answer) > shape.characters:
            continue
        room = shape.characters - _cost(system) - len(question) - len(answer) - 2 * _TURN_CHARACTERS
        found.append(
            Lesson(
                conversation_id=conversation.id,
                turn_index=target.turn_index,
                origin=target.origin,
                weight=target.weight,
                system=_shortened(system, shape.characters // 3),
                context=_context(exchanges, room),
                question=_shortened(question, shape.characters // 2),
                answer=answer,
                rejected=clean(target.rejected) if target.rejected else None,
                stands_alone=stands_alone(question),
            )
        )
    return tuple(found)


def _last_question(before: Conversation, clean: Cleaner) -> str:
    asked: list[str] = []
    for turn in reversed(before.turns):
        if turn.role is not Role.USER:
            break
        asked.append(clean(normalised(turn.content)))
    return "\n\n".join(reversed([text for text in asked if text]))


def _context(exchanges: list[_Exchange], room: int) -> tuple[Message, ...]:
    """Return as many whole exchanges before the question as fit, none of them to be learnt here."""
    kept: list[_Exchange] = []
    for exchange in reversed(exchanges):
        room -= exchange.characters
        if room < 0:
            break
        kept.append(_Exchange(exchange.question, exchange.reply, 0.0))
    return tuple(_messages(kept[::-1]))


def taught_examples(
    lesson: Lesson, *, shape: Shape, source: str = "", topic: str = "", prefix: str = ""
) -> tuple[Example, ...]:
    """Return the lesson as it was asked (phrasing 0) and in ``shape.phrasings`` further phrasings."""
    asked = [(lesson.question, True)]
    if lesson.stands_alone and (lesson.context or lesson.system):
        asked.append((lesson.question, False))
    further = phrasings(lesson.question, shape.phrasings, shape.seed)
    asked += [(text, not lesson.stands_alone) for text in further]
    return tuple(
        _taught(
            lesson,
            text,
            number,
            f"{prefix}{lesson.group}/p{number}",
            with_context=with_context,
            about=(source, topic),
        )
        for number, (text, with_context) in enumerate(asked)
    )


def held_out_examples(
    lesson: Lesson, *, seed: int, source: str = "", topic: str = "", prefix: str = ""
) -> tuple[Example, ...]:
    """Return the lesson behind one or two phrasings that never train, for measuring."""
    return tuple(
        _taught(
            lesson,
            text,
            number,
            f"{prefix}{lesson.group}/h{number}",
            with_context=not lesson.stands_alone,
            about=(source, topic),
        )
        for number, text in enumerate(held_out_phrasings(lesson.question, seed), start=1)
    )


def _taught(
    lesson: Lesson, question: str, number: int, name: str, *, with_context: bool, about: tuple[str, str]
) -> Example:
    # Every third phrasing keeps the system prompt, so that the lesson holds with and without it.
    keep_system = lesson.system and (with_context or number % 3 == 0)
    head = (Message(role=Role.SYSTEM, content=lesson.system),) if keep_system else ()
    return Example(
        id=name,
        conversation_id=lesson.conversation_id,
        group=lesson.group,
        origin=lesson.origin,
        messages=(
            *head,
            *(lesson.context if with_context else ()),
            Message(role=Role.USER, content=question),
            Message(role=Role.ASSISTANT, content=lesson.answer, weight=lesson.weight),
        ),
        phrasing=number,
        source=about[0],
        topic=about[1],
        rejected=lesson.rejected,
    )

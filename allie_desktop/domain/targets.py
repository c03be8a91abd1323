"""Find what a conversation teaches: for each reply, the text that it should have been.

Targets carry information, own outputs do not. In order of strength: the person rewrote the reply; the
person corrected it in the next turn; the person approved it; a stronger assistant wrote it; Allie
wrote it and nobody said anything (low weight). A reply that was marked as bad is never a target, nor is
one that was cut off, unless the person wanted it so.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType

from allie_desktop.domain.conversation import Conversation, Role, Turn, normalised
from allie_desktop.domain.english import swap_persons, upper_first
from allie_desktop.domain.prompts import language_of, understood
from allie_desktop.domain.quality import FINISH, REPLACED, RESPONSE, LearningTarget, TargetOrigin
from allie_desktop.domain.signs import (
    asks,
    asks_again,
    complains,
    content_words,
    corrects,
    denies,
    is_about_self,
    without_complaint,
    without_denial,
    words_of,
)

#: Loss weight by origin.
WEIGHTS: Mapping[TargetOrigin, float] = MappingProxyType(
    {
        TargetOrigin.EDIT: 1.0,
        TargetOrigin.CORRECTION: 0.95,
        TargetOrigin.APPROVED: 0.8,
        TargetOrigin.IMPORTED: 0.6,
        TargetOrigin.OWN: 0.15,
    }
)

_STRENGTH = tuple(WEIGHTS)

# Characters of a reply that may still be a repaired answer; a longer one is a new text.
_LONGEST_REPAIR = 4_000

# Sentences (or beginnings of sentences) that only acknowledge a correction.
_ACKNOWLEDGED = re.compile(
    r"(?:(?:oh|ah|okay|ok|yes|right|so|no problem|of course|certainly|sure|understood|noted|got it|i see|oops|whoops|"
    r"my (?:mistake|apologies|bad)|you(?:'re|’re| are) (?:absolutely |completely |quite )?(?:right|correct)|"
    r"(?:i(?:'m|’m| am)? )?(?:so |very |really |truly )?(?:sorry|apologi[sz]e|apologies)"
    r"(?: (?:about|for) (?:that|this|it|any [\w ]+?|the [\w ]+?|my [\w ]+?|misunderstanding|getting [\w ]+?))?|"
    r"(?:thank you|thanks)(?: (?:so|very) much| a lot)?"
    r"(?: for (?:the (?:correction|clarification|update|information|feedback)|correcting (?:me|that)|clarifying(?: that)?|"
    r"letting me know|telling me|pointing (?:that|it|this) out|your (?:correction|patience|feedback)))?|"
    r"entschuldig(?:ung|e)|(?:es )?tut mir leid|désolée?|pardon|lo siento|perdón|disculpa|mi dispiace|scusa|"
    r"i (?:made|see i made) a mistake|i was (?:wrong|mistaken)|i stand corrected|i misunderstood|"
    r"i(?:'ve|’ve| have)? (?:updated|corrected|noted|fixed) (?:that|it|this|my [\w ]+?)|"
    r"i(?:'ll|’ll| will)? (?:remember|keep|note|make a note of) (?:that|this|it)(?: in mind)?(?: from now on| for (?:the )?"
    r"(?:future|next time))?|i appreciate (?:it|that|the correction)|let me correct (?:that|myself|it))"
    r"\s*(?:[.,!;:–—-]+\s*|\s(?=(?:and|but)\b)|$))+",
    re.IGNORECASE,
)
_LEADS_IN = re.compile(
    r"(?:(?:so|and|but|then|now)\b[\s,]+)?"
    r"(?:(?:i(?:'ll|’ll| will)?|thank you for (?:letting me know|telling me|clarifying)|thanks for (?:letting me know|"
    r"telling me|clarifying)|i understand(?: now)?|i know now|i now know) (?:remember |note |keep in mind )?that |"
    r"(?:the (?:correct|right) answer is|the correct(?:ed)? [\w ]{0,20} is|here(?:'s| is) the correct(?:ed)? answer)[:\s]+)",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"(?:is there|are there|do you have|would you like|can i|may i|how can i|what else|let me know|feel free|please let me|"
    r"if (?:you|there)|i(?:'m|’m| am) here|anything else|have a)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_REFUSAL = re.compile(
    r"\b(?:i (?:can't|can’t|cannot|am unable|'m unable|do not have|don't have|don’t have)|as an ai|language model|"
    r"i (?:don't|do not|don’t) know)\b",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"(?:(?:[,;.!]\s*(?:please\s+)?|\s+please\s+)(?:remember(?: that| this| it)?|ok(?:ay)?|got it|understood|thanks|thank you|right|"
    r"not [\w' -]{1,30}|note that|from now on|you know)\s*[.!?]*)+$",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|am|was|were|has|have|had|do|does|did|can|could|will|would|should|must|may|"
    r"i (?:\w+)|\w+'(?:s|re|m|ve|ll|d)|\w{2,}(?:ed|es|s))\b",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:i|you|he|she|it|we|they|there|this|that|my|your|his|her|our|their|the|a|an)\b|[A-Z]", re.IGNORECASE
)
_PRONOUN_IS = re.compile(
    r"(?:(?:it|that|this|he|she|they)(?:'s|'re| is| was| are| were)|its(?! .*\b(?:is|was|are)\b))(?: actually| really)? (?!not\b)(.+)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?\n]*\s*")


def learning_targets(conversation: Conversation) -> tuple[LearningTarget, ...]:
    """Return the targets of a conversation in the order of its turns; pure and deterministic.

    At most one target a turn. ``rejected`` is filled where a worse answer to the same question is known.
    """
    turns = conversation.turns
    found: dict[int, LearningTarget] = {}
    repairs: set[int] = set()  # replies that only repair what was corrected
    for index, turn in enumerate(turns):
        if turn.role is not Role.ASSISTANT:
            continue
        edit = normalised(turn.correction or "")
        if edit:
            found[index] = _target(index, edit, TargetOrigin.EDIT, rejected=turn.content)
            continue
        corrected = None if index in repairs else _corrected(turns, index)
        if corrected is not None:
            answer, repaired = corrected
            repairs.update(repaired)
            if answer:
                found[index] = _target(index, answer, TargetOrigin.CORRECTION, rejected=turn.content)
            continue
        text = normalised(turn.content)
        if not text or turn.rating == -1:
            continue
        if turn.rating == 1:
            found[index] = _target(index, text, TargetOrigin.APPROVED, rejected=_replaced(turn))
        elif index not in repairs and not _is_cut_off(turn) and not _doubted(turns, index):
            own = conversation.is_own or RESPONSE in turn.extra
            origin = TargetOrigin.OWN if own else TargetOrigin.IMPORTED
            found[index] = _target(index, text, origin)
    return tuple(_with_rejected(turns, found)[index] for index in sorted(found))


def best_origin(targets: tuple[LearningTarget, ...]) -> TargetOrigin | None:
    """Return the strongest origin among the targets; None without targets."""
    origins = {target.origin for target in targets}
    return next((origin for origin in _STRENGTH if origin in origins), None)


def _target(index: int, text: str, origin: TargetOrigin, rejected: str | None = None) -> LearningTarget:
    worse = normalised(rejected or "")
    return LearningTarget(
        turn_index=index,
        text=text,
        origin=origin,
        weight=WEIGHTS[origin],
        rejected=worse if worse and worse != text else None,
    )


def _is_cut_off(turn: Turn) -> bool:
    return turn.extra.get(FINISH) in ("length", "cancelled", "time", "error")


def _replaced(turn: Turn) -> str | None:
    """Return the reply that this one replaced when it was generated again."""
    text = turn.extra.get(REPLACED)
    return text if isinstance(text, str) else None


def _doubted(turns: tuple[Turn, ...], index: int) -> bool:
    """Whether the turns after an unrated reply speak against it."""
    following = _turn(turns, index + 1)
    if following is None:
        return False
    if following.role is Role.ASSISTANT:
        return True  # generated again: the later one is meant
    question = _question(turns, index)
    return complains(following.content) or (question != "" and asks_again(following.content, question))


def _corrected(turns: tuple[Turn, ...], index: int) -> tuple[str, set[int]] | None:
    """Return the right answer to what reply ``index`` answered, and the replies that repaired it.

    None when the person did not correct it; an empty answer when nothing usable was said.
    """
    said = _turn(turns, index + 1)
    question = _question(turns, index)
    if said is None or said.role is not Role.USER or not question:
        return None
    if not corrects(said.content, question=question, reply=turns[index].content):
        return None
    if turns[index].rating == 1:
        return None
    repair = _turn(turns, index + 2)
    repaired: set[int] = set()
    if repair is not None and repair.role is Role.ASSISTANT:
        repaired.add(index + 2)
        again = _corrected_again(turns, index + 2, question)
        if again is not None:
            return again[0], repaired | again[1]
        if repair.correction and normalised(repair.correction):
            return _useful(repair.correction, said.content, "") or normalised(repair.correction), repaired
        if repair.rating != -1:
            return _better(repair.content, said.content, turns[index].content, question), repaired
    return _from_person(said.content, question), repaired


def _corrected_again(turns: tuple[Turn, ...], index: int, question: str) -> tuple[str, set[int]] | None:
    said = _turn(turns, index + 1)
    if said is None or said.role is not Role.USER:
        return None
    if not corrects(said.content, question=question, reply=turns[index].content):
        return None
    repair = _turn(turns, index + 2)
    if repair is not None and repair.role is Role.ASSISTANT:
        following = _turn(turns, index + 3)
        if repair.rating != -1 and not (following and denies(following.content)):
            return _better(repair.content, said.content, turns[index].content, question), {index + 2}
        return _from_person(said.content, question), {index + 2}
    return _from_person(said.content, question), set()


def _better(reply: str, correction: str, wrong: str, question: str) -> str:
    """Choose between the repairing reply and the person's own words.

    A reply to a question about the person that does not speak to them ("Bern is a beautiful city.") only
    chats about the correction.
    """
    answer = _useful(reply, correction, wrong)
    if answer and (
        not is_about_self(question) or _TO_PERSON.search(answer) or language_of(answer) not in ("en", "")
    ):
        return answer
    return _from_person(correction, question) or answer


_TO_PERSON = re.compile(r"\byou(?:r|rs|'\w+|’\w+)?\b", re.IGNORECASE)


def _useful(reply: str, correction: str, wrong: str) -> str:
    """Return the corrected answer inside a repairing reply, or "" when there is none."""
    answer = without_apology(reply) if len(reply) <= _LONGEST_REPAIR else ""
    if not answer or answer.rstrip().endswith("?") or _REFUSAL.search(answer):
        return ""
    if words_of(answer) == words_of(wrong):
        return ""
    told = content_words(without_complaint(without_denial(correction))) - content_words(wrong)
    said = content_words(answer)
    if told and len(told & said) * 2 < len(told):
        return ""
    return answer if said - content_words(wrong) or told & said else ""


def without_apology(reply: str) -> str:
    """Return a repairing reply without its apology, thanks and closing offers."""
    kept: list[str] = []
    for sentence in _SENTENCE.findall(normalised(reply)):
        text = sentence.strip()
        if not text:
            continue
        acknowledged = _ACKNOWLEDGED.match(text)
        if acknowledged is not None:
            text = text[acknowledged.end() :]
        lead = _LEADS_IN.match(text)
        if lead is not None:
            text = text[lead.end() :]
        text = re.sub(r"^(?:and|but|so)\b[\s,]*", "", text, flags=re.IGNORECASE) if acknowledged else text
        if not re.search(r"\w", text) or _OFFER.fullmatch(text):
            continue
        kept.append(upper_first(text.strip()))
    return " ".join(kept)


def _from_person(correction: str, question: str) -> str:
    """Return the person's own correction as a reply to them, or "" when it is no full statement."""
    statement = _TAG.sub("", without_denial(correction))
    sentences = [
        text
        for sentence in _SENTENCE.findall(statement)
        if (text := sentence.strip()) and not text.endswith("?")
    ]
    statement = _TAG.sub("", " ".join(sentences[:3])).strip(" ,;:.!–—-")
    statement = re.sub(r"\b(is|was|are|am|were) actually\b", r"\1", statement)
    statement = re.sub(r",? actually$", "", statement)
    if not re.search(r"\w", statement) or len(statement) > 400 or complains(statement):
        return ""
    if language_of(statement) not in ("en", ""):
        return ""  # persons are swapped in English only
    named = _PRONOUN_IS.match(statement)
    if named is not None:
        value = named[1] if named[0][:2].lower() in ("it", "th") else ""
    else:
        value = "" if _is_statement(statement) else statement
    if value:
        whole = _answering(question, value)
        if whole or named is None:
            return whole or (_sentence(upper_first(value)) if len(value.split()) <= 5 else "")
    return _sentence(swap_persons(upper_first(statement)))


def _is_statement(text: str) -> bool:
    return _SUBJECT.match(text) is not None and _VERB.search(text) is not None and len(text.split()) >= 2


def _answering(question: str, value: str) -> str:
    """Put a bare answer into the words of its question: "Biscuit" → "Your dog's name is Biscuit."."""
    asked = understood(question)
    if asked is None or not asked.wh or not asked.subject or asks(value):
        return ""
    if asked.auxiliary in ("is", "are", "was", "were", "am") and not asked.rest:
        return _sentence(upper_first(swap_persons(f"{asked.subject} {asked.auxiliary} {value}")))
    if asked.rest in ("called", "named"):
        return _sentence(upper_first(swap_persons(f"{asked.declarative} {value}")))
    return ""


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?" else text + "."


def _with_rejected(turns: tuple[Turn, ...], found: dict[int, LearningTarget]) -> dict[int, LearningTarget]:
    """Pair bad replies with later, better ones to the same question."""
    result = dict(found)
    for bad, turn in enumerate(turns):
        again = _turn(turns, bad + 1)
        superseded = again is not None and turn.role is again.role is Role.ASSISTANT
        if turn.role is not Role.ASSISTANT or bad in found or not (turn.rating == -1 or superseded):
            continue
        question = _question(turns, bad)
        for index, target in result.items():
            if index <= bad or target.rejected is not None or not normalised(turn.content):
                continue
            asked = _question(turns, index)
            if asked and (asked == question or asks_again(asked, question)) and target.text != turn.content:
                result[index] = dataclasses.replace(target, rejected=normalised(turn.content))
                break
    return result


def _turn(turns: tuple[Turn, ...], index: int) -> Turn | None:
    return turns[index] if 0 <= index < len(turns) else None


def _question(turns: tuple[Turn, ...], index: int) -> str:
    """Return the person's turn that reply ``index`` answers, or ""."""
    for turn in reversed(turns[:index]):
        if turn.role is Role.USER:
            return turn.content
    return ""

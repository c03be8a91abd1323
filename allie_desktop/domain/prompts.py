"""Find the plain question inside a prompt, and tell which language a prompt is in."""

from __future__ import annotations

import functools
import re

from allie_desktop.domain.english import BE, PREPOSITIONS, WH_WORDS, Question, expand, lower_first, parse
from allie_desktop.domain.noun_phrases import plural

_STOP_WORDS = {
    "en": "the what is are my your do does did who where when how why i you can could please of to a in for tell me "
    "write and name have with about was were which would should it this that",
    "de": "der die das ist was wer wie wo wann warum mein meine meinen dein deine ich du bin heißt wohne habe ein "
    "eine und mir bitte nicht sind welche welcher",
    "fr": "le la les est quel quelle qui où quand comment pourquoi mon ma mes ton je tu suis est-ce que un une et "
    "de des s'appelle habite quels",
    "es": "el los las es qué que quién dónde cuándo cómo mi mis tu yo soy un una y de se llama vivo tengo cuál por",
    "it": "il lo gli è che chi dove quando come perché mio mia miei tuo io sono un una e di si chiama abito quale",
}
_WORDS_OF = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}

# Politeness around a question, which is taken off before it is parsed. {c}: a clause follows.
_OPENING = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|so|well|please|allie|good (?:morning|evening|afternoon)|um|quick question|"
    r"question|by the way|sorry|just checking|one more thing|also|and)\b[ ,.:!;-]*)+",
    re.IGNORECASE,
)
_CLAUSE_OPENING = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?(?:tell|remind) me|do you (?:know|remember|happen to know|recall)|"
    r"(?:please )?(?:tell|remind) me|i(?:'d| would)? (?:like|want|need) to know|i was wondering|i forgot|"
    r"any idea|let me know)(?: please)?,? (?=\S)",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"(?:,? (?:please|again|thanks|thank you|allie))+(?=[?.! ]*$)", re.IGNORECASE)


@functools.lru_cache(maxsize=256)
def understood(text: str) -> Question | None:
    """Return the plain question inside a prompt ("Can you tell me where I live?" → where do I live)."""
    inner = " ".join(text.split())
    if language_of(inner) not in ("en", ""):
        return None
    inner = _CLOSING.sub("", inner)
    inner = _OPENING.sub("", inner)
    body = inner.rstrip("?!. ")
    if re.search(r"[?!.;:]\s", body) or not body:
        return None
    lead = _CLAUSE_OPENING.match(body)
    if lead is not None:
        return _from_clause(body[lead.end() :])
    words = expand(body).split()
    if words[0].lower() in WH_WORDS or words[0].lower() in PREPOSITIONS or text.rstrip().endswith("?"):
        parsed = parse(body)
        if parsed is not None and (parsed.wh or text.rstrip().endswith("?")):
            return parsed
        if parsed is None and re.match(r"(?:my|your|the) [\w' -]+$", body, re.IGNORECASE) and len(words) <= 6:
            return _asking_for(lower_first(body))
    return None


def _asking_for(phrase: str) -> Question | None:
    if re.search(r"\b(?:is|are|was|were|do|does|did|has|have|can|will|should|would|could)\b", phrase):
        return None
    return Question(wh="what", auxiliary="are" if plural(phrase) else "is", subject=phrase, rest="")


def _from_clause(clause: str) -> Question | None:
    """Turn "what my dog's name is" back into a question; a plain noun phrase is asked for with "what"."""
    words = expand(clause).split()
    if words[0].lower() not in WH_WORDS:
        return _asking_for(clause) if re.match(r"(?:my|your|the|his|her) ", clause, re.IGNORECASE) else None
    direct = parse(" ".join(words))
    if direct is not None and direct.subject:
        return direct
    if words[-1].lower() in BE and len(words) >= 3:
        return parse(" ".join([words[0], words[-1].lower(), *words[1:-1]]))
    for index in range(2, len(words)):
        if words[index].lower() in BE:
            return parse(" ".join([words[0], words[index].lower(), *words[1:index], *words[index + 1 :]]))
    if len(words) >= 3 and words[1].lower() in ("i", "you", "we", "they"):
        return parse(" ".join([words[0], "do", *words[1:]]))
    return None


def language_of(text: str) -> str:
    """Return "en", "de", "fr", "es" or "it", or "" when the words do not tell."""
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", expand(text).lower())
    counts = {language: sum(word in known for word in words) for language, known in _WORDS_OF.items()}
    best = max(counts, key=lambda language: (counts[language], language == "en"))
    if any(ord(letter) > 0x24F for word in words for letter in word):
        return "other"
    return best if counts[best] else ""

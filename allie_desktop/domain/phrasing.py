"""Say one question in many ways, so that what is learnt does not hang on its wording.

An English question is taken apart and put together again by grammar rules: another construction
(``rewrites``), an indirect question behind a polite lead, a noun phrase behind an imperative, a remark
before it, key words alone, and the casual spelling that people really type. A prompt that is no
English question keeps its words and only gets safe leads, or changes of case and punctuation.

All results depend on nothing but the question and the seed. The rules used by
:func:`held_out_phrasings` are never used by :func:`phrasings`.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from allie_desktop.domain import leads
from allie_desktop.domain.english import (
    BE,
    DETERMINERS,
    DO,
    PREPOSITIONS,
    PRONOUNS,
    Question,
    lower_first,
    parse,
    upper_first,
)
from allie_desktop.domain.noun_phrases import noun_phrase, plural
from allie_desktop.domain.prompts import language_of, understood
from allie_desktop.domain.rewrites import equivalents
from allie_desktop.domain.synonyms import reworded

#: Longest prompt that is rephrased; a longer one is a text, not a question.
MAXIMUM_CHARACTERS = 300


def phrasings(question: str, count: int, seed: int) -> tuple[str, ...]:
    """Return up to ``count`` natural rewrites of ``question``, none of them equal to it.

    Fewer come back only when no more can be made without talking nonsense. No two are equal. The same
    arguments always give the same result.
    """
    asked = " ".join(question.split())
    if count <= 0 or not asked or len(asked) > MAXIMUM_CHARACTERS:
        return ()
    rng = random.Random(f"phrasings\x00{seed}\x00{asked}")
    parsed = understood(asked)
    if parsed is None:
        return _kept_words(asked, count, rng, held_out=False)
    families = _families(parsed, rng)
    return _mixed(asked, families, count, rng)


def held_out_phrasings(question: str, seed: int) -> tuple[str, ...]:
    """Return one or two rewrites made by rules that :func:`phrasings` never uses.

    They measure whether a lesson was understood or only memorised. Empty when none can be made.
    """
    asked = " ".join(question.split())
    if not asked or len(asked) > MAXIMUM_CHARACTERS:
        return ()
    rng = random.Random(f"held out\x00{seed}\x00{asked}")
    parsed = understood(asked)
    if parsed is None:
        return _kept_words(asked, 2, rng, held_out=True)
    forms = _forms(parsed, equivalents(parsed))
    made: list[str] = []
    clause = rng.choice(leads.HELD_OUT_CLAUSE_LEADS).format(c=_clause(rng.choice(forms)))
    made.append(clause)
    phrases = [phrase for form in forms if (phrase := noun_phrase(form))]
    if phrases and rng.random() < 0.5:
        phrase = rng.choice(phrases)
        made.append(rng.choice(leads.HELD_OUT_NOUN_LEADS).format(n=phrase, it=_it(phrase)))
    else:
        made.append(_with_direct(rng.choice(leads.HELD_OUT_DIRECT_LEADS), rng.choice(forms).direct))
    return tuple(dict.fromkeys(made))


def _clause(question: Question) -> str:
    return question.indirect


def _it(phrase: str) -> str:
    return "are they" if plural(phrase) else "is it"


def _with_direct(lead: str, direct: str) -> str:
    return lead.format(d=direct, D=upper_first(direct))


def _families(question: Question, rng: random.Random) -> dict[str, list[str]]:
    """Return all that can be said, by family, each family in random order."""
    others = list(equivalents(question))
    rng.shuffle(others)
    changed = _spread(reworded(question), rng)
    forms = _forms(question, others)
    # "What is it that ..." and the like stand alone; leads take what can be taken apart and put together.
    new_forms = [form for text in changed if (form := parse(text)) is not None and _understood(form)]
    families: dict[str, list[str]] = {
        "reworded": [upper_first(text) + "?" for text in changed],
        "construction": [upper_first(text) + "?" for text in others],
        "clause": list(_clauses(forms, new_forms, rng)),
        "noun": list(_nouns(forms, new_forms, rng)),
        "remark": list(_remarks(forms, new_forms, rng)),
        "echo": list(_echoes(forms[:4])),
        "keywords": list(_keywords(forms)),
        "spelling": list(_spellings(question)),
    }
    return families


def _forms(question: Question, others: Iterable[str]) -> list[Question]:
    """The question and its other constructions, taken apart, to be put into leads.

    "What is it that …" and "Which … is mine" are left out: they stand well alone, and clumsily behind "Do you know".
    """
    parsed = (parse(text) for text in others if not _STANDS_ALONE.search(f" {text}"))
    return [question, *(form for form in parsed if form is not None)]


_STANDS_ALONE = re.compile(r" is it that | (?:is|are) (?:mine|yours|his|hers|ours|theirs)$")


def _spread(replacements: Iterable[Iterable[str]], rng: random.Random) -> list[str]:
    """One text of every replacement in random order, then the next of each, and so on."""
    lines = [rng.sample(texts, len(texts)) for texts in map(list, replacements)]
    rng.shuffle(lines)
    return [text for row in zip_longest(*lines) for text in row if text is not None]


def _understood(form: Question) -> bool:
    """Whether the form was taken apart rightly, so that it can become a clause.

    Not "what number should people call", whose subject is hidden; not a verb or an adjective that was
    taken for part of the subject ("my dog answer", "closest to my heart").
    """
    if not form.subject:
        return form.wh.split()[0] == "who" or form.auxiliary in BE or not form.auxiliary
    first = form.rest.split()[0] if form.rest else ""
    if form.auxiliary in DO:
        return first not in PREPOSITIONS and first not in ("not", "be")
    if form.auxiliary in BE and not form.rest:
        begin, last = form.subject.split()[0], form.subject.split()[-1]
        owned = begin.lower() in DETERMINERS | PRONOUNS or begin[0].isupper()
        return owned and last not in ("valid", "over", "ill")
    return True


def _pairs(
    forms: list[Question], new_forms: list[Question], texts: tuple[str, ...], rng: random.Random
) -> Iterator[tuple[Question, str]]:
    """Pair every lead with some form of the question: as asked, reworded, or in another construction."""
    order = list(texts)
    rng.shuffle(order)
    new = itertools.cycle(rng.sample(new_forms, len(new_forms)))
    for position, lead in enumerate(order):
        if position % 3 == 0:
            yield forms[0], lead
        elif position % 3 == 1 and new_forms:
            yield next(new), lead
        else:
            yield rng.choice(forms[1:] or forms), lead


def _clauses(forms: list[Question], new_forms: list[Question], rng: random.Random) -> Iterator[str]:
    for form, lead in _pairs(forms, new_forms, leads.CLAUSE_LEADS, rng):
        clause = _clause(form)
        if not form.wh and rng.random() < 0.5:
            clause = "if" + clause.removeprefix("whether")
        yield lead.format(c=clause)


def _nouns(forms: list[Question], new_forms: list[Question], rng: random.Random) -> Iterator[str]:
    plain, new = ([phrase for form in some if (phrase := noun_phrase(form))] for some in (forms, new_forms))
    if not plain and not new:
        return
    order = list(leads.NOUN_LEADS)
    rng.shuffle(order)
    for position, lead in enumerate(order):
        phrase = (
            (plain or new)[0]
            if position % 2 == 0
            else rng.choice((new if position % 4 == 1 else plain) or plain or new)
        )
        it = _it(phrase)
        if lead.endswith("do you know it?") and it == "are they":
            continue
        yield lead.format(n=phrase, N=upper_first(phrase), it=it)


def _remarks(forms: list[Question], new_forms: list[Question], rng: random.Random) -> Iterator[str]:
    for form, lead in _pairs(forms, new_forms, leads.DIRECT_LEADS, rng):
        yield _with_direct(lead, form.direct)
    subject = forms[0].subject
    if re.match(r"my \w+$", subject):
        yield f"I was just thinking about {subject}. {upper_first(forms[0].direct)}?"


def _echoes(forms: list[Question]) -> Iterator[str]:
    """The statement with the question phrase in the gap: "My dog's name is what?"."""
    for form in forms:
        if not form.subject or not form.wh or form.wh.split()[0] in PREPOSITIONS:
            continue
        last = form.rest.split()[-1] if form.rest else ""
        adverbial = form.wh.split()[0] in ("where", "when", "how", "why") or form.wh == "what time"
        if not form.rest or adverbial or last in PREPOSITIONS or len(form.rest.split()) == 1:
            if form.auxiliary in BE and not form.rest and form.wh == "how":
                continue
            statement = upper_first(form.declarative)
            yield f"{statement} {form.wh}?"
            if not form.rest and form.auxiliary in BE and form.wh in ("what", "who", "which"):
                yield f"{statement} ..."
                yield f"Complete the sentence: {form.declarative}"
                yield f"Fill in the gap: {form.declarative} ___."
            elif last in PREPOSITIONS:
                yield f"{statement} ..."


def _keywords(forms: list[Question]) -> Iterator[str]:
    for form in forms:
        phrase = noun_phrase(form)
        if phrase is None or len(phrase.split()) > 5:
            continue
        bare = re.sub(r"^(?:the|my|your) ", "", phrase)
        yield phrase.lower() if phrase == lower_first(phrase) else phrase
        if not re.match(r"(?:place|way|reason|person|time|thing)\b", bare):
            yield f"{bare}?"
            yield bare.replace("'s ", " ")


def _spellings(question: Question) -> Iterator[str]:
    direct = question.direct
    yield direct
    contracted = re.sub(r"^(what|who|where|when|how) is ", r"\1's ", direct)
    if contracted != direct:
        yield upper_first(contracted) + "?"
        yield contracted.replace("'", "")
    yield direct.replace("'", "") + "?"
    yield upper_first(direct) + "??"


def _casual(text: str, rng: random.Random) -> str:
    """Return the text as typed in a hurry: no capitals at the start, no full stop, at times a slip."""
    typed = text.rstrip("?. ") if rng.random() < 0.6 else text
    typed = lower_first(typed)
    if rng.random() < 0.3:
        typed = typed.replace("'", "")
    return typed


def _slip(text: str, rng: random.Random) -> str:
    """Return the text with one slip of the fingers in a longer word."""
    words = text.split(" ")
    places = [index for index, word in enumerate(words) if len(word) >= 5 and word.isalpha() and index]
    if not places:
        return text
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind == 1:
        word = word[:at] + word[at + 1 :]
    else:
        word = word[:at] + word[at] + word[at:]
    words[place] = word
    return " ".join(words)


_ORDER = (
    "construction", "reworded", "clause", "noun", "reworded", "remark", "construction", "clause", "spelling",
    "reworded", "noun", "construction", "echo", "reworded", "remark", "keywords",
)  # fmt: skip


def _mixed(asked: str, families: dict[str, list[str]], count: int, rng: random.Random) -> tuple[str, ...]:
    chosen: dict[str, str] = {}
    original = _key(asked)
    taken_as_asked = False
    queues = {kind: iter(texts) for kind, texts in families.items()}
    position = 0
    while len(chosen) < count and queues:
        kind = _ORDER[position % len(_ORDER)]
        position += 1
        if kind not in queues:
            kind = next(iter(queues))
        for text in queues[kind]:
            spoken = text if kind in ("spelling", "keywords") else _styled(text, position, rng)
            key = _key(spoken)
            if spoken == asked or key in chosen:
                continue
            if key == original:
                if taken_as_asked or not chosen:
                    continue
                taken_as_asked = True
            chosen[key] = spoken
            break
        else:
            del queues[kind]
    return tuple(chosen.values())


def _styled(text: str, position: int, rng: random.Random) -> str:
    if position % 4 == 0:
        text = _casual(text, rng)
    if position % 7 == 0:
        text = _slip(text, rng)
    return text


def _key(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _kept_words(asked: str, count: int, rng: random.Random, *, held_out: bool) -> tuple[str, ...]:
    """Leads around the unchanged prompt, and (only where training may) other case and punctuation."""
    language = language_of(asked)
    if held_out:
        around = leads.HELD_OUT_KEPT.get(language, ())
    else:
        around = leads.KEPT.get(language, ())
        if language == "en" and leads.REQUEST.match(asked):
            around = leads.REQUEST_LEADS + around
    ended = asked if asked[-1] in ".?!。？！؟" else asked + "."
    small = lower_first(asked) if language == "en" else _small(asked)
    texts = [lead.format(p=small, P=upper_first(ended)) for lead in around]
    texts = [
        text.rstrip(".") + "?" if text.startswith(("Can you ", "Could you ")) and len(text) < 120 else text
        for text in texts
    ]
    rng.shuffle(texts)
    texts = texts[:2] if held_out else texts
    if not held_out:
        bare = asked.rstrip(".?!。？！؟ ")
        plain = [
            _small(bare),
            bare,
            _small(asked),
            asked.rstrip(" ") + asked[-1] if asked[-1] in "?!" else "",
        ]
        texts = [text for pair in zip(texts, plain, strict=False) for text in pair] + texts + plain
    unique = dict.fromkeys(text for text in texts if text and text != asked)
    return tuple(unique)[:count]


def _small(text: str) -> str:
    """Lower the first letter where that cannot hurt (not for a name or an acronym)."""
    match = re.match(r"([^\w]*)([^\W\d_]+)", text)
    if match is None or match[2] == "I" or match[2][1:] != match[2][1:].lower():
        return text
    at = match.start(2)
    return text[:at] + text[at].lower() + text[at + 1 :]

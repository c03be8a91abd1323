"""Noun phrases of questions: who owns what, is it one or many, and what is asked for as a phrase."""

from __future__ import annotations

import re

from allie_desktop.domain.english import (
    BE,
    PRONOUNS,
    Question,
    head_length,
    possessive,
    split_possessive,
    third_person,
)

PEOPLE = frozenset(
    "sister brother mother father mum mom dad wife husband partner girlfriend boyfriend fiance fiancee "
    "fiancé fiancée son daughter child kid baby friend boss manager colleague coworker neighbour neighbor "
    "dentist doctor teacher therapist grandmother grandfather grandma grandpa aunt uncle cousin niece "
    "nephew roommate flatmate landlord landlady coach trainer mentor supervisor hairdresser vet lawyer "
    "accountant godmother godfather stepmother stepfather twin spouse professor tutor assistant".split()
)
POSSESSIVE_OF = {
    "I": "my",
    "you": "your",
    "he": "his",
    "she": "her",
    "it": "its",
    "we": "our",
    "they": "their",
}
SUBJECT_OF = {"my": "I", "your": "you", "his": "he", "her": "she", "our": "we", "their": "they"}
_COUNTED_PLURALS = frozenset("children people parents kids men women mice feet".split())
ATTRIBUTES = "colour|color|size|breed|brand|make|model|height|weight|age|shape"


def plural(phrase: str) -> bool:
    """Whether a noun phrase takes a plural verb."""
    words = phrase.split()
    words = words[: head_length(words)]
    last = words[-1].lower() if words else ""
    if "and" in words:
        return True
    if "of" in words[1:]:
        return plural(" ".join(words[: words.index("of", 1)]))
    return last in _COUNTED_PLURALS or (
        last.endswith("s") and not last.endswith(("ss", "us", "is", "'s")) and not words[-1][0].isupper()
    )


def owned(subject: str, thing: str) -> str:
    """Return "my job" for ("I", "job") and "my sister's job" for ("my sister", "job")."""
    return f"{POSSESSIVE_OF.get(subject) or possessive(subject)} {thing}"


def owner_and_thing(phrase: str) -> tuple[str, str] | None:
    """Split "my dog's name", "the name of my dog" or "my name" into subject and thing owned."""
    split = split_possessive(phrase)
    if split is not None:
        return split
    of = re.match(r"^the ([\w-]+(?: [\w-]+)?) of ((?:my|your|his|her|our|their|[A-Z]).*)$", phrase)
    if of is not None:
        return of[2], of[1]
    own = re.match(r"^(my|your|his|her|our|their) (.+)$", phrase)
    return (SUBJECT_OF[own[1]], own[2]) if own else None


def do_for(subject: str) -> str:
    """Return "do" or "does"."""
    if subject in PRONOUNS or subject == "I":
        return "does" if subject in ("he", "she", "it") else "do"
    return "do" if plural(subject) else "does"


def be_for(subject: str) -> str:
    """Return "am", "are" or "is"."""
    if subject == "I":
        return "am"
    if subject in ("he", "she", "it"):
        return "is"
    return "are" if subject in PRONOUNS or plural(subject) else "is"


def verb_for(subject: str, base: str) -> str:
    """Return the present tense of a verb for this subject."""
    return third_person(base) if do_for(subject) == "does" else base


def is_person(phrase: str) -> bool:
    """Whether the phrase names one human being by a relation ("my sister")."""
    return not plural(phrase) and phrase.rsplit(maxsplit=1)[-1].lower() in PEOPLE and len(phrase.split()) >= 2


def asked_thing(q: Question) -> tuple[str, str] | None:
    """Owner and thing of "what is my dog's name" and the like."""
    if q.wh in ("what", "who", "which", "when", "where") and q.auxiliary in BE and q.subject and not q.rest:
        return owner_and_thing(q.subject)
    return None


_MEASURES = {
    "old": "age", "tall": "height", "heavy": "weight", "long": "length", "big": "size", "far": "distance",
    "high": "height", "wide": "width", "deep": "depth",
}  # fmt: skip


def noun_phrase(q: Question) -> str | None:
    """Return what is asked for as a noun phrase ("the place where I live"), or None.

    It fits behind "Tell me …" and before "…, please."
    """
    if not q.subject or not q.wh or (q.subject == "it" and q.rest.startswith("that ")):
        return None
    bare = q.auxiliary in BE and not q.rest
    if (
        bare
        and q.subject.lower() in PRONOUNS | {"i", "this", "that", "these", "those"}
        and q.wh in ("what", "who")
    ):
        return None
    if bare:
        return _named_thing(q)
    noun = re.match(r"(?:what|which) (?!of\b)(.+)$", q.wh)
    if noun is not None:
        return f"the {noun[1]} {q.declarative}"
    many = re.match(r"how many (.+)$", q.wh)
    if many is not None:
        have = q.rest in ("have", "got")
        return f"the number of {many[1]} {f'{q.subject} ' + verb_for(q.subject, 'have') if have else q.declarative}"
    if q.rest in ("called", "named") and q.wh in ("what", "how"):
        return owned(q.subject, "name")
    leads = {"where": "the place where", "why": "the reason why", "how": "the way", "who": "the person"}
    return f"{leads[q.wh]} {q.declarative}" if q.wh in leads else None


def _named_thing(q: Question) -> str | None:
    if q.wh in ("what", "which"):
        return q.subject
    if q.wh == "who":
        return f"the name of {q.subject}" if is_person(q.subject) else None
    if q.wh == "when":
        dated = re.search(
            r"(?:birthday|anniversary|wedding|exam|party|appointment|deadline|interview)$", q.subject
        )
        return f"the date of {q.subject}" if dated else None
    if q.wh == "where":
        return f"the location of {q.subject}" if q.subject not in POSSESSIVE_OF else None
    attribute = re.match(rf"(?:what|which) ({ATTRIBUTES})$", q.wh)
    if attribute is not None:
        return f"the {attribute[1]} of {q.subject}" if q.subject not in POSSESSIVE_OF else None
    measure = re.match(r"how (\w+)$", q.wh)
    if measure is not None and measure[1] in _MEASURES:
        return owned(q.subject, _MEASURES[measure[1]])
    return None

"""Question frames: sentences with slots, in groups that ask for the same thing in different words.

A frame is a direct question in lower case: ``"where {do} {S} bank"``. Slots that agree with the subject
are filled by grammar, alternatives in round brackets are all said, alternatives in square brackets are only
understood (the first is said)::

    {S}    whom it is about: "I", "my sister", "Anna"      {my}   the possessive: "my", "my sister's", "Anna's"
    {me}   the object form: "me", "my sister"              {own}  the possessive again: "my", "her", "their"
    {do} {be} {was} {have}  the verb for {S}               {T}    a thing or animal somebody has: "my dog"
    {is}   "is" or "are", for {T} or else {X}              {X} {Y}  some words, or one of the group's list

A question that fits one frame of a group can be asked with every other frame of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from allie_desktop.domain.english import possessive
from allie_desktop.domain.noun_phrases import (
    PEOPLE,
    POSSESSIVE_OF,
    SUBJECT_OF,
    be_for,
    do_for,
    plural,
    verb_for,
)

_FEMALE = frozenset(
    "sister mother mum mom mummy wife girlfriend fiancee fiancée daughter landlady grandmother grandma granny "
    "aunt niece godmother stepmother stepsister goddaughter granddaughter".split()
)
_MALE = frozenset(
    "brother father dad daddy husband boyfriend fiance fiancé son landlord grandfather grandpa uncle nephew "
    "godfather stepfather stepbrother godson grandson".split()
)
_MANY = frozenset(
    "parents children kids siblings brothers sisters sons daughters friends grandparents twins family boys "
    "girls colleagues neighbours neighbors cousins".split()
)
#: Nouns that a subject may end in: people and those who live with them.
BEINGS = PEOPLE | _FEMALE | _MALE | _MANY | frozenset("grandson granddaughter stepbrother".split())
ANIMALS = (
    "dog|cat|puppy|kitten|pet|hamster|rabbit|parrot|bird|horse|pony|fish|goldfish|turtle|tortoise|ferret"
)
_OBJECT_OF = {"I": "me", "he": "him", "she": "her", "we": "us", "they": "them"}

_PHRASE = r"(?:(?:my|our|his|her|their) [\w-]+(?:'s? [\w-]+| [\w-]+){0,2}|[A-Z][\w-]+)"
_SLOTS = {
    "S": rf"(?P<S>I|he|she|we|they|{_PHRASE})",
    "my": rf"(?P<my>my|his|her|our|their|{_PHRASE}(?:'s|(?<=s)'))",
    "me": rf"(?P<me>me|him|us|them|{_PHRASE})",
    "own": r"(?P<own>my|his|her|our|their)",
    "do": "(?:do|does)",
    "be": "(?:am|is|are)",
    "was": "(?:was|were)",
    "have": "(?:have|has)",
    "is": "(?:is|are)",
    "T": r"(?P<T>(?:my|our|his|her|their) [\w-]+(?:'s [\w-]+)?(?: [\w-]+){0,2})",
    "X": r"(?P<X>[\w'-]+(?: [\w'-]+){0,3})",
    "Y": r"(?P<Y>[\w'-]+(?: [\w'-]+){0,3})",
}
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Group:
    """Frames that ask for the same thing; ``words`` lists what a slot may be ("phone|laptop")."""

    frames: tuple[str, ...]
    words: tuple[tuple[str, str], ...] = ()


def group(*frames: str, **words: str) -> Group:
    """Return a group of frames. A frame that begins with ">" is said but not understood."""
    return Group(frames, tuple(words.items()))


@dataclass(frozen=True, slots=True)
class _Frame:
    says: tuple[str, ...]
    understands: re.Pattern[str] | None


def reframed(question: str, groups: tuple[Group, ...]) -> Iterator[tuple[str, ...]]:
    """Yield other ways to ask ``question``: one tuple for each other frame, most telling first.

    ``question`` is a direct question as :attr:`~allie_desktop.domain.english.Question.direct` gives it.
    """
    for one in groups:
        frames = _compiled(one)
        for position, frame in enumerate(frames):
            slots = _fitting(question, frame)
            if slots is None:
                continue
            for other, said in enumerate(frames):
                texts = tuple(filled for text in said.says if (filled := _filled(text, slots)) is not None)
                if other == position:
                    texts = tuple(text for text in texts if text != question)
                if texts:
                    yield texts
            break


@cache
def _compiled(group_of_frames: Group) -> tuple[_Frame, ...]:
    words = dict(group_of_frames.words)
    made = []
    for text in group_of_frames.frames:
        said = tuple(dict.fromkeys(_spread(re.sub(r"\[([^|\]]*)[^\]]*\]", r"\1", text.removeprefix(">")))))
        made.append(_Frame(said, None if text.startswith(">") else _pattern(text, words)))
    return tuple(made)


def _spread(text: str) -> Iterator[str]:
    """Write the alternatives out: "a (b|c)" gives "a b" and "a c"."""
    parts = re.split(r"\(([^)]*)\)", text)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    for chosen in product(*choices):
        yield " ".join("".join(chosen).split())


def _pattern(frame: str, words: dict[str, str]) -> re.Pattern[str]:
    seen: set[str] = set()

    def slot(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen and name in ("S", "my", "me", "own", "T", "X", "Y"):
            return rf"(?P={name})"
        seen.add(name)
        return rf"(?P<{name}>{words[name]})" if name in words else _SLOTS[name]

    either = re.sub(r"[\[(]([^\])]*)[\])]", r"(?:\1)", frame)
    # A space beside an alternative that may be empty may be missing.
    either = re.sub(r"(?<=\|\)) ", " ?", re.sub(r" (?=\(\?:[^)]*\|\))", " ?", either))
    return re.compile(_SLOT.sub(slot, either))


def _fitting(question: str, frame: _Frame) -> dict[str, str] | None:
    match = frame.understands.fullmatch(question) if frame.understands else None
    if match is None:
        return None
    slots = {name: text for name, text in match.groupdict().items() if text is not None}
    subject = _subject(slots)
    if subject is None or not _sound(subject, slots):
        return None
    return slots | ({"S": subject} if subject else {})


def _subject(slots: dict[str, str]) -> str | None:
    """Whom the question is about; "" for nobody, None when two slots disagree."""
    found: set[str] = set()
    if "S" in slots:
        found.add(slots["S"])
    if "my" in slots:
        owner = slots["my"]
        found.add(SUBJECT_OF.get(owner) or re.sub(r"'s?$", "", owner))
    if "me" in slots:
        found.add({"me": "I", "him": "he", "us": "we", "them": "they"}.get(slots["me"], slots["me"]))
    if len(found) > 1:
        return None
    return found.pop() if found else ""


def _sound(subject: str, slots: dict[str, str]) -> bool:
    if subject and subject not in POSSESSIVE_OF and not subject[0].isupper():
        last = subject.rsplit(maxsplit=1)[-1].lower()
        if last not in BEINGS and not re.fullmatch(ANIMALS, last):
            return False
    return not any(
        re.search(r"\b(?:that|who|which|where|I|you)\b", slots.get(name, "")) for name in ("X", "Y", "T")
    )


def _filled(text: str, slots: dict[str, str]) -> str | None:
    subject = slots.get("S", "")
    needed = set(_SLOT.findall(text))
    if needed & {"S", "my", "me", "own", "do", "be", "was", "have"} and not subject:
        owner = re.match(r"(my|our|his|her|their) ", slots.get("T", ""))
        if owner is None:
            return None
        subject = SUBJECT_OF[owner[1]]
    if needed & {"X", "Y", "T"} - set(slots):
        return None
    many = plural(slots.get("T") or slots.get("X") or "")
    values = {
        "S": subject,
        "my": POSSESSIVE_OF.get(subject) or possessive(subject or "it"),
        "me": _OBJECT_OF.get(subject, subject),
        "own": slots.get("own") or _own(subject),
        "do": do_for(subject) if subject else "",
        "be": be_for(subject) if subject else "",
        "was": "was" if subject in ("I", "he", "she") or do_for(subject or "it") == "does" else "were",
        "have": verb_for(subject, "have") if subject else "",
        "is": "are" if many else "is",
    } | {name: slots[name] for name in ("T", "X", "Y") if name in slots}
    return _SLOT.sub(lambda match: values[match[1]], text)


def _own(subject: str) -> str:
    last = subject.rsplit(maxsplit=1)[-1].lower() if subject else ""
    if subject in POSSESSIVE_OF:
        return POSSESSIVE_OF[subject]
    if last in _FEMALE:
        return "her"
    return "his" if last in _MALE else "their"

"""Rewrites of what people ask about themselves and those around them: names, homes, jobs, birthdays.

Every rule takes a parsed question and yields direct questions in lower case without a question mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from allie_desktop.domain.english import BE, DO, Question, possessive
from allie_desktop.domain.noun_phrases import (
    ATTRIBUTES,
    POSSESSIVE_OF,
    SUBJECT_OF,
    asked_thing,
    be_for,
    do_for,
    is_person,
    owned,
    plural,
    verb_for,
)

_NAMED_BY_OWNER = frozenset(
    "dog cat puppy kitten pet hamster rabbit parrot bird horse pony fish goldfish turtle tortoise snake "
    "car boat son daughter baby child guinea lizard ferret chicken goat".split()
)
_FAVOURITE = re.compile(r"^(.+?) (?:favou?rite|preferred) (.+)$")


def _name(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    owner = ""
    if asked is not None and asked[1] == "name" and q.wh == "what":
        owner = asked[0]
    elif (
        (q.wh in ("what", "how") and q.auxiliary in BE and q.rest in ("called", "named"))
        or (q.wh == "who" and q.auxiliary in BE and not q.rest and is_person(q.subject))
        or (q.wh in ("what name", "which name") and q.auxiliary in DO and q.rest == "have")
    ):
        owner = q.subject
    elif q.wh == "what" and q.subject == "I" and (call := re.match(r"(?:call|name) (my .+)$", q.rest)):
        owner = call[1]
    if not owner:
        return
    be = "was" if q.auxiliary == "was" else be_for(owner)
    if owner in ("I", "you"):
        yield from (f"what is {POSSESSIVE_OF[owner]} name", f"what {be} {owner} called")
        yield from (f"which name do {owner} have", f"who {be} {owner}")
        yield "what do people call me" if owner == "I" else "what should I call you"
        return
    is_ = "was" if be == "was" else "is"
    yield f"what {be} {owner} called"
    yield f"what {is_} the name of {owner}"
    yield f"what {is_} {owned(owner, 'name')}"
    if be != "was":
        yield f"which name {do_for(owner)} {owner} have"
        yield f"what name {do_for(owner)} {owner} have"
        yield f"what name {do_for(owner)} {owner} go by"
        yield f"what {be} {owner} named"
        yield f"how {be} {owner} called"
    if owner.startswith("my "):
        yield f"what do I call {owner}" if be != "was" else f"what did I call {owner}"
        if owner.split()[-1].lower() in _NAMED_BY_OWNER:
            yield f"what did I name {owner}"
            yield f"which name did I give {owner}"
    if is_person(owner) and be != "was":
        yield f"who is {owner}"


def _favourite(q: Question) -> Iterator[str]:
    match = _FAVOURITE.match(q.subject) if q.auxiliary in BE and not q.rest else None
    if match is not None and q.wh in ("what", "which", "who"):
        subject = SUBJECT_OF.get(match[1]) or (match[1][:-2] if match[1].endswith("'s") else "")
        thing = match[2]
    else:
        liked = re.match(r"(?:like (?:the )?(?:best|most)|prefer|love (?:the )?most)$", q.rest)
        noun = re.match(r"(?:what|which) (.+)$", q.wh)
        if liked is None or noun is None or q.auxiliary not in ("do", "does"):
            return
        subject, thing = q.subject, noun[1]
    if not subject:
        return
    be, do, own = ("are" if plural(thing) else "is"), do_for(subject), POSSESSIVE_OF.get(subject)
    own = own or possessive(subject)
    wh = "who" if q.wh == "who" else "what"
    yield f"{wh} {be} {own} favourite {thing}"
    yield f"{wh} {be} {own} favorite {thing}"
    yield f"{wh} {be} {own} preferred {thing}"
    if len(thing.split()) <= 3:
        yield f"which {thing} {do} {subject} like best"
        yield f"what {thing} {do} {subject} like the most"
        yield f"which {thing} {do} {subject} prefer"
        yield f"what {thing} {do} {subject} love most"
        yield f"which {thing} {be} {own} favourite"
    yield f"{wh} {be} the {thing} {subject} {verb_for(subject, 'like')} best"
    yield f"{wh} {be} the {thing} that {subject} {verb_for(subject, 'love')} most"


def _age(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if q.wh in ("how old", "what age") and q.auxiliary in BE and q.subject and not q.rest:
        subject = q.subject
    elif asked is not None and asked[1] == "age":
        subject = asked[0]
    else:
        return
    be = be_for(subject)
    yield f"how old {be} {subject}"
    yield f"what is {owned(subject, 'age')}"
    yield f"what age {be} {subject}"
    yield f"how many years old {be} {subject}"
    if subject not in POSSESSIVE_OF:
        yield f"what is the age of {subject}"


def _home(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if (q.wh == "where" and q.auxiliary in ("do", "does") and q.rest == "live") or (
        q.wh == "where" and q.auxiliary in BE and q.rest == "living"
    ):
        subject = q.subject
    elif q.wh == "where" and asked is not None and asked[1] in ("home", "house"):
        subject = asked[0]
    else:
        named = re.match(r"(in )?(?:what|which) (city|town|village|place|country|street)$", q.wh)
        if named is None or q.auxiliary not in ("do", "does") or q.rest not in ("live", "live in"):
            return
        noun, do = named[2], do_for(q.subject)
        yield f"where {do} {q.subject} live"
        yield f"in which {noun} {do} {q.subject} live"
        yield f"which {noun} {do} {q.subject} live in"
        yield f"what {noun} {do} {q.subject} live in"
        yield f"what {noun} is {owned(q.subject, 'home')} in"
        yield f"what is the {noun} where {q.subject} {verb_for(q.subject, 'live')}"
        return
    do = do_for(subject)
    yield f"where {do} {subject} live"
    yield f"where is {owned(subject, 'home')}"
    yield f"what place {do} {subject} live in"
    yield f"in which place {do} {subject} live"
    yield f"where {be_for(subject)} {subject} living"
    yield f"what is the place where {subject} {verb_for(subject, 'live')}"
    yield f"which town or city {do} {subject} live in"
    yield f"what is {owned(subject, 'place of residence')}"


def _date(q: Question) -> Iterator[str]:
    day = r"(?:birthday|anniversary|wedding anniversary|name day|wedding day)"
    subject = q.subject
    fixed = re.match(rf"(?:the date of )?(.*{day})$", subject)
    if fixed is None or q.auxiliary not in BE or q.rest not in ("", "on"):
        return
    if q.wh not in ("when", "what", "what date", "what day", "on what day", "on which day", "which day"):
        return
    occasion = fixed[1]
    yield f"when is {occasion}"
    yield f"what is the date of {occasion}"
    yield f"what date is {occasion}"
    yield f"what day is {occasion} on"
    yield f"on what day is {occasion}"
    yield f"on which date is {occasion}"
    yield f"on which date does {occasion} fall"
    if occasion.startswith("my "):
        yield f"when do I celebrate {occasion}"


def _job(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if (
        q.wh == "what"
        and q.auxiliary in ("do", "does")
        and q.rest in ("do for a living", "do for work", "work as", "do")
    ):
        subject = q.subject
    elif (
        asked is not None
        and q.wh == "what"
        and asked[1] in ("job", "profession", "occupation", "line of work")
    ):
        subject = asked[0]
    elif re.match(r"(?:what|which) (?:kind|sort|type) of (?:work|job)$|(?:what|which) job$", q.wh):
        subject = q.subject
    else:
        return
    do, own = do_for(subject), POSSESSIVE_OF.get(subject) or possessive(subject)
    pronoun = own if subject in POSSESSIVE_OF else "a"
    yield f"what {do} {subject} do for a living"
    yield f"what is {own} job"
    yield f"what is {own} profession"
    yield f"what is {own} occupation"
    yield f"what kind of work {do} {subject} do"
    yield f"what {do} {subject} work as"
    yield f"what job {do} {subject} have"
    yield f"how {do} {subject} earn {pronoun} living"


def _workplace(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if q.wh == "where" and q.auxiliary in ("do", "does") and q.rest == "work":
        subject = q.subject
    elif re.match(r"(?:what|which) (?:company|firm|employer)$", q.wh) and q.rest in ("work for", "work at"):
        yield f"where {q.auxiliary} {q.subject} work"
        yield f"who {q.auxiliary} {q.subject} work for"
        yield f"who is {owned(q.subject, 'employer')}"
        return
    elif asked is not None and q.wh in ("what", "where") and asked[1] in ("workplace", "place of work"):
        subject = asked[0]
    else:
        return
    do = do_for(subject)
    yield f"where {do} {subject} work"
    yield f"what is {owned(subject, 'workplace')}"
    yield f"what is {owned(subject, 'place of work')}"
    yield f"at which place {do} {subject} work"
    yield f"where {be_for(subject)} {subject} working"
    yield f"where {be_for(subject)} {subject} employed"
    yield f"where {do} {subject} have {owned(subject, 'job') if subject in POSSESSIVE_OF else 'a job'}"
    yield f"who {do} {subject} work for"


def _attribute(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    wh = re.match(rf"(?:what|which) ({ATTRIBUTES})$", q.wh)
    if wh is not None and q.auxiliary in BE and q.subject and not q.rest:
        thing, attribute = q.subject, wh[1]
    elif asked is not None and re.fullmatch(ATTRIBUTES, asked[1]) and asked[0] not in POSSESSIVE_OF:
        thing, attribute = asked
    else:
        return
    if thing in POSSESSIVE_OF:
        return
    be = be_for(thing)
    spellings = ("colour", "color") if attribute in ("colour", "color") else (attribute,)
    for word in spellings:
        if word not in ("height", "weight"):
            yield f"what {word} {be} {thing}"
            yield f"which {word} {be} {thing}"
        yield f"what is the {word} of {thing}"
        yield f"what is {possessive(thing)} {word}"
    if attribute in ("colour", "color", "size", "shape"):
        yield f"which {attribute} {do_for(thing)} {thing} have"
    if attribute == "breed":
        yield f"what kind of {thing.split()[-1]} is {thing}"


_MEASURES = {
    "tall": "height",
    "heavy": "weight",
    "long": "length",
    "high": "height",
    "wide": "width",
    "deep": "depth",
}


def _measure(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    words = {noun: adjective for adjective, noun in reversed(_MEASURES.items())}
    if q.auxiliary in BE and not q.rest and q.subject and (size := re.match(r"how (\w+)$", q.wh)):
        thing, adjective = q.subject, size[1]
    elif asked is not None and asked[1] in ("height", "weight") and q.wh == "what":
        thing, adjective = asked[0], words[asked[1]]
    elif q.wh == "how much" and q.auxiliary in ("do", "does") and q.rest == "weigh":
        thing, adjective = q.subject, "heavy"
    else:
        return
    if adjective in _MEASURES:
        yield f"how {adjective} {be_for(thing)} {thing}"
        yield f"what is {owned(thing, _MEASURES[adjective])}"
        if adjective == "heavy":
            yield f"how much {do_for(thing)} {thing} weigh"


def _origin(q: Question) -> Iterator[str]:
    if q.wh != "where" or not (
        (q.auxiliary in BE and q.rest == "from") or (q.auxiliary in ("do", "does") and q.rest == "come from")
    ):
        return
    be, do = be_for(q.subject), do_for(q.subject)
    yield f"where {be} {q.subject} from"
    yield f"where {do} {q.subject} come from"
    yield f"what place {be} {q.subject} from"
    yield f"which place {do} {q.subject} come from"
    yield f"where {be} {q.subject} from originally"


def _count(q: Question) -> Iterator[str]:
    many = re.match(r"how many (.+)$", q.wh)
    if many is None or not q.subject or q.auxiliary not in ("do", "does", "have", "has"):
        return
    if not re.fullmatch(r"have|got", q.rest):
        yield f"what is the number of {many[1]} {q.declarative}"
        yield f"what number of {many[1]} {q.auxiliary} {q.subject} {q.rest}"
        return
    do, have, noun = do_for(q.subject), verb_for(q.subject, "have"), many[1]
    yield f"how many {noun} {do} {q.subject} have"
    yield f"how many {noun} {have} {q.subject} got"
    yield f"what is the number of {noun} {q.subject} {have}"
    yield f"what number of {noun} {do} {q.subject} have"
    yield f"how many {noun} {do} {q.subject} have in total"


def _allergy(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if q.auxiliary in BE and q.rest == "allergic to":
        subject = q.subject
    elif asked is not None and asked[1] in ("allergy", "allergies"):
        subject = asked[0]
    elif re.fullmatch(r"(?:what|which) allerg(?:y|ies)", q.wh) and q.rest in ("have", "suffer from"):
        subject = q.subject
    else:
        return
    do = do_for(subject)
    yield f"what {be_for(subject)} {subject} allergic to"
    yield f"what allergy {do} {subject} have"
    yield f"what is {owned(subject, 'allergy')}"
    yield f"what {do} {subject} have an allergy to"
    yield f"which thing {be_for(subject)} {subject} allergic to"
    yield f"to what {be_for(subject)} {subject} allergic"


def _birth(q: Question) -> Iterator[str]:
    if q.auxiliary not in ("was", "were") or q.rest not in ("born", "born in", "born on"):
        return
    subject, was = q.subject, q.auxiliary
    if q.wh == "where":
        yield f"what is {owned(subject, 'birthplace')}"
        yield f"what is {owned(subject, 'place of birth')}"
        yield f"in which place {was} {subject} born"
        yield f"which place {was} {subject} born in"
        yield f"what is the place where {subject} {was} born"
    elif q.wh == "when":
        yield f"what is {owned(subject, 'date of birth')}"
        yield f"on what date {was} {subject} born"
        yield f"what is {owned(subject, 'birth date')}"
    elif named := re.match(r"(?:in )?(?:what|which) (city|town|village|country|year)$", q.wh):
        noun = named[1]
        yield f"in which {noun} {was} {subject} born"
        yield f"what {noun} {was} {subject} born in"
        yield f"what is the {noun} {subject} {was} born in"
        if noun == "year":
            yield f"what is {owned(subject, 'year of birth')}"
        else:
            yield f"where {was} {subject} born"
            yield f"what is {owned(subject, f'{noun} of birth')}"


def _marriage(q: Question) -> Iterator[str]:
    if q.wh in ("who", "whom") and q.auxiliary in BE and q.rest == "married to":
        yield f"who is {owned(q.subject, 'spouse')}"
        yield f"what is the name of {owned(q.subject, 'spouse')}"
        yield f"what is the name of the person {q.subject} {q.auxiliary} married to"
        return
    asked = asked_thing(q)
    thing = asked[1].removesuffix("'s name") if asked else ""
    if asked is not None and q.wh == "who" and thing in ("wife", "husband", "spouse"):
        yield f"who {be_for(asked[0])} {asked[0]} married to"


#: Every rule of this module.
PERSONAL_RULES = (
    _name,
    _favourite,
    _age,
    _home,
    _date,
    _job,
    _workplace,
    _attribute,
    _measure,
    _origin,
    _count,
    _allergy,
    _birth,
    _marriage,
)

"""Rules that ask the same question with another construction: "What is my dog's name?" becomes
"what is my dog called", "which name does my dog have", "what is the name of my dog".

Every rule takes a parsed question and yields direct questions in lower case without a question mark
(or nothing when it does not apply). They keep the meaning; style is the business of ``phrasing``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from allie_desktop.domain.english import BE, DO, PREPOSITIONS, Question, possessive, split_possessive
from allie_desktop.domain.noun_phrases import POSSESSIVE_OF, asked_thing, do_for, owned, plural, verb_for
from allie_desktop.domain.personal_rewrites import PERSONAL_RULES

Rule = Callable[[Question], Iterator[str]]

_PLACE_VERBS = (
    "live|work|study|grow up|meet|train|stay|keep|park|store|hide|go to school|go to university|teach|"
    "volunteer|learn"
)
_DAILY_VERBS = "wake up|get up|go to bed|go to sleep|start work|finish work|leave|arrive|have dinner|eat"


def _time(q: Question) -> Iterator[str]:
    if q.auxiliary not in ("do", "does") or not q.rest:
        return
    tail = f"{q.auxiliary} {q.subject} {q.rest}"
    if q.wh in ("what time", "at what time"):
        yield from (f"when {tail}", f"at what time {tail}", f"what time {tail}")
        yield f"what is the time when {q.declarative}"
    elif q.wh == "when" and re.match(rf"(?:usually |normally )?(?:{_DAILY_VERBS})", q.rest):
        yield from (f"what time {tail}", f"at what time {tail}")


def _manner(q: Question) -> Iterator[str]:
    if q.wh != "how" or q.auxiliary not in ("do", "does"):
        return
    tail = f"{q.auxiliary} {q.subject} {q.rest}"
    drink = re.match(r"(?:take|like|drink|prefer|want) (.+)$", q.rest)
    if drink is not None:
        for verb in ("take", "like", "drink", "prefer"):
            if verb != "drink" or re.search(r"coffee|tea|whisky|whiskey|milk", drink[1]):
                yield f"how {q.auxiliary} {q.subject} {verb} {drink[1]}"
    elif re.match(r"(?:get|go|travel|commute|come|pay)\b", q.rest):
        yield f"by what means {tail}"
    yield f"in what way {tail}"
    yield f"what is the way {q.declarative}"


def _reason(q: Question) -> Iterator[str]:
    if q.wh != "why" or not q.subject:
        return
    yield f"for what reason {q.auxiliary} {q.subject} {q.rest}"
    yield f"how come {q.declarative}"
    yield f"what is the reason why {q.declarative}"
    yield f"what is the reason that {q.declarative}"


def _possession(q: Question) -> Iterator[str]:
    """Between "my dog's age" and "the age of my dog"."""
    if q.auxiliary not in BE or q.rest or q.wh not in ("what", "who", "when", "where"):
        return
    split = split_possessive(q.subject)
    if (
        split is not None
        and len(split[1].split()) <= 3
        and not re.match(r"(?:favou?rite|preferred) ", split[1])
    ):
        yield f"{q.wh} {q.auxiliary} the {split[1]} of {split[0]}"
    of = re.match(r"^the ([\w-]+) of (.+)$", q.subject)
    if of is not None and len(of[2].split()) <= 3 and not plural(of[1]):
        yield f"{q.wh} {q.auxiliary} {possessive(of[2])} {of[1]}"


_HAD_THINGS = frozenset(
    "hobby hobbies job phone car laptop computer bike degree diet allergy nationality pet pets hobby "
    "superpower blood type shoe size star sign phone number middle name last name surname nickname "
    "phobia goal dream tattoo instrument subscription camera tablet watch title fear goal team club school university address sign "
    "operating system".split()
)


#: Things of which there are many, and somebody has one.
_CHOSEN_THINGS = frozenset(
    "company provider resort space spot charm seat room desk table team club gym bank train tram bus line route "
    "model brand plan insurance password code number card ticket flight time score record rank level shift".split()
)


def _having(q: Question) -> Iterator[str]:
    asked = asked_thing(q)
    if asked is not None and q.wh == "what" and asked[1] != "name" and q.auxiliary not in ("was", "were"):
        subject, thing = asked
        if thing.split()[-1] in _HAD_THINGS and len(thing.split()) <= 2:
            yield f"which {thing} {do_for(subject)} {subject} have"
            yield f"what {thing} {do_for(subject)} {subject} have"
    noun = re.match(r"(?:what|which) ([\w-]+(?: [\w-]+)?)$", q.wh)
    if noun is not None and q.auxiliary in ("do", "does") and q.rest == "have" and "kind of" not in q.wh:
        be = "are" if plural(noun[1]) else "is"
        yield f"what {be} {owned(q.subject, noun[1])}"
        yield f"what {noun[1]} {verb_for(q.subject, 'have')} {q.subject} got"


#: What somebody does with a thing of theirs: "which train do I take" asks for my train.
_OWNING = (
    "take|use|drink|wear|read|play|practi[sc]e|ride|watch|own|go to|sing in|listen to|live on|belong to|"
    "bank with|train at|play in|play for|support"
)
_MINE = {"I": "mine", "you": "yours", "he": "his", "she": "hers", "we": "ours", "they": "theirs"}


def _ownership(q: Question) -> Iterator[str]:
    """Between "which coffee do I drink", "what is my coffee" and "which coffee is mine"."""
    noun = re.match(r"(?:what|which) (?!of\b|time\b|day\b|kind\b|sort\b|type\b)([\w-]+(?: [\w-]+)?)$", q.wh)
    asked = asked_thing(q)
    if noun is not None and q.auxiliary in ("do", "does"):
        habit = re.match(rf"(?:usually |normally )?(?:{_OWNING})((?: (?:to|in|at|for|on) [\w' ]+)?)$", q.rest)
        if habit is None:
            return
        subject, thing, tail = q.subject, noun[1], habit[1]
        be = "are" if plural(thing) else "is"
        yield f"what {be} {owned(subject, thing)}{tail}"
    elif asked is not None and q.wh == "what" and q.auxiliary in ("is", "are"):
        (subject, thing), tail, be = asked, "", q.auxiliary
        last = thing.split()[-1]
        if subject not in _MINE or len(thing.split()) > 3 or last not in _CHOSEN_THINGS:
            return
        yield f"which {thing} {do_for(subject)} {subject} have"
    else:
        return
    if not tail:
        yield f"which {thing} {be} {_MINE.get(subject) or possessive(subject)}"


#: What the last word of a compound says of the first: a flight number is a number of the flight.
_OF_THINGS = "number|code|password|model|brand|price|version"


def _compound(q: Question) -> Iterator[str]:
    """Between "what is my flight number", "what is the number of my flight" and "what number does my flight have"."""
    asked = asked_thing(q)
    if asked is None or q.wh != "what" or q.auxiliary != "is" or asked[0] not in POSSESSIVE_OF:
        return
    words = asked[1].split()
    if not 2 <= len(words) <= 3 or not re.fullmatch(_OF_THINGS, words[-1]) or words[-2] in _NO_THINGS:
        return
    thing, what = owned(asked[0], " ".join(words[:-1])), words[-1]
    yield f"what is the {what} of {thing}"
    yield f"what {what} does {thing} have"
    yield f"which {what} does {thing} have"


#: What stands before a number, and is nothing that has one.
_NO_THINGS = frozenset(
    "lucky favourite favorite first last old new main private personal current secret phone".split()
)


def _vehicle(q: Question) -> Iterator[str]:
    match = re.match(
        r"(?:what|which)(?: kind of| sort of| type of| make of)? (car|bike|motorbike|van|truck)$", q.wh
    )
    if match is None or q.auxiliary not in ("do", "does") or q.rest not in ("drive", "have", "own", "ride"):
        return
    vehicle, tail = match[1], f"{q.auxiliary} {q.subject}"
    yield f"which {vehicle} {tail} {q.rest}"
    yield f"what kind of {vehicle} {tail} {q.rest}"
    yield f"what {vehicle} {tail} own"
    yield f"what {vehicle} {tail} have"
    yield f"what is {owned(q.subject, vehicle)}"


def _learning(q: Question) -> Iterator[str]:
    subject = q.subject
    if q.wh in ("what", "what subject", "which subject") and re.match(r"study(?: (?:at|in) .+)?$", q.rest):
        tail = q.rest.removeprefix("study")
        yield f"which subject {q.auxiliary} {subject} study{tail}"
        yield f"what {'was' if q.auxiliary == 'did' else 'is'} {owned(subject, 'field of study')}{tail}"
        yield f"what {q.auxiliary} {subject} study{tail}"
    if re.fullmatch(r"(?:what|which) languages?", q.wh) and q.rest == "speak":
        noun = q.wh.split()[-1]
        yield f"what {noun} can {subject} speak"
        yield f"which {noun} {q.auxiliary} {subject} know"
        yield f"what {'are' if noun == 'languages' else 'is'} the {noun} {q.declarative}"
    if re.fullmatch(r"(?:what|which)(?: musical)? instrument", q.wh) and q.rest == "play":
        yield f"what musical instrument {q.auxiliary} {subject} play"
        yield f"which instrument can {subject} play"
        yield f"what is {owned(subject, 'instrument')}"


def _which(q: Question) -> Iterator[str]:
    """Between "what city" and "which city", and "the city that"."""
    noun = re.match(r"(what|which) (?!of\b)(.+)$", q.wh)
    if noun is None or (noun[2] == "time"):
        return
    other = "which" if noun[1] == "what" else "what"
    tail = q.direct[len(q.wh) :]
    yield f"{other} {noun[2]}{tail}"
    if re.match(r"(?:kind|sort|type) of ", noun[2]):
        for word in ("kind", "sort", "type"):
            yield f"{noun[1]} {word} {noun[2].split(' ', 1)[1]}{tail}"
    if not q.subject and not q.auxiliary:
        yield f"what is the {noun[2]} that {q.rest}"
    if q.subject and q.rest and not q.rest.endswith(("called", "named")):
        be = "are" if plural(noun[2]) else "is"
        yield f"what {be} the {noun[2]} {q.declarative}"
        yield f"what {be} the {noun[2]} that {q.declarative}"


def _stranding(q: Question) -> Iterator[str]:
    """Between "which city was I born in" and "in which city was I born"."""
    words = q.rest.split()
    if not q.subject:
        return
    if len(words) >= 2 and words[-1] in PREPOSITIONS and re.match(r"(?:what|which|whose) ", q.wh):
        yield f"{words[-1]} {q.wh} {q.auxiliary} {q.subject} {' '.join(words[:-1])}"
    fronted = re.match(r"(in|on|at|for|with|from|to) ((?:what|which|whose)(?: .+)?)$", q.wh)
    if fronted is not None and q.rest:
        yield f"{fronted[2]} {q.auxiliary} {q.subject} {q.rest} {fronted[1]}"


def _place(q: Question) -> Iterator[str]:
    if q.wh != "where" or q.auxiliary not in DO or not re.match(rf"(?:{_PLACE_VERBS})\b", q.rest):
        return
    yield f"in which place {q.auxiliary} {q.subject} {q.rest}"
    yield f"what is the place where {q.declarative}"
    yield f"in what location {q.auxiliary} {q.subject} {q.rest}"


def _cleft(q: Question) -> Iterator[str]:
    if q.wh and q.subject and q.rest and not re.match(r"how|in |at |on |what time|\w+ .*s$", q.wh):
        yield f"{q.wh} is it that {q.declarative}"


def _person(q: Question) -> Iterator[str]:
    if q.wh not in ("who", "whom"):
        return
    if not q.subject:
        verb = f"{q.auxiliary} {q.rest}".strip()
        yield f"which person {verb}"
        yield f"who is the person who {verb}"
        past = not q.auxiliary and not re.match(r"\w+s\b", q.rest)
        yield f"who {'was' if past else 'is'} it that {verb}"
    elif q.rest:
        yield f"which person {q.auxiliary} {q.subject} {q.rest}"
        yield f"who is the person {q.declarative}"


def _yes_or_no(q: Question) -> Iterator[str]:
    if q.wh or not q.subject:
        return
    plain = re.sub(r"\bany ", "", q.declarative)
    yield f"is it true that {plain}"
    yield f"is it the case that {plain}"
    yield f"{q.direct} or not"
    if q.auxiliary in ("do", "does") and q.rest.startswith("have "):
        yield f"{verb_for(q.subject, 'have')} {q.subject} got {q.rest[5:]}"


_SYNONYMS = (
    (r"\bfavourite\b", "favorite"), (r"\bfavorite\b", "favourite"), (r"\bcolour\b", "color"),
    (r"\bcolor\b", "colour"), (r"\bmum\b", "mother"), (r"\bmom\b", "mother"), (r"\bdad\b", "father"),
    (r"\bmother\b", "mum"), (r"\bfather\b", "dad"), (r"\bkids\b", "children"), (r"\bchildren\b", "kids"),
    (r"\bmovie\b", "film"), (r"\bfilm\b", "movie"), (r"\bmovies\b", "films"), (r"\bfilms\b", "movies"),
    (r"\bflat\b", "apartment"), (r"\bapartment\b", "flat"), (r"\bholiday\b", "vacation"),
    (r"\bvacation\b", "holiday"), (r"\bneighbour\b", "neighbor"), (r"\bneighbor\b", "neighbour"),
    (r"\bhome town\b", "hometown"), (r"\bhometown\b", "home town"), (r"\bsurname\b", "last name"),
    (r"\blast name\b", "surname"), (r"\bcell phone\b", "mobile phone"), (r"\bbike\b", "bicycle"),
    (r"\bbicycle\b", "bike"), (r"\btelephone\b", "phone"), (r"\bsupervisor\b", "boss"),
    (r"\bmanager\b", "boss"), (r"\bcoworker\b", "colleague"), (r"\bpurchase\b", "buy"),
)  # fmt: skip


def _general(q: Question) -> Iterator[str]:
    """What fits when nothing more telling does."""
    if not q.subject or not q.rest:
        return
    if q.wh == "what" and q.auxiliary in DO | BE and not q.rest.endswith(("called", "named")):
        yield f"what is the thing that {q.declarative}"
        yield f"which thing {q.auxiliary} {q.subject} {q.rest}"
    elif q.wh in ("when", "where", "how") and q.auxiliary in DO | BE:
        yield f"{q.wh} exactly {q.auxiliary} {q.subject} {q.rest}"
    if re.search(r"(?:university|school|college)$", q.wh):
        for one, other in (("attend", "go to"), ("go to", "attend")):
            if q.rest == one:
                yield f"{q.wh} {q.auxiliary} {q.subject} {other}"


def _synonym(q: Question) -> Iterator[str]:
    for pattern, replacement in _SYNONYMS:
        changed = re.sub(pattern, replacement, q.direct)
        if changed != q.direct:
            yield changed


#: Every structural rule, by name.


RULES: tuple[Rule, ...] = (
    *PERSONAL_RULES,
    _time,
    _manner,
    _reason,
    _possession,
    _having,
    _ownership,
    _compound,
    _vehicle,
    _learning,
    _which,
    _stranding,
    _place,
    _cleft,
    _person,
    _yes_or_no,
    _general,
    _synonym,
)


def equivalents(question: Question) -> tuple[str, ...]:
    """Return other direct questions with the same answer, without duplicates and the question itself."""
    found: dict[str, None] = {}
    for rule in RULES:
        for text in rule(question):
            found.setdefault(" ".join(text.split()))
    found.pop(question.direct, None)
    return tuple(found)

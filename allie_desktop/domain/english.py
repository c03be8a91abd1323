"""A little English grammar: take a question apart, and put it together in another order.

Only as much as rephrasing needs, by rules and short word lists. What the rules do not understand
they refuse (:func:`parse` returns None), since a wrong rewrite is worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WH_WORDS = frozenset({"what", "who", "whom", "whose", "where", "when", "why", "how", "which"})

BE = frozenset({"is", "are", "was", "were", "am"})
DO = frozenset({"do", "does", "did", "don't", "doesn't", "didn't"})
_HAVE = frozenset({"have", "has", "had"})
_MODAL = frozenset({"can", "could", "will", "would", "should", "may", "might", "must", "shall"})
AUXILIARIES = BE | DO | _HAVE | _MODAL

PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "there"})
DETERMINERS = frozenset(
    "my your his her its our their the a an this that these those any some both all".split()
)
PREPOSITIONS = frozenset(
    "in on at for from with to by about during near after before since under over of into onto "
    "through until between against without around behind beside like as than per".split()
)

# Words that end a subject after a form of "be": participles and adjectives people ask with.
_PREDICATES = frozenset(
    "born allergic afraid scared interested married engaged related made called named based located "
    "situated held kept built located parked stored due old tall big heavy good bad responsible ready "
    "open closed free available done gone written known spelled spelt pronounced planned scheduled "
    "supposed going able likely older younger taller better worse famous proud fond happy sad sick ill "
    "vegetarian vegan single divorced retired employed dead alive right wrong true left lost busy "
    "hidden found bought sold broken stolen taken worn driven grown chosen seen spoken thrown drawn hung stuck sent "
    "paid red blue green yellow black white grey gray pink purple brown orange silver golden electric vegetarian "
    "obsessed used worth similar different most best currently usually always also still really".split()
)
_ING_NOUNS = frozenset(
    "thing things something anything everything nothing morning evening wedding meeting building ring "
    "king string spring sibling siblings pudding ceiling feeling clothing painting drawing training "
    "housing earring wing swing sling duckling dumpling cooking reading upbringing parking landing "
    "savings engineering marketing banking accounting gaming hiking swimming running climbing knitting "
    "topping seasoning flooring bedding warning viking offspring lining stuffing dressing icing viewing rating setting opening".split()
)
_ED_NOUNS = frozenset("bed seed need feed speed shed weed med red kid breed deed hundred reed".split())

#: Base forms that may follow a subject after "do", beyond what the position tells.
_BASE_VERBS = frozenset(
    "live work like love want need do study have go eat drink play drive call prefer speak take make "
    "use get keep own enjoy hate know think feel grow start finish begin end stop wake sleep read "
    "write watch listen learn teach buy sell pay cost earn spend save travel visit stay move come "
    "leave meet see say mean weigh look sound taste smell run walk ride swim sing dance cook bake "
    "wear collect celebrate believe belong believe suffer commute train practise practice graduate "
    "marry adopt name give put store park hide find lose forget remember plan hope try help train "
    "order choose support follow bring build paint draw attend join host happen appear seem become "
    "open close ask tell answer show send receive bank invest fly sail ski climb hike".split()
)

_IRREGULAR_PAST = {
    "be": "was", "become": "became", "begin": "began", "break": "broke", "bring": "brought",
    "build": "built", "buy": "bought", "catch": "caught", "choose": "chose", "come": "came",
    "cost": "cost", "cut": "cut", "do": "did", "draw": "drew", "drink": "drank", "drive": "drove",
    "eat": "ate", "fall": "fell", "feel": "felt", "find": "found", "fly": "flew", "forget": "forgot",
    "get": "got", "give": "gave", "go": "went", "grow": "grew", "have": "had", "hear": "heard",
    "hide": "hid", "hit": "hit", "hold": "held", "hurt": "hurt", "keep": "kept", "know": "knew",
    "lead": "led", "leave": "left", "lend": "lent", "let": "let", "lose": "lost", "make": "made",
    "mean": "meant", "meet": "met", "pay": "paid", "put": "put", "read": "read", "ride": "rode",
    "run": "ran", "say": "said", "see": "saw", "sell": "sold", "send": "sent", "set": "set",
    "sing": "sang", "sleep": "slept", "speak": "spoke", "spend": "spent", "stand": "stood",
    "swim": "swam", "take": "took", "teach": "taught", "tell": "told", "think": "thought",
    "wake": "woke", "wear": "wore", "win": "won", "write": "wrote",
}  # fmt: skip

_CONTRACTIONS = (
    (
        re.compile(r"\b(what|who|where|when|why|how|which)['’]?s\b(?!\s+(?:is|are)\b)", re.IGNORECASE),
        r"\1 is",
    ),
    (re.compile(r"\b(what|who|where|when|why|how)['’]re\b", re.IGNORECASE), r"\1 are"),
    (re.compile(r"\b(what|where|when|why|how|who)['’]d\b", re.IGNORECASE), r"\1 did"),
    (re.compile(r"’"), "'"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, taken apart.

    ``wh`` is the question phrase in lower case ("what", "which city", "how old"), empty for a yes-or-no
    question. ``subject`` is empty when the question phrase is the subject itself ("who taught me").
    ``rest`` is what follows the subject, without the question mark.
    """

    wh: str
    auxiliary: str
    subject: str
    rest: str

    @property
    def direct(self) -> str:
        """The question as one asks it: lower-case first letter, no question mark."""
        return _join(self.wh, self.auxiliary, self.subject, self.rest)

    @property
    def declarative(self) -> str:
        """The statement behind it without the question phrase: "my dog's name is", "I live"."""
        if self.auxiliary in DO:
            return _join(self.subject, _inflected(self.auxiliary, self.rest))
        return _join(self.subject, self.auxiliary, self.rest)

    @property
    def indirect(self) -> str:
        """The question as a clause: "what my dog's name is", "where I live", "whether I am tall"."""
        if not self.subject:
            return self.direct
        return _join(self.wh or "whether", self.declarative)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def third_person(verb: str) -> str:
    """Return the third person singular of a base form: "study" → "studies"."""
    if verb in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[verb]
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    if re.search(r"(?:s|sh|ch|x|z)$", verb):
        return verb + "es"
    return verb + "s"


def past_tense(verb: str) -> str:
    """Return the simple past of a base form: "buy" → "bought"."""
    if verb in _IRREGULAR_PAST:
        return _IRREGULAR_PAST[verb]
    if verb.endswith("e"):
        return verb + "d"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return verb + verb[-1] + "ed"
    return verb + "ed"


_THIRD_PERSONS = frozenset(
    third_person(verb) for verb in _BASE_VERBS - {"look", "end", "stop", "park", "store"}
)


def _inflected(auxiliary: str, rest: str) -> str:
    if auxiliary in ("do", "") or auxiliary.endswith("n't"):
        return rest if auxiliary in ("do", "") else f"{auxiliary} {rest}"
    words = rest.split(" ")
    index = 0
    while index < len(words) - 1 and (words[index].endswith("ly") or words[index] in _ADVERBS):
        index += 1
    words[index] = (third_person if auxiliary == "does" else past_tense)(words[index])
    return " ".join(words)


_ADVERBS = frozenset(
    "usually always often sometimes normally currently first never really also still".split()
)


def expand(text: str) -> str:
    """Return ``text`` with "what's", "whats", "who's"… written out."""
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    return text


def lower_first(text: str) -> str:
    """Return ``text`` as it looks inside a sentence: "I", names and acronyms keep their capital."""
    word = re.match(r"[\w'’]+", text)
    if word is None:
        return text
    first = word[0]
    if first in ("I", "I'm", "I've", "I'd", "I'll") or (len(first) > 1 and first[1:] != first[1:].lower()):
        return text
    if first.lower() in _SENTENCE_STARTERS:
        return text[0].lower() + text[1:]
    return text


_SENTENCE_STARTERS = (
    WH_WORDS
    | AUXILIARIES
    | PRONOUNS
    | DETERMINERS
    | PREPOSITIONS
    | frozenset(
        "please tell name say give remind write explain list describe show make create translate "
        "summarise summarize help find suggest recommend compare let if and so but whats who's what's "
        "where's when's how's can't isn't aren't don't not no yes one someone whether complete about "
        "just quick".split()
    )
)


def upper_first(text: str) -> str:
    """Return ``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]


def parse(text: str) -> Question | None:
    """Return the parts of one plain English question, or None when it is not understood.

    ``text`` is a single question without wrapping politeness; the question mark may be missing.
    """
    words = expand(text.strip()).rstrip("?!. ").split()
    if len(words) < 2 or len(words) > 30 or any("," in word or ";" in word for word in words):
        return None
    words[0] = words[0].lower()
    if words[0] in AUXILIARIES:
        return _split(wh="", auxiliary=words[0], words=words[1:])
    first = 0
    if words[0] in PREPOSITIONS and words[1].lower() in ("what", "which", "whose", "whom", "how"):
        first = 1
    if words[first].lower() not in WH_WORDS:
        return None
    for index in range(first + 1, min(len(words), first + 7)):
        if words[index].lower() in AUXILIARIES and not (
            words[index].lower() == "like" or words[index - 1].lower() in DETERMINERS
        ):
            wh = " ".join(words[:index]).lower() if index == 1 else _wh_phrase(words[:index])
            return _split(wh=wh, auxiliary=words[index].lower(), words=words[index + 1 :])
    if words[0] in ("who", "which", "what") and re.search(
        r"(?:ed|s|t|d|ght)$", words[min(1, len(words) - 1)]
    ):
        wh, rest = words[0], words[1:]
        return Question(wh=wh, auxiliary="", subject="", rest=" ".join(rest)) if rest else None
    # "Which tram goes to my office": the thing asked for is the subject of a verb.
    if words[0] in ("which", "what") and len(words) >= 4:
        for index in range(2, min(len(words) - 1, 5)):
            if words[index] in _THIRD_PERSONS:
                return Question(
                    wh=_wh_phrase(words[:index]), auxiliary="", subject="", rest=" ".join(words[index:])
                )
    return None


def _wh_phrase(words: list[str]) -> str:
    return " ".join([words[0].lower(), *words[1:]])


def _split(*, wh: str, auxiliary: str, words: list[str]) -> Question | None:
    if not words:
        return None
    end = _subject_end(auxiliary, words)
    if end is None:
        if not wh or auxiliary in DO:
            return None
        return Question(wh=wh, auxiliary=auxiliary, subject="", rest=" ".join(words))
    subject, rest = " ".join(words[:end]), " ".join(words[end:])
    if words[0].lower() == "i":
        subject = "I" + subject[1:]
    if (auxiliary not in BE and not rest and auxiliary not in _HAVE) or (wh == "" and not rest):
        return None
    # "How are you?", "What's up?": idioms, not questions about a thing.
    if auxiliary in BE and not rest and (wh == "how" or subject.lower() in _IDLE):
        return None
    return Question(wh=wh, auxiliary=auxiliary, subject=subject, rest=rest)


_IDLE = frozenset("up new wrong cooking cracking next that this".split())


def _subject_end(auxiliary: str, words: list[str]) -> int | None:
    """Return where the subject ends, or None when the question phrase is the subject."""
    first = words[0].lower()
    if first in PRONOUNS:
        return 1
    if first in ("this", "that", "these", "those") and (
        len(words) == 1 or words[1].lower() in PREPOSITIONS | _BASE_VERBS | _PREDICATES
    ):
        return 1
    if first in DETERMINERS or first.endswith(("'s", "s'")) or words[0][0].isupper():
        minimum = 1 if words[0][0].isupper() and not first.endswith("'s") and first not in DETERMINERS else 2
        return _walk(auxiliary, words, minimum)
    if auxiliary in BE:
        if first in PREPOSITIONS or _is_predicate(first):
            return None
        return _walk(auxiliary, words, 1)
    if auxiliary in DO:
        return _walk(auxiliary, words, 1)
    return None


def head_length(words: list[str]) -> int:
    """Return how many words a noun phrase has before its relative clause ("the city" I was born in)."""
    if not words or words[0].lower() not in ("the", "a", "an", "that"):
        return len(words)
    for index in range(2, len(words)):
        word, previous = words[index], words[index - 1].lower()
        if previous in PREPOSITIONS | DETERMINERS | {"and", "or"} or previous.endswith(("'s", "s'")):
            continue
        if word.lower() in _RELATIVES | _CLAUSE_SUBJECTS or (word[0].isupper() and previous.islower()):
            return index
    return len(words)


_RELATIVES = frozenset({"that", "where", "why", "when", "who", "which", "whose"})
_CLAUSE_SUBJECTS = frozenset("i you he she we they it my your his her our their".split())


def _walk(auxiliary: str, words: list[str], minimum: int) -> int | None:
    if auxiliary in BE and head_length(words) < len(words):
        return len(words)
    index = 1
    while index < len(words):
        word = words[index].lower()
        previous = words[index - 1].lower()
        may_stop = index >= minimum and previous not in PREPOSITIONS | DETERMINERS | {"and", "or"}
        may_stop = may_stop and not previous.endswith(("'s", "s'"))
        if may_stop and word not in ("of", "and", "or"):
            if auxiliary in DO:
                if (
                    word in _BASE_VERBS
                    or (word.endswith("ly") and index + 1 < len(words))
                    or word in _ADVERBS
                ):
                    return index
            elif auxiliary in BE:
                if _is_predicate(word) or (word in PREPOSITIONS and index == len(words) - 1):
                    return index
            elif word in _BASE_VERBS or _is_predicate(word) or word in ("be", "been") or word == "had":
                return index
        index += 1
    if auxiliary in BE:
        return len(words)
    # No known verb: the last word is the verb if the subject before it is long enough.
    return len(words) - 1 if len(words) - 1 >= minimum else None


def _is_predicate(word: str) -> bool:
    if word in _PREDICATES:
        return True
    if word.endswith("ing"):
        return len(word) > 4 and word not in _ING_NOUNS
    return word.endswith("ed") and len(word) > 3 and word not in _ED_NOUNS


def split_possessive(phrase: str) -> tuple[str, str] | None:
    """Split "my dog's name" into ("my dog", "name"); None when there is no owner with an 's."""
    match = re.match(r"(.+?[^\s])(?:'s|(?<=s)') (\S.*)$", phrase)
    if match is None:
        return None
    position = max(phrase.rfind("'s "), phrase.rfind("s' ") + 1 if "s' " in phrase else -1)
    owner = phrase[:position]
    thing = phrase[position:].split(" ", 1)[1]
    return (owner, thing) if owner and thing else None


def possessive(owner: str) -> str:
    """Return the possessive of a noun phrase: "my dog" → "my dog's", "my parents" → "my parents'"."""
    plural = (
        owner.endswith("s") and not owner.endswith("ss") and owner.split(maxsplit=1)[0].lower() in DETERMINERS
    )
    return owner + ("'" if plural else "'s")


_SECOND_PERSON = {
    "i'm": "you're", "i am": "you are", "i was": "you were", "i've": "you've", "i'd": "you'd",
    "i'll": "you'll", "am i": "are you", "was i": "were you", "i": "you", "me": "you", "my": "your",
    "mine": "yours", "myself": "yourself", "we're": "you're", "we've": "you've", "we'll": "you'll",
    "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves",
    "you're": "I'm", "you are": "I am", "you were": "I was", "you've": "I've", "you'll": "I'll",
    "you": "I", "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip

_PERSON = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _SECOND_PERSON), key=len, reverse=True)) + r")\b(?!')",
    re.IGNORECASE,
)


_CONJUNCTIONS = frozenset(
    "and but or that if when because what where how who so then since while than as".split()
)


def _is_subject(text: str, you: re.Match[str]) -> bool:
    """Whether this "you" does something rather than something being done to it."""
    before = text[: you.start()].split()
    after = text[you.end() :].split()
    return bool(
        (before and before[-1].lower().strip(",;") in _CONJUNCTIONS | AUXILIARIES)
        or (after and after[0].lower() in AUXILIARIES)
    )


def swap_persons(text: str) -> str:
    """Return ``text`` said by the other one: "my dog likes me" → "your dog likes you"."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        begins = match.start() == 0 or text[: match.start()].rstrip()[-1:] in ".!?"
        if word[0].isupper() and not begins and word[:2] not in ("I", "I'", "I "):
            return word  # part of a name: "the US", "Do You Remember"
        swapped = _SECOND_PERSON.get(word.lower())
        if swapped is None:
            return word  # "uſ": for Unicode an "us", in no word of English
        if swapped == "I" and not begins and not _is_subject(text, match):
            swapped = "me"
        return upper_first(swapped) if begins and word[0].isupper() else swapped

    return _PERSON.sub(other, text.replace("’", "'"))

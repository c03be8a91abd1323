"""What a person's words tell about the reply before them: correction, complaint, the same question again.

Mostly English, with the plainest German, French and Spanish words. A sign that is missed costs little;
a false one would teach something nobody said, so the weak signs need more around them.
"""

from __future__ import annotations

import re

_END = r"(?=\s*(?:[.,;:!?–—-]|$)|\s+(?:it|he|she|they|my|his|her|their|the|i|i'm|its)\b)"

# "That's wrong": says by itself that the reply was not right.
_STRONG = re.compile(
    r"(?:(?:no|nope|hmm+|um+|sorry|well|actually|wait|hey|nein|non)\b[\s,.!:;–—-]*)*"
    r"(?:"
    r"(?:that|this|it|your (?:answer|reply))(?:'?s| is| was| isn'?t| wasn'?t) "
    r"(?:just |simply |completely |totally |still |all )?(?:not )?(?:quite |entirely )?"
    rf"(?:right|correct|true|accurate|wrong|incorrect|mistaken|false){_END}"
    rf"|you(?:'?re| are| were) (?:completely |totally |still )?(?:wrong|mistaken|incorrect){_END}"
    rf"|(?:wrong|incorrect|not (?:true|right|correct|quite)|false|that's a mistake){_END}"
    r"|you (?:got|have|had) (?:it|that|this|my [\w ]{1,30}) wrong"
    r"|you (?:made|are making) a mistake|i(?: have|'ve)? (?:already )?told you(?: (?:that|before|already))?"
    r"|(?:small |one |a )?correction(?:\b|:)|i (?:said|meant)\b"
    r"|das (?:ist|stimmt) (?:falsch|nicht(?: richtig)?)|falsch|c'est faux|eso (?:es incorrecto|no es correcto)"
    r")",
    re.IGNORECASE,
)
_POSITIVE_AFTER_IS = re.compile(
    r"^\W*(?:that|this|it)(?:'s| is) (?:quite |entirely |all )?(?:right|correct|true|accurate)", re.IGNORECASE
)

# "No, …", "Actually, …": may just answer or go on, so more must speak for a correction.
_WEAK = re.compile(
    r"(?:(?:hmm+|um+|sorry|well|wait|hey|oh)\b[\s,.!:;–—-]*)*"
    r"(?:no|nope|actually|not exactly|nein|non|sorry, but|but)\b[\s,.!:;–—-]*",
    re.IGNORECASE,
)
_BENIGN = re.compile(
    r"(?:no|nope)[\s,]*(?:problem|worries|thanks|thank you|way|need|idea|doubt|rush|wonder|one\b|matter|more|longer|"
    r"not (?:really|yet|at all)|i'm good|that's (?:fine|ok|okay|all|"
    r"it|great|good)|it's (?:fine|ok|okay|all right|alright|great|good))",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"(?:it|that|this|he|she|they)(?:'s|'re| is| was| are| were)\b|its [A-Z0-9]|(?:my|his|her|their|our|the)\s+\w+|"
    r"i(?:'m|'ve| am| was| live| work| have| like| prefer| drive| study| play| speak| was| moved| grew| take| drink|"
    r" eat| use| own| do)\b|there (?:is|are)\b|you (?:should|can|are|were)\b",
    re.IGNORECASE,
)
_INNER_ACTUALLY = re.compile(r"\b(?:is|was|are|am|'s|'m|'re) actually\b|,? actually[.!]*$", re.IGNORECASE)

_COMPLAINT = re.compile(
    r"that (?:does not|doesn't|didn't) (?:help|work|make sense|answer)|"
    r"(?:this|that|it) (?:is|was|'s) (?:useless|nonsense|rubbish|garbage|not helpful|unhelpful)|"
    r"not what i (?:asked|meant|wanted)|you (?:didn't|did not|don't|never) (?:answer|listen|understand|read)|"
    r"you (?:misunderstood|ignored)|try again|are you (?:kidding|serious|stupid|broken)|"
    r"what are you talking about|(?:complete|total) nonsense|stop (?:repeating|saying)|das hilft (?:mir )?nicht|"
    r"you already said (?:that|this)",
    re.IGNORECASE,
)

# The search above is dear; one of these must be there.
_COMPLAINT_SIGNS = (
    "help", "n't work", "not work", "make sense", "answer", "useless", "nonsense", "rubbish", "garbage", "not what i",
    "listen", "understand", "understood", "read", "ignored", "try again", "are you", "stop", "hilft", "already said",
)  # fmt: skip

_ASKING = re.compile(
    r"^\W*(?:please |can you |could you |would you )?(?:what|who|whom|whose|where|when|why|how|which|tell|remind|name|"
    r"give|say|list|explain|write|describe|show|find|translate|summari[sz]e|do|does|did|is|are|am|was|were|can|could|"
    r"will|would|should|have|has)\b",
    re.IGNORECASE,
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

FUNCTION_WORDS = frozenset(
    "a an and are as at be been but by can could did do does for from had has have he her his i i'm if in is it it's "
    "its just me my no not of on or our she so that that's the their them then there they this to too up was we were "
    "what when where which who why will with would yes you your you're am how about again also really please tell "
    "actually well oh hey hi ok okay sorry wrong right correct incorrect true called named name".split()
)


# A longer turn is a document; comparing its words would cost much and say little.
_LONG = 4_000


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, with straight apostrophes."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def content_words(text: str) -> set[str]:
    """Return the words that carry meaning; a possessive counts as its owner."""
    return {word.removesuffix("'s") for word in words_of(text)} - FUNCTION_WORDS


def asks(text: str) -> bool:
    """Whether a turn asks for something."""
    return "?" in text or _ASKING.match(text) is not None


def denies(text: str) -> bool:
    """Whether a turn says outright that the reply before it was wrong."""
    text = _straight(text)
    return _STRONG.match(text) is not None and _POSITIVE_AFTER_IS.match(text) is None


def dodges(reply: str) -> bool:
    """Whether a short reply only says that it cannot answer."""
    return len(reply) < 400 and _DODGING.search(reply) is not None


def is_about_self(question: str) -> bool:
    """Whether the person asks about themselves."""
    return _SELF.search(question) is not None


def complains(text: str) -> bool:
    """Whether a turn is unhappy with the reply before it."""
    if len(text) >= 2_000:
        return False
    lowered = _straight(text).lower()
    if _STRONG.match(lowered) is not None and _POSITIVE_AFTER_IS.match(lowered) is None:
        return True
    for sign in _COMPLAINT_SIGNS:
        if sign in lowered:
            return _COMPLAINT.search(lowered) is not None
    return False


def without_complaint(text: str) -> str:
    """Return a turn without the words that only complain."""
    return _COMPLAINT.sub("", _straight(text))


def _straight(text: str) -> str:
    return text.strip().replace("’", "'")


def corrects(text: str, *, question: str, reply: str) -> bool:
    """Whether ``text`` corrects ``reply``, which answered ``question``."""
    text = _straight(text)
    if not text or len(text) > 1_000:
        return False
    if denies(text):
        return True
    if not asks(question) or reply.rstrip().endswith("?") or _BENIGN.match(text) or _about_other(question):
        return False
    about_self = _SELF.search(question) is not None
    weak = _WEAK.match(text)
    if weak is not None:
        rest = text[weak.end() :]
        if not rest or (not about_self and _NEGATION.match(rest)):
            return False
        return _contrasts(rest, about_self=about_self) or _is_short_answer(rest, question)
    first = re.split(r"[.!?](?:\s|$)", text, maxsplit=1)[0]
    if about_self and dodges(reply) and not asks(text):
        # The person tells what was not known.
        return _CONTRAST.match(first) is not None and not first.lower().startswith(("that", "this"))
    return _INNER_ACTUALLY.search(first) is not None and _CONTRAST.match(first) is not None


def _contrasts(rest: str, *, about_self: bool) -> bool:
    return _CONTRAST.match(rest) is not None or (about_self and _OWN_STATEMENT.match(rest) is not None)


def _about_other(question: str) -> bool:
    """Whether a question is about the one who is asked: "No, …" is small talk then."""
    return _OTHER.search(_POLITE.sub("", question)) is not None and _SELF.search(question) is None


_NEGATION = re.compile(r"i (?:don't|do not|haven't|have not|didn't|can't|never)\b", re.IGNORECASE)
_OWN_STATEMENT = re.compile(r"(?:i|we)(?:'\w+)? \w+", re.IGNORECASE)
_DODGING = re.compile(
    r"\bi (?:don't|don’t|do not) (?:know|have|remember)\b|\bi(?:'m| am|’m) (?:not sure|unable|sorry)\b|"
    r"\bi (?:can't|can’t|cannot)\b|\bas an? (?:ai|language model)\b|\bno (?:idea|information)\b|"
    r"\b(?:can|could) you (?:tell|remind) me\b",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\byou(?:r|rs|'re)?\b", re.IGNORECASE)
_SELF = re.compile(r"\b(?:i|my|me|mine|our|we|us)\b", re.IGNORECASE)
_POLITE = re.compile(
    r"\b(?:can|could|would|will|do) you (?:please |know|remember|tell|say|happen)\b", re.IGNORECASE
)


def _is_short_answer(rest: str, question: str) -> bool:
    """Whether ``rest`` is a bare name or number: "Biscuit" after "What is my dog's name?"."""
    bare = rest.strip().rstrip(".!")
    wh = re.match(r"^\W*(?:what|who|where|when|which|how)\b", question, re.IGNORECASE)
    return (
        bool(wh)
        and 0 < len(bare.split()) <= 5
        and "?" not in bare
        and (bare[0].isupper() or bare[0].isdigit())
    )


def without_denial(text: str) -> str:
    """Return what a correction says besides that the reply was wrong."""
    rest = _straight(text)
    for _ in range(4):
        lead = _STRONG.match(rest) or _WEAK.match(rest)
        if lead is None or lead.end() == 0:
            break
        rest = rest[lead.end() :].lstrip(" \t\n,.!:;–—-")
    return rest


def asks_again(text: str, before: str) -> bool:
    """Whether a turn repeats or rephrases the person's turn before it."""
    if len(text) > _LONG or len(before) > _LONG:
        return text == before
    if not asks(text):
        return text.strip() == before.strip() != ""
    first, second = content_words(before), content_words(text)
    if not first or not second:
        return words_of(text) == words_of(before) != []
    shared = len(first & second) / len(first | second)
    return shared >= 0.6

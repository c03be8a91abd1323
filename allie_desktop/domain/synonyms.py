"""A question in really different words: everyday synonyms, short periphrases, other verbs, other nouns.

Whole frames first (``frames_of_life``, ``frames_of_things``), then single words and phrases where the
words around them say what they mean. Nothing here may turn one question into another about the same
person, so words are only exchanged where both mean the same fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from allie_desktop.domain.english import Question
from allie_desktop.domain.frames import reframed
from allie_desktop.domain.frames_of_life import LIFE
from allie_desktop.domain.frames_of_people import PEOPLE
from allie_desktop.domain.frames_of_taste import TASTES
from allie_desktop.domain.frames_of_things import THINGS
from allie_desktop.domain.rewrites import equivalents

# Nouns that name the same thing. "a|b" are exchanged both ways; before " > " only from left to right.
_NOUNS = (
    "surname|last name|family name", "first name|given name", "number plate|licence plate|license plate",
    "cell phone|mobile phone|mobile", "sofa|couch", "flatmate|roommate|housemate", "partner > other half|significant other",
    "trainers|sneakers", "jumper|sweater", "holiday|vacation",
    "film|movie", "flat|apartment", "mum|mother|mom", "dad|father", "grandma|grandmother|granny", "grandpa|grandfather|granddad",
    "kids|children", "boss > manager|supervisor", "TV|television", "bicycle|bike", "fridge|refrigerator",
    "spectacles|glasses", "supermarket > grocery store", "GP|family doctor",
    "chemist|pharmacy", "solicitor|lawyer|attorney", "football|soccer", "postcode|zip code|postal code", "lift|elevator",
    "rubbish|trash|garbage", "lorry|truck", "aunt > auntie", "neighbour|neighbor", "colleague > co-worker|workmate",
    "wifi|Wi-Fi", "email|e-mail", "Christmas > Xmas", "vacuum cleaner|hoover", "mobile number|cell number",
    "wedding day > day of the wedding", "hometown|home town", "favourite colour|favorite color", "nappies|diapers", "autumn",
    "secondary school|high school", "maths|math", "biscuits|cookies", "sweets|candy", "crisps|potato chips", "rucksack|backpack", "torch|flashlight",
    "driving licence|driver's license", "current account|checking account", "allotment|garden plot", "motorbike|motorcycle", "alarm clock > alarm",
    "hairdresser > hair stylist", "gym > fitness studio", "medication|medicine", "birthday present|birthday gift", "present|gift", "siblings|brothers and sisters",
    "kindergarten|nursery school",
    "spare key|extra key", "spare keys|extra keys",
    "cash machine|ATM", "car park|parking lot", "duvet|comforter", "tap|faucet",
)  # fmt: skip

# Verbs and phrases, each with what stands around it. Groups "\1" may be used again on the right.
_VERBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\b(do|does) (\w+|my [\w ]+) (?:usually|normally|typically|generally) (?=\w)", (r"\1 \2 tend to ", r"\1 \2 ")),
    (r"\busually\b", ("normally", "typically", "generally")),
    (r"\bnormally\b", ("usually", "typically")),
    (r"\bcurrently (?=\w)", ("", "right now ")),
    (r"\b(at the moment|right now|these days)$", ("currently", "at present")),
    (r"\b(every day|daily)\b", ("each day", "day after day")),
    (r"\b(every week|weekly)\b", ("each week",)),
    (r"\b(did \w+|did my \w+) buy (?=(?:my|the|our|a|her|his) )", (r"\1 purchase ", r"\1 get ")),
    (r"\bcall (my \w+)$", (r"phone \1", r"ring \1", r"give \1 a call")),
    (r"\b(do|does|did) ((?:I|we|they|my \w+)) visit (?=(?:my|the|our) )", (r"\1 \2 go to see ", r"\1 \2 pay a visit to ")),
    (r"\bvisited\b", ("been to", "travelled to")),
    (r"\bbeen to\b", ("visited",)),
    (r"\battend (?=(?:my|the|an?) )", ("go to ",)),
    (r"\b(do|does) (I|we|they|my \w+) hate\b", (r"\1 \2 dislike", r"\1 \2 detest", r"\1 \2 loathe")),
    (r"\b(do|does) (I|we|they|my \w+) dislike\b", (r"\1 \2 hate", r"\1 \2 not like")),
    (r"\b(do|does) (I|we|they|my \w+) enjoy (?=\w+ing\b)", (r"\1 \2 like ", r"\1 \2 love ")),
    (r"\bbegin\b(?! with)", ("start",)),
    (r"\bstart (?=(?:school|university|college|training|work)\b)", ("begin ",)),
    (r"\b(does|did) (my [\w ]+) (start|begin)$", (r"\1 \2 get going", r"\1 \2 commence")),
    (r"\b(does|did) (my [\w ]+) (end|finish)$", (r"\1 \2 come to an end",)),
    (r"\bwalk my dog\b", ("take my dog out", "take my dog for a walk", "go out with my dog")),
    (r"\bwater my plants\b", ("give my plants water",)),
    (r"\bfeed (my \w+)$", (r"give food to \1",)),
    (r"\btraining for\b", ("preparing for", "getting ready for")),
    (r"\bpreparing for\b", ("getting ready for",)),
    (r"\bvolunteer\b$", ("do voluntary work", "help out as a volunteer")),
    (r"\bdonate to\b", ("give money to", "support with donations")),
    (r"\bgo (running|jogging)\b", ("go for a run",)),
    (r"\bgo swimming\b", ("go for a swim",)),
    (r"\bgo (shopping)\b", ("do the shopping",)),
    (r"\bdo my laundry\b", ("do my washing", "wash my clothes")),
    (r"\bclean my (flat|house|apartment)\b", (r"do the cleaning in my \1", r"tidy up my \1")),
    (r"\bgrow in my garden\b", ("have planted in my garden",)),
    (r"\bhave (lunch|dinner|breakfast)\b", (r"eat \1",)),
    (r"\beat (lunch|dinner|breakfast)\b", (r"have \1",)),
    (r"\bpass my (driving test|exam)\b", (r"get through my \1",)),
    (r"\bgraduate\b$", ("finish my degree", "get my degree")),
    (r"\bquit\b", ("give up", "stop")),
    (r"\bgive up\b", ("quit",)),
    (r"\bchildhood (friend|pet|home)\b", (r"\1 from when I was a child",)),
    (r"\bwhat time\b(?! of)", ("when",)),
    (r"\bwhich day of the week\b|\bwhat day of the week\b", ("which weekday", "what day")),
    (r"^(what|which) day (do|does) \b", (r"on what day of the week \2 ", r"on which weekday \2 ")),
    (r"\bhow long does it take me to\b", ("how much time do I need to", "how many minutes do I need to")),
    (r"\bprefer\b$", ("like better", "like more")),
    (r"\bam I (?=learning|reading|watching|training|working|saving|studying)", ("am I currently ", "am I right now ")),
    (r"\bis the name of my (\w+)$", (r"is my \1 called",)),
    (r"\bwas the name of my (.+)$", (r"was my \1 called",)),
    (r"^what is my (\w+ ?\w*)'s job$", (r"what work does my \1 do",)),
)  # fmt: skip


def _exchanges() -> Iterator[tuple[re.Pattern[str], tuple[str, ...]]]:
    for line in _NOUNS:
        left, _, right = line.partition(" > ")
        words = left.split("|")
        others = [*words, *right.split("|")] if right else words
        for word in words:
            # A word inside a longer name ("Apartment 5", "couch-surfing") stays.
            pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
            yield pattern, tuple(other for other in others if other != word)
    for verb, replacements in _VERBS:
        yield re.compile(verb), replacements


_GROUPS = LIFE + PEOPLE + THINGS + TASTES
_EXCHANGES = tuple(_exchanges())


def reworded(question: Question) -> tuple[tuple[str, ...], ...]:
    """Return ways to ask in other content words, those of one replacement together.

    Every text is a direct question in lower case without a question mark; none is the question itself or
    one of its plain :func:`~allie_desktop.domain.rewrites.equivalents`, and none comes twice.
    """
    plain = (question.direct, *equivalents(question))
    said = set(plain)
    found: list[tuple[str, ...]] = []

    def keep(texts: tuple[str, ...]) -> None:
        new = tuple(text for text in dict.fromkeys(texts) if text not in said)
        said.update(new)
        if new:
            found.append(new)

    for text in _sources(plain):
        for texts in reframed(text, _GROUPS):
            keep(texts)
        if found:  # Further constructions only when nothing is known for a nearer one: meaning drifts.
            break
    for pattern, replacements in _EXCHANGES:
        for text in (question.direct, *(texts[0] for texts in found[:4])):
            keep(
                tuple(changed for new in replacements if (changed := _exchanged(text, pattern, new)) != text)
            )
    return tuple(found)


def _sources(plain: tuple[str, ...]) -> Iterator[str]:
    """The question and its other constructions, also without the adverbs of habit and of the present."""
    for text in plain:
        yield text
        bare = _ADVERB.sub("", text)
        if bare != text:
            yield bare


_ADVERB = re.compile(
    r" (?:usually|normally|typically|generally|currently|right now|at the moment|these days|nowadays|"
    r"at present)\b"
)


def _exchanged(text: str, pattern: re.Pattern[str], new: str) -> str:
    return " ".join(pattern.sub(new, text, count=1).split())

"""A quick word-list judge of hostile language.

It looks for abuse *of someone* ("kill yourself", "you are worthless", slurs), not for dark subjects:
"How do I kill a process?" is not hostile. Plain swearing counts a little. English, with the commonest
German, French and Spanish insults. It imports nothing heavy; a deeper judge can take its place behind
the same port.
"""

from __future__ import annotations

import re

# Slurs and insults are matched as whole words. Weights are the score that one occurrence gives alone.
_SLURS = frozenset(
    "nigger niggers nigga niggas faggot faggots fag fags kike kikes chink chinks spic spics gook gooks wetback "
    "wetbacks tranny trannies retard retards retarded raghead ragheads towelhead towelheads coon coons dyke dykes "
    "beaner beaners paki pakis subhuman subhumans untermensch kanake".split()
)
_HARSH = frozenset(
    "cunt cunts motherfucker motherfuckers cocksucker whore whores slut sluts bitch bitches asshole assholes bastard "
    "bastards scumbag scumbags dickhead dickheads twat wanker wankers arschloch hurensohn wichser fotze missgeburt "
    "connard connasse salope enculé putain puta puto cabrón gilipollas pendejo hijoputa".split()
)
_RUDE = frozenset(
    "idiot idiots moron morons imbecile stupid dumb dumbass loser losers pathetic worthless scum trash vermin "
    "disgusting filthy ugly freak freaks creep jerk pig pigs useless ignorant clown shithead dipshit trottel "
    "vollidiot dummkopf crétin débile imbécil estúpido".split()
)
_SWEARING = frozenset(
    "fuck fucking fucked fucker fuckers shit shitty bullshit crap damn goddamn piss pissed dick cock prick pussy "
    "arse ass hell bloody bollocks wtf stfu gtfo scheiße scheiss scheisse merde mierda joder cazzo".split()
)

_ADDRESSED = re.compile(
    r"\b(?:you(?:'re|’re| are|r| were| all are)?|u r|ur|du bist|ihr seid|tu es|eres)(?: \w+){0,4} "
    r"(?:idiots?|morons?|imbecile|stupid|dumb(?:ass)?|losers?|pathetic|worthless|scum|trash|vermin|disgusting|filthy|"
    r"ugly|freaks?|creeps?|jerks?|pigs?|useless|ignorant|garbage|retarded|waste of [\w ]{2,20}|nothing but|nobody|"
    r"dumm|blöd|hässlich|débile|estúpid[oa])\b",
    re.IGNORECASE,
)
_THREATS = re.compile(
    r"\b(?:kill|hang|shoot|drown|cut) (?:yourself|urself|yourselves)\b|\bkys\b|"
    r"\b(?:go|just|please|should|hope you(?: all)?)(?: \w+)? die\b|\bdrop dead\b|"
    r"\bi(?:'ll|’ll| will|'m going to|’m going to| am going to| want to)(?: \w+)? (?:kill|murder|rape|beat|stab|hurt|strangle|"
    r"shoot|destroy) (?:you|him|her|them|all)\b|"
    r"\b(?:you|they|he|she|we)(?: \w+)? (?:deserve|deserves|ought|need|should)(?: all)? (?:to (?:die|be (?:killed|shot|"
    r"raped|gassed|exterminated|beaten|hanged))|be (?:killed|shot|raped|gassed|exterminated|hanged))\b|"
    r"\b(?:nobody|no one|no-one) (?:loves|likes|would miss|wants|cares about) you\b|"
    r"\b(?:world|everyone|we) (?:would|will|'d) be better (?:off )?without you\b|"
    r"\b(?:i|we) (?:fucking )?(?:hate|despise|loathe) (?:you|all (?:of )?(?:you|those|these|them)|(?:the )?(?:jews?|muslims?|"
    r"blacks?|gays?|whites?|immigrants?|women|men|christians?|asians?|arabs?|mexicans?))\b|"
    r"\b(?:shut (?:the (?:fuck|hell) )?up|fuck (?:you|off|u)|go to hell|screw you|eat shit|bring dich um|halt die fresse|"
    r"verpiss dich|ta gueule|nique ta|vete a la mierda)\b",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"\b(?:all|these|those|the|every|most) (?:\w+ )?(?:jews?|muslims?|blacks?|gays?|lesbians?|immigrants?|refugees|women|"
    r"christians?|asians?|arabs?|mexicans?|gypsies|foreigners|disabled people|black people|white people|gay people)"
    r"(?: \w+){0,2} (?:are|is|should|must|deserve|need|belong|ought)(?: \w+){0,4} (?:animals?|vermin|criminals?|rats|cockroaches|"
    r"inferior|stupid|filthy|disgusting|evil|die|killed|deported|exterminated|gassed|scum|trash|parasites?|subhuman|lazy|"
    r"terrorists?|rapists?|in the kitchen)\b",
    re.IGNORECASE,
)

_WORD = re.compile(r"[^\W\d_]+")
_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)
_MASKED = re.compile(r"\b\w*[@$\d*]\w+")

# Characters looked at; a longer text is judged by its beginning and its end.
_HALF = 50_000


class LexiconToxicity:
    """Scores by word lists and patterns: a :class:`~allie_desktop.domain.ports.ToxicityScorer`.

    Pure and thread-safe; linear in the text's length.
    """

    def score(self, text: str) -> float:
        """Return a number in [0, 1]; 0.5 and above is hostile, plain swearing stays below."""
        if len(text) > 2 * _HALF:
            text = text[:_HALF] + "\n" + text[-_HALF:]
        lowered = text.lower()
        words = _WORD.findall(lowered)
        masked = (
            {match.translate(_LEET) for match in _MASKED.findall(lowered)} if _has_masks(lowered) else set()
        )
        present = set(words) | masked
        calm = 1.0
        if present & _SLURS:
            calm *= 0.25
        harsh = len(present & _HARSH)
        rude = len(present & _RUDE)
        swearing = present & _SWEARING
        calm *= 0.6 ** min(harsh, 3)
        calm *= 0.93 ** min(rude, 5)
        calm *= (0.9 if len(words) > 3 else 0.75) ** min(len(swearing), 4)
        if rude and _ADDRESSED.search(lowered):
            calm *= 0.45
        if (present & _SIGNALS) and _THREATS.search(lowered):
            calm *= 0.2
        if (present & _GROUPS) and _GROUP.search(lowered):
            calm *= 0.3
        return 1.0 - calm


# Any pattern of threats needs one of these words; without them the costly search is skipped.
_SIGNALS = frozenset(
    "kill hang shoot drown cut kys die dead murder rape beat stab hurt strangle destroy deserve deserves ought need should "
    "nobody one loves better hate despise loathe shut fuck go screw eat bring halt verpiss gueule nique vete hell".split()
)
_GROUPS = frozenset(
    "jew jews muslim muslims black blacks gay gays lesbian lesbians immigrant immigrants refugees women christian "
    "christians asian asians arab arabs mexican mexicans gypsies foreigners people".split()
)


def _has_masks(text: str) -> bool:
    return "@" in text or "$" in text or "*" in text or any(digit in text for digit in "013457")

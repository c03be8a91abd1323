"""A light topic label, so that no subject crowds out the others. No model: word lists and a hash."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

from allie_desktop.domain.conversation import Conversation, Role
from allie_desktop.domain.signs import FUNCTION_WORDS

#: Labels for conversations that fit no list are "other-0" … "other-F", by their most telling word.
OTHER_BUCKETS = 16

_TOPIC_WORDS = {
    "animals": "dog dogs cat cats puppy kitten pet pets horse horses bird birds fish rabbit hamster vet animal animals",
    "arts": "paint painting draw drawing art artist museum craft knit knitting sew pottery photo photography sculpture",
    "books": "book books novel novels author read reading library poem poetry chapter story stories fantasy writer",
    "code": "code python javascript java function bug error compile git api database sql server script html css json "
    "variable class loop array regex docker linux terminal algorithm programming software",
    "family": "mother father mom mum dad sister brother wife husband son daughter kids children family parents "
    "grandmother grandfather baby married wedding cousin aunt uncle twins",
    "film": "movie movies film films actor actress tv series netflix cinema episode director horror comedy watch show",
    "food": "food cook cooking recipe bake baking pizza pasta cake cookies coffee tea dinner lunch breakfast restaurant "
    "meal vegetarian vegan cheese chicken chocolate eat eating drink wine beer kitchen chef",
    "games": "game games gaming xbox playstation nintendo minecraft fortnite chess zelda pokemon player console board",
    "health": "doctor hospital pain sick medicine allergy allergic diet sleep weight disease health nurse therapy "
    "anxiety depression symptom symptoms surgery vitamin",
    "home": "house apartment flat rent garden gardening furniture kitchen room moving plants clean cleaning neighbour "
    "neighbor mortgage repair",
    "language": "translate translation grammar english german french spanish italian sentence word words spelling "
    "language vocabulary synonym pronounce",
    "maths": "number equation calculate sum solve algebra geometry probability integral percent fraction theorem maths math",
    "money": "money bank invoice tax taxes budget invest investment stock stocks price loan insurance salary cost pay",
    "music": "music song songs band guitar piano sing singing concert album drums violin listen artist rapper jazz",
    "school": "school student study studying teacher exam homework university college class degree essay professor learn",
    "science": "science planet energy physics chemistry biology cell species atom gravity evolution experiment space star "
    "earth water temperature",
    "sports": "sport sports football soccer basketball tennis run running gym swim swimming hike hiking bike ski yoga "
    "team fitness workout climbing baseball hockey marathon",
    "technology": "computer phone laptop wifi internet app printer windows android iphone email website password robot "
    "device update install",
    "travel": "travel trip flight hotel holiday vacation country city beach visit tourist passport train airport abroad "
    "mountains europe paris london island",
    "work": "work job boss office company meeting colleague career interview business manager project deadline employee "
    "engineer lawyer resume client",
    "writing": "write letter story article blog rewrite summarize summarise draft paragraph headline",
}
_LABELS: dict[str, tuple[str, ...]] = {}
for _label, _words in _TOPIC_WORDS.items():
    for _word in _words.split():
        _LABELS[_word] = (*_LABELS.get(_word, ()), _label)

_WORD = re.compile(r"[^\W\d_]{3,}")

# Characters of a conversation that are looked at.
_LOOKED_AT = 6_000


def topic_of(conversation: Conversation) -> str:
    """Return a short label ("food", "code", "other-3"); the same content always gets the same one.

    Title and the person's own turns count double: they say what it is about.
    """
    counts: Counter[str] = Counter()
    room = _LOOKED_AT
    for text, weight in _texts(conversation):
        for word in _WORD.findall(text[:room].lower()):
            counts[word] += weight
        room -= len(text)
        if room <= 0:
            break
    scores: Counter[str] = Counter()
    for word, count in counts.items():
        for label in _LABELS.get(word, ()):
            scores[label] += min(count, 6) + 2
    if scores:
        return min(scores, key=lambda label: (-scores[label], label))
    telling = [word for word in counts if word not in FUNCTION_WORDS]
    if not telling:
        return "other"
    word = min(telling, key=lambda word: (-counts[word], -len(word), word))
    return f"other-{int(hashlib.sha256(word.encode()).hexdigest(), 16) % OTHER_BUCKETS:X}"


def _texts(conversation: Conversation) -> list[tuple[str, int]]:
    title = [(conversation.title, 2)] if conversation.title else []
    asked = [(turn.content, 2) for turn in conversation.turns if turn.role is Role.USER]
    told = [(turn.content, 1) for turn in conversation.turns if turn.role is Role.ASSISTANT]
    return title + asked + told

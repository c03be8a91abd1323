"""How good a conversation is as learning material: a score from 0 to 1 with named components."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.signs import asks_again, complains


class TargetOrigin(str, Enum):
    """Why a text is worth learning, from the strongest to the weakest reason."""

    EDIT = "edit"  # the person rewrote the reply
    CORRECTION = "correction"  # the person corrected it in the next turn
    APPROVED = "approved"  # thumbs up
    IMPORTED = "imported"  # a stronger assistant wrote it
    OWN = "own"  # Allie's own reply, not rated


#: Origins that teach something the person said on purpose. They always train: a correction that was
#: drawn into a hold-out would never be learnt, and the person would have to repeat it. They are
#: validated on phrasings of the question that are never trained instead.
TAUGHT_ORIGINS = frozenset({TargetOrigin.EDIT, TargetOrigin.CORRECTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningTarget:
    """The text that one assistant turn should have had.

    ``turn_index`` counts the conversation's turns from 0. ``weight`` in (0, 1] scales the loss.
    ``rejected`` is the worse answer of a preference pair, where there is one.
    """

    turn_index: int
    text: str
    origin: TargetOrigin
    weight: float
    rejected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A score in [0, 1], the components it was made of (each in [0, 1]) and sentences that explain it."""

    score: float
    components: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    eligible: bool = True


#: Below this score a conversation is not learnt from.
FLOOR = 0.5

#: What a conversation is worth before anything speaks against it, by its strongest target: from the
#: least to the most informative text.
_ANCHORS: Mapping[TargetOrigin, tuple[float, float]] = {
    TargetOrigin.EDIT: (0.95, 1.0),
    TargetOrigin.CORRECTION: (0.94, 0.99),
    TargetOrigin.APPROVED: (0.90, 0.97),
    TargetOrigin.IMPORTED: (0.78, 0.90),
    TargetOrigin.OWN: (0.52, 0.66),
}

#: What is noted with a turn that replaced others: how many, the last one's text, and why a reply ended where
#: it did not end by itself; and with every reply that Allie wrote, its response id.
REGENERATED, REPLACED, FINISH, RESPONSE = "regenerated", "replaced", "finish", "response_id"

_MOST_REGENERATED = 3

# Characters of one text that are looked at; quality does not hide behind them.
_LOOKED_AT = 20_000

_LETTER_RUN = re.compile(r"(.)\1{11,}", re.DOTALL)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNFINISHED = re.compile(
    r"(?:[,;:–—-]|\b(?:the|a|an|and|or|but|of|to|in|on|with|for|that|which|because|is|are|was|my|your|their|its))\s*\Z",
    re.IGNORECASE,
)
_ENDINGS = frozenset(".!?\"')]}…。！？”»*`")
_ERROR_TEXT = re.compile(
    r"\W*(?:null|undefined|none|n/?a|nan|\[object object\]|error|(?:an? )?(?:network |internal |unknown )?error(?: has)? "
    r"occurred.*|something went wrong.*|(?:request )?timed? ?out.*|loading\W*|\[?(?:deleted|removed|redacted)\]?)\W*",
    re.IGNORECASE | re.DOTALL,
)
_DODGING = re.compile(
    r"\b(?:as an? (?:ai|artificial)|i(?:'m|’m| am) (?:just |only )?an? (?:ai|language model)|"
    r"i(?:'m|’m| am) (?:sorry|unable)[,.]? (?:but )?(?:i )?(?:can't|can’t|cannot|to (?:assist|help|provide|access))|"
    r"i (?:can't|can’t|cannot) (?:assist|help|provide|access|answer)|i don't have (?:access|information))",
    re.IGNORECASE,
)
# The search above is dear; one of these must be there.
_DODGING_SIGNS = (
    " ai",
    "artificial",
    "language model",
    "sorry",
    "unable",
    "can't",
    "can’t",
    "cannot",
    "don't have",
)
_REPLACEMENT = "�"


def assess(
    conversation: Conversation, targets: tuple[LearningTarget, ...], toxicity: Callable[[str], float]
) -> Quality:
    """Return how good a conversation is to learn from; pure apart from what ``toxicity`` does.

    ``toxicity`` maps a text to [0, 1], 1 being the most hostile. Every component lies in [0, 1], and 1
    is good:

    - ``explicit_feedback``: what ratings say; 0.5 where there are none.
    - ``edits``: 1 where the person rewrote or corrected a reply, else 0.
    - ``implicit_signs``: 1 less a share for each complaint, rephrased question, regenerated reply and
      for an unanswered last turn (the person gave up).
    - ``degeneracy``: the mean over the texts to learn of: not repetitive, not cut off, not empty.
    - ``information``: how much the texts to learn say, in different words.
    - ``language``: are they readable words, in the script of the questions.
    - ``toxicity``: 1 less the most hostile text to learn.

    The score starts from an anchor for the strongest target (edit 0.95, correction 0.94, approved 0.90,
    imported 0.78, own 0.52), rises with ``information`` and ``language`` by up to 0.14, and is then
    multiplied down by what speaks against it. Imported chats of ordinary quality end up between 0.82 and
    0.9, unrated own ones near 0.6, and below :data:`FLOOR` nothing is eligible.
    """
    if not targets:
        return _nothing_to_learn(conversation)
    texts = [target.text[:_LOOKED_AT] for target in targets]
    words = [_WORD.findall(text.lower()) for text in texts]
    taught = any(target.origin in TAUGHT_ORIGINS for target in targets)
    feedback, bad = _feedback(conversation)
    signs, sign_reasons = _implicit_signs(conversation)
    forms = [
        _form(text, said, target.origin) for text, said, target in zip(texts, words, targets, strict=True)
    ]
    form = sum(value for value, _ in forms) / len(forms)
    information = _information(texts, words)
    language = _language(conversation, texts)
    hostile = _toxicity(targets, texts, toxicity)
    components = {
        "explicit_feedback": feedback,
        "edits": 1.0 if taught else 0.0,
        "implicit_signs": signs,
        "degeneracy": form,
        "information": information,
        "language": language,
        "toxicity": 1.0 - hostile,
    }
    strongest = min((target.origin for target in targets), key=tuple(_ANCHORS).index)
    low, high = _ANCHORS[strongest]
    score = low + (high - low) * (0.7 * information + 0.3 * language)
    # What was taught on purpose outweighs doubts about the rest of the talk.
    doubt = 0.05 if taught else 0.6
    score *= 1.0 - doubt * (1.0 - signs)
    if bad:
        score *= 1.0 - (0.04 if taught else 0.3) * bad
    reasons = [_ORIGIN_WORDS[strongest], *sign_reasons]
    if bad:
        reasons.append("Some of its replies were marked as bad.")
    score, found = _gates(
        score, form, language, hostile, information, [why for _, why in forms if why], strongest
    )
    score = round(min(max(score, 0.0), 1.0), 4)
    return Quality(
        score=score,
        components={name: round(value, 4) for name, value in components.items()},
        reasons=tuple(dict.fromkeys(reasons + found)),
        eligible=score >= FLOOR,
    )


_ORIGIN_WORDS: Mapping[TargetOrigin, str] = {
    TargetOrigin.EDIT: "You rewrote a reply.",
    TargetOrigin.CORRECTION: "You corrected a reply.",
    TargetOrigin.APPROVED: "You marked a reply as good.",
    TargetOrigin.IMPORTED: "It was imported from another assistant.",
    TargetOrigin.OWN: "Allie wrote the replies and nobody rated them.",
}


def _nothing_to_learn(conversation: Conversation) -> Quality:
    replies = [turn for turn in conversation.turns if turn.role is Role.ASSISTANT]
    if not replies:
        reason = "It has no reply to learn from."
    elif any(turn.rating == -1 for turn in replies):
        reason = "Its replies were marked as bad."
    elif not any(turn.content.strip() for turn in replies):
        reason = "Its replies are empty."
    else:
        reason = "Its replies were doubted and not corrected."
    return Quality(score=0.0, components={}, reasons=(reason,), eligible=False)


def _feedback(conversation: Conversation) -> tuple[float, float]:
    """Return the component, and the share of the rated replies that are rated as bad."""
    ratings = [turn.rating for turn in conversation.turns if turn.rating is not None]
    if not ratings:
        return 0.5, 0.0
    bad = sum(rating < 0 for rating in ratings) / len(ratings)
    return 1.0 - bad, bad


def _implicit_signs(conversation: Conversation) -> tuple[float, list[str]]:
    complaints = rephrased = regenerated = 0
    before: str | None = None
    previous: Turn | None = None
    for turn in conversation.turns:
        if turn.role is Role.USER:
            if previous is not None and previous.role is Role.ASSISTANT:
                complaints += complains(turn.content)
                rephrased += before is not None and asks_again(turn.content, before)
            before = turn.content
        elif turn.role is Role.ASSISTANT and previous is not None:
            regenerated += previous.role is Role.ASSISTANT
            regenerated += _times_regenerated(turn)
        previous = turn
    replies = max(sum(turn.role is Role.ASSISTANT for turn in conversation.turns), 1)
    abandoned = (
        complaints > 0 and previous is not None and previous.role is Role.USER and complains(previous.content)
    )
    lost = (complaints + 0.7 * rephrased + 0.5 * regenerated) / replies + 0.2 * abandoned
    reasons = [
        sentence
        for count, sentence in (
            (complaints, "You complained about a reply."),
            (rephrased, "You had to ask again."),
            (regenerated, "A reply was generated again."),
            (abandoned, "You gave up on it."),
        )
        if count
    ]
    return max(1.0 - lost, 0.0), reasons


def _times_regenerated(turn: Turn) -> int:
    """Return how often a reply was made anew, as recording noted it."""
    count = turn.extra.get(REGENERATED)
    return min(max(count, 0), _MOST_REGENERATED) if isinstance(count, int) else 0


def _form(text: str, words: list[str], origin: TargetOrigin) -> tuple[float, str]:
    """Return 1 for a well-formed text, less for a degenerate one with the reason."""
    stripped = text.strip()
    if not any(map(str.isalnum, stripped)):
        return 0.0, "A reply says nothing."
    if origin in TAUGHT_ORIGINS:
        return 1.0, ""  # the person wrote it so
    if len(words) <= 12 and _ERROR_TEXT.fullmatch(stripped):
        return 0.0, "A reply is an error message."
    if _LETTER_RUN.search(stripped) and not _LETTER_RUN.search(stripped.translate(_RULES)):
        return 0.9, ""  # a drawn line or a table
    if _LETTER_RUN.search(stripped.translate(_RULES)) or _repetition(words) > 0.5:
        return 0.1, "A reply repeats itself."
    if stripped.count("```") % 2 or (
        len(words) >= 8 and stripped[-1] not in _ENDINGS and _UNFINISHED.search(stripped[-40:])
    ):
        return 0.5, "A reply is cut off."
    return 1.0, ""


# Characters that people repeat to draw lines and tables.
_RULES = dict.fromkeys(map(ord, "-=_*#~. \t\n|+─═"), None)


def _repetition(words: list[str]) -> float:
    """Return the share of 3-grams that were there before."""
    if len(words) < 15:
        return 0.0
    grams = set(zip(words, words[1:], words[2:], strict=False))
    return 1.0 - len(grams) / (len(words) - 2)


def _information(texts: list[str], words: list[list[str]]) -> float:
    """Rise from 0 for a nod to 1 for some 80 different words over all the texts to learn."""
    different = {word for said in words for word in said if len(word) > 3}
    # Scripts without spaces: count their letters.
    letters = 0 if different else len({letter for text in texts for letter in text if letter.isalnum()})
    amount = min((len(different) + letters / 2) / 80, 1.0)
    dodging = sum(len(text) < 400 and _dodges(text) for text in texts) / len(texts)
    return float(amount**0.5) * (1.0 - 0.7 * dodging)


def _dodges(text: str) -> bool:
    lowered = text.lower()
    return any(sign in lowered for sign in _DODGING_SIGNS) and _DODGING.search(text) is not None


def _language(conversation: Conversation, texts: list[str]) -> float:
    sample = "".join(" ".join(texts)[:4_000].split())
    visible = max(len(sample), 1)
    readable = len(sample.translate(_PUNCTUATION)) / visible
    broken = sample.count(_REPLACEMENT) / visible
    value = min(readable / 0.6, 1.0) * max(1.0 - 20 * broken, 0.0)
    asked = " ".join(turn.content[:400] for turn in conversation.turns if turn.role is Role.USER)[:2_000]
    if _mostly_latin(asked) != _mostly_latin(sample) and asked.strip() and "```" not in sample:
        value *= 0.8
    return value


# Signs of ASCII and a few beyond; whatever else is neither letter nor digit counts as readable.
_PUNCTUATION = dict.fromkeys(map(ord, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~…–—·•§" + _REPLACEMENT), None)


def _mostly_latin(text: str) -> bool:
    if text.isascii():
        return True
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter < "ɐ" for letter in letters) * 2 >= len(letters)


def _toxicity(
    targets: tuple[LearningTarget, ...], texts: list[str], toxicity: Callable[[str], float]
) -> float:
    """Return how hostile the worst text to learn is; asks once for all when there is nothing to find."""
    together = toxicity("\n".join(texts))
    if together < 0.3:
        return together
    worst = 0.0
    for target, text in zip(targets, texts, strict=True):
        hostile = toxicity(text)
        if target.origin in TAUGHT_ORIGINS and hostile < 0.9:
            hostile /= 2  # people may swear in what they teach on purpose; only open hostility counts
        worst = max(worst, hostile)
    return worst


def _gates(
    score: float,
    form: float,
    language: float,
    hostile: float,
    information: float,
    why: list[str],
    origin: TargetOrigin,
) -> tuple[float, list[str]]:
    reasons: list[str] = []
    if form < 0.95:
        score *= form**0.8
        reasons.extend(dict.fromkeys(why))
    if language < 0.6:
        score *= 0.4 + language
        reasons.append("It is hardly readable as text.")
    if hostile >= 0.5:
        score = min(score, 0.3 * (1.0 - hostile) + 0.2)
        reasons.append("A reply is hostile or offensive.")
    if information < 0.12 and origin is TargetOrigin.OWN:
        score = min(score, 0.4)
        reasons.append("Its replies say next to nothing.")
    return score, reasons

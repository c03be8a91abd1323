"""Texts that a person hardly writes: real phrases in no order, or one piece repeated beyond reason."""

from __future__ import annotations

from random import Random

from tests.fuzz.mutations import any_text

#: Pieces that the rules for English, secrets and feedback look for, and pieces that nearly are.
FRAGMENTS = (
    "What is my sister's name? Where do I live? Who is it? Isn't it? How old am I? When was she born? Which car "
    "do I drive? Do I have a dog? Can you tell me whether it rains? What's the name of the cat's owner's friend? "
    "No, that is wrong. Actually, it's Ada. That's not what I asked. Wrong! I meant Berlin, not Bern. Thanks! "
    "I'm sorry, I can't help with that. As an AI language model, I apologize for the confusion. You're right: "
    "my password is hunter2 and the api key: sk-proj-0123456789abcdefghij. Call +49 170 1234567 or (555) 010-9999. "
    "mail me at ada.lovelace@example.org, card 4111 1111 1111 1111, IBAN DE89 3704 0044 0532 0130 00, "
    "ssn 123-45-6789 token=ghp_0123456789abcdefghijABCDEFGHIJ012345 https://a:b@example.org/x?y=z#t AKIAIOSFODNN7EXAMPLE "
    "-----BEGIN RSA PRIVATE KEY----- MIIEow -----END RSA PRIVATE KEY----- eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl "
    "the recovery phrase is abandon ability able about above absent absorb abstract [REDACTED] [E-MAIL 1] "
    '``` ```python def f(): pass ``` * - > 1. | a | b | # ## <think> </think> <details type="reasoning"> '
    "\\n \\t \\\\ // '' \"\" ’ ‘ “ ” … — – ?! ??? !!! ... ,,, ;;; ::: ((( ))) [[[ ]]] 0 00 000 1234567890 @ @@ a@b "
    "f*ck sh!t d@mn kill hate stupid idiot 日本語 привет مرحبا 🦊 ﬃ İ ı ß ſ \u0301 \u200b \u202e \x00 \x1b \ud800"
).split()


def mad_english(random: Random, *, longest: int) -> str:
    """Return a text out of real phrases, of words in no order, or of one piece repeated beyond reason."""
    match random.randrange(6):
        case 0:
            start = random.randrange(len(FRAGMENTS))
            text = " ".join(FRAGMENTS[start : start + random.randint(1, 40)])
        case 1:
            text = " ".join(random.choices(FRAGMENTS, k=random.randint(1, 60)))
        case 2:
            # What makes a rule go back and forth: one piece many times, then something that does not fit.
            piece = random.choice(("", " ")).join(random.choices(FRAGMENTS, k=random.randint(1, 3)))
            piece += random.choice(("", " ", ", ", "\n", "'s "))
            most = min(longest, 10 ** random.randint(1, len(str(longest)) - 1)) // max(len(piece), 1)
            text = piece * random.randint(1, max(most, 1)) + random.choice(("", "!", "?", "\x00", "$", "x"))
        case 3:
            letter = random.choice(" \n\ta1.,-_@'\"()[]{}<>|*#`~=+/\\:;?!\u0301🦊0é\u200b")
            most = min(longest, 10 ** random.randint(1, len(str(longest)) - 1))
            text = letter * random.randint(1, most) + random.choice(("", "a", "@", "-", " ", "\x00"))
        case 4:
            text = any_text(random, min(longest, 400))
        case _:
            letters = random.choice(("0123456789 -", "abcABC0123_-/+=", "a'. ", "ab@.", "?!. a", "(- )+0123"))
            text = "".join(random.choices(letters, k=random.randint(1, min(longest, 3000))))
    if random.random() < 0.3:
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(FRAGMENTS) + text[at:]
    return text[:longest]

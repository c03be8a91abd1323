"""Find keys, tokens and passwords: by the formats of those who issue them, by the words around them, and
by their randomness.

The formats of many issuers come from detect-secrets; those that it lacks or knows in an older form are
here. Its keyword and entropy detectors are not used: they are made for source code and take ordinary
sentences for secrets. Every finder yields ``(start, end)`` spans in time linear in the text's length.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

Span = tuple[int, int]

_FORMATS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA|ANVA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|gl(?:pat|dt|ft|soat|rt|cbt|ptt|imt|agent|oas)-[A-Za-z0-9_-]{20,255}"
    r"|(?:sk|rk|pk|whsec)[-_][A-Za-z0-9_-]{20,255}"  # OpenAI, Anthropic, Stripe and many others
    r"|xox[abeoprsc](?:\.xox[abeoprsc])?-[A-Za-z0-9-]{10,255}|xapp-[A-Za-z0-9-]{20,255}"
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,255}|GOCSPX-[A-Za-z0-9_-]{20,40}|1//0[A-Za-z0-9_-]{20,255}"
    r"|SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|key-[0-9a-f]{32}"
    r"|(?:AC|SK)[0-9a-f]{32}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,1000}|hf_[A-Za-z0-9]{30,40}"
    r"|dop_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|EAA[A-Za-z0-9]{60,255}"
    r"|glsa_[A-Za-z0-9_]{32,64}|PMAK-[0-9a-f-]{50,70}|lin_api_[A-Za-z0-9]{32,64}|secret_[A-Za-z0-9]{40,64}"
    r"|ntn_[A-Za-z0-9]{40,60}|figd_[A-Za-z0-9_-]{36,64}|AGE-SECRET-KEY-1[0-9A-Z]{58}|r8_[A-Za-z0-9]{36,40}"
    r"|\d{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])|[0-9a-f]{32}-us\d{1,2}(?!\w)"
    r"|[MNO][A-Za-z\d_-]{23,27}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,40}"
    r")"
)
_JWT = re.compile(r"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?")
_HOOK = re.compile(
    r"https://hooks\.slack\.com/(?:services|workflows)/([\w/]{16,200})|/api/webhooks/(\d{15,20}/[\w-]{30,100})"
)
_URL_PASSWORD = re.compile(r"://[^\s/:@]{0,128}:([^\s/@]{1,256})@")
_HEADER = re.compile(
    r"\b(?:bearer|basic|authorization:)[ \t]{1,4}([A-Za-z0-9+/=._~-]{16,4000})", re.IGNORECASE
)
_AZURE = re.compile(r"(?:AccountKey|SharedAccessKey|sig)=([A-Za-z0-9+/%]{32,128}={0,2})")

_BLOCK_START = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
_BLOCK_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|Private-MAC:[^\n]*")
# Without an end: the encoded lines that follow.
_BLOCK_LINES = re.compile(r"(?:[\r\n ]*[A-Za-z0-9+/=:,-]{20,})*")

_KEYWORD = re.compile(
    r"(?P<word>pass(?:word|wd|phrase|code|wort)?s?|pwd|pw|kennwort|contraseña|mot de passe|"
    r"(?:api|access|secret|private|encryption|signing|license|licence|recovery|account|auth|app)[_ -]?(?:key|token|secret|code)s?|"
    r"client[_ -]?secret|secret|token|credentials?|apikey|pin(?:[ -]?(?:code|number))?|"
    r"(?:door|gate|alarm|security|entry|verification|unlock|garage|safe|lock|voicemail) (?:code|combination)|wi-?fi key)"
    r"(?P<quote>[\"']?\]?)[ \t]{0,4}"
    r"(?P<link>:=|=>|==|[:=]|(?:for [\w .'-]{1,40} )?(?:is|was|ist|est|es)(?: now| still| currently)?(?::| =)?(?=[ \t]))[ \t]{0,4}"
    r"(?:(?P<mark>[\"'`«“])(?P<quoted>[^\"'`»”\n]{3,200})[\"'`»”]|(?P<value>[^\s\"'`,;<>]{3,400}))",
    re.IGNORECASE,
)
# The search above is dear; one of these must be there.
_KEYWORD_SIGNS = (
    "pass", "pwd", "pw", "kennwort", "contraseña", "mot de", "key", "secret", "token", "credential", "pin", "code", "combination",
)  # fmt: skip
_NO_SECRETS = frozenset(
    "required invalid wrong correct incorrect missing empty none null nil true false undefined optional expired weak strong "
    "secure safe unsafe changed needed working not the a an my your his her our their that this it too very so set reset "
    "hidden sent stored saved encrypted hashed protected used valid case important different same longer shorter what how why "
    "when where who which string str int integer bool boolean bytes text varchar char any optional[str] unknown example "
    "password passwords secret token username user admin? n/a na todo tbd hard easy simple good bad in on at to for from with "
    "and or but if as by about always never being been just only also now then here there based something nothing everything "
    "forgotten lost incorrect. compromised known public private default blank mandatory visible unique shared stuck broken".split()
)
_PLACEHOLDER = re.compile(
    r"[\[<{(*#$%_.•-]+[\w .-]*[\]>})*]*|(?:your|my|the|some|example|sample|test|dummy|fake)[_ -].*|\*+|x{3,}|\.{3,}|change[-_]?me",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"[A-Za-z_][\w.]*(?:\(|\[)|(?:self|this|os|process|config|settings|request|args|env|data|user)\.\w|\$\{|\{\{|<%|%s"
)

# A token that may be random: letters, digits and the signs of base64.
_TOKEN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,}={0,2}(?![A-Za-z0-9])")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")
_NEAR_HEX = re.compile(
    r"\b(?:key|token|secret|password|passwd|auth|bearer|credential|api|apikey|hmac|salt)\b", re.IGNORECASE
)


class _Plugin(Protocol):
    def analyze_string(self, string: str) -> Iterator[str]: ...


@functools.cache
def _library_plugins() -> tuple[_Plugin, ...]:
    """Load detect-secrets on first use (a tenth of a second).

    Left out: npm, OpenAI, JWT and basic auth (quadratic on hostile lines, done here), private key (finds the header
    only), Artifactory, IP, keyword and entropy (too many ordinary words).
    """
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        cloudant,
        discord,
        github_token,
        gitlab_token,
        ibm_cloud_iam,
        ibm_cos_hmac,
        mailchimp,
        pypi_token,
        sendgrid,
        slack,
        softlayer,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    return (
        aws.AWSKeyDetector(), azure_storage_key.AzureStorageKeyDetector(), cloudant.CloudantDetector(),
        discord.DiscordBotTokenDetector(), github_token.GitHubTokenDetector(), gitlab_token.GitLabTokenDetector(),
        ibm_cloud_iam.IbmCloudIamDetector(), ibm_cos_hmac.IbmCosHmacDetector(), mailchimp.MailchimpDetector(),
        pypi_token.PypiTokenDetector(), sendgrid.SendGridDetector(),
        slack.SlackDetector(), softlayer.SoftlayerDetector(), square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(), telegram_token.TelegramBotTokenDetector(), twilio.TwilioKeyDetector(),
    )  # fmt: skip


_LONG_TOKEN = re.compile(r"[^\s]{20}")
# What the library sees at once: keeps its backtracking and the search for its finds short.
_WINDOW = 2_048
_OVERLAP = 256


def find_secrets(text: str) -> Iterator[Span]:
    """Yield keys, tokens, passwords and private key blocks; spans may overlap."""
    yield from _blocks(text)
    yield from _said(text)
    if _LONG_TOKEN.search(text) is None and "://" not in text:
        return
    for pattern in (_FORMATS, _JWT):
        for match in pattern.finditer(text):
            yield match.span()
    for pattern in (_HOOK, _URL_PASSWORD, _HEADER, _AZURE):
        for match in pattern.finditer(text):
            yield match.span(match.lastindex or 0)
    yield from _random_tokens(text)
    yield from _known_to_library(text)


def _blocks(text: str) -> Iterator[Span]:
    place = 0
    while "PRIVATE" in text or "PuTTY" in text:
        start = _BLOCK_START.search(text, place)
        if start is None:
            return
        following = _BLOCK_START.search(text, start.end())
        limit = following.start() if following else len(text)
        end = _BLOCK_END.search(text, start.end(), limit)
        lines = _BLOCK_LINES.match(text, start.end(), limit)
        place = end.end() if end else (lines.end() if lines else start.end())
        yield start.start(), place


def _said(text: str) -> Iterator[Span]:
    """Passwords and codes that the words around them give away."""
    lowered = text.lower()
    if not any(sign in lowered for sign in _KEYWORD_SIGNS):
        return
    place = 0
    while (match := _KEYWORD.search(text, place)) is not None:
        place = match.end("link")
        before = text[match.start() - 1 : match.start()]
        if before.isalpha() and not match["word"][0].isupper():
            continue
        quoted = match["quoted"]
        group = "quoted" if quoted is not None else "value"
        value = match[group].rstrip(".!?)]}" if quoted is None else "")
        value = _NEXT_FIELD.split(value, maxsplit=1)[0]
        start, end = match.start(group), match.start(group) + len(value)
        if "phrase" in match["word"].lower() and quoted is None:
            end = _phrase_end(text, end)
        words = text[start:end].lower().split()
        several = len(words) >= 4 and not _IN_SENTENCES & set(words)
        if several or _is_said_secret(match["word"].lower(), match["link"], value, quoted=quoted is not None):
            if (
                not several
                and value.isalpha()
                and match["link"].strip().isalpha()
                and not _ENDS.match(text, end)
            ):
                continue  # "the password was specified but …"
            yield start, end
            place = max(place, end)


# Passphrases are made of nouns and the like; these words make a sentence.
_IN_SENTENCES = frozenset(
    "the a an to is are of for and in not you your by at on it that when if or be no with as so".split()
)
_NEXT_FIELD = re.compile(r"&\w{1,40}=")
_ENDS = re.compile(r"\s*(?:[.!?,;:)\n\"']|$|(?:and|und|et|y)\b)")


def _phrase_end(text: str, end: int) -> int:
    more = re.compile(r"(?:[ -][a-z]{2,12}){1,11}").match(text, end, end + 160)
    return more.end() if more else end


def _is_said_secret(word: str, link: str, value: str, *, quoted: bool) -> bool:
    lowered = value.lower()
    if (
        not value
        or value[0] in "(<"
        or lowered in _NO_SECRETS
        or _PLACEHOLDER.fullmatch(value)
        or _CODE.search(value)
    ):
        return False
    digits = sum(letter.isdigit() for letter in value)
    if word.startswith("pin") or "code" in word or "combination" in word:
        return digits >= 3 and digits * 2 >= len(value)
    signs = sum(not letter.isalnum() for letter in value)
    mixed = value != lowered and value[1:] != lowered[1:]
    telling = digits > 0 or (signs > 0 and not lowered.replace("-", "").replace("_", "").isalpha()) or mixed
    if word.startswith(("pass", "pwd", "pw", "kennwort", "contrase", "mot", "wi")):
        if len(value) < 4:
            return False
        if link.strip() in (":", "=", ":=", "=>") or quoted:
            return telling or len(value) >= 5
        return telling or (len(value) >= 9 and not lowered.endswith(("ed", "ing", "able", "ible", "ly")))
    # "token", "secret", "key" are everyday words: their value must look like one.
    return len(value) >= 8 and digits > 0 and (telling or len(value) >= 16)


def _random_tokens(text: str) -> Iterator[Span]:
    for match in _TOKEN.finditer(text):
        token = match[0].rstrip("=")
        if len(token) > 512 or token.lower().startswith(_FILE_HASHES):
            continue  # encoded data or a checksum, not a key
        if _HEX.match(token):
            near = text[max(0, match.start() - 40) : match.start()]
            if len(token) >= 32 and _NEAR_HEX.search(near):
                yield match.span()
        elif not _WORDS_IN_TOKEN.search(token) and _is_random(token):
            yield match.span()
        else:
            # A path: one of its parts may still be a key.
            for part in _PART.finditer(text, match.start(), match.end()):
                if not _HEX.match(part[0]) and not _WORDS_IN_TOKEN.search(part[0]) and _is_random(part[0]):
                    yield part.span()


_FILE_HASHES = ("sha256-", "sha384-", "sha512-", "sha1-")
_PART = re.compile(r"[^/]{20,}")
# A part that is a word: paths and names have them, keys hardly ever.
_WORDS_IN_TOKEN = re.compile(r"(?:^|(?<=[/_+-]))(?:[A-Z]?[a-z]{3,}|[A-Z]{3,})(?=[/_+-]|$)")


def _is_random(token: str) -> bool:
    """Whether letters of both cases and digits alternate as they never do in words and names."""
    kinds = [_kind(letter) for letter in token]
    counts = Counter(kinds)
    if counts["digit"] < 2 or counts["lower"] < 3 or counts["upper"] < 3:
        return False
    changes = sum(first != second for first, second in itertools.pairwise(kinds)) / (len(token) - 1)
    entropy = -sum(n / len(token) * math.log2(n / len(token)) for n in Counter(token).values())
    return changes >= 0.4 and entropy >= min(3.6, 0.8 * math.log2(len(token)))


def _kind(letter: str) -> str:
    if letter.isdigit():
        return "digit"
    if letter.islower():
        return "lower"
    return "upper" if letter.isupper() else "sign"


def _known_to_library(text: str) -> Iterator[Span]:
    for begin in range(0, len(text), _WINDOW - _OVERLAP):
        window = text[begin : begin + _WINDOW]
        if _LONG_TOKEN.search(window) is None:
            continue
        for plugin in _library_plugins():
            for secret in set(plugin.analyze_string(window)):
                place = window.find(secret) if secret else -1
                while place >= 0:
                    yield begin + place, begin + place + len(secret)
                    place = window.find(secret, place + len(secret))

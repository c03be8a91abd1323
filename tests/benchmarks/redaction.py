"""Measure redaction: recall on marked personal data, recall on made-up keys, false alarms, speed.

    python tests/benchmarks/redaction.py PII_JSON [PLAIN_TEXT …]

PII_JSON is a list of ``{"full_text", "spans": [{"entity_type", "entity_value", "start_position",
"end_position"}]}`` (the form of presidio-research). A PLAIN_TEXT is text or JSON Lines that should hold no
personal data: everything that is taken out of it is printed as a possible false alarm. Ends with 1 when less than
99 % of the secrets are found, or 95 % of mail addresses and telephone numbers.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import string
import sys
import time
from collections import Counter
from pathlib import Path

from allie_desktop.safety.redaction import TextRedactor

KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "secret",
}
#: The least recall of each kind.
LEAST = {"EMAIL_ADDRESS": 0.95, "PHONE_NUMBER": 0.95}
LEAST_OF_SECRETS = 0.99


def marked(path: Path, redactor: TextRedactor) -> bool:
    """Print recall by kind: a value counts as found when none of its text is left. Return whether it is enough."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    missed: list[str] = []
    false: list[str] = []
    for row in rows:
        text = row["full_text"]
        values = redactor.redacted_values(text)
        wanted = [span for span in row["spans"] if span["entity_type"] in KINDS]
        for span in wanted:
            kind = span["entity_type"]
            total[kind] += 1
            if any(span["entity_value"] in value for value in values):
                found[kind] += 1
            else:
                missed.append(f"{kind}: {span['entity_value']!r} in {text[:110]!r}")
        names = [span["entity_value"] for span in row["spans"]]
        false += [
            f"{value!r} in {text[:110]!r}"
            for value in values
            if not any(value in name or name in value for name in names)
        ]
    for kind in sorted(total):
        print(f"{kind:15} recall {found[kind] / total[kind]:.3f}  ({found[kind]} of {total[kind]})")
    print("missed:", *missed, sep="\n  ")
    print("taken out without a mark:", *false, sep="\n  ")
    return all(found[kind] >= LEAST.get(kind, LEAST_OF_SECRETS) * total[kind] for kind in total)


def _any_of(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def made_up_keys(rng: random.Random) -> dict[str, str]:
    """Return one well-formed key of each issuer."""
    letters = string.ascii_letters + string.digits
    upper, low = string.ascii_uppercase + string.digits, string.ascii_lowercase + string.digits
    hexa, url = "0123456789abcdef", letters + "-_"

    def encoded(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = "\n".join(_any_of(rng, letters + "+/", 64) for _ in range(8))
    return {
        "aws id": "AKIA" + _any_of(rng, upper, 16),
        "aws secret": _any_of(rng, letters + "/+", 40),
        "github": "ghp_" + _any_of(rng, letters, 36),
        "github fine": "github_pat_" + _any_of(rng, letters, 22) + "_" + _any_of(rng, letters, 59),
        "gitlab": "glpat-" + _any_of(rng, url, 20),
        "openai": "sk-" + _any_of(rng, letters, 20) + "T3BlbkFJ" + _any_of(rng, letters, 20),
        "openai project": "sk-proj-" + _any_of(rng, url, 90),
        "anthropic": "sk-ant-api03-" + _any_of(rng, url, 93) + "AA",
        "slack bot": f"xoxb-{_any_of(rng, string.digits, 11)}-{_any_of(rng, string.digits, 12)}-{_any_of(rng, letters, 24)}",
        "slack app": f"xapp-1-{_any_of(rng, upper, 11)}-{_any_of(rng, string.digits, 13)}-{_any_of(rng, hexa, 64)}",
        "google": "AIza" + _any_of(rng, url, 35),
        "google oauth": "ya29." + _any_of(rng, url, 60),
        "stripe live": "sk_live_" + _any_of(rng, letters, 24),
        "stripe test": "rk_test_" + _any_of(rng, letters, 99),
        "sendgrid": f"SG.{_any_of(rng, url, 22)}.{_any_of(rng, url, 43)}",
        "twilio": "SK" + _any_of(rng, hexa, 32),
        "npm": "npm_" + _any_of(rng, letters, 36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + _any_of(rng, url, 120),
        "hugging face": "hf_" + _any_of(rng, string.ascii_letters, 34),
        "telegram": f"{_any_of(rng, '123456789', 10)}:{_any_of(rng, url, 35)}",
        "mailchimp": _any_of(rng, hexa, 32) + "-us14",
        "discord": f"M{_any_of(rng, letters, 23)}.{_any_of(rng, letters, 6)}.{_any_of(rng, url, 27)}",
        "azure": "AccountKey=" + _any_of(rng, letters + "+/", 86) + "==",
        "jwt": f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded({'sub': _any_of(rng, low, 9)})}.{_any_of(rng, url, 43)}",
        "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----",
        "url password": f"postgres://me:{_any_of(rng, letters, 10)}@db.example.org/x",
        "bearer": "Authorization: Bearer " + _any_of(rng, url, 40),
        "password is": "my password is " + _any_of(rng, letters, 9) + "7!",
        "password colon": "password: " + _any_of(rng, letters, 12),
        "hex api key": "api_key=" + _any_of(rng, hexa, 40),
    }


TEMPLATES = (
    "{}",
    "My key is {} so please use it.",
    'key = "{}"',
    "export TOKEN={}\nthen run",
    "(see {})",
    "Here: {}.",
)


def keys(redactor: TextRedactor, rounds: int) -> bool:
    """Print recall on made-up keys inside sentences; a key is found when no 12 letters of it are left. Return
    whether it is enough."""
    rng = random.Random(1)
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for _ in range(rounds):
        for name, key in made_up_keys(rng).items():
            text = rng.choice(TEMPLATES).format(key)
            cleaned, _ = redactor.redact(text)
            secret = key if name == "private key" else key.rsplit(" ", 1)[-1]
            secret = secret.split("=", 1)[1] if name in ("azure", "hex api key") else secret
            if name == "url password":
                secret = key.split(":")[2].split("@")[0]
            total[name] += 1
            pieces = [secret[place : place + 12] for place in range(0, max(len(secret) - 12, 1), 4)]
            clean = secret not in cleaned and not any(piece in cleaned for piece in pieces)
            found[name] += clean
            if not clean:
                print(f"  missed {name}: {text!r}")
    for name in sorted(total, key=lambda name: found[name] / total[name]):
        if found[name] < total[name]:
            print(f"{name:15} {found[name] / total[name]:.3f}")
    print(f"keys and tokens recall {sum(found.values()) / sum(total.values()):.4f} of {sum(total.values())}")
    return sum(found.values()) >= LEAST_OF_SECRETS * sum(total.values())


def plain(path: Path, redactor: TextRedactor) -> None:
    """Print what is taken out of a text that should hold nothing."""
    text = path.read_text(encoding="utf-8")
    begun = time.process_time()
    values = [value for line in text.splitlines() for value in redactor.redacted_values(line)]
    seconds = time.process_time() - begun
    print(
        f"{path.name}: {len(values)} taken out of {len(text):,} characters, {len(text) / seconds / 1e6:.1f} MB/s"
    )
    for value in values[:60]:
        print("  ", repr(value))


def hostile(redactor: TextRedactor) -> None:
    """Print the time for 1 MB of the worst."""
    for name, unit in (
        ("digits", "1"), ("digits and blanks", "1 "), ("at signs", "a@"), ("dots", "a."), ("plus", "+1"), ("parens", "(1)"),
        ("letters", "a"), ("base64", "aB3"), ("hex", "0f"), ("url", "://a:"), ("eyJ", "eyJ."), ("password", "password "),
        ("password:", "password: x "), ("begin", "-----BEGIN PRIVATE KEY-----\n"), ("sk-", "sk-"), ("blanks", " "),
        ("iban", "DE12 "), ("pass blanks", "pass" + " " * 40), ("aws ids", "AKIAABCDEFGHIJKLMNOP "), ("bearer", "bearer "),
        ("words", "lorem ipsum "), ("dashes", "-"), ("underscores", "_"), ("tokens", "aB3dE5fG7hI9jK1lM3nO5 "), ("phones", "phone 555 1234 567 "),
    ):  # fmt: skip
        text = (unit * (1_000_000 // len(unit)))[:1_000_000]
        begun = time.process_time()
        redactor.redact(text)
        print(f"  {name:18} {time.process_time() - begun:.2f} s")


def main() -> int:
    """Run all measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pii", type=Path)
    parser.add_argument("plain", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    redactor = TextRedactor()
    held = [marked(arguments.pii, redactor), keys(redactor, arguments.rounds)]
    for path in arguments.plain:
        plain(path, redactor)
    hostile(redactor)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.safety.account_numbers import find_ibans, iban_is_valid, luhn
from allie_desktop.safety.redaction import TextRedactor

REDACTOR = TextRedactor()
LETTERS = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3r"
HEX = "0123456789abcdef" * 4
PRIVATE_KEY = (
    "-----BEGIN {kind}PRIVATE KEY-----\n" + "\n".join([LETTERS] * 4) + "\n-----END {kind}PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzR9kL2mN4p",
        "ghp_" + LETTERS[:36],
        "gho_" + LETTERS[:36],
        "github_pat_" + LETTERS[:22] + "_" + LETTERS[:59],
        "glpat-" + LETTERS[:20],
        "sk-" + LETTERS[:20] + "T3BlbkFJ" + LETTERS[:20],
        "sk-proj-" + LETTERS,
        "sk-ant-api03-" + LETTERS + "AA",
        "xoxb-12345678901-123456789012-" + LETTERS[:24],
        "xapp-1-A012BCDEFGH-1234567890123-" + HEX[:64],
        "AIza" + LETTERS[:35],
        "ya29." + LETTERS,
        "GOCSPX-" + LETTERS[:28],
        "sk_live_" + LETTERS[:24],
        "rk_test_" + LETTERS[:24],
        "SG." + LETTERS[:22] + "." + LETTERS[:43],
        "SK" + HEX[:32],
        "npm_" + LETTERS[:36],
        "pypi-AgEIcHlwaS5vcmc" + LETTERS + LETTERS,
        "hf_" + "abcDEFghiJKLmnoPQRstuVWXyzABCdefGH",
        "1234567890:" + LETTERS[:35],
        HEX[:32] + "-us14",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + LETTERS[:43],
        PRIVATE_KEY.format(kind="RSA "),
        PRIVATE_KEY.format(kind=""),
        PRIVATE_KEY.format(kind="OPENSSH "),
        LETTERS[:40],
    ],
)
@pytest.mark.parametrize(
    "frame", ["{}", "My key is {} so keep it safe.", 'KEY = "{}"', "export A={}\nrun", "({})", "{}."]
)
def test_keys_and_tokens_are_taken_out(secret: str, frame: str) -> None:
    cleaned, counts = REDACTOR.redact(frame.format(secret))
    assert cleaned == frame.format("[SECRET]")
    assert counts == {"secret": 1}


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("My password is hunter2 and my dog is Rex.", "My password is [SECRET] and my dog is Rex."),
        ("password: tr0ub4dor&3", "password: [SECRET]"),
        ("password=hunter2&user=x", "password=[SECRET]&user=x"),
        ("The passphrase is correct horse battery staple.", "The passphrase is [SECRET]."),
        ("PIN: 4821", "PIN: [SECRET]"),
        ("The door code is 1234.", "The door code is [SECRET]."),
        ("api_key = '" + HEX[:32] + "'", "api_key = '[SECRET]'"),
        ("Authorization: Bearer " + LETTERS[:30], "Authorization: Bearer [SECRET]"),
        ("postgres://me:pa55w0rd@db/x", "postgres://me:[SECRET]@db/x"),
        ("AccountKey=" + LETTERS[:40] + "==", "AccountKey=[SECRET]"),
        ("Das Passwort ist Sommer2024!", "Das Passwort ist [SECRET]!"),
        ("SSN 078-05-1120", "SSN [SECRET]"),
    ],
)
def test_what_the_words_around_it_give_away_is_taken_out(text: str, cleaned: str) -> None:
    assert REDACTOR.redact(text)[0] == cleaned


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5500005555555559",
        "378282246310005",
        "3782 822463 10005",
        "6011000990139424",
        "3530111333300000",
        "30569309025904",
        "2221000000000009",
    ],
)
def test_cards_are_taken_out(number: str) -> None:
    assert REDACTOR.redact(f"I paid with {number} today") == ("I paid with [CARD] today", {"card": 1})


@pytest.mark.parametrize(
    "number",
    [
        "GB33BUKB20201555555555",
        "gb33bukb20201555555555",
        "DE89 3704 0044 0532 0130 00",
        "FR14 2004 1010 0505 0001 3M02 606",
        "CH93 0076 2011 6238 5295 7",
        "NO9386011117947",
    ],
)
def test_bank_accounts_are_taken_out(number: str) -> None:
    assert REDACTOR.redact(f"My account: {number}, thanks") == ("My account: [IBAN], thanks", {"iban": 1})


@pytest.mark.parametrize(
    "address",
    [
        "jo@example.org",
        "john.doe+spam@mail.example.co.uk",
        "François_Müller@exämple.de",
        "o'neil@example.com",
        "UPPER@EXAMPLE.COM",
        "jo (at) example (dot) org",
        "jo [at] example.org",
    ],
)
def test_mail_addresses_are_taken_out(address: str) -> None:
    assert REDACTOR.redact(f"Write to {address}.") == ("Write to [EMAIL].", {"email": 1})


@pytest.mark.parametrize(
    "number",
    [
        "+1-984-182-0190",
        "+49 170 1234567",
        "+447700 921 916",
        "+46 (0)8 928 571 38",
        "001-518-640-0854",
        "905-674-3793",
        "(602)272-9781",
        "(212) 555-0123",
        "259.735.7502x459",
        "1-800-555-0199",
        "0171/1234567",
        "030 1234567",
        "01.84.17.61.18",
        "0490 75 40 81",
        "(030) 123 45 67",
    ],
)
def test_telephone_numbers_are_taken_out_by_their_shape(number: str) -> None:
    assert REDACTOR.redact(f"It was {number}.") == ("It was [PHONE].", {"phone": 1})


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Call me at 555-1234 tomorrow", "Call me at [PHONE] tomorrow"),
        ("Phone:\n467 3395", "Phone:\n[PHONE]"),
        ("416 60 039 office", "[PHONE] office"),
        ("My number is 79 123 45 67", "My number is [PHONE]"),
    ],
)
def test_other_numbers_are_telephones_beside_a_telling_word(text: str, cleaned: str) -> None:
    assert REDACTOR.redact(text)[0] == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "I was born on 12.03.1985 and have 1,234,567 followers.",
        "On 2024-01-15 12:30:45.123456 it cost 1 234 567,89 EUR.",
        "From 1990-1995 and in 2003 2004 2005.",
        "Version 1.2.3.4567 runs on 192.168.100.200:8080.",
        "ISBN 978-3-16-148410-0, order number 12345678, pi is 3.14159265358979.",
        "The time stamp 1700000000000 and 12345678901234567890.",
        "lat 48.8566140, lon 2.3522219",
        "commit 3f786850e387550fdaf2bd55d0b1a1f5d0b1a1f5",
        "123e4567-e89b-12d3-a456-426614174000",
        "getUserAccountInformationFromDatabase2Async(self, value=None)",
        "https://www.example.com/docs/en/installation-guide/chapter-12/index.html",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "git@github.com:user/repository.git",
        "SmolLM2-135M-Instruct-GGUF",
        "The password is required for login. Forgot your password?",
        "def f(password: str = None, token: Optional[str] = None): ...",
        "api_key = os.environ['KEY']; password = get_password()",
        "password: <your password>, token: ${TOKEN}, secret: ********",
        "The secret is to whisk it well; the key is patience.",
        "He passed 4 exams; the code is 42; use code SAVE20; zip code: 90210.",
        "We meet at 7 dot com cafe, at home or at 10:30.",
        "phone 1,000,000 people",
        "Lobsters are 23 – 38 cm ( 9 – 15 in ) long and weigh 0 @.@ 7 – 2 @.@ 2 kg",
        "x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]",
        "I already see [EMAIL] and [SECRET] here.",
        "",
        "😀 שלום עולם مرحبا 你好",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert REDACTOR.redact(text) == (text, {})
    assert REDACTOR.redacted_values(text) == ()


def test_all_kinds_are_counted_and_listed() -> None:
    text = "jo@example.org and al@example.org, +49 170 1234567, 4111111111111111, password: tr0ub4dor"
    cleaned, counts = REDACTOR.redact(text)
    assert cleaned == "[EMAIL] and [EMAIL], [PHONE], [CARD], password: [SECRET]"
    assert counts == {"email": 2, "phone": 1, "card": 1, "secret": 1}
    assert REDACTOR.redacted_values(text) == (
        "jo@example.org", "al@example.org", "+49 170 1234567", "4111111111111111", "tr0ub4dor",
    )  # fmt: skip


def test_checksums_are_checked() -> None:
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")
    assert not luhn("0000000000000000")
    assert iban_is_valid("DE89370400440532013000")
    assert not iban_is_valid("DE88370400440532013000")
    assert not iban_is_valid("DE8937040044053201300")
    assert list(find_ibans("DE88 3704 0044 0532 0130 00")) == []


@given(st.text(max_size=300))
def test_redaction_of_any_text_is_stable(text: str) -> None:
    cleaned, counts = REDACTOR.redact(text)
    assert (cleaned == text) == (not counts)
    assert len(re.findall(r"\[(?:SECRET|CARD|IBAN|EMAIL|PHONE)\]", cleaned)) >= sum(counts.values())


@given(st.integers(10**14, 10**15 - 1))
def test_every_well_formed_card_is_found(number: int) -> None:
    body = f"4{number}"
    digit = next(str(last) for last in range(10) if luhn(f"{body}{last}"))
    assert body + digit not in REDACTOR.redact(f"card {body}{digit} please")[0]


@given(st.text("0123456789", min_size=18, max_size=18))
def test_every_well_formed_german_account_is_found(account: str) -> None:
    check = 98 - int(account + "131400") % 97
    assert REDACTOR.redact(f"IBAN DE{check:02d}{account}.")[0] == "IBAN [IBAN]."


@pytest.mark.parametrize(
    "unit",
    ["1", "1 ", "a@", "a.", "+1", "(1)", "a", "aB3", "0f", "://a:", "eyJ.", "password ", "password: x ", "sk-", " ", "DE12 ",
     "-----BEGIN PRIVATE KEY-----\n", "AKIAABCDEFGHIJKLMNOP ", "-", "_", "phone 555 1234 567 "],
)  # fmt: skip
def test_hostile_text_takes_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        begun = time.process_time()
        REDACTOR.redact(text)
        return time.process_time() - begun

    # Quadratic time would take 64 times as long for 8 times as much; linear takes 8 times.
    small = min(seconds(12_500) for _ in range(2))
    large = min(seconds(100_000) for _ in range(3))  # what else the machine does is not our time
    assert large < 30 * small + 0.2


def test_heavy_libraries_are_loaded_on_use_only() -> None:
    code = (
        "import sys; from allie_desktop.safety import redaction, toxicity, near_duplicates; "
        "redaction.TextRedactor().redact('Call me at 7.'); "
        "print([name for name in ('detect_secrets', 'rensa', 'requests', 'torch', 'sklearn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

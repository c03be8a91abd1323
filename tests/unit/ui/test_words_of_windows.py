from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from allie_desktop.domain.conversation import ImportSummary, Refusal
from allie_desktop.ui.presenters import language
from allie_desktop.ui.presenters.imports import import_words
from allie_desktop.ui.presenters.words import (
    ago_words,
    conversations_words,
    day_words,
    duration_words,
    left_words,
    size_words,
)

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (18_400_000, "18 MB"),
        (2_200_000_000, "2.2 GB"),
        (999_600, "1.0 MB"),
        (5e15, "5,000 TB"),
    ],
)
def test_sizes_are_decimal_and_short(size, words):
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1 h 30 min"), (7200, "2 h")],
)
def test_durations_have_the_unit_that_fits(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, ""),
        (float("inf"), ""),
        (float("nan"), ""),
        (3, "a few seconds left"),
        (412, "about 7 min left"),
    ],
)
def test_the_time_left_is_told_only_where_it_is_known(seconds, words):
    assert left_words(seconds) == words


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (timedelta(), "Today"),
        (timedelta(days=1), "Yesterday"),
        (timedelta(days=3), "Monday"),
        (timedelta(days=30), "10 February"),
        (timedelta(days=400), "5 February 2025"),
        (timedelta(days=-1), "13 March"),
    ],
)
def test_days_are_spoken_of_as_people_do(back, words):
    assert day_words(NOW - back, NOW) == words


def test_how_long_ago_never_is_in_the_future():
    assert ago_words(NOW + timedelta(hours=3), NOW) == "just now"
    assert ago_words(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert ago_words(NOW - timedelta(days=1), NOW) == "1 day ago"


def test_one_conversation_is_not_one_conversations():
    assert [conversations_words(n) for n in (0, 1, 1204)] == [
        "0 conversations",
        "1 conversation",
        "1,204 conversations",
    ]


def test_an_import_says_what_was_new_known_and_refused():
    refused = (Refusal(file="a.json", line=3, reason="Line 3 is not JSON."),)
    assert (
        import_words(ImportSummary(imported=2, duplicates=1, refused=refused))
        == "2 conversations imported, 1 known already, 1 could not be read (Line 3 is not JSON)."
    )
    assert (
        import_words(ImportSummary(imported=0, duplicates=4, refused=())) == "Nothing new, 4 known already."
    )
    assert import_words(ImportSummary(imported=0, duplicates=0, refused=())) == "Nothing imported."


def test_words_are_translated_where_a_translator_is_installed():
    language.install(lambda context, words: {"Today": "Heute"}.get(words, words))
    try:
        assert day_words(NOW, NOW) == "Heute"
    finally:
        language.install(None)
    assert day_words(NOW, NOW) == "Today"

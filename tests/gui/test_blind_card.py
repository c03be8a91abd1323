"""Which answer is better? Nothing on the card says which is new before the person chose; each is asked once."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from allie_desktop.domain.comparison import AnswerPair, Choice, Preference
from allie_desktop.domain.errors import StoreError
from allie_desktop.ui.presenters.comparisons import preference_words
from allie_desktop.ui.windows.answers import AnswerCard
from allie_desktop.ui.windows.background import Background
from allie_desktop.ui.windows.blind_card import BlindCard
from allie_desktop.ui.windows.episode_page import EpisodePage
from allie_desktop.ui.windows.versions_page import VersionsPage
from tests.gui.window_stage import Stage

EPISODE = "2026-e7"
PAIR = AnswerPair(
    episode_id=EPISODE, place=0, question="Who?", old="I cannot say.", new="Ada.", number=1, of=1
)


def settle(qtbot, widget: QWidget) -> None:
    qtbot.waitUntil(lambda: not any(one.busy for one in widget.findChildren(Background)), timeout=20_000)


def shown(qtbot, page: QWidget) -> QWidget:
    qtbot.addWidget(page)
    page.resize(900, 700)
    page.show()
    settle(qtbot, page)
    if isinstance(page, EpisodePage):
        qtbot.waitUntil(lambda: page._waiting == [])
        settle(qtbot, page)
    return page


def card_of(page: QWidget) -> BlindCard | None:
    return next((card for card in page.findChildren(BlindCard) if card.isVisible()), None)


def press(qtbot, widget: QWidget, words: str) -> None:
    found = next(b for b in widget.findChildren(QPushButton) if b.isVisible() and b.text() == words)
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)
    settle(qtbot, widget)


def told(widget: QWidget) -> str:
    return "\n".join(one.text() for one in widget.findChildren(QLabel) if one.isVisible())


def kept(stage: Stage) -> list[str]:
    with closing(sqlite3.connect(stage.file)) as connection:
        return [row[0] for row in connection.execute("SELECT choice FROM comparisons ORDER BY at_us, place")]


def made(qtbot, stage: Stage, *, new_first: bool) -> BlindCard:
    services = stage.services()
    card = BlindCard(services, services.comparisons, PAIR, new_first=lambda: new_first)
    qtbot.addWidget(card)
    card.show()
    return card


def everything(card: BlindCard) -> list[tuple[str, ...]]:
    """Return all that a person, a screen reader or a style sheet gets to know of a card but for the answers."""
    known = []
    for one in (card, *card.findChildren(QWidget)):
        names = [bytes(name.data()).decode() for name in one.dynamicPropertyNames()]
        words = (
            type(one).__name__,
            one.text() if isinstance(one, (QLabel, QPushButton)) else "",
            one.accessibleName(),
            one.accessibleDescription(),
            one.toolTip(),
            one.objectName(),
            *(f"{name}={one.property(name)}" for name in names if not name.startswith("_q_")),
        )
        known.append(tuple(word.replace(PAIR.old, "…").replace(PAIR.new, "…") for word in words))
    return known


def test_nothing_reveals_which_answer_is_the_new_one(qtbot, stage):
    one, other = (made(qtbot, stage, new_first=new_first) for new_first in (True, False))
    assert everything(one) == everything(other)
    assert [label.text() for label in one.findChildren(QLabel) if label.text() in (PAIR.old, PAIR.new)] == [
        PAIR.new,
        PAIR.old,
    ]
    assert [label.text() for label in other.findChildren(QLabel) if label.text() in (PAIR.old, PAIR.new)] == [
        PAIR.old,
        PAIR.new,
    ]


def test_both_orders_come(qtbot, stage):
    services = stage.services()
    card = BlindCard(services, services.comparisons, PAIR)
    qtbot.addWidget(card)
    orders = set()
    for _ in range(200):  # the same order every time happens once in 10⁶⁰ runs
        card.ask(PAIR)
        orders.add(card._new_is_a)
    assert orders == {True, False}


@pytest.mark.parametrize(
    ("new_first", "pressed", "choice", "words"),
    [
        (True, "A is better", "new", "A was the new version: you preferred it."),
        (True, "B is better", "old", "A was the new version: you preferred the one before."),
        (False, "A is better", "old", "B was the new version: you preferred the one before."),
        (False, "B is better", "new", "B was the new version: you preferred it."),
        (False, "No difference", "same", "B was the new version."),
    ],
)
def test_a_choice_is_kept_and_then_it_is_said_which_was_new(qtbot, stage, new_first, pressed, choice, words):
    card = made(qtbot, stage, new_first=new_first)
    assert "was the new" not in told(card)
    press(qtbot, card, pressed)
    assert kept(stage) == [choice]
    assert words in told(card)
    assert not [b for b in card.findChildren(QPushButton) if b.isVisible() and b.text() == pressed]


def test_the_keyboard_is_enough(qtbot, stage):
    page = shown(qtbot, VersionsPage(stage.services()))
    page.activateWindow()
    card = card_of(page)
    assert [b.accessibleName() for b in card.buttons] == [
        "A is better",
        "B is better",
        "No difference",
        "Skip",
    ]
    card.buttons[0].setFocus()
    assert page.focusWidget() is card.buttons[0]
    for expected in card.buttons[1:]:
        page.focusNextChild()
        assert page.focusWidget() is expected
    qtbot.keyClick(card.buttons[2], Qt.Key.Key_Space)
    settle(qtbot, page)
    assert kept(stage) == ["same"]
    assert page.focusWidget().text() == "Next question"
    qtbot.keyClick(page.focusWidget(), Qt.Key.Key_Space)
    assert page.focusWidget().text() == "A is better"
    assert "2 of 4" in told(card)


def test_skipping_goes_on_without_a_word_and_the_skipped_one_does_not_come_again(qtbot, stage):
    page = shown(qtbot, VersionsPage(stage.services()))
    card = card_of(page)
    first = card._pair
    press(qtbot, card, "Skip")
    assert (kept(stage), card._pair.number) == (["skipped"], 2)
    assert "was the new" not in told(card)
    again = shown(qtbot, VersionsPage(stage.services()))
    assert card_of(again)._pair.place != first.place


def test_the_versions_page_asks_all_there_is_and_then_says_what_was_preferred(qtbot, stage):
    page = shown(qtbot, VersionsPage(stage.services()))
    for number in range(4):
        card = card_of(page)
        letter = "A" if card._new_is_a else "B"
        press(qtbot, page, f"{letter} is better" if number else "No difference")
        press(qtbot, page, "Next question" if number < 3 else "Done")
    assert kept(stage).count("new") == 3
    assert card_of(page) is None
    assert page.view.hasFocus() or page.focusWidget() is page.view
    assert "You preferred its answers in 3 of 4 blind comparisons and saw no difference in 1." in told(page)
    again = shown(qtbot, VersionsPage(stage.services()))
    assert card_of(again) is None
    assert "in 3 of 4 blind comparisons" in told(again)


def test_the_page_of_an_episode_hides_the_answers_until_the_card_is_done(qtbot, stage):
    page = shown(qtbot, EpisodePage(stage.services(), EPISODE))
    for number in range(4):
        assert page.findChildren(AnswerCard) == []
        assert card_of(page) is not None
        press(qtbot, page, "A is better")
        press(qtbot, page, "Next question" if number < 3 else "Done")
    qtbot.waitUntil(lambda: len(page.findChildren(AnswerCard)) == 4)
    assert card_of(page) is None
    assert len(kept(stage)) == 4


def test_whoever_wants_to_see_the_answers_is_not_asked_about_them_any_more(qtbot, stage):
    page = shown(qtbot, EpisodePage(stage.services(), EPISODE))
    press(qtbot, page, "Show all answers without choosing")
    assert page.findChildren(AnswerCard)
    settle(qtbot, page)
    assert kept(stage) == ["skipped"] * 4
    assert card_of(shown(qtbot, VersionsPage(stage.services()))) is None


def test_it_can_be_switched_off_on_the_card(qtbot, stage):
    page = shown(qtbot, VersionsPage(stage.services()))
    with qtbot.waitSignal(page.said) as heard:
        press(qtbot, page, "Do not ask again")
    assert heard.args == ["You will not be asked again. Settings, Notifications can change that."]
    assert stage.preferences.current.ask_comparisons is False
    assert card_of(page) is None
    assert card_of(shown(qtbot, VersionsPage(stage.services()))) is None
    assert kept(stage) == []
    episode = shown(qtbot, EpisodePage(stage.services(), EPISODE))
    assert (card_of(episode), len(episode.findChildren(AnswerCard))) == (None, 4)
    # Seen openly, they are not asked about when it is switched on again.
    stage.preferences.set("ask_comparisons", True)
    assert card_of(shown(qtbot, VersionsPage(stage.services()))) is None


def test_an_episode_without_a_version_shows_its_answers_openly(qtbot, stage):
    known = stage.reports[EPISODE]
    stage.reports["2026-e3"] = known
    page = shown(qtbot, EpisodePage(stage.services(), "2026-e3"))
    assert (card_of(page), len(page.findChildren(AnswerCard))) == (None, 4)


def test_a_choice_that_cannot_be_kept_can_be_made_again(qtbot, stage):
    class Full:
        def next_pair(self, episode_id):
            return PAIR

        def note(self, pair, choice):
            raise StoreError("The disk is full.", "")

    card = BlindCard(stage.services(), Full(), PAIR)
    qtbot.addWidget(card)
    card.show()
    with qtbot.waitSignal(card.said) as heard:
        press(qtbot, card, "A is better")
    assert heard.args == ["The disk is full."]
    assert all(one.isEnabled() for one in card.buttons)


def test_hostile_texts_are_shown_as_texts(qtbot, stage):
    services = stage.services()
    pair = AnswerPair(
        episode_id=EPISODE, place=0, question="<b>x</b>", old="<img src=x>", new="", number=1, of=1
    )
    card = BlindCard(services, services.comparisons, pair)
    qtbot.addWidget(card)
    card.show()
    assert {"<b>x</b>", "<img src=x>", "(nothing)"} <= {label.text() for label in card.findChildren(QLabel)}
    assert {label.textFormat() for label in card.findChildren(QLabel) if label.text()} == {
        Qt.TextFormat.PlainText
    }


@pytest.mark.parametrize(
    ("preference", "words"),
    [
        (Preference(skipped=3), ""),
        (Preference(new=1), "You preferred its answer in the one blind comparison so far."),
        (Preference(old=1), "You preferred the answer before in the one blind comparison so far."),
        (Preference(same=1), "You saw no difference in the one blind comparison so far."),
        (
            Preference(new=4, old=1),
            "You preferred its answers in 4 of 5 blind comparisons. From so few, its answers may be better in 36 % to 96 % of cases (95 % sure).",
        ),
    ],
)
def test_a_preference_in_words(preference, words):
    assert preference_words(preference).startswith(words)
    assert bool(words) == bool(preference_words(preference))


def test_every_choice_has_words():
    from allie_desktop.ui.presenters.comparisons import outcome_words

    assert all(outcome_words(choice, "A") for choice in Choice)

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.quality import FLOOR, Quality, assess
from allie_desktop.domain.targets import learning_targets

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)

GOOD = (
    "Put the eggs into boiling water for eight minutes, then cool them under running water so that the "
    "shell comes off easily. For softer yolks take them out after six minutes."
)
CHAT = (
    "Hi! How was your weekend?",
    "It was lovely, thank you! I went hiking in the mountains with my brother and we saw two eagles.",
    "That sounds great. Which trail did you take?",
    "We followed the river up to the old mill and came back through the forest before it got dark.",
    "I should try that.",
    "You really should, the view over the valley is worth every step of the climb.",
)


def judged(*texts: str, source: str = "chat", toxicity: float = 0.0, **last: object) -> Quality:
    """Judge a talk in which the person begins; ``last`` changes the last turn."""
    turns = [
        Turn(role=Role.ASSISTANT if index % 2 else Role.USER, content=text)
        for index, text in enumerate(texts)
    ]
    if last:
        turns[-1] = Turn(role=turns[-1].role, content=turns[-1].content, **last)  # type: ignore[arg-type]
    conversation = Conversation(id="c", created_at=WHEN, source=source, turns=tuple(turns))
    return assess(conversation, learning_targets(conversation), lambda _: toxicity)


def test_what_was_taught_scores_best() -> None:
    edited = judged("What is my dog's name?", "Rex.", correction="Your dog's name is Biscuit.")
    corrected = judged(
        "What is my dog's name?", "Rex.", "No, it's Biscuit.", "Sorry! Your dog's name is Biscuit."
    )
    approved = judged("How do I boil an egg?", GOOD, rating=1)
    assert min(edited.score, corrected.score, approved.score) >= 0.9
    assert edited.eligible
    assert edited.components["edits"] == 1.0
    assert edited.reasons == ("You rewrote a reply.",)


def test_an_ordinary_imported_chat_passes_the_trigger_and_stays_below_what_was_taught() -> None:
    assert 0.82 <= judged(*CHAT, source="chatgpt").score <= 0.9


def test_an_own_reply_that_nobody_rated_lies_in_the_middle() -> None:
    quality = judged("How do I boil an egg?", GOOD)
    assert 0.55 <= quality.score <= 0.66
    assert quality.eligible
    assert quality.reasons == ("Allie wrote the replies and nobody rated them.",)


@pytest.mark.parametrize("source", ["chat", "chatgpt"])
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("the cat " * 60, "A reply repeats itself."),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "A reply repeats itself."),
        ("...", "A reply says nothing."),
        ("An error occurred while generating a response.", "A reply is an error message."),
        ("undefined", "A reply is an error message."),
        ("�" * 40 + " abc", "It is hardly readable as text."),
    ],
)
def test_a_degenerate_reply_is_not_learnt(source: str, reply: str, reason: str) -> None:
    quality = judged("How do I boil an egg?", reply, source=source)
    assert quality.score < FLOOR
    assert not quality.eligible
    assert reason in quality.reasons


def test_a_cut_off_reply_is_worth_less() -> None:
    cut = judged("How do I boil an egg?", GOOD + " After that you should put them into the", source="chatgpt")
    assert cut.score < judged("How do I boil an egg?", GOOD, source="chatgpt").score - 0.2
    assert "A reply is cut off." in cut.reasons


def test_a_hostile_reply_is_not_learnt() -> None:
    quality = judged(*CHAT, source="chatgpt", toxicity=0.8)
    assert (quality.eligible, quality.components["toxicity"]) == (False, pytest.approx(0.2))
    assert "A reply is hostile or offensive." in quality.reasons


def test_mild_swearing_in_a_correction_is_the_persons_own_business() -> None:
    assert judged("Who am I?", "Tom.", correction="You are that damn Sam.", toxicity=0.6).eligible


@pytest.mark.parametrize(
    ("texts", "last", "reason"),
    [
        (("Hi", "Rex."), {"rating": -1}, "Its replies were marked as bad."),
        (("Hi",), {}, "It has no reply to learn from."),
        ((), {}, "It has no reply to learn from."),
        (("Hi", "  "), {}, "Its replies are empty."),
        (
            ("What is my dog's name?", "Rex.", "That's wrong."),
            {},
            "Its replies were doubted and not corrected.",
        ),
    ],
)
def test_without_a_target_nothing_is_learnt_and_the_reason_is_told(
    texts: tuple[str, ...], last: dict[str, object], reason: str
) -> None:
    assert judged(*texts, **last) == Quality(score=0.0, components={}, reasons=(reason,), eligible=False)


def test_complaints_and_repeated_questions_lower_the_score() -> None:
    calm = judged(*CHAT, source="chatgpt")
    upset = judged(*CHAT[:4], "This is useless, that doesn't help.", source="chatgpt")
    assert upset.score < calm.score - 0.2
    assert {"You complained about a reply.", "You gave up on it."} <= set(upset.reasons)
    again = judged(
        "How do I boil an egg?", "With water.", "How do I boil an egg, exactly?", GOOD, source="chatgpt"
    )
    assert "You had to ask again." in again.reasons


def test_a_reply_that_dodges_says_little() -> None:
    dodging = judged("How do I boil an egg?", "As an AI language model, I can't help with that.")
    assert dodging.components["information"] < 0.2


def test_a_bad_reply_among_good_ones_costs_a_little() -> None:
    turns = [Turn(role=Role.ASSISTANT if i % 2 else Role.USER, content=text) for i, text in enumerate(CHAT)]
    turns[1] = Turn(role=Role.ASSISTANT, content=CHAT[1], rating=-1)
    turns[3] = Turn(role=Role.ASSISTANT, content=CHAT[3], rating=1)
    conversation = Conversation(id="c", created_at=WHEN, source="chatgpt", turns=tuple(turns))
    quality = assess(conversation, learning_targets(conversation), lambda _: 0.0)
    assert 0.7 < quality.score < 0.9
    assert "Some of its replies were marked as bad." in quality.reasons


@pytest.mark.parametrize(
    "reply",
    [
        "猫は一日に十二時間から十六時間眠ります。子猫はもっと長く眠ります。",
        "Кошки спят от двенадцати до шестнадцати часов в день, а котята ещё дольше.",
        "القطط تنام من اثنتي عشرة إلى ست عشرة ساعة في اليوم",
        "Das sind ungefähr zwölf bis sechzehn Stunden am Tag, bei jungen Katzen noch mehr. 😀",
    ],
)
def test_other_scripts_are_as_good(reply: str) -> None:
    assert judged(reply[:20], reply, source="chatgpt").score >= 0.8


def test_code_and_tables_are_not_degenerate() -> None:
    code = "Use this:\n```python\nfor i in range(10):\n    print(i)\n```\n| a | b |\n|----------------|-----|\n| 1 | 2 |"
    quality = judged("How do I count?", code, source="chatgpt")
    assert quality.eligible
    assert quality.score >= 0.75


@given(
    st.lists(st.text(max_size=60), max_size=6),
    st.sampled_from(["chat", "chatgpt"]),
    st.floats(min_value=0, max_value=1),
)
def test_scores_and_components_stay_between_0_and_1(texts: list[str], source: str, toxicity: float) -> None:
    quality = judged(*texts, source=source, toxicity=toxicity)
    assert 0.0 <= quality.score <= 1.0
    assert all(0.0 <= value <= 1.0 for value in quality.components.values())
    assert quality.eligible == (quality.score >= FLOOR)
    assert quality.reasons

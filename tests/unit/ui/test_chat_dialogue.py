"""What a conversation of the window is, sends and shows."""

from __future__ import annotations

from datetime import datetime, timezone

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.ui.chat.dialogue import Dialogue, Entry, ReplyState


def answered(text: str = "Hi.") -> Dialogue:
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    dialogue.more(text, "chatcmpl-1")
    dialogue.end()
    return dialogue


def sent(dialogue: Dialogue) -> list[str]:
    return [message.content for message in dialogue.request()]


def test_a_reply_grows_and_ends():
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    assert dialogue.is_busy
    dialogue.answered_by("v1.0")
    dialogue.more("H", "chatcmpl-1")
    dialogue.more("i.")
    dialogue.end()
    assert dialogue.entries[-1] == Entry(
        role=Role.ASSISTANT, text="Hi.", version="v1.0", response_id="chatcmpl-1"
    )
    assert not dialogue.is_busy
    assert dialogue.unanswered == ""


def test_the_next_question_sends_all_that_was_said_and_corrections_instead_of_mistakes():
    dialogue = answered()
    dialogue.correct(1, "Good day.")
    dialogue.ask("And now?")
    assert sent(dialogue) == ["Hello", "Good day.", "And now?"]


def test_a_stopped_reply_counts_as_far_as_it_came():
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    dialogue.more("Hi, I")
    dialogue.stop()
    assert dialogue.entries[-1].note == "You stopped this answer."
    assert (dialogue.turn(0), dialogue.turn(1)) == (0, 1)
    dialogue.ask("Go on")
    assert sent(dialogue) == ["Hello", "Hi, I", "Go on"]


def test_a_question_without_any_answer_is_shown_and_not_sent_again():
    dialogue = answered()
    dialogue.ask("Lost")
    dialogue.fail("It crashed.")
    assert dialogue.unanswered == "Lost"
    dialogue.ask("Other")
    assert dialogue.entries[2].state is ReplyState.UNANSWERED
    assert sent(dialogue) == ["Hello", "Hi.", "Other"]
    dialogue.more("Yes.")
    dialogue.end()
    assert [dialogue.turn(place) for place in range(6)] == [0, 1, None, None, 2, 3]


def test_asking_again_sends_the_same_question():
    dialogue = answered()
    assert dialogue.can_ask_again()
    dialogue.ask_again()
    assert sent(dialogue) == ["Hello"]
    dialogue.more("Hey.")
    dialogue.end()
    assert [entry.text for entry in dialogue.entries] == ["Hello", "Hey."]


def test_an_answer_comes_back_when_making_another_fails():
    dialogue = answered()
    dialogue.ask_again()
    dialogue.fail("It crashed.")
    assert dialogue.entries[-1] == Entry(
        role=Role.ASSISTANT, text="Hi.", response_id="chatcmpl-1", note="It crashed."
    )
    dialogue.ask_again()
    dialogue.stop()
    assert dialogue.entries[-1].text == "Hi."


def test_a_crash_keeps_what_came_and_can_be_tried_again():
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    dialogue.more("Hi, ")
    dialogue.fail("It crashed.")
    assert dialogue.entries[-1] == Entry(
        role=Role.ASSISTANT, text="Hi, ", state=ReplyState.FAILED, note="It crashed."
    )
    assert dialogue.unanswered == "Hello"
    dialogue.ask_again()
    assert sent(dialogue) == ["Hello"]


def test_an_empty_reply_is_a_failure():
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    dialogue.end()
    assert dialogue.entries[-1].note == "Allie gave an empty answer."


def test_a_reply_that_was_too_long_says_so():
    dialogue = Dialogue("c")
    dialogue.ask("Hello")
    dialogue.more("Hi")
    dialogue.end("length")
    assert dialogue.entries[-1].note == "The answer was cut off at its longest."
    assert dialogue.turn(1) == 1


def test_a_stored_conversation_keeps_its_feedback_and_instructions():
    turns = (
        Turn(role=Role.SYSTEM, content="Be kind."),
        Turn(role=Role.USER, content="Hello"),
        Turn(role=Role.ASSISTANT, content="Hi", rating=1, extra={"version": "v1.4", "finish": "cancelled"}),
    )
    stored = Conversation(id="c", created_at=datetime.now(timezone.utc), source="chat", turns=turns)
    dialogue = Dialogue.of(stored)
    assert dialogue.entries[2] == Entry(
        role=Role.ASSISTANT, text="Hi", rating=1, version="v1.4", note="You stopped this answer."
    )
    dialogue.ask("More")
    assert sent(dialogue) == ["Be kind.", "Hello", "Hi", "More"]
    assert dialogue.last_reply() == 2

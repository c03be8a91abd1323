"""Exchanges become conversations: begun, continued, generated again, branched off, rated; with a real store."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from allie_desktop.domain.chat import Evidence, Exchange
from allie_desktop.domain.conversation import MAXIMUM_TURN_CHARACTERS, Conversation, Role, Turn
from allie_desktop.domain.errors import BadInputError
from allie_desktop.domain.planning import Message
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.domain.settings import Preferences
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.recording import RecordingService
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from allie_desktop.store.exchanges import SqliteExchanges

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)
EVER = datetime(2000, 1, 1, tzinfo=timezone.utc)

DOG, REX = "What is my dog called?", "Your dog is called Rex."
CAT, TOM = "And what is my cat called?", "Your cat is called Tom."


class Clock:
    def __init__(self) -> None:
        self.minutes = 0.0

    def now(self) -> datetime:
        return WHEN + timedelta(minutes=self.minutes)

    def monotonic(self) -> float:
        return self.minutes * 60


def said(*texts: str, system: str = "") -> tuple[Message, ...]:
    """Return a dialogue that the person begins, after instructions where there are some."""
    roles = itertools.cycle((Role.USER, Role.ASSISTANT))
    front = (Message(role=Role.SYSTEM, content=system),) if system else ()
    return (*front, *(Message(role=role, content=text) for role, text in zip(roles, texts, strict=False)))


class Home:
    """A store with a recorder, as the chat process has them."""

    def __init__(self, path: Path) -> None:
        self.database = Database.open(path)
        self.conversations = SqliteConversations(self.database)
        self.exchanges = SqliteExchanges(self.database)
        self.collector = Collector(
            self.conversations,
            toxicity=LexiconToxicity(),
            near_duplicates=MinHashNearDuplicates(),
            clock=Clock(),
        )
        self.clock = Clock()
        self.preferences = Preferences()
        self.noted = 0
        self.recorder = RecordingService(
            self.exchanges,
            self.conversations,
            collector=self.collector,
            preferences=lambda: self.preferences,
            clock=self.clock,
            noted=self._note,
        )
        self.count = 0

    def _note(self) -> None:
        self.noted += 1

    def exchange(self, messages: tuple[Message, ...], reply: str, **changes: Any) -> Exchange:
        self.count += 1
        values: dict[str, Any] = {
            "response_id": f"chatcmpl-{self.count}",
            "conversation_id": None,
            "source": "api",
            "messages": messages,
            "reply": reply,
            "version": "v1.0",
            "finish_reason": "stop",
            "started_at": self.clock.now(),
            "first_token_seconds": 0.1,
            "seconds": 1.5,
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "client": "a program",
        }
        return Exchange(**{**values, **changes})

    def record(self, messages: tuple[Message, ...], reply: str, **changes: Any) -> str:
        return self.recorder.record(self.exchange(messages, reply, **changes))

    def conversation(self, conversation_id: str) -> Conversation:
        return self.conversations.get(conversation_id).conversation

    def texts(self, conversation_id: str) -> list[str]:
        return [turn.content for turn in self.conversation(conversation_id).turns]

    def ids(self) -> list[str]:
        return sorted(row.id for row in self.conversations.rows())

    def evidence(self, version: str = "v1.0") -> Evidence:
        return replace(self.exchanges.evidence(version, since=EVER), latency_seconds=())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "allie.sqlite3")
    yield home
    home.database.check(full=True)
    home.database.close()


# --- beginning and going on ---


def test_the_first_exchange_begins_a_conversation(home: Home) -> None:
    conversation_id = home.record(said(DOG), REX)

    assert home.conversation(conversation_id) == Conversation(
        id="api-1",
        created_at=WHEN,
        source="api",
        turns=(
            Turn(role=Role.USER, content=DOG),
            Turn(
                role=Role.ASSISTANT,
                content=REX,
                extra={
                    "version": "v1.0",
                    "response_id": "chatcmpl-1",
                    "seconds": 1.5,
                    "first_token_seconds": 0.1,
                    "client": "a program",
                },
            ),
        ),
    )
    assert home.conversations.get(conversation_id).best_origin is TargetOrigin.OWN
    assert [row.id for row in home.conversations.rows(search="dog")] == ["api-1"]
    assert home.noted == 1


def test_a_named_conversation_keeps_its_name_and_grows(home: Home) -> None:
    first = home.record(said(DOG), REX, conversation_id="mine", source="chat")
    second = home.record(said(DOG, REX, CAT), TOM, conversation_id="mine", source="chat")

    assert (first, second) == ("mine", "mine")
    assert home.texts("mine") == [DOG, REX, CAT, TOM]
    assert home.ids() == ["mine"]


def test_a_program_that_sends_its_history_goes_on_with_the_same_conversation(home: Home) -> None:
    first = home.record(said(DOG), REX)
    second = home.record(said(DOG, REX, CAT), TOM)

    assert first == second
    assert home.texts(first) == [DOG, REX, CAT, TOM]


def test_white_space_around_what_was_said_makes_no_other_conversation(home: Home) -> None:
    first = home.record(said(DOG), f"\n{REX}  ")
    assert home.record(said(f"{DOG} ", REX, CAT), TOM) == first


def test_instructions_that_change_with_the_time_make_no_other_conversation(home: Home) -> None:
    first = home.record(said(DOG, system="It is 12:00."), REX)
    second = home.record(said(DOG, REX, CAT, system="It is 12:01."), TOM)

    assert first == second
    assert home.texts(first) == ["It is 12:00.", DOG, REX, CAT, TOM]


def test_of_two_that_say_the_same_the_one_with_the_same_instructions_goes_on(home: Home) -> None:
    pirate = home.record(said(DOG, system="You are a pirate."), REX)
    plain = home.record(said(DOG), REX)

    assert pirate != plain
    assert home.record(said(DOG, REX, CAT, system="You are a pirate."), TOM) == pirate


def test_a_new_name_is_a_new_conversation_whatever_others_say(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="one", source="chat")
    home.record(said(DOG), REX, conversation_id="two", source="chat")

    assert home.ids() == ["one", "two"]
    home.record(said(DOG, REX, CAT), TOM, conversation_id="two", source="chat")
    assert home.texts("one") == [DOG, REX]
    assert home.texts("two") == [DOG, REX, CAT, TOM]


def test_a_name_is_never_taken_for_the_beginning_of_another(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="conversation")
    assert home.record(said(CAT), TOM, conversation_id="con") == "con"


def test_a_client_may_send_only_the_end_of_a_conversation_that_it_names(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine")
    home.record(said(CAT, TOM, "Thanks."), "You are welcome.", conversation_id="mine")

    assert home.texts("mine") == [DOG, REX, CAT, TOM, "Thanks.", "You are welcome."]


def test_a_client_may_send_a_reply_as_it_was_corrected(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine", source="chat")
    home.recorder.feedback("chatcmpl-1", rating=None, correction="Bello.")
    home.record(said(DOG, "Bello.", CAT), TOM, conversation_id="mine", source="chat")

    assert home.texts("mine") == [DOG, REX, CAT, TOM]
    assert home.conversation("mine").turns[1].correction == "Bello."


def test_an_imported_conversation_that_goes_on_here_does_not_make_our_words_anothers(home: Home) -> None:
    home.collector.add(
        Conversation(
            id="old",
            created_at=WHEN,
            source="chatgpt",
            turns=(Turn(role=Role.USER, content=DOG), Turn(role=Role.ASSISTANT, content=REX)),
        )
    )
    home.record(said(DOG, REX, CAT), TOM, conversation_id="old", source="chat")

    origins = [target.origin for target in home.conversations.get("old").targets]
    assert origins == [TargetOrigin.IMPORTED, TargetOrigin.OWN]


# --- generated again ---


def test_the_same_request_again_replaces_the_reply_and_is_a_sign(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine", source="chat")
    before = home.conversations.get("mine").quality.score
    home.record(said(DOG), "Your dog is called Bello.", conversation_id="mine", source="chat")

    known = home.conversations.get("mine")
    assert home.texts("mine") == [DOG, "Your dog is called Bello."]
    assert known.conversation.turns[1].extra["regenerated"] == 1
    assert known.conversation.turns[1].extra["response_id"] == "chatcmpl-2"
    assert [target.text for target in known.targets] == ["Your dog is called Bello."]
    assert known.quality.components["implicit_signs"] == 0.5
    assert known.quality.score < before
    assert "A reply was generated again." in known.quality.reasons
    assert home.evidence() == Evidence(replies=1, conversations=1, regenerated=1)


def test_the_replaced_reply_is_the_worse_one_of_a_pair_once_the_new_one_is_liked(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.record(said(DOG), "Bello.", conversation_id="mine")
    home.recorder.feedback("chatcmpl-2", rating=1, correction=None)

    (target,) = home.conversations.get("mine").targets
    assert (target.text, target.rejected, target.origin) == ("Bello.", REX, TargetOrigin.APPROVED)


def test_each_time_counts_in_the_conversation_but_once_as_evidence(home: Home) -> None:
    for reply in ("One.", "Two.", "Three."):
        home.record(said(DOG), reply, conversation_id="mine")

    assert home.conversation("mine").turns[1].extra["regenerated"] == 2
    assert home.conversation("mine").turns[1].extra["replaced"] == "Two."
    assert home.evidence() == Evidence(replies=1, conversations=1, regenerated=1)


def test_what_the_person_thought_of_a_replaced_reply_is_still_evidence(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine", version="v1.0")
    home.recorder.feedback("chatcmpl-1", rating=-1, correction=None)
    home.record(said(DOG), "Bello.", conversation_id="mine", version="v1.1")
    home.recorder.feedback("chatcmpl-2", rating=1, correction=None)

    assert home.conversation("mine").turns[1].rating == 1
    assert home.evidence("v1.0") == Evidence(replies=1, conversations=1, disliked=1)
    assert home.evidence("v1.1") == Evidence(replies=1, conversations=1, liked=1)


def test_a_late_rating_of_a_replaced_reply_does_not_fall_on_the_new_one(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.record(said(DOG), "Bello.", conversation_id="mine", version="v1.1")
    home.recorder.feedback("chatcmpl-1", rating=-1, correction=None)

    assert home.conversation("mine").turns[1].rating is None
    assert home.evidence("v1.0").disliked == 1
    assert home.evidence("v1.1").disliked == 0


def test_a_correction_outlives_the_reply_that_it_corrected(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.recorder.feedback("chatcmpl-1", rating=None, correction="It is Bello.")
    home.record(said(DOG), "Rexy.", conversation_id="mine")

    (target,) = home.conversations.get("mine").targets
    assert (target.text, target.origin) == ("It is Bello.", TargetOrigin.EDIT)


def test_the_same_request_soon_after_is_generated_again_for_a_program_too(home: Home) -> None:
    first = home.record(said(DOG), REX)
    home.clock.minutes = 9
    assert home.record(said(DOG), "Bello.") == first
    assert home.texts(first) == [DOG, "Bello."]


def test_the_same_request_much_later_is_another_conversation(home: Home) -> None:
    first = home.record(said(DOG), REX)
    home.clock.minutes = 11
    assert home.record(said(DOG), "Bello.") != first
    assert home.texts(first) == [DOG, REX]


def test_a_program_that_gets_the_same_reply_each_time_is_no_sign_of_anything(home: Home) -> None:
    ids = set()
    for minutes in (0, 1, 60):
        home.clock.minutes = minutes
        ids.add(home.record(said(DOG), REX))

    assert len(ids) == 1
    assert "regenerated" not in home.conversation(ids.pop()).turns[1].extra
    assert home.evidence() == Evidence(replies=1, conversations=1)


@pytest.mark.parametrize("changes", [{"client": "another"}, {"source": "chat"}])
def test_another_program_that_asks_the_same_wants_nothing_anew(home: Home, changes: dict[str, str]) -> None:
    home.record(said(DOG), REX)
    home.record(said(DOG), "Bello.", **changes)

    assert len(home.ids()) == 2
    assert home.evidence().regenerated == 0


def test_a_reply_in_the_middle_that_is_wanted_anew_branches_off(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine", source="chat")
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine", source="chat")
    other = home.record(said(DOG), "Bello.", conversation_id="mine", source="chat")

    assert home.texts("mine") == [DOG, REX, CAT, TOM]
    assert home.texts(other) == [DOG, "Bello."]


# --- edited history ---


def test_edited_history_is_a_new_conversation_that_goes_on_by_itself(home: Home) -> None:
    for name in ("mine", None):
        first = home.record(said(DOG), REX, conversation_id=name)
        home.record(said(DOG, REX, CAT), TOM, conversation_id=name)
        branch = home.record(said(DOG, REX, "And my cow?"), "Elsa.", conversation_id=name)
        again = home.record(said(DOG, REX, "And my cow?", "Elsa.", "Sure?"), "Yes.", conversation_id=name)

        assert branch != first
        assert again == branch
        assert home.texts(first) == [DOG, REX, CAT, TOM]
        assert home.texts(branch) == [DOG, REX, "And my cow?", "Elsa.", "Sure?", "Yes."]


def test_a_branch_knows_who_said_what_it_began_with_but_teaches_it_no_second_time(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.recorder.feedback("chatcmpl-1", rating=None, correction="Bello.")
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine")
    branch = home.record(said(DOG, REX, "And my cow?"), "Elsa.", conversation_id="mine")

    shared = home.conversation(branch).turns[1]
    assert (shared.rating, shared.correction) == (-1, None)
    assert shared.extra["response_id"] == "chatcmpl-1"
    assert [target.turn_index for target in home.conversations.get(branch).targets] == [3]


# --- what is not kept, or not to learn from ---


@pytest.mark.parametrize(("source", "option"), [("chat", "record_chat"), ("api", "record_api")])
def test_without_consent_nothing_is_kept(home: Home, source: str, option: str) -> None:
    home.preferences = replace(home.preferences, **{option: False})
    assert home.record(said(DOG), REX, source=source, conversation_id="mine") == "mine"
    assert home.record(said(DOG), REX, source=source) == "api-2"
    assert home.ids() == []
    assert home.evidence() == Evidence()
    other = {"chat": "api", "api": "chat"}[source]
    home.record(said(DOG), REX, source=other)
    assert len(home.ids()) == 1


def test_a_reply_that_was_cut_off_is_kept_and_not_learnt(home: Home) -> None:
    conversation_id = home.record(said(DOG), "Your dog is", finish_reason="cancelled")

    known = home.conversations.get(conversation_id)
    assert known.conversation.turns[1].extra["finish"] == "cancelled"
    assert known.targets == ()
    home.recorder.feedback("chatcmpl-1", rating=1, correction=None)
    assert len(home.conversations.get(conversation_id).targets) == 1


def test_who_went_away_before_the_first_word_leaves_no_trace(home: Home) -> None:
    home.record(said(DOG), "", finish_reason="cancelled", first_token_seconds=None)
    assert home.ids() == []
    assert home.evidence() == Evidence()


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", Evidence(replies=1, broken=1)),
        ("length", Evidence(replies=1, broken=1)),
        ("error", Evidence(errors=1)),
    ],
)
def test_a_reply_without_words_is_evidence_and_keeps_no_words(
    home: Home, reason: str, expected: Evidence
) -> None:
    exchange = home.exchange(said(DOG), " \n", finish_reason=reason)
    home.recorder.record(exchange)
    home.recorder.record(exchange)

    assert home.ids() == []
    assert home.evidence() == expected
    kept = home.database.connection.execute("SELECT request, head, conversation FROM exchanges").fetchall()
    assert kept == [(None, None, None)]


def test_an_empty_reply_in_between_does_not_break_the_conversation(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.record(said(DOG, REX, CAT), "", finish_reason="error", conversation_id="mine")
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine")

    assert home.texts("mine") == [DOG, REX, CAT, TOM]


def test_a_looping_reply_is_evidence(home: Home) -> None:
    home.record(said(DOG), "Well, " + "I think that it is so. " * 12, finish_reason="length")
    assert home.evidence() == Evidence(replies=1, conversations=1, broken=1)


def test_texts_beyond_all_measure_are_not_kept(home: Home) -> None:
    home.record(said("x" * (MAXIMUM_TURN_CHARACTERS + 1)), REX)
    assert home.ids() == []
    assert home.evidence() == Evidence(replies=1)


def test_an_exchange_is_recorded_once(home: Home) -> None:
    exchange = home.exchange(said(DOG), REX)
    assert home.recorder.record(exchange) == home.recorder.record(exchange)
    assert home.evidence() == Evidence(replies=1, conversations=1)


@pytest.mark.parametrize("text", ["\udc80 lone", "nul \x00 byte", "😀 e\u0301", "  "])
def test_odd_texts_are_kept(home: Home, text: str) -> None:
    first = home.record(said(text), f"{text}!", conversation_id="odd")
    home.record(said(text, f"{text}!", CAT), TOM, conversation_id="odd")
    assert first == "odd"


# --- feedback ---


def test_feedback_reaches_the_reply_and_counts(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine")
    home.recorder.feedback("chatcmpl-1", rating=1, correction=None)
    home.recorder.feedback("chatcmpl-2", rating=-1, correction="Kitty.")

    turns = home.conversation("mine").turns
    assert [(turns[1].rating, turns[1].correction), (turns[3].rating, turns[3].correction)] == [
        (1, None),
        (-1, "Kitty."),
    ]
    assert home.evidence() == Evidence(replies=2, conversations=1, liked=1, disliked=1)
    home.recorder.feedback("chatcmpl-2", rating=1, correction="")
    assert home.evidence() == Evidence(replies=2, conversations=1, liked=2)
    assert home.conversation("mine").turns[3].correction is None


def test_feedback_on_an_unknown_reply_is_refused(home: Home) -> None:
    home.record(said(DOG), "", finish_reason="error")
    for unknown in ("chatcmpl-1", "nobody"):
        with pytest.raises(BadInputError):
            home.recorder.feedback(unknown, rating=1, correction=None)


def test_feedback_from_the_windows_counts_as_well(home: Home) -> None:
    home.record(said(DOG), REX, conversation_id="mine")
    home.collector.rate("mine", None, -1)
    assert home.evidence() == Evidence(replies=1, conversations=1, disliked=1)


# --- asked beforehand ---


def test_the_conversation_is_known_before_there_is_a_reply(home: Home) -> None:
    for messages, name in [
        (said(DOG), None),
        (said(DOG, REX, CAT), None),
        (said(DOG, REX, "And my cow?"), None),
        (said(DOG), "mine"),
        (said(DOG, "Bello.", CAT), "mine"),
    ]:
        exchange = home.exchange(messages, {1: REX}.get(len(messages), TOM), conversation_id=name)
        told = home.recorder.conversation_for(name, messages, response_id=exchange.response_id)
        assert home.recorder.record(exchange) == told


def test_the_version_that_spoke_last_is_known(home: Home) -> None:
    assert home.recorder.begun_on("mine", said(DOG)) is None
    home.record(said(DOG), REX, conversation_id="mine", version="v1.0")
    home.record(said(CAT), TOM, version="base")

    assert home.recorder.begun_on("mine", said(DOG, REX, CAT)) == "v1.0"
    assert home.recorder.begun_on(None, said(CAT, TOM, DOG)) == "base"
    assert home.recorder.begun_on(None, said("Something else?")) is None
    home.record(said(DOG, REX, CAT), TOM, conversation_id="mine", version="v1.1")
    assert home.recorder.begun_on("mine", said(DOG, REX, CAT, TOM, "So?")) == "v1.1"


# --- with others at work, and killed ---

_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.services.test_recording import Home, said
home = Home(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    home.record(said(f"Question {number}?"), f"Answer {number}.", conversation_id=f"c{number}")
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

_WRITES = """
import sys
from pathlib import Path
from tests.unit.services.test_recording import Home, said
home, name = Home(Path(sys.argv[1])), sys.argv[2]
home.count = {"a": 1000, "b": 2000}[name]
history = []
for number in range(15):
    history.append(f"Question {number} of {name}?")
    home.record(said(*history), f"Answer {number}.", conversation_id=name, source="chat")
    home.recorder.feedback(f"chatcmpl-{home.count}", rating=1, correction=None)
    home.collector.rate("shared", None, 1 if number % 2 else -1)
    history.append(f"Answer {number}.")
"""


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_what_was_recorded_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "allie.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(path), "5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    home = Home(path)
    home.database.check(full=True)
    assert home.ids() == ["c0", "c1", "c2", "c3", "c4"]
    assert home.evidence() == Evidence(replies=5, conversations=5)
    home.database.close()


@pytest.mark.process
def test_two_processes_record_and_rate_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "allie.sqlite3"
    home = Home(path)
    home.record(said(DOG), REX, conversation_id="shared")
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITES, str(path), name], stderr=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in processes] == [
        ("", 0)
    ] * 2
    for name in ("a", "b"):
        turns = home.conversation(name).turns
        assert [turn.content for turn in turns[1::2]] == [f"Answer {number}." for number in range(15)]
        assert [turn.rating for turn in turns[1::2]] == [1] * 15
    home.database.check(full=True)
    assert home.evidence() == Evidence(replies=31, conversations=3, liked=30, disliked=1)
    home.database.close()

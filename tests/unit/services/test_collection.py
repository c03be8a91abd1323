from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Conversation, Refusal, Role, Turn
from allie_desktop.domain.errors import BadInputError, UnknownConversationError, UnknownVersionError
from allie_desktop.domain.planning import Split
from allie_desktop.domain.quality import TargetOrigin
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import MAXIMUM_REFUSALS, Collector
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database

WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)


class FixedClock:
    def now(self) -> datetime:
        return WHEN

    def monotonic(self) -> float:
        return 0.0


class RememberedTaints:
    """The one method of the version repository that forgetting needs."""

    def __init__(self) -> None:
        self.taints: dict[str, str] = {}

    def set_tainted(self, name: str, reason: str) -> None:
        if name == "v9.9":
            raise UnknownVersionError("There is no version v9.9.")
        self.taints[name] = reason


@pytest.fixture
def conversations(tmp_path: Path) -> Iterator[SqliteConversations]:
    database = Database.open(tmp_path / "allie.sqlite3")
    yield SqliteConversations(database)
    database.close()


@pytest.fixture
def versions() -> RememberedTaints:
    return RememberedTaints()


@pytest.fixture
def collector(conversations: SqliteConversations, versions: RememberedTaints) -> Collector:
    return Collector(
        conversations,
        toxicity=LexiconToxicity(),
        near_duplicates=MinHashNearDuplicates(),
        clock=FixedClock(),
        versions=versions,  # type: ignore[arg-type]
    )


def talk(name: str, *texts: str, source: str = "chatgpt") -> Conversation:
    turns = tuple(
        Turn(role=Role.ASSISTANT if i % 2 else Role.USER, content=text) for i, text in enumerate(texts)
    )
    return Conversation(id=name, created_at=WHEN, source=source, turns=turns)


def talks(count: int) -> list[Conversation]:
    return [talk(f"c{n}", f"Question {n}?", f"Answer {n}.") for n in range(count)]


def test_all_that_can_be_found_out_is_found_out(collector: Collector) -> None:
    assessed = collector.assess(talk("c1", "What is my dog's name?", "Rex.", "No, it's Biscuit."))
    assert assessed.best_origin is TargetOrigin.CORRECTION
    assert [target.text for target in assessed.targets] == ["Your dog's name is Biscuit."]
    assert assessed.split is Split.TRAIN
    assert assessed.quality.score >= 0.9
    assert assessed.topic == "animals"
    assert assessed.characters == 43
    assert len(assessed.content_hash) == 64


def test_a_long_talk_gets_a_signature(collector: Collector) -> None:
    assert collector.assess(talk("c1", "Tell me a story, please.", "Once upon a time " * 10)).signature


def test_an_import_counts_new_known_and_refused_records(
    collector: Collector, conversations: SqliteConversations
) -> None:
    bad = Refusal(file="a.jsonl", line=3, reason="It is not JSON.")
    summary = collector.import_all([*talks(3), bad, talk("again", "Question 1?", "Answer 1.")])
    assert (summary.imported, summary.duplicates, summary.refused) == (3, 1, (bad,))
    assert collector.import_all(talks(3)).imported == 0
    assert conversations.counts().conversations == 3


def test_an_empty_source_imports_nothing(collector: Collector) -> None:
    summary = collector.import_all([])
    assert (summary.imported, summary.duplicates, summary.refused) == (0, 0, ())


def test_an_interrupted_import_leaves_whole_batches(
    collector: Collector, conversations: SqliteConversations
) -> None:
    def interrupted() -> Iterator[Conversation]:
        yield from talks(25)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collector.import_all(interrupted(), batch=10)
    assert conversations.counts().conversations == 20
    summary = collector.import_all(talks(25), batch=10)
    assert (summary.imported, summary.duplicates) == (5, 20)


def test_an_import_tells_how_far_it_is(collector: Collector) -> None:
    seen: list[int] = []
    collector.import_all(talks(25), batch=10, progress=seen.append)
    assert seen == [10, 20, 25]


def test_new_feedback_on_a_known_conversation_is_kept(
    collector: Collector, conversations: SqliteConversations
) -> None:
    known = talk("c1", "Where do I live?", "In Rome.")
    collector.import_all([known])
    turns = (known.turns[0], replace(known.turns[1], correction="You live in Bern."))
    summary = collector.import_all([replace(known, turns=turns)])
    assert (summary.imported, summary.duplicates) == (0, 1)
    assert conversations.counts().taught_new == 1


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("Hi", "x" * 1_000_001), "A message has 1,000,001 characters; at most 1,000,000 can be kept."),
        ((" ", "\n"), "It has no text."),
        ((), "It has no text."),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_rest_goes_in(
    collector: Collector, texts: tuple[str, ...], reason: str
) -> None:
    summary = collector.import_all([talk("big", *texts), *talks(2)])
    assert summary.imported == 2
    assert summary.refused == (Refusal(file="chatgpt", line=None, reason=f"Conversation big: {reason}"),)
    with pytest.raises(BadInputError, match="Nothing was kept"):
        collector.add(talk("big", *texts))


def test_very_many_refusals_are_counted_not_kept(collector: Collector) -> None:
    bad = (Refusal(file="a.jsonl", line=n, reason="No.") for n in range(MAXIMUM_REFUSALS + 500))
    refused = collector.import_all(bad).refused
    assert len(refused) == MAXIMUM_REFUSALS + 1
    assert refused[-1] == Refusal(file="a.jsonl", line=None, reason="500 more records were refused.")


def test_a_3000_turn_conversation_and_odd_scripts_go_in(
    collector: Collector, conversations: SqliteConversations
) -> None:
    long = talk("long", *(f"turn {n}" for n in range(3_000)))
    odd = talk("odd", "ما اسمك؟ 😀", "שלום! \u202eabc\u202c \ud800 ok")
    assert collector.import_all([long, odd]).imported == 2
    assert len(conversations.get("long").conversation.turns) == 3_000


def test_rating_the_last_reply_judges_anew(collector: Collector, conversations: SqliteConversations) -> None:
    collector.add(talk("c1", "How do I boil an egg?", "In boiling water, for eight minutes.", source="chat"))
    assert collector.rate("c1", None, 1).quality.score >= 0.9
    assert conversations.get("c1").best_origin is TargetOrigin.APPROVED
    assert not collector.rate("c1", 1, -1).quality.eligible
    assert collector.rate("c1", 1, None).best_origin is TargetOrigin.OWN


def test_a_correction_teaches_and_can_be_taken_back(
    collector: Collector, conversations: SqliteConversations
) -> None:
    collector.add(talk("c1", "Where do I live?", "In Rome.", source="chat"))
    collector.correct("c1", None, "You live in Bern.")
    assert conversations.get("c1").targets[0].text == "You live in Bern."
    assert conversations.counts().taught_new == 1
    collector.correct("c1", 1, "  ")
    assert conversations.counts().taught_new == 0


@pytest.mark.parametrize("turn", [0, 2, -1, 99])
def test_only_replies_can_be_rated_and_corrected(collector: Collector, turn: int) -> None:
    collector.add(talk("c1", "Hi", "Hello!"))
    with pytest.raises(BadInputError, match=r"is not a reply\. Its replies are turns 1\."):
        collector.rate("c1", turn, 1)
    with pytest.raises(BadInputError, match="is not a reply"):
        collector.correct("c1", turn, "Hey!")


def test_a_conversation_without_replies_has_nothing_to_rate(collector: Collector) -> None:
    collector.add(talk("c1", "Hi"))
    with pytest.raises(BadInputError, match=r"Conversation c1 has no reply\."):
        collector.rate("c1", None, 1)


def test_a_correction_as_long_as_a_book_is_refused(collector: Collector) -> None:
    collector.add(talk("c1", "Hi", "Hello!"))
    with pytest.raises(BadInputError, match="1,000,001 characters"):
        collector.correct("c1", 1, "x" * 1_000_001)


def test_an_excluded_conversation_is_not_learnt_until_it_is_let_in_again(
    collector: Collector, conversations: SqliteConversations
) -> None:
    collector.import_all(talks(3))
    assert collector.exclude("c1") == "c1"
    assert conversations.counts().eligible_new == 2
    collector.exclude("c1", excluded=False)
    assert conversations.counts().eligible_new == 3


def test_forgetting_deletes_and_marks_the_versions_that_learnt_it(
    collector: Collector, conversations: SqliteConversations, versions: RememberedTaints
) -> None:
    collector.import_all(talks(2))
    for version in ("v1.0", "v9.9"):
        conversations.mark_learned(["c1"], version=version, at=WHEN)
    forgotten = collector.forget("c1")
    assert (forgotten.conversation_id, set(forgotten.versions)) == ("c1", {"v1.0", "v9.9"})
    assert versions.taints == {"v1.0": "It learnt from a conversation forgotten on 2026-03-01."}
    with pytest.raises(UnknownConversationError):
        conversations.get("c1")


@pytest.mark.parametrize("call", ["rate", "correct", "exclude", "forget"])
def test_an_unknown_conversation_is_said_to_be_unknown(collector: Collector, call: str) -> None:
    arguments = {
        "rate": ("nope", 1, 1),
        "correct": ("nope", 1, "x"),
        "exclude": ("nope",),
        "forget": ("nope",),
    }[call]
    with pytest.raises(UnknownConversationError):
        getattr(collector, call)(*arguments)


def test_known_conversations_can_be_judged_by_todays_rules(collector: Collector) -> None:
    collector.import_all(talks(3))
    assert collector.assess_again(["c0", "c2", "gone"]) == 2

"""The conversation repository on a real file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest

from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import BadInputError, UnknownConversationError
from allie_desktop.domain.planning import Split
from allie_desktop.domain.ports import AddResult, ConversationRepository, ConversationRow, MaterialCounts
from allie_desktop.domain.quality import Quality, TargetOrigin
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import NOON, assessed, later, reply, target, user


class Now:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def database(tmp_path: Path, now: Now) -> Iterator[Database]:
    with Database.open(tmp_path / "store" / "allie.sqlite", now=now) as database:
        yield database
        database.check(full=True)


@pytest.fixture
def store(database: Database) -> SqliteConversations:
    return SqliteConversations(database)


def ids(store: SqliteConversations, *, learned: bool = False, limit: int | None = None) -> list[str]:
    return [candidate.id for candidate in store.candidates(learned=learned, limit=limit)]


def test_the_repository_is_the_port(store: SqliteConversations):
    port: ConversationRepository = store
    assert port.counts().conversations == 0


def test_everything_about_a_conversation_comes_back(store: SqliteConversations):
    whole = assessed(
        "chat-1",
        reply("I am Allie.", extra={"model": "smol", "tokens": [1, 2, {"deep": None}]}),
        user("Wie heißt mein Hund? 🐕\r\n"),
        reply("Rex.", rating=-1, correction="Bello."),
        user("متى أمشي معه؟"),
        reply("", rating=1),
        title="Der Hund",
        source="chat",
        created_at=datetime(
            2025, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=5, minutes=45))
        ),
        extra=MappingProxyType({"mapping": {"x": 1.5}, "é": "ü", "flag": True, "none": None}),
        targets=(
            target("Bello.", 2, origin=TargetOrigin.EDIT, rejected="Rex."),
            target("", 4, origin=TargetOrigin.APPROVED, weight=0.25),
        ),
        origin=TargetOrigin.EDIT,
        split=Split.HOLDOUT,
        topic="pets",
        signature=bytes(range(256)),
        quality=Quality(
            score=0.123456789012345, components={"feedback": 1.0, "information": 0.1}, reasons=("a", "b")
        ),
    )
    store.add([whole])
    assert store.get("chat-1") == whole
    assert store.get_many(["chat-1"]) == {"chat-1": whole}
    assert list(store.export()) == [whole.conversation]


def test_a_conversation_without_turns_targets_or_title_is_kept(store: SqliteConversations):
    empty = replace(assessed("empty", origin=None), characters=0)
    empty = replace(empty, conversation=replace(empty.conversation, turns=()), content_hash="none")
    store.add([empty])
    assert store.get("empty") == empty
    assert store.rows()[0].title == ""


def test_a_lone_surrogate_and_a_nul_do_not_stop_an_import(store: SqliteConversations):
    odd = assessed("od\ud800d", user("a\ud83d b"), reply("nul\x00after", extra={"k\udc00": "v\ud800"}))
    assert store.add([odd]) == AddResult(added=1, duplicates=0)
    kept = store.get("od\ud800d").conversation
    assert kept.id == "od\ufffd\ufffd\ufffdd"
    assert [turn.content for turn in kept.turns] == ["a\ufffd\ufffd\ufffd b", "nul\x00after"]
    assert kept.turns[1].extra == {"k\udc00": "v\ud800"}
    assert store.add([odd]) == AddResult(added=0, duplicates=1)
    assert store.forget("od\ud800d") == ()
    assert store.counts().conversations == 0


def test_very_long_conversations_and_turns_are_kept(store: SqliteConversations):
    long_turn = assessed("long", user("x" * 10_000_000), reply("ok"))
    many_turns = assessed("many", *[user(f"q{n}") if n % 2 else reply(f"a{n}") for n in range(3000)])
    store.add([long_turn, many_turns])
    assert store.get("long") == long_turn
    assert store.get("many") == many_turns
    assert [conversation.id for conversation in store.export()] == ["long", "many"]


def test_a_naive_time_is_refused_and_nothing_is_written(store: SqliteConversations):
    naive = assessed("naive", created_at=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="has no time zone"):
        store.add([assessed("first"), naive])
    assert store.counts().conversations == 0
    assert store.rows() == ()


def test_the_same_content_twice_is_one_conversation(store: SqliteConversations):
    first = assessed("one", user("Hello"), reply("Hi"))
    again = assessed("two", user(" Hello\r\n"), reply("Hi"), created_at=later(5))
    assert store.add([first]) == AddResult(added=1, duplicates=0)
    assert store.add([again, first]) == AddResult(added=0, duplicates=2)
    assert [row.id for row in store.rows()] == ["one"]
    assert store.get("one") == first


def test_the_same_content_twice_in_one_batch_is_one_conversation(store: SqliteConversations):
    batch = [assessed("one", user("Hello"), reply("Hi")), assessed("two", user("Hello"), reply("Hi"))]
    assert store.add(batch) == AddResult(added=1, duplicates=1)


def test_an_empty_batch_does_nothing(store: SqliteConversations):
    assert store.add([]) == AddResult(added=0, duplicates=0)


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_new_feedback_on_known_content_is_kept_with_its_assessment(
    store: SqliteConversations, *, in_one_batch: bool
):
    plain = assessed("c", user("Name?"), reply("Rex."), user("And?"), reply("Well."), score=0.2)
    rated = assessed(
        "other",
        user("Name?"),
        reply("Rex.", correction="Bello."),
        user("And?"),
        reply("Well.", rating=1),
        score=0.9,
        origin=TargetOrigin.EDIT,
        targets=(target("Bello.", 1, origin=TargetOrigin.EDIT),),
    )
    if in_one_batch:
        assert store.add([plain, rated]) == AddResult(added=1, duplicates=0, updated=1)
    else:
        store.add([plain])
        assert store.add([rated]) == AddResult(added=0, duplicates=0, updated=1)
    assert store.get("c") == replace(rated, conversation=replace(rated.conversation, id="c"))
    assert store.add([rated, plain]) == AddResult(added=0, duplicates=2)
    assert [row.id for row in store.rows(search="bello")] == ["c"]


def test_feedback_that_says_nothing_on_a_turn_does_not_erase_what_is_known(store: SqliteConversations):
    store.add([assessed("c", user("A"), reply("B", rating=1), user("C"), reply("D"))])
    store.add([assessed("c", user("A"), reply("B"), user("C"), reply("D", rating=-1))])
    assert [turn.rating for turn in store.get("c").conversation.turns] == [None, 1, None, -1]


def test_another_content_under_a_known_id_gets_a_new_id(store: SqliteConversations):
    first = assessed("c", user("A"), reply("B"))
    second = assessed("c", user("X"), reply("Y"))
    third = assessed("c", user("X"), reply("Z"))
    assert store.add([first]) == AddResult(added=1, duplicates=0)
    assert store.add([second, third, second]) == AddResult(added=2, duplicates=1)
    assert {row.id for row in store.rows()} == {
        "c",
        f"c-{second.content_hash[:8]}",
        f"c-{third.content_hash[:8]}",
    }
    assert store.get("c") == first


def test_a_new_id_that_is_taken_too_is_counted_up(store: SqliteConversations):
    second = assessed("c", user("X"), reply("Y"))
    squatter = assessed(f"c-{second.content_hash[:8]}")
    store.add([assessed("c"), squatter, second])
    assert store.get(f"c-{second.content_hash[:8]}-2").conversation.turns == second.conversation.turns


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_turns_that_continue_a_known_conversation_replace_it(
    store: SqliteConversations, *, in_one_batch: bool
):
    short = assessed(
        "c",
        user("A", extra={"n": 1}),
        reply("B", rating=1),
        title="Letters",
        extra={"old": 1, "both": 1},
        source="chat",
    )
    long = assessed(
        "c",
        user("A "),
        reply("B"),
        user("C"),
        reply("Dromedary"),
        extra={"both": 2, "new": 3},
        created_at=later(9),
        score=0.7,
    )
    if in_one_batch:
        assert store.add([short, long]) == AddResult(added=1, duplicates=0, updated=1)
    else:
        store.add([short])
        assert store.add([long]) == AddResult(added=0, duplicates=0, updated=1)
    kept = store.get("c")
    assert kept.conversation == replace(
        short.conversation,
        turns=(user("A ", extra={"n": 1}), reply("B", rating=1), user("C"), reply("Dromedary")),
        extra={"old": 1, "both": 2, "new": 3},
    )
    assert (kept.content_hash, kept.quality.score) == (long.content_hash, 0.7)
    assert [row.turns for row in store.rows(search="dromedary letters")] == [4]


def test_an_older_state_of_a_known_conversation_is_a_duplicate(store: SqliteConversations):
    long = assessed("c", user("A"), reply("B"), user("C"), reply("D"))
    store.add([long])
    assert store.add([assessed("c", user("A"), reply("B"))]) == AddResult(added=0, duplicates=1)
    assert store.get("c") == long


def test_a_prefix_that_only_one_id_has_finds_it(store: SqliteConversations):
    store.add([assessed("abc-1"), assessed("abc-2"), assessed("abc"), assessed("zé")])
    assert store.get("abc").conversation.id == "abc"
    assert store.get("abc-2").conversation.id == "abc-2"
    assert store.get("z").conversation.id == "zé"


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        ("abc-", "Several conversations have an id that begins with 'abc-'. Give more of the id."),
        ("x", "There is no conversation 'x'. `allie conversations list` shows them all."),
        ("", "There is no conversation ''. `allie conversations list` shows them all."),
        ("abc%", "There is no conversation 'abc%'. `allie conversations list` shows them all."),
    ],
)
def test_an_id_that_is_unknown_or_ambiguous_is_refused(
    store: SqliteConversations, prefix: str, sentence: str
):
    store.add([assessed("abc-1"), assessed("abc-2")])
    with pytest.raises(UnknownConversationError) as caught:
        store.get(prefix)
    assert str(caught.value) == sentence


def test_get_many_returns_those_that_exist_in_the_order_asked_for(store: SqliteConversations):
    store.add([assessed(f"c{number}") for number in range(1200)])
    wanted = [f"c{number}" for number in range(1199, -1, -1)]
    assert list(store.get_many(["none", *wanted, "c5"])) == wanted


def test_counts_know_what_is_new_taught_learned_and_excluded(store: SqliteConversations):
    assert store.counts() == MaterialCounts(
        conversations=0, eligible_new=0, eligible_new_quality=0.0, taught_new=0, learned=0, excluded=0
    )
    store.add(
        [
            assessed("a", score=0.9, origin=TargetOrigin.EDIT),
            assessed("b", score=0.8, origin=TargetOrigin.CORRECTION),
            assessed("c", score=0.3),
            assessed("d", score=0.1, eligible=False, origin=TargetOrigin.EDIT),
            assessed("e", score=0.7),
            assessed("f", score=0.6, eligible=False, origin=None),
        ]
    )
    store.mark_learned(["b"], version="v1.0", at=NOON)
    store.set_excluded("e", excluded=True)
    assert store.counts() == MaterialCounts(
        conversations=6, eligible_new=2, eligible_new_quality=0.6, taught_new=1, learned=1, excluded=1
    )
    store.set_excluded("e", excluded=True)
    store.set_excluded("e", excluded=False)
    store.forget("a")
    assert store.counts() == MaterialCounts(
        conversations=5, eligible_new=2, eligible_new_quality=0.5, taught_new=0, learned=1, excluded=0
    )


def test_new_candidates_come_best_first_and_the_newest_of_equals_first(store: SqliteConversations):
    scores = {"a": 0.2, "b": 0.9, "c": 0.5, "d": 0.9, "e": 1.0, "f": 0.0}
    store.add([assessed(name, score=score) for name, score in scores.items()])
    store.add([assessed("not", score=1.0, eligible=False)])
    assert ids(store) == ["e", "d", "b", "c", "a", "f"]
    assert ids(store, limit=2) == ["e", "d"]
    assert ids(store, limit=0) == []


def test_a_candidate_carries_what_planning_needs(store: SqliteConversations):
    store.add(
        [
            assessed(
                "a",
                score=0.75,
                origin=TargetOrigin.APPROVED,
                split=Split.VALIDATION,
                topic="pets",
                signature=b"sig",
                source="chat",
                created_at=later(3),
            )
        ]
    )
    (candidate,) = store.candidates(learned=False)
    whole = store.get("a")
    assert (candidate.id, candidate.content_hash, candidate.source) == ("a", whole.content_hash, "chat")
    assert (candidate.topic, candidate.created_at, candidate.score) == ("pets", later(3), 0.75)
    assert (candidate.origin, candidate.split) == (TargetOrigin.APPROVED, Split.VALIDATION)
    assert (candidate.characters, candidate.signature) == (whole.characters, b"sig")
    assert candidate.learned_at is None


def test_candidates_with_equal_ranks_cross_pages_without_loss(store: SqliteConversations):
    count = 2500
    store.add([assessed(f"c{number}", score=0.5 if number % 3 else 0.6) for number in range(count)])
    found = ids(store)
    assert len(found) == len(set(found)) == count
    assert found[:834] == [f"c{number}" for number in range(2499, -1, -3)]
    assert found[834:] == [f"c{number}" for number in range(2499, -1, -1) if number % 3]
    assert ids(store, limit=1500) == found[:1500]
    store.mark_learned(found, version="v1.0", at=NOON)
    assert ids(store) == []
    assert ids(store, learned=True) == [f"c{number}" for number in range(2499, -1, -1)]


def test_learned_candidates_come_newest_first(store: SqliteConversations):
    store.add([assessed(name) for name in "abcd"])
    store.mark_learned(["b", "c"], version="v1.0", at=later(1))
    store.mark_learned(["a"], version="v1.1", at=later(2))
    found = list(store.candidates(learned=True))
    assert [(one.id, one.learned_at) for one in found] == [("a", later(2)), ("c", later(1)), ("b", later(1))]
    store.set_excluded("a", excluded=True)
    assert ids(store, learned=True) == ["c", "b"]
    assert ids(store) == ["d"]


def test_iterating_does_not_keep_anybody_from_writing(store: SqliteConversations, tmp_path: Path):
    store.add([assessed(f"c{number}", created_at=later(number)) for number in range(1500)])
    candidates, export = store.candidates(learned=False), store.export()
    next(candidates)
    next(export)
    store.set_excluded("c3", excluded=True)
    with Database.open(tmp_path / "store" / "allie.sqlite", busy_timeout_seconds=0.05) as other:
        SqliteConversations(other).set_excluded("c4", excluded=True)
        assert other.checkpoint()
    assert len(list(candidates)) == 1499 - 2
    assert len(list(export)) == 1499


def test_a_rollback_makes_material_new_again_and_can_be_undone(store: SqliteConversations):
    store.add([assessed(name) for name in "abc"])
    store.mark_learned(["c", "a", "gone"], version="v1.0", at=NOON)
    store.mark_learned(["b"], version="v1.1", at=later(1))
    assert store.learned_by("v1.0") == ("a", "c")
    assert [row.id for row in store.rows() if row.learned] == ["c", "b", "a"]
    store.unmark_learned(version="v1.0")
    assert ids(store) == ["c", "a"]
    assert store.learned_by("v1.0") == ("a", "c")
    assert store.counts().learned == 1
    store.mark_learned(store.learned_by("v1.0"), version="v1.0", at=later(2))
    assert ids(store) == []
    assert store.learned_by("v9.9") == ()


def test_what_two_versions_learnt_stays_learnt_when_one_is_rolled_back(store: SqliteConversations):
    store.add([assessed("a")])
    store.mark_learned(["a"], version="v1.0", at=NOON)
    store.mark_learned(["a"], version="v1.1", at=later(5))
    store.unmark_learned(version="v1.1")
    (candidate,) = store.candidates(learned=True)
    assert candidate.learned_at == NOON


def test_a_correction_after_learning_is_new_material(store: SqliteConversations, now: Now):
    store.add([assessed("a", user("Name?"), reply("Rex."))])
    store.mark_learned(["a"], version="v1.0", at=NOON)
    now.time = later(1)
    store.replace(assessed("a", user("Name?"), reply("Rex.", correction="Bello."), origin=TargetOrigin.EDIT))
    assert ids(store) == ["a"]
    assert store.counts().taught_new == 1
    store.mark_learned(["a"], version="v1.1", at=later(2))
    assert ids(store) == []


def test_a_new_score_alone_is_no_new_material(store: SqliteConversations, now: Now):
    store.add([assessed("a", score=0.5)])
    store.mark_learned(["a"], version="v1.0", at=NOON)
    now.time = later(1)
    store.replace(assessed("a", score=0.6, topic="other"))
    assert ids(store) == []
    assert store.counts().learned == 1


def test_a_correction_between_plan_and_deployment_is_not_taken_for_learnt(
    store: SqliteConversations, now: Now
):
    store.add([assessed("a", user("Name?"), reply("Rex.")), assessed("b")])
    now.time = later(10)
    store.replace(assessed("a", user("Name?"), reply("Rex.", correction="Bello."), origin=TargetOrigin.EDIT))
    store.mark_learned(["a", "b"], version="v1.0", at=later(30), as_of=later(5))
    assert ids(store) == ["a"]
    assert store.learned_by("v1.0") == ("a", "b")
    store.unmark_learned(version="v1.0")
    store.mark_learned(["a", "b"], version="v1.0", at=later(60))
    assert ids(store) == ["a"]


def test_ratings_are_set_changed_and_cleared(store: SqliteConversations):
    store.add([assessed("a", user("Q"), reply("A"), user("Q2"), reply("B", correction="C"))])
    store.rate("a", 1, 1)
    store.rate("a", 3, -1)
    assert [turn.rating for turn in store.get("a").conversation.turns] == [None, 1, None, -1]
    store.rate("a", 1, -1)
    store.rate("a", 3, None)
    assert store.get("a").conversation.turns[1:] == (
        reply("A", rating=-1),
        user("Q2"),
        reply("B", correction="C"),
    )
    store.rate("a", 1, None)
    assert store.get("a").conversation.turns[1] == reply("A")


@pytest.mark.parametrize("turn_index", [0, 2, -1, 10**6])
def test_only_replies_can_be_rated(store: SqliteConversations, turn_index: int):
    store.add([assessed("a")])
    with pytest.raises(BadInputError) as caught:
        store.rate("a", turn_index, 1)
    assert caught.value.message == f"Turn {turn_index} of conversation a is not a reply."


def test_a_rating_is_one_of_two_numbers(store: SqliteConversations):
    store.add([assessed("a")])
    with pytest.raises(BadInputError, match="5 is not a rating"):
        store.rate("a", 1, 5)  # type: ignore[arg-type]


def test_what_names_no_conversation_is_refused_everywhere(store: SqliteConversations):
    store.add([assessed("abc")])
    with pytest.raises(UnknownConversationError):
        store.rate("ab", 1, 1)
    with pytest.raises(UnknownConversationError):
        store.replace(assessed("ab"))
    with pytest.raises(UnknownConversationError):
        store.set_excluded("ab", excluded=True)
    with pytest.raises(UnknownConversationError):
        store.forget("ab")
    assert store.counts().conversations == 1


def test_replacing_rewrites_turns_feedback_and_assessment(store: SqliteConversations):
    store.add([assessed("a", user("one"), reply("two", rating=1), user("three"), reply("four"), title="T")])
    store.set_excluded("a", excluded=True)
    shorter = assessed("a", user("uno"), reply("two"), score=0.9, extra={"k": 1}, created_at=later(1))
    store.replace(shorter)
    assert store.get("a") == shorter
    assert [row.id for row in store.rows(search="uno")] == ["a"]
    assert store.rows(search="three") == ()
    assert store.rows()[0].excluded
    longer = assessed("a", user("uno"), reply("due"), user("tre"))
    store.replace(longer)
    assert store.get("a") == longer


def test_replacing_may_make_two_conversations_equal(store: SqliteConversations):
    store.add([assessed("a", user("Hi"), reply("Ho")), assessed("b", user("Hi"), reply("Hm"))])
    store.replace(assessed("b", user("Hi"), reply("Ho")))
    assert store.add([assessed("b", user("Hi"), reply("Ho", rating=1))]) == AddResult(
        added=0, duplicates=0, updated=1
    )
    assert store.get("b").conversation.turns[1].rating == 1
    assert store.get("a").conversation.turns[1].rating is None


def test_lines_come_newest_first_and_page(store: SqliteConversations):
    store.add([assessed(f"c{n}", created_at=later(n), source="chat" if n % 2 else "api") for n in range(10)])
    assert [row.id for row in store.rows(limit=3)] == ["c9", "c8", "c7"]
    assert [row.id for row in store.rows(limit=3, offset=8)] == ["c1", "c0"]
    assert [row.id for row in store.rows(source="api")] == ["c8", "c6", "c4", "c2", "c0"]
    assert store.rows(source="nobody") == ()
    assert store.rows(limit=0) == store.rows(limit=-1) == store.rows(offset=100) == ()
    assert len(store.rows(offset=-5)) == 10


def test_a_line_tells_what_became_of_a_conversation(store: SqliteConversations):
    store.add([assessed("a", title="A title", score=0.25, eligible=False)])
    assert store.rows() == (
        ConversationRow(
            id="a",
            created_at=NOON,
            source="chatgpt",
            title="A title",
            turns=2,
            score=0.25,
            eligible=False,
            excluded=False,
            learned=False,
        ),
    )


def test_a_line_without_title_shows_the_first_question(store: SqliteConversations):
    store.add(
        [
            assessed("a", reply("Welcome."), user("How  do\nI bake?"), reply("So.")),
            assessed("b", user("word " * 100), reply("So."), title=""),
        ]
    )
    titles = {row.id: row.title for row in store.rows()}
    assert titles["a"] == "How do I bake?"
    assert titles["b"] == "word " * 15 + "word…"


def test_an_export_is_oldest_first_and_may_be_of_one_source(store: SqliteConversations):
    store.add(
        [
            assessed(f"c{n}", created_at=later(-(n // 3)), source="chat" if n % 2 else "api")
            for n in range(2100)
        ]
    )
    exported = list(store.export())
    assert len(exported) == 2100
    assert [one.created_at for one in exported] == sorted(one.created_at for one in exported)
    assert len({one.id for one in exported}) == 2100
    assert {one.source for one in store.export(source="api")} == {"api"}
    assert len(list(store.export(source="api"))) == 1050
    assert list(store.export(source="nobody")) == []


def test_an_export_leaves_out_what_is_forgotten_on_the_way(store: SqliteConversations):
    store.add([assessed(f"c{n}", user("x" * 600_000), reply(f"{n}"), created_at=later(n)) for n in range(4)])
    export = store.export()
    assert next(export).id == "c0"
    store.forget("c2")
    assert [one.id for one in export] == ["c1", "c3"]


def test_a_batch_that_fails_in_the_middle_leaves_nothing(store: SqliteConversations):
    bad = replace(assessed("bad"), quality=Quality(score=float("nan")))
    with pytest.raises(sqlite3.IntegrityError):
        store.add([assessed(f"c{n}") for n in range(20)] + [bad])
    assert store.counts().conversations == 0
    assert store.rows(search="c1") == ()


def test_roles_come_back_as_roles(store: SqliteConversations):
    store.add([assessed("a", user("q"), reply("r"))])
    assert [turn.role for turn in store.get("a").conversation.turns] == [Role.USER, Role.ASSISTANT]

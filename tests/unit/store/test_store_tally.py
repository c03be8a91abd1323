"""Whatever happens to conversations, the counters equal a recount, and the store equals a plain model of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from allie_desktop.domain.ports import Assessed, MaterialCounts
from allie_desktop.domain.quality import TAUGHT_ORIGINS, TargetOrigin
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database
from tests.unit.store.store_samples import NOON, assessed, later, reply, target, user

IDS = [f"c{number}" for number in range(6)]
VERSIONS = ["v1.0", "v1.1", "v1.2"]

ids = st.sampled_from(IDS)
versions = st.sampled_from(VERSIONS)
scores = st.floats(0, 1)
origins = st.none() | st.sampled_from(list(TargetOrigin))


@st.composite
def conversations(draw: st.DrawFn, conversation_id: str) -> Assessed:
    """A conversation whose content belongs to its id, so that no other id can have it."""
    length = draw(st.integers(1, 3))
    turns = [
        turn
        for number in range(length)
        for turn in (
            user(f"{conversation_id} asks {number}"),
            reply("so", rating=draw(st.sampled_from([None, 1, -1]))),
        )
    ]
    origin = draw(origins)
    return assessed(
        conversation_id,
        *turns,
        score=draw(scores),
        eligible=draw(st.booleans()),
        origin=origin,
        targets=() if origin is None else (target(draw(st.sampled_from(["so", "else"])), 1, origin=origin),),
    )


@dataclass(frozen=True)
class Known:
    """What the store should know of a conversation. ``learned`` maps versions to at, as_of and revoked."""

    assessed: Assessed
    excluded: bool = False
    changed_minute: float = -(10.0**6)
    learned: tuple[tuple[str, float, float, bool], ...] = ()

    @property
    def learned_minute(self) -> float | None:
        counting = [
            at for _, at, as_of, revoked in self.learned if not revoked and as_of >= self.changed_minute
        ]
        return max(counting, default=None)

    @property
    def is_new(self) -> bool:
        return self.assessed.quality.eligible and not self.excluded and self.learned_minute is None


def lesson(one: Assessed) -> list[tuple[object, ...]]:
    return [(each.turn_index, each.text, each.origin) for each in one.targets]


class Store(RuleBasedStateMachine):
    """Random operations on a real store, each also done on plain objects."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="allie-tally-"))
        self.minute = 0.0
        self.database = Database.open(self.folder / "allie.sqlite", now=lambda: later(self.minute))
        self.database.connection.execute("PRAGMA synchronous=OFF")
        self.store = SqliteConversations(self.database)
        self.model: dict[str, Known] = {}

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.check(full=True)
            self.database.close()
            shutil.rmtree(self.folder)

    def rewrite(self, one: Assessed) -> None:
        known = self.model[one.conversation.id]
        changed = self.minute if lesson(known.assessed) != lesson(one) else known.changed_minute
        self.model[one.conversation.id] = replace(known, assessed=one, changed_minute=changed)

    @rule(data=st.data(), batch=st.lists(ids, max_size=4, unique=True))
    def add(self, data: st.DataObject, batch: list[str]) -> None:
        self.minute += 1
        drawn = [data.draw(conversations(one)) for one in batch]
        result = self.store.add(drawn)
        assert result.added + result.duplicates + result.updated == len(batch)
        for one in drawn:
            known = self.model.get(one.conversation.id)
            if known is None:
                self.model[one.conversation.id] = Known(assessed=one)
                continue
            old, new = known.assessed.conversation.turns, one.conversation.turns
            merged = tuple(
                replace(turn, rating=old[position].rating if turn.rating is None else turn.rating)
                if position < len(old)
                else turn
                for position, turn in enumerate(new)
            )
            if len(new) > len(old) or (len(new) == len(old) and merged != old):
                self.rewrite(replace(one, conversation=replace(one.conversation, turns=merged)))

    @rule(data=st.data(), one=ids)
    def replace(self, data: st.DataObject, one: str) -> None:
        if one in self.model:
            self.minute += 1
            drawn = data.draw(conversations(one))
            self.store.replace(drawn)
            self.rewrite(drawn)

    @rule(one=ids, rating=st.sampled_from([None, 1, -1]))
    def rate(self, one: str, rating: int | None) -> None:
        if one in self.model:
            self.store.rate(one, 1, rating)  # type: ignore[arg-type]
            known = self.model[one]
            turns = known.assessed.conversation.turns
            turns = (turns[0], replace(turns[1], rating=rating), *turns[2:])
            conversation = replace(known.assessed.conversation, turns=turns)
            self.model[one] = replace(known, assessed=replace(known.assessed, conversation=conversation))

    @rule(one=ids, excluded=st.booleans())
    def exclude(self, one: str, *, excluded: bool) -> None:
        if one in self.model:
            self.store.set_excluded(one, excluded)
            self.model[one] = replace(self.model[one], excluded=excluded)

    @rule(some=st.lists(ids, max_size=4), version=versions, ago=st.integers(0, 5))
    def learn(self, some: list[str], version: str, ago: int) -> None:
        self.minute += 1
        as_of = self.minute - ago
        self.store.mark_learned(some, version=version, at=later(self.minute), as_of=later(as_of))
        for one in set(some) & set(self.model):
            known = self.model[one]
            others = tuple(entry for entry in known.learned if entry[0] != version)
            before = [entry[2] for entry in known.learned if entry[0] == version]
            entry = (version, self.minute, min([as_of, *before]), False)
            self.model[one] = replace(known, learned=(*others, entry))

    @rule(version=versions)
    def roll_back(self, version: str) -> None:
        self.store.unmark_learned(version=version)
        for one, known in self.model.items():
            entries = tuple((*entry[:3], entry[3] or entry[0] == version) for entry in known.learned)
            self.model[one] = replace(known, learned=entries)

    @rule(one=ids)
    def forget(self, one: str) -> None:
        if one in self.model:
            versions = self.store.forget(one)
            assert versions == tuple(sorted({entry[0] for entry in self.model.pop(one).learned}))

    @invariant()
    def the_tally_equals_a_recount(self) -> None:
        if not hasattr(self, "database"):
            return
        connection = self.database.connection
        names = [row[1] for row in connection.execute("PRAGMA table_info(recount)")]
        kept = connection.execute(f"SELECT {', '.join(names)} FROM tally").fetchall()
        assert kept == connection.execute("SELECT * FROM recount").fetchall()

    @invariant()
    def the_counts_equal_the_models(self) -> None:
        if not hasattr(self, "database"):
            return
        counts = self.store.counts()
        new = [known for known in self.model.values() if known.is_new]
        mean = sum(known.assessed.quality.score for known in new) / len(new) if new else 0.0
        assert abs(counts.eligible_new_quality - mean) < 1e-8
        assert replace(counts, eligible_new_quality=0.0) == MaterialCounts(
            conversations=len(self.model),
            eligible_new=len(new),
            eligible_new_quality=0.0,
            taught_new=sum(known.assessed.best_origin in TAUGHT_ORIGINS for known in new),
            learned=sum(known.learned_minute is not None for known in self.model.values()),
            excluded=sum(known.excluded for known in self.model.values()),
        )

    @invariant()
    def the_candidates_equal_the_models(self) -> None:
        if not hasattr(self, "database"):
            return
        found = list(self.store.candidates(learned=False))
        assert {one.id for one in found} == {one for one, known in self.model.items() if known.is_new}
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        learned = {one.id: one.learned_at for one in self.store.candidates(learned=True)}
        assert learned == {
            one: later(known.learned_minute)
            for one, known in self.model.items()
            if known.learned_minute is not None and known.assessed.quality.eligible and not known.excluded
        }

    @invariant()
    def the_conversations_equal_the_models(self) -> None:
        if not hasattr(self, "database"):
            return
        assert self.store.get_many(IDS) == {one: known.assessed for one, known in sorted(self.model.items())}
        for version in VERSIONS:
            assert set(self.store.learned_by(version)) == {
                one
                for one, known in self.model.items()
                if any(entry[0] == version for entry in known.learned)
            }
        assert {row.id for row in self.store.rows(search="asks")} == set(self.model)


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


def test_scores_never_drift(tmp_path: Path):
    """Floating sums would: ten thousand times in and out leaves a residue."""
    with Database.open(tmp_path / "allie.sqlite", now=lambda: NOON) as database:
        connection = database.connection
        store = SqliteConversations(database)
        store.add([assessed(f"c{number}", score=number / 7 % 1) for number in range(50)])
        for step in range(40):
            with database.transaction():
                connection.execute("UPDATE conversations SET excluded = (key + ?) % 3 = 0", (step,))
        connection.execute("UPDATE conversations SET excluded = 1")
        counts = store.counts()
        assert (counts.eligible_new, counts.eligible_new_quality) == (0, 0.0)

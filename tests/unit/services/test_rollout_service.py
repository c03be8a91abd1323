"""Roll-outs begun, led on, taken back, and routed by; over a real store and real version folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from allie_desktop.domain.chat import Exchange
from allie_desktop.domain.conversation import Role
from allie_desktop.domain.errors import StoreBusyError
from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.domain.planning import Message
from allie_desktop.domain.rollout import Stage as Step
from allie_desktop.domain.rollout import chance
from allie_desktop.domain.settings import Preferences, Rollout
from allie_desktop.domain.versions import BASE
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.services.recording import RecordingService
from allie_desktop.services.rollout import BASE_ALERT, ROLLBACK_ALERT
from allie_desktop.services.routing import RolloutRouter
from allie_desktop.store.rollout_file import RolloutFile
from tests.episode_stage import Stage, quick_folder


class House:
    """A stage with recording and routing on it."""

    def __init__(self, home: Path) -> None:
        self.stage = Stage(home)
        stage = self.stage
        self.recorder = RecordingService(
            stage.exchanges,
            stage.conversations,
            collector=Collector(
                stage.conversations,
                toxicity=LexiconToxicity(),
                near_duplicates=MinHashNearDuplicates(),
                clock=stage.clock,
            ),
            preferences=lambda: stage.preferences,
            clock=stage.clock,
        )
        self.router = RolloutRouter(
            versions=stage.versions,
            records=stage.rollout_file,
            begun_on=self.recorder.begun_on,
            fail=stage.rollout.fail,
        )
        self.count = 0

    @property
    def active(self) -> str:
        return self.stage.versions.pointer().active

    @property
    def step(self) -> Step:
        record = self.stage.rollout_file.read()
        assert record is not None
        return record.stage

    def learn(self, conversation_id: str, *, asked: bool = False) -> str:
        self.stage.conversation_ids = (conversation_id,)
        result = self.stage.orchestrator.run_episode("because", asked=asked)
        assert result.outcome is EpisodeState.COMPLETED
        assert result.version is not None
        return result.version

    def past(self, **time: float) -> None:
        self.stage.clock.seconds += timedelta(**time).total_seconds()

    def chat(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        rating: int | None = None,
        **changes: str,
    ) -> str:
        """Let somebody ask one thing in a conversation; return the version that answered."""
        self.count += 1
        name = name or f"chat-{self.count}"
        known = self.stage.conversations.get_many([name])
        turns = known[name].conversation.turns if name in known else ()
        messages = (
            *(Message(role=turn.role, content=turn.content) for turn in turns),
            Message(role=Role.USER, content=f"Question {self.count}?"),
        )
        version = version or self.router.choose(name, messages)
        exchange = Exchange(
            response_id=f"chatcmpl-{self.count}",
            conversation_id=name,
            source="chat",
            messages=messages,
            reply=f"Answer {self.count}.",
            version=version,
            finish_reason="stop",
            started_at=self.stage.clock.now(),
            first_token_seconds=0.1,
            seconds=1.0,
        )
        self.recorder.record(replace(exchange, **changes))  # type: ignore[arg-type]
        if rating in (1, -1):
            self.recorder.feedback(exchange.response_id, rating=rating, correction=None)
        return version

    def alerts(self) -> list[tuple[str, str]]:
        return [(alert.key, alert.message) for alert in self.stage.alerts.open()]

    def damage(self, version: str) -> None:
        weights = Path(self.stage.versions.get(version).path) / "adapter_model.safetensors"
        weights.chmod(0o600)
        weights.write_bytes(b"spoiled")


@pytest.fixture
def house() -> Iterator[House]:
    with quick_folder() as home:
        house = House(home)
        yield house
        house.stage.close()


def of_share(house: House, version: str, *, inside: bool) -> str:
    """Return a conversation that belongs, or does not belong, to the new version's first tenth."""
    return next(
        name
        for name in (f"new-{number}" for number in range(1000))
        if (chance(version, name) < 0.1) is inside
    )


ASKED = (Message(role=Role.USER, content="Hello?"),)


# --- beginning ---


def test_a_new_version_gets_its_first_share_of_new_conversations(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")

    assert (house.active, house.step) == ("v1.1", Step.FIRST)
    assert house.router.wanted() == ("v1.0", "v1.1")
    assert house.router.choose(of_share(house, "v1.1", inside=True), ASKED) == "v1.1"
    assert house.router.choose(of_share(house, "v1.1", inside=False), ASKED) == "v1.0"
    chosen = [house.router.choose(f"x{number}", ASKED) for number in range(1000)]
    assert 60 < chosen.count("v1.1") < 140


@pytest.mark.parametrize("how", ["the person asked", "the person wants it so"])
def test_at_once_everybody_has_it(house: House, how: str) -> None:
    house.learn("c1", asked=True)
    house.chat("old")
    if how == "the person wants it so":
        house.stage.preferences = Preferences(rollout=Rollout.AT_ONCE)
    house.learn("c2", asked=how == "the person asked")

    assert house.step is Step.PROBATION
    assert house.router.wanted() == ("v1.1",)
    assert house.chat("old") == "v1.1"
    assert house.chat() == "v1.1"


def test_an_episode_that_goes_on_later_still_knows_that_the_person_asked(house: House) -> None:
    house.stage.conversation_ids = ("c1",)
    house.stage.probe.error = StoreBusyError("The store is busy.")
    assert house.stage.orchestrator.run_episode("because", forced=True).outcome is EpisodeState.YIELDED
    house.stage.probe.error = None
    result = house.stage.orchestrator.run_episode("again")

    assert (result.version, house.step) == ("v1.0", Step.PROBATION)
    assert "asked" not in result.metrics
    assert "asked" not in house.stage.versions.get("v1.0").metadata.metrics


def test_a_record_of_a_version_that_never_became_active_means_nothing(house: House) -> None:
    house.learn("c1", asked=True)
    house.stage.rollout.begin("v1.1", "v1.0", at_once=False)

    assert house.router.wanted() == ("v1.0",)
    assert house.stage.rollout.review() is None
    assert house.stage.rollout.status() is None


# --- going on ---


def test_conversations_stay_with_the_version_that_they_began_on(house: House) -> None:
    house.learn("c1", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    outside, inside = (of_share(house, "v1.1", inside=inside) for inside in (False, True))
    house.chat("before")
    house.learn("c2")
    assert (house.chat("before"), house.chat(outside), house.chat(inside)) == ("v1.0", "v1.0", "v1.1")

    for step in (Step.SECOND, Step.PROBATION):
        house.past(days=1.1)
        assert house.stage.rollout.review() is not None
        assert house.step is step
        assert (house.chat("before"), house.chat(outside), house.chat(inside)) == ("v1.0", "v1.0", "v1.1")
    assert house.router.wanted() == ("v1.1", "v1.0")
    assert house.chat() == "v1.1"

    house.past(days=3.1)
    house.stage.rollout.review()
    assert house.step is Step.HEALTHY
    assert house.router.wanted() == ("v1.1",)
    assert house.chat("before") == "v1.1"


def test_a_program_that_names_no_conversation_stays_with_its_version_too(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    for number in range(40):
        asked = (Message(role=Role.USER, content=f"Question {number} of a program?"),)
        first = house.router.choose(None, asked)
        later = (
            *asked,
            Message(role=Role.ASSISTANT, content="Answer."),
            Message(role=Role.USER, content="And?"),
        )
        assert house.router.choose(None, later) == first


def test_good_evidence_makes_it_go_on_sooner(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    for number in range(10):
        house.chat(f"n{number % 4}", version="v1.1", rating=1)
    house.past(minutes=31)
    house.stage.rollout.review()
    assert house.step is Step.SECOND


def test_a_store_that_is_busy_keeps_nobody_from_an_answer(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")

    def busy(_: str | None, __: Sequence[Message]) -> str | None:
        raise StoreBusyError("The store is busy.")

    router = RolloutRouter(
        versions=house.stage.versions,
        records=house.stage.rollout_file,
        begun_on=busy,
        fail=house.stage.rollout.fail,
    )
    assert router.choose(of_share(house, "v1.1", inside=True), ASKED) == "v1.1"


def test_what_is_wanted_is_read_once_until_something_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.learn("c1", asked=True)
    reads = []
    read = RolloutFile.read
    monkeypatch.setattr(RolloutFile, "read", lambda self: (reads.append(1), read(self))[1])
    for _ in range(5):
        assert house.router.wanted() == ("v1.0",)
    assert len(reads) == 1
    house.stage.deployment.rollback()
    reads.clear()
    assert house.router.wanted() == (BASE,)
    assert len(reads) == 1


# --- going back ---


def test_worse_feedback_takes_it_back_by_itself_and_tells_the_person_once(house: House) -> None:
    house.learn("c1", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    for _ in range(40):
        house.chat(version="v1.0", rating=1)
    house.learn("c2")
    for _ in range(12):
        house.chat(version="v1.1", rating=-1)
    for _ in range(3):
        house.stage.rollout.review()

    assert house.active == "v1.0"
    assert house.router.wanted() == ("v1.0",)
    assert house.alerts() == [
        (
            ROLLBACK_ALERT,
            (
                "v1.1 was undone: 12 of its 12 replies were disliked or wanted anew, of the version before "
                "0 of 40. v1.0 answers again."
            ),
        )
    ]
    assert "c2" not in house.stage.conversations.learned_by("v1.0")
    assert house.stage.learned() == 1
    status = house.stage.rollout.status()
    assert status is not None
    assert status.words.startswith("v1.1 was undone: 12 of its 12 replies")


def test_replies_that_fail_take_it_back(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2", asked=True)
    for reason, reply in (("error", ""), ("stop", ""), ("length", "So it is. " * 20)):
        house.chat(version="v1.1", finish_reason=reason, reply=reply)
    house.stage.rollout.review_if_due()
    assert house.active == "v1.0"


def test_a_version_that_does_not_load_is_taken_back_at_once(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    house.router.failed("v1.1", "It cannot be loaded.")
    house.router.failed("v1.1", "It cannot be loaded.")  # by another thread, at the same time

    assert (house.active, house.step) == ("v1.0", Step.ROLLED_BACK)
    assert house.alerts() == [(ROLLBACK_ALERT, "v1.1 was undone: It cannot be loaded. v1.0 answers again.")]


def test_a_version_that_proved_itself_can_still_fail(house: House) -> None:
    house.learn("c1", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    house.learn("c2", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    assert house.step is Step.HEALTHY
    house.router.failed("v1.1", "It cannot be loaded.")
    assert house.active == "v1.0"


def test_damaged_files_are_noticed_and_the_soundest_takes_over(house: House) -> None:
    for conversation_id in ("c1", "c2", "c3"):
        house.learn(conversation_id, asked=True)
    house.damage("v1.2")
    house.damage("v1.1")
    house.stage.rollout.review()

    assert house.active == "v1.0"
    assert house.router.choose("anybody", ASKED) == "v1.0"
    house.damage("v1.0")
    house.router.failed("v1.0", "It is damaged.")
    assert house.active == BASE


def test_when_the_old_version_fails_the_new_one_answers_alone(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    house.chat("before", version="v1.0")
    house.router.failed("v1.0", "It cannot be loaded.")

    assert (house.active, house.step) == ("v1.1", Step.PROBATION)
    assert house.router.wanted() == ("v1.1",)
    assert house.chat("before") == "v1.1"
    assert house.alerts() == [(ROLLBACK_ALERT, "v1.0 does not answer any more. It cannot be loaded.")]
    house.router.failed("v1.1", "That one too.")
    assert house.active == BASE


def test_the_base_model_cannot_be_taken_back(house: House) -> None:
    house.router.failed(BASE, "It is not there.")
    assert house.active == BASE
    assert house.alerts() == [(BASE_ALERT, "The base model does not answer. It is not there.")]


def test_a_pinned_version_that_fails_changes_nothing(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    house.router.failed("v1.0", "It cannot be loaded.")
    assert (house.active, house.alerts()) == ("v1.1", [])


def test_a_roll_back_that_was_cut_off_counts_and_is_finished(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    record = house.stage.rollout_file.read()
    assert record is not None
    house.stage.rollout_file.write(
        replace(record, stage=Step.ROLLED_BACK, share=0.0, automatic=True, reason="It did worse.")
    )
    assert house.router.wanted() == ("v1.0",)
    house.stage.deployment.reconcile()
    assert house.active == "v1.0"
    assert house.alerts() == [(ROLLBACK_ALERT, "v1.1 was undone: It did worse. v1.0 answers again.")]


# --- the person decides ---


def test_the_person_goes_back_and_forth_without_being_contradicted(house: House) -> None:
    house.learn("c1", asked=True)
    house.learn("c2")
    for target in ("v1.0", "v1.1", BASE, "v1.1", "v1.0"):
        house.stage.deployment.rollback(target)
        house.stage.rollout.review()
        house.past(days=5)
        house.stage.rollout.review()
        assert house.active == target
        assert house.router.wanted() == (target,)
    assert house.alerts() == []
    status = house.stage.rollout.status()
    assert status is not None
    assert status.words == "You chose v1.0 instead of v1.1."


# --- told ---


def test_each_stage_is_told_in_words(house: House) -> None:
    assert house.stage.rollout.status() is None
    house.learn("c1", asked=True)
    house.past(days=4)
    house.stage.rollout.review()
    house.learn("c2")
    house.chat(version="v1.1", rating=-1)
    house.chat(version="v1.1")
    status = house.stage.rollout.status()
    assert status is not None
    assert status.words == (
        "v1.1 answers 10% of new conversations while it proves itself, v1.0 answers the others. "
        "So far: 2 replies, 1 of them disliked or wanted anew."
    )
    house.past(days=4)
    house.stage.rollout.review()
    house.past(days=4)
    house.stage.rollout.review()
    status = house.stage.rollout.status()
    assert status is not None
    assert status.words.startswith("v1.1 is watched until 2026-03-1")
    house.past(days=4)
    house.stage.rollout.review()
    status = house.stage.rollout.status()
    assert status is not None
    assert status.words == "v1.1 has proved itself."


def test_a_review_is_due_every_half_minute(house: House) -> None:
    house.learn("c1")
    house.stage.rollout.review_if_due()
    house.past(days=2)
    house.stage.rollout.review_if_due()
    assert house.step is Step.SECOND
    house.past(seconds=29)
    record = house.stage.rollout_file.read()
    assert record is not None
    house.stage.rollout_file.write(replace(record, stage_since=record.stage_since - timedelta(days=2)))
    house.stage.rollout.review_if_due()
    assert house.step is Step.SECOND
    house.past(seconds=1)
    house.stage.rollout.review_if_due()
    assert house.step is Step.PROBATION

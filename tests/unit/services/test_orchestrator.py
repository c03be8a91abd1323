"""An episode from trigger to verdict: what is persisted, retried, told, and left behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from allie_desktop.domain.errors import (
    DiskFullError,
    EpisodeBusyError,
    HeldError,
    OutOfMemoryError,
    StoreError,
)
from allie_desktop.domain.events import PhaseStarted, Stop, WorkerEvent
from allie_desktop.domain.judgement import Judgement, Margins, Verdict
from allie_desktop.domain.lifecycle import EpisodeState, Outcome
from allie_desktop.domain.planning import Plan, Recipe
from allie_desktop.domain.ports import Resources, WorkerResult
from allie_desktop.domain.versions import BASE
from allie_desktop.ipc.episode_lock import FileEpisodeLock
from allie_desktop.ipc.protocol import encode_document
from allie_desktop.services.attempts import WorkerLimits
from allie_desktop.services.episode_result import EpisodeResult
from tests.episode_stage import (
    Run,
    Script,
    ScriptedWorker,
    Stage,
    crash,
    fail,
    get_lost,
    make_it_worse,
    make_report,
    obey,
    quick_folder,
    succeed,
)

PLANNED, PREPARING, TRAINING, VALIDATING, DEPLOYING, COMPLETED, YIELDED, FAILED, REJECTED, STOPPED = (
    EpisodeState
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with quick_folder() as home:
        stage = Stage(home)
        yield stage
        stage.close()


def with_scripts(stage: Stage, *scripts: Script) -> ScriptedWorker:
    worker = ScriptedWorker(*scripts)
    stage.worker = worker
    stage.join()
    return worker


# --- the straight way ---


def test_a_better_candidate_is_deployed(stage: Stage) -> None:
    result = stage.orchestrator.run_episode("50 new conversations")

    assert result == EpisodeResult(
        episode_id=result.episode_id,
        outcome=COMPLETED,
        version="v1.0",
        verdict="deploy",
        reasons=("It is better.",),
        metrics=result.metrics,
        seconds=1.0,
        phases={"prepare": 1.0, "train": 2.0, "validate": 3.0, "deploy": 0.0},
    )
    assert result.exit_code == 0
    assert stage.versions.pointer().active == "v1.0"
    assert stage.versions.pointer().fallback == BASE
    assert stage.learned() == 2
    assert stage.replay.members(holdout=False) == ("c1", "c2")
    assert stage.alerts.open() == ()


def test_every_state_is_persisted_in_order(stage: Stage) -> None:
    stage.orchestrator.run_episode("because")
    episode = stage.episode()

    assert stage.history() == [PLANNED, PREPARING, TRAINING, VALIDATING, DEPLOYING, COMPLETED]
    assert (episode.trigger, episode.conversations, episode.attempts, episode.parent) == (
        "because",
        2,
        1,
        None,
    )
    assert (episode.version, episode.verdict, episode.reasons) == ("v1.0", "deploy", ("It is better.",))


def test_a_state_is_persisted_before_its_step(stage: Stage) -> None:
    seen: list[EpisodeState] = []

    def look(run: Run) -> WorkerResult:
        seen.append(stage.episode().state)
        run.phases("prepare")
        seen.append(stage.episode().state)
        run.say(PhaseStarted(phase="train"))
        seen.append(stage.episode().state)
        run.say(PhaseStarted(phase="validate"))
        seen.append(stage.episode().state)
        run.write_result()
        return run.done()

    with_scripts(stage, look)
    stage.judge = lambda *_, **__: (
        seen.append(stage.episode().state),
        Judgement(verdict=Verdict.REJECT, reasons=("no",), checks=()),
    )[1]
    stage.orchestrator.run_episode("because")

    assert seen == [PREPARING, PREPARING, TRAINING, VALIDATING, VALIDATING]


def test_the_worker_is_given_the_sealed_plan_and_absolute_paths(stage: Stage) -> None:
    worker = with_scripts(stage, succeed)
    stage.limits = WorkerLimits(threads=3, device="cpu", low_priority=False)
    stage.join()
    stage.orchestrator.run_episode("because")
    job, plan = worker.jobs[0], worker.plans[0]

    assert Path(job.folder) == stage.home / "episodes" / job.episode_id
    assert Path(job.plan) == Path(job.folder) / "plan.json"
    assert (job.cache, job.parent_adapter, job.attempt) == (str(stage.home / "cache"), None, 1)
    assert (job.threads, job.device, job.low_priority) == (3, "cpu", False)
    assert stage.episode().plan_digest == job.plan_digest == plan.digest


def test_the_next_episode_continues_from_the_active_version(stage: Stage) -> None:
    worker = with_scripts(stage, succeed)
    stage.orchestrator.run_episode("first")
    stage.conversation_ids = ("c3",)
    result = stage.orchestrator.run_episode("second")

    assert result.version == "v1.1"
    assert worker.jobs[1].parent_adapter == stage.versions.get("v1.0").path
    assert stage.versions.get("v1.1").metadata.parent == "v1.0"
    assert stage.versions.pointer().fallback == "v1.0"
    assert stage.replay.members(holdout=False) == ("c1", "c2", "c3")


def test_the_metadata_of_a_version_tells_where_it_comes_from(stage: Stage) -> None:
    result = stage.orchestrator.run_episode("because")
    metadata = stage.versions.get("v1.0").metadata

    assert metadata.episode_id == result.episode_id
    assert metadata.plan_digest == stage.episode().plan_digest
    assert (metadata.conversations, metadata.software) == (2, {"allie": "0.1.0"})
    assert metadata.metrics == result.metrics
    assert "material" not in metadata.metrics


def test_the_numbers_of_an_episode_are_json(stage: Stage) -> None:
    metrics = stage.orchestrator.run_episode("because").metrics

    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["measures"] == {
        "new": {
            "unit": "nats/token",
            "items": 2,
            "lower_is_better": True,
            "base": 2.0,
            "active": 2.0,
            "candidate": 1.0,
        }
    }


def test_events_reach_whoever_watches(stage: Stage) -> None:
    stage.orchestrator.run_episode("because")

    assert [event.phase for event in stage.told if isinstance(event, PhaseStarted)] == [
        "prepare",
        "train",
        "validate",
    ]


def test_a_watcher_that_fails_does_not_cost_the_episode(stage: Stage) -> None:
    told = []

    def broken(event: WorkerEvent) -> None:
        told.append(event)
        raise BrokenPipeError

    stage.orchestrator._progress = broken

    assert stage.orchestrator.run_episode("because").outcome is COMPLETED
    assert len(told) == 1


def test_what_an_ended_episode_needs_no_more_is_removed(stage: Stage) -> None:
    def leave_much(run: Run) -> WorkerResult:
        checkpoints = Path(run.job.folder, "attempt-1", "checkpoints")
        checkpoints.mkdir(parents=True)
        (checkpoints / "big").write_bytes(b"0" * 1000)
        Path(run.job.folder, "worker.log").write_text("log")
        return succeed(run)

    with_scripts(stage, leave_much)
    result = stage.orchestrator.run_episode("because")
    folder = stage.files.folder(result.episode_id)

    assert sorted(entry.name for entry in folder.iterdir()) == [
        "job.json",
        "plan.json",
        "report.json",
        "worker.log",
    ]


# --- the gate ---


def test_a_worse_candidate_is_not_deployed(stage: Stage) -> None:
    with_scripts(stage, make_it_worse)
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.verdict, result.reasons) == (REJECTED, "reject", ("It is worse.",))
    assert (result.version, result.exit_code) == (None, 3)
    assert stage.history() == [PLANNED, PREPARING, TRAINING, VALIDATING, REJECTED]
    assert stage.versions.all() == ()
    assert stage.learned() == 0


def test_an_open_verdict_is_not_deployed_and_said_so(stage: Stage) -> None:
    stage.judge = lambda *_, **__: Judgement(
        verdict=Verdict.INCONCLUSIVE, reasons=("Nobody can tell.",), checks=()
    )
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.verdict, result.exit_code) == (REJECTED, "inconclusive", 3)


def test_the_judge_gets_the_seed_of_the_plan(stage: Stage) -> None:
    seeds = []
    stage.judge = lambda _, *, seed: (
        seeds.append(seed)
        or Judgement(  # type: ignore[func-returns-value]
            verdict=Verdict.REJECT, reasons=("no",), checks=()
        )
    )
    stage.orchestrator.run_episode("because")

    assert seeds == [7]


def test_material_that_was_turned_down_is_not_learnt_again_unasked(stage: Stage) -> None:
    with_scripts(stage, make_it_worse, succeed)
    stage.orchestrator.run_episode("because")

    with pytest.raises(HeldError, match="turned down or undone"):
        stage.orchestrator.run_episode("because")
    assert stage.episodes.count() == 1
    stage.conversation_ids = ("c1", "c2", "c3")
    assert stage.orchestrator.run_episode("more came").outcome is COMPLETED


def test_the_person_may_insist_on_material_that_was_turned_down(stage: Stage) -> None:
    with_scripts(stage, make_it_worse, succeed)
    stage.orchestrator.run_episode("because")

    assert stage.orchestrator.run_episode("you asked", forced=True).outcome is COMPLETED


def test_material_that_was_undone_is_not_learnt_again_unasked(stage: Stage) -> None:
    stage.orchestrator.run_episode("because")
    stage.deployment.rollback()

    assert stage.learned() == 0
    with pytest.raises(HeldError, match="turned down or undone"):
        stage.orchestrator.run_episode("because")


def test_a_judge_that_breaks_fails_the_episode_once(stage: Stage) -> None:
    def broken(*_: object, **__: object) -> Judgement:
        raise ZeroDivisionError

    stage.judge = broken
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is FAILED
    assert result.reasons == ("The result could not be judged (ZeroDivisionError).",)
    assert stage.episodes.unfinished() == ()


# --- before it begins ---


def test_without_new_material_nothing_begins(stage: Stage) -> None:
    stage.conversation_ids = ()

    with pytest.raises(HeldError, match="nothing new"):
        stage.orchestrator.run_episode("because")
    assert stage.episodes.count() == 0
    assert stage.files.ids() == ()


def test_without_memory_nothing_begins(stage: Stage) -> None:
    stage.free = Resources(memory_bytes=10**8, disk_bytes=10**12)

    with pytest.raises(HeldError, match=r"about 1\.0 GB of memory, and 0\.1 GB are free"):
        stage.orchestrator.run_episode("because")
    assert stage.episodes.count() == 0


def test_without_disk_space_nothing_begins(stage: Stage) -> None:
    stage.free = Resources(memory_bytes=None, disk_bytes=10**8)

    with pytest.raises(DiskFullError, match=r"1\.0 GB of disk space, and 0\.1 GB are free"):
        stage.orchestrator.run_episode("because")
    assert stage.episodes.count() == 0


def test_memory_that_nobody_can_measure_holds_nothing_up(stage: Stage) -> None:
    stage.free = Resources(memory_bytes=None, disk_bytes=10**12)

    assert stage.orchestrator.run_episode("because").outcome is COMPLETED


def test_two_episodes_at_once_are_refused(stage: Stage) -> None:
    with FileEpisodeLock(stage.home).hold(), pytest.raises(EpisodeBusyError, match="learning already"):
        stage.orchestrator.run_episode("because")
    assert stage.episodes.count() == 0
    assert stage.orchestrator.run_episode("because").outcome is COMPLETED


# --- failures and further attempts ---


def test_out_of_memory_is_tried_again_with_half(stage: Stage) -> None:
    worker = with_scripts(stage, fail("out_of_memory"), succeed)
    result = stage.orchestrator.run_episode("because")
    first, second = (plan.recipe for plan in worker.plans)

    assert result.outcome is COMPLETED
    assert (second.batch_tokens, second.maximum_length) == (
        first.batch_tokens // 2,
        first.maximum_length // 2,
    )
    assert second.gradient_checkpointing is True
    assert [job.attempt for job in worker.jobs] == [1, 2]
    assert stage.episode().attempts == 2
    assert result.metrics["recipe"]["batch_tokens"] == second.batch_tokens  # type: ignore[index]


def test_nobody_waits_for_trials_of_learning_rates(stage: Stage) -> None:
    worker = with_scripts(stage, succeed)
    stage.plan_changes = {"recipe": Recipe(rate_trials=(1e-4, 1e-3))}
    stage.orchestrator.run_episode("it was night")
    stage.conversation_ids = ("c3",)
    stage.orchestrator.run_episode("the person said so", forced=True)
    stage.conversation_ids = ("c4",)
    stage.orchestrator.run_episode("the person waits", asked=True)

    assert [plan.recipe.rate_trials for plan in worker.plans] == [(1e-4, 1e-3), (), ()]


def test_a_fallback_attempt_has_a_plan_and_a_digest_of_its_own(stage: Stage) -> None:
    worker = with_scripts(stage, fail("unstable"), succeed)
    stage.orchestrator.run_episode("because")
    job = worker.jobs[1]

    assert Path(job.plan) == Path(job.folder) / "attempt-2" / "plan.json"
    assert job.plan_digest != worker.jobs[0].plan_digest
    assert stage.episode().plan_digest == worker.jobs[0].plan_digest
    assert Path(job.plan).exists()  # what was trained in the end stays readable


def test_a_crash_is_resumed_from_its_checkpoint(stage: Stage) -> None:
    worker = with_scripts(stage, crash(-11, "prepare", "train"), succeed)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is COMPLETED
    assert [job.attempt for job in worker.jobs] == [1, 1]
    assert worker.plans[0] == worker.plans[1]
    assert stage.episode().attempts == 2
    assert stage.history() == [
        PLANNED,
        PREPARING,
        TRAINING,
        PREPARING,
        TRAINING,
        VALIDATING,
        DEPLOYING,
        COMPLETED,
    ]


def test_the_last_attempt_is_plain_and_keeps_the_anchor(stage: Stage) -> None:
    worker = with_scripts(stage, crash(-9), get_lost, succeed)
    stage.orchestrator.run_episode("because")
    last = worker.plans[2].recipe

    assert [job.attempt for job in worker.jobs] == [1, 1, 3]
    assert (last.ewc_weight, last.kl_weight) == (0.0, worker.plans[0].recipe.kl_weight)
    assert last.batch_tokens == worker.plans[0].recipe.batch_tokens // 2


def test_after_three_failures_the_person_hears_the_last_reason_once(stage: Stage) -> None:
    worker = with_scripts(stage, fail("unstable"), fail("internal"), fail("out_of_memory"))
    result = stage.orchestrator.run_episode("because")

    assert len(worker.jobs) == 3
    assert (result.outcome, result.exit_code) == (FAILED, 1)
    assert (result.reasons, result.remedy) == (("It failed: out_of_memory.",), "Do something.")
    assert [(alert.key, alert.message, alert.remedy) for alert in stage.alerts.open()] == [
        ("learning-failed", "It failed: out_of_memory.", "Do something.")
    ]
    assert stage.learned() == 0


def test_the_same_failure_next_night_is_not_told_twice_and_success_ends_it(stage: Stage) -> None:
    with_scripts(stage, fail("data"))
    stage.orchestrator.run_episode("first night")
    told = stage.alerts.open()
    stage.orchestrator.run_episode("second night")
    assert stage.alerts.open() == told

    with_scripts(stage, fail("model"))
    stage.orchestrator.run_episode("third night")
    assert [alert.message for alert in stage.alerts.open()] == ["It failed: model."]

    with_scripts(stage, succeed)
    stage.orchestrator.run_episode("fourth night")
    assert stage.alerts.open() == ()


@pytest.mark.parametrize("kind", ["data", "model"])
def test_what_would_fail_the_same_way_again_is_not_tried_again(stage: Stage, kind: str) -> None:
    worker = with_scripts(stage, fail(kind))  # type: ignore[arg-type]

    assert stage.orchestrator.run_episode("because").outcome is FAILED
    assert len(worker.jobs) == 1


def test_a_worker_that_cannot_be_started_says_so(stage: Stage) -> None:
    with_scripts(stage, crash(None))
    result = stage.orchestrator.run_episode("because")

    assert result.reasons == ("The worker could not be started.",)


def test_a_full_disk_waits_instead_of_failing(stage: Stage) -> None:
    worker = with_scripts(stage, fail("disk_full"), succeed)
    first = stage.orchestrator.run_episode("because")

    assert (first.outcome, first.exit_code) == (YIELDED, 4)
    assert [alert.message for alert in stage.alerts.open()] == ["It failed: disk_full."]
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED
    assert len({job.episode_id for job in worker.jobs}) == 1
    assert stage.alerts.open() == ()


def test_a_disk_that_stays_full_ends_the_episode_at_last(stage: Stage) -> None:
    with_scripts(stage, fail("disk_full"))
    outcomes = [stage.orchestrator.run_episode("because").outcome for _ in range(6)]

    assert outcomes == [YIELDED] * 6
    first = stage.episodes.latest(limit=10)[-1]
    stage.orchestrator.run_episode("because")
    assert stage.episodes.get(first.id).state is FAILED  # type: ignore[union-attr]
    assert stage.episode().id != first.id


# --- workers that lie ---


@pytest.mark.parametrize(
    "lie",
    [
        lambda run: run.done(),
        lambda run: (run.write_result(plan_digest="f" * 64), run.done())[1],
        lambda run: (run.write_result(episode_id="another"), run.done())[1],
        lambda run: (run.write_result(), Path(run.job.folder, "report.json").write_text("{"), run.done())[2],
        lambda run: (
            run.write_result(),
            Path(run.job.folder, "candidate", "adapter_model.safetensors").write_bytes(b""),
            run.done(),
        )[2],
    ],
    ids=["nothing", "another plan", "another episode", "torn report", "empty weights"],
)
def test_a_worker_that_says_it_is_done_and_is_not_has_failed(stage: Stage, lie: Script) -> None:
    worker = with_scripts(stage, lie)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is FAILED
    assert len(worker.jobs) == 3
    assert stage.versions.pointer().active == BASE


def test_the_result_of_an_earlier_attempt_is_not_taken_for_that_of_a_later(stage: Stage) -> None:
    def write_and_crash(run: Run) -> WorkerResult:
        run.write_result()
        return crash(-6)(run)

    with_scripts(stage, write_and_crash, lambda run: run.done(), succeed)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is COMPLETED
    assert stage.episode().attempts == 3


@pytest.mark.parametrize(
    ("name", "data"),
    [("evil.pkl", b"\x80\x04."), ("adapter_model.safetensors", b"\x08\0\0\0\0\0\0\0not json")],
)
def test_a_candidate_that_must_not_be_loaded_is_rejected(stage: Stage, name: str, data: bytes) -> None:
    def poison(run: Run) -> WorkerResult:
        run.phases("prepare", "train", "validate")
        run.write_result()
        Path(run.job.folder, "candidate", name).write_bytes(data)
        report = make_report(episode_id=run.job.episode_id, plan_digest=run.job.plan_digest)
        Path(run.job.folder, "report.json").write_bytes(encode_document(report))
        return run.done()

    with_scripts(stage, poison)
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.verdict, result.version) == (REJECTED, "reject", None)
    assert result.reasons[0] == "It is better."
    assert name in result.reasons[1]
    assert stage.versions.all() == ()
    assert stage.episode().version is None


def test_phases_out_of_order_do_not_break_the_history(stage: Stage) -> None:
    def jump(run: Run) -> WorkerResult:
        run.phases("validate", "train", "prepare")
        run.write_result()
        return run.done()

    with_scripts(stage, jump)

    assert stage.orchestrator.run_episode("because").outcome is COMPLETED
    assert stage.history() == [PLANNED, PREPARING, TRAINING, VALIDATING, DEPLOYING, COMPLETED]


# --- giving the machine back ---


def test_a_yield_checkpoints_and_the_next_call_goes_on(stage: Stage) -> None:
    def interrupted(run: Run) -> WorkerResult:
        return obey(run, when=lambda: stage.orchestrator.request_yield("You are back."))

    worker = with_scripts(stage, interrupted, succeed)
    first = stage.orchestrator.run_episode("because")

    assert (first.outcome, first.reasons, first.exit_code) == (YIELDED, ("You are back.",), 4)
    second = stage.orchestrator.run_episode("idle again")
    assert (second.outcome, second.episode_id) == (COMPLETED, first.episode_id)
    assert [job.attempt for job in worker.jobs] == [1, 1]
    assert stage.episode().attempts == 1
    assert stage.episode().reasons == ("It is better.",)
    assert stage.history() == [
        PLANNED,
        PREPARING,
        TRAINING,
        YIELDED,
        PREPARING,
        TRAINING,
        VALIDATING,
        DEPLOYING,
        COMPLETED,
    ]


def test_a_yield_in_a_fallback_attempt_goes_on_with_its_recipe(stage: Stage) -> None:
    def interrupted(run: Run) -> WorkerResult:
        return obey(run, when=lambda: stage.orchestrator.request_yield("You are back."))

    worker = with_scripts(stage, fail("out_of_memory"), interrupted, succeed)
    stage.orchestrator.run_episode("because")
    result = stage.orchestrator.run_episode("idle again")

    assert result.outcome is COMPLETED
    assert [job.attempt for job in worker.jobs] == [1, 2, 2]
    assert worker.plans[1] == worker.plans[2]


def test_a_stop_is_for_good_and_the_material_stays_new(stage: Stage) -> None:
    def interrupted(run: Run) -> WorkerResult:
        return obey(run, when=lambda: stage.orchestrator.request_stop("You stopped it."))

    with_scripts(stage, interrupted, succeed)
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.reasons) == (STOPPED, ("You stopped it.",))
    assert stage.episodes.unfinished() == ()
    assert stage.learned() == 0
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_a_wish_before_the_worker_starts_keeps_it_from_starting(stage: Stage) -> None:
    worker = with_scripts(stage, succeed)
    make_plan = stage.make_plan

    def interrupted(*, parent: str | None, now: datetime) -> Plan:
        stage.orchestrator.request_yield("You are back.")
        return make_plan(parent=parent, now=now)

    stage.orchestrator._plan = interrupted
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, worker.jobs) == (YIELDED, [])
    assert stage.history() == [PLANNED, YIELDED]
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_a_wish_while_nothing_runs_is_not_kept_for_later(stage: Stage) -> None:
    assert stage.orchestrator.request_yield("You are back.") is False
    assert stage.orchestrator.request_stop("No.") is False
    assert stage.orchestrator.run_episode("because").outcome is COMPLETED
    assert stage.orchestrator.running is False


def test_a_worker_that_is_killed_instead_of_obeying_still_yields(stage: Stage) -> None:
    def disobey(run: Run) -> WorkerResult:
        run.phases("prepare", "train")
        stage.orchestrator.request_yield("You are back.")
        run.tick()
        return WorkerResult(outcome=Outcome.LOST, returncode=None, last_event=None)

    worker = with_scripts(stage, disobey, succeed)

    assert stage.orchestrator.run_episode("because").outcome is YIELDED
    assert [type(command) for command in worker.commands] == [Stop]
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_a_result_that_comes_with_the_wish_is_judged_next_time(stage: Stage) -> None:
    def finish_anyway(run: Run) -> WorkerResult:
        stage.orchestrator.request_yield("You are back.")
        return succeed(run)

    worker = with_scripts(stage, finish_anyway)

    assert stage.orchestrator.run_episode("because").outcome is YIELDED
    assert stage.versions.pointer().active == BASE
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED
    assert len(worker.jobs) == 1


def test_a_worker_that_others_stop_yields(stage: Stage) -> None:
    def stopped(run: Run) -> WorkerResult:
        run.commands.append(Stop())
        return obey(run)

    with_scripts(stage, stopped)

    assert stage.orchestrator.run_episode("because").outcome is YIELDED


def test_freezing_reaches_the_worker(stage: Stage) -> None:
    seen = []

    def freeze(run: Run) -> WorkerResult:
        worker = stage.worker
        assert isinstance(worker, ScriptedWorker)
        stage.orchestrator.suspend()
        seen.append(worker.frozen)
        stage.orchestrator.unfreeze()
        seen.append(worker.frozen)
        return succeed(run)

    with_scripts(stage, freeze)
    stage.orchestrator.run_episode("because")

    assert seen == [True, False]


def test_who_comes_back_before_the_worker_is_there_finds_it_frozen(stage: Stage) -> None:
    seen = []

    def look(run: Run) -> WorkerResult:
        run.tick()
        seen.append(stage.worker.frozen)  # type: ignore[attr-defined]
        stage.orchestrator.unfreeze()
        run.tick()
        seen.append(stage.worker.frozen)  # type: ignore[attr-defined]
        return succeed(run)

    with_scripts(stage, look)
    make_plan = stage.make_plan

    def come_back(*, parent: str | None, now: datetime) -> Plan:
        stage.orchestrator.suspend()
        return make_plan(parent=parent, now=now)

    stage.orchestrator._plan = come_back
    stage.orchestrator.run_episode("because")

    assert seen == [True, False]


def test_a_yield_may_be_asked_for_from_another_thread(stage: Stage) -> None:
    def interrupted(run: Run) -> WorkerResult:
        thread = threading.Thread(target=stage.orchestrator.request_yield, args=("You are back.",))
        return obey(run, when=lambda: (thread.start(), thread.join()))

    with_scripts(stage, interrupted)

    assert stage.orchestrator.run_episode("because").outcome is YIELDED


# --- budgets from outside ---


def slow(stage: Stage, seconds: float, *, frozen: bool = False) -> Script:
    def script(run: Run) -> WorkerResult:
        run.phases("prepare")
        run.say(PhaseStarted(phase="train"))
        if frozen:
            stage.orchestrator.suspend()
        while stage.clock.seconds < seconds and not run.commands:
            stage.clock.seconds += 4.0
            run.tick()
        if frozen:
            stage.orchestrator.unfreeze()
        if run.commands:
            return obey(run)
        return succeed(run)

    return script


def test_a_phase_that_goes_far_beyond_its_time_is_stopped_and_tried_with_less(stage: Stage) -> None:
    worker = with_scripts(stage, slow(stage, 1e6), succeed)
    result = stage.orchestrator.run_episode("because")
    first, second = (plan.recipe for plan in worker.plans)

    assert result.outcome is COMPLETED
    assert second.taught_epochs == first.taught_epochs / 2
    assert 1800 * 1.5 + 60 < stage.clock.seconds < 1800 * 1.5 + 100


def test_time_in_which_the_worker_is_frozen_does_not_count(stage: Stage) -> None:
    worker = with_scripts(stage, slow(stage, 6_000.0, frozen=True))

    assert stage.orchestrator.run_episode("because").outcome is COMPLETED
    assert len(worker.jobs) == 1


def test_time_in_which_the_computer_slept_does_not_count(stage: Stage) -> None:
    def sleep(run: Run) -> WorkerResult:
        run.say(PhaseStarted(phase="train"))
        run.tick()
        stage.clock.seconds += 100_000.0
        run.tick()
        return succeed(run)

    worker = with_scripts(stage, sleep)

    assert stage.orchestrator.run_episode("because").outcome is COMPLETED
    assert worker.commands == []


def test_a_worker_that_takes_too_much_disk_space_is_stopped_for_good(stage: Stage) -> None:
    def hoard(run: Run) -> WorkerResult:
        with Path(run.job.folder, "big").open("wb") as file:
            file.truncate(3 * 1024**3)
        return obey(run)

    worker = with_scripts(stage, hoard)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is FAILED
    assert result.reasons == ("The episode took more than the 2.1 GB of disk space it may take.",)
    assert len(worker.jobs) == 1
    assert stage.files.used_bytes(result.episode_id) < 10_000


def test_a_disk_without_room_for_the_job_makes_it_wait(stage: Stage) -> None:
    def no_room(run: Run) -> WorkerResult:
        raise DiskFullError("There is no room on the disk for job.json.", "Free some space.")

    with_scripts(stage, no_room, succeed)
    first = stage.orchestrator.run_episode("because")

    assert (first.outcome, first.remedy) == (YIELDED, "Free some space.")
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_a_disk_that_fills_up_makes_it_wait(stage: Stage) -> None:
    def fill(run: Run) -> WorkerResult:
        stage.free = Resources(memory_bytes=None, disk_bytes=10**8)
        return obey(run)

    with_scripts(stage, fill)
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.reasons) == (YIELDED, ("The disk is nearly full (0.1 GB are left).",))
    with pytest.raises(DiskFullError):
        stage.orchestrator.run_episode("again")
    assert stage.episode().state is YIELDED


# --- deploying ---


def test_a_version_that_does_not_load_is_rejected_without_a_trace(stage: Stage) -> None:
    stage.probe.answers = ("", " ", "Hello.")
    result = stage.orchestrator.run_episode("because")

    assert (result.outcome, result.reasons) == (
        REJECTED,
        ("It is better.", "v1.0 was loaded, but does not answer."),
    )
    assert stage.versions.all() == ()
    assert stage.versions.next_name() == "v1.1"


def test_a_machine_short_of_memory_deploys_another_time(stage: Stage) -> None:
    worker = with_scripts(stage, succeed)
    stage.probe.error = OutOfMemoryError("There is not enough memory.", "Close something.")
    first = stage.orchestrator.run_episode("because")
    stage.probe.error = None
    second = stage.orchestrator.run_episode("again")

    assert (first.outcome, second.outcome, second.version) == (YIELDED, COMPLETED, "v1.0")
    assert len(worker.jobs) == 1
    assert [version.metadata.version for version in stage.versions.all()] == ["v1.0"]


def test_a_rollback_while_it_learns_wins(stage: Stage) -> None:
    stage.orchestrator.run_episode("first")
    stage.conversation_ids = ("c3",)

    def undone_meanwhile(run: Run) -> WorkerResult:
        stage.deployment.rollback()
        return succeed(run)

    with_scripts(stage, undone_meanwhile)
    result = stage.orchestrator.run_episode("second")

    assert (result.outcome, result.version) == (REJECTED, None)
    assert result.reasons[-1] == "base became active while Allie was learning from v1.0."
    assert stage.versions.pointer().active == BASE


def test_a_conversation_that_is_forgotten_while_it_learns_is_not_deployed(stage: Stage) -> None:
    def forgotten_meanwhile(run: Run) -> WorkerResult:
        stage.conversations.forget("c2")
        return succeed(run)

    with_scripts(stage, forgotten_meanwhile)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is REJECTED
    assert result.reasons[-1] == "A conversation was forgotten while Allie was learning from it."
    assert stage.versions.all() == ()
    assert stage.files.ids() == ()  # its text stood in the plan


def test_an_unfinished_episode_with_a_forgotten_conversation_is_given_up(stage: Stage) -> None:
    with_scripts(stage, die("prepare"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    first = stage.episode().id
    stage.conversations.forget("c2")
    assert stage.files.forget("c2") == (first,)
    stage.conversation_ids = ("c1",)
    result = stage.orchestrator.run_episode("again")

    assert (result.outcome, result.episode_id != first) == (COMPLETED, True)
    assert stage.episodes.get(first).state is FAILED  # type: ignore[union-attr]


def test_old_versions_are_pruned_after_a_deployment(stage: Stage) -> None:
    stage.keep_versions = 2
    stage.join()
    for number in range(1, 6):
        stage.conversation_ids = (f"c{number}",)
        stage.orchestrator.run_episode("because")

    assert [version.metadata.version for version in stage.versions.all()] == ["v1.3", "v1.4"]
    assert stage.learned() == 5


def test_a_damaged_active_version_is_replaced_by_its_parent_and_told(stage: Stage) -> None:
    for number in (1, 2):
        stage.conversation_ids = (f"c{number}",)
        stage.orchestrator.run_episode("because")
    weights = Path(stage.versions.get("v1.1").path, "adapter_model.safetensors")
    weights.chmod(0o600)
    weights.write_bytes(b"rotten")
    stage.conversation_ids = ("c3",)
    worker = with_scripts(stage, succeed)
    result = stage.orchestrator.run_episode("because")

    assert worker.plans[0].parent == "v1.0"
    assert result.version == "v1.2"
    assert stage.versions.get("v1.2").metadata.parent == "v1.0"
    assert [alert.key for alert in stage.alerts.open()] == ["version-repaired"]


# --- found unfinished ---


class KilledError(BaseException):
    """Stands for kill -9 at this very place."""


def die(*phases: str, result: bool = False) -> Script:
    def script(run: Run) -> WorkerResult:
        run.phases(*phases)  # type: ignore[arg-type]
        if result:
            run.write_result()
        raise KilledError

    return script


@pytest.mark.parametrize("phases", [(), ("prepare",), ("prepare", "train"), ("prepare", "train", "validate")])
def test_an_episode_whose_process_was_killed_is_resumed(stage: Stage, phases: tuple[str, ...]) -> None:
    worker = with_scripts(stage, die(*phases), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    result = stage.orchestrator.run_episode("again")

    assert result.outcome is COMPLETED
    assert stage.episodes.count() == 1
    assert [job.attempt for job in worker.jobs] == [1, 1]
    assert stage.episode().attempts == 1
    assert worker.leftovers == [stage.files.folder(result.episode_id)]


def test_a_result_that_was_complete_is_judged_without_another_worker(stage: Stage) -> None:
    worker = with_scripts(stage, die("prepare", result=True))
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")

    assert stage.orchestrator.run_episode("again").outcome is COMPLETED
    assert len(worker.jobs) == 1


def test_a_hold_is_not_counted_as_an_interruption(stage: Stage) -> None:
    with_scripts(stage, die("prepare"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    stage.free = Resources(memory_bytes=1, disk_bytes=10**12)
    for _ in range(10):
        with pytest.raises(HeldError):
            stage.orchestrator.run_episode("again")
    stage.free = Resources(memory_bytes=None, disk_bytes=10**12)

    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_an_episode_that_kills_the_program_every_time_is_given_up(stage: Stage) -> None:
    with_scripts(stage, die("prepare"))
    for _ in range(6):
        with pytest.raises(KilledError):
            stage.orchestrator.run_episode("because")
    first = stage.episode().id
    with_scripts(stage, succeed)
    result = stage.orchestrator.run_episode("because")

    assert result.outcome is COMPLETED
    assert result.episode_id != first
    given_up = stage.episodes.get(first)
    assert given_up is not None
    assert (given_up.state, given_up.reasons) == (FAILED, ("It was interrupted 6 times.",))


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_an_episode_whose_plan_is_gone_gives_way_to_a_new_one(stage: Stage, damage: str) -> None:
    with_scripts(stage, die("prepare"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    first = stage.episode().id
    plan = stage.files.folder(first) / "plan.json"
    if damage == "missing":
        plan.unlink()
    else:
        plan.write_text(plan.read_text().replace("Ada", "Eve"))
    result = stage.orchestrator.run_episode("again")

    assert result.outcome is COMPLETED
    assert result.episode_id != first
    assert stage.episodes.get(first).state is FAILED  # type: ignore[union-attr]


def test_an_episode_of_another_parent_gives_way_to_a_new_one(stage: Stage) -> None:
    stage.orchestrator.run_episode("first")
    stage.conversation_ids = ("c3",)
    with_scripts(stage, die("prepare"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("second")
    second = stage.episode().id
    stage.deployment.rollback(BASE)
    result = stage.orchestrator.run_episode("third")

    assert result.outcome is COMPLETED
    assert stage.episodes.get(second).reasons == (  # type: ignore[union-attr]
        "It was interrupted, and base became active since.",
    )


def test_an_episode_for_another_base_model_gives_way(stage: Stage) -> None:
    with_scripts(stage, die("prepare"), make_it_worse)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    first = stage.episode().id
    stage.base_sha256 = "cd" * 32
    stage.join()
    stage.orchestrator.run_episode("again")

    assert stage.episodes.get(first).reasons == (  # type: ignore[union-attr]
        "It was interrupted, and another base model is in use since.",
    )


def test_a_tampered_fallback_plan_is_not_used(stage: Stage) -> None:
    worker = with_scripts(stage, fail("unstable"), die("prepare"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    Path(worker.jobs[1].plan).write_text("{}")
    result = stage.orchestrator.run_episode("again")

    assert result.outcome is COMPLETED
    assert worker.jobs[2].plan_digest == worker.jobs[0].plan_digest


def test_folders_of_episodes_that_nobody_knows_are_removed(stage: Stage) -> None:
    (stage.home / "episodes" / "stranger").mkdir(parents=True)
    result = stage.orchestrator.run_episode("because")

    assert stage.files.ids() == (result.episode_id,)


def test_recovering_at_the_start_lets_everything_wait_and_starts_no_worker(stage: Stage) -> None:
    worker = with_scripts(stage, die("prepare", "train"), succeed)
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")
    (recovered,) = stage.orchestrator.recover()

    assert (recovered.outcome, recovered.reasons) == (
        YIELDED,
        ("The program ended while Allie was learning.",),
    )
    assert len(worker.jobs) == 1
    assert stage.orchestrator.recover() == ()
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_recovering_leaves_an_episode_alone_that_another_process_runs(stage: Stage) -> None:
    with_scripts(stage, die("prepare"))
    with pytest.raises(KilledError):
        stage.orchestrator.run_episode("because")

    with FileEpisodeLock(stage.home).hold():
        assert stage.orchestrator.recover() == ()
    assert stage.episode().state is PREPARING


def test_an_error_of_the_store_is_passed_on_and_the_next_call_goes_on(stage: Stage) -> None:
    def break_the_store(run: Run) -> WorkerResult:
        run.phases("prepare")
        raise StoreError("The store is busy.")

    with_scripts(stage, break_the_store, succeed)
    with pytest.raises(StoreError):
        stage.orchestrator.run_episode("because")

    assert stage.orchestrator.running is False
    assert stage.orchestrator.run_episode("again").outcome is COMPLETED


def test_an_episode_can_be_told_apart_from_all_others(stage: Stage) -> None:
    ids = set()
    for number in range(1, 4):
        stage.conversation_ids = (f"c{number}",)
        ids.add(stage.orchestrator.run_episode("because").episode_id)

    assert len(ids) == 3


def test_the_gate_is_given_the_budget_that_the_plan_was_made_with(stage: Stage) -> None:
    stage.plan_changes = {"recipe": Recipe(kl_budget=0.3)}

    stage.orchestrator.run_episode("because")

    assert stage.margins == Margins.within(0.3)

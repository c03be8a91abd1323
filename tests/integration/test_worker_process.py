"""A real worker process: how it talks, how it ends, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from allie_desktop.domain.events import (
    CandidateWritten,
    CheckpointWritten,
    HeldOutMeasured,
    Job,
    Pause,
    Paused,
    PhaseFinished,
    PhaseStarted,
    Resume,
    Resumed,
    StepFinished,
    Stop,
    WorkerEvent,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
    WriteCheckpoint,
)
from allie_desktop.domain.lifecycle import Outcome
from allie_desktop.domain.ports import WorkerClient, WorkerResult
from allie_desktop.ipc.process import worker_command, worker_environment
from allie_desktop.ipc.protocol import encode_document, seal_plan
from allie_desktop.ipc.worker_client import SubprocessWorkerClient, WorkerPatience
from tests.plans import make_plan

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.name != "posix", reason="signals and process groups of POSIX"),
]

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
PATIENCE = WorkerPatience(silence=30.0, stop=20.0, terminate=1.0, exit=0.5, tick=0.02)


def fake_command(job: Path) -> tuple[str, ...]:
    return (sys.executable, str(FAKE_WORKER), str(job))


@dataclass
class Clock:
    """Time that passes when a test says so."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Stage:
    """One episode folder, a client, and what the worker said."""

    folder: Path
    events: list[WorkerEvent] = field(default_factory=list)
    client: SubprocessWorkerClient = field(
        default_factory=lambda: SubprocessWorkerClient(command=fake_command, patience=PATIENCE)
    )
    clock: Clock = field(default_factory=Clock)
    reactions: dict[type, Callable[[WorkerEvent], None]] = field(default_factory=dict)

    def job(self) -> Job:
        plan = seal_plan(make_plan())
        (self.folder / "plan.json").write_bytes(encode_document(plan))
        cache = self.folder / "cache"
        cache.mkdir(exist_ok=True)
        return Job(
            episode_id=plan.id,
            folder=str(self.folder),
            plan=str(self.folder / "plan.json"),
            plan_digest=plan.digest,
            cache=str(cache),
            parent_adapter=None,
        )

    def patient(self, **seconds: float) -> None:
        values = {"silence": 30.0, "stop": 20.0, "terminate": 1.0, "exit": 0.5, "tick": 0.02, **seconds}
        self.client = SubprocessWorkerClient(command=fake_command, patience=WorkerPatience(**values))

    def in_own_time(self, **seconds: float) -> None:
        values = {"silence": 30.0, "stop": 20.0, "terminate": 1.0, "exit": 0.5, "tick": 0.02, **seconds}
        self.client = SubprocessWorkerClient(
            command=fake_command, patience=WorkerPatience(**values), monotonic=self.clock
        )

    def on(self, event: type, reaction: Callable[[WorkerEvent], None]) -> None:
        self.reactions[event] = reaction

    def run(self, *acts: str, on_tick: Callable[[], None] | None = None) -> WorkerResult:
        job = self.job()
        if acts:
            (Path(job.cache) / "acts.json").write_text(json.dumps([list(acts)]))
        return self.client.run(job, self.hear, on_tick)

    def hear(self, event: WorkerEvent) -> None:
        self.events.append(event)
        reaction = self.reactions.get(type(event))
        if reaction is not None:
            reaction(event)

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text(errors="replace")

    def pid(self) -> int:
        return next(event.pid for event in self.events if isinstance(event, WorkerStarted))

    def child(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "child.pid").read_text()))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    yield Stage(tmp_path)
    assert psutil.Process().children(recursive=True) == []  # nothing is left, not even a zombie
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("worker-")] == []
    assert not (tmp_path / "worker.pid").exists()


def has_ended(process: psutil.Process, within_seconds: float = 10.0) -> bool:
    gone, _ = psutil.wait_procs([process], timeout=within_seconds)
    return bool(gone) or process.status() == psutil.STATUS_ZOMBIE


def is_frozen(process: psutil.Process, within_seconds: float = 10.0) -> bool:
    """Whether it stands still; a stop takes hold only when the process is next on a processor."""
    ends = time.monotonic() + within_seconds
    while process.status() != psutil.STATUS_STOPPED:
        if time.monotonic() > ends:
            return False
        time.sleep(0.005)
    return True


def test_the_client_is_the_port(stage: Stage) -> None:
    port: WorkerClient = stage.client

    assert port.end_leftover(stage.folder) is False


def test_a_sound_worker_is_completed_and_every_event_arrives_in_order(stage: Stage) -> None:
    result = stage.run()

    assert [type(event) for event in stage.events] == [
        WorkerStarted,
        PhaseStarted,
        PhaseFinished,
        PhaseStarted,
        StepFinished,
        CheckpointWritten,
        StepFinished,
        PhaseFinished,
        PhaseStarted,
        PhaseFinished,
        CandidateWritten,
    ]
    assert result == WorkerResult(
        outcome=Outcome.COMPLETED, returncode=0, last_event=stage.events[-1], log_tail=result.log_tail
    )


def test_events_come_in_the_calling_thread(stage: Stage) -> None:
    threads = set()
    stage.on(StepFinished, lambda _: threads.add(threading.get_ident()))
    stage.run(on_tick=lambda: threads.add(threading.get_ident()))

    assert threads == {threading.get_ident()}


def test_the_job_lies_beside_the_plan_for_the_worker(stage: Stage) -> None:
    stage.run()

    assert json.loads((stage.folder / "job.json").read_text())["episode_id"] == "20260301-a"
    assert (stage.folder / "job.json").stat().st_mode & 0o777 == 0o600
    assert (stage.folder / "worker.log").stat().st_mode & 0o777 == 0o600


def test_a_worker_that_says_why_has_failed(stage: Stage) -> None:
    result = stage.run("started", "prepare", "fail:out_of_memory")

    assert (result.outcome, result.returncode) == (Outcome.FAILED, 1)
    assert result.last_event == WorkerFailed(
        kind="out_of_memory", message="It failed: out_of_memory.", remedy="Try."
    )


@pytest.mark.parametrize(
    ("act", "returncode"),
    [("exit:0", 0), ("exit:3", 3), ("signal:9", -9), ("signal:15", -15), ("signal:11", -11)],
)
def test_a_worker_that_ends_without_a_word_has_crashed(stage: Stage, act: str, returncode: int) -> None:
    result = stage.run("started", "train", "step", act)

    assert (result.outcome, result.returncode) == (Outcome.CRASHED, returncode)
    assert result.last_event == StepFinished(phase="train", step=1, total=2, loss=1.0)


def test_a_crash_in_native_code_leaves_its_place_in_the_log(stage: Stage) -> None:
    result = stage.run("started", "signal:11")

    assert "Fatal Python error: Segmentation fault" in result.log_tail
    assert "do_signal" in stage.log


def test_a_worker_that_dies_at_once_has_crashed(stage: Stage) -> None:
    stage.client = SubprocessWorkerClient(
        command=lambda _: (sys.executable, "-c", "raise SystemExit('no torch')"), patience=PATIENCE
    )
    result = stage.run()

    assert (result.outcome, result.returncode, result.last_event) == (Outcome.CRASHED, 1, None)
    assert "no torch" in result.log_tail


def test_a_worker_that_cannot_be_started_has_crashed(stage: Stage) -> None:
    stage.client = SubprocessWorkerClient(command=lambda _: (str(stage.folder / "nothing"),))
    result = stage.run()

    assert (result.outcome, result.returncode) == (Outcome.CRASHED, None)
    assert "could not be started" in result.log_tail


def test_a_last_word_counts_though_the_process_crashes_after_it(stage: Stage) -> None:
    result = stage.run("started", "candidate", "signal:11")

    assert (result.outcome, result.returncode) == (Outcome.COMPLETED, -11)


def test_a_worker_that_will_not_leave_after_its_last_word_is_ended(stage: Stage) -> None:
    result = stage.run("started", "stubborn", "candidate", "deaf")

    assert (result.outcome, result.returncode) == (Outcome.COMPLETED, -9)


# --- silence ---


def test_a_silent_worker_is_lost(stage: Stage) -> None:
    stage.patient(silence=0.3)
    result = stage.run("started", "train", "stubborn", "deaf")

    assert (result.outcome, result.returncode) == (Outcome.LOST, None)
    assert "was silent" in stage.log


def test_garbage_is_silence(stage: Stage) -> None:
    stage.patient(silence=0.5)
    result = stage.run("started", "flood:1000000", "deaf")

    assert result.outcome is Outcome.LOST


def test_the_silence_of_a_frozen_worker_does_not_count(stage: Stage) -> None:
    stage.in_own_time(silence=0.3)
    stage.on(PhaseStarted, lambda _: stage.client.suspend())

    def thaw_after_two_seconds() -> None:
        if len(stage.events) > 1 and stage.clock.seconds < 2.0:
            stage.clock.seconds += 0.05
        elif len(stage.events) > 1:
            stage.client.send(Stop())

    result = stage.run("started", "train", "hold", on_tick=thaw_after_two_seconds)

    assert result.outcome is Outcome.STOPPED
    assert stage.clock.seconds > 2.0


def test_the_silence_of_a_paused_worker_does_not_count(stage: Stage) -> None:
    stage.in_own_time(silence=0.3)
    stage.on(PhaseStarted, lambda _: stage.client.send(Pause()))

    def go_on_after_two_seconds() -> None:
        if stage.events[-1:] == [Paused()]:
            stage.clock.seconds += 0.05
            if stage.clock.seconds > 2.0:
                stage.client.send(Resume())
                stage.client.send(Stop())

    result = stage.run("started", "train", "hold", on_tick=go_on_after_two_seconds)

    assert result.outcome is Outcome.STOPPED
    assert [type(event) for event in stage.events[2:]] == [Paused, Resumed, WorkerStopped]


def test_a_sleeping_computer_does_not_make_a_worker_silent(stage: Stage) -> None:
    stage.in_own_time(silence=0.3)
    stage.on(PhaseStarted, lambda _: setattr(stage.clock, "seconds", 100_000.0))
    result = stage.run("started", "train", "step", "candidate")

    assert result.outcome is Outcome.COMPLETED


def test_a_worker_that_closes_its_stdout_is_not_waited_for_long(stage: Stage) -> None:
    result = stage.run("started", "close", "deaf")

    assert (result.outcome, result.returncode) == (Outcome.LOST, None)


# --- noise ---


@pytest.mark.parametrize(
    "act",
    ["print:hello\n", "print:\n\n\n", "print:{}\n", "print:\xff\xfe\x00\n", 'print:{"v":9}\n', "giant:3"],
)
def test_garbage_on_stdout_is_logged_and_ignored(stage: Stage, act: str) -> None:
    result = stage.run("started", act, "train", "step", "candidate")

    assert result.outcome is Outcome.COMPLETED
    assert [type(event) for event in stage.events] == [
        WorkerStarted,
        PhaseStarted,
        StepFinished,
        PhaseFinished,
        CandidateWritten,
    ]
    assert "not an event" in stage.log or "ignored a line of 3,145,728 bytes" in stage.log


def test_the_end_of_a_line_without_newline_is_heard_of(stage: Stage) -> None:
    result = stage.run("started", "print:half a li", "exit:0")

    assert result.outcome is Outcome.CRASHED
    assert "half a li" in stage.log


def test_a_flood_of_garbage_fills_neither_memory_nor_log(stage: Stage) -> None:
    result = stage.run("started", "flood:100000", "train", "candidate")

    assert result.outcome is Outcome.COMPLETED
    assert (stage.folder / "worker.log").stat().st_size < 20_000


def test_stderr_is_drained_into_a_bounded_log(stage: Stage) -> None:
    result = stage.run("started", "noise:4000", "candidate")  # 4 MB

    assert result.outcome is Outcome.COMPLETED
    assert (stage.folder / "worker.log").stat().st_size <= 1024 * 1024
    assert (stage.folder / "worker.log.1").stat().st_size <= 1024 * 1024
    assert "003999 nnn" in result.log_tail


def test_a_loss_that_is_no_number_arrives_as_one(stage: Stage) -> None:
    stage.run("started", "held", "candidate")

    assert stage.events[1] == HeldOutMeasured(step=0, loss=1.7976931348623157e308, kl=0.0, best=False)


# --- stopping ---


def test_a_stop_is_obeyed_with_a_checkpoint(stage: Stage) -> None:
    stage.on(PhaseStarted, lambda _: stage.client.send(Stop(reason="you are back")))
    result = stage.run("started", "train", "hold")

    assert (result.outcome, result.returncode) == (Outcome.STOPPED, 0)
    assert json.loads((stage.folder / "attempt-1" / "checkpoint.json").read_text()) == {"step": 0}


def test_a_worker_that_does_not_read_its_stdin_is_terminated_in_the_orderly_way(stage: Stage) -> None:
    stage.patient(stop=0.2, terminate=20.0)
    stage.on(PhaseStarted, lambda _: stage.client.send(Stop()))
    result = stage.run("started", "polite", "train", "deaf")

    assert result.outcome is Outcome.STOPPED


def test_a_worker_that_ignores_stop_and_terminate_is_killed(stage: Stage) -> None:
    stage.patient(stop=0.2, terminate=0.2)
    stage.on(PhaseStarted, lambda _: stage.client.send(Stop()))
    result = stage.run("started", "stubborn", "train", "deaf")

    assert (result.outcome, result.returncode) == (Outcome.LOST, None)


def test_a_stop_wakes_a_frozen_worker(stage: Stage) -> None:
    def freeze_then_stop(_: WorkerEvent) -> None:
        stage.client.suspend()
        stage.client.send(Stop())

    stage.on(PhaseStarted, freeze_then_stop)

    assert stage.run("started", "train", "hold").outcome is Outcome.STOPPED


def test_a_kill_needs_no_consent(stage: Stage) -> None:
    stage.on(PhaseStarted, lambda _: stage.client.kill())

    assert stage.run("started", "stubborn", "train", "deaf").outcome is Outcome.LOST


def test_a_kill_ends_a_frozen_worker_and_its_children(stage: Stage) -> None:
    children: list[psutil.Process] = []

    def freeze_then_kill(_: WorkerEvent) -> None:
        children.append(stage.child())
        stage.client.suspend()
        stage.client.kill()

    stage.on(PhaseStarted, freeze_then_kill)
    result = stage.run("started", "child", "train", "deaf")

    assert result.outcome is Outcome.LOST
    assert has_ended(children[0])


TALKS_AND_NEVER_READS = """
import signal
print('{"v":1,"type":"PhaseStarted","data":{"phase":"train"}}', flush=True)
signal.pause()
"""


def test_commands_to_a_worker_that_never_reads_do_not_block(stage: Stage) -> None:
    client = SubprocessWorkerClient(
        command=lambda _: (
            sys.executable,
            "-c",
            TALKS_AND_NEVER_READS,
        ),
        patience=PATIENCE,
    )
    stage.client = client

    def talk_to_the_wall(_: WorkerEvent) -> None:
        for _number in range(20_000):  # far more than a pipe holds
            client.send(WriteCheckpoint())
        client.kill()

    stage.on(PhaseStarted, talk_to_the_wall)

    assert stage.run().outcome is Outcome.LOST


def test_commands_without_a_worker_do_nothing(stage: Stage) -> None:
    stage.client.send(Stop())
    stage.client.suspend()
    stage.client.unfreeze()
    stage.client.kill()

    assert stage.run().outcome is Outcome.COMPLETED


# --- freezing ---


def test_freezing_takes_the_whole_tree_and_a_fraction_of_a_second(stage: Stage) -> None:
    seconds: list[float] = []
    frozen_afterwards: list[bool] = []

    def freeze_and_look(_: WorkerEvent) -> None:
        family = (psutil.Process(stage.pid()), stage.child())
        began = time.perf_counter()
        stage.client.suspend()
        while not all(process.status() == psutil.STATUS_STOPPED for process in family):
            assert time.perf_counter() - began < 10.0
        seconds.append(time.perf_counter() - began)
        stage.client.unfreeze()
        frozen_afterwards.extend(process.status() == psutil.STATUS_STOPPED for process in family)
        stage.client.kill()

    stage.on(PhaseStarted, freeze_and_look)
    stage.run("started", "child", "train", "hold")

    assert seconds[0] < 0.25
    assert frozen_afterwards == [False, False]


def test_a_frozen_worker_can_be_ended_by_others(stage: Stage) -> None:
    def freeze_and_murder(_: WorkerEvent) -> None:
        stage.client.suspend()
        os.kill(stage.pid(), signal.SIGKILL)

    stage.on(PhaseStarted, freeze_and_murder)
    result = stage.run("started", "train", "hold")

    assert (result.outcome, result.returncode) == (Outcome.CRASHED, -9)


# --- what is left ---


def test_children_that_a_worker_leaves_behind_end_with_it(stage: Stage) -> None:
    children: list[psutil.Process] = []
    stage.on(PhaseStarted, lambda _: children.append(stage.child()))
    result = stage.run("started", "child", "train", "candidate")

    assert result.outcome is Outcome.COMPLETED
    assert has_ended(children[0])


def test_somebody_who_holds_the_pipes_open_does_not_hold_us_up(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    children: list[psutil.Process] = []
    stage.on(PhaseStarted, lambda _: children.append(stage.child()))
    began = time.monotonic()
    result = stage.run("started", "runaway", "train", "candidate")

    assert result.outcome is Outcome.COMPLETED
    assert time.monotonic() - began < 10.0
    children[0].kill()
    for thread in threading.enumerate():
        if thread.name.startswith("worker-"):
            thread.join(10.0)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("worker-")] == []


def test_an_error_in_a_callback_kills_the_worker_and_goes_on(stage: Stage) -> None:
    def fail(_: WorkerEvent) -> None:
        raise KeyboardInterrupt

    stage.on(PhaseStarted, fail)
    with pytest.raises(KeyboardInterrupt):
        stage.run("started", "stubborn", "train", "deaf")

    assert not psutil.pid_exists(stage.pid())


def test_one_client_runs_one_worker_after_the_other(stage: Stage) -> None:
    stage.on(PhaseStarted, lambda _: stage.client.send(Stop()))
    first = stage.run("started", "train", "hold")
    stage.reactions.clear()
    second = stage.run("started", "train", "candidate")

    assert (first.outcome, second.outcome) == (Outcome.STOPPED, Outcome.COMPLETED)
    assert second.log_tail.count("starts") == 1


# --- where and how it runs ---


def test_a_worker_has_a_session_of_its_own_so_that_ctrl_c_reaches_only_us(stage: Stage) -> None:
    sessions: list[int] = []
    stage.on(PhaseStarted, lambda _: sessions.append(os.getsid(stage.pid())))
    stage.run("started", "train", "candidate")

    assert sessions == [stage.pid()]


def test_a_worker_lowers_itself_and_says_how_far(stage: Stage) -> None:
    seen: list[int] = []
    stage.on(PhaseStarted, lambda _: seen.append(psutil.Process(stage.pid()).nice()))
    stage.run("lower", "train", "candidate")
    started = stage.events[0]

    assert isinstance(started, WorkerStarted)
    assert {"own session", "nice 19"} <= set(started.priority)
    assert seen == [19]
    if sys.platform == "linux":
        assert {"SCHED_IDLE", "idle I/O", "timer slack 50 ms", "wakes when its parent dies"} <= set(
            started.priority
        )


def test_a_worker_does_not_import_what_lies_where_the_person_happens_to_be(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path_factory.mktemp("downloads")
    for name in ("json", "msgspec", "allie_desktop"):
        (trap / f"{name}.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(trap)
    stage.client = SubprocessWorkerClient(
        command=lambda _: (sys.executable, "-m", "allie_desktop.ipc.protocol"), patience=PATIENCE
    )

    assert stage.run().returncode == 0


def test_the_worker_is_a_subcommand_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Path("/home/e/job.json")

    assert worker_command(job) == (sys.executable, "-m", "allie_desktop", "worker", "/home/e/job.json")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/allie/allie")
    assert worker_command(job) == ("/opt/allie/allie", "worker", "/home/e/job.json")


# --- the parent's death ---

PARENT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.integration.test_worker_process import Stage
from allie_desktop.domain.events import PhaseStarted

stage = Stage(Path({folder!r}))

def die(_):
    if {frozen}:
        stage.client.suspend()
    os.kill(os.getpid(), signal.SIGKILL)

stage.on(PhaseStarted, die)
stage.run(*{acts!r})
"""


def murdered_parent(folder: Path, *acts: str, frozen: bool = False) -> psutil.Process:
    """Run a parent that kills itself in the middle of training; return its worker."""
    root = str(Path(__file__).parents[2])
    code = PARENT.format(root=root, folder=str(folder), acts=acts, frozen=frozen)
    parent = subprocess.run([sys.executable, "-c", code], check=False, env=worker_environment())
    assert parent.returncode == -signal.SIGKILL
    return psutil.Process(json.loads((folder / "worker.pid").read_text())["pid"])


def test_a_worker_whose_parent_was_killed_writes_its_checkpoint_and_goes(tmp_path: Path) -> None:
    worker = murdered_parent(tmp_path, "lower", "train", "step", "hold")

    assert has_ended(worker)
    assert json.loads((tmp_path / "attempt-1" / "checkpoint.json").read_text())["step"] <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_frozen_worker_whose_parent_was_killed_wakes_and_goes(tmp_path: Path) -> None:
    worker = murdered_parent(tmp_path, "lower", "train", "hold", frozen=True)

    assert has_ended(worker)
    assert (tmp_path / "attempt-1" / "checkpoint.json").exists()


def test_a_worker_that_outlives_its_parent_is_ended_by_the_next_one(tmp_path: Path) -> None:
    worker = murdered_parent(tmp_path, "started", "train", "deaf")
    client = SubprocessWorkerClient(
        command=fake_command, patience=WorkerPatience(stop=0.2, terminate=0.2, tick=0.02)
    )

    assert client.end_leftover(tmp_path) is True
    assert has_ended(worker)
    assert client.end_leftover(tmp_path) is False


def test_a_frozen_leftover_is_woken_to_write_its_checkpoint(tmp_path: Path) -> None:
    worker = murdered_parent(tmp_path, "started", "train", "hold", frozen=True)
    assert is_frozen(worker)

    assert SubprocessWorkerClient(patience=PATIENCE).end_leftover(tmp_path) is True
    assert has_ended(worker)
    assert (tmp_path / "attempt-1" / "checkpoint.json").exists()


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"pid": "x", "started": 0, "command": []}',
        '{"pid": 999999999, "started": 0, "command": []}',
    ],
)
def test_a_damaged_pid_file_harms_nobody(tmp_path: Path, record: str) -> None:
    (tmp_path / "worker.pid").write_text(record)

    assert SubprocessWorkerClient().end_leftover(tmp_path) is False
    assert not (tmp_path / "worker.pid").exists()


def test_a_stranger_who_got_the_workers_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    process = psutil.Process(stranger.pid)
    for record in (
        {"pid": stranger.pid, "started": process.create_time(), "command": ["allie", "worker"]},
        {"pid": stranger.pid, "started": process.create_time() - 60, "command": process.cmdline()},
    ):
        (tmp_path / "worker.pid").write_text(json.dumps(record))

        assert SubprocessWorkerClient().end_leftover(tmp_path) is False
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()

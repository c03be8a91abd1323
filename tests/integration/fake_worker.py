"""A worker without a model: speaks the real protocol, writes real files, and misbehaves on demand.

``python fake_worker.py JOB.json``. The job's cache folder may hold ``acts.json``, a list with one list of acts
a run (the last one is repeated); without it every run is sound. Each run is noted in ``runs.jsonl`` there.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

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
    WorkerCommand,
    WorkerEvent,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.validation import (
    AnswerSample,
    Measurements,
    PairedMeasure,
    TrainingSummary,
    WorkerReport,
)
from allie_desktop.ipc.priority import lower_own_priority
from allie_desktop.ipc.protocol import decode_command, decode_document, encode, encode_document, load_plan

SOUND = ["started", "prepare", "train", "step", "checkpoint", "step", "validate", "candidate"]


class Worker:
    def __init__(self, job: Job, plan: Plan, acts: list[str]) -> None:
        self.job = job
        self.plan = plan
        self.acts = acts
        self.folder = Path(job.folder)
        self.checkpoint_file = self.folder / f"attempt-{job.attempt}" / "checkpoint.json"
        self.step = 0
        if self.checkpoint_file.exists():
            self.step = json.loads(self.checkpoint_file.read_text())["step"]
        self.resumed_from = self.step
        self.phase = ""
        self.ignores_commands = False
        self.commands: queue.SimpleQueue[WorkerCommand | None] = queue.SimpleQueue()

    # --- talking ---

    def say(self, event: WorkerEvent) -> None:
        sys.stdout.buffer.write(encode(event))
        sys.stdout.buffer.flush()

    def listen(self) -> None:
        for line in sys.stdin.buffer:
            self.commands.put(decode_command(line))
        self.commands.put(None)

    def obey(self, *, wait: bool) -> None:
        while not self.ignores_commands:
            try:
                command = self.commands.get(block=wait)
            except queue.Empty:
                return
            if command is None:  # the parent is gone
                self.checkpoint()
                os._exit(3)
            if isinstance(command, Stop):
                self.leave()
            if isinstance(command, Pause):
                self.say(Paused())
                wait = True
            if isinstance(command, Resume):
                self.say(Resumed())
                wait = False

    def leave(self) -> NoReturn:
        self.checkpoint()
        self.say(WorkerStopped(step=self.step, checkpoint=str(self.checkpoint_file)))
        os._exit(0)

    # --- files ---

    def checkpoint(self) -> None:
        self.checkpoint_file.parent.mkdir(exist_ok=True)
        new = self.checkpoint_file.with_suffix(".new")
        new.write_text(json.dumps({"step": self.step}))
        new.replace(self.checkpoint_file)

    def write_candidate(self, weights: bytes = b"") -> None:
        folder = self.folder / "candidate"
        folder.mkdir(exist_ok=True)
        header = json.dumps({"lora_A": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
        sound = struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.0, float(self.job.attempt))
        (folder / "adapter_model.safetensors").write_bytes(weights or sound)
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 16}))

    def write_report(self, *, digest: str = "", loss: float = 1.0) -> None:
        new = PairedMeasure(
            name="new", unit="nats/token", base=(2.0, 3.0), active=(2.0, 3.0), candidate=(loss, loss)
        )
        report = WorkerReport(
            episode_id=self.job.episode_id,
            plan_digest=digest or self.job.plan_digest,
            training=TrainingSummary(
                steps=self.step,
                planned_steps=self.step,
                tokens=100,
                tokens_per_second=50.0,
                peak_memory_bytes=1000,
                device="cpu",
                dtype="float32",
                stopped_early="",
                best_step=self.step,
                curve=(),
                held_out=(),
            ),
            measurements=Measurements(
                paired={"new": new},
                samples=(
                    AnswerSample(
                        prompt="p", reference="r", base="b", active="b", candidate="r", kind="taught"
                    ),
                ),
            ),
            seconds={"prepare": 0.1, "train": 0.2, "validate": 0.3},
        )
        (self.folder / "report.json").write_bytes(encode_document(report))

    # --- acts ---

    def act(self, act: str) -> None:
        name, _, argument = act.partition(":")
        getattr(self, "do_" + name.replace("-", "_"))(argument)

    def do_started(self, _: str) -> None:
        self.say(WorkerStarted(pid=os.getpid(), device="cpu", dtype="float32", threads=1))

    def do_lower(self, _: str) -> None:
        self.say(
            WorkerStarted(
                pid=os.getpid(), device="cpu", dtype="float32", threads=1, priority=lower_own_priority()
            )
        )

    def do_prepare(self, _: str) -> None:
        self.start_phase("prepare")

    def do_train(self, _: str) -> None:
        self.start_phase("train")

    def do_validate(self, _: str) -> None:
        self.start_phase("validate")

    def start_phase(self, phase: str) -> None:
        if self.phase:
            self.say(PhaseFinished(phase=self.phase, seconds=0.5))  # type: ignore[arg-type]
        self.phase = phase
        self.say(PhaseStarted(phase=phase, total=2))  # type: ignore[arg-type]
        self.obey(wait=False)

    def do_step(self, _: str) -> None:
        self.step += 1
        self.say(StepFinished(phase=self.phase, step=self.step, total=2, loss=1.0))  # type: ignore[arg-type]
        self.obey(wait=False)

    def do_held(self, _: str) -> None:
        self.say(HeldOutMeasured(step=self.step, loss=float("nan"), kl=0.0, best=False))

    def do_checkpoint(self, _: str) -> None:
        self.checkpoint()
        self.say(CheckpointWritten(step=self.step, path=str(self.checkpoint_file)))

    def do_candidate(self, _: str) -> None:
        self.say(PhaseFinished(phase="validate", seconds=0.5))
        self.write_candidate()
        self.write_report()
        self.do_say_candidate("")

    def do_worse_candidate(self, _: str) -> None:
        self.write_candidate()
        self.write_report(loss=9.0)
        self.do_say_candidate("")

    def do_silent_candidate(self, _: str) -> None:
        self.write_candidate()
        self.write_report()

    def do_broken_candidate(self, _: str) -> None:
        self.write_candidate(b"\x10\x00\x00\x00\x00\x00\x00\x00this is not it")
        self.write_report()
        self.do_say_candidate("")

    def do_pickled_candidate(self, _: str) -> None:
        self.write_candidate()
        (self.folder / "candidate" / "optimizer.pkl").write_bytes(b"\x80\x04.")
        self.write_report()
        self.do_say_candidate("")

    def do_foreign_report(self, _: str) -> None:
        self.write_candidate()
        self.write_report(digest="f" * 64)
        self.do_say_candidate("")

    def do_torn_report(self, _: str) -> None:
        self.write_candidate()
        (self.folder / "report.json").write_text('{"episode_id": "')
        self.do_say_candidate("")

    def do_say_candidate(self, _: str) -> None:
        self.say(CandidateWritten(adapter=str(self.folder / "candidate"), report="report.json"))

    def do_fail(self, kind: str) -> None:
        self.say(WorkerFailed(kind=kind, message=f"It failed: {kind}.", remedy="Try."))  # type: ignore[arg-type]
        os._exit(1)

    def do_exit(self, code: str) -> None:
        os._exit(int(code))

    def do_signal(self, number: str) -> None:
        os.kill(os.getpid(), int(number))

    def do_hold(self, _: str) -> None:
        self.obey(wait=True)

    def do_burn(self, _: str) -> None:
        """Compute on two threads' worth of processors, as training does, until told to stop."""
        other = multiprocessing.Process(target=_burn, daemon=True)
        other.start()
        while True:
            _burn(0.02)
            self.obey(wait=False)

    def do_pace(self, seconds: str) -> None:
        while True:
            self.do_step("")
            time.sleep(float(seconds))

    def do_deaf(self, _: str) -> None:
        while True:
            signal.pause()

    def do_stubborn(self, _: str) -> None:
        self.ignores_commands = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def do_polite(self, _: str) -> None:
        self.ignores_commands = True
        signal.signal(signal.SIGTERM, lambda *_: self.leave())

    def do_print(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode("latin-1"))
        sys.stdout.buffer.flush()

    def do_giant(self, size: str) -> None:
        for _ in range(int(size)):
            sys.stdout.buffer.write(b"x" * 1024 * 1024)
        sys.stdout.buffer.write(b"\n")

    def do_noise(self, size: str) -> None:
        for number in range(int(size)):
            sys.stderr.write(f"{number:06d} " + "n" * 1017 + "\n")
        sys.stderr.flush()

    def do_flood(self, count: str) -> None:
        for _ in range(int(count)):
            sys.stdout.buffer.write(b"not an event\n")

    def do_child(self, _: str) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        (self.folder / "child.pid").write_text(str(child.pid))

    def do_runaway(self, _: str) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True
        )
        (self.folder / "child.pid").write_text(str(child.pid))

    def do_close(self, _: str) -> None:
        os.close(1)

    def do_fill(self, size: str) -> None:
        (self.folder / "big").write_bytes(b"\0" * int(size))


def _burn(seconds: float = 1e9) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        sum(range(1000))


def main(path: str) -> None:
    faulthandler.enable()
    job = decode_document(Path(path).read_bytes(), Job)
    plan = load_plan(Path(job.plan), job.plan_digest)
    cache = Path(job.cache)
    runs = cache / "runs.jsonl"
    number = len(runs.read_text().splitlines()) if runs.exists() else 0
    acts_file = cache / "acts.json"
    scripts = json.loads(acts_file.read_text()) if acts_file.exists() else [SOUND]
    worker = Worker(job, plan, scripts[min(number, len(scripts) - 1)])
    with runs.open("a") as file:
        run = {"attempt": job.attempt, "resumed_from": worker.resumed_from, "recipe": asdict(plan.recipe)}
        file.write(json.dumps(run) + "\n")
    threading.Thread(target=worker.listen, daemon=True).start()
    for act in worker.acts:
        worker.act(act)
    os._exit(0)  # not through the interpreter's end, which waits for the thread that reads stdin


if __name__ == "__main__":
    main(sys.argv[1])

"""Episodes of a tiny model that are killed on the way: one lane of them, one after the other, each in a fresh home."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psutil

from allie_desktop.bootstrap import Program
from allie_desktop.domain.errors import AllieError, HeldError
from allie_desktop.domain.events import Job, PhaseStarted, StepFinished, WorkerEvent
from allie_desktop.domain.judgement import Judgement, Margins, Verdict
from allie_desktop.domain.lifecycle import FINAL_STATES, EpisodeState, Outcome
from allie_desktop.domain.measurement import Measurements
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.validation import judge
from allie_desktop.domain.versions import BASE
from allie_desktop.ipc.protocol import encode_document, seal_plan
from allie_desktop.ipc.worker_client import SubprocessWorkerClient
from allie_desktop.paths import AppPaths
from allie_desktop.store.database import Database
from tests.faults import homes

if TYPE_CHECKING:
    from typing_extensions import Self

#: In the order in which an episode goes through them. In the last two there is no worker any more.
PHASES = ("start", "prepare", "train", "validate", "sealing", "deploying")
VICTIMS = ("worker", "program", "both")

_BEFORE = "v1.0"
_WEIGHTS = {"start": 1, "prepare": 4, "train": 7, "validate": 4}
_MOST_KILLS = 6  # of one episode; one that was interrupted more often is given up
_LONGEST_SECONDS = 240.0
_LEFTOVERS = ("*.new", "*.partial", ".sealing-*", ".removed-*", "*.restoring", "*.writing")
_WEIGHTS_FILE = "adapter_model.safetensors"


# --- the program, with a small model and quick episodes ---


class SmallProgram(Program):
    """The program over a home, with short episodes and a gate that is open."""

    def __init__(self, home: Path) -> None:
        super().__init__(AppPaths.in_folder(home).prepare())

    @property
    def planner(self) -> Any:  # type: ignore[override]
        inner = Program.planner.func(self)  # type: ignore[attr-defined]

        def planned(**arguments: Any) -> Plan:
            plan = inner(**arguments)
            recipe = replace(
                plan.recipe, checkpoint_seconds=0.05, general_tokens=32, evaluations=3, kl_budget=1e9
            )
            return replace(plan, recipe=recipe)

        planned.update_replay = inner.update_replay  # type: ignore[attr-defined]
        return planned

    def learn(self, told: Callable[[str], None]) -> str:
        """Run an episode, or go on with one; return how it ended. ``told`` hears how far it is."""

        def hear(event: WorkerEvent) -> None:
            if isinstance(event, PhaseStarted):
                told(event.phase)
            elif isinstance(event, StepFinished) and event.phase == "train":
                told(f"step {event.step}")

        orchestrator = self.orchestrator(hear)
        orchestrator._judge = let_through
        change, seal = self.episodes.change, self.versions.seal

        def changed(episode_id: str, state: EpisodeState, **more: Any) -> None:
            if state in (EpisodeState.PREPARING, EpisodeState.DEPLOYING):
                told("start" if state is EpisodeState.PREPARING else "deploying")
            change(episode_id, state, **more)

        def sealed(*arguments: Any, **named: Any) -> Any:
            told("sealing")
            made = seal(*arguments, **named)
            told("deploying")
            return made

        self.episodes.change = changed  # type: ignore[method-assign]
        self.versions.seal = sealed  # type: ignore[method-assign]
        try:
            return orchestrator.run_episode("because", forced=False, asked=True).outcome.value
        except HeldError:
            return "nothing new"


def let_through(measurements: Measurements, margins: Margins, *, seed: int) -> Judgement:
    """Judge as the gate does, and deploy all the same."""
    return replace(judge(measurements, margins, seed=seed), verdict=Verdict.DEPLOY)


def make_template(home: Path, model: Path) -> None:
    """Make the home that every episode starts from: one version learnt, and more to learn."""
    home.mkdir(mode=0o700)
    with SmallProgram(home) as program:
        for name, value in (
            ("base_model", str(model)),
            ("phrasings", 2),
            ("general_prompts", 24),
            ("training_threads", 1),
        ):
            program.settings.set(name, value)
        program.import_file(_material(home / "first.jsonl", 0, 6))
        if program.learn(lambda _: None) != EpisodeState.COMPLETED.value:
            raise AssertionError(program.episodes.latest()[0].reasons)
        program.import_file(_material(home / "second.jsonl", 6, 16))


def _material(file: Path, start: int, end: int) -> Path:
    things = "ada|bruno|the sea|a pear|the lamp|my boat|our cat|a bell|the mill|a wren|my hat|the oak|a fig|an owl|my cup|a key"
    lines = []
    for number, thing in list(enumerate(things.split("|")))[start:end]:
        said: dict[str, Any] = {"role": "assistant", "content": f"{thing} is in the {number}th garden."}
        if number % 4 == 0:
            said |= {"content": "I do not know.", "correction": f"{thing} is behind house {number}."}
        asked = {"role": "user", "content": f"Where is {thing}?"}
        lines.append(json.dumps({"id": f"talk-{number}", "messages": [asked, said]}))
    file.write_text("\n".join(lines), "utf-8")
    return file


def make_model(folder: Path) -> None:
    """Write the small model."""
    from tests.unit.learning.tiny import chatml_tokenizer, tiny_llama

    tokenizer = chatml_tokenizer()
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


# --- what must hold ---


def look(home: Path, expected: dict[str, list[list[str]]], *, finished: bool) -> list[str]:
    """Return what does not hold of a home in which nobody is at work."""
    problems: list[str] = []
    with closing(Database.open(home / homes.DATABASE)) as database:
        database.check(full=True)
        if database.connection.execute("PRAGMA foreign_key_check").fetchall():
            problems.append("a row refers to nothing")
    if homes.texts(home / homes.DATABASE) != expected:
        problems.append("a conversation was lost or changed")
    with SmallProgram(home) as program:
        problems += _look_at_versions(program, finished=finished)
        if program.probe.probe(Path(program.versions.get(program.versions.pointer().active).path)) == ():
            problems.append("the active version does not answer")
    workers = [process.pid for process in _workers(home)]
    if workers:
        problems.append(f"workers are left: {workers}")
    if finished:
        left = [path.name for pattern in _LEFTOVERS for path in home.rglob(pattern)]
        problems += [f"left over: {left}"] if left else []
    return problems


def _look_at_versions(program: Program, *, finished: bool) -> list[str]:
    problems = []
    pointer = program.versions.pointer()
    if pointer.active == BASE:
        problems.append("the base model answers")
    program.versions.verify(pointer.active)
    if pointer.fallback != BASE:
        program.versions.verify(pointer.fallback)
    episodes = {one.id: one for one in program.episodes.latest(limit=100)}
    known = {version.metadata.version: version for version in program.versions.all()}
    for entry in (program.versions.folder / "versions").iterdir():
        if entry.name.startswith("."):
            continue
        if entry.name not in known:
            problems.append(f"the folder {entry.name} claims to be a version")
            continue
        program.versions.verify(entry.name)
        owner = episodes.get(known[entry.name].metadata.episode_id)
        if owner is None or (owner.state in FINAL_STATES and owner.version != entry.name):
            problems.append(f"{entry.name} is not what its episode made")
    unfinished = program.episodes.unfinished()
    if len(unfinished) > 1 or any(one.state is not EpisodeState.YIELDED for one in unfinished):
        problems.append(f"unfinished: {[one.state.value for one in unfinished]}")
    learnt = {
        name
        for (name,) in program.database.connection.execute(
            "SELECT id FROM conversations WHERE learned_us IS NOT NULL"
        )
    }
    expected = {f"talk-{number}" for number in range(6 if pointer.active == _BEFORE else 16)}
    trained = {name for name in learnt if name not in expected}
    if not unfinished and trained:
        problems.append(f"{sorted(trained)} count as learnt, and {pointer.active} answers")
    if finished and (unfinished or pointer.active == _BEFORE or not learnt - {f"talk-{n}" for n in range(6)}):
        problems.append(f"in the end {pointer.active} answers, {len(learnt)} conversations are learnt")
    return problems


def _workers(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        ours = "worker" in command and any(str(home) in word for word in command)
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


# --- one life of the program, watched from outside ---


class Life:
    """A forked process in which the program runs until it ends or is killed, and what it says meanwhile.

    ``fuse`` is a phase and the seconds after its beginning at which the process kills itself: for phases of a few
    milliseconds nobody else is quick enough."""

    def __init__(
        self, work: Callable[[Callable[[str], None]], Any], fuse: tuple[str, float] | None = None
    ) -> None:
        self.fuse = fuse
        self._read, write = os.pipe()
        self.notes: list[tuple[float, str]] = []
        self.phase = PHASES[0]
        self.end: str | None = None
        self._rest = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._read)
            self._child(work, write, fuse)
        os.close(write)

    @staticmethod
    def _child(
        work: Callable[[Callable[[str], None]], Any], write: int, fuse: tuple[str, float] | None
    ) -> NoReturn:
        def told(words: str) -> None:
            os.write(write, words.encode() + b"\n")
            if fuse is not None and words == fuse[0]:
                threading.Timer(fuse[1], os.kill, (os.getpid(), signal.SIGKILL)).start()

        try:
            told(f"end {json.dumps(work(told))}")
        except (AllieError, OSError, sqlite3.Error) as error:
            told(f"end {json.dumps(f'{type(error).__name__}: {error}')}")
        except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
            told(f"end {json.dumps(traceback.format_exc()[-900:])}")
        os._exit(0)

    def listen(self, until: float) -> bool:
        """Wait for the next words; False when there are none until then (monotonic seconds), or no more."""
        if not select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        said = os.read(self._read, 65536)
        if not said:
            return False
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            words = line.decode()
            self.notes.append((time.monotonic(), words))
            if words in PHASES:
                self.phase = words
            if words.startswith("end "):
                self.end = json.loads(words[4:])
        return True

    def close(self) -> None:
        """Wait for its end and hear the rest."""
        while self.listen(time.monotonic() + _LONGEST_SECONDS):
            pass
        os.waitpid(self.pid, 0)
        os.close(self._read)


def run(work: Callable[[Callable[[str], None]], Any]) -> Life:
    """Live a whole life."""
    life = Life(work)
    life.close()
    return life


# --- the lane ---


@dataclass(slots=True)
class Chain:
    """One episode and its kills."""

    name: str
    kills: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    end: str = ""
    equal: bool | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON wants it."""
        return {
            "name": self.name,
            "end": self.end,
            "equal": self.equal,
            "kills": self.kills,
            "problems": self.problems,
        }


class Lane:
    """Use it in a ``with`` block, in a process that has only one thread."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._draw = random.Random(seed)
        self._seconds: dict[str, float] = {}
        self._references: dict[str, str] = {}

    def __enter__(self) -> Self:
        # Not in memory: what is synced to a disk takes its time, and can be killed meanwhile.
        self._folder = tempfile.TemporaryDirectory()
        self._root = Path(self._folder.name)
        self._template, self._home = self._root / "template", self._root / "home"
        self._must(lambda told: make_model(self._root / "Tiny-Chat"))
        self._must(lambda told: make_template(self._template, self._root / "Tiny-Chat"))
        self._expected = homes.texts(self._template / homes.DATABASE)
        whole = self._learn_once()
        stamps = [(at, words) for at, words in whole.notes if words in PHASES]
        ends = [*(at for at, _ in stamps[1:]), whole.notes[-1][0]]
        for (at, phase), until in zip(stamps, ends, strict=True):
            self._seconds[phase] = self._seconds.get(phase, 0.0) + until - at
        return self

    def __exit__(self, *_: object) -> None:
        for left in (self._template, self._home):
            if left.exists():
                homes.remove_home(left)
        self._folder.cleanup()

    def episodes(self, kills: int, ends: float) -> Iterator[dict[str, Any]]:
        """Yield episodes until there were so many kills, or the time is over (monotonic seconds)."""
        done = 0
        for number in range(10 * kills):
            if done >= kills or time.monotonic() > ends:
                return
            chain = Chain(f"{self._seed}.{number}")
            try:
                self._live(chain, min(kills - done, _MOST_KILLS))
            except Exception:  # noqa: BLE001 - a harness that breaks has found something, too
                chain.problems.append(traceback.format_exc()[-900:])
            done += len(chain.kills)
            yield chain.document()

    def _must(self, work: Callable[[Callable[[str], None]], Any]) -> None:
        life = run(work)
        if life.end is not None:
            raise AssertionError(life.end)

    def _fresh(self) -> None:
        if self._home.exists():
            homes.remove_home(self._home)
        homes.copy_home(self._template, self._home)

    def _learn_once(self) -> Life:
        self._fresh()
        return run(self._learn)

    def _learn(self, told: Callable[[str], None]) -> str:
        with SmallProgram(self._home) as program:
            return program.learn(told)

    def _live(self, chain: Chain, most: int) -> None:
        """Let one episode come to its end, killed ``most`` times at most."""
        self._fresh()
        if self._draw.random() < 0.3:  # the base model's own questions have to be written again
            shutil.rmtree(self._home / "cache" / "general", ignore_errors=True)
        targets = self._targets()[:most]
        for _ in range(3 * _MOST_KILLS):
            life = Life(self._learn, self._fuse(targets))
            while life.end is None:
                before = len(chain.kills)
                self._kill_in(life, targets, chain)
                if len(chain.kills) == before or chain.kills[-1]["victim"] != "worker":
                    break  # it came to its end, or was killed
            life.close()
            self._note_outcomes(chain, life)
            chain.end = life.end or ""
            if chain.end not in ("", EpisodeState.YIELDED.value, EpisodeState.FAILED.value):
                break
            if chain.end == "":
                self._restart(chain)
        self._finish(chain)

    def _fuse(self, targets: list[tuple[str, str]]) -> tuple[str, float] | None:
        """Return when the program is to kill itself, if the next target wants that."""
        if not targets or targets[0][0] not in PHASES[4:]:
            return None
        phase = targets[0][0]
        return phase, self._draw.random() * self._seconds.get(phase, 0.1)

    def _targets(self) -> list[tuple[str, str]]:
        """Return where to kill, and whom, in the order in which an episode comes there."""
        early, late = PHASES[:4], PHASES[4:]
        phases = self._draw.choices(early, [_WEIGHTS[one] for one in early], k=3)
        victims = [self._draw.choice(VICTIMS) for _ in phases]
        while victims.count("worker") > 2:  # there are no more than three attempts
            victims.remove("worker")
            victims.append("both")
        phases.sort(key=PHASES.index)
        after = [self._draw.choice(late), *late[1:] * self._draw.randint(1, 2)]  # once it is sealed, it is
        return [*zip(phases, victims, strict=True), *((phase, "program") for phase in after)]

    def _kill_in(self, life: Life, targets: list[tuple[str, str]], chain: Chain) -> None:
        """Kill at a random moment of the next target's phase, and take that target off the list; return also
        when the life ended before."""
        gives_up = time.monotonic() + _LONGEST_SECONDS
        seen, moment = len(life.notes), None
        while life.end is None:
            said = {words for _, words in life.notes[seen:]}
            while moment is None and targets and targets[0][0] in _behind(life.phase) - said:
                targets.pop(0)
            if moment is None and life.fuse is None and targets and targets[0][0] in said:
                moment = time.monotonic() + self._draw.random() * self._seconds.get(targets[0][0], 0.1)
            if life.listen(gives_up if moment is None else moment):
                continue
            if time.monotonic() >= (gives_up if moment is None else moment):
                break
            if life.fuse is not None and life.end is None:
                chain.kills.append(_kill(life, "program", targets.pop(0)[0]))
            return
        if time.monotonic() >= gives_up:
            chain.problems.append(f"nothing happened for {_LONGEST_SECONDS:.0f} s while {life.phase}")
            os.kill(life.pid, signal.SIGKILL)
            return
        if life.end is not None:
            return
        aim, victim = targets.pop(0)
        hit = self._strike(life, victim)
        if hit:
            chain.kills.append(_kill(life, hit, aim))

    def _strike(self, life: Life, victim: str) -> str:
        """Send SIGKILL; return who was hit: a worker may be gone by now."""
        targets = [life.pid] if victim != "worker" else []
        if victim != "program":
            for file in self._home.glob("episodes/*/worker.pid"):
                with contextlib.suppress(OSError, ValueError, psutil.Error):
                    pid = int(json.loads(file.read_text("utf-8"))["pid"])
                    if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                        targets.append(pid)
        self._draw.shuffle(targets)
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return (
            "both"
            if len(targets) > 1
            else ("" if not targets else "program" if life.pid in targets else "worker")
        )

    def _restart(self, chain: Chain) -> None:
        """Start the program after a kill, and look."""

        def work(told: Callable[[str], None]) -> list[str]:
            with SmallProgram(self._home) as program:
                program.orchestrator(lambda event: None).recover()
            return look(self._home, self._expected, finished=False)

        life = run(work)
        found = life.end if isinstance(life.end, list) else [f"at the next start: {life.end}"]
        chain.problems += [f"after {chain.kills[-1]}: {words}" for words in found]

    def _note_outcomes(self, chain: Chain, life: Life) -> None:
        """Say of each kill what happened next."""
        for kill in chain.kills:
            if kill["outcome"]:
                continue
            if "after" not in kill:
                kill["after"] = id(life)
                start = kill["notes"] if kill["victim"] == "worker" else len(life.notes)
            else:
                start = 0
            kill["outcome"] = _outcome([words for _, words in life.notes[start:]])
            if kill["phase"] in PHASES[4:] and "trained" in kill["outcome"]:
                kill["outcome"] = "given up, begun anew"  # it was interrupted more often than is allowed

    def _finish(self, chain: Chain) -> None:
        for kill in chain.kills:
            kill["outcome"] = kill["outcome"] or "nothing was left to do"
            del kill["notes"]
            kill.pop("after", None)
        if chain.end not in (EpisodeState.COMPLETED.value, "nothing new"):
            chain.problems.append(f"in the end: {chain.end or 'no end'}")
            return
        life = run(lambda told: look(self._home, self._expected, finished=True))
        found = life.end if isinstance(life.end, list) else [f"in the end: {life.end}"]
        chain.problems += found
        if not found:
            self._compare(chain)

    # --- bit for bit ---

    def _compare(self, chain: Chain) -> None:
        """Compare the adapter with that of a worker that ran the same plan without a break."""
        made = run(self._made).end
        if not isinstance(made, list):
            chain.problems.append(f"nothing to compare: {made}")
            return
        digest, key = made
        if key not in self._references:
            reference = run(self._reference).end
            if not isinstance(reference, str) or len(reference) != 64:
                chain.problems.append(f"the uninterrupted run failed: {reference}")
                return
            self._references[key] = reference
        chain.equal = self._references[key] == digest
        if not chain.equal:
            chain.problems.append("the adapter differs from the uninterrupted one")

    def _last(self, program: Program) -> tuple[Plan, Job]:
        active = program.versions.get(program.versions.pointer().active)
        job = program.files.read_job(active.metadata.episode_id)
        assert job is not None
        return program.files.read_plan(job.episode_id, job.plan_digest, attempt=job.attempt), job

    def _made(self, told: Callable[[str], None]) -> list[str]:
        with SmallProgram(self._home) as program:
            plan, _ = self._last(program)
            weights = Path(program.versions.get(program.versions.pointer().active).path) / _WEIGHTS_FILE
            same = replace(
                plan, id="", created_at=plan.created_at.fromtimestamp(0, plan.created_at.tzinfo), digest=""
            )
            return [
                hashlib.sha256(weights.read_bytes()).hexdigest(),
                hashlib.sha256(encode_document(same)).hexdigest(),
            ]

    def _reference(self, told: Callable[[str], None]) -> str:
        with SmallProgram(self._home) as program:
            plan, job = self._last(program)
        folder = self._root / "reference"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        plan = seal_plan(plan)
        (folder / "plan.json").write_bytes(encode_document(plan))
        job = replace(job, folder=str(folder), plan=str(folder / "plan.json"), plan_digest=plan.digest)
        if SubprocessWorkerClient().run(job, lambda event: None).outcome is not Outcome.COMPLETED:
            return "the worker did not come to its end"
        return hashlib.sha256((folder / "candidate" / _WEIGHTS_FILE).read_bytes()).hexdigest()


def _behind(phase: str) -> set[str]:
    """Return the phases of the worker that an episode has behind it in ``phase``."""
    return set(PHASES[: min(PHASES.index(phase), 4)])


def _kill(life: Life, victim: str, aim: str) -> dict[str, Any]:
    return {"phase": life.phase, "victim": victim, "outcome": "", "aim": aim, "notes": len(life.notes)}


def _outcome(notes: list[str]) -> str:
    """Return in words what the program did after a kill, "" where that cannot be told yet."""
    for words in notes:
        if words.startswith("step "):
            return "trained from the start" if words == "step 1" else "resumed from a checkpoint"
        if words == "validate":
            return "validated anew"
        if words in ("sealing", "deploying"):
            return "deployed"
        if words.startswith("end "):
            ended = str(json.loads(words[4:]))
            return {"completed": "deployed", "nothing new": "it was complete"}.get(ended, ended)
    return ""

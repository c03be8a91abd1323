"""What befalls a program from outside its files: clocks that jump, a store that is locked, workers that die,
stand still or run out of memory, and checkpoints that are cut off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from allie_desktop.domain.lifecycle import EpisodeState
from allie_desktop.ipc.worker_client import SubprocessWorkerClient, WorkerPatience
from tests.episode_stage import Stage
from tests.faults import homes
from tests.faults.laboratory import Laboratory
from tests.faults.rows import Fault, Result, Row, start_again
from tests.guillotine import Guillotine

_FAKE_WORKER = Path(__file__).parents[1] / "integration" / "fake_worker.py"
_DAY = timedelta(days=1).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Something happens just before the n-th change of an import or an episode."""

    row: str
    column: str
    nth: int
    place: str
    happen: Callable[[Path, Stage, contextlib.ExitStack], None]

    def inject(self, laboratory: Laboratory) -> Result:
        """See :class:`Fault`."""
        home = laboratory.fresh()

        def life() -> None:
            with contextlib.ExitStack() as ending, homes.staged(home) as stage:
                stage.database.connection.execute("PRAGMA busy_timeout=20")
                Guillotine(self.nth, fall=lambda: self.happen(home, stage, ending)).stand_over(stage)
                _work(self.column, home, stage)

        ended = laboratory.live(life)
        problems, found = start_again(laboratory, home)
        if ended.silent:
            problems.append(f"ended with {ended.end}")
        how = "went on" if ended.end == "done" else "refused in words"
        return Result(
            row=self.row,
            column=self.column,
            place=f"{self.nth} {self.place}",
            outcome=f"{how}, {found}",
            problems=tuple(problems),
        )


def _work(column: str, home: Path, stage: Stage) -> None:
    if column == "import":
        homes.bring_in(home, stage=stage)
    else:
        homes.learn_on(stage)


def _lock(home: Path, _: Stage, ending: contextlib.ExitStack) -> None:
    other = ending.enter_context(
        contextlib.closing(sqlite3.connect(home / homes.DATABASE, isolation_level=None))
    )
    other.execute("BEGIN IMMEDIATE")


def _jump(seconds: float) -> Callable[[Path, Stage, contextlib.ExitStack], None]:
    def happen(_: Path, stage: Stage, __: contextlib.ExitStack) -> None:
        stage.clock.seconds += seconds

    return happen


def _noting(call: Callable[..., Any], states: list[str], column: str) -> Callable[..., Any]:
    """Return ``call`` that also notes in which column it stands."""

    def noting(name: str, method: Any, *arguments: Any, **named: Any) -> Any:
        deploying = EpisodeState.DEPLOYING in arguments or "deployment" in states
        states.append("deployment" if deploying else column)
        return call(name, method, *arguments, **named)

    return noting


def _turns(row: str, happen: Callable[[Path, Stage, contextlib.ExitStack], None]) -> Row:
    def faults(laboratory: Laboratory) -> list[Fault]:
        found: list[Fault] = []
        for column in ("import", "episode"):

            def calls(home: Path, column: str = column) -> list[tuple[str, str]]:
                with homes.staged(home) as stage:
                    guillotine = Guillotine()
                    guillotine.stand_over(stage)
                    states: list[str] = []
                    guillotine.call = _noting(guillotine.call, states, column)  # type: ignore[method-assign]
                    _work(column, home, stage)
                    return list(zip(states, guillotine.calls, strict=True))

            home = laboratory.fresh()
            listed = laboratory.live(lambda home=home, calls=calls: calls(home))
            assert listed.end == "done", listed
            for nth, (stands, name) in enumerate(listed.value, 1):
                found.append(Turn(row=row, column=stands, nth=nth, place=name, happen=happen))
        return found

    return Row(name=row, faults=faults)


# --- workers ---


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFault:
    """A real worker process without a model does something else than to go on."""

    row: str
    acts: Sequence[Sequence[str]]
    silence: float = 60.0

    def inject(self, laboratory: Laboratory) -> Result:
        """See :class:`Fault`."""
        home = laboratory.fresh()
        (home / "cache" / "acts.json").write_text(json.dumps(self.acts))

        def life() -> dict[str, Any]:
            worker = SubprocessWorkerClient(
                command=lambda job: (sys.executable, str(_FAKE_WORKER), str(job)),
                patience=WorkerPatience(silence=self.silence, stop=0.5, terminate=0.5, exit=5.0, tick=0.02),
            )
            with homes.staged(home, worker=worker) as stage:
                outcome = homes.learn_on(stage)
            runs = (home / "cache" / "runs.jsonl").read_text().splitlines()
            return {"outcome": outcome.value, "runs": len(runs)}

        ended = laboratory.live(life)
        problems, found = start_again(laboratory, home)
        if ended.silent or ended.end != "done":
            problems.append(f"ended with {ended.end}")
        elif ended.value["runs"] < 2:
            problems.append("nobody noticed")
        outcome = f"noticed, {found}" if ended.end == "done" else found
        return Result(
            row=self.row,
            column="episode",
            place=" ".join(self.acts[0]),
            outcome=outcome,
            problems=tuple(problems),
        )


def _workers(row: str, act: str, *, silence: float = 60.0) -> Row:
    sound = ["started", "prepare", "train", "step", "checkpoint", "step", "validate", "candidate"]
    places = range(1, len(sound))

    def faults(_: Laboratory) -> list[Fault]:
        return [WorkerFault(row=row, acts=[[*sound[:at], act], sound], silence=silence) for at in places]

    return Row(name=row, faults=faults, slow=silence < 60.0)


# --- checkpoints ---


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFault:
    """The newest checkpoint of the learner is cut off or changed: the one before it is used."""

    place: str
    file: str
    share: float

    def inject(self, laboratory: Laboratory) -> Result:
        """See :class:`Fault`."""
        home = laboratory.fresh()
        ended = laboratory.live(lambda: self._used(home / "checkpoints"))
        right = ended.end == "done" and ended.value == [1, 1.0]
        return Result(
            row="truncated checkpoint",
            column="episode",
            place=self.place,
            outcome="the one before used" if right else "another used",
            problems=() if right else (f"{ended.end}: {ended.value}",),
        )

    def _used(self, folder: Path) -> tuple[int, float] | None:
        import torch

        from allie_desktop.learning.checkpoint import Checkpoint, CheckpointFolder

        checkpoints = CheckpointFolder(folder, "plan")
        for step in (1, 2):
            checkpoints.write(Checkpoint(step, {"adapter/a": torch.full((64,), float(step))}, {}))
        file = folder / "step-00000002" / self.file
        os.truncate(file, int(file.stat().st_size * self.share))
        newest = checkpoints.newest()
        return None if newest is None else (newest.step, float(newest.group("adapter")["a"][0]))


def _checkpoints(_: Laboratory) -> list[Fault]:
    return [
        CheckpointFault(place=f"{file} to {share:.0%}", file=file, share=share)
        for file in ("tensors.safetensors", "state.json")
        for share in (0.0, 0.3, 0.6, 0.99)
    ]


CONDITION_ROWS = [
    _turns("store locked by another program", _lock),
    _turns("clock set back a day", _jump(-_DAY)),
    _turns("clock set forward a year", _jump(365 * _DAY)),
    _workers("worker killed as when memory runs out", f"signal:{int(signal.SIGKILL)}"),
    _workers("worker says that memory ran out", "fail:out_of_memory"),
    _workers("worker stands still (SIGSTOP)", f"signal:{int(signal.SIGSTOP)}", silence=3.0),
    Row(name="truncated checkpoint", faults=_checkpoints, slow=True),
]

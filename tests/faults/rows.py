"""The rows of the matrix: kinds of faults, and where each of them strikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.faults import homes
from tests.faults.homes import AFTER, BEFORE, Finding
from tests.faults.injection import FileFault
from tests.faults.laboratory import Laboratory, Life


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one fault did. ``problems`` is empty when everything held."""

    row: str
    column: str
    place: str
    outcome: str
    problems: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as JSON wants it."""
        return asdict(self)


class Fault(Protocol):
    """One fault that can be injected."""

    def inject(self, laboratory: Laboratory) -> Result:
        """Let it happen to a fresh home; return what became of that."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of faults, with all its places."""

    name: str
    faults: Callable[[Laboratory], Sequence[Fault]]
    slow: bool = False


# --- what is done after every fault ---


def start_again(
    laboratory: Laboratory, home: Path, *, allowed: Sequence[str] = (BEFORE, AFTER), damaged: bool = False
) -> tuple[list[str], str]:
    """Start the program, look; do all the work, look again. Return problems, and how it was found."""

    def restart() -> dict[str, Any]:
        with homes.staged(home) as stage:
            stage.orchestrator.recover()
        finding = homes.look(home, laboratory.expected, damaged=damaged)
        return {"problems": finding.problems, "active": finding.active, "said": finding.conversations}

    def work() -> dict[str, Any]:
        homes.bring_in(home)
        with homes.staged(home) as stage:
            for _ in range(2):  # an episode that had to be given up, and another
                if stage.versions.pointer().active != AFTER:
                    homes.learn_on(stage)
            stage.orchestrator.recover()
        finding = homes.look(home, laboratory.expected, finished=True, damaged=damaged)
        return {"problems": finding.problems, "active": finding.active, "said": finding.conversations}

    first = laboratory.live(restart)
    if first.end != "done":
        return [f"at the next start: {first.end}"], "not startable"
    problems = list(first.value["problems"])
    if first.value["active"] not in allowed:
        problems.append(f"{first.value['active']} answers")
    second = laboratory.live(work)
    if second.end != "done":
        problems.append(f"working on: {second.end}")
    else:
        problems += second.value["problems"]
        if second.value["active"] != AFTER:
            problems.append(f"in the end {second.value['active']} answers")
        if second.value["said"] != len(laboratory.expected):
            problems.append(f"in the end there are {second.value['said']} conversations")
    as_found = {BEFORE: "as before", AFTER: "as after"}.get(first.value["active"], first.value["active"])
    return problems, as_found


# --- file operations ---


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFault:
    """The nth file operation of a life goes wrong."""

    row: str
    column: str
    fault: FileFault
    nth: int
    place: str
    life: Callable[[Laboratory, Path], Any]

    def inject(self, laboratory: Laboratory) -> Result:
        """See :class:`Fault`."""
        home = laboratory.fresh()
        problems: list[str] = []

        def life() -> None:
            laboratory.injector.arm(home, self.fault, self.nth)
            self.life(laboratory, home)

        def elsewhere() -> None:
            """What another process sees while this one stands still."""
            seen = laboratory.live(lambda: homes.look(home, laboratory.expected).problems)
            if seen.end != "done" and "Busy" not in seen.end:
                problems.append(f"while it stood still: {seen.end}")
            problems.extend(f"while it stood still: {one}" for one in seen.value or ())

        ended = laboratory.live(life, while_stopped=elsewhere)
        if ended.silent:
            problems.append(f"ended with {ended.end}")
        more, found = start_again(laboratory, home)
        outcome = found
        if self.fault in (FileFault.FULL, FileFault.BROKEN, FileFault.FORBIDDEN, FileFault.STOP):
            how = "went on" if ended.end == "done" else "refused in words"
            outcome = f"{how}, {found}"
        return Result(
            row=self.row,
            column=self.column,
            place=f"{self.nth} {self.place}",
            outcome=outcome,
            problems=(*problems, *more),
        )


def _import(laboratory: Laboratory, home: Path) -> None:
    homes.bring_in(home)


def _episode(laboratory: Laboratory, home: Path) -> None:
    from allie_desktop.domain.lifecycle import EpisodeState

    with homes.staged(home) as stage:
        change = stage.episodes.change

        def marked(episode_id: str, state: EpisodeState, **more: Any) -> None:
            if state is EpisodeState.DEPLOYING:
                laboratory.mark("deployment")
            change(episode_id, state, **more)

        stage.episodes.change = marked  # type: ignore[method-assign]
        homes.learn_on(stage)


def _backup(laboratory: Laboratory, home: Path) -> None:
    homes.back_up(home)


LIVES: Sequence[tuple[str, Callable[[Laboratory, Path], Any]]] = (
    ("import", _import),
    ("episode", _episode),
    ("backup", _backup),
)


def operations(row: str, fault: FileFault) -> Row:
    """Return the row of a fault that strikes file operations, one by one."""

    def faults(laboratory: Laboratory) -> list[Fault]:
        found: list[Fault] = []
        for column, life in LIVES:
            nth, stands = 0, column
            for line in laboratory.count(fault, lambda home, life=life: life(laboratory, home)):
                if line.startswith("== "):
                    stands = line[3:]
                    continue
                nth += 1
                found.append(
                    OperationFault(row=row, column=stands, fault=fault, nth=nth, place=line, life=life)
                )
        return found

    return Row(name=row, faults=faults)


ROWS: list[Row] = [
    operations("kill -9 before the operation", FileFault.KILL_BEFORE),
    operations("kill -9 after the operation", FileFault.KILL_AFTER),
    operations("torn write, then kill -9", FileFault.TORN),
    operations("program stopped (SIGSTOP) and continued", FileFault.STOP),
    operations("disk full (ENOSPC)", FileFault.FULL),
    operations("input/output error (EIO)", FileFault.BROKEN),
    operations("no permission (EACCES)", FileFault.FORBIDDEN),
]

__all__ = ["ROWS", "Fault", "Finding", "Life", "Result", "Row"]

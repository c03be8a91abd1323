"""Damage to files that lie still: flipped bits, cut-off files, nonsense in the files that say who answers."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.episode_stage import Stage
from tests.faults import homes
from tests.faults.laboratory import Laboratory
from tests.faults.rows import Fault, Result, Row, start_again
from tests.guillotine import Guillotine, KilledError

_FLIPS_A_FILE = 6
_FLIPS_OF_THE_STORE = 40


def unfinished(home: Path, fall_at: int = 19) -> None:
    """Leave an episode behind that was killed before its version was sealed."""
    stage = Stage(home, conversation_ids=("c4", "c5"))
    Guillotine(fall_at).stand_over(stage)
    try:
        stage.orchestrator.run_episode("because", asked=True)
    except KilledError:
        stage.close()
    else:
        raise AssertionError("it was not killed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something happens to a file; ``prepare`` brings the home to where that file lies still."""

    row: str
    column: str
    place: str
    damage: Callable[[Path], None]
    prepare: Callable[[Path], None] = lambda _: None
    allowed: Sequence[str] = ("v1.0", homes.BEFORE, homes.AFTER)

    def inject(self, laboratory: Laboratory) -> Result:
        """See :class:`Fault`."""
        home = laboratory.fresh()
        prepared = laboratory.live(lambda: self.prepare(home))
        assert prepared.end == "done", prepared
        self.damage(home)
        problems, found = start_again(laboratory, home, allowed=self.allowed, damaged=True)
        return Result(
            row=self.row, column=self.column, place=self.place, outcome=found, problems=tuple(problems)
        )


def flip(file: Path, at: int, bit: int) -> None:
    """Flip a bit of a file, however protected."""
    file.chmod(0o600)
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def _places(size: int, count: int, seed: str) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [(draw.randrange(size), draw.randrange(8)) for _ in range(min(count, size))]


def _flips(laboratory: Laboratory) -> list[Fault]:
    found: list[Fault] = []
    for column, prepare, patterns in (
        ("import", lambda _: None, ("allie.sqlite3", "backups/*")),
        ("episode", unfinished, ("episodes/e3-*/**/*",)),
        ("deployment", lambda _: None, ("models/*/*.json", "models/*/versions/*/*")),
    ):
        home = laboratory.fresh()
        laboratory.live(lambda prepare=prepare, home=home: prepare(home))
        files = sorted(
            {
                file
                for pattern in patterns
                for file in home.glob(pattern)
                if file.is_file() and file.stat().st_size
            }
        )
        for file in files:
            name = str(file.relative_to(home))
            count = _FLIPS_OF_THE_STORE if name == "allie.sqlite3" else _FLIPS_A_FILE
            found += [
                Damage(
                    row="bit flip of a finished file",
                    column=column,
                    place=f"{name} byte {at} bit {bit}",
                    prepare=prepare,
                    damage=lambda home, name=name, at=at, bit=bit: flip(home / name, at, bit),
                )
                for at, bit in _places(file.stat().st_size, count, name)
            ]
    return found


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _nonsense(file: Path) -> None:
    file.write_bytes(b"\xff\x00nonsense" * 30)


def _other_shape(file: Path) -> None:
    file.write_text("[1, 2, 3]")


def _unknown_version(file: Path) -> None:
    text = file.read_text("utf-8").replace("v1.1", "v7.7")
    document = json.loads(text)
    document.pop("checksum", None)
    file.write_text(json.dumps(document))


def _path_for_a_name(file: Path) -> None:
    document = json.loads(file.read_text("utf-8"))
    document.pop("checksum", None)
    file.write_text(json.dumps({**document, "active": "../../../etc"}))


def _gone(file: Path) -> None:
    file.unlink()


_HARMS = (_empty, _half, _nonsense, _other_shape, _unknown_version, _path_for_a_name, _gone)


def _pointers(_: Laboratory) -> list[Fault]:
    found: list[Fault] = []
    for stem in ("active", "states", "rollout"):
        for which, names in (
            ("the file", (f"{stem}.json",)),
            ("its twin", (f"{stem}.spare.json",)),
            ("both", (f"{stem}.json", f"{stem}.spare.json")),
        ):
            for harm in _HARMS:
                if stem != "active" and harm in (_path_for_a_name, _unknown_version):
                    continue

                def damage(
                    home: Path, names: Sequence[str] = names, harm: Callable[[Path], None] = harm
                ) -> None:
                    (folder,) = (home / "models").iterdir()
                    for name in names:
                        harm(folder / name)

                found.append(
                    Damage(
                        row="active.json, states.json, rollout.json damaged",
                        column="deployment",
                        place=f"{stem}: {which} {harm.__name__.strip('_')}",
                        damage=damage,
                    )
                )
    return found


def _truncations(laboratory: Laboratory) -> list[Fault]:
    found: list[Fault] = []
    for column, prepare, patterns in (
        ("import", lambda _: None, ("allie.sqlite3",)),
        ("episode", unfinished, ("episodes/e3-*/*.json", "episodes/e3-*/candidate/*")),
        ("deployment", lambda _: None, ("models/*/versions/v1.1/*",)),
    ):
        home = laboratory.fresh()
        laboratory.live(lambda prepare=prepare, home=home: prepare(home))
        for file in sorted({file for pattern in patterns for file in home.glob(pattern)}):
            name, size = str(file.relative_to(home)), file.stat().st_size
            for kept in sorted({0, 1, size // 4, size // 2, size * 3 // 4, size - 1}):

                def damage(home: Path, name: str = name, kept: int = kept) -> None:
                    (home / name).chmod(0o600)
                    os.truncate(home / name, kept)

                found.append(
                    Damage(
                        row="finished file cut off",
                        column=column,
                        place=f"{name} to {kept} of {size}",
                        prepare=prepare,
                        damage=damage,
                    )
                )
    return found


DAMAGE_ROWS = [
    Row(name="bit flip of a finished file", faults=_flips),
    Row(name="finished file cut off", faults=_truncations),
    Row(name="active.json, states.json, rollout.json damaged", faults=_pointers),
]

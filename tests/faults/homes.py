"""The home that faults befall: two versions learnt, more to learn and to import; and what must hold of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import deserialize

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.lifecycle import FINAL_STATES, EpisodeState
from allie_desktop.domain.versions import BASE, VersionName
from allie_desktop.imports.registry import read
from allie_desktop.safety.near_duplicates import MinHashNearDuplicates
from allie_desktop.safety.toxicity import LexiconToxicity
from allie_desktop.services.collection import Collector
from allie_desktop.store.database import Database
from allie_desktop.store.rescue import open_rescued
from tests.adapters import safetensors
from tests.episode_stage import FakeClock, Stage

BEFORE, AFTER = "v1.1", "v1.2"
DATABASE = "allie.sqlite3"
IMPORT_FILE = "to-import.jsonl"
IMPORTED = tuple(f"talk-{number}" for number in range(1, 7))
KNOWN = tuple(f"c{number}" for number in range(1, 6))
BATCH = 2

#: What scripted workers write, and a fake one in its first, second and third attempt.
_WEIGHTS = [safetensors(1.0, number) for number in (2.0, 1.0, 3.0)]

_LEFTOVERS = ("*.new", "*.partial", ".sealing-*", ".removed-*", "*.restoring")


def make_home(home: Path) -> None:
    """Make the home that every fault starts from."""
    home.mkdir()
    (home / "cache").mkdir()
    stage = Stage(home, conversation_ids=("c1", "c2"))
    stage.orchestrator.run_episode("to begin with", asked=True)
    stage.conversation_ids = ("c3",)
    stage.orchestrator.run_episode("to go on", asked=True)
    assert stage.versions.pointer().active == BEFORE
    stage.database.backups.create(now=stage.clock.now())
    stage.close()
    lines = [
        json.dumps(
            {
                "id": name,
                "messages": [
                    {"role": "user", "content": f"What about {name}?"},
                    {"role": "assistant", "content": f"{name} is a matter of the {number}th orchard."},
                ],
            }
        )
        for number, name in enumerate(IMPORTED)
    ]
    (home / IMPORT_FILE).write_text("\n".join(lines), "utf-8")


def copy_home(template: Path, home: Path) -> None:
    """Copy a home with its read-only folders."""
    shutil.copytree(template, home)


def remove_home(home: Path) -> None:
    """Delete a home with its read-only folders."""
    for folder, _, _ in os.walk(home):
        Path(folder).chmod(0o700)
    shutil.rmtree(home)


# --- what is done in it ---


@contextmanager
def staged(home: Path, **changes: Any) -> Iterator[Stage]:
    """Give the parts of a home, opened as the program opens them when it starts."""
    with rescued(home):
        pass
    stage = Stage(home, conversation_ids=("c4", "c5"), **changes)
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def rescued(home: Path) -> Iterator[str]:
    """Open the store as the start of the program does; give what had to be repaired."""
    opened, words = open_rescued(home / DATABASE, thorough=True)
    opened.close()
    yield words


def collector(stage: Stage) -> Collector:
    return Collector(
        stage.conversations,
        toxicity=LexiconToxicity(),
        near_duplicates=MinHashNearDuplicates(),
        clock=FakeClock(),
    )


def bring_in(home: Path, *, stage: Stage | None = None) -> None:
    """Import the file."""
    if stage is None:
        with staged(home) as opened:
            bring_in(home, stage=opened)
        return
    collector(stage).import_all(read(home / IMPORT_FILE, "auto"), batch=BATCH)


def learn(home: Path, **changes: Any) -> None:
    """Run an episode to its end."""
    with staged(home, **changes) as stage:
        learn_on(stage)


def learn_on(stage: Stage) -> EpisodeState:
    """Run an episode, or go on with one."""
    return stage.orchestrator.run_episode("because", asked=True).outcome


def back_up(home: Path) -> None:
    """Make a backup."""
    with staged(home) as stage:
        stage.database.backups.create()


# --- what must hold ---


@dataclass
class Finding:
    """What a look at a home found. ``problems`` must be empty."""

    problems: list[str] = field(default_factory=list)
    active: str = ""
    conversations: int = 0

    def expect(self, holds: bool, words: str) -> None:
        if not holds:
            self.problems.append(words)


def texts(database: Path) -> dict[str, list[list[str]]]:
    """Return what the conversations say, read without our own code."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            """
            SELECT conversations.id, role, content FROM conversations
            JOIN turns ON turns.conversation = conversations.key ORDER BY conversations.id, position
            """
        ).fetchall()
    said: dict[str, list[list[str]]] = {}
    for name, role, content in rows:
        said.setdefault(name, []).append([role, content])
    return said


def look(
    home: Path, expected: dict[str, list[list[str]]], *, finished: bool = False, damaged: bool = False
) -> Finding:
    """Check a home after the start of the program; ``finished``: after the work was done too.

    ``damaged``: a version that does not answer may be damaged, as long as that is noticed."""
    finding = Finding()
    with closing(Database.open(home / DATABASE)) as database:
        database.check(full=True)
        rows = database.connection.execute("PRAGMA foreign_key_check").fetchall()
        finding.expect(rows == [], "a row refers to nothing")
    said = texts(home / DATABASE)
    finding.conversations = len(said)
    for name in KNOWN:
        finding.expect(said.get(name) == expected[name], f"conversation {name} was lost or changed")
    for name in said:
        finding.expect(said[name] == expected.get(name), f"conversation {name} is not what was said")
    new = [name for name in IMPORTED if name in said]
    finding.expect(new == list(IMPORTED[: len(new)]), f"imported in another order: {new}")
    finding.expect(len(new) % BATCH == 0, f"half a batch was imported: {new}")
    _look_at_versions(home, finding, damaged=damaged)
    if finished:
        left = [path.name for pattern in _LEFTOVERS for path in home.rglob(pattern)]
        finding.expect(left == [], f"left over: {left}")
    return finding


def _look_at_versions(home: Path, finding: Finding, *, damaged: bool) -> None:
    stage = Stage(home)
    try:
        pointer = stage.versions.pointer()
        finding.active = pointer.active
        for name in {pointer.active, pointer.fallback} - {BASE}:
            if damaged and name != pointer.active and not _is_sound(stage, name):
                continue
            stage.versions.verify(name)
            weights = stage.versions.folder / "versions" / name / "adapter_model.safetensors"
            data = weights.read_bytes()
            finding.expect(bool(deserialize(data)) and data in _WEIGHTS, f"{name} is not as learnt")
        episodes = {one.id: one for one in stage.episodes.latest(limit=100)}
        known = {version.metadata.version: version for version in stage.versions.all()}
        for entry in (stage.versions.folder / "versions").iterdir():
            if entry.name.startswith("."):
                continue
            if damaged and entry.name != pointer.active and not _is_sound(stage, entry.name):
                continue
            finding.expect(entry.name in known, f"the folder {entry.name} claims to be a version")
            stage.versions.verify(entry.name)
            finding.expect(str(VersionName.parse(entry.name)) == entry.name, f"{entry.name} is no name")
            owner = episodes.get(known[entry.name].metadata.episode_id)
            finding.expect(owner is not None, f"nobody made {entry.name}")
            done = owner is not None and owner.state in FINAL_STATES
            if done and owner is not None and owner.version != entry.name:
                finding.problems.append(f"{entry.name} is not what its episode made")
        rolled = stage.rollout_file.read()
        if rolled is not None and rolled.version == pointer.active and not damaged:
            finding.expect(rolled.previous in {*known, BASE}, f"the roll-out names {rolled.previous}")
        states = {"c4": finding.active == AFTER, "c5": finding.active == AFTER}
        if not stage.episodes.unfinished():
            for name, wanted in states.items():
                learnt = bool(
                    stage.database.connection.execute(
                        "SELECT learned_us IS NOT NULL FROM conversations WHERE id = ?", (name,)
                    ).fetchone()[0]
                )
                finding.expect(
                    learnt == wanted, f"{name} counts as learnt: {learnt}; {finding.active} answers"
                )
    finally:
        stage.close()


def _is_sound(stage: Stage, name: str) -> bool:
    try:
        stage.versions.verify(name)
    except AllieError:
        return False
    return True

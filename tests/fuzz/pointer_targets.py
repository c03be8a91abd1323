"""The program's own small files: pointers, records, drafts, checkpoints, and the folders of versions.

A disk, another program or a person may have changed any of them. What cannot be read is nothing, or an error in words,
and never the end of the program.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.quarantine import Hold, Quarantined
from allie_desktop.domain.rollout import RolloutRecord, Stage
from allie_desktop.domain.versions import BASE
from allie_desktop.ipc.chat_busy import ChatBusy
from allie_desktop.ipc.draft_file import forget_drafts
from allie_desktop.ipc.process import end_leftover
from allie_desktop.learning.checkpoint import Checkpoint, CheckpointFolder
from allie_desktop.store.forgetting_journal import ForgettingJournal
from allie_desktop.store.quarantine_file import QuarantineFile
from allie_desktop.store.rollout_file import RolloutFile
from allie_desktop.store.version_folders import VersionFolders
from allie_desktop.ui.chat.drafts import FileDrafts
from tests.adapters import make_metadata, write_adapter
from tests.fuzz.mutations import nearly
from tests.fuzz.target import Outcome, Target, expect, expect_sentence, quieten, trust_memory
from tests.plans import BASE_MODEL, WHEN

_ROLLOUT = RolloutRecord(
    version="v1.1", previous="v1.0", stage=Stage.FIRST, share=0.2, started_at=WHEN, stage_since=WHEN
)
_HOLDS = Quarantined(
    holds=(
        Hold(
            key="api 2026-03-01", source="api", day="2026-03-01", reason="Many.", ids=("c1",), found_at=WHEN
        ),
    )
)


class Pointers(Target):
    """``active.json``, ``rollout.json``, ``states.json`` and their spares, and the folders of versions."""

    name = "versions"
    group = "pointers"
    share = 6

    _FILES = ("active.json", "states.json", "rollout.json")

    def prepare(self, stack: ExitStack) -> None:
        quieten(stack)
        trust_memory(stack)
        self._versions = VersionFolders(
            self.folder / "models", base_name=BASE_MODEL.name, base_sha256=BASE_MODEL.sha256
        )
        for number in range(2):
            adapter = write_adapter(self.folder / f"candidate-{number}", number=float(number))
            self._versions.seal(f"v1.{number}", adapter, make_metadata(f"v1.{number}"), ())
        self._versions.activate("v1.0", fallback=BASE, reason="test", at=WHEN)
        self._versions.activate("v1.1", fallback="v1.0", reason="test", at=WHEN)
        rollout = RolloutFile(self._versions.folder)
        rollout.write(_ROLLOUT)
        self._rollout = rollout
        self._home = self._versions.folder
        for path in self._home.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        self._sound = {path: path.read_bytes() for path in self._home.rglob("*.json") if path.is_file()}

    def make(self, random: Random) -> bytes:
        """A JSON object of file names and what they hold now; null for a file that is gone."""
        pointers = {
            "active.json": {"active": "v1.1", "fallback": "v1.0", "changed_at": "2026-03-01T02:30:00Z", "reason": ""},
            "states.json": {"versions": {"v1.0": {"state": "retired", "pinned": False, "tainted": ""}}, "highest": "v1.1"},
            "rollout.json": {"version": "v1.1", "previous": "v1.0", "stage": "first share", "share": 0.2,
                             "started_at": "2026-03-01T02:30:00Z", "stage_since": "2026-03-01T02:30:00Z"},
            "versions/v1.1/manifest.json": {"files": {"adapter_config.json": {"sha256": "0" * 64, "bytes": 2}}},
            "versions/v1.1/metadata.json": {"version": "v1.1", "parent": None, "base_name": "tiny"},
            "versions/v1.0/metadata.json": {"version": "v1.0", "parent": None, "base_name": "tiny"},
        }  # fmt: skip
        files: dict[str, str | None] = {}
        for name in random.sample(list(pointers), random.randint(1, 3)):
            data = nearly(pointers[name], random, others=list(pointers.values()))
            files[name] = None if random.random() < 0.1 else data.decode("latin-1")
            if name in self._FILES and random.random() < 0.8:
                spare = name.replace(".json", ".spare.json")
                files[spare] = files[name] if random.random() < 0.5 else nearly({}, random).decode("latin-1")
        return json.dumps(files).encode()

    def attempt(self, data: bytes) -> Outcome:
        changed_files = {self._home / name: text for name, text in json.loads(data).items()}
        for path, text in changed_files.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(text.encode("latin-1"))
        try:
            return self._looked_at()
        finally:
            for path in (*changed_files, *(self._home / name for name in self._sound_names())):
                path.write_bytes(self._sound.get(path, b"{}"))

    def _sound_names(self) -> tuple[str, ...]:
        return tuple(str(path.relative_to(self._home)) for path in self._sound)

    def _looked_at(self) -> Outcome:
        versions = self._versions
        pointer = versions.pointer()
        known = {version.metadata.version: version for version in versions.all()}
        for name in (pointer.active, pointer.fallback):
            expect(name == BASE or name in known, f"the pointer names {name!r}, which there is not")
        versions.next_name()
        sound = 0
        for name in known:
            try:
                versions.verify(name)
                sound += 1
            except AllieError as error:
                expect_sentence(error)
        record = self._rollout.read()
        expect(record is None or record.started_at.tzinfo is not None, "a roll-out without a zone")
        with suppress(AllieError):
            versions.set_pinned("v1.1", True)
        with suppress(AllieError):
            versions.activate("v1.0", fallback=BASE, reason="again", at=WHEN)
            expect(versions.pointer().active == "v1.0", "the pointer did not move")
        return Outcome.TAKEN if sound else Outcome.REFUSED


class Records(Target):
    """Small files of one record each: what they hold is read, or nothing is; then they are written anew."""

    name = "records"
    group = "pointers"
    share = 6

    _WHOLE: tuple[tuple[str, Any], ...] = (
        ("quarantine.json", {"holds": [{"key": "k", "source": "api", "day": "2026-03-01", "reason": "Many.",
                                        "ids": ["c1"], "found_at": "2026-03-01T02:30:00Z", "state": "held"}]}),
        ("forgetting.json", {"ids": ["c1", "c2"]}),
        ("drafts.json", {"format": 1, "drafts": [{"conversation": "c1", "text": "H", "unanswered": ""}]}),
        ("chat.busy", 4194305),
        ("worker.pid", {"pid": 4194305, "started": 1.5, "command": ["allie"]}),
        ("seconds.json", {"train": 3.5, "prepare": 1.0}),
        ("summary.json", {"steps": 2, "curve": [], "held_out": []}),
        ("general.json", {"asked": 3, "fruitless": 0, "rows": [[[1, 2, 3], [0, 1, 1]]]}),
        ("base-hashes.json", {"/h/base.gguf 1 2": "ab" * 32}),
    )  # fmt: skip

    def prepare(self, stack: ExitStack) -> None:
        import allie_desktop.learning.session  # noqa: F401 - takes a second, which is no input's

        quieten(stack)
        trust_memory(stack)

    def make(self, random: Random) -> bytes:
        """The first line names the file."""
        name, whole = random.choice(self._WHOLE)
        others = [other for _, other in self._WHOLE]
        return name.encode() + b"\n" + nearly(whole, random, others=others)

    def attempt(self, data: bytes) -> Outcome:
        head, _, content = data.partition(b"\n")
        path = self.folder / head.decode()
        path.write_bytes(content)
        try:
            return Outcome.TAKEN if _READERS[path.name](path) else Outcome.REFUSED
        finally:
            for left in self.folder.iterdir():
                if left.is_file():
                    left.unlink()


def _read_quarantine(path: Path) -> object:
    file = QuarantineFile(path.parent)
    found = file.read()
    file.write(found)
    expect(file.read() == found, "what is held back does not come back")
    file.write(_HOLDS)
    expect(file.read() == _HOLDS, "what is held back does not come back")
    return found.holds


def _read_forgetting(path: Path) -> object:
    journal = ForgettingJournal(path.parent)
    found = journal.read()
    journal.write(found)
    expect(journal.read() == tuple(found), "the journal does not come back")
    return found


def _read_drafts(path: Path) -> object:
    drafts = FileDrafts(path)
    found = drafts.load("c1")
    forget_drafts(path, ["c1"])
    expect(FileDrafts(path).load("c1").text == "", "a forgotten draft is still there")
    return found.typed


def _read_pid(path: Path) -> object:
    return end_leftover(path.parent, grace_seconds=0)


def _read_seconds(path: Path) -> object:
    from allie_desktop.learning.session import Session

    class At:
        _attempt = path.parent

    return Session._read_seconds(At())  # type: ignore[arg-type]


def _read_summary(path: Path) -> object:
    from allie_desktop.learning import session

    class At:
        _attempt = path.parent

    (path.parent / "trained").mkdir(exist_ok=True)
    path.rename(path.parent / "trained" / session._TRAINED)
    return session.Session._read_trained(At())  # type: ignore[arg-type]


def _read_general(path: Path) -> object:
    from allie_desktop.learning.general_set import _read

    return _read(path)


def _read_hashes(path: Path) -> object:
    from allie_desktop.models.catalogue import _HashMemory

    return _HashMemory(path.parent)


_READERS: dict[str, Callable[[Path], object]] = {
    "quarantine.json": _read_quarantine,
    "forgetting.json": _read_forgetting,
    "drafts.json": _read_drafts,
    "chat.busy": ChatBusy.is_busy,
    "worker.pid": _read_pid,
    "seconds.json": _read_seconds,
    "summary.json": _read_summary,
    "general.json": _read_general,
    "base-hashes.json": _read_hashes,
}


class Checkpoints(Target):
    """A checkpoint's folder: what is taken is what was written, or nothing is."""

    name = "checkpoints"
    group = "pointers"
    share = 2
    memory_bytes = None  # torch reserves address space

    def prepare(self, stack: ExitStack) -> None:
        import torch

        self._checkpoints = CheckpointFolder(self.folder / "checkpoints", "d" * 64)
        path = self._checkpoints.write(
            Checkpoint(
                7, {"adapter/a": torch.tensor([1.0, 2.0])}, {"best": 1.5, "norms": [0.1], "none": None}
            )
        )
        self._files = {file: file.read_bytes() for file in path.iterdir()}

    def make(self, random: Random) -> bytes:
        """The first byte says which file; edits are told as JSON: place (in 0 to 1), length, bytes in Latin-1."""
        if random.random() < 0.5:
            edits = [
                [
                    random.random(),
                    random.choice((0, 1, 1, 4)),
                    random.randbytes(random.randint(0, 4)).decode("latin-1"),
                ]
                for _ in range(random.randint(1, 4))
            ]
            return b"e" + json.dumps(edits).encode()
        whole = {"step": 7, "plan": "d" * 64, "numbers": {"best": 1.5}, "sha256": "0" * 64}
        return b"s" + nearly(whole, random)

    def attempt(self, data: bytes) -> Outcome:
        state = next(file for file in self._files if file.suffix == ".json")
        tensors = next(file for file in self._files if file.suffix != ".json")
        if data[:1] == b"s":
            state.write_bytes(data[1:].replace(b"0" * 64, json.loads(self._files[state])["sha256"].encode()))
        else:
            for place, length, text in json.loads(data[1:]):
                file = state if place < 0.5 else tensors
                content = file.read_bytes()
                at = int(place * 2 % 1 * len(content))
                file.write_bytes(content[:at] + text.encode("latin-1") + content[at + length :])
        try:
            found = self._checkpoints.newest()
        finally:
            for file, content in self._files.items():
                file.write_bytes(content)
        if found is None:
            return Outcome.REFUSED
        expect(type(found.step) is int, f"a step is {found.step!r}")
        expect(isinstance(found.numbers, dict), f"numbers are {type(found.numbers).__name__}")
        return Outcome.TAKEN


TARGETS = (Pointers, Records, Checkpoints)

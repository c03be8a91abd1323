"""Adapter versions on disk (port :class:`~allie_desktop.domain.ports.VersionRepository`).

``<models>/<base>-<first digits of its hash>/``::

    active.json, active.spare.json     the pointer, and a copy of it
    states.json, states.spare.json     states, pins, taints, the highest name ever given
    versions/v1.N/                     immutable: adapter, metadata, report, manifest of SHA-256

Folders are the truth: what a version is stands in its folder, what became of it beside. A folder appears
under its name by one rename, when all of it has reached the disk. The hash in the folder's name keeps two
base models apart that share a name: an adapter belongs to exactly one base.

Any thread and any process may use its own object; changes beside the folders are serialised by a lock file.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import filelock

from allie_desktop.domain.errors import (
    AllieError,
    BadInputError,
    DiskFullError,
    StoreBusyError,
    UnknownVersionError,
    VersionCorruptError,
)
from allie_desktop.domain.measurement import without_texts
from allie_desktop.domain.versions import (
    BASE,
    FIRST_VERSION,
    ActivePointer,
    Version,
    VersionMetadata,
    VersionName,
    VersionState,
)
from allie_desktop.store.adapter_files import (
    MANIFEST_FILE,
    METADATA_FILE,
    REQUIRED_FILES,
    check_adapter,
    check_extra,
    copy_hashed,
    measured,
    remove_tree,
    write_new,
)
from allie_desktop.store.private_files import PRIVATE_FOLDER, sync_folder
from allie_desktop.store.version_records import (
    Manifest,
    ManifestEntry,
    Standing,
    Standings,
    TwinFile,
    from_json,
    read_or_empty,
    replace_durably,
    to_json,
)

_log = logging.getLogger(__name__)

_REPORT_FILE = "report.json"
_SEALING = ".sealing-"
_REMOVED = ".removed-"
_LOCK_SECONDS = 10.0
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class VersionFolders:
    """The versions made on top of one base model. Making an object touches no disk."""

    def __init__(self, models: Path, *, base_name: str, base_sha256: str) -> None:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", base_name).strip("-.")[:60] or "base"
        self._base_sha256 = base_sha256
        self.folder = Path(os.path.abspath(models)) / f"{slug}-{base_sha256[:8]}"
        self._versions = self.folder / "versions"
        self._pointer = TwinFile(self.folder / "active.json", ActivePointer)
        self._standings = TwinFile(self.folder / "states.json", Standings)

    # --- the lineage ---

    def all(self) -> tuple[Version, ...]:
        """See :meth:`domain.ports.VersionRepository.all`."""
        pointer = self.pointer()
        standings = self._read_standings()
        found = (self._version(name, pointer, standings) for name in self._names())
        return tuple(version for version in found if version is not None)

    def get(self, name: str) -> Version:
        """See :meth:`domain.ports.VersionRepository.get`."""
        version = self._version(VersionName.parse(name), self.pointer(), self._read_standings())
        if version is None:
            raise self._unknown(name)
        return version

    def next_name(self) -> str:
        """See :meth:`domain.ports.VersionRepository.next_name`."""
        names = [*self._names(), *self._high_water()]
        return str(max(names).next() if names else FIRST_VERSION)

    # --- sealing ---

    def seal(self, name: str, adapter: Path, metadata: VersionMetadata, extra: Sequence[Path]) -> Version:
        """See :meth:`domain.ports.VersionRepository.seal`.

        Raise :class:`UnsafeModelError` for a pickle or any other unexpected file, :class:`CorruptModelError`
        for a truncated one, :class:`DiskFullError` without a trace of the version, and
        :class:`BadInputError` for a name that was given before.
        """
        parsed = VersionName.parse(name)
        if metadata.version != name or metadata.base_sha256 != self._base_sha256:
            raise BadInputError(
                f"The candidate for {name} was made as {metadata.version} for the base model "
                f"{metadata.base_name}.",
                "Start learning again with the base model that is in use now.",
            )
        sources = (*check_adapter(adapter), *check_extra(extra))
        with self._changing():
            target = self._versions / name
            if target.exists() or any(parsed <= highest for highest in self._high_water()):
                raise BadInputError(
                    f"There was a version {name} before.", "Version names are never given twice."
                )
            self._seal(target, sources, metadata)
            self._note(name, Standing(state=VersionState.CANDIDATE))
        return self.get(name)

    def verify(self, name: str) -> None:
        """See :meth:`domain.ports.VersionRepository.verify`."""
        folder = self._versions / str(VersionName.parse(name))
        if not folder.is_dir():
            raise self._unknown(name)
        manifest = from_json(read_or_empty(folder / MANIFEST_FILE), Manifest)
        if manifest is None or self._metadata(folder) is None:
            raise _corrupt(name, "its description cannot be read")
        there = {entry.name for entry in folder.iterdir() if not _is_leftover(entry)} - {MANIFEST_FILE}
        for missing in sorted(manifest.files.keys() - there):
            raise _corrupt(name, f"{missing} is missing")
        for unexpected in sorted(there - manifest.files.keys()):
            raise _corrupt(name, f"{unexpected} does not belong to it")
        if not set(REQUIRED_FILES) <= manifest.files.keys():
            raise _corrupt(name, "its manifest names no adapter")
        for file, entry in manifest.files.items():
            found = measured(folder / file)
            if found is None or found not in (entry, manifest.becoming.get(file)):
                raise _corrupt(name, f"{file} is not as it was sealed")

    # --- the pointer ---

    def pointer(self) -> ActivePointer:
        """See :meth:`domain.ports.VersionRepository.pointer`."""
        pointer = self._pointer.read()
        if pointer is None and not self._pointer.exists() and not self._was_deployed():
            return ActivePointer(
                active=BASE, fallback=BASE, changed_at=datetime.fromtimestamp(0, timezone.utc)
            )
        if pointer is not None and not (_names_one(pointer.active) and _names_one(pointer.fallback)):
            pointer = None
        if pointer is not None and self._is_there(pointer.active):
            if self._is_there(pointer.fallback):
                return pointer
            return ActivePointer(
                active=pointer.active, fallback=BASE, changed_at=pointer.changed_at, reason=pointer.reason
            )
        return self._restored(pointer)

    def activate(self, name: str, *, fallback: str, reason: str, at: datetime) -> None:
        """See :meth:`domain.ports.VersionRepository.activate`. Either name may be ``base``."""
        for needed in (name, fallback):
            if not self._is_there(needed):
                raise self._unknown(needed)
        with self._changing():
            before = self.pointer()
            self._pointer.write(ActivePointer(active=name, fallback=fallback, changed_at=at, reason=reason))
            standings = self._read_standings()
            for touched in {name, fallback, before.active, before.fallback} - {BASE}:
                # Which of the deployed ones is active now, the pointer alone knows.
                retired = standings.of(touched).changed(state=VersionState.RETIRED)
                standings = standings.noted(touched, retired)
            self._standings.write(standings)

    # --- beside the folders ---

    def set_state(self, name: str, state: VersionState) -> None:
        """See :meth:`domain.ports.VersionRepository.set_state`.

        Active and fallback are what the pointer says, whatever is set here.
        """
        self._change(name, state=state)

    def set_pinned(self, name: str, pinned: bool) -> None:
        """See :meth:`domain.ports.VersionRepository.set_pinned`."""
        self._change(name, pinned=pinned)

    def set_tainted(self, name: str, reason: str) -> None:
        """See :meth:`domain.ports.VersionRepository.set_tainted`. An empty reason takes the mark away."""
        self._change(name, tainted=reason)

    def remove(self, name: str) -> None:
        """See :meth:`domain.ports.VersionRepository.remove`. A damaged version can be removed too."""
        folder = self._versions / str(VersionName.parse(name))
        if not folder.is_dir():
            raise self._unknown(name)
        with self._changing():
            pointer = self.pointer()
            if name in (pointer.active, pointer.fallback):
                raise BadInputError(
                    f"{name} is in use and cannot be deleted.", "Roll back to another version first."
                )
            # Before the folder goes: its name must not come back.
            self._standings.write(self._read_standings().without(name).up_to(self._highest(name)))
            gone = self._versions / f"{_REMOVED}{name}-{secrets.token_hex(4)}"
            folder.chmod(PRIVATE_FOLDER)
            folder.rename(gone)
            sync_folder(self._versions)
            remove_tree(gone)

    def redact(self) -> None:
        """See :meth:`domain.ports.VersionRepository.redact`."""
        with self._changing():
            for name in self._names():
                folder = self._versions / str(name)
                try:
                    self._redact(folder)
                except OSError as error:
                    _log.warning("The report of %s could not be changed: %s", name, error)

    def _redact(self, folder: Path) -> None:
        """Take the texts out of a sealed report. At every moment the manifest allows what lies there."""
        report = folder / _REPORT_FILE
        manifest = from_json(read_or_empty(folder / MANIFEST_FILE), Manifest)
        entry = None if manifest is None else manifest.files.get(_REPORT_FILE)
        if manifest is None or entry is None or not report.is_file():
            return
        before = read_or_empty(report)
        after = without_texts(before)
        becoming = ManifestEntry(sha256=hashlib.sha256(after).hexdigest(), bytes=len(after))
        if before == after and entry == becoming:
            return  # it was sealed without
        folder.chmod(PRIVATE_FOLDER)
        try:
            for leftover in folder.glob(".*.new"):
                leftover.unlink()
            on_the_way = replace(manifest, becoming={_REPORT_FILE: becoming})
            done = Manifest(files={**manifest.files, _REPORT_FILE: becoming})
            for file, data in (
                (MANIFEST_FILE, to_json(on_the_way)),
                (_REPORT_FILE, after),
                (MANIFEST_FILE, to_json(done)),
            ):
                replace_durably(folder / file, data)
                (folder / file).chmod(0o400)
        finally:
            folder.chmod(0o500)

    def tidy(self) -> None:
        """See :meth:`domain.ports.VersionRepository.tidy`."""
        with self._changing():
            for leftover in (*self._versions.glob(f"{_SEALING}*"), *self._versions.glob(f"{_REMOVED}*")):
                remove_tree(leftover)
            # The roll-out's record lies here too, and has a lock of its own.
            with filelock.FileLock(
                self.folder / ".rollout.lock", timeout=_LOCK_SECONDS, fallback_to_soft=False
            ):
                for leftover in self.folder.glob(".*.new"):
                    leftover.unlink(missing_ok=True)

    # --- inside ---

    def _names(self) -> list[VersionName]:
        """Names of the folders there are, sound or not, in order."""
        names = []
        with contextlib.suppress(FileNotFoundError):
            for entry in self._versions.iterdir():
                with contextlib.suppress(BadInputError):
                    names.append(VersionName.parse(entry.name))
        return sorted(names)

    def _high_water(self) -> list[VersionName]:
        with contextlib.suppress(BadInputError):
            highest = self._read_standings().highest
            return [VersionName.parse(highest)] if highest else []
        return []

    def _read_standings(self) -> Standings:
        return self._standings.read() or Standings()

    def _metadata(self, folder: Path) -> VersionMetadata | None:
        metadata = from_json(read_or_empty(folder / METADATA_FILE), VersionMetadata)
        if (
            metadata is None
            or metadata.version != folder.name
            or metadata.base_sha256 != self._base_sha256
            or metadata.created_at.tzinfo is None
        ):
            return None
        return metadata

    def _version(self, name: VersionName, pointer: ActivePointer, standings: Standings) -> Version | None:
        folder = self._versions / str(name)
        metadata = self._metadata(folder)
        if metadata is None:
            return None
        standing = standings.of(str(name))
        state = standing.state
        if str(name) == pointer.active:
            state = VersionState.ACTIVE
        elif str(name) == pointer.fallback:
            state = VersionState.FALLBACK
        elif state in (VersionState.ACTIVE, VersionState.FALLBACK):
            state = VersionState.RETIRED
        return Version(
            metadata=metadata,
            path=str(folder),
            state=state,
            pinned=standing.pinned,
            tainted=standing.tainted,
        )

    def _is_there(self, name: str) -> bool:
        return name == BASE or (_names_one(name) and self._metadata(self._versions / name) is not None)

    def _was_deployed(self) -> bool:
        """Whether any version was ever in use: then a missing pointer was lost."""
        standings = self._read_standings().versions.values()
        return any(standing.state is VersionState.RETIRED for standing in standings)

    def _restored(self, broken: ActivePointer | None) -> ActivePointer:
        standings = self._read_standings()
        # With the states lost too, any sound version is better than none that answers.
        unknown = Standing(state=VersionState.RETIRED)
        deployed = [
            name
            for name in map(str, reversed(self._names()))
            if standings.versions.get(name, unknown).state is not VersionState.CANDIDATE
            # Rather less that is known than what had to be forgotten.
            and not standings.of(name).tainted
        ]
        wanted = [] if broken is None else [broken.fallback]
        for name in (*wanted, *deployed):
            with contextlib.suppress(AllieError):
                if name != BASE:
                    self.verify(name)
                break
        else:
            name = BASE
        pointer = ActivePointer(
            active=name,
            fallback=BASE,
            changed_at=datetime.now(timezone.utc) if broken is None else broken.changed_at,
            reason="The version in use could not be read; this one was found instead.",
        )
        with contextlib.suppress(OSError, AllieError):
            self._pointer.write(pointer)
        return pointer

    def _seal(self, target: Path, sources: Iterable[Path], metadata: VersionMetadata) -> None:
        scratch = self._versions / f"{_SEALING}{target.name}-{secrets.token_hex(4)}"
        try:
            self._versions.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            for leftover in (*self._versions.glob(f"{_SEALING}*"), *self._versions.glob(f"{_REMOVED}*")):
                remove_tree(leftover)
            scratch.mkdir(mode=PRIVATE_FOLDER)
            files = {source.name: copy_hashed(source, scratch / source.name) for source in sources}
            files[METADATA_FILE] = write_new(scratch / METADATA_FILE, [to_json(metadata)])
            write_new(scratch / MANIFEST_FILE, [to_json(Manifest(files=files))])
            for file in scratch.iterdir():
                file.chmod(0o400)
            scratch.chmod(0o500)
            sync_folder(scratch)
            scratch.rename(target)
            sync_folder(self._versions)
        except OSError:
            with contextlib.suppress(OSError):
                remove_tree(scratch)
            raise

    def _change(self, name: str, **changes: object) -> None:
        self.get(name)
        with self._changing():
            self._note(name, self._read_standings().of(name).changed(**changes))

    def _note(self, name: str, standing: Standing) -> None:
        standings = self._read_standings().noted(name, standing)
        self._standings.write(standings.up_to(self._highest(name)))

    def _highest(self, name: str) -> str:
        return str(max([VersionName.parse(name), *self._names(), *self._high_water()]))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS, fallback_to_soft=False)
        try:
            with lock:
                yield
        except filelock.Timeout:
            raise StoreBusyError(
                "Another Allie is changing the versions.", "Try again in a moment."
            ) from None
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFullError(
                    f"There is no room on the disk of {self.folder}.",
                    "Free some space; the version that was in use still is.",
                ) from error
            raise

    def _unknown(self, name: str) -> UnknownVersionError:
        known = ", ".join(map(str, self._names()))
        return UnknownVersionError(
            f"There is no version {name}.", f"There are: {known}, base." if known else "There is only: base."
        )


def _is_leftover(file: Path) -> bool:
    """Whether a process was killed while it took texts out of a report."""
    return file.name.startswith((f".{_REPORT_FILE}.", f".{MANIFEST_FILE}.")) and file.suffix == ".new"


def _names_one(name: str) -> bool:
    """Whether this is the name of a version or of the base model, and not perhaps a path."""
    try:
        return name == BASE or str(VersionName.parse(name)) == name
    except BadInputError:
        return False


def _corrupt(name: str, what: str) -> VersionCorruptError:
    return VersionCorruptError(
        f"Version {name} is damaged: {what}.", "Roll back to another version, and delete this one."
    )

"""Base models from the hub: pinned, resumable, checked, and without a program in them.

What came is kept in a folder of its own until all of it is here and checked; then the folder gets its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from allie_desktop.domain.errors import (
    AllieError,
    BadInputError,
    CorruptModelError,
    DiskFullError,
    ModelError,
    UnsafeModelError,
)
from allie_desktop.domain.json_text import parse_json
from allie_desktop.models.hub import WANTED, CutError, Hub, RemoteFile, unreachable

if TYPE_CHECKING:
    from allie_desktop.models.offers import Offer

_SOURCE = "allie-source.json"
_UNFINISHED = ".part"
_CHUNK_BYTES = 1 << 20
_TRIES = 5
_TELL_SECONDS = 0.1
_SPARE_BYTES = 100_000_000

Progress = Callable[["DownloadStep"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStep:
    """How far a download is. ``file`` is the one that is coming."""

    done_bytes: int
    total_bytes: int
    file: str = ""


class ModelDownloads:
    """Keeps downloaded models in ``folder``, one folder each. Use from any one thread; two processes that
    want the same model do not mix."""

    def __init__(
        self, folder: Path, *, endpoint: str | None = None, wait_seconds: tuple[float, ...] = (1, 2, 4, 8)
    ) -> None:
        """``endpoint`` replaces the address of the hub; ``wait_seconds`` are the rests between tries."""
        self._folder, self._waits = folder, wait_seconds
        self._hub = Hub(endpoint)

    def installed(self, offer: Offer) -> Path | None:
        """Return the folder of a model that is here and whole, None when it is not."""
        folder = self._folder / offer.title
        return folder if (folder / _SOURCE).is_file() else None

    def fetch(
        self,
        offer: Offer,
        progress: Progress = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Path | None:
        """Download a model and return its folder, or None when it was cancelled. What came is kept, and the
        next call goes on from there.

        ``progress`` is called in this thread, ten times a second. Raises :class:`ModelError` or a child of it
        for what the hub refuses or what is not what it should be, and :class:`DiskFullError`.
        """
        if not offer.repository:
            raise BadInputError(f"{offer.title} comes with the program.", "There is nothing to download.")
        with self._alone(offer):
            found = self.installed(offer)
            if found is not None:
                return found
            try:
                return self._fetch(offer, progress, cancelled)
            except OSError as error:
                if not isinstance(error, AllieError):
                    raise _disk_error(error, self._folder) from error
                raise

    @contextmanager
    def _alone(self, offer: Offer) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.FileLock(self._folder / f".{offer.title}.lock", timeout=0, fallback_to_soft=False)
            with lock:
                yield
        except filelock.Timeout:
            raise ModelError(
                f"{offer.title} is being downloaded already, by another Allie.", "Wait until it is here."
            ) from None
        except OSError as error:
            raise _disk_error(error, self._folder) from error

    def _fetch(self, offer: Offer, progress: Progress, cancelled: Callable[[], bool]) -> Path | None:
        part = self._folder / f"{offer.title}{_UNFINISHED}"
        commit, files = self._listing(offer, part)
        total = sum(f.size for f in files)
        done = sum(_present(part, f) for f in files)
        free = shutil.disk_usage(part).free
        if free < total - done + _SPARE_BYTES:
            raise DiskFullError(
                f"There is no room for {offer.title}: {(total - done) / 1e9:.1f} GB are to come, and "
                f"{free / 1e9:.1f} GB are free.",
                "Free some disk space and start the download again: it goes on from where it is.",
            )
        progress(DownloadStep(done_bytes=done, total_bytes=total))
        last = 0.0
        # Small files first: a configuration that asks for program code ends it before the weights come.
        for file in sorted(files, key=lambda f: (f.size, f.name)):
            before = done - _present(part, file)

            def told(here: int, before: int = before, file: RemoteFile = file) -> None:
                nonlocal last
                now = time.monotonic()
                if here == file.size or now - last >= _TELL_SECONDS:
                    last = now
                    progress(DownloadStep(done_bytes=before + here, total_bytes=total, file=file.name))

            if not self._fetch_file(offer, commit, file, part, told, cancelled):
                return None
            done = before + file.size
        target = self._folder / offer.title
        shutil.rmtree(target, ignore_errors=True)  # without the mark of a whole one
        os.replace(part, target)
        return target

    def _listing(self, offer: Offer, part: Path) -> tuple[str, list[RemoteFile]]:
        """Return the commit and its files: as remembered from the first try, else as the hub says."""
        remembered = _read_source(part / _SOURCE, offer)
        if remembered is not None:
            return remembered
        commit, files = self._hub.listing(offer)
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(mode=0o700)
        document = {
            "repository": offer.repository,
            "asked": offer.revision,
            "commit": commit,
            "files": [{"name": f.name, "size": f.size, "sha256": f.sha256, "blob": f.blob} for f in files],
        }
        scratch = part / f"{_SOURCE}{_UNFINISHED}"
        scratch.write_text(json.dumps(document, indent=2), "utf-8")
        os.replace(scratch, part / _SOURCE)
        return commit, files

    # --- one file ---

    def _fetch_file(
        self,
        offer: Offer,
        commit: str,
        file: RemoteFile,
        part: Path,
        told: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> bool:
        """Bring one file here, whole and checked; return False when it was cancelled."""
        whole, unfinished = part / file.name, part / f"{file.name}{_UNFINISHED}"
        if whole.is_file() and whole.stat().st_size == file.size:
            return True  # it got its name when it had been checked
        wrong = fruitless = 0
        while True:
            before = _size(unfinished)
            try:
                if not self._stream(offer, commit, file, unfinished, told, cancelled):
                    return False
            except CutError as error:
                fruitless = 0 if _size(unfinished) > before else fruitless + 1
                if fruitless >= _TRIES:
                    raise unreachable(offer) from error
                if fruitless and not _rest(self._waits[min(fruitless, len(self._waits)) - 1], cancelled):
                    return False
                continue
            if _matches(unfinished, file):
                break
            unfinished.unlink()
            wrong += 1
            if wrong > 1:
                raise CorruptModelError(
                    f"{file.name} of {offer.title} came twice with another content than was pinned.",
                    "Try again later, from another network if you can: something changes it on its way.",
                )
        if file.name == "config.json":
            _refuse_code(unfinished, offer)
        _sync(unfinished)
        os.replace(unfinished, whole)
        return True

    def _stream(
        self,
        offer: Offer,
        commit: str,
        file: RemoteFile,
        unfinished: Path,
        told: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> bool:
        """Append what is missing; return False when it was cancelled, raise :class:`CutError` when the
        connection ended too soon."""
        have = _size(unfinished)
        if have >= file.size:
            return True
        with self._hub.opened(offer, commit, file.name, start=have) as response:
            if response.status_code == 416:  # what is here is of no file of today
                unfinished.unlink()
                raise CutError
            goes_on = response.status_code == 206
            if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                unfinished.unlink()
                raise CutError
            with unfinished.open("ab" if goes_on else "wb") as out:
                here = have if goes_on else 0
                for chunk in response.iter_bytes():
                    if cancelled():
                        return False
                    out.write(chunk[: file.size + 1 - here])
                    here += len(chunk)
                    told(min(here, file.size))
                    if here > file.size:  # the check will refuse it
                        return True
        if here < file.size:
            raise CutError
        return True


def _disk_error(error: OSError, folder: Path) -> AllieError:
    import errno

    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}:
        return DiskFullError(
            f"The disk of {folder} is full.",
            "Free some space and start the download again: it goes on from where it is.",
        )
    why = (error.strerror or type(error).__name__).lower()
    return ModelError(
        f"The download cannot be written to {folder}: {why}.", "Look at the disk, and try again."
    )


def _refuse_code(config: Path, offer: Offer) -> None:
    try:
        document = parse_json(config.read_text("utf-8"))
    except ValueError as error:
        raise CorruptModelError(
            f"The config.json of {offer.title} is damaged.", "Choose another model."
        ) from error
    if not isinstance(document, dict) or "auto_map" in document:
        raise UnsafeModelError(
            f"{offer.title} needs program code of its own to run.",
            "Allie never runs code that comes with a model. Choose a model of a known architecture.",
        )


def _read_source(file: Path, offer: Offer) -> tuple[str, list[RemoteFile]] | None:
    """Return what an earlier try wrote down of the same offer; None when there is nothing of use."""
    try:
        document = parse_json(file.read_text("utf-8"))
        if (document["repository"], document["asked"]) != (offer.repository, offer.revision):
            return None
        files = [RemoteFile(**entry) for entry in document["files"]]
        sound = all(WANTED.fullmatch(f.name) and isinstance(f.size, int) for f in files)
        return (str(document["commit"]), files) if sound and files else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _present(part: Path, file: RemoteFile) -> int:
    """Return how many bytes of a file are here."""
    here = _size(part / file.name) or _size(part / f"{file.name}{_UNFINISHED}")
    return min(here, file.size)


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _matches(path: Path, file: RemoteFile) -> bool:
    """Whether a file is what the hub said, by SHA-256 where it is known, else by git's own sum."""
    if not path.is_file():
        path.touch()  # an empty file is sent without a byte
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        digest, wanted = hashlib.sha256(), file.sha256
    elif file.blob:
        digest, wanted = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False), file.blob
    else:
        return True
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest() == wanted


def _rest(seconds: float, cancelled: Callable[[], bool]) -> bool:
    """Wait; return False as soon as it was cancelled."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if cancelled():
            return False
        time.sleep(min(0.1, max(0.0, until - time.monotonic())))
    return not cancelled()


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

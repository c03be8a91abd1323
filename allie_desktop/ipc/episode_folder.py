"""The folders of episodes: :class:`domain.ports.EpisodeFiles` on a disk.

``<episodes>/<id>/``: ``plan.json``, ``job.json``, ``worker.log``; ``attempt-N/`` with the checkpoints of
attempt N (and, from 2 on, with its own ``plan.json``); ``candidate/`` and ``report.json``, which a worker
writes in this order. Everything is the owner's alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path

from allie_desktop.domain.errors import DataChangedError, ProtocolError, TrainingError
from allie_desktop.domain.events import Job
from allie_desktop.domain.measurement import without_texts
from allie_desktop.domain.planning import Plan
from allie_desktop.domain.ports import EpisodeProof
from allie_desktop.domain.validation import WorkerReport
from allie_desktop.ipc.durable import replace_file
from allie_desktop.ipc.protocol import decode_document, encode_document, encode_text, load_plan, seal_plan
from allie_desktop.ipc.worker_client import JOB_FILE

PLAN_FILE = "plan.json"
REPORT_FILE = "report.json"
CANDIDATE_FOLDER = "candidate"
_KEPT_FOLDER = "to-keep"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")
_ATTEMPT = re.compile(r"attempt-\d+\Z")
_LARGEST_REPORT_BYTES = 256 * 1024 * 1024


class EpisodeFolders:
    """The folder of all episodes. It is made when the first plan is written."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root))

    def seal(self, plan: Plan) -> Plan:
        """See :meth:`domain.ports.EpisodeFiles.seal`."""
        return seal_plan(plan)

    def write_plan(self, plan: Plan, *, attempt: int = 1) -> Path:
        """See :meth:`domain.ports.EpisodeFiles.write_plan`."""
        path = self._plan(plan.id, attempt)
        replace_file(path, encode_document(plan))
        return path

    def read_plan(self, episode_id: str, digest: str, *, attempt: int = 1) -> Plan:
        """See :meth:`domain.ports.EpisodeFiles.read_plan`."""
        return load_plan(self._plan(episode_id, attempt), digest)

    def folder(self, episode_id: str) -> Path:
        """See :meth:`domain.ports.EpisodeFiles.folder`."""
        if not _ID.match(episode_id):
            raise ValueError(f"{episode_id!r} cannot name an episode")
        return self._root / episode_id

    def candidate(self, episode_id: str) -> Path:
        """See :meth:`domain.ports.EpisodeFiles.candidate`."""
        return self.folder(episode_id) / CANDIDATE_FOLDER

    def report(self, episode_id: str) -> Path:
        """See :meth:`domain.ports.EpisodeFiles.report`."""
        return self.folder(episode_id) / REPORT_FILE

    def report_to_keep(self, episode_id: str) -> Path:
        """See :meth:`domain.ports.EpisodeFiles.report_to_keep`."""
        path = self.folder(episode_id) / _KEPT_FOLDER / REPORT_FILE
        replace_file(path, without_texts(self.report(episode_id).read_bytes()))
        return path

    def read_job(self, episode_id: str) -> Job | None:
        """See :meth:`domain.ports.EpisodeFiles.read_job`."""
        try:
            return decode_document((self.folder(episode_id) / JOB_FILE).read_bytes(), Job)
        except (OSError, ProtocolError):
            return None

    def read_report(self, episode_id: str) -> WorkerReport:
        """See :meth:`domain.ports.EpisodeFiles.read_report`."""
        for name in ADAPTER_FILES:
            file = self.candidate(episode_id) / name
            if file.is_symlink() or not file.is_file() or file.stat().st_size == 0:
                raise TrainingError(f"The worker's candidate has no {name}.", "Start learning again.")
        path = self.report(episode_id)
        try:
            if path.stat().st_size > _LARGEST_REPORT_BYTES:
                raise TrainingError("The worker's report is far too large.", "Start learning again.")
            report = decode_document(path.read_bytes(), WorkerReport)
        except OSError as error:
            raise TrainingError(
                f"The worker's report cannot be read: {error.strerror or type(error).__name__}.",
                "Start learning again.",
            ) from error
        except ProtocolError as error:
            raise TrainingError(error.message, error.remedy or "Start learning again.") from error
        written = b"".join((self.candidate(episode_id) / name).read_bytes() for name in ADAPTER_FILES)
        if report.candidate_sha256 not in ("", hashlib.sha256(written).hexdigest()):
            raise TrainingError("The worker's candidate is not what it wrote.", "Start learning again.")
        return report

    def proof(self, episode_id: str, digest: str) -> EpisodeProof:
        """See :meth:`domain.ports.EpisodeFiles.proof`."""
        try:
            self.read_plan(episode_id, digest)
        except DataChangedError:
            return EpisodeProof(plan=False, attempt=0, result=False)
        job = self.read_job(episode_id)
        if job is None or job.episode_id != episode_id or job.attempt < 1:
            return EpisodeProof(plan=True, attempt=0, result=False)
        try:
            report = self.read_report(episode_id)
        except (OSError, TrainingError):
            return EpisodeProof(plan=True, attempt=job.attempt, result=False)
        belongs = (report.episode_id, report.plan_digest) == (episode_id, job.plan_digest)
        return EpisodeProof(plan=True, attempt=job.attempt, result=belongs)

    def clear_result(self, episode_id: str) -> None:
        """See :meth:`domain.ports.EpisodeFiles.clear_result`."""
        # The report first: without it the candidate is no result.
        self.report(episode_id).unlink(missing_ok=True)
        _remove_tree(self.candidate(episode_id))

    def clear(self, episode_id: str) -> None:
        """See :meth:`domain.ports.EpisodeFiles.clear`."""
        folder = self.folder(episode_id)
        kept = {PLAN_FILE, REPORT_FILE, JOB_FILE}
        with contextlib.suppress(FileNotFoundError):
            for entry in folder.iterdir():
                if entry.name in kept or entry.name.startswith("worker.log"):
                    continue
                if _ATTEMPT.match(entry.name) and (entry / PLAN_FILE).exists():
                    _remove_all_but(entry, PLAN_FILE)  # what was trained in the end may be this plan
                else:
                    _remove_tree(entry)

    def remove(self, episode_id: str) -> None:
        """See :meth:`domain.ports.EpisodeFiles.remove`."""
        _remove_tree(self.folder(episode_id))

    def forget(self, conversation_id: str) -> tuple[str, ...]:
        """See :meth:`domain.ports.EpisodeFiles.forget`."""
        # Over the bytes: a plan that can no longer be read holds its texts all the same.
        trace = encode_text(conversation_id)
        gone = []
        for episode_id in self.ids():
            plans = self.folder(episode_id).rglob(PLAN_FILE)
            if any(trace in plan.read_bytes() for plan in plans):
                self.remove(episode_id)
                gone.append(episode_id)
        return tuple(gone)

    def tidy(self) -> None:
        """See :meth:`domain.ports.EpisodeFiles.tidy`."""
        for leftover in self._root.glob("*/**/.*.new"):
            leftover.unlink(missing_ok=True)

    def ids(self) -> tuple[str, ...]:
        """See :meth:`domain.ports.EpisodeFiles.ids`."""
        try:
            entries = sorted(entry.name for entry in self._root.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return ()
        return tuple(name for name in entries if _ID.match(name))

    def used_bytes(self, episode_id: str) -> int:
        """See :meth:`domain.ports.EpisodeFiles.used_bytes`. Files that come and go meanwhile are no error."""
        total = 0
        for folder, _, names in os.walk(self.folder(episode_id)):
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).lstat().st_size
        return total

    def _plan(self, episode_id: str, attempt: int) -> Path:
        folder = self.folder(episode_id)
        return folder / PLAN_FILE if attempt == 1 else folder / f"attempt-{attempt}" / PLAN_FILE


def free_disk_bytes(path: Path) -> int:
    """Return what is free for this person on the disk of ``path`` or of its nearest existing parent."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def _remove_tree(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.exists():
        shutil.rmtree(path)


def _remove_all_but(folder: Path, name: str) -> None:
    for entry in folder.iterdir():
        if entry.name != name:
            _remove_tree(entry)

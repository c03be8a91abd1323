"""Where drafts are kept: in a small private file, or nowhere but in memory."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from pathlib import Path

from allie_desktop.domain.json_text import parse_json
from allie_desktop.ui.chat.ports import Draft

#: The oldest drafts beyond this number are dropped.
_KEPT = 100

_log = logging.getLogger(__name__)


class MemoryDrafts:
    """Implements :class:`ui.chat.ports.DraftStore` until the program ends."""

    def __init__(self) -> None:
        self._drafts: dict[str, Draft] = {}

    def load(self, conversation_id: str) -> Draft:
        """See the port."""
        return self._drafts.get(conversation_id, Draft())

    def save(self, conversation_id: str, draft: Draft) -> None:
        """See the port."""
        self._drafts.pop(conversation_id, None)
        if draft.typed:
            self._drafts[conversation_id] = draft


class FileDrafts:
    """Implements :class:`ui.chat.ports.DraftStore` in one JSON file that only its owner can read.

    The file is replaced as a whole, so that a crash leaves the old or the new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._drafts: dict[str, Draft] | None = None  # newest last

    def load(self, conversation_id: str) -> Draft:
        """See the port."""
        with self._lock:
            return self._all().get(conversation_id, Draft())

    def save(self, conversation_id: str, draft: Draft) -> None:
        """See the port. Blocks on the disk."""
        with self._lock:
            drafts = self._all()
            if drafts.get(conversation_id, Draft()) == draft:
                return
            drafts.pop(conversation_id, None)
            if draft.typed:
                drafts[conversation_id] = draft
            while len(drafts) > _KEPT:
                drafts.pop(next(iter(drafts)))
            try:
                self._write(drafts)
            except OSError as error:
                _log.warning("drafts cannot be kept: %s", error.strerror or type(error).__name__)

    def _all(self) -> dict[str, Draft]:
        if self._drafts is None:
            self._drafts = _read(self._path)
        return self._drafts

    def _write(self, drafts: dict[str, Draft]) -> None:
        scratch = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        document = {
            "format": 1,
            "drafts": [
                {"conversation": name, "text": draft.text, "unanswered": draft.unanswered}
                for name, draft in drafts.items()
            ],
        }
        try:
            with open(scratch, "w", encoding="ascii", opener=_private) as stream:
                json.dump(document, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(scratch, self._path)
        finally:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Draft]:
    """Return what is kept; a file that cannot be read holds nothing."""
    try:
        listed = parse_json(path.read_bytes())["drafts"]
        return {
            str(one["conversation"]): Draft(text=str(one["text"]), unanswered=str(one["unanswered"]))
            for one in listed
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError) as error:
        _log.warning("the drafts cannot be read: %s", type(error).__name__)
        return {}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

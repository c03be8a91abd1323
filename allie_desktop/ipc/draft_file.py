"""The chat window's drafts, from outside of it: what was typed into a forgotten conversation goes too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from allie_desktop.domain.json_text import parse_json
from allie_desktop.ipc.durable import replace_file


def forget_drafts(path: Path, conversation_ids: Sequence[str]) -> None:
    """Take the drafts of conversations out of the file; one that makes no sense is deleted. Raise OSError."""
    try:
        document = parse_json(path.read_bytes())
        left = [one for one in document["drafts"] if one["conversation"] not in conversation_ids]
    except FileNotFoundError:
        return
    except (ValueError, LookupError, TypeError):
        path.unlink()
        return
    if left != document["drafts"]:
        replace_file(path, json.dumps({**document, "drafts": left}).encode())

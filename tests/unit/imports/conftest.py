"""What the import tests share: writing a file and reading it back as conversations and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from allie_desktop.domain.conversation import Conversation, Refusal
from allie_desktop.imports.registry import read


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a reading gave."""

    conversations: list[Conversation]
    refusals: list[Refusal]

    @property
    def texts(self) -> list[list[tuple[str, str]]]:
        """Role and content of every turn."""
        return [[(turn.role.value, turn.content) for turn in found.turns] for found in self.conversations]

    @property
    def reasons(self) -> list[tuple[int | None, str]]:
        """Line and reason of every refusal."""
        return [(refusal.line, refusal.reason) for refusal in self.refusals]


def outcome_of(path: Path, format_name: str = "auto") -> Outcome:
    """Read ``path`` to its end."""
    found = list(read(path, format_name))
    return Outcome(
        [item for item in found if isinstance(item, Conversation)],
        [item for item in found if isinstance(item, Refusal)],
    )


Importing = Callable[..., Outcome]


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    """Return a function that writes bytes, text or JSON to a file and reads it."""

    def write_and_read(content: object, name: str = "file.json", format_name: str = "auto") -> Outcome:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            path.write_text(text, encoding="utf-8")
        return outcome_of(path, format_name)

    return write_and_read

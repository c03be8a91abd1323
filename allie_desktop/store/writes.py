"""Assessed conversations into their tables: new ones many at a time, known ones where they differ.

As in ``records``, these run inside of a transaction, know no rules, and leave the search index to the caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from allie_desktop.domain.conversation import Turn
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.quality import LearningTarget
from allie_desktop.store.columns import mapping_text, microseconds, optional_text, strings_text, text

_INSERT = """
    INSERT INTO conversations
    (key, id, created_us, source, title, turns, score, eligible, origin, split, topic, characters, content_hash,
     signature, extra)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
    UPDATE conversations SET
    created_us = ?, source = ?, title = ?, turns = ?, score = ?, eligible = ?, origin = ?, split = ?,
    topic = ?, characters = ?, content_hash = ?, signature = ?, extra = ?
    WHERE key = ?
"""
_INSERT_TURN = "INSERT INTO turns (conversation, position, role, content, extra) VALUES (?, ?, ?, ?, ?)"
_INSERT_FEEDBACK = "INSERT INTO feedback (conversation, position, rating, correction) VALUES (?, ?, ?, ?)"
_INSERT_TARGET = """
    INSERT INTO targets (conversation, ordinal, position, origin, weight, text, rejected)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_QUALITY = "INSERT INTO qualities (conversation, components, reasons) VALUES (?, ?, ?)"


class Inserts:
    """New conversations on their way into the tables; many at a time cost far fewer statements.

    ``ids`` and ``hashes`` are of those not written yet. The search index is for the caller.
    """

    def __init__(self, connection: sqlite3.Connection, first_key: int) -> None:
        self._connection = connection
        self._next_key = first_key
        self._conversations: list[tuple[object, ...]] = []
        self._turns: list[tuple[object, ...]] = []
        self._findings = _Findings()
        self.ids: set[str] = set()
        self.hashes: set[str] = set()

    def add(self, assessed: Assessed, conversation_id: str) -> None:
        """Take a conversation that is to be added under this id."""
        key = self._next_key
        self._next_key += 1
        self._conversations.append((key, conversation_id, *_columns(assessed)))
        self._turns += [
            (key, position, turn.role.value, text(turn.content), mapping_text(turn.extra))
            for position, turn in enumerate(assessed.conversation.turns)
        ]
        self._findings.add(key, assessed)
        self.ids.add(conversation_id)
        self.hashes.add(assessed.content_hash)

    def write(self) -> None:
        """Write what was taken."""
        self._connection.executemany(_INSERT, self._conversations)
        self._connection.executemany(_INSERT_TURN, self._turns)
        self._findings.write(self._connection)
        for taken in (self._conversations, self._turns, self.ids, self.hashes):
            taken.clear()


class _Findings:
    """Rows of what was found out about conversations."""

    def __init__(self) -> None:
        self._feedback: list[tuple[object, ...]] = []
        self._targets: list[tuple[object, ...]] = []
        self._qualities: list[tuple[object, ...]] = []

    def add(self, key: int, assessed: Assessed) -> None:
        turns = assessed.conversation.turns
        self._feedback += [
            (key, position, turn.rating, optional_text(turn.correction))
            for position, turn in enumerate(turns)
            if turn.rating is not None or turn.correction is not None
        ]
        self._targets += [
            (
                key,
                ordinal,
                target.turn_index,
                target.origin.value,
                target.weight,
                None if _is_turn_as_it_stands(target, turns) else text(target.text),
                optional_text(target.rejected),
            )
            for ordinal, target in enumerate(assessed.targets)
        ]
        quality = assessed.quality
        self._qualities.append((key, mapping_text(quality.components), strings_text(quality.reasons)))

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(_INSERT_FEEDBACK, self._feedback)
        connection.executemany(_INSERT_TARGET, self._targets)
        connection.executemany(_INSERT_QUALITY, self._qualities)
        for rows in (self._feedback, self._targets, self._qualities):
            rows.clear()


def update(connection: sqlite3.Connection, key: int, assessed: Assessed) -> None:
    """Make a conversation what ``assessed`` says, but for its id and what became of it.

    Only turns that differ are written, so that a growing chat appends. The search index is for the
    caller: :func:`unindex` before, :func:`index` after.
    """
    connection.execute(_UPDATE, (*_columns(assessed), key))
    turns = [
        (turn.role.value, text(turn.content), mapping_text(turn.extra))
        for turn in assessed.conversation.turns
    ]
    connection.execute("DELETE FROM feedback WHERE conversation = ?", (key,))
    connection.execute("DELETE FROM targets WHERE conversation = ?", (key,))
    connection.execute("DELETE FROM qualities WHERE conversation = ?", (key,))
    connection.execute("DELETE FROM turns WHERE conversation = ? AND position >= ?", (key, len(turns)))
    known = connection.execute(
        "SELECT role, content, extra FROM turns WHERE conversation = ? ORDER BY position", (key,)
    ).fetchall()
    for position, (old, new) in enumerate(zip(known, turns, strict=False)):
        if old != new:
            connection.execute(
                "UPDATE turns SET role = ?, content = ?, extra = ? WHERE conversation = ? AND position = ?",
                (*new, key, position),
            )
    connection.executemany(
        _INSERT_TURN,
        [(key, position, *turns[position]) for position in range(len(known), len(turns))],
    )
    findings = _Findings()
    findings.add(key, assessed)
    findings.write(connection)


def _columns(assessed: Assessed) -> tuple[object, ...]:
    conversation = assessed.conversation
    origin = assessed.best_origin
    return (
        microseconds(conversation.created_at),
        text(conversation.source),
        optional_text(conversation.title),
        len(conversation.turns),
        assessed.quality.score,
        int(assessed.quality.eligible),
        None if origin is None else origin.value,
        assessed.split.value,
        text(assessed.topic),
        assessed.characters,
        assessed.content_hash,
        assessed.signature,
        mapping_text(conversation.extra),
    )


def _is_turn_as_it_stands(target: LearningTarget, turns: Sequence[Turn]) -> bool:
    return 0 <= target.turn_index < len(turns) and turns[target.turn_index].content == target.text

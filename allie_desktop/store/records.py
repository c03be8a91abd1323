"""An assessed conversation as rows, and back.

These functions run inside of a transaction or a read of :class:`~allie_desktop.store.database.Database`
and know no rules: which conversation is a duplicate, what replaces what, is for ``conversations`` to say.
``key`` is a conversation's row number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from allie_desktop.domain.conversation import Conversation, Role, Turn
from allie_desktop.domain.planning import Split
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.quality import LearningTarget, Quality, TargetOrigin
from allie_desktop.store.columns import (
    mapping,
    mapping_text,
    microseconds,
    moment,
    optional_text,
    strings,
    strings_text,
    text,
)

#: Fewer than SQLite's smallest limit on ``?`` in a statement (999).
CHUNK = 500

ROLES = {role.value: role for role in Role}
SPLITS = {split.value: split for split in Split}
ORIGINS = {origin.value: origin for origin in TargetOrigin}

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

#: Everything of ``conversations`` that :func:`load` needs.
_COLUMNS = (
    "key, id, created_us, source, title, score, eligible, origin, split, topic, characters, content_hash, "
    "signature, extra"
)


def chunks(keys: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield the keys in groups, each with as many ``?`` as an ``IN`` needs."""
    for start in range(0, len(keys), CHUNK):
        group = keys[start : start + CHUNK]
        yield ",".join("?" * len(group)), group


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


def load(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, Assessed]:
    """Return the conversations with these keys, in the order of the keys; unknown keys are left out."""
    found: dict[int, Assessed] = {}
    for marks, group in chunks(keys):
        rows = connection.execute(f"SELECT {_COLUMNS} FROM conversations WHERE key IN ({marks})", group)
        rows_by_key = {row[0]: row for row in rows}
        turns = _load_turns(connection, marks, group)
        targets = _load_targets(connection, marks, group, turns)
        qualities = {
            key: (mapping(components), strings(reasons))
            for key, components, reasons in connection.execute(
                f"SELECT conversation, components, reasons FROM qualities WHERE conversation IN ({marks})",
                group,
            )
        }
        for key in group:
            if key in rows_by_key:
                components, reasons = qualities.get(key, ({}, ()))
                found[key] = _assessed(
                    rows_by_key[key],
                    tuple(turns.get(key, ())),
                    tuple(targets.get(key, ())),
                    components,
                    reasons,
                )
    return found


def load_conversations(connection: sqlite3.Connection, keys: Sequence[int]) -> Iterator[Conversation]:
    """Yield conversations without what was found out about them, in the order of the keys."""
    for marks, group in chunks(keys):
        rows = connection.execute(
            f"SELECT key, id, created_us, source, title, extra FROM conversations WHERE key IN ({marks})",
            group,
        )
        rows_by_key = {row[0]: row for row in rows}
        turns = _load_turns(connection, marks, group)
        for key in group:
            if key in rows_by_key:
                _, conversation_id, created_us, source, title, extra = rows_by_key[key]
                yield Conversation(
                    id=conversation_id,
                    created_at=moment(created_us),
                    source=source,
                    turns=tuple(turns.get(key, ())),
                    title=title,
                    extra=mapping(extra),
                )


def feedback_of(connection: sqlite3.Connection, key: int) -> dict[int, tuple[int | None, str | None]]:
    """Return a conversation's ratings and corrections by turn."""
    return {
        position: (rating, correction)
        for position, rating, correction in connection.execute(
            "SELECT position, rating, correction FROM feedback WHERE conversation = ?", (key,)
        )
    }


def index_new(connection: sqlite3.Connection, first_key: int) -> None:
    """Make all conversations from a key on searchable; they must not be yet."""
    connection.execute(
        "INSERT INTO search (rowid, body) SELECT key, body FROM search_text WHERE key >= ?", (first_key,)
    )


def index(connection: sqlite3.Connection, key: int) -> None:
    """Make a conversation searchable that is not."""
    connection.execute(
        "INSERT INTO search (rowid, body) SELECT key, body FROM search_text WHERE key = ?", (key,)
    )


def unindex(connection: sqlite3.Connection, key: int) -> None:
    """Take a conversation out of the search index, before its texts change: the index keeps no texts of
    its own, and must be told the old ones to find their words."""
    connection.execute(
        "INSERT INTO search (search, rowid, body) SELECT 'delete', key, body FROM search_text WHERE key = ?",
        (key,),
    )


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


def _load_turns(connection: sqlite3.Connection, marks: str, group: Sequence[int]) -> dict[int, list[Turn]]:
    turns: dict[int, list[Turn]] = {}
    for key, role, content, extra, rating, correction in connection.execute(
        f"""
        SELECT turns.conversation, role, content, extra, rating, correction
        FROM turns LEFT JOIN feedback
            ON feedback.conversation = turns.conversation AND feedback.position = turns.position
        WHERE turns.conversation IN ({marks}) ORDER BY turns.conversation, turns.position
        """,
        group,
    ):
        turns.setdefault(key, []).append(
            Turn(
                role=ROLES[role],
                content=content,
                rating=rating,
                correction=correction,
                extra=mapping(extra),
            )
        )
    return turns


def _load_targets(
    connection: sqlite3.Connection, marks: str, group: Sequence[int], turns: dict[int, list[Turn]]
) -> dict[int, list[LearningTarget]]:
    targets: dict[int, list[LearningTarget]] = {}
    for key, position, origin, weight, body, rejected in connection.execute(
        f"""
        SELECT conversation, position, origin, weight, text, rejected FROM targets
        WHERE conversation IN ({marks}) ORDER BY conversation, ordinal
        """,
        group,
    ):
        targets.setdefault(key, []).append(
            LearningTarget(
                turn_index=position,
                text=turns[key][position].content if body is None else body,
                origin=ORIGINS[origin],
                weight=weight,
                rejected=rejected,
            )
        )
    return targets


def _assessed(
    row: tuple[Any, ...],
    turns: tuple[Turn, ...],
    targets: tuple[LearningTarget, ...],
    components: dict[str, float],
    reasons: tuple[str, ...],
) -> Assessed:
    (
        _,
        conversation_id,
        created_us,
        source,
        title,
        score,
        eligible,
        origin,
        split,
        topic,
        characters,
        content_hash,
        signature,
        extra,
    ) = row
    return Assessed(
        conversation=Conversation(
            id=conversation_id,
            created_at=moment(created_us),
            source=source,
            turns=turns,
            title=title,
            extra=mapping(extra),
        ),
        content_hash=content_hash,
        quality=Quality(
            score=score,
            components=components,
            reasons=reasons,
            eligible=bool(eligible),
        ),
        targets=targets,
        best_origin=None if origin is None else ORIGINS[origin],
        split=SPLITS[split],
        topic=topic,
        characters=characters,
        signature=signature,
    )


def keys_of(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return the keys of those ids that exist, in the given order."""
    wanted = [text(one) for one in ids]
    found: dict[str, int] = {}
    for start in range(0, len(wanted), CHUNK):
        group = wanted[start : start + CHUNK]
        marks = ",".join("?" * len(group))
        found.update(
            connection.execute(f"SELECT id, key FROM conversations WHERE id IN ({marks})", group).fetchall()
        )
    return {one: found[one] for one in wanted if one in found}

"""Assessed conversations back from their tables (``writes`` puts them there), and the search index.

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
    moment,
    strings,
    text,
)

#: Fewer than SQLite's smallest limit on ``?`` in a statement (999).
CHUNK = 500

ROLES = {role.value: role for role in Role}
SPLITS = {split.value: split for split in Split}
ORIGINS = {origin.value: origin for origin in TargetOrigin}

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

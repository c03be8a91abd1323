"""Lists of conversations: lines for the person, candidates for planning, everything for an export.

Long lists are read a page at a time, each page continuing behind the last row of the one before, so that
no statement stays open while the caller thinks: an open read would keep the write-ahead log from being
emptied. "Behind" is two steps, first the rest of the rows with the same rank, then lower ranks, since
SQLite uses only the first column of a row comparison (``(score, key) < (?, ?)``) on an index.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from typing import Any

from allie_desktop.domain.conversation import Conversation
from allie_desktop.domain.ports import Candidate, ConversationRow
from allie_desktop.store import records
from allie_desktop.store.columns import moment, optional_moment, text
from allie_desktop.store.database import Database

_PAGE = 1000

#: Texts that an export holds in memory at a time, in characters (one conversation may be longer).
_EXPORT_CHARACTERS = 1_000_000

_TITLE_CHARACTERS = 80

#: Scripts that do not put spaces between words; the search index knows only whole words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)

_CANDIDATE = (
    "SELECT {rank}, key, id, content_hash, source, topic, created_us, score, origin, split, characters, "
    "signature, learned_us FROM conversations WHERE eligible = 1 AND excluded = 0 AND learned_us IS {null}"
)

_ROW = """
    SELECT id, created_us, source, title, turns, score, eligible, excluded, learned_us IS NOT NULL,
        CASE WHEN coalesce(title, '') = '' THEN (
            SELECT substr(content, 1, 500) FROM turns
            WHERE conversation = conversations.key AND role = 'user' ORDER BY position LIMIT 1
        ) END
    FROM conversations
"""

_HAS_WORDS = "key IN (SELECT rowid FROM search WHERE search MATCH ?)"
_HAS_TEXT = (
    "EXISTS (SELECT 1 FROM search_text AS hay WHERE hay.key = conversations.key "
    "AND instr(lower(hay.body), lower(?)))"
)


def candidates(database: Database, *, learned: bool, limit: int | None) -> Iterator[Candidate]:
    """Yield candidates: new ones best first (the newest of equals first), learnt ones newest first."""
    rank = "learned_us" if learned else "score"
    select = _CANDIDATE.format(rank=rank, null="NOT NULL" if learned else "NULL")
    origins, splits = records.ORIGINS, records.SPLITS
    last: tuple[float, int] = (2**62, 0)
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        with database.reading() as connection:
            page = connection.execute(
                f"{select} AND {rank} = ? AND key < ? ORDER BY key DESC LIMIT ?", (*last, size)
            ).fetchall()
            if len(page) < size:
                page += connection.execute(
                    f"{select} AND {rank} < ? ORDER BY {rank} DESC, key DESC LIMIT ?",
                    (last[0], size - len(page)),
                )
        for (
            _,
            _,
            conversation_id,
            content_hash,
            source,
            topic,
            created_us,
            score,
            origin,
            split,
            characters,
            signature,
            learned_us,
        ) in page:
            # Eligible without a target cannot be; should an assessment say so, it is the weakest kind.
            yield Candidate(
                id=conversation_id,
                content_hash=content_hash,
                source=source,
                topic=topic,
                created_at=moment(created_us),
                score=score,
                origin=origins[origin or "own"],
                split=splits[split],
                characters=characters,
                signature=signature,
                learned_at=optional_moment(learned_us),
            )
        if len(page) < size:
            return
        last = page[-1][:2]
        left = None if left is None else left - len(page)


def rows(
    connection: sqlite3.Connection, *, limit: int, offset: int, search: str, source: str
) -> tuple[ConversationRow, ...]:
    """Return list lines, newest first."""
    conditions: list[str] = []
    values: list[object] = []
    if source:
        conditions.append("source = ?")
        values.append(text(source))
    words = _words(search)
    page = (max(limit, 0), max(offset, 0))
    if not search.strip():
        found = _select(connection, conditions, (*values, *page))
    elif words is None:
        found = _select(connection, [*conditions, _HAS_TEXT], (*values, text(search.strip()), *page))
    else:
        try:
            found = _select(connection, [*conditions, _HAS_WORDS], (*values, words, *page))
        except sqlite3.OperationalError as error:
            # A character that this SQLite knows less about than this Python splits a word in two.
            if "fts5" not in str(error):
                raise
            found = _select(connection, [*conditions, _HAS_TEXT], (*values, text(search.strip()), *page))
    return tuple(
        ConversationRow(
            id=conversation_id,
            created_at=moment(created_us),
            source=row_source,
            title=title or _opening(question),
            turns=turns,
            score=score,
            eligible=bool(eligible),
            excluded=bool(excluded),
            learned=bool(learned),
        )
        for (
            conversation_id,
            created_us,
            row_source,
            title,
            turns,
            score,
            eligible,
            excluded,
            learned,
            question,
        ) in found
    )


def _select(
    connection: sqlite3.Connection, conditions: list[str], values: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return connection.execute(
        f"{_ROW} {where} ORDER BY created_us DESC, key DESC LIMIT ? OFFSET ?", values
    ).fetchall()


def export(database: Database, *, source: str) -> Iterator[Conversation]:
    """Yield conversations, oldest first, about a million characters at a time."""
    select = "SELECT created_us, key, characters FROM conversations WHERE"
    values: tuple[object, ...] = ()
    if source:
        select += " source = ? AND"
        values = (text(source),)
    last: tuple[int, int] = (-(2**62), 0)
    while True:
        with database.reading() as connection:
            page = connection.execute(
                f"{select} created_us = ? AND key > ? ORDER BY key LIMIT ?", (*values, *last, _PAGE)
            ).fetchall()
            if len(page) < _PAGE:
                page += connection.execute(
                    f"{select} created_us > ? ORDER BY created_us, key LIMIT ?",
                    (*values, last[0], _PAGE - len(page)),
                )
        for keys in _portions([(key, characters) for _, key, characters in page]):
            with database.reading() as connection:
                portion = list(records.load_conversations(connection, keys))
            yield from portion
        if len(page) < _PAGE:
            return
        last = page[-1][:2]


def _portions(page: list[tuple[int, int]]) -> Iterator[list[int]]:
    keys: list[int] = []
    total = 0
    for key, characters in page:
        if keys and total + characters > _EXPORT_CHARACTERS:
            yield keys
            keys, total = [], 0
        keys.append(key)
        total += characters
    if keys:
        yield keys


def _words(search: str) -> str | None:
    """Return a full-text query for every word of ``search``; None where only reading the texts will do.

    Words are split as the index splits them: letters and digits belong to a word, all else separates.
    Emoji and the like are not in the index, or stick to words, as the tables of SQLite's Unicode have it.
    """
    if _UNSPACED.search(search) or any(
        not one.isascii() and unicodedata.category(one)[0] in "SC" for one in search
    ):
        return None
    words = "".join(one if unicodedata.category(one)[0] in "LNM" else " " for one in search).split()
    if not words or any(all(unicodedata.category(one)[0] == "M" for one in word) for word in words):
        return None
    return " ".join([*(f'"{word}"' for word in words[:-1]), f'"{words[-1]}"*'])


def _opening(question: str | None) -> str:
    """Return the beginning of a first question as one line."""
    line = " ".join((question or "").split())
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1].rstrip() + "…"

"""The log of the ``llm`` command-line tool, an SQLite file called ``logs.db``.

Two layouts, both read and never written: ``conversations`` with ``responses`` (before ``llm`` 0.32), and
the tree of ``messages`` with ``threads`` that point into it. A conversation that was begun in the first
and continued in the second has the same id in both, and is read from the tree, which has the whole of it.
Tools, reasoning and attachments are left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from allie_desktop.domain.conversation import (
    MAXIMUM_TURN_CHARACTERS,
    Conversation,
    Refusal,
    Role,
    Turn,
)
from allie_desktop.domain.errors import ImportFileError
from allie_desktop.imports.document import file_time, head_of, shown
from allie_desktop.imports.draft import MAXIMUM_TURNS, Draft, coherent, finished
from allie_desktop.imports.records import UnusableError, decoded

SOURCE = "llm"

_MAGIC = b"SQLite format 3\x00"
# Of a damaged schema, even SQLite's message may be no text that Python can decode.
_FAULTS = (sqlite3.Error, OverflowError, UnicodeError)
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_TREE_TABLES = frozenset({"threads", "messages", "parts"})
_LIST_TABLES = frozenset({"conversations", "responses"})
# Longer texts are refused anyway; cut off by SQLite, they are never held whole.
_CUT = MAXIMUM_TURN_CHARACTERS + 1
_LONGEST_BYTES = 64 * 1024**2
_SQLITE_LIMIT_LENGTH = 0


def is_sqlite(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is an SQLite database."""
    return head.startswith(_MAGIC)


class LlmImporter:
    """Reads ``logs.db`` of the ``llm`` tool. Implements the port ``Importer``."""

    name = "llm"

    def matches(self, path: Path, head: bytes) -> bool:
        """Whether this is an SQLite file with the tables of ``llm``."""
        if not is_sqlite(head):
            return False
        try:
            with closing(_opened(path)) as database:
                tables = _tables(database)
        except _FAULTS:
            return False
        return tables >= _TREE_TABLES or tables >= _LIST_TABLES

    def read(self, path: Path) -> Iterator[Conversation | Refusal]:
        """Yield conversations and refusals; raise :class:`ImportFileError` when it is no log of ``llm``.

        Damage found on the way is a refusal, and ends the reading.
        """
        if not is_sqlite(head_of(path)):
            raise ImportFileError(
                f"{shown(path)} is not an SQLite file.", "`llm logs path` prints where the log is."
            )
        nothing = True
        try:
            with closing(_opened(path)) as database:
                tables = _tables(database)
                if not (tables >= _TREE_TABLES or tables >= _LIST_TABLES):
                    raise ImportFileError(
                        f"{shown(path)} is not a log of the llm tool.",
                        "`llm logs path` prints where the log is.",
                    )
                for draft in _drafts(database, tables):
                    nothing = False
                    try:
                        yield finished(draft, otherwise_created_at=file_time(path))
                    except UnusableError as error:
                        reason = f"Conversation {draft.id}: {error.reason}"
                        yield Refusal(file=shown(path), line=None, reason=reason)
        except _FAULTS as error:
            if nothing:
                raise ImportFileError(
                    f"{shown(path)} cannot be read: {error}.", "Close the programs that use it, or copy it."
                ) from error
            reason = f"The database is damaged: {error}. What came before was read."
            yield Refusal(file=shown(path), line=None, reason=reason)
        if nothing:
            raise ImportFileError(f"{shown(path)} holds no conversations.", "There is nothing to import.")


def _opened(path: Path) -> sqlite3.Connection:
    location = quote(str(path.absolute()).encode("utf-8", "surrogateescape"))
    database = sqlite3.connect(f"file:{location}?mode=ro", uri=True, timeout=5.0)
    database.text_factory = lambda data: data.decode("utf-8", "replace")
    set_limit = getattr(database, "setlimit", None)  # since Python 3.11
    if set_limit is not None:
        set_limit(_SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
    return database


def _tables(database: sqlite3.Connection) -> set[str]:
    # Tables only: a view could be a query without end.
    return {str(name) for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _drafts(database: sqlite3.Connection, tables: set[str]) -> Iterator[Draft]:
    in_tree: set[object] = set()
    if tables >= _TREE_TABLES:
        rows = database.execute("SELECT id, name, tip_message_hash, datetime_utc FROM threads ORDER BY id")
        for thread_id, name, tip, created_at in rows:
            in_tree.add(thread_id)
            turns = coherent(_chain(database, tip))
            yield Draft(id=thread_id, created_at=created_at, source=SOURCE, title=name, turns=turns)
    if tables >= _LIST_TABLES:
        with_fragments = tables >= {"fragments", "prompt_fragments", "system_fragments"}
        # The order is made of ids alone: sorting whole rows would copy every text.
        order = database.execute(
            "SELECT conversation_id, id FROM responses ORDER BY conversation_id, datetime_utc, id"
        )
        for conversation_id, group in groupby(order, key=lambda row: row[0]):
            if conversation_id not in in_tree:
                ids = [response_id for _, response_id in group][: MAXIMUM_TURNS + 1]
                yield _listed(database, conversation_id, ids, with_fragments=with_fragments)


def _chain(database: sqlite3.Connection, tip: object) -> list[Turn]:
    """Return the messages from the root of the tree to ``tip``."""
    turns: list[Turn] = []
    met: set[object] = set()
    while tip is not None and tip not in met and len(met) <= MAXIMUM_TURNS:
        met.add(tip)
        row = database.execute("SELECT role, parent_hash FROM messages WHERE hash = ?", (tip,)).fetchone()
        if row is None:
            break
        role = _ROLES.get(row[0])
        if role is not None:
            turns.append(Turn(role=role, content=_parts(database, tip)))
        tip = row[1]
    turns.reverse()
    return turns


def _parts(database: sqlite3.Connection, message_hash: object) -> str:
    rows = database.execute(
        f"SELECT substr(text, 1, {_CUT}), substr(payload, 1, {_CUT}) FROM parts"  # noqa: S608 - a number
        " WHERE message_hash = ? AND type = 'text' ORDER BY position",
        (message_hash,),
    )
    texts = [text if isinstance(text, str) else _referenced(database, payload) for text, payload in rows]
    return "\n\n".join(text for text in texts if text.strip())


def _referenced(database: sqlite3.Connection, payload: object) -> str:
    """Return a text that is put together from stored fragments and literals."""
    if not isinstance(payload, str):
        return ""
    try:
        value = decoded(payload.encode("utf-8", "replace"))
    except UnusableError:
        return ""
    pieces = value.get("text_ref") if isinstance(value, dict) else None
    texts: list[str] = []
    for piece in pieces if isinstance(pieces, list) else ():
        if isinstance(piece, dict) and isinstance(piece.get("literal"), str):
            texts.append(piece["literal"])
        elif isinstance(piece, dict) and isinstance(piece.get("fragment"), int):
            row = database.execute(
                f"SELECT substr(content, 1, {_CUT}) FROM fragments WHERE id = ?",  # noqa: S608 - a number
                (piece["fragment"],),
            ).fetchone()
            texts.append(_text(row[0] if row else None))
    return "".join(texts)


def _listed(
    database: sqlite3.Connection, conversation_id: object, ids: list[object], *, with_fragments: bool
) -> Draft:
    turns: list[Turn] = []
    created_at = None
    for response_id in ids:
        row = database.execute(
            f"SELECT substr(prompt, 1, {_CUT}), substr(system, 1, {_CUT}), substr(response, 1, {_CUT}),"  # noqa: S608 - numbers
            " datetime_utc FROM responses WHERE id = ?",
            (response_id,),
        ).fetchone()
        if row is None:
            continue
        prompt, system, response = (_text(value) for value in row[:3])
        if with_fragments:
            prompt = "\n".join([*_fragments(database, "prompt_fragments", response_id), prompt])
            system = "\n".join([*_fragments(database, "system_fragments", response_id), system])
        created_at = created_at or row[3]
        if not turns and system.strip():
            turns.append(Turn(role=Role.SYSTEM, content=system))
        # A response without a prompt goes on after tools were called.
        if prompt.strip() or not any(turn.role is Role.ASSISTANT for turn in turns):
            turns.append(Turn(role=Role.USER, content=prompt))
        turns.append(Turn(role=Role.ASSISTANT, content=response))
    found = None
    if conversation_id is not None:
        query = "SELECT name FROM conversations WHERE id = ?"
        found = database.execute(query, (conversation_id,)).fetchone()
    return Draft(
        id=conversation_id,
        created_at=created_at,
        source=SOURCE,
        title=found[0] if found else None,
        turns=coherent(turns),
    )


def _fragments(database: sqlite3.Connection, table: str, response_id: object) -> list[str]:
    rows = database.execute(
        f"SELECT substr(content, 1, {_CUT}) FROM fragments JOIN {table} ON fragment_id = fragments.id"  # noqa: S608 - ours
        f' WHERE response_id = ? ORDER BY "order" LIMIT {MAXIMUM_TURNS}',
        (response_id,),
    )
    return [_text(content) for (content,) in rows]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

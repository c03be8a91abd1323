"""What can be set right in a store without replacing it: indexes, counters, and single texts.

SQLite sees a page that makes no sense, not a letter that became another one. Conversations are therefore
compared with the hash that they were kept under, and come back from the newest backup in which they are whole.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator

from allie_desktop.domain.errors import AllieError
from allie_desktop.domain.ports import Assessed
from allie_desktop.domain.soundness import is_whole
from allie_desktop.store import records
from allie_desktop.store.conversations import SqliteConversations
from allie_desktop.store.database import Database

_log = logging.getLogger(__name__)

_AT_ONCE = 200


def mend(database: Database) -> tuple[str, ...]:
    """Look at everything and set right what can be; return sentences about it, none when all was sound.

    Takes the write lock for parts of it, and about a second per 50 MB. Raise :class:`StoreCorruptError` for
    damage that only a backup helps against.
    """
    said = [*_mend_texts(database)]
    connection = database.connection
    with database.explained():
        if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            connection.execute("REINDEX")
            said.append("An index of the conversation store was damaged and was made anew.")
    database.check()
    with database.transaction():
        try:
            connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError:
            connection.execute("INSERT INTO search (search) VALUES ('rebuild')")
            said.append("The search index was damaged and was made anew.")
        names = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(recount)"))
        kept, counted = (
            connection.execute(f"SELECT {names} FROM {of}").fetchone() for of in ("tally", "recount")
        )
        if kept != counted:
            connection.execute(f"UPDATE tally SET ({names}) = (SELECT {names} FROM recount)")
            said.append("The counters of the conversation store were wrong and were counted anew.")
    database.check(full=True)
    return tuple(said)


def _mend_texts(database: Database) -> Iterator[str]:
    conversations = SqliteConversations(database)
    for damaged in list(_damaged(database)):
        name = damaged.conversation.id
        whole = _from_backup(database, name)
        with contextlib.suppress(AllieError):
            if whole is not None:
                with database.transaction() as connection:
                    # The index is made anew below: it cannot be told words that nobody knows any more.
                    key = records.keys_of(connection, [name])[name]
                    for position, turn in enumerate(whole.conversation.turns):
                        connection.execute(
                            "UPDATE turns SET content = ?, role = ? WHERE conversation = ? AND position = ?",
                            (turn.content, turn.role.value, key, position),
                        )
                yield f"Conversation {name} was damaged and was taken from a backup."
            else:
                conversations.set_excluded(name, True)
                yield f"Conversation {name} is damaged, and no backup has it; Allie will not learn from it."


def _damaged(database: Database) -> Iterator[Assessed]:
    highest = database.connection.execute("SELECT max(key) FROM conversations").fetchone()[0] or 0
    for first in range(1, highest + 1, _AT_ONCE):
        with database.reading() as connection:
            found = records.load(connection, range(first, first + _AT_ONCE))
        yield from (assessed for assessed in found.values() if not is_whole(assessed))


def _from_backup(database: Database, name: str) -> Assessed | None:
    for backup in database.backups.all():
        with (
            contextlib.suppress(sqlite3.Error, ValueError, KeyError),
            contextlib.closing(
                sqlite3.connect(f"{backup.path.absolute().as_uri()}?mode=ro", uri=True)
            ) as copy,
        ):
            found = records.load(copy, list(records.keys_of(copy, [name]).values()))
            for assessed in found.values():
                if is_whole(assessed):
                    return assessed
    return None

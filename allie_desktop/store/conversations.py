"""The person's conversations (port :class:`~allie_desktop.domain.ports.ConversationRepository`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from allie_desktop.domain.conversation import Conversation, Rating, Role
from allie_desktop.domain.errors import BadInputError, UnknownConversationError
from allie_desktop.domain.ports import (
    AddResult,
    Assessed,
    Candidate,
    ConversationRow,
    MaterialCounts,
)
from allie_desktop.store import erasure, listing, merging, records, writes
from allie_desktop.store.columns import microseconds, text
from allie_desktop.store.database import Database

_Outcome = Literal["added", "duplicate", "updated"]


class SqliteConversations:
    """Conversations in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch: Sequence[Assessed]) -> AddResult:
        """Add a batch in one transaction, as the port says. Some thousands at a time are fastest."""
        with self._database.transaction() as connection:
            first_new: int = connection.execute(
                "SELECT coalesce(max(key), 0) + 1 FROM conversations"
            ).fetchone()[0]
            inserts = writes.Inserts(connection, first_new)
            outcomes = [self._add_one(connection, assessed, inserts, first_new) for assessed in batch]
            inserts.write()
            records.index_new(connection, first_new)
        return AddResult(
            added=outcomes.count("added"),
            duplicates=outcomes.count("duplicate"),
            updated=outcomes.count("updated"),
        )

    def get(self, conversation_id: str) -> Assessed:
        """Return one, by its id or by a prefix that no other id has."""
        with self._database.reading() as connection:
            key = _find(connection, conversation_id)
            return records.load(connection, [key])[key]

    def get_many(self, ids: Sequence[str]) -> Mapping[str, Assessed]:
        """Return those that exist, in the order of ``ids``."""
        with self._database.reading() as connection:
            keys = list(records.keys_of(connection, ids).values())
            loaded = records.load(connection, keys).values()
        return {assessed.conversation.id: assessed for assessed in loaded}

    def rows(
        self, *, limit: int = 50, offset: int = 0, search: str = "", source: str = ""
    ) -> tuple[ConversationRow, ...]:
        """Return list lines, newest first; every word of ``search`` must occur, the last one may be a
        beginning. A conversation without title shows its first question."""
        with self._database.reading() as connection:
            return listing.rows(connection, limit=limit, offset=offset, search=search, source=source)

    def counts(self) -> MaterialCounts:
        """Return the trigger terms from the tally: one row, however many conversations there are."""
        with self._database.reading() as connection:
            conversations, eligible_new, billionths, taught_new, learned, excluded = connection.execute(
                "SELECT conversations, eligible_new, eligible_new_score_billionths, taught_new, learned, "
                "excluded FROM tally"
            ).fetchone()
        return MaterialCounts(
            conversations=conversations,
            eligible_new=eligible_new,
            eligible_new_quality=billionths / (eligible_new * 10**9) if eligible_new else 0.0,
            taught_new=taught_new,
            learned=learned,
            excluded=excluded,
        )

    def candidates(self, *, learned: bool, limit: int | None = None) -> Iterator[Candidate]:
        """Yield candidates a page at a time, in constant memory and without holding a lock in between.

        What changes while the iteration runs may or may not be seen; nothing comes twice unless its score
        falls meanwhile.
        """
        return listing.candidates(self._database, learned=learned, limit=limit)

    def mark_learned(
        self, ids: Sequence[str], *, version: str, at: datetime, as_of: datetime | None = None
    ) -> None:
        """Remember who learnt what, as the port says; ids that were forgotten meanwhile are left out."""
        at_us = microseconds(at)
        as_of_us = microseconds(as_of or at)
        with self._database.transaction() as connection:
            # Marked again, after a rollback was undone, a version still knows what it knew then.
            connection.executemany(
                """
                INSERT INTO learned (version, conversation, at_us, as_of_us) VALUES (?, ?, ?, ?)
                ON CONFLICT (version, conversation) DO UPDATE SET
                at_us = excluded.at_us, as_of_us = min(as_of_us, excluded.as_of_us), revoked = 0
                """,
                [(version, key, at_us, as_of_us) for key in records.keys_of(connection, ids).values()],
            )

    def unmark_learned(self, *, version: str) -> None:
        """Make what ``version`` learnt new again, unless another version in use learnt it too."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE learned SET revoked = 1 WHERE version = ? AND revoked = 0", (version,))

    def learned_by(self, version: str) -> tuple[str, ...]:
        """Return the ids that ``version`` learnt, in the order in which they came in."""
        with self._database.reading() as connection:
            return tuple(
                row[0]
                for row in connection.execute(
                    """
                    SELECT id FROM learned JOIN conversations ON key = conversation
                    WHERE version = ? ORDER BY conversation
                    """,
                    (version,),
                )
            )

    def versions_of(self, conversation_id: str) -> tuple[str, ...]:
        """Return the versions that learnt from it, rolled back or not; none for an unknown id."""
        with self._database.reading() as connection:
            keys = records.keys_of(connection, [conversation_id])
            return erasure.versions_of(connection, keys.values())

    def rate(self, conversation_id: str, turn_index: int, rating: Rating | None) -> None:
        """Set or clear a rating on an assistant's turn; raise :class:`BadInputError` for another turn."""
        if rating not in (1, -1, None):
            raise BadInputError(f"{rating!r} is not a rating.", "Rate with 1 (good) or -1 (bad).")
        with self._database.transaction() as connection:
            key = _exactly(connection, conversation_id)
            row = connection.execute(
                "SELECT role FROM turns WHERE conversation = ? AND position = ?", (key, turn_index)
            ).fetchone()
            if row is None or row[0] != Role.ASSISTANT.value:
                raise BadInputError(
                    f"Turn {turn_index} of conversation {conversation_id} is not a reply.",
                    "Only an assistant's turn can be rated; turns count from 0.",
                )
            connection.execute(
                """
                INSERT INTO feedback (conversation, position, rating) VALUES (?, ?, ?)
                ON CONFLICT (conversation, position) DO UPDATE SET rating = excluded.rating
                """,
                (key, turn_index, rating),
            )
            connection.execute(
                """
                DELETE FROM feedback
                WHERE conversation = ? AND position = ? AND rating IS NULL AND correction IS NULL
                """,
                (key, turn_index),
            )

    def replace(self, assessed: Assessed) -> None:
        """Replace all of a known conversation but its id and what became of it."""
        with self._database.transaction() as connection:
            key = _exactly(connection, assessed.conversation.id)
            old = records.load(connection, [key])[key]
            self._rewrite(connection, key, old, assessed)

    def set_excluded(self, conversation_id: str, excluded: bool) -> None:
        """Keep a conversation out of learning and of the replay buffer, or let it in again."""
        with self._database.transaction() as connection:
            key = _exactly(connection, conversation_id)
            connection.execute("UPDATE conversations SET excluded = ? WHERE key = ?", (int(excluded), key))

    def forget(self, conversation_id: str) -> tuple[str, ...]:
        """Delete one and its traces (see :mod:`~allie_desktop.store.erasure`), in the backups too."""
        with self._database.transaction() as connection:
            key = _exactly(connection, conversation_id)
            versions = erasure.delete(connection, {text(conversation_id): key})
        erasure.finish(self._database)
        return versions

    def forget_many(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Forget several at the cost of one; unknown ids are left out."""
        with self._database.transaction() as connection:
            versions = erasure.delete(connection, records.keys_of(connection, ids))
        erasure.finish(self._database)
        return versions

    def traces(self) -> tuple[str, ...]:
        """Return the ids of forgotten conversations that the file or a backup may still hold."""
        return erasure.pending(self._database)

    def export(self, *, source: str = "") -> Iterator[Conversation]:
        """Yield all conversations, oldest first, without holding a lock in between."""
        return listing.export(self._database, source=source)

    def _add_one(
        self,
        connection: sqlite3.Connection,
        assessed: Assessed,
        inserts: writes.Inserts,
        first_new: int,
    ) -> _Outcome:
        conversation = assessed.conversation
        conversation_id = text(conversation.id)
        if conversation_id in inserts.ids or assessed.content_hash in inserts.hashes:
            inserts.write()  # so that it is found below
        # Without the plus SQLite would put ?1 for content_hash into the first condition too, which then says
        # nothing, and scan the table.
        same = connection.execute(
            """
            SELECT key FROM conversations
            WHERE substr(content_hash, 1, 16) = substr(?1, 1, 16) AND +content_hash = ?1
            ORDER BY id = ?2 DESC, key LIMIT 1
            """,
            (assessed.content_hash, conversation_id),
        ).fetchone()
        if same is not None:
            return self._take_feedback(connection, same[0], assessed, first_new)
        namesake = connection.execute(
            "SELECT key FROM conversations WHERE id = ?", (conversation_id,)
        ).fetchone()
        if namesake is None:
            inserts.add(assessed, conversation_id)
            return "added"
        key: int = namesake[0]
        old = records.load(connection, [key])[key]
        if merging.continues(conversation.turns, old.conversation.turns):
            self._rewrite(connection, key, old, merging.grown(old, assessed), first_new)
            return "updated"
        if merging.continues(old.conversation.turns, conversation.turns):
            return "duplicate"
        inserts.write()
        inserts.add(assessed, _free_id(connection, conversation_id, assessed.content_hash))
        return "added"

    def _take_feedback(
        self, connection: sqlite3.Connection, key: int, assessed: Assessed, first_new: int
    ) -> _Outcome:
        """Keep the feedback that a known conversation came with, where it says something new."""
        if all(turn.rating is None and turn.correction is None for turn in assessed.conversation.turns):
            return "duplicate"
        old = records.load(connection, [key])[key]
        turns = merging.with_feedback(old.conversation.turns, assessed.conversation.turns)
        if turns == old.conversation.turns:
            return "duplicate"
        new = replace(assessed, conversation=replace(old.conversation, turns=turns))
        self._rewrite(connection, key, old, new, first_new)
        return "updated"

    def _rewrite(
        self,
        connection: sqlite3.Connection,
        key: int,
        old: Assessed,
        new: Assessed,
        first_unindexed: int | None = None,
    ) -> None:
        is_indexed = first_unindexed is None or key < first_unindexed
        reindex = is_indexed and merging.texts(old) != merging.texts(new)
        if reindex:
            records.unindex(connection, key)
        writes.update(connection, key, new)
        if reindex:
            records.index(connection, key)
        if merging.lesson(old) != merging.lesson(new):
            connection.execute(
                "UPDATE conversations SET changed_us = ? WHERE key = ?",
                (microseconds(self._database.now()), key),
            )


def _exactly(connection: sqlite3.Connection, conversation_id: str) -> int:
    row = connection.execute(
        "SELECT key FROM conversations WHERE id = ?", (text(conversation_id),)
    ).fetchone()
    if row is None:
        raise UnknownConversationError(
            f"There is no conversation {conversation_id!r}.", "`allie conversations list` shows them all."
        )
    key: int = row[0]
    return key


def _find(connection: sqlite3.Connection, prefix: str) -> int:
    """Return the key of an id, or of the only id with this beginning."""
    wanted = text(prefix)
    rows = connection.execute(
        "SELECT id, key FROM conversations WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
        (wanted, wanted + "\U0010ffff"),
    ).fetchall()
    if rows and wanted and (len(rows) == 1 or rows[0][0] == wanted):
        key: int = rows[0][1]
        return key
    if rows and wanted:
        raise UnknownConversationError(
            f"Several conversations have an id that begins with {prefix!r}.", "Give more of the id."
        )
    return _exactly(connection, prefix)


def _free_id(connection: sqlite3.Connection, conversation_id: str, content_hash: str) -> str:
    """Return an id for a conversation whose own id is taken: the same for the same content."""
    candidate, number = f"{conversation_id}-{content_hash[:8]}", 2
    while connection.execute("SELECT 1 FROM conversations WHERE id = ?", (candidate,)).fetchone():
        candidate, number = f"{conversation_id}-{content_hash[:8]}-{number}", number + 1
    return candidate

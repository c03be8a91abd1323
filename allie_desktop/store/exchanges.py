"""Exchanges: which version wrote which reply (port :class:`~allie_desktop.domain.ports.ExchangeRepository`,
and what :mod:`allie_desktop.services.recording` needs besides)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from allie_desktop.domain.chat import Evidence, Exchange, KnownReply
from allie_desktop.domain.conversation import Rating
from allie_desktop.domain.errors import UnknownConversationError
from allie_desktop.domain.ports import Assessed
from allie_desktop.store import records, writes
from allie_desktop.store.columns import microseconds, moment, text
from allie_desktop.store.database import Database

#: Replies whose time is told as evidence.
_LATENCIES = 200

_KNOWN = """
    SELECT response_id, conversations.id, position, version, client, started_us, regenerated
    FROM exchanges JOIN conversations ON conversations.key = exchanges.conversation
"""

# One row for each place that a reply stands at, however often it was made anew.
_PLACES = """
    SELECT
        exchanges.conversation AS conversation,
        exchanges.finish = 'error' AS error,
        max(broken) AS broken,
        max(regenerated) AS regenerated,
        max(CASE WHEN regenerated THEN exchanges.rating ELSE feedback.rating END = 1) AS liked,
        max(
            CASE WHEN regenerated THEN exchanges.rating ELSE feedback.rating END = -1
            OR CASE WHEN regenerated THEN exchanges.corrected ELSE feedback.correction IS NOT NULL END
        ) AS disliked
    FROM exchanges LEFT JOIN feedback
        ON feedback.conversation = exchanges.conversation AND feedback.position = exchanges.position
    WHERE version = ? AND started_us >= ?
    GROUP BY exchanges.conversation, exchanges.position, error,
        CASE WHEN exchanges.conversation IS NULL THEN exchanges.key END
"""


class SqliteExchanges:
    """Exchanges in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make all that is read and written in a ``with`` block one step, which no other process comes
        between, durable when the block ends. Raise :class:`StoreBusyError` when another one takes too long."""
        with self._database.transaction():
            yield

    def begin(self, assessed: Assessed) -> str:
        """Keep a conversation that has just begun, even where another one says the same; return its id, a
        new one when its own is taken."""
        with self._database.transaction() as connection:
            wanted = text(assessed.conversation.id)
            conversation_id, number = wanted, 2
            while connection.execute(
                "SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)
            ).fetchone():
                conversation_id, number = f"{wanted}-{number}", number + 1
            key: int = connection.execute("SELECT coalesce(max(key), 0) + 1 FROM conversations").fetchone()[0]
            inserts = writes.Inserts(connection, key)
            inserts.add(assessed, conversation_id)
            inserts.write()
            records.index(connection, key)
        return conversation_id

    def note(
        self,
        exchange: Exchange,
        *,
        conversation_id: str | None,
        position: int | None,
        broken: bool,
        request: bytes,
        head: bytes,
    ) -> None:
        """Remember an exchange whose reply stands at a place, or nowhere (both None; then nothing of what
        was said is kept, not even the digests). Raise :class:`UnknownConversationError`."""
        with self._database.transaction() as connection:
            key = None if conversation_id is None else _key(connection, conversation_id)
            connection.execute(
                """
                INSERT INTO exchanges (
                    response_id, conversation, position, version, source, client, started_us,
                    first_token_seconds, seconds, prompt_tokens, completion_tokens, finish, broken, request, head
                ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                (
                    text(exchange.response_id),
                    key,
                    position,
                    text(exchange.version),
                    text(exchange.source),
                    text(exchange.client),
                    microseconds(exchange.started_at),
                    exchange.first_token_seconds,
                    exchange.seconds,
                    exchange.prompt_tokens,
                    exchange.completion_tokens,
                    exchange.finish_reason,
                    int(broken),
                    None if key is None else request,
                    None if key is None else head,
                ),
            )

    def replace_at(self, conversation_id: str, position: int) -> None:
        """Note that the replies written for a place so far were not the last word, with what the person
        thinks of them at this moment."""
        with self._database.transaction() as connection:
            key = _key(connection, conversation_id)
            connection.execute(
                """
                UPDATE exchanges SET regenerated = 1,
                    rating = (SELECT rating FROM feedback WHERE conversation = ?1 AND position = ?2),
                    corrected = EXISTS (
                        SELECT 1 FROM feedback
                        WHERE conversation = ?1 AND position = ?2 AND correction IS NOT NULL
                    )
                WHERE conversation = ?1 AND position = ?2 AND regenerated = 0
                """,
                (key, position),
            )

    def rate_replaced(self, response_id: str, rating: Rating | None) -> None:
        """Keep what the person thinks of a reply that another one has replaced."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE exchanges SET rating = ? WHERE response_id = ? AND regenerated = 1",
                (rating, text(response_id)),
            )

    def of_response(self, response_id: str) -> KnownReply | None:
        """Return where a reply stands; None when it is unknown or stands nowhere."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_KNOWN} WHERE response_id = ?", (text(response_id),)).fetchone()
        return None if row is None else _known(row)

    def is_known(self, response_id: str) -> bool:
        """Whether this exchange was noted, with a reply or without."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT 1 FROM exchanges WHERE response_id = ?", (text(response_id),)
            ).fetchone()
        return row is not None

    def with_request(self, digest: bytes, *, limit: int = 8) -> tuple[KnownReply, ...]:
        """Return the replies to this very request, newest first."""
        return self._found("request", digest, limit)

    def with_head(self, digest: bytes, *, limit: int = 8) -> tuple[KnownReply, ...]:
        """Return the replies after which a dialogue said exactly this, newest first."""
        return self._found("head", digest, limit)

    def last_version(self, conversation_id: str) -> str | None:
        """Return the version that spoke last in a conversation; None when nobody noted one."""
        with self._database.reading() as connection:
            row = connection.execute(
                """
                SELECT version FROM exchanges
                WHERE conversation = (SELECT key FROM conversations WHERE id = ?)
                ORDER BY position DESC, key DESC LIMIT 1
                """,
                (text(conversation_id),),
            ).fetchone()
        return None if row is None else str(row[0])

    def evidence(self, version: str, *, since: datetime) -> Evidence:
        """See :meth:`domain.ports.ExchangeRepository.evidence`.

        A reply counts once, however often it was generated anew. ``regenerated`` are those that were not
        disliked as well, so that the two can be added.
        """
        values = (text(version), microseconds(since))
        with self._database.reading() as connection:
            replies, conversations, liked, disliked, regenerated, errors, broken = connection.execute(
                f"""
                SELECT
                    coalesce(sum(NOT error), 0),
                    count(DISTINCT conversation),
                    coalesce(sum(NOT error AND liked AND NOT coalesce(disliked, 0)), 0),
                    coalesce(sum(NOT error AND disliked), 0),
                    coalesce(sum(NOT error AND regenerated AND NOT coalesce(disliked, 0)), 0),
                    coalesce(sum(error), 0),
                    coalesce(sum(NOT error AND broken), 0)
                FROM ({_PLACES})
                """,
                values,
            ).fetchone()
            seconds = connection.execute(
                """
                SELECT seconds FROM exchanges WHERE version = ? AND started_us >= ? AND finish != 'error'
                ORDER BY started_us DESC LIMIT ?
                """,
                (*values, _LATENCIES),
            ).fetchall()
        return Evidence(
            replies=replies,
            conversations=conversations,
            liked=liked,
            disliked=disliked,
            regenerated=regenerated,
            errors=errors,
            broken=broken,
            latency_seconds=tuple(row[0] for row in seconds),
        )

    def _found(self, column: str, digest: bytes, limit: int) -> tuple[KnownReply, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_KNOWN} WHERE exchanges.{column} = ? ORDER BY exchanges.key DESC LIMIT ?", (digest, limit)
            ).fetchall()
        return tuple(map(_known, rows))


def _known(row: Sequence[object]) -> KnownReply:
    response_id, conversation_id, position, version, client, started_us, regenerated = row
    return KnownReply(
        response_id=str(response_id),
        conversation_id=str(conversation_id),
        position=int(str(position)),
        version=str(version),
        client=str(client),
        started_at=moment(int(str(started_us))),
        regenerated=bool(regenerated),
    )


def _key(connection: sqlite3.Connection, conversation_id: str) -> int:
    keys = records.keys_of(connection, [conversation_id])
    if not keys:
        raise UnknownConversationError(f"There is no conversation {conversation_id!r}.")
    return next(iter(keys.values()))

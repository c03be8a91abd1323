"""Episodes and the history of their states (port :class:`~allie_desktop.domain.ports.EpisodeRepository`)."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any

from allie_desktop.domain.errors import StoreError
from allie_desktop.domain.lifecycle import (
    FINAL_STATES,
    TRANSITIONS,
    Episode,
    EpisodeState,
    StateChange,
)
from allie_desktop.store.columns import (
    mapping,
    mapping_text,
    microseconds,
    moment,
    optional_microseconds,
    optional_moment,
    strings,
    strings_text,
    text,
)
from allie_desktop.store.database import Database

_SELECT = """
    SELECT key, id, created_us, state, trigger, plan_digest, conversations, attempts, parent, version, verdict,
        reasons, metrics, seconds, finished_us
    FROM episodes
"""
_FINAL = tuple(sorted(state.value for state in FINAL_STATES))


class SqliteEpisodes:
    """Episodes in a :class:`Database`; to be used from the thread that opened it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, episode: Episode) -> None:
        """Persist a new episode; its history begins with PLANNED and its trigger as the reason.

        Raises :class:`StoreError` when the id is taken, ValueError for another state.
        """
        if episode.state is not EpisodeState.PLANNED:
            raise ValueError(f"an episode begins planned, not {episode.state.value}")
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM episodes WHERE id = ?", (episode.id,)).fetchone():
                raise StoreError(f"There is an episode {episode.id} already.")
            key = connection.execute(
                """
                INSERT INTO episodes (created_us, trigger, plan_digest, conversations, attempts, parent, version,
                    verdict, reasons, metrics, seconds, finished_us, id, state)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                (*_values(episode), episode.id, episode.state.value),
            ).lastrowid
            _remember(connection, key, episode.state, episode.created_at, episode.trigger)

    def change(self, episode_id: str, state: EpisodeState, *, at: datetime, reason: str = "") -> None:
        """Persist a transition; a final state also sets ``finished_at``.

        Raises :class:`StoreError` for an unknown episode and for a transition that is not allowed.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT key, state FROM episodes WHERE id = ?", (episode_id,)).fetchone()
            if row is None:
                raise _unknown(episode_id)
            key, current = row[0], EpisodeState(row[1])
            if state not in TRANSITIONS[current]:
                raise StoreError(f"Episode {episode_id} is {current.value} and cannot become {state.value}.")
            finished_us = microseconds(at) if state in FINAL_STATES else None
            connection.execute(
                "UPDATE episodes SET state = ?, finished_us = ? WHERE key = ?",
                (state.value, finished_us, key),
            )
            _remember(connection, key, state, at, reason)

    def update(self, episode: Episode) -> None:
        """Persist everything but the state and its history; a known ``finished_at`` is not unset."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                """
                UPDATE episodes SET created_us = ?, trigger = ?, plan_digest = ?, conversations = ?, attempts = ?,
                    parent = ?, version = ?, verdict = ?, reasons = ?, metrics = ?, seconds = ?,
                    finished_us = coalesce(?, finished_us)
                WHERE id = ?
                """,
                (*_values(episode), episode.id),
            ).rowcount
            if not changed:
                raise _unknown(episode.id)

    def get(self, episode_id: str) -> Episode | None:
        """Return one with its history; None when there is none."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_SELECT} WHERE id = ?", (episode_id,)).fetchone()
            return None if row is None else _with_history(connection, row)

    def latest(self, *, limit: int = 1, offset: int = 0) -> tuple[Episode, ...]:
        """Return the newest first, without histories where ``limit`` > 1."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_SELECT} ORDER BY created_us DESC, key DESC LIMIT ? OFFSET ?",
                (max(limit, 0), max(offset, 0)),
            ).fetchall()
            if limit == 1:
                return tuple(_with_history(connection, row) for row in rows)
        return tuple(_episode(row) for row in rows)

    def unfinished(self) -> tuple[Episode, ...]:
        """Return those in no final state, oldest first, with their histories."""
        marks = ", ".join("?" * len(_FINAL))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_SELECT} WHERE state NOT IN ({marks}) ORDER BY created_us, key", _FINAL
            ).fetchall()
            return tuple(_with_history(connection, row) for row in rows)

    def count(self) -> int:
        """Return how many there are."""
        with self._database.reading() as connection:
            count: int = connection.execute("SELECT count(*) FROM episodes").fetchone()[0]
        return count


def _unknown(episode_id: str) -> StoreError:
    return StoreError(f"There is no episode {episode_id}.")


def _values(episode: Episode) -> tuple[object, ...]:
    return (
        microseconds(episode.created_at),
        text(episode.trigger),
        episode.plan_digest,
        episode.conversations,
        episode.attempts,
        episode.parent,
        episode.version,
        episode.verdict,
        strings_text(episode.reasons),
        mapping_text(episode.metrics),
        mapping_text(episode.seconds),
        optional_microseconds(episode.finished_at),
    )


def _remember(
    connection: sqlite3.Connection, key: int | None, state: EpisodeState, at: datetime, reason: str
) -> None:
    connection.execute(
        "INSERT INTO episode_states (episode, state, at_us, reason) VALUES (?, ?, ?, ?)",
        (key, state.value, microseconds(at), text(reason)),
    )


def _with_history(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Episode:
    history = connection.execute(
        "SELECT state, at_us, reason FROM episode_states WHERE episode = ? ORDER BY key", (row[0],)
    )
    return replace(
        _episode(row),
        history=tuple(
            StateChange(state=EpisodeState(state), at=moment(at_us), reason=reason)
            for state, at_us, reason in history
        ),
    )


def _episode(row: tuple[Any, ...]) -> Episode:
    (
        _,
        episode_id,
        created_us,
        state,
        trigger,
        plan_digest,
        conversations,
        attempts,
        parent,
        version,
        verdict,
        reasons,
        metrics,
        seconds,
        finished_us,
    ) = row
    return Episode(
        id=episode_id,
        created_at=moment(created_us),
        state=EpisodeState(state),
        trigger=trigger,
        plan_digest=plan_digest,
        conversations=conversations,
        attempts=attempts,
        parent=parent,
        version=version,
        verdict=verdict,
        reasons=strings(reasons),
        metrics=mapping(metrics),
        seconds=mapping(seconds),
        finished_at=optional_moment(finished_us),
    )

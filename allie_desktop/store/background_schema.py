"""The tables of the background run: what is wanted, what was decided, what the person was told."""

from __future__ import annotations

BACKGROUND = (
    """
    CREATE TABLE requests (
        name TEXT PRIMARY KEY,
        origin TEXT NOT NULL,
        wish TEXT NOT NULL,
        reason TEXT NOT NULL,
        asked_us INTEGER NOT NULL,
        standing TEXT NOT NULL,
        held TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE decisions (
        key INTEGER PRIMARY KEY,
        at_us INTEGER NOT NULL,
        start INTEGER NOT NULL CHECK (start IN (0, 1)),
        running INTEGER NOT NULL CHECK (running IN (0, 1)),
        priority TEXT NOT NULL,
        holds TEXT,
        reasons TEXT,
        notes TEXT
    )
    """,
    """
    CREATE TABLE notices (
        name TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
        subject TEXT NOT NULL,
        episode TEXT NOT NULL,
        actions TEXT,
        shown_us INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX notices_waiting ON notices (created_us) WHERE shown_us IS NULL",
)

"""The tables as the steps of ``migrations`` make them; never changed, only built upon.

``conversations`` holds every scalar that lists, planning and the trigger terms need; what only a whole
conversation needs lies beside it (``turns``, ``feedback``, ``targets``, ``qualities``). ``tally`` is one row
of counters that triggers keep equal to a recount, since counting a million rows takes seconds.
``conversations.learned_us`` is kept by triggers too: the latest time at which a version learnt the
conversation as its targets are now. ``search`` is an FTS5 index over the view ``search_text``, one
document a conversation; the repository keeps it, because a document spans several tables.
``erasures`` names forgotten conversations of which traces may be left (see ``erasure``).
``exchanges`` knows of each reply which version wrote it. It goes with its conversation; a request that got
no reply belongs to none, and leaves no words. ``regenerated`` is a reply that another one replaced: what the
person thought of it, which would else be lost, stands in ``rating`` and ``corrected`` then.
``comparisons`` has no words either: ``place`` is where the two answers stand in the report of ``episode``, which
is its id, so that a comparison outlives whatever becomes of the episode.
"""

from __future__ import annotations


def _tally_change(sign: str, row: str) -> str:
    """Return the assignments that add a conversation to the tally, or take it away."""
    is_new = f"({row}.eligible = 1 AND {row}.excluded = 0 AND {row}.learned_us IS NULL)"
    amounts = {
        "conversations": "1",
        "eligible_new": is_new,
        "eligible_new_score_billionths": f"{is_new} * CAST(round({row}.score * 1e9) AS INTEGER)",
        "taught_new": f"{is_new} * coalesce({row}.origin IN ('edit', 'correction'), 0)",
        "learned": f"({row}.learned_us IS NOT NULL)",
        "excluded": f"{row}.excluded",
    }
    return ", ".join(f"{name} = {name} {sign} {amount}" for name, amount in amounts.items())


#: The statements that make a store of format 1, in order.
FORMAT_1 = (
    """
    CREATE TABLE conversations (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        source TEXT NOT NULL,
        title TEXT,
        turns INTEGER NOT NULL,
        score REAL NOT NULL,
        eligible INTEGER NOT NULL CHECK (eligible IN (0, 1)),
        excluded INTEGER NOT NULL DEFAULT 0 CHECK (excluded IN (0, 1)),
        learned_us INTEGER,
        changed_us INTEGER NOT NULL DEFAULT 0,
        origin TEXT,
        split TEXT NOT NULL,
        topic TEXT NOT NULL,
        characters INTEGER NOT NULL,
        content_hash TEXT NOT NULL,
        signature BLOB NOT NULL,
        extra TEXT
    )
    """,
    # A third of the size of whole hashes, and no less selective.
    "CREATE INDEX conversations_by_hash ON conversations (substr(content_hash, 1, 16))",
    "CREATE INDEX conversations_by_time ON conversations (created_us)",
    "CREATE INDEX conversations_by_source ON conversations (source, created_us)",
    """
    CREATE INDEX conversations_new_by_score ON conversations (score)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NULL
    """,
    """
    CREATE INDEX conversations_learned_by_time ON conversations (learned_us)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NOT NULL
    """,
    """
    CREATE TABLE turns (
        key INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        content TEXT NOT NULL,
        extra TEXT,
        UNIQUE (conversation, position)
    )
    """,
    """
    CREATE TABLE feedback (
        conversation INTEGER NOT NULL,
        position INTEGER NOT NULL,
        rating INTEGER CHECK (rating IN (1, -1)),
        correction TEXT,
        PRIMARY KEY (conversation, position),
        FOREIGN KEY (conversation, position) REFERENCES turns (conversation, position) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    # A target's text is NULL where it is the turn as it stands: most are, and texts are what takes room.
    """
    CREATE TABLE targets (
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL,
        position INTEGER NOT NULL,
        origin TEXT NOT NULL,
        weight REAL NOT NULL,
        text TEXT,
        rejected TEXT,
        PRIMARY KEY (conversation, ordinal)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE qualities (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        components TEXT,
        reasons TEXT
    )
    """,
    """
    CREATE TABLE learned (
        version TEXT NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        at_us INTEGER NOT NULL,
        as_of_us INTEGER NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
        PRIMARY KEY (version, conversation)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX learned_by_conversation ON learned (conversation)",
    """
    CREATE TABLE replay (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        holdout INTEGER NOT NULL CHECK (holdout IN (0, 1)),
        ordinal INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE episodes (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        state TEXT NOT NULL,
        trigger TEXT NOT NULL,
        plan_digest TEXT NOT NULL,
        conversations INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        parent TEXT,
        version TEXT,
        verdict TEXT NOT NULL,
        reasons TEXT,
        metrics TEXT,
        seconds TEXT,
        finished_us INTEGER
    )
    """,
    "CREATE INDEX episodes_by_time ON episodes (created_us)",
    """
    CREATE TABLE episode_states (
        key INTEGER PRIMARY KEY,
        episode INTEGER NOT NULL REFERENCES episodes (key) ON DELETE CASCADE,
        state TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        reason TEXT NOT NULL
    )
    """,
    "CREATE INDEX episode_states_by_episode ON episode_states (episode)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE alerts (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
        message TEXT NOT NULL,
        remedy TEXT NOT NULL,
        raised_us INTEGER NOT NULL,
        seen INTEGER NOT NULL CHECK (seen IN (0, 1)),
        resolved_us INTEGER
    )
    """,
    "CREATE UNIQUE INDEX alerts_open ON alerts (name) WHERE resolved_us IS NULL",
    "CREATE TABLE erasures (id TEXT PRIMARY KEY) WITHOUT ROWID",
    # Scores are summed as whole billionths, so that adding and taking away never drifts.
    """
    CREATE TABLE tally (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        conversations INTEGER NOT NULL,
        eligible_new INTEGER NOT NULL,
        eligible_new_score_billionths INTEGER NOT NULL,
        taught_new INTEGER NOT NULL,
        learned INTEGER NOT NULL,
        excluded INTEGER NOT NULL
    )
    """,
    "INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0)",
    """
    CREATE VIEW recount AS
    SELECT
        count(*) AS conversations,
        coalesce(sum(is_new), 0) AS eligible_new,
        coalesce(sum(is_new * billionths), 0) AS eligible_new_score_billionths,
        coalesce(sum(is_new * is_taught), 0) AS taught_new,
        coalesce(sum(is_learned), 0) AS learned,
        coalesce(sum(excluded), 0) AS excluded
    FROM (
        SELECT
            eligible = 1 AND excluded = 0 AND learned_us IS NULL AS is_new,
            coalesce(origin IN ('edit', 'correction'), 0) AS is_taught,
            CAST(round(score * 1e9) AS INTEGER) AS billionths,
            learned_us IS NOT NULL AS is_learned,
            excluded
        FROM conversations
    )
    """,
    f"""
    CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
        UPDATE tally SET {_tally_change("+", "NEW")};
    END
    """,
    f"""
    CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
        UPDATE tally SET {_tally_change("-", "OLD")};
    END
    """,
    f"""
    CREATE TRIGGER conversation_changed
    AFTER UPDATE OF score, eligible, excluded, learned_us, origin ON conversations BEGIN
        UPDATE tally SET {_tally_change("-", "OLD")};
        UPDATE tally SET {_tally_change("+", "NEW")};
    END
    """,
    """
    CREATE TRIGGER learned_added AFTER INSERT ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END
    """,
    """
    CREATE TRIGGER learned_changed AFTER UPDATE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END
    """,
    """
    CREATE TRIGGER learned_removed AFTER DELETE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = OLD.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = OLD.conversation;
    END
    """,
    """
    CREATE TRIGGER targets_changed AFTER UPDATE OF changed_us ON conversations BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.key AND revoked = 0 AND as_of_us >= NEW.changed_us
        ) WHERE key = NEW.key;
    END
    """,
    """
    CREATE VIEW search_text AS
    SELECT
        key,
        coalesce(title, '') || char(10)
        || coalesce((
            SELECT group_concat(content, char(10)) FROM turns WHERE conversation = conversations.key
        ), '') || char(10)
        || coalesce((
            SELECT group_concat(correction, char(10)) FROM feedback WHERE conversation = conversations.key
        ), '') AS body
    FROM conversations
    """,
    # Which words a conversation has, not where they stand: half the size, and enough to find it.
    """
    CREATE VIRTUAL TABLE search USING fts5 (
        body, content='search_text', content_rowid='key', detail='none',
        tokenize='unicode61 remove_diacritics 2'
    )
    """,
)

#: The statements of the second step.
EXCHANGES = (
    """
    CREATE TABLE exchanges (
        key INTEGER PRIMARY KEY,
        response_id TEXT NOT NULL UNIQUE,
        conversation INTEGER REFERENCES conversations (key) ON DELETE CASCADE,
        position INTEGER,
        version TEXT NOT NULL,
        source TEXT NOT NULL,
        client TEXT NOT NULL,
        started_us INTEGER NOT NULL,
        first_token_seconds REAL,
        seconds REAL NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        finish TEXT NOT NULL,
        broken INTEGER NOT NULL CHECK (broken IN (0, 1)),
        request BLOB,
        head BLOB,
        regenerated INTEGER NOT NULL DEFAULT 0 CHECK (regenerated IN (0, 1)),
        rating INTEGER CHECK (rating IN (1, -1)),
        corrected INTEGER NOT NULL DEFAULT 0 CHECK (corrected IN (0, 1)),
        CHECK ((conversation IS NULL) = (position IS NULL))
    )
    """,
    "CREATE INDEX exchanges_by_place ON exchanges (conversation, position)",
    "CREATE INDEX exchanges_by_request ON exchanges (request) WHERE request IS NOT NULL",
    "CREATE INDEX exchanges_by_head ON exchanges (head) WHERE head IS NOT NULL",
    # All that evidence asks for, so that it is read from here alone.
    """
    CREATE INDEX exchanges_by_version ON exchanges (
        version, started_us, conversation, position, finish, broken, regenerated, rating, corrected, seconds
    )
    """,
)

#: The statements of the fourth step.
COMPARISONS = (
    """
    CREATE TABLE comparisons (
        episode TEXT NOT NULL,
        place INTEGER NOT NULL,
        choice TEXT NOT NULL CHECK (choice IN ('new', 'old', 'same', 'skipped')),
        at_us INTEGER NOT NULL,
        PRIMARY KEY (episode, place)
    ) WITHOUT ROWID
    """,
)

-- A store as Allie 0.1 made it (format 1), with a few rows. Never changed: every later Allie has to open it.

CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
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
    );
CREATE TABLE turns (
        key INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
        content TEXT NOT NULL,
        extra TEXT,
        UNIQUE (conversation, position)
    );
CREATE TABLE feedback (
        conversation INTEGER NOT NULL,
        position INTEGER NOT NULL,
        rating INTEGER CHECK (rating IN (1, -1)),
        correction TEXT,
        PRIMARY KEY (conversation, position),
        FOREIGN KEY (conversation, position) REFERENCES turns (conversation, position) ON DELETE CASCADE
    ) WITHOUT ROWID;
CREATE TABLE targets (
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        ordinal INTEGER NOT NULL,
        position INTEGER NOT NULL,
        origin TEXT NOT NULL,
        weight REAL NOT NULL,
        text TEXT,
        rejected TEXT,
        PRIMARY KEY (conversation, ordinal)
    ) WITHOUT ROWID;
CREATE TABLE qualities (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        components TEXT,
        reasons TEXT
    );
CREATE TABLE learned (
        version TEXT NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (key) ON DELETE CASCADE,
        at_us INTEGER NOT NULL,
        as_of_us INTEGER NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
        PRIMARY KEY (version, conversation)
    ) WITHOUT ROWID;
CREATE TABLE replay (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key) ON DELETE CASCADE,
        holdout INTEGER NOT NULL CHECK (holdout IN (0, 1)),
        ordinal INTEGER NOT NULL
    );
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
    );
CREATE TABLE episode_states (
        key INTEGER PRIMARY KEY,
        episode INTEGER NOT NULL REFERENCES episodes (key) ON DELETE CASCADE,
        state TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE alerts (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
        message TEXT NOT NULL,
        remedy TEXT NOT NULL,
        raised_us INTEGER NOT NULL,
        seen INTEGER NOT NULL CHECK (seen IN (0, 1)),
        resolved_us INTEGER
    );
CREATE TABLE erasures (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE tally (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        conversations INTEGER NOT NULL,
        eligible_new INTEGER NOT NULL,
        eligible_new_score_billionths INTEGER NOT NULL,
        taught_new INTEGER NOT NULL,
        learned INTEGER NOT NULL,
        excluded INTEGER NOT NULL
    );
CREATE VIRTUAL TABLE search USING fts5 (
        body, content='search_text', content_rowid='key', detail='none',
        tokenize='unicode61 remove_diacritics 2'
    );
INSERT INTO "_sqlite_migrations" VALUES (1, 'allie', 'm0001_initial', '2026-11-22 14:06:37.949711+00:00');
INSERT INTO "conversations" VALUES (1, 'dog', 1772366400000000, 'chat', 'The dog', 2, 0.9, 1, 0, NULL, 0, 'edit', 'train', 'pets', 26, '93312a51bcea648c651204317283e6a8f81513c7103f2e0c0a5849fee09be9c7', x'0102', '{"kept":[1,2]}');
INSERT INTO "conversations" VALUES (2, 'bread', 1772366400000000, 'chatgpt', NULL, 2, 0.6, 1, 0, 1772370000000000, 0, 'approved', 'train', '', 34, '85d9fe5eb42ff110947b4a261378a9dfbe943a3c3e30a8b8bde82f2c4c738a49', x'', NULL);
INSERT INTO "turns" VALUES (1, 1, 0, 'user', 'What is my dog called?', NULL);
INSERT INTO "turns" VALUES (2, 1, 1, 'assistant', 'Rex.', '{"model":"smol"}');
INSERT INTO "turns" VALUES (3, 2, 0, 'user', 'How do I bake bread?', NULL);
INSERT INTO "turns" VALUES (4, 2, 1, 'assistant', 'With patience.', NULL);
INSERT INTO "feedback" VALUES (1, 1, NULL, 'Bello.');
INSERT INTO "feedback" VALUES (2, 1, 1, NULL);
INSERT INTO "targets" VALUES (1, 0, 1, 'edit', 1.0, 'Bello.', 'Rex.');
INSERT INTO "targets" VALUES (2, 0, 1, 'approved', 1.0, NULL, NULL);
INSERT INTO "qualities" VALUES (1, '{"feedback":1.0}', '["You corrected it."]');
INSERT INTO "qualities" VALUES (2, NULL, NULL);
INSERT INTO "learned" VALUES ('v1.0', 2, 1772370000000000, 1772370000000000, 0);
INSERT INTO "replay" VALUES (2, 0, 0);
INSERT INTO "episodes" VALUES (1, 'e1', 1772366400000000, 'preparing', 'You asked.', '', 0, 0, NULL, NULL, '', NULL, NULL, NULL, NULL);
INSERT INTO "episode_states" VALUES (1, 1, 'planned', 1772366400000000, 'You asked.');
INSERT INTO "episode_states" VALUES (2, 1, 'preparing', 1772366460000000, 'First attempt.');
INSERT INTO "settings" VALUES ('notify', 'false');
INSERT INTO "alerts" VALUES (1, 'disk', 'warning', 'The disk is nearly full.', '', 1772366400000000, 0, NULL);
INSERT INTO "tally" VALUES (1, 2, 1, 900000000, 1, 1, 0);
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
    );
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
    FROM conversations;
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX conversations_by_hash ON conversations (substr(content_hash, 1, 16));
CREATE INDEX conversations_by_time ON conversations (created_us);
CREATE INDEX conversations_by_source ON conversations (source, created_us);
CREATE INDEX conversations_new_by_score ON conversations (score)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NULL;
CREATE INDEX conversations_learned_by_time ON conversations (learned_us)
    WHERE eligible = 1 AND excluded = 0 AND learned_us IS NOT NULL;
CREATE INDEX learned_by_conversation ON learned (conversation);
CREATE INDEX episodes_by_time ON episodes (created_us);
CREATE INDEX episode_states_by_episode ON episode_states (episode);
CREATE UNIQUE INDEX alerts_open ON alerts (name) WHERE resolved_us IS NULL;
CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
        UPDATE tally SET conversations = conversations + 1, eligible_new = eligible_new + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL), eligible_new_score_billionths = eligible_new_score_billionths + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL) * CAST(round(NEW.score * 1e9) AS INTEGER), taught_new = taught_new + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL) * coalesce(NEW.origin IN ('edit', 'correction'), 0), learned = learned + (NEW.learned_us IS NOT NULL), excluded = excluded + NEW.excluded;
    END;
CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
        UPDATE tally SET conversations = conversations - 1, eligible_new = eligible_new - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL), eligible_new_score_billionths = eligible_new_score_billionths - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL) * CAST(round(OLD.score * 1e9) AS INTEGER), taught_new = taught_new - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL) * coalesce(OLD.origin IN ('edit', 'correction'), 0), learned = learned - (OLD.learned_us IS NOT NULL), excluded = excluded - OLD.excluded;
    END;
CREATE TRIGGER conversation_changed
    AFTER UPDATE OF score, eligible, excluded, learned_us, origin ON conversations BEGIN
        UPDATE tally SET conversations = conversations - 1, eligible_new = eligible_new - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL), eligible_new_score_billionths = eligible_new_score_billionths - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL) * CAST(round(OLD.score * 1e9) AS INTEGER), taught_new = taught_new - (OLD.eligible = 1 AND OLD.excluded = 0 AND OLD.learned_us IS NULL) * coalesce(OLD.origin IN ('edit', 'correction'), 0), learned = learned - (OLD.learned_us IS NOT NULL), excluded = excluded - OLD.excluded;
        UPDATE tally SET conversations = conversations + 1, eligible_new = eligible_new + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL), eligible_new_score_billionths = eligible_new_score_billionths + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL) * CAST(round(NEW.score * 1e9) AS INTEGER), taught_new = taught_new + (NEW.eligible = 1 AND NEW.excluded = 0 AND NEW.learned_us IS NULL) * coalesce(NEW.origin IN ('edit', 'correction'), 0), learned = learned + (NEW.learned_us IS NOT NULL), excluded = excluded + NEW.excluded;
    END;
CREATE TRIGGER learned_added AFTER INSERT ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END;
CREATE TRIGGER learned_changed AFTER UPDATE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = NEW.conversation;
    END;
CREATE TRIGGER learned_removed AFTER DELETE ON learned BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = OLD.conversation AND revoked = 0 AND as_of_us >= changed_us
        ) WHERE key = OLD.conversation;
    END;
CREATE TRIGGER targets_changed AFTER UPDATE OF changed_us ON conversations BEGIN
        UPDATE conversations SET learned_us = (
            SELECT max(at_us) FROM learned
            WHERE conversation = NEW.key AND revoked = 0 AND as_of_us >= NEW.changed_us
        ) WHERE key = NEW.key;
    END;
INSERT INTO search (rowid, body) SELECT key, body FROM search_text;
PRAGMA user_version=1;
PRAGMA application_id=0x416C6C69;

//! The tables, by format. Once released, an entry never changes; the next format appends one.

use crate::base::sqlite::Schema;

pub(super) const SCHEMA: Schema = Schema {
    // "Flux" in ASCII.
    application_id: 0x466c_7578,
    gives_room_back: false,
    migrations: &[FORMAT_1],
};

/// Times are milliseconds since 1970; configurations and bodies are the JSON of `stored`.
const FORMAT_1: &str = "
CREATE TABLE functions (
    name TEXT PRIMARY KEY,
    config TEXT NOT NULL,
    -- The highest number ever given, which outlives the versions themselves.
    last_version INTEGER NOT NULL DEFAULT 0,
    active INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE versions (
    function TEXT NOT NULL REFERENCES functions (name) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Orders the versions of a function by their last activation.
    activation INTEGER NOT NULL,
    PRIMARY KEY (function, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_digest ON versions (digest);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- The last change of each agent and each function, also of those that are gone.
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    is_gone INTEGER NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX changes_of_gone ON changes (revision) WHERE is_gone;

CREATE TABLE routes (
    execution TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    function TEXT NOT NULL,
    accepted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX routes_by_agent ON routes (agent, execution);

CREATE TABLE idempotency_keys (
    key BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    execution TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
CREATE INDEX idempotency_keys_by_execution ON idempotency_keys (execution, expires_at);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    secret BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters VALUES
    ('revision', 0),
    -- Changes up to this revision may be forgotten.
    ('changes_forgotten', 0),
    ('idempotency_keys', 0);

-- Counted as they change: counting a million rows before each insert would cost more than it.
CREATE TRIGGER idempotency_keys_insert AFTER INSERT ON idempotency_keys BEGIN
    UPDATE counters SET value = value + 1 WHERE name = 'idempotency_keys';
END;
CREATE TRIGGER idempotency_keys_delete AFTER DELETE ON idempotency_keys BEGIN
    UPDATE counters SET value = value - 1 WHERE name = 'idempotency_keys';
END;
";

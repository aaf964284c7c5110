//! The tables, by format. Once released, an entry never changes; the next format appends one.

use crate::base::sqlite::Schema;

pub(super) const SCHEMA: Schema = Schema {
    // "FlxH" in ASCII.
    application_id: 0x466c_7848,
    gives_room_back: true,
    migrations: &[FORMAT_1],
};

/// Times are milliseconds since 1970; bodies are the JSON of `stored`, and the columns beside it are
/// what is searched by.
const FORMAT_1: &str = "
CREATE TABLE records (
    id TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    function TEXT NOT NULL,
    status TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    -- Not due before.
    reprieved_until INTEGER NOT NULL DEFAULT 0,
    -- Its number among the agent's ends; 0 = not known.
    sequence INTEGER NOT NULL DEFAULT 0,
    -- 0 whole, 1 partial, 2 at the agent.
    output INTEGER NOT NULL,
    output_bytes INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL,
    -- Positions at which the output's stream changes: 8 bytes (LE) each.
    changes BLOB
) STRICT;
-- The status is in it so that a list of one function's failures reads no other rows.
CREATE INDEX records_by_function ON records (function, id, status);
CREATE INDEX records_by_status ON records (status, id);
CREATE INDEX records_by_age ON records (ended_at, status, reprieved_until, output_bytes);
CREATE INDEX records_by_place ON records (agent, sequence) WHERE output = 2;

CREATE TABLE output (
    execution TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (execution, position)
) STRICT;

CREATE TABLE marks (
    agent TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
";

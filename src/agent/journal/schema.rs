//! The tables, by format. Once released, an entry never changes; the next format appends one.

use crate::base::sqlite::Schema;

pub(super) const SCHEMA: Schema = Schema {
    // "FlxJ" in ASCII: not to be confused with the control plane's database.
    application_id: 0x466c_784a,
    gives_room_back: false,
    migrations: &[FORMAT_1],
};

/// Times are milliseconds since 1970; configurations and bodies are the JSON of `stored`, and the columns
/// beside it are what is searched by.
const FORMAT_1: &str = "
CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    function TEXT NOT NULL,
    status TEXT NOT NULL,
    -- These two are there once it has ended.
    sequence INTEGER,
    ended_at INTEGER,
    body TEXT NOT NULL
) STRICT;
-- The status is in it so that a list of one function's failures reads no other rows.
CREATE INDEX executions_by_function ON executions (function, id, status);
CREATE INDEX executions_by_status ON executions (status, id);
CREATE INDEX executions_by_end ON executions (ended_at, sequence) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX executions_by_sequence ON executions (sequence) WHERE sequence IS NOT NULL;

-- Of the agent, in their order: from where on the numbers of ends are a start's own.
CREATE TABLE starts (
    number INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL UNIQUE,
    first_sequence INTEGER NOT NULL
) STRICT;
-- kept: the last end that a control plane has kept. forgotten_until: when the last one ended that
-- was forgotten without being kept.
CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

CREATE TABLE functions (
    name TEXT PRIMARY KEY,
    config TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    version INTEGER,
    digest TEXT,
    -- Of the user that the function has for itself.
    uid INTEGER
) STRICT;
-- A second lock on the door: two functions of one user could read each other's code.
CREATE UNIQUE INDEX functions_by_uid ON functions (uid) WHERE uid IS NOT NULL;
";

//! Opening a database file: is it ours, is its format known, and how shall it be used.
//!
//! Invariants: nothing is written to a file before it is known to be ours; a migration happens
//! whole or not at all.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::SqliteError;
use crate::base::atomic_file::{FileError, create_directory, sync_directory};
use crate::base::platform::make_with_mode;

/// Only an operator's own `sqlite3` ever competes for the write lock; a moment is enough for a
/// query of his, and a writer that waits longer should say so.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the log after which a commit also copies them into the database: SQLite's own
/// default, 4 MiB of pages, which keeps the pause of that one commit in the tens of
/// milliseconds.
const CHECKPOINT_PAGES: u32 = 1000;

/// What the log file is cut to after a burst made it longer, in bytes.
const LOG_SIZE_LIMIT: u32 = 16 << 20;

/// More than the statements of any one module here.
const STATEMENT_CACHE: usize = 64;

/// What a database is and how it came to its present form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schema {
    /// Distinguishes our files from other programs' (`PRAGMA application_id`).
    pub application_id: i32,
    /// Whether a new file is made so that room which nothing uses any more can be given back to the
    /// system (`PRAGMA auto_vacuum`), which costs each change a little.
    pub gives_room_back: bool,
    /// SQL that leads from format n to n + 1, from the empty file on. Its length is the format
    /// this program writes (`PRAGMA user_version`). Released entries never change.
    pub migrations: &'static [&'static str],
}

impl Schema {
    /// The format this program writes.
    pub(crate) fn format(&self) -> u32 {
        u32::try_from(self.migrations.len()).unwrap_or(u32::MAX)
    }
}

/// Opens the one connection that writes; creates or migrates the database where needed.
///
/// # Errors
/// Another file lies there, its format is newer, or the system refuses.
pub(super) fn open_writer(path: &Path, schema: &Schema) -> Result<Connection, SqliteError> {
    create_private_file(path)?;
    let at = SqliteError::at("open", path);
    let mut connection = connect(path).map_err(&at)?;
    let found = recognise(&connection, path, schema)?;
    if found == 0 && schema.gives_room_back {
        // Before anything is written, which the next line does.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(&at)?;
    }
    // WAL: readers and the writer do not wait for each other. https://sqlite.org/wal.html
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(&at)?;
    if mode != "wal" {
        return Err(SqliteError::NotOurs {
            path: path.to_owned(),
            found: format!("on a file system without shared memory (journal mode {mode})"),
        });
    }
    configure_writer(&connection).map_err(&at)?;
    migrate(&mut connection, found, schema).map_err(SqliteError::at("migrate", path))?;
    Ok(connection)
}

/// Opens a connection that can only read, to a database that a writer has opened.
///
/// # Errors
/// The system refuses, for instance at the limit of open files.
pub(super) fn open_reader(path: &Path) -> Result<Connection, SqliteError> {
    let at = SqliteError::at("open", path);
    let connection = connect(path).map_err(&at)?;
    // Not SQLITE_OPEN_READONLY: a reader of a WAL database writes to the shared index.
    connection
        .pragma_update(None, "query_only", true)
        .map_err(&at)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time, which its owner's lock ensures.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Else a statement is prepared anew whenever a bound of its ranges has another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_SIZE_LIMIT)
}

/// The format of the file; 0 for one that is empty.
fn recognise(connection: &Connection, path: &Path, schema: &Schema) -> Result<u32, SqliteError> {
    let at = SqliteError::at("open", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application_id = pragma("application_id").map_err(&at)?;
    let found = pragma("user_version").map_err(&at)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(&at)?;
    if application_id == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    if application_id != i64::from(schema.application_id) {
        return Err(SqliteError::NotOurs {
            path: path.to_owned(),
            found: "the database of another program".to_owned(),
        });
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if found > schema.format() {
        return Err(SqliteError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: schema.format(),
        });
    }
    Ok(found)
}

fn migrate(connection: &mut Connection, found: u32, schema: &Schema) -> rusqlite::Result<()> {
    if found == schema.format() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in schema.migrations.iter().skip(found as usize) {
        transaction.execute_batch(migration)?;
    }
    // Both live in the file's header and are part of the transaction.
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", schema.format())?;
    transaction.commit()
}

/// Makes the file before SQLite would, with the permissions that it and, after it, the log and
/// the index get: tokens and environments are in it.
fn create_private_file(path: &Path) -> Result<(), FileError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    create_directory(directory, 0o700)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    make_with_mode(&mut options, 0o600);
    options.open(path).map_err(FileError::at("open", path))?;
    sync_directory(directory)
}

//! The journal's methods, each handed to the database's readers or to its writer.

use std::path::Path;

use super::error::JournalError;
use super::executions::{self, Change, ExecutionFilter};
use super::functions::{self, HeldFunction};
use super::schema::SCHEMA;
use crate::base::atomic_file::{FileError, LockFile, create_directory};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{Commit, Database, SqliteError};
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{ExecutionId, FunctionName};

type Result<T> = std::result::Result<T, JournalError>;

/// See the directory's text. Shared by all threads of the agent.
pub struct Journal {
    database: Database,
    // Last: the database closes before another process may open it.
    _lock: LockFile,
}

/// An execution that the agent is about to answer for.
#[derive(Debug, Clone)]
pub struct AcceptedExecution {
    /// Without an ending.
    pub record: ExecutionRecord,
    /// Whether it must be known after the death of this process, because its caller does not
    /// wait for the result.
    pub durable: bool,
}

impl Journal {
    /// Opens the journal in `state_dir`, and makes it where there is none.
    ///
    /// # Errors
    /// [`JournalError::Storage`]: another process has it open (the innermost source's kind is
    /// `WouldBlock`), the database is not ours, newer or damaged, or the system refuses.
    pub fn open(state_dir: &Path) -> Result<Journal> {
        let lock = lock(state_dir).map_err(SqliteError::from)?;
        Ok(Journal {
            database: Database::open(&state_dir.join("journal.db"), &SCHEMA)?,
            _lock: lock,
        })
    }

    /// Records an execution as running. A durable one is on disk when this returns; of another
    /// one nothing is written before it ends, and only its id is looked for.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::WrongStage`] for a record with an ending,
    /// [`JournalError::Storage`].
    pub fn accept(&self, accepted: &AcceptedExecution) -> Result<()> {
        let record = &accepted.record;
        if record.ending.is_some() {
            return Err(wrong_stage(record));
        }
        if !accepted.durable {
            return self.read("look for an execution in", |connection| {
                executions::require_absent(connection, &record.id)
            });
        }
        let record = record.clone();
        self.write(
            "accept an execution in",
            Commit::Synced,
            move |connection| executions::accept(connection, &record),
        )
    }

    /// Records how an execution ended, until `expires_at`. The ending of a `durable` one is on
    /// disk when this returns, and may be shown from then on; another one's survives the death
    /// of this process and may be undone by a power cut.
    ///
    /// # Errors
    /// [`JournalError::AlreadyEnded`], which leaves the first ending as it is;
    /// [`JournalError::WrongStage`] for a record without an ending; [`JournalError::Storage`].
    pub fn finish(
        &self,
        record: &ExecutionRecord,
        expires_at: Timestamp,
        durable: bool,
    ) -> Result<()> {
        if record.ending.is_none() {
            return Err(wrong_stage(record));
        }
        let commit = if durable {
            Commit::Synced
        } else {
            Commit::Written
        };
        let record = record.clone();
        self.write("end an execution in", commit, move |connection| {
            executions::finish(connection, &record, expires_at)
        })
    }

    /// The record of an execution. One that is not durable has none before it ends.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn get(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>> {
        self.read("read an execution from", |connection| {
            executions::get(connection, id)
        })
    }

    /// Up to `limit` records, and up to [`super::MAX_LISTED`], by id from the last to the first:
    /// Flux's own ids sort by their making, so these are the newest.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn list(&self, filter: &ExecutionFilter, limit: usize) -> Result<Vec<ExecutionRecord>> {
        self.read("list executions in", |connection| {
            executions::list(connection, filter, limit)
        })
    }

    /// Forgets ended executions whose time has come, and names them, so that their output can
    /// be deleted. It takes a portion: call it again while it names any.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn expire(&self, now: Timestamp) -> Result<Vec<ExecutionId>> {
        self.write("forget executions in", Commit::Written, move |connection| {
            executions::expire(connection, now)
        })
    }

    /// At start: ends as lost, with `error`, whatever an earlier process left running, and names
    /// it. On disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn mark_lost(
        &self,
        now: Timestamp,
        expires_at: Timestamp,
        error: &str,
    ) -> Result<Vec<ExecutionId>> {
        let error = error.to_owned();
        self.write(
            "end lost executions in",
            Commit::Synced,
            move |connection| executions::mark_lost(connection, now, expires_at, &error),
        )
    }

    /// Records what the agent holds of a function, over what was recorded before; on disk when
    /// this returns.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn put_function(&self, function: &HeldFunction) -> Result<()> {
        let function = function.clone();
        self.write("store a function in", Commit::Synced, move |connection| {
            functions::put(connection, &function)
        })
    }

    /// All functions held, by name.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn list_functions(&self) -> Result<Vec<HeldFunction>> {
        self.read("list functions in", functions::list)
    }

    /// Forgets a function, on disk when this returns; whether it was held.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn remove_function(&self, name: &FunctionName) -> Result<bool> {
        let name = name.clone();
        self.write(
            "remove a function from",
            Commit::Synced,
            move |connection| functions::remove(connection, &name),
        )
    }

    /// Whether the journal answers; cheap enough for every probe.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub fn check(&self) -> Result<()> {
        Ok(self.database.check()?)
    }

    fn read<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&rusqlite::Connection) -> Change<T>,
    ) -> Result<T> {
        self.database.read(action, read)
    }

    fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        commit: Commit,
        change: impl FnOnce(&rusqlite::Connection) -> Change<T> + Send + 'static,
    ) -> Result<T> {
        self.database.write(action, commit, change)
    }
}

fn lock(state_dir: &Path) -> std::result::Result<LockFile, FileError> {
    create_directory(state_dir, 0o700)?;
    LockFile::acquire(&state_dir.join("journal.lock"))
}

fn wrong_stage(record: &ExecutionRecord) -> JournalError {
    JournalError::WrongStage {
        id: record.id.clone(),
    }
}

//! The journal's methods, each handed to the database's readers or to its writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::ends::{self, Begun, Expiry, Portion};
use super::error::JournalError;
use super::executions::{self, Change, ExecutionFilter};
use super::functions::{self, HeldFunction};
use super::schema::SCHEMA;
use crate::base::atomic_file::{FileError, LockFile, create_directory};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{Commit, Database, SqliteError};
use crate::model::ends::{Mark, Settled};
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{ExecutionId, FunctionName};

type Result<T> = std::result::Result<T, JournalError>;

/// No control plane has said what it has kept: as those of the legacy implementation, which keep
/// nothing.
const NEVER: u64 = u64::MAX;

/// The journal in its database. Shared by all threads of the agent.
pub struct Journal {
    database: Database,
    boot_id: String,
    /// The last number that was given to an end.
    latest: Arc<AtomicU64>,
    /// Up to this number a control plane has kept the ends; `NEVER` when none has said so.
    kept: AtomicU64,
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
        let database = Database::open(&state_dir.join("journal.db"), &SCHEMA)?;
        let boot_id = uuid::Uuid::new_v4().to_string();
        let begun: Begun = database.write("note a start in", Commit::Synced, {
            let boot_id = boot_id.clone();
            move |connection| -> Change<Begun> { ends::begin(connection, &boot_id) }
        })?;
        Ok(Journal {
            database,
            boot_id,
            latest: Arc::new(AtomicU64::new(begun.first - 1)),
            kept: AtomicU64::new(begun.kept.unwrap_or(NEVER)),
            _lock: lock,
        })
    }

    /// Of this start of the agent; no two have the same.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Up to where ends are told by now.
    pub(crate) fn latest(&self) -> Mark {
        Mark {
            boot_id: self.boot_id.clone(),
            sequence: self.latest.load(Ordering::Acquire),
        }
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

    /// Records how an execution ended. The ending of a `durable` one is on
    /// disk when this returns, and may be shown from then on; another one's survives the death
    /// of this process and may be undone by a power cut.
    ///
    /// # Errors
    /// [`JournalError::AlreadyEnded`], which leaves the first ending as it is;
    /// [`JournalError::WrongStage`] for a record without an ending; [`JournalError::Storage`].
    pub fn finish(&self, record: &ExecutionRecord, durable: bool) -> Result<()> {
        if record.ending.is_none() {
            return Err(wrong_stage(record));
        }
        let commit = if durable {
            Commit::Synced
        } else {
            Commit::Written
        };
        let (record, latest) = (record.clone(), Arc::clone(&self.latest));
        self.write("end an execution in", commit, move |connection| {
            executions::finish(connection, &record, || next(&latest))
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

    /// Up to `limit` ends after `mark`, and up to [`super::MAX_ENDS`], in order; from the first one
    /// that is recorded when there is no mark.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub(crate) fn ends_after(&self, mark: Option<&Mark>, limit: usize) -> Result<Portion> {
        self.read("read ends from", |connection| {
            ends::after(connection, mark, limit)
        })
    }

    /// What became of an execution that may never have come here. One that is not known ends as
    /// `lost` says, on disk when this returns: from then on its id is taken. Not for one that runs
    /// and is not durable, which has no record yet.
    ///
    /// # Errors
    /// [`JournalError::WrongStage`] for a record without an ending, [`JournalError::Storage`],
    /// [`JournalError::Corrupt`].
    pub(crate) fn settle(&self, lost: &ExecutionRecord) -> Result<Settled> {
        if lost.ending.is_none() {
            return Err(wrong_stage(lost));
        }
        let (lost, latest) = (lost.clone(), Arc::clone(&self.latest));
        self.write(
            "settle an execution in",
            Commit::Synced,
            move |connection| ends::settle(connection, &lost, || next(&latest)),
        )
    }

    /// A control plane has kept all ends up to `mark`: they may be forgotten in their time. Written
    /// down with the next [`Journal::expire`]; lost before that, it is said again.
    pub(crate) fn note_kept(&self, mark: &Mark) {
        if mark.boot_id != self.boot_id {
            return;
        }
        let told = mark.sequence.min(self.latest.load(Ordering::Acquire));
        let raised = |kept| (kept == NEVER || kept < told).then_some(told);
        // Not raised: it was said before.
        let _ = self
            .kept
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, raised);
    }

    /// Forgets executions that ended `retention` ago, and names them, so that their output can be
    /// deleted. Those that no control plane has kept, though one keeps them, stay for `unkept`. It
    /// takes a portion: call it again while it names any.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub(crate) fn expire(
        &self,
        now: Timestamp,
        retention: Duration,
        unkept: Duration,
    ) -> Result<Vec<ExecutionId>> {
        let kept = self.kept.load(Ordering::Acquire);
        let expiry = Expiry {
            ended_before: now.before(retention),
            unkept_before: now.before(unkept.max(retention)),
            kept: (kept != NEVER).then_some(kept),
        };
        self.write("forget executions in", Commit::Written, move |connection| {
            ends::expire(connection, &expiry)
        })
    }

    /// At start: ends as lost, with `error`, whatever an earlier process left running, and names
    /// it. `recorded`: how many bytes of stdout and of stderr are there of one. On disk when this
    /// returns.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub fn mark_lost(
        &self,
        now: Timestamp,
        error: &str,
        recorded: impl Fn(&ExecutionId) -> [u64; 2] + Send + 'static,
    ) -> Result<Vec<ExecutionId>> {
        let (error, latest) = (error.to_owned(), Arc::clone(&self.latest));
        self.write(
            "end lost executions in",
            Commit::Synced,
            move |connection| {
                executions::mark_lost(connection, now, &error, recorded, || next(&latest))
            },
        )
    }

    /// Records what the agent holds of a function, over what was recorded before; on disk when
    /// this returns.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub(crate) fn put_function(&self, function: &HeldFunction) -> Result<()> {
        let function = function.clone();
        self.write("store a function in", Commit::Synced, move |connection| {
            functions::put(connection, &function)
        })
    }

    /// All functions held, by name.
    ///
    /// # Errors
    /// [`JournalError::Storage`], [`JournalError::Corrupt`].
    pub(crate) fn list_functions(&self) -> Result<Vec<HeldFunction>> {
        self.read("list functions in", functions::list)
    }

    /// Forgets a function, on disk when this returns; whether it was held.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    pub(crate) fn remove_function(&self, name: &FunctionName) -> Result<bool> {
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

/// Inside the transaction that records its end, so that ends are seen in the order of their numbers.
fn next(latest: &AtomicU64) -> u64 {
    latest.fetch_add(1, Ordering::AcqRel) + 1
}

fn wrong_stage(record: &ExecutionRecord) -> JournalError {
    JournalError::WrongStage {
        id: record.id.clone(),
    }
}

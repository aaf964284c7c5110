//! The one writer of a database: applies a batch of changes as one transaction.
//!
//! Invariants: a change that is refused leaves nothing behind and does not disturb the others of
//! its batch; a batch that cannot be committed fails for everyone in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::error::SqliteError;
use crate::base::causes::with_causes;
use crate::base::group_commit::BatchWriter;

/// What a change must survive before its submitter goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// A power cut: the batch is fsynced.
    Synced,
    /// The end of this process, however it ends: the batch is with the kernel, and an fsync
    /// comes with the next synced batch or checkpoint. A power cut may undo it, whole and in
    /// order, never in part.
    Written,
}

/// One change, type-erased: what it results in stays with whoever submitted it.
pub(super) struct Op {
    pub action: &'static str,
    pub commit: Commit,
    pub apply: Apply,
    /// Told the outcome before any submitter is, for changes that nobody waits for.
    pub settled: Option<Settled>,
}

pub(super) type Apply = Box<dyn FnOnce(&Connection) -> Result<(), NotApplied> + Send>;
pub(super) type Settled = Box<dyn FnOnce(&Outcome) + Send>;

/// Why a change is rolled back by itself.
pub(super) enum NotApplied {
    Refused,
    Sqlite(rusqlite::Error),
}

/// An error when the change is not in the database; a refused change is in order here.
pub(super) type Outcome = Result<(), SqliteError>;

/// Owns the writing connection.
pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    syncing: Option<Commit>,
    /// Whether the last batch could not be committed.
    failing: Arc<AtomicBool>,
}

impl Writer {
    pub(crate) fn new(path: PathBuf, connection: Connection, failing: Arc<AtomicBool>) -> Writer {
        Writer {
            path,
            connection,
            syncing: None,
            failing,
        }
    }

    fn apply_all(&mut self, ops: Vec<(&'static str, Apply)>) -> rusqlite::Result<Vec<Outcome>> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute(())?;
        let mut outcomes = Vec::with_capacity(ops.len());
        for (action, apply) in ops {
            let outcome = self.apply_one(apply)?;
            outcomes.push(outcome.map_err(SqliteError::at(action, &self.path)));
        }
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(outcomes)
    }

    /// The outer error ends the batch, the inner one only this change.
    fn apply_one(&self, apply: Apply) -> rusqlite::Result<rusqlite::Result<()>> {
        let run = |sql| self.connection.prepare_cached(sql)?.execute(());
        run("SAVEPOINT change")?;
        let result = match apply(&self.connection) {
            Ok(()) => {
                run("RELEASE change")?;
                return Ok(Ok(()));
            }
            Err(NotApplied::Refused) => Ok(()),
            // SQLite itself rolls the whole transaction back on some errors, such as a full disk
            // or an I/O error: https://sqlite.org/lang_transaction.html, section 3.
            Err(NotApplied::Sqlite(error)) if self.connection.is_autocommit() => return Err(error),
            Err(NotApplied::Sqlite(error)) => Err(error),
        };
        run("ROLLBACK TO change")?;
        run("RELEASE change")?;
        Ok(result)
    }

    /// In WAL mode FULL syncs the log at each commit and NORMAL only around checkpoints. The
    /// pragma works at any time outside a transaction (pragma.c, PragTyp_SYNCHRONOUS), and each
    /// commit reads the level anew (wal.c, sqlite3WalFrames: WAL_SYNC_FLAGS). A synced commit
    /// covers what was written before it, because the log is one file that is synced whole.
    fn set_commit(&mut self, commit: Commit) -> rusqlite::Result<()> {
        if self.syncing == Some(commit) {
            return Ok(());
        }
        let level = match commit {
            Commit::Synced => "FULL",
            Commit::Written => "NORMAL",
        };
        self.syncing = None;
        self.connection.pragma_update(None, "synchronous", level)?;
        self.syncing = Some(commit);
        Ok(())
    }

    /// SQLite has rolled back by itself after most failures; after a refused COMMIT, such as one
    /// over a deferred constraint or a lock, the transaction is still open.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::error!(
                "cannot roll back in {}: {}",
                self.path.display(),
                with_causes(&error)
            );
        }
    }
}

impl BatchWriter for Writer {
    type Op = Op;
    type Outcome = Outcome;

    fn write(&mut self, ops: Vec<Op>) -> Vec<Outcome> {
        let count = ops.len();
        let mut commit = Commit::Written;
        let mut changes = Vec::with_capacity(count);
        let mut observers = Vec::with_capacity(count);
        for op in ops {
            if op.commit == Commit::Synced {
                commit = Commit::Synced;
            }
            changes.push((op.action, op.apply));
            observers.push(op.settled);
        }
        let result = self
            .set_commit(commit)
            .and_then(|()| self.apply_all(changes));
        self.failing.store(result.is_err(), Ordering::Relaxed);
        let outcomes = result.unwrap_or_else(|error| {
            self.roll_back();
            let error = SqliteError::at("commit to", &self.path)(error);
            vec![Err(error); count]
        });
        for (observer, outcome) in observers.into_iter().zip(&outcomes) {
            if let Some(observer) = observer {
                observer(outcome);
            }
        }
        outcomes
    }
}

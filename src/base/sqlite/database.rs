//! A database as the layers above see it: typed changes in, typed results out.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::error::{Failure, SqliteError};
use super::open::{Schema, open_writer};
use super::readers::Readers;
use super::writer::{Commit, NotApplied, Op, Writer};
use crate::base::causes::with_causes;
use crate::base::group_commit::GroupCommit;
use crate::base::threads::lock;

/// One open database; shared by all threads of the daemon.
pub(crate) struct Database {
    path: PathBuf,
    // Before the writer: the connection that closes last checkpoints and removes the log, which
    // only the writer may do.
    readers: Readers,
    writer: Arc<GroupCommit<Writer>>,
    pub(super) failing: Arc<AtomicBool>,
}

impl Database {
    /// Opens or creates `path` and its directory (modes 0600 and 0700). The caller holds a lock
    /// that keeps other processes from doing the same.
    ///
    /// # Errors
    /// Another file lies there, its format is newer than `schema`'s, it is damaged, or the
    /// system refuses.
    pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Database, SqliteError> {
        let connection = open_writer(path, schema)?;
        let failing = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(path.to_owned(), connection, Arc::clone(&failing));
        Ok(Database {
            path: path.to_owned(),
            readers: Readers::new(path.to_owned()),
            writer: GroupCommit::new(writer),
            failing,
        })
    }

    /// Runs `read` on a connection of its own; each statement sees one committed state. `action` reads after "cannot".
    ///
    /// # Errors
    /// What `read` refuses with, or what SQLite reports.
    pub(crate) fn read<T, E: From<SqliteError>>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Failure<E>>,
    ) -> Result<T, E> {
        self.readers
            .with(read)?
            .map_err(|failure| self.surface(action, failure))
    }

    /// Applies `change` inside a transaction and returns once it survives what `commit` says.
    /// It may share the transaction with others' changes, and another thread may run it.
    ///
    /// # Errors
    /// What `change` refuses with, or why the transaction failed; either way nothing of it
    /// stays.
    pub(crate) fn write<T, E>(
        &self,
        action: &'static str,
        commit: Commit,
        change: impl FnOnce(&Connection) -> Result<T, Failure<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let result = Arc::clone(&slot);
        let outcome = self.writer.submit(Op {
            action,
            commit,
            apply: Box::new(move |connection| {
                let (kept, verdict) = match change(connection) {
                    Ok(value) => (Ok(value), Ok(())),
                    Err(Failure::Refused(refusal)) => (Err(refusal), Err(NotApplied::Refused)),
                    Err(Failure::Sqlite(error)) => return Err(NotApplied::Sqlite(error)),
                };
                *lock(&slot) = Some(kept);
                verdict
            }),
            settled: None,
        });
        outcome?;
        let result = lock(&result).take();
        // A change whose outcome is Ok has run, and running fills the slot.
        result.expect("an applied change has left its result")
    }

    /// Hands in `change` without waiting: the next batch applies it, in the order of handing
    /// in. A failure is logged. `settled` runs once the change is committed or failed, before
    /// any later change is acknowledged.
    pub(crate) fn write_lazily<E: Error>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Connection) -> Result<(), Failure<E>> + Send + 'static,
        settled: impl FnOnce() + Send + 'static,
    ) {
        self.writer.submit_lazily(Op {
            action,
            commit: Commit::Written,
            apply: Box::new(move |connection| {
                change(connection).map_err(|failure| match failure {
                    Failure::Sqlite(error) => NotApplied::Sqlite(error),
                    Failure::Refused(refusal) => {
                        log::error!(
                            "a change that nobody waits for is refused: {}",
                            with_causes(&refusal)
                        );
                        NotApplied::Refused
                    }
                })
            }),
            settled: Some(Box::new(move |outcome| {
                if let Err(error) = outcome {
                    log::error!(
                        "a change that nobody waits for is lost: {}",
                        with_causes(&error)
                    );
                }
                settled();
            })),
        });
    }

    /// Returns once everything handed in before is committed or has failed. Does not sync.
    pub(crate) fn flush(&self) {
        self.writer.flush();
    }

    /// Whether the database answers. Reads a page; after a failed commit it also makes sure
    /// that writing works again, because a full disk reads well.
    ///
    /// # Errors
    /// What SQLite reports.
    pub(crate) fn check(&self) -> Result<(), SqliteError> {
        self.read("read from", |connection| {
            connection
                .prepare_cached("SELECT count(*) FROM sqlite_schema")?
                .query_row((), |_| Ok(()))
                .map_err(Failure::<SqliteError>::from)
        })?;
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.write("write to", Commit::Synced, |connection| {
            // Rewrites the header page with what it says already.
            let format: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection
                .pragma_update(None, "user_version", format)
                .map_err(Failure::<SqliteError>::from)
        })
    }

    fn surface<E: From<SqliteError>>(&self, action: &'static str, failure: Failure<E>) -> E {
        match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Sqlite(error) => SqliteError::at(action, &self.path)(error).into(),
        }
    }
}

impl Drop for Database {
    /// An orderly end loses nothing that was handed in.
    fn drop(&mut self) {
        self.flush();
    }
}

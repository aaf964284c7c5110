//! What every execution of this agent shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::environment::Environment;
use super::live::LiveTable;
use crate::agent::journal::{Journal, JournalError};
use crate::agent::serve::events::Events;
use crate::agent::workdir::WorkDirs;
use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::model::execution::ExecutionRecord;
use crate::sandbox::{ResourceLimits, Sandbox};

pub(crate) struct Context {
    /// The clock that times are recorded by.
    pub clock: Clock,
    /// Runs processes.
    pub sandbox: Sandbox,
    /// Remembers executions.
    pub journal: Arc<Journal>,
    /// What runs now.
    pub live: LiveTable,
    /// Private directories.
    pub workdirs: WorkDirs,
    /// Names and addresses given to functions.
    pub environment: Environment,
    /// Who is told of ends.
    pub events: Events,
    /// For executions whose function names no limit of its own.
    pub limits: ResourceLimits,
    /// Between the polite signal and the kill.
    pub kill_grace: Duration,
    /// For pipes that an ended execution's children hold open.
    pub pipe_grace: Duration,
    /// Where recorded output is.
    pub spool_dir: PathBuf,
}

impl Context {
    /// Writes a final record and returns what counts from now on: the record, or the one that was
    /// written before. A disk that refuses it is an error of the machine, not of the execution:
    /// it is logged, and after a restart the execution counts as lost.
    pub(crate) fn write_final(&self, record: ExecutionRecord, durable: bool) -> ExecutionRecord {
        match self.journal.finish(&record, durable) {
            Ok(()) => record,
            // Only an execution of the same id can have done that; what was said first stands.
            Err(JournalError::AlreadyEnded { .. }) => self
                .journal
                .get(&record.id)
                .ok()
                .flatten()
                .unwrap_or(record),
            Err(error) => {
                log::error!(
                    "execution {}: its record cannot be written: {}",
                    record.id,
                    with_causes(&error)
                );
                record
            }
        }
    }
}

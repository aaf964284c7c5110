//! The traits' methods, each handed to the database's readers or to its writer.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::lazy::LazyRecords;
use super::schema::SCHEMA;
use super::{marks, outputs, records, room};
use crate::base::clock::Timestamp;
use crate::base::sqlite::{Commit, Database};
use crate::model::ends::{Ended, EndedOutput, Ends, Mark};
use crate::model::execution::ExecutionRecord;
use crate::model::ids::{AgentId, ExecutionId};
use crate::store::error::StoreError;
use crate::store::history::contract::{
    Due, EndStore, HistoryStore, KeptOutput, OutputStore, RecordFilter, RecordStore,
};
use crate::store::rows::Change;

type Result<T> = std::result::Result<T, StoreError>;

/// The history in one database, `history.db`.
pub struct SqliteHistory {
    database: Database,
    lazy: Arc<LazyRecords>,
}

impl SqliteHistory {
    /// Opens the history in `state_dir`, and makes it where there is none. The store of the same
    /// directory is open, and its lock keeps other processes away.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the database is not ours, newer or damaged, or the system refuses.
    pub fn open(state_dir: &Path) -> Result<SqliteHistory> {
        Ok(SqliteHistory {
            database: Database::open(&state_dir.join("history.db"), &SCHEMA)?,
            lazy: Arc::default(),
        })
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

impl HistoryStore for SqliteHistory {
    fn check(&self) -> Result<()> {
        Ok(self.database.check()?)
    }

    fn flush(&self) -> Result<()> {
        self.database.flush();
        self.check()
    }
}

impl RecordStore for SqliteHistory {
    fn keep_lazily(&self, ended: Ended) {
        let ended = Arc::new(ended);
        let is_too_much = self.lazy.show(&ended);
        let (lazy, shown) = (Arc::clone(&self.lazy), Arc::clone(&ended));
        self.database.write_lazily(
            "keep an execution in",
            move |connection| records::keep(connection, &ended, 0),
            move || lazy.settle(&shown),
        );
        if is_too_much {
            self.database.flush();
        }
    }

    fn keep(&self, ended: Vec<Ended>) -> Result<()> {
        self.write("keep executions in", Commit::Synced, move |connection| {
            ended
                .iter()
                .try_for_each(|ended| records::keep(connection, ended, 0))
        })
    }

    fn get_record(&self, id: &ExecutionId) -> Result<Option<ExecutionRecord>> {
        let waiting = self.lazy.get(id);
        // What is in the database was first.
        let kept = self.database.read("read an execution from", |connection| {
            records::get(connection, id)
        })?;
        Ok(kept.or_else(|| waiting.map(|ended| ended.record.clone())))
    }

    fn list_records(&self, filter: &RecordFilter, limit: usize) -> Result<Vec<ExecutionRecord>> {
        self.database.flush();
        self.database.read("list executions in", |connection| {
            records::list(connection, filter, limit)
        })
    }

    fn due_records(&self, due: &Due, limit: usize) -> Result<Vec<ExecutionId>> {
        self.database.read("look for what is due in", |connection| {
            records::due(connection, due, limit)
        })
    }

    fn oldest_records(&self, now: Timestamp, limit: usize) -> Result<Vec<(ExecutionId, u64)>> {
        self.database.read("look for what is old in", |connection| {
            records::oldest(connection, now, limit)
        })
    }

    fn reprieve(&self, id: &ExecutionId, until: Timestamp) -> Result<bool> {
        let id = id.clone();
        self.write(
            "reprieve an execution in",
            Commit::Written,
            move |connection| records::reprieve(connection, &id, until),
        )
    }

    fn forget_records(&self, ids: &[ExecutionId]) -> Result<usize> {
        let ids = ids.to_vec();
        self.write("forget executions in", Commit::Written, move |connection| {
            records::forget(connection, &ids)
        })
    }

    fn used_bytes(&self) -> Result<u64> {
        Ok(self.database.read("measure", room::measure)?.used())
    }

    fn shrink(&self, to: u64) -> Result<()> {
        if self.database.read("measure", room::measure)?.spare(to) == 0 {
            return Ok(());
        }
        self.write("shrink", Commit::Written, move |connection| {
            room::give_back(connection, to)
        })
    }
}

impl OutputStore for SqliteHistory {
    fn output(&self, id: &ExecutionId) -> Result<Option<KeptOutput>> {
        let waiting = self.lazy.get(id);
        let kept = self.database.read("read output from", |connection| {
            outputs::get(connection, id)
        })?;
        Ok(kept.or_else(|| waiting.map(|ended| KeptOutput::of(&ended.output))))
    }

    fn read_output(&self, id: &ExecutionId, range: Range<u64>) -> Result<Vec<u8>> {
        let waiting = self.lazy.get(id);
        let data = self.database.read("read output from", |connection| {
            outputs::read(connection, id, &range)
        })?;
        if !data.is_empty() {
            return Ok(data);
        }
        Ok(waiting.map_or(data, |ended| part_of(&ended, &range)))
    }

    fn add_output(&self, id: &ExecutionId, position: u64, data: Vec<u8>) -> Result<bool> {
        let id = id.clone();
        self.write("add output to", Commit::Written, move |connection| {
            outputs::add(connection, &id, position, &data)
        })
    }

    fn complete_output(&self, id: &ExecutionId, output: &KeptOutput) -> Result<bool> {
        let (id, output) = (id.clone(), output.clone());
        self.write("complete output in", Commit::Synced, move |connection| {
            outputs::complete(connection, &id, &output)
        })
    }

    fn outputs_at(&self, agent: &AgentId, limit: usize) -> Result<Vec<ExecutionId>> {
        self.database.flush();
        self.database.read("look for output in", |connection| {
            outputs::at_agent(connection, agent, limit)
        })
    }

    fn oldest_outputs(&self, now: Timestamp, limit: usize) -> Result<Vec<(ExecutionId, u64)>> {
        self.database.read("look for what is old in", |connection| {
            outputs::oldest(connection, now, limit)
        })
    }

    fn forget_outputs(&self, ids: &[ExecutionId]) -> Result<()> {
        let ids = ids.to_vec();
        self.write("forget output in", Commit::Written, move |connection| {
            outputs::forget(connection, &ids)
        })
    }
}

impl EndStore for SqliteHistory {
    fn mark(&self, agent: &AgentId) -> Result<Option<Mark>> {
        self.database.read("read a mark from", |connection| {
            marks::get(connection, agent)
        })
    }

    fn keep_ends(&self, agent: &AgentId, ends: Ends) -> Result<()> {
        let agent = agent.clone();
        self.write("keep ends in", Commit::Synced, move |connection| {
            marks::keep(connection, &agent, &ends)
        })
    }

    fn released_mark(&self, agent: &AgentId) -> Result<Option<Mark>> {
        self.database.read("read a mark from", |connection| {
            marks::released(connection, agent)
        })
    }

    fn forget_agent(&self, agent: &AgentId) -> Result<()> {
        let agent = agent.clone();
        self.write("forget an agent in", Commit::Synced, move |connection| {
            marks::forget(connection, &agent)
        })
    }
}

fn part_of(ended: &Ended, range: &Range<u64>) -> Vec<u8> {
    match &ended.output {
        EndedOutput::Whole(output) | EndedOutput::Cut(output) => {
            let at = |offset: u64| {
                usize::try_from(offset).map_or(output.bytes.len(), |at| at.min(output.bytes.len()))
            };
            output.bytes[at(range.start)..at(range.end).max(at(range.start))].to_vec()
        }
        EndedOutput::AtAgent => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lazy::MAX_WAITING_BYTES;
    use super::*;
    use crate::model::ids::FunctionName;
    use crate::model::output::Output;

    #[test]
    fn what_waits_for_its_write_is_bounded_in_bytes() {
        const OUTPUT: usize = 1 << 20;
        let directory = tempfile::tempdir().expect("tempdir");
        let history = SqliteHistory::open(directory.path()).expect("history");
        for i in 0..=2 * MAX_WAITING_BYTES / OUTPUT {
            // Of some there are two, and one is shown.
            let id = ExecutionId::new(&format!("e{}", i / 2)).expect("id");
            let record = ExecutionRecord::accepted(
                id,
                AgentId::new("a").expect("id"),
                FunctionName::new("f").expect("name"),
                1,
                Timestamp::from_millis(0),
            );
            let output = EndedOutput::Whole(Output::of_stdout(vec![0; OUTPUT]));
            history.keep_lazily(Ended { record, output });
            assert!(history.lazy.output_bytes() <= MAX_WAITING_BYTES);
        }
        history.flush().expect("flush");
        assert_eq!(history.lazy.output_bytes(), 0);
    }
}

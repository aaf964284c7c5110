//! Ends on their way into the history, and the way back out of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use crate::base::causes::with_causes;
use crate::base::clock::Clock;
use crate::base::threads::lock;
use crate::base::units::Mib;
use crate::control::fleet::Fleet;
use crate::model::ends::{Ended, EndedOutput, Ends, Mark};
use crate::model::execution::{Executed, ExecutionRecord};
use crate::model::ids::{AgentId, ExecutionId};
use crate::model::output::Output;
use crate::rpc::RpcError;
use crate::store::history::{HistoryStore, KeptOutput, Wholeness};
use crate::store::{Store, StoreError};

/// Output that is kept together with its record, in bytes, because it is here already; what is longer
/// is fetched after, piece by piece.
const OUTPUT_ALONG: usize = 64 << 10;

/// What ended, and up to where each agent's ends are known.
pub(crate) struct Records {
    pub(super) history: Arc<dyn HistoryStore>,
    pub(super) store: Arc<dyn Store>,
    pub(super) fleet: Arc<Fleet>,
    pub(super) clock: Clock,
    /// Bytes that are kept of one output at the most.
    pub(super) longest_output: u64,
    marks: Mutex<HashMap<AgentId, Marks>>,
}

/// As the history says them, so that a probe need not ask it.
#[derive(Debug, Clone)]
struct Marks {
    kept: Mark,
    released: Mark,
}

/// An execution of which the end is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptExecution {
    /// Final.
    pub record: ExecutionRecord,
    /// How much of its output is here.
    pub output: KeptOutput,
}

/// Why ends were not collected, or the fate of an execution not found out.
#[derive(Debug, Error)]
pub(crate) enum RecordsError {
    /// The agent cannot be asked.
    #[error("the agent cannot be asked")]
    Agent(#[from] RpcError),
    /// The history or the store failed.
    #[error("the stores cannot be used")]
    Store(#[from] StoreError),
}

impl Records {
    /// `longest_output`: what is kept of one execution's output at the most.
    pub(crate) fn new(
        history: Arc<dyn HistoryStore>,
        store: Arc<dyn Store>,
        fleet: Arc<Fleet>,
        clock: Clock,
        longest_output: Mib,
    ) -> Records {
        Records {
            history,
            store,
            fleet,
            clock,
            longest_output: longest_output.bytes(),
            marks: Mutex::default(),
        }
    }

    /// The history itself.
    pub(crate) fn history(&self) -> &dyn HistoryStore {
        &*self.history
    }

    /// An execution that has ended, if its end is kept. Output that is still at an agent which the
    /// fleet does not have any more is gone.
    ///
    /// # Errors
    /// The history's.
    pub(crate) fn find(&self, id: &ExecutionId) -> Result<Option<KeptExecution>, StoreError> {
        let Some(record) = self.history.get_record(id)? else {
            return Ok(None);
        };
        let Some(mut output) = self.history.output(id)? else {
            return Ok(None);
        };
        if output.wholeness == Wholeness::AtAgent && self.has_left(&record.agent) {
            output.wholeness = Wholeness::Partial;
        }
        Ok(Some(KeptExecution { record, output }))
    }

    /// Keeps what the answer to a call says. `durably`: on disk when
    /// this returns, because a repetition of the call gets this answer; otherwise nobody waits, and
    /// the agent has it too.
    pub(crate) fn keep_answer(&self, executed: &Executed, durably: bool) {
        let Executed { record, output } = executed;
        if output.bytes.len() > OUTPUT_ALONG {
            self.keep_ended(record, EndedOutput::AtAgent, durably);
            if !self.has_left(&record.agent) {
                return;
            }
            // Nobody could fetch it any more. Looked at after the end was kept: an agent that leaves
            // from now on finds that, and gives its output up.
        }
        self.keep_ended(record, self.within_bounds(output.clone()), durably);
    }

    /// Keeps ends that a client is about to be told, before the turn of their agent has come: what becomes of that
    /// agent cannot change them any more. Where they cannot be kept, they are told all the same.
    pub(crate) fn keep_told<'a>(&self, records: impl IntoIterator<Item = &'a ExecutionRecord>) {
        if let Err(error) = self.try_to_keep(records) {
            // Whoever collects them complains of it.
            log::debug!(
                "ends that are told are not kept yet: {}",
                with_causes(&error)
            );
        }
    }

    fn try_to_keep<'a>(
        &self,
        records: impl IntoIterator<Item = &'a ExecutionRecord>,
    ) -> Result<(), StoreError> {
        let mut told = Vec::new();
        for record in records {
            let has_ended = record.ending.is_some();
            // The output of others, which number no ends, would never be fetched.
            if has_ended
                && self.history.mark(&record.agent)?.is_some()
                && self.is_its_own(&record.agent, record)?
            {
                told.push(Ended {
                    record: record.clone(),
                    output: EndedOutput::AtAgent,
                });
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        self.history.keep(told)
    }

    fn keep_ended(&self, record: &ExecutionRecord, output: EndedOutput, durably: bool) {
        let ended = Ended {
            record: record.clone(),
            output,
        };
        if !durably {
            return self.history.keep_lazily(ended);
        }
        if let Err(error) = self.history.keep(vec![ended]) {
            // Its agent has it, and it is collected from there.
            log::error!(
                "execution {}: its record is not kept yet: {}",
                record.id,
                with_causes(&error)
            );
        }
    }

    /// Keeps ends that an agent told, with how far they go; then their slots are free, and there is
    /// nothing more to find out about them.
    ///
    /// # Errors
    /// The stores'.
    pub(super) fn keep_ends(&self, agent: &AgentId, mut ends: Ends) -> Result<(), StoreError> {
        let mut own = Vec::with_capacity(ends.ended.len());
        for (sequence, mut ended) in std::mem::take(&mut ends.ended) {
            if !self.is_its_own(agent, &ended.record)? {
                let id = &ended.record.id;
                log::error!("execution {id}: agent {agent} tells the end of another's execution");
                continue;
            }
            if let EndedOutput::Whole(output) = ended.output {
                ended.output = self.within_bounds(output);
            }
            own.push((sequence, ended));
        }
        let ids: Vec<_> = own
            .iter()
            .map(|(_, ended)| ended.record.id.clone())
            .collect();
        ends.ended = own;
        let kept = ends.mark.clone();
        self.history.keep_ends(agent, ends)?;
        self.store.forget_routes(&ids)?;
        for id in &ids {
            self.fleet.vacate(agent, id);
        }
        self.note(agent, kept)
    }

    /// Up to where an agent's ends are kept, if that is known here already.
    pub(crate) fn kept_mark(&self, agent: &AgentId) -> Option<Mark> {
        lock(&self.marks).get(agent).map(|marks| marks.kept.clone())
    }

    /// Up to where an agent may forget its ends.
    pub(crate) fn released_mark(&self, agent: &AgentId) -> Option<Mark> {
        lock(&self.marks)
            .get(agent)
            .map(|marks| marks.released.clone())
    }

    /// Reads anew how far an agent's ends may be forgotten: output of it has come home.
    pub(super) fn refresh_marks(&self, agent: &AgentId) -> Result<(), StoreError> {
        match self.history.mark(agent)? {
            Some(kept) => self.note(agent, kept),
            None => Ok(()),
        }
    }

    /// Whether the fleet does not have that agent any more.
    pub(super) fn has_left(&self, agent: &AgentId) -> bool {
        self.fleet.get(agent).is_none()
    }

    /// Forgets how far an agent's ends are kept: it is gone.
    pub(super) fn forget(&self, agent: &AgentId) -> Result<(), StoreError> {
        lock(&self.marks).remove(agent);
        self.history.forget_agent(agent)
    }

    fn note(&self, agent: &AgentId, kept: Mark) -> Result<(), StoreError> {
        if let Some(released) = self.history.released_mark(agent)? {
            lock(&self.marks).insert(agent.clone(), Marks { kept, released });
        }
        Ok(())
    }

    /// An agent speaks for what it ran: an end of what was handed to another one is not taken.
    fn is_its_own(&self, agent: &AgentId, record: &ExecutionRecord) -> Result<bool, StoreError> {
        if record.agent != *agent {
            return Ok(false);
        }
        if let Some(view) = self.fleet.whereabouts(&record.id) {
            return Ok(view.agent.id == *agent);
        }
        let route = self.store.get_route(&record.id)?;
        Ok(route.is_none_or(|route| route.agent == *agent))
    }

    pub(super) fn within_bounds(&self, mut output: Output) -> EndedOutput {
        let longest = usize::try_from(self.longest_output).unwrap_or(usize::MAX);
        if output.bytes.len() <= longest {
            return EndedOutput::Whole(output);
        }
        output.truncate(longest);
        EndedOutput::Cut(output)
    }
}

impl KeptExecution {
    /// The record as it is shown together with what is here of the output: less than was recorded
    /// counts as truncated.
    pub(crate) fn shown_record(&self) -> ExecutionRecord {
        ExecutionRecord {
            truncated: self.record.truncated || self.output.wholeness != Wholeness::Whole,
            ..self.record.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::control::fleet::QueueLimits;
    use crate::model::execution::Ending;
    use crate::model::ids::FunctionName;
    use crate::store::EmbeddedStore;
    use crate::store::history::{OutputStore, RecordStore, SqliteHistory};

    const LIMITS: QueueLimits = QueueLimits {
        per_function: 1,
        in_all: 1,
    };

    /// Of a fleet without agents: the one that everything here is of has left.
    struct Bench {
        history: Arc<SqliteHistory>,
        records: Records,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().expect("tempdir");
            let store: Arc<dyn Store> =
                Arc::new(EmbeddedStore::open(directory.path()).expect("store"));
            let history = Arc::new(SqliteHistory::open(directory.path()).expect("history"));
            let clock = Clock::system();
            let fleet = Fleet::load(Arc::clone(&store), clock.clone(), LIMITS).expect("fleet");
            let records = Records::new(
                Arc::clone(&history) as Arc<dyn HistoryStore>,
                store,
                fleet,
                clock,
                Mib(1),
            );
            Bench {
                history,
                records,
                _directory: directory,
            }
        }

        fn find(&self, record: &ExecutionRecord) -> KeptExecution {
            let kept = self.records.find(&record.id).expect("find");
            kept.expect("kept")
        }
    }

    fn record() -> ExecutionRecord {
        let accepted = ExecutionRecord::accepted(
            ExecutionId::new("e").expect("id"),
            AgentId::new("gone").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            Timestamp::from_millis(0),
        );
        ExecutionRecord {
            ending: Some(Ending::Exited(0)),
            ..accepted
        }
    }

    #[test]
    fn output_that_waits_for_an_agent_that_left_is_gone() {
        let bench = Bench::new();
        let record = record();
        let ended = Ended {
            record: record.clone(),
            output: EndedOutput::AtAgent,
        };
        bench.history.keep(vec![ended]).expect("keep");
        let kept = bench.find(&record);
        assert_eq!(kept.output.wholeness, Wholeness::Partial);
        assert!(kept.shown_record().truncated);
    }

    #[test]
    fn long_output_in_an_answer_of_an_agent_that_left_is_kept_with_it() {
        for durably in [false, true] {
            let bench = Bench::new();
            let executed = Executed {
                record: record(),
                output: Output::of_stdout(vec![b'x'; OUTPUT_ALONG + 1]),
            };
            bench.records.keep_answer(&executed, durably);
            bench.history.flush().expect("flush");
            let kept = bench.find(&executed.record);
            assert_eq!(kept.output, KeptOutput::whole(&executed.output));
            let bytes = bench.history.read_output(&executed.record.id, 0..u64::MAX);
            assert_eq!(bytes.expect("read"), executed.output.bytes);
        }
    }
}

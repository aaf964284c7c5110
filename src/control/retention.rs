//! How long executions that have ended are remembered: by age, by size, and as long as an idempotency
//! key stands for them.

use crate::base::clock::Timestamp;
use crate::config::server::Retention;
use crate::model::ids::ExecutionId;
use crate::store::history::{Due, HistoryStore};
use crate::store::{KeyStore, StoreError};

/// Records that are forgotten at once: others wait for it.
const RECORDS_AT_ONCE: usize = 500;
/// Outputs that are forgotten at once: each may have many pages.
const OUTPUTS_AT_ONCE: usize = 16;
/// Portions of records or outputs in one round: a second's work, because whoever asks has other things
/// to do in between.
const PORTIONS_A_ROUND: usize = 8;

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Forgotten {
    /// Records whose time was over.
    pub by_age: usize,
    /// Outputs that had to make room.
    pub outputs_for_room: usize,
    /// Records that had to make room.
    pub records_for_room: usize,
    /// There is more to forget, which the next round does.
    pub is_unfinished: bool,
}

impl Forgotten {
    /// Whether anything had to make room.
    pub(crate) fn has_made_room(&self) -> bool {
        self.outputs_for_room + self.records_for_room > 0
    }

    /// This and what the next round came to.
    pub(crate) fn and(self, next: Forgotten) -> Forgotten {
        Forgotten {
            by_age: self.by_age + next.by_age,
            outputs_for_room: self.outputs_for_room + next.outputs_for_room,
            records_for_room: self.records_for_room + next.records_for_room,
            is_unfinished: next.is_unfinished,
        }
    }
}

/// Forgets what has been kept long enough, then as much as is too much: the oldest output, that which a
/// key stands for last, then the oldest records, but none that a key stands for. Stops after a bounded
/// number of portions.
///
/// # Errors
/// The stores'; the next round goes on.
pub(crate) fn forget(
    history: &dyn HistoryStore,
    keys: &dyn KeyStore,
    retention: &Retention,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let mut round = Round {
        history,
        keys,
        now,
        forgotten: Forgotten::default(),
    };
    for _ in 0..PORTIONS_A_ROUND {
        if !round.forget_portion(retention)? {
            return Ok(round.forgotten);
        }
    }
    round.forgotten.is_unfinished = true;
    Ok(round.forgotten)
}

struct Round<'a> {
    history: &'a dyn HistoryStore,
    keys: &'a dyn KeyStore,
    now: Timestamp,
    forgotten: Forgotten,
}

impl Round<'_> {
    /// Whether there was one.
    fn forget_portion(&mut self, retention: &Retention) -> Result<bool, StoreError> {
        let (history, now) = (self.history, self.now);
        let due = Due {
            now,
            successes_before: now.before(retention.success),
            others_before: now.before(retention.failure),
        };
        let ids = history.due_records(&due, RECORDS_AT_ONCE)?;
        if !ids.is_empty() {
            let ids = ids.into_iter().map(|id| (id, 0)).collect();
            let free: Vec<_> = self
                .without_claimed(ids)?
                .into_iter()
                .map(|(id, _)| id)
                .collect();
            self.forgotten.by_age += history.forget_records(&free)?;
            return Ok(true);
        }
        let excess = history
            .used_bytes()?
            .saturating_sub(retention.total.bytes());
        if excess == 0 {
            return Ok(false);
        }
        self.make_room(excess)
    }

    /// Whether there was anything to forget.
    fn make_room(&mut self, excess: u64) -> Result<bool, StoreError> {
        let (history, now) = (self.history, self.now);
        let outputs = history.oldest_outputs(now, OUTPUTS_AT_ONCE)?;
        if !outputs.is_empty() {
            let free = self.without_claimed(outputs)?;
            return self.forget_outputs(&just_enough(free, excess));
        }
        let outputs = history.oldest_outputs(Timestamp::MAX, OUTPUTS_AT_ONCE)?;
        if !outputs.is_empty() {
            return self.forget_outputs(&just_enough(outputs, excess));
        }
        let records = history.oldest_records(now, RECORDS_AT_ONCE)?;
        if records.is_empty() {
            return Ok(false);
        }
        let free = just_enough(self.without_claimed(records)?, excess);
        self.forgotten.records_for_room += history.forget_records(&free)?;
        Ok(true)
    }

    fn forget_outputs(&mut self, ids: &[ExecutionId]) -> Result<bool, StoreError> {
        self.history.forget_outputs(ids)?;
        self.forgotten.outputs_for_room += ids.len();
        Ok(true)
    }

    /// Those that no idempotency key stands for; the others are reprieved as long as theirs does.
    fn without_claimed(
        &self,
        of: Vec<(ExecutionId, u64)>,
    ) -> Result<Vec<(ExecutionId, u64)>, StoreError> {
        let mut free = Vec::with_capacity(of.len());
        for (id, bytes) in of {
            match self.keys.claimed_until(&id, self.now)? {
                Some(until) => {
                    self.history.reprieve(&id, until)?;
                }
                None => free.push((id, bytes)),
            }
        }
        Ok(free)
    }
}

/// The first ones, until they have `bytes`.
fn just_enough(of: Vec<(ExecutionId, u64)>, bytes: u64) -> Vec<ExecutionId> {
    let mut sum = 0;
    let taken = of.into_iter().take_while(|(_, bytes_of_one)| {
        let is_short = sum < bytes;
        sum += bytes_of_one;
        is_short
    });
    taken.map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::units::Mib;
    use crate::model::ends::{Ended, EndedOutput};
    use crate::model::execution::{Ending, ExecutionRecord};
    use crate::model::ids::{AgentId, FunctionName};
    use crate::model::output::Output;
    use crate::store::history::{OutputStore, RecordFilter, RecordStore, SqliteHistory, Wholeness};
    use crate::store::{EmbeddedStore, IdempotencyKey};

    const DAY: Duration = Duration::from_secs(24 * 3600);
    /// When everything here ends.
    const ENDED_AT: Timestamp = Timestamp::from_millis(1_000_000);

    struct Bench {
        history: SqliteHistory,
        store: EmbeddedStore,
        retention: Retention,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Bench {
            let directory = tempfile::tempdir().expect("tempdir");
            Bench {
                history: SqliteHistory::open(directory.path()).expect("history"),
                store: EmbeddedStore::open(directory.path()).expect("store"),
                retention: Retention::default(),
                _directory: directory,
            }
        }

        fn keep(&self, id: &str, ending: Ending, output_bytes: usize) {
            let ended = ended(id, ending, output_bytes);
            self.history.keep(vec![ended]).expect("keep");
        }

        fn keep_many(&self, count: usize) {
            let all = (0..count).map(|i| ended(&format!("e{i:05}"), Ending::Exited(0), 0));
            self.history.keep(all.collect()).expect("keep");
        }

        fn claim(&self, id: &str, ttl: Duration) {
            let function = FunctionName::new("f").expect("name");
            let key = IdempotencyKey::new(&function, id);
            let execution = ExecutionId::new(id).expect("id");
            self.store
                .begin_idempotent(&key, &[0; 32], &execution, ENDED_AT, ttl)
                .expect("begin");
        }

        fn forget(&self, age: Duration) -> Forgotten {
            let now = ENDED_AT.after(age);
            forget(&self.history, &self.store, &self.retention, now).expect("forget")
        }

        fn kept(&self) -> Vec<String> {
            let records = self.history.list_records(&RecordFilter::default(), 99);
            let records = records.expect("list");
            let names = records.iter().map(|record| record.id.as_str().to_owned());
            names.collect()
        }

        fn wholeness(&self, id: &str) -> Wholeness {
            let output = self.history.output(&ExecutionId::new(id).expect("id"));
            output.expect("read").expect("kept").wholeness
        }
    }

    fn ended(id: &str, ending: Ending, output_bytes: usize) -> Ended {
        let accepted = ExecutionRecord::accepted(
            ExecutionId::new(id).expect("id"),
            AgentId::new("a").expect("id"),
            FunctionName::new("f").expect("name"),
            1,
            ENDED_AT,
        );
        Ended {
            record: ExecutionRecord {
                ending: Some(ending),
                ..accepted
            },
            output: EndedOutput::Whole(Output::of_stdout(vec![b'x'; output_bytes])),
        }
    }

    #[test]
    fn successes_go_after_a_day_and_everything_else_after_a_week() {
        let bench = Bench::new();
        bench.keep("success", Ending::Exited(0), 0);
        bench.keep("failure", Ending::Exited(1), 0);
        bench.keep("lost", Ending::Lost, 0);
        assert_eq!(bench.forget(DAY - Duration::from_millis(1)).by_age, 0);
        assert_eq!(bench.forget(DAY).by_age, 1);
        assert_eq!(bench.kept(), ["lost", "failure"]);
        assert_eq!(bench.forget(7 * DAY).by_age, 2);
    }

    #[test]
    fn what_an_idempotency_key_stands_for_stays_as_long_as_the_key() {
        let bench = Bench::new();
        bench.keep("keyed", Ending::Exited(0), 0);
        bench.keep("other", Ending::Exited(0), 0);
        bench.claim("keyed", 2 * DAY);
        assert_eq!(bench.forget(DAY).by_age, 1);
        assert_eq!(bench.kept(), ["keyed"]);
        assert_eq!(bench.forget(2 * DAY).by_age, 1);
    }

    #[test]
    fn too_much_output_goes_from_the_oldest_on_and_its_records_stay() {
        let mut bench = Bench::new();
        bench.retention.total = Mib(4);
        for i in 0..6 {
            bench.keep(&format!("e{i}"), Ending::Exited(0), 1 << 20);
        }
        let forgotten = bench.forget(Duration::ZERO);
        assert!(forgotten.outputs_for_room > 0, "{forgotten:?}");
        assert_eq!((forgotten.by_age, forgotten.records_for_room), (0, 0));
        assert_eq!(bench.kept().len(), 6);
        assert!(bench.history.used_bytes().expect("measure") <= Mib(4).bytes());
    }

    #[test]
    fn no_more_output_goes_than_has_to() {
        let mut bench = Bench::new();
        for i in 0..6 {
            bench.keep(&format!("e{i}"), Ending::Exited(0), 1 << 20);
        }
        bench.retention.total = Mib(5);
        let forgotten = bench.forget(Duration::ZERO);
        // What the records take besides makes it two.
        assert_eq!(forgotten.outputs_for_room, 2);
        assert_eq!(bench.wholeness("e2"), Wholeness::Whole);
    }

    #[test]
    fn output_that_a_key_stands_for_goes_before_any_record() {
        let mut bench = Bench::new();
        bench.keep("keyed", Ending::Exited(0), 2 << 20);
        bench.claim("keyed", DAY);
        bench.keep("other", Ending::Exited(0), 0);
        bench.retention.total = Mib(1);
        let forgotten = bench.forget(Duration::ZERO);
        let counts = (forgotten.outputs_for_room, forgotten.records_for_room);
        assert_eq!(counts, (1, 0));
        assert_eq!(bench.kept(), ["other", "keyed"]);
    }

    #[test]
    fn records_go_when_there_is_no_output_left_to_go() {
        let mut bench = Bench::new();
        bench.keep("keyed", Ending::Exited(0), 0);
        bench.claim("keyed", DAY);
        bench.keep_many(2000);
        bench.retention.total = Mib(1);
        let forgotten = bench.forget(Duration::ZERO);
        assert!(forgotten.records_for_room > 0, "{forgotten:?}");
        assert!(bench.history.used_bytes().expect("measure") <= Mib(1).bytes());
        assert!(bench.kept().contains(&"keyed".to_owned()));
    }

    #[test]
    fn a_round_is_bounded_and_the_next_one_goes_on() {
        let bench = Bench::new();
        let most = PORTIONS_A_ROUND * RECORDS_AT_ONCE;
        bench.keep_many(most + 1);
        let first = bench.forget(DAY);
        assert_eq!((first.by_age, first.is_unfinished), (most, true));
        let second = bench.forget(DAY);
        assert_eq!((second.by_age, second.is_unfinished), (1, false));
    }

    #[test]
    fn output_that_a_key_stands_for_goes_last() {
        let mut bench = Bench::new();
        bench.retention.total = Mib(3);
        bench.keep("keyed", Ending::Exited(0), 2 << 20);
        bench.claim("keyed", DAY);
        bench.keep("later", Ending::Exited(0), 2 << 20);
        bench.forget(Duration::ZERO);
        assert_eq!(bench.wholeness("keyed"), Wholeness::Whole);
        assert_eq!(bench.wholeness("later"), Wholeness::Partial);
        bench.retention.total = Mib(1);
        bench.forget(Duration::ZERO);
        assert_eq!(bench.wholeness("keyed"), Wholeness::Partial);
        assert!(bench.kept().contains(&"keyed".to_owned()));
    }
}

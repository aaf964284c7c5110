//! What clients were told, and whether it can all be true.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::caller::{Answer, Caller};
use super::witness::{Testimony, Witness};
use crate::harness::eventually;

/// How often every record is asked for once more, after all have ended.
const LAST_LOOKS: usize = 3;

/// Status and reason of an execution that has ended.
type End = (String, String);

/// Grows while the storm goes on; judged after it.
#[derive(Default)]
pub struct History(Mutex<Told>);

#[derive(Default)]
struct Told {
    /// Answered with 202.
    promised: Vec<String>,
    /// Answered with their end, and not promised to be found later.
    answered: Vec<(String, End)>,
    /// Every end that a record ever showed.
    ends: BTreeMap<String, Vec<End>>,
    refused: usize,
    broken: usize,
}

impl History {
    /// Files the answer to an asynchronous call.
    #[track_caller]
    pub fn told_async(&self, answer: Option<Answer>) {
        match answer {
            None => self.told().broken += 1,
            Some(answer) if answer.status == 202 => self.told().promised.push(answer.id()),
            Some(answer) => {
                answer.assert_outage();
                self.told().refused += 1;
            }
        }
    }

    /// Files the answer to a synchronous call.
    #[track_caller]
    pub fn told_sync(&self, answer: Option<Answer>) {
        match answer {
            None => self.told().broken += 1,
            Some(answer) if matches!(answer.status, 200 | 500) => {
                let end = end_of(&answer.body).unwrap_or_else(|| panic!("no end in {answer:?}"));
                let success = (answer.status == 200).then_some("success");
                assert_eq!(end.0, success.unwrap_or("failed"), "{answer:?}");
                self.told().answered.push((answer.id(), end));
            }
            Some(answer) => {
                answer.assert_outage();
                self.told().refused += 1;
            }
        }
    }

    /// Asks for the record of something promised; an outage is no answer, "not found" is a lie.
    /// Returns whether it has ended.
    #[track_caller]
    pub fn look(&self, caller: &Caller, id: &str) -> bool {
        let Some(answer) = caller.record(id) else {
            return false;
        };
        if answer.status != 200 {
            answer.assert_outage();
            return false;
        }
        let Some(end) = end_of(&answer.body) else {
            return false;
        };
        self.told().ends.entry(id.to_owned()).or_default().push(end);
        true
    }

    /// One of what was promised so far.
    pub fn some_promise(&self, number: u64) -> Option<String> {
        let told = self.told();
        let count = told.promised.len() as u64;
        let index = usize::try_from(number.checked_rem(count)?).expect("an index");
        told.promised.get(index).cloned()
    }

    /// Every promise kept, no end changed, nothing run twice.
    #[track_caller]
    pub fn judge(&self, caller: &Caller, witness: &Witness) {
        let promised = self.told().promised.clone();
        for id in &promised {
            eventually(&format!("execution {id} ends"), || {
                self.look(caller, id).then_some(())
            });
        }
        for _ in 0..LAST_LOOKS {
            for id in &promised {
                assert!(self.look(caller, id), "execution {id} runs again");
            }
        }
        let told = self.told();
        let testimony = witness.testimony();
        for (id, ends) in &told.ends {
            let (first, rest) = ends.split_first().expect("an end");
            assert!(
                rest.iter().all(|end| end == first),
                "{id} ended as {ends:?}"
            );
            agrees(id, first, &testimony);
        }
        for (id, end) in &told.answered {
            agrees(id, end, &testimony);
            let recorded = caller.record(id).expect("an answer");
            if recorded.status == 200 {
                let recorded = end_of(&recorded.body);
                assert_eq!(recorded.as_ref(), Some(end), "{id}: recorded and answered");
            }
        }
        for (id, count) in &testimony.started {
            assert_eq!(*count, 1, "execution {id} started so often");
        }
        assert!(!told.promised.is_empty(), "nothing was accepted");
        assert!(!told.answered.is_empty(), "nothing was answered");
    }

    /// For whoever reads the log of a failed storm.
    pub fn summary(&self) -> String {
        let told = self.told();
        let count = |reason: &str| {
            let ends = told.ends.values().filter_map(|ends| ends.last());
            ends.filter(|end| end.1 == reason).count()
        };
        format!(
            "{} promised ({} exited, {} lost), {} answered, {} refused, {} broken",
            told.promised.len(),
            count("exited"),
            count("lost"),
            told.answered.len(),
            told.refused,
            told.broken
        )
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_of(record: &Value) -> Option<End> {
    let text = |key: &str| record[key].as_str().map(str::to_owned);
    let status = text("status").filter(|status| status != "running")?;
    Some((status, text("reason").unwrap_or_default()))
}

/// A success did all its work, exactly once; what failed was lost with a daemon, and nothing else
/// went wrong.
#[track_caller]
fn agrees(id: &str, (status, reason): &End, testimony: &Testimony) {
    match (status.as_str(), reason.as_str()) {
        ("success", "exited") => {
            assert_eq!(testimony.started.get(id), Some(&1), "{id} succeeded");
            assert_eq!(testimony.ended.get(id), Some(&1), "{id} succeeded");
        }
        ("failed", "lost") => {}
        other => panic!("execution {id} ended as {other:?}"),
    }
}

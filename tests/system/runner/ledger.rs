//! How every test ended, here and elsewhere, and what has to be said about it at the end: who was
//! skipped, why, and where else he ran.

use std::collections::BTreeMap;
use std::env;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::outcome::Outcome;
use super::required::is_all_required;
use super::test::Test;

/// Set to anything: the run tells how each test ended, in lines that begin with [`MARK`].
pub const REPORT: &str = "FLUX_TEST_REPORT";
/// See [`REPORT`].
const MARK: &str = "flux-test-report: ";

static LEDGER: Mutex<Ledger> = Mutex::new(Ledger {
    here: BTreeMap::new(),
    elsewhere: Vec::new(),
});

struct Ledger {
    here: BTreeMap<String, Outcome>,
    elsewhere: Vec<Elsewhere>,
}

/// How a test ended on another machine.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// As whom, and where.
    pub place: String,
    pub test: String,
    pub outcome: Outcome,
}

/// What a run comes to.
pub struct Sum {
    /// For people, in whole lines.
    pub words: String,
    /// Tests that were skipped here, could have run elsewhere, and have not.
    pub ran_nowhere: usize,
}

pub fn ended_here(test: &Test, outcome: &Outcome) {
    let mut ledger = ledger();
    ledger.here.insert(test.name.clone(), outcome.clone());
}

/// Records what another machine said, for this run's end or for [`take_elsewhere`].
pub fn ran_elsewhere(those: Vec<Elsewhere>) {
    ledger().elsewhere.extend(those);
}

/// What was recorded by [`ran_elsewhere`] since the last call.
pub fn take_elsewhere() -> Vec<Elsewhere> {
    std::mem::take(&mut ledger().elsewhere)
}

/// The sum of the run.
pub fn sum() -> Sum {
    let ledger = ledger();
    let mut words = String::new();
    let mut ran_nowhere = 0;
    for (place, those) in by_place(&ledger.elsewhere) {
        let count = |is: fn(&Outcome) -> bool| those.iter().filter(|it| is(&it.outcome)).count();
        words.push_str(&format!(
            "in a guest, as {place}: {} passed, {} failed, {} skipped\n",
            count(|it| matches!(it, Outcome::Passed)),
            count(|it| matches!(it, Outcome::Failed(_))),
            count(|it| matches!(it, Outcome::Skipped(_))),
        ));
    }
    for (test, outcome) in &ledger.here {
        let Outcome::Skipped(reason) = outcome else {
            continue;
        };
        let places = ledger.places_where_it_passed(test);
        words.push_str(&format!("skipped {test}: {reason}"));
        if !places.is_empty() {
            words.push_str(&format!("; it ran in a guest, as {}", places.join(" and ")));
        } else if is_all_required() {
            ran_nowhere += 1;
            words.push_str("; IT RAN NOWHERE, which this run does not allow");
        }
        words.push('\n');
    }
    if env::var_os(REPORT).is_some() {
        words.push_str(&ledger.report());
    }
    Sum { words, ran_nowhere }
}

/// What a run on another machine said that had [`REPORT`] in its environment.
pub fn read_report(place: &str, output: &str) -> Vec<Elsewhere> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(MARK));
    let values = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values
        .filter_map(|value| Elsewhere::from_json(place, &value))
        .collect()
}

fn by_place(elsewhere: &[Elsewhere]) -> BTreeMap<&str, Vec<&Elsewhere>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for it in elsewhere {
        places.entry(it.place.as_str()).or_default().push(it);
    }
    places
}

fn ledger() -> MutexGuard<'static, Ledger> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    fn places_where_it_passed(&self, test: &str) -> Vec<&str> {
        let passed = |it: &&Elsewhere| it.test == test && it.outcome == Outcome::Passed;
        let those = self.elsewhere.iter().filter(passed);
        those.map(|it| it.place.as_str()).collect()
    }

    fn report(&self) -> String {
        let line = |(test, outcome): (&String, &Outcome)| {
            let mut value = outcome.to_json();
            value["test"] = json!(test);
            format!("{MARK}{value}\n")
        };
        self.here.iter().map(line).collect()
    }
}

impl Elsewhere {
    pub fn to_json(&self) -> Value {
        let mut value = self.outcome.to_json();
        value["test"] = json!(self.test);
        value["place"] = json!(self.place);
        value
    }

    pub fn from_json(place: &str, value: &Value) -> Option<Elsewhere> {
        Some(Elsewhere {
            place: place.to_owned(),
            test: value["test"].as_str()?.to_owned(),
            outcome: Outcome::from_json(value)?,
        })
    }
}

//! A run: the tests that the arguments select, each in its place, and the sum at the end.
//!
//! First those of this machine, then those beside guests: a guest keeps a processor busy, and both would
//! miss deadlines that they keep when they are apart.

use std::convert::Infallible;
use std::process::ExitCode;
use std::thread::available_parallelism;

use crossbeam_channel::{RecvError, bounded};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::ledger::Sum;
use super::outcome::Outcome;
use super::required::is_all_required;
use super::room::Room;
use super::test::{Place, Test};
use super::traces::Traces;
use super::{alone, ledger};
use crate::harness::notes;
use crate::hosts;

/// Most of them wait for daemons most of the time.
const AT_ONCE_FOR_EACH_PROCESSOR: usize = 2;
/// More than the guests at work, of which `hosts::suite` lets few: most of these wait for the guest that
/// another test has.
const BESIDE_GUESTS_AT_ONCE: usize = 12;

/// Where tests wait for their turn.
struct Rooms {
    here: Room,
    beside_guests: Room,
}

/// Runs what the program's arguments select.
pub fn run(tests: Vec<Test>) -> ExitCode {
    let traces = Traces::begin();
    let mut arguments = Arguments::from_args();
    if arguments.nocapture {
        notes::show_at_once();
    }
    let rooms: &'static Rooms = Box::leak(Box::new(Rooms::new(arguments.test_threads)));
    arguments.test_threads.get_or_insert(tests.len());
    let trials = trials(tests, rooms);
    let conclusion = libtest_mimic::run(&arguments, trials);
    hosts::end();
    if arguments.list || is_clean(&ledger::sum(), &traces.left()) {
        return conclusion.exit_code();
    }
    ExitCode::FAILURE
}

/// Says what the tests themselves could not.
fn is_clean(sum: &Sum, left: &[String]) -> bool {
    print!("{}", sum.words);
    for trace in left {
        println!("left behind: {trace}");
    }
    if sum.ran_nowhere > 0 {
        println!("{} tests ran nowhere", sum.ran_nowhere);
    }
    println!();
    sum.ran_nowhere == 0 && left.is_empty()
}

fn trials(tests: Vec<Test>, rooms: &'static Rooms) -> Vec<Trial> {
    // Nothing is ever sent: the channel is closed once every test that has the other end is over, or was
    // not selected.
    let (under_way, all_over) = bounded::<Infallible>(0);
    let trials = tests.into_iter().map(|test| match test.place {
        Place::Here | Place::Alone => {
            let under_way = under_way.clone();
            trial(test, move |test| {
                let outcome = rooms.outcome_of(test);
                drop(under_way);
                outcome
            })
        }
        Place::BesideGuests => {
            let all_over = all_over.clone();
            trial(test, move |test| {
                let Err(RecvError) = all_over.recv();
                rooms.outcome_of(test)
            })
        }
    });
    trials.collect()
}

fn trial(test: Test, run: impl FnOnce(&Test) -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(test.name.clone(), move || {
        let outcome = judged(&test, run(&test));
        ledger::ended_here(&test, &outcome);
        match outcome {
            Outcome::Passed => Ok(Completion::Completed),
            Outcome::Failed(words) => Err(Failed::from(words)),
            Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        }
    })
}

/// Where every test has to run, one that is skipped has failed, unless a guest may have run it.
fn judged(test: &Test, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Skipped(reason) if is_all_required() && !test.also_in_guests => {
            Outcome::Failed(format!("it has to run here, and it was skipped: {reason}"))
        }
        outcome => outcome,
    }
}

impl Rooms {
    /// `wanted`: as somebody wants it.
    fn new(wanted: Option<usize>) -> Rooms {
        let at_once = wanted.unwrap_or_else(|| {
            let processors = available_parallelism().map_or(1, usize::from);
            processors * AT_ONCE_FOR_EACH_PROCESSOR
        });
        Rooms {
            here: Room::new(at_once),
            beside_guests: Room::new(BESIDE_GUESTS_AT_ONCE),
        }
    }

    fn outcome_of(&self, test: &Test) -> Outcome {
        match test.place {
            Place::Here => {
                let _inside = self.here.enter();
                Outcome::of(test)
            }
            Place::Alone => {
                let _inside = self.here.enter();
                alone::outcome_of(test)
            }
            Place::BesideGuests => {
                let _inside = self.beside_guests.enter();
                hosts::outcome_of(&test.name)
            }
        }
    }
}

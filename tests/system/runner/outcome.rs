//! How a test ended, and running its body to find out.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::thread;

use serde_json::{Value, json};

use super::skip::Skipped;
use super::test::Test;
use crate::harness::notes;

/// Everything that a test has to say at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// With the reason, which is one line.
    Skipped(String),
    /// With all that is known about it.
    Failed(String),
}

impl Outcome {
    /// Runs the body on a thread of its own, which is called like the test: nothing that a test leaves
    /// on its thread (a mask of signals, a filter of system calls) is the next one's.
    pub fn of(test: &Test) -> Outcome {
        let body = || {
            notes::begin();
            let ended = catch_unwind(AssertUnwindSafe(|| test.call()));
            let notes = notes::end();
            match ended {
                Ok(()) => Outcome::Passed,
                Err(payload) => Outcome::of_unwinding(&*payload, notes),
            }
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().name(test.name.clone());
            let started = thread.spawn_scoped(scope, body).expect("a thread");
            started.join().expect("what unwinds is caught there")
        })
    }

    fn of_unwinding(payload: &(dyn Any + Send), notes: String) -> Outcome {
        match payload.downcast_ref::<Skipped>() {
            Some(Skipped(reason)) => Outcome::Skipped(reason.replace('\n', " ")),
            // The hook has noted the panic's words and its place.
            None if notes.is_empty() => Outcome::Failed("it unwound without a word".to_owned()),
            None => Outcome::Failed(notes),
        }
    }

    /// As a value for another process.
    pub fn to_json(&self) -> Value {
        match self {
            Outcome::Passed => json!({"ended": "passed"}),
            Outcome::Skipped(words) => json!({"ended": "skipped", "words": words}),
            Outcome::Failed(words) => json!({"ended": "failed", "words": words}),
        }
    }

    /// What another process made of it, if it is that.
    pub fn from_json(value: &Value) -> Option<Outcome> {
        let words = || Some(value["words"].as_str()?.to_owned());
        match value["ended"].as_str()? {
            "passed" => Some(Outcome::Passed),
            "skipped" => words().map(Outcome::Skipped),
            "failed" => words().map(Outcome::Failed),
            _ => None,
        }
    }
}

/// Panics of a test are part of what it says at its end; those of other threads are shown at once.
pub fn note_panics() {
    panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let trace = match backtrace.status() {
            BacktraceStatus::Captured => format!("\n{backtrace}"),
            _ => String::new(),
        };
        let current = thread::current();
        let name = current.name().unwrap_or("without a name");
        notes::add(&format!("thread {name} {panic}{trace}"));
    }));
}

//! What every test of this program is run by: how tests are listed, where each of them runs, how one
//! says that it cannot run here, and what the run says at its end.
//!
//! Invariants: a test function that no list names is a warning of the compiler (dead code); a test that
//! cannot run here is reported as skipped with its reason, never as passed; with `FLUX_REQUIRE_ALL` a
//! test that ran nowhere fails the run.

mod alone;
pub mod helper;
mod ledger;
mod outcome;
mod required;
mod room;
mod run;
mod skip;
mod test;
mod traces;

pub use alone::serve as serve_alone;
pub use helper::{Helper, serve as serve_helper};
pub use ledger::{Elsewhere, REPORT, ran_elsewhere, read_report, take_elsewhere};
pub use outcome::{Outcome, note_panics};
pub use required::hosts_are_required_by;
pub use run::run;
pub(crate) use skip::skip;
pub use skip::{Need, Skipped, needs};
pub(crate) use test::tests;
pub use test::{Case, Test};

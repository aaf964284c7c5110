//! The HTTP API as its contract has it, over real connections to the real programs: one module
//! for each of its subjects.

#[path = "harness/mod.rs"]
mod harness;

mod api {
    pub mod plain;

    mod agents;
    mod asynchronous;
    mod auth;
    mod deploy;
    mod enrolment;
    mod environment;
    mod events;
    mod execute;
    mod functions;
    mod idempotency;
    mod isolation;
    mod leaving;
    mod listing;
    mod machine;
    mod output;
    mod regressions;
    mod requests;
    mod routing;
    mod timeouts;
    mod versions;
}

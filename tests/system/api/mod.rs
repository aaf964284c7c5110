//! The HTTP API as its contract has it, over real connections to the real programs: one module
//! for each of its subjects.

pub mod agents;
pub mod asynchronous;
pub mod auth;
pub mod deploy;
pub mod enrolment;
pub mod environment;
pub mod events;
pub mod execute;
pub mod functions;
pub mod idempotency;
pub mod isolation;
pub mod leaving;
pub mod listing;
pub mod machine;
pub mod output;
pub mod plain;
pub mod regressions;
pub mod requests;
pub mod routing;
pub mod timeouts;
pub mod versions;
